//! The ways out of what ended a run.

use super::{Error, quoted};
use crate::annotation::AnnotationError;
use crate::config::Origin;
use crate::full_disk;
use crate::golang::GoError;
use crate::hint::Hint;
use crate::run::smoke::FailedStart;

/// Flags that choose a program, as the keys of a `[[program]]`; any other hint stays as it is.
fn as_keys(hint: &str) -> String {
    let key = |words: &[&str]| match words {
        ["--bin", name] => Some(format!("bin = \"{name}\"")),
        ["--package", name] => Some(format!("package = \"{name}\"")),
        ["--bins"] => Some("bins = true".to_owned()),
        _ => None,
    };
    let words: Vec<&str> = hint.split(' ').collect();
    let keys: Option<Vec<String>> = words.chunks(2).map(key).collect();
    match keys.as_deref() {
        Some([only]) => only.clone(),
        Some(several) => format!("{{ {} }}", several.join(", ")),
        None => hint.to_owned(),
    }
}

/// What a flag takes, the file takes as a value.
fn in_file(key: &str, flag: &str, hint: &str) -> String {
    hint.strip_prefix(flag).map_or_else(|| hint.to_owned(), |value| format!("{key} = \"{value}\""))
}

impl Hint for Error {
    fn hints(&self) -> Vec<String> {
        self.of_project()
            .or_else(|| self.of_run())
            .or_else(|| self.of_copy())
            .or_else(|| self.cause().map(Hint::hints))
            .unwrap_or_default()
    }
}

impl Error {
    /// Where what the project says is wrong.
    fn of_project(&self) -> Option<Vec<String>> {
        Some(match self {
            Self::NoProject { .. } => vec!["name the folder of a project: anyarch build path/to/project".to_owned()],
            Self::ConfigurationExists { path } => {
                let path = quoted(&path.display().to_string());
                vec![format!("to start anew: mv {path} {path}.old")]
            }
            Self::NothingToPropose { .. } => {
                vec!["name the folder of a project: anyarch init path/to/project".to_owned()]
            }
            Self::TwoLanguages { .. } => ["go", "rust"]
                .map(|language| format!("anyarch.toml: program = [{{ language = \"{language}\" }}]"))
                .into(),
            Self::OfTable { source, .. } => match source.as_ref() {
                Self::Go(GoError::SeveralMains { choices, .. }) => {
                    choices.iter().map(|choice| format!("package = \"{choice}\"")).collect()
                }
                Self::Go(GoError::NoMain { .. }) => vec!["package = \"./cmd/app\"".to_owned()],
                other => other.hints().iter().map(|hint| as_keys(hint)).collect(),
            },
            Self::NothingNamed { .. } => {
                vec!["program = [{ name = \"app\", path = \"dist/{{platform.os}}_{{platform.arch}}/app\" }]".to_owned()]
            }
            Self::NoLanguage { .. } => {
                vec![
                    "language = \"go\"".to_owned(),
                    "language = \"rust\"".to_owned(),
                    "package = \"./cmd/app\"".to_owned(),
                ]
            }
            Self::NoDebian { platform, .. } | Self::ForeignSysroot { platform, .. } => {
                vec![format!("platform.\"{platform}\".sysroot = \"sysroots/{}\"", platform.as_folder())]
            }
            Self::NoSysroot { .. } => {
                vec!["sysroot = { debian = \"bookworm\", packages = [\"libssl-dev\"] }".to_owned()]
            }
            Self::DigestTag { named, .. } => vec![format!("-t {named}")],
            Self::NoKeyFor { platform, key: "command", .. } => {
                vec![format!("platform.\"{platform}\".command = \"make\"")]
            }
            Self::NoPrebuilt { program, platform, .. } | Self::NoKeyFor { program, platform, .. } => {
                vec![format!("platform.\"{platform}\".path = \"dist/{}/{program}\"", platform.as_folder())]
            }
            Self::UnknownImage { nearest: Some(nearest), .. } => vec![format!("did you mean `{nearest}`?")],
            Self::UnknownImage { known, .. } => vec![format!("known images: {}", known.join(", "))],
            Self::OneImage { .. } => vec!["leave `--one-image` away, or choose: --image NAME".to_owned()],
            Self::SameImage { name } => vec![format!("name = \"{name}-2\"")],
            Self::SameReference { .. } => {
                vec!["registry.example.com/app/{{image.name}}:1.0".to_owned()]
            }
            Self::NoIndex { .. } => vec!["manifest:KEY=VALUE".to_owned()],
            Self::Annotation { flag, source } => match source.as_ref() {
                AnnotationError::IndexPlatform { .. } | AnnotationError::NoKey { .. } => {
                    source.hints().iter().map(|hint| format!("{flag} {hint}=VALUE")).collect()
                }
                _ => source.hints(),
            },
            _ => return None,
        })
    }

    /// Where what was asked for, or what came of it, is wrong.
    fn of_run(&self) -> Option<Vec<String>> {
        Some(match self {
            Self::KeyValue { flag, .. } => vec![format!("{flag} key=value")],
            Self::Language { known, .. } => known.iter().map(|name| format!("--language {name}")).collect(),
            Self::NoPlatforms => vec!["--platform linux/amd64,linux/arm64".to_owned()],
            Self::NoTag => vec!["-t registry.example.com/app:latest --push".to_owned()],
            Self::NoDockerName { .. } => vec!["-t app:1.0".to_owned()],
            Self::OnePlace { images, tables } => {
                let fewer = images.first().filter(|_| *tables).map(|name| format!("--image {}", quoted(name)));
                vec![
                    fewer.unwrap_or_else(|| "--one-image".to_owned()),
                    "leave -o away: each image gets its own folder below .anyarch/out/".to_owned(),
                ]
            }
            Self::NoFolder { folder, .. } => vec![format!("mkdir -p {}", quoted(&folder.display().to_string()))],
            Self::OtherProject { path, .. } => {
                vec![format!("anyarch build {}", quoted(&path.display().to_string()))]
            }
            Self::TagByDigest { flag: "-t", named, .. } => vec![format!("-t {named}")],
            Self::TagByDigest { named, .. } => vec![format!("name={named}")],
            Self::OutputsDiffer { .. } => vec!["--annotation manifest:KEY=VALUE".to_owned()],
            Self::SamePlace { .. } => vec!["give each a `dest` of its own".to_owned()],
            Self::JsonOnStdout => vec!["write the archive to a file: -o type=oci,dest=image.tar".to_owned()],
            Self::Terminal => vec![
                "-o type=oci,dest=image.tar".to_owned(),
                "anyarch build -o type=docker,dest=- | docker load".to_owned(),
            ],
            Self::SeveralPlatforms { host, .. } => {
                vec![format!("--platform {host}"), "for all of them: -o type=oci,dest=image.tar".to_owned()]
            }
            Self::SingleManifest { .. } => vec!["--platform linux/amd64 --single-manifest".to_owned()],
            Self::CacheLimit { variable, .. } => {
                vec![format!("{variable}=20GB anyarch build"), format!("for no limit: {variable}=none anyarch build")]
            }
            Self::Epoch { .. } => vec!["SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) anyarch build".to_owned()],
            Self::Compile { ways_out, .. } | Self::StillMissing { ways_out, .. } => ways_out.clone(),
            Self::UnknownRow { origin: Origin::File(_), known, .. } => {
                known.iter().map(|name| format!("toolchain_row = \"{name}\"")).collect()
            }
            Self::UnknownRow { known, .. } => known.iter().map(|name| format!("--toolchain-row {name}")).collect(),
            Self::WithoutCgo { .. } => vec!["cgo = true".to_owned()],
            Self::InstalledElsewhere { installed, .. } => vec![format!("destination = \"{installed}\"")],
            Self::InstalledLink { .. } => vec!["make the link relative where the project installs it".to_owned()],
            Self::InstalledTwice { .. } => vec!["leave one out, or put them into two images".to_owned()],
            Self::NotMade { is_command: true, .. } => vec![
                "let the command write the binary to \"$ANYARCH_OUTPUT\"".to_owned(),
                "output = \"path/of/the/binary\"".to_owned(),
            ],
            Self::NotMade { .. } => vec!["output = \"path/of/the/binary\"".to_owned()],
            Self::NotStatic { .. } => {
                vec!["ldflags = [\"-static\"]".to_owned(), "libc = \"gnu\" on a base that has its libraries".to_owned()]
            }
            Self::ImageName { source, .. } => source.hints().iter().map(|hint| hint.replace("--base ", "")).collect(),
            Self::NoSources => vec!["-t registry.example.com/app:1.0 registry.example.com/app:1.0-amd64".to_owned()],
            Self::NoIndexName => {
                ["-t registry.example.com/app:1.0", "only to look at it: --dry-run"].map(str::to_owned).into()
            }
            Self::AppendToNothing => vec!["--append -t registry.example.com/app:1.0".to_owned()],
            Self::ManifestAnnotation { name, .. } => {
                ["index", "manifest-descriptor"].map(|place| format!("--annotation {place}:{name}=VALUE")).into()
            }
            Self::Smoke { failed } => FailedStart::ways_out_of(failed),
            Self::SmokeArguments { .. } => vec!["--smoke \"--version\"".to_owned()],
            Self::SeveralDocuments { platforms, .. }
            | Self::OnePlatform { platforms, .. }
            | Self::NotInImage { offered: platforms, .. } => {
                platforms.iter().map(|has| format!("--platform {has}")).collect()
            }
            Self::WouldNotStart { may_be_forced: true, .. } => {
                vec!["publish it all the same: --verify=warn".to_owned()]
            }
            Self::TagsOfPart { .. } => {
                vec![
                    "--push-by-digest; then, with all results in a folder: anyarch index create --from-results DIR"
                        .to_owned(),
                ]
            }
            Self::TagsOfSeveral { .. } => {
                vec!["leave -t out here, and name them where they are built: anyarch build -t".to_owned()]
            }
            Self::UntaggedResults { .. } => vec!["-t registry.example.com/app:1.0".to_owned()],
            Self::NoResult => vec!["--push-by-digest".to_owned()],
            Self::NotCached { again, .. } => vec![format!("run it once with a network: {again}")],
            Self::OfflinePush => {
                vec!["write it, and push that with a network: -o type=oci,dest=image.tar".to_owned()]
            }
            Self::OfflineInstall { .. } => vec!["get it once with a network: anyarch toolchain install".to_owned()],
            Self::ProjectToolchain { .. } => vec!["--allow-project-toolchains".to_owned()],
            Self::BaseName { origin: Origin::File(_), source, .. } => {
                source.hints().iter().map(|hint| in_file("base", "--base ", hint)).collect()
            }
            Self::Output { origin: Origin::File(_), source } => {
                source.hints().iter().map(|hint| in_file("output", "-o ", hint)).collect()
            }
            Self::Write { source, .. } => full_disk::hints(source),
            _ => return None,
        })
    }

    /// Where images that exist are copied.
    fn of_copy(&self) -> Option<Vec<String>> {
        Some(match self {
            Self::OfflineCopy => vec!["copy it into a layout, and that with a network: oci:DIR".to_owned()],
            Self::MirrorName { .. } => {
                vec!["name a registry, or a path of one: --all-bases mirror.lan:5000/bases".to_owned()]
            }
            Self::MirrorPlace { .. } => vec!["name a shorter path of the registry".to_owned()],
            Self::Taken { path, kind: "oci" } => {
                vec![format!("choose another folder: oci:{}-image", path.display())]
            }
            Self::Taken { path, kind } => {
                let path = path.display();
                vec![format!("name a file: {kind}:{path}/image.tar"), format!("as a layout: oci:{path}")]
            }
            Self::ArchiveName { text } => {
                vec![format!("write a layout, and copy that: -t oci:DIR:1.0; then: anyarch copy oci:DIR:1.0 {text}")]
            }
            Self::BarePath { text } => ["oci:", "oci-archive:"].map(|kind| format!("{kind}{text}")).to_vec(),
            Self::OtherIndex { .. } => vec![
                "copy all of them, digests are the same then: --platform all".to_owned(),
                "copy them one by one: a platform alone keeps its digest".to_owned(),
            ],
            Self::OtherDigest { actual, .. } => vec![format!("name a tag, or this digest: @{actual}")],
            _ => return None,
        })
    }

    /// Where another error knows better.
    fn cause(&self) -> Option<&dyn Hint> {
        match self {
            Self::Debian { source, .. } => Some(source),
            Self::Row { source, .. } => Some(source),
            Self::File(error) => Some(error),
            Self::Unfit { source, .. } => Some(source),
            Self::C(error) => Some(error),
            Self::NoProgram { source, .. } => Some(source),
            Self::Config(error) => Some(error),
            Self::Template(error) => Some(error),
            Self::Part(error) => Some(error),
            Self::Platform(error) => Some(error),
            Self::Base(error) => Some(error),
            Self::Listing { source, .. } => Some(source),
            Self::BaseName { source, .. } => Some(source),
            Self::Reference { source, .. } => Some(source),
            Self::Output { source, .. } => Some(source.as_ref()),
            Self::BaseImage { source, .. } => Some(source),
            Self::Push { source, .. } | Self::Client(source) => Some(source),
            Self::Login(error) => Some(error),
            Self::Go(error) => Some(error),
            Self::Cargo(error) => Some(error),
            Self::MissingLibrary(error) => Some(error),
            Self::CargoFlags(error) => Some(error),
            Self::Toolchain(error) => Some(error),
            Self::Plan(error) => Some(error),
            Self::Host(error) => Some(error),
            Self::Install(error) => Some(error),
            Self::Exec(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Image(error) => Some(error),
            Self::Layer(error) => Some(error),
            Self::Sink(error) => Some(error),
            Self::Sandbox(error) => Some(error),
            Self::Serve(error) => Some(error),
            Self::CommitTime { source, .. } => Some(source),
            Self::Format(error) => Some(error),
            Self::Spec { source, .. } => Some(source),
            Self::Index(error) => Some(error),
            _ => None,
        }
    }
}
