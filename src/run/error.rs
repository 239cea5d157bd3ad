//! Everything that can end a run, with the ways out.

use std::io;
use std::path::PathBuf;

use crate::annotation::AnnotationError;
use crate::base::BaseError;
use crate::base_name::BaseNameError;
use crate::cargo::{CargoError, MissingLibrary};
use crate::cargo_flags::CargoConfigError;
use crate::config::template::TemplateError;
use crate::config::{ConfigError, Origin, Place};
use crate::debian_archive::DebianError;
use crate::elf::{ElfError, Mismatch};
use crate::exec::ExecError;
use crate::golang::GoError;
use crate::hint::Hint;
use crate::host::HostError;
use crate::image::ImageError;
use crate::install::InstallError;
use crate::layer::LayerError;
use crate::output_spec::OutputError;
use crate::plan::PlanError;
use crate::platform::{Platform, PlatformError};
use crate::reference::ReferenceError;
use crate::registry;
use crate::sink::SinkError;
use crate::store::StoreError;
use crate::toolchain::ToolchainError;

use super::c::CProjectError;
use super::files::FileError;

/// Why a run ended.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the words of each variant are its documentation")]
pub enum Error {
    #[error("there is no project in `{path}`: no go.mod, Cargo.toml or anyarch.toml there or above, and no C there")]
    NoProject { path: PathBuf },
    #[error("`{path}` is there already, and anyarch init never changes one")]
    ConfigurationExists { path: PathBuf },
    #[error(
        "`{path}` holds no program: no main package of Go, no binary of a Cargo package, no C with a `main`{}", on_lines(.remarks)
    )]
    NothingToPropose { path: PathBuf, remarks: Vec<String> },
    #[error("`{path}` does not exist")]
    NoPath { path: PathBuf },
    #[error("`{path}` cannot be written: the folder `{folder}` does not exist")]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("`{path}` is in another project, with a configuration of its own in `{file}`: one run builds one project")]
    OtherProject { path: PathBuf, file: PathBuf },
    #[error("`{path}` holds both a go.mod and a Cargo.toml")]
    TwoLanguages { path: PathBuf },
    #[error("the language of the program in {place} cannot be found: {looked_for}")]
    NoLanguage { place: String, looked_for: String },
    #[error("`{path}` is a Go project, and `{flag}` is for Rust")]
    RustFlag { path: PathBuf, flag: &'static str },
    #[error("`{file}` names no program, and there is no go.mod or Cargo.toml beside it")]
    NothingNamed { file: PathBuf },
    #[error("`{flag} {text}` should read {flag} KEY=VALUE")]
    KeyValue { flag: &'static str, text: String },
    #[error("`--language {text}` is no language")]
    Language { text: String, known: Vec<&'static str> },
    #[error("`--platform` and `platforms` name nothing")]
    NoPlatforms,
    #[error("pushing needs a name for the image, and there is none")]
    NoTag,
    #[error("several images ({}) cannot go to one place", images.join(", "))]
    OnePlace { images: Vec<String>, tables: bool },
    #[error("a single manifest is for one platform, and `{image}` has {platforms}")]
    SingleManifest { image: String, platforms: usize },
    #[error("`{text}` ({origin}) has a digest, and what is published gets its own")]
    DigestTag { origin: String, text: String, named: String },
    #[error("Debian has no {platform}, which the sysroot in {place} is to be made of")]
    NoDebian { platform: Platform, place: String },
    #[error("the sysroot in {place} cannot be made: {source}")]
    Debian { place: String, source: Box<DebianError> },
    #[error("the sysroot `{path}` in {place} is not there: `{path}/usr/include` is no folder")]
    NoSysroot { place: String, path: PathBuf },
    #[error("there is no image `{name}`")]
    UnknownImage { name: String, known: Vec<String>, nearest: Option<String> },
    #[error("`--one-image` makes one image of all programs, and {place} begins those of the configuration")]
    OneImage { place: Place },
    #[error("two images are called `{name}`")]
    SameImage { name: String },
    #[error("`{reference}` names two images: {first} and {second}")]
    SameReference { reference: String, first: String, second: String },
    #[error("`{flag}`: {source}")]
    Annotation { flag: &'static str, source: Box<AnnotationError> },
    #[error("the annotation `{annotation}` is for the index, and a single manifest has none")]
    NoIndex { annotation: String },
    #[error("{source} ({place})")]
    Row { place: Place, source: ToolchainError },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the binary of `{program}` for {platform} does not exist: `{path}` in {place}")]
    NoPrebuilt { program: String, platform: Platform, place: String, path: PathBuf },
    #[error("`{program}` in {place} has no `{key}` for {platform}")]
    NoKeyFor { program: String, platform: Platform, place: String, key: &'static str },
    #[error("`output` in {place} names {number} places, and anyarch writes one")]
    SeveralOutputs { place: String, number: usize },
    #[error("`SOURCE_DATE_EPOCH` is `{text}`, which is no number of seconds")]
    Epoch { text: String },
    #[error("the program in {place} cannot be found: {source}")]
    OfTable { place: Place, source: Box<Error> },
    #[error("`created = \"commit\"` in {place} needs the time of the commit")]
    CommitTime {
        place: String,
        #[source]
        source: crate::config::git::GitError,
    },
    #[error("`{path}` cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` cannot be written")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` for {platform} is no program")]
    NoProgram {
        program: String,
        platform: Platform,
        #[source]
        source: Box<ElfError>,
    },
    #[error("`{program}` does not fit {platform}: {source}")]
    Unfit { program: String, platform: Platform, path: PathBuf, source: Box<Mismatch> },
    #[error("{}", describe_failures(.failed))]
    Compile { failed: Vec<String>, ways_out: Vec<String> },
    #[error("no program here has a toolchain called `{row}` ({origin}){}", known_rows(.known))]
    UnknownRow { row: String, origin: Origin, known: Vec<String> },
    #[error("`{key}` in {place} is for C, and `cgo = true` is not set")]
    WithoutCgo { key: &'static str, place: Place },
    #[error("the rows of `{file}` change which programs run ({}), and only you can allow that", changes.join(", "))]
    ProjectToolchain { file: PathBuf, changes: Vec<String> },
    #[error("`{}` is not there for {} after `{line}` ended well", path.display(), join(.platforms))]
    NotMade { platforms: Vec<Platform>, path: PathBuf, line: String, is_command: bool },
    #[error("`{program}` for {platform} is linked dynamically, and was to be static")]
    NotStatic { program: String, platform: Platform },
    #[error("`{path}` was installed as a link to `{}`, which is no place in the image", target.display())]
    InstalledLink { path: String, target: PathBuf },
    #[error("`{path}` was installed, and its name is no text")]
    InstalledName { path: PathBuf },
    #[error("`{path}` was installed, and is neither a file nor a link nor a folder")]
    InstalledKind { path: String },
    #[error("the image `{image}` has two things at `/{path}`: one from `{first}`, one from `{second}`")]
    InstalledTwice { image: String, path: String, first: String, second: String },
    #[error("`{program}` is installed at `{installed}`, and `destination` in {place} says `{destination}`")]
    InstalledElsewhere { program: String, installed: String, place: Place, destination: String },
    #[error(transparent)]
    C(Box<CProjectError>),
    #[error("interrupted")]
    Interrupted,
    #[error("a thread of anyarch ended early")]
    Thread,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error("the base `{text}` ({origin}) cannot be used")]
    BaseName {
        origin: Origin,
        text: String,
        #[source]
        source: BaseNameError,
    },
    #[error("the base `{base}` cannot be used for {platform}")]
    BaseImage {
        base: String,
        platform: Platform,
        #[source]
        source: ImageError,
    },
    #[error("{source} ({origin})")]
    Reference { origin: String, source: ReferenceError },
    #[error("{source} ({origin})")]
    Output { origin: Origin, source: OutputError },
    #[error("cannot push to `{target}`")]
    Push {
        target: String,
        #[source]
        source: Box<registry::Error>,
    },
    #[error("registries cannot be spoken to")]
    Client(#[source] Box<registry::Error>),
    #[error(transparent)]
    Go(#[from] GoError),
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error(transparent)]
    MissingLibrary(Box<MissingLibrary>),
    #[error(transparent)]
    CargoFlags(#[from] CargoConfigError),
    #[error("anyarch's own rows of crates cannot be read")]
    CrateRows(#[source] Box<toml::de::Error>),
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error("{}", describe_missing(.missing))]
    StillMissing { missing: Vec<String>, ways_out: Vec<String> },
    #[error(transparent)]
    Exec(ExecError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl From<MissingLibrary> for Error {
    fn from(error: MissingLibrary) -> Self {
        Self::MissingLibrary(Box::new(error))
    }
}

impl From<CProjectError> for Error {
    fn from(error: CProjectError) -> Self {
        Self::C(Box::new(error))
    }
}

impl From<ExecError> for Error {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Interrupted => Self::Interrupted,
            other => Self::Exec(other),
        }
    }
}

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

/// A text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    // The only failure is a NUL, which no path holds.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// What a flag takes, the file takes as a value.
fn in_file(key: &str, flag: &str, hint: &str) -> String {
    hint.strip_prefix(flag).map_or_else(|| hint.to_owned(), |value| format!("{key} = \"{value}\""))
}

fn join(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Each on a line of its own.
fn on_lines(remarks: &[String]) -> String {
    remarks.iter().flat_map(|remark| ["\n", remark]).collect()
}

fn known_rows(known: &[String]) -> String {
    if known.is_empty() { "; nothing is compiled here".to_owned() } else { String::new() }
}

fn describe_failures(failed: &[String]) -> String {
    match failed {
        [only] => format!("{only} was not built, so nothing was published"),
        several => format!("{} were not built, so nothing was published", several.join(" and ")),
    }
}

fn describe_missing(missing: &[String]) -> String {
    let is = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {is} missing", missing.join(", "))
}

impl Hint for Error {
    fn hints(&self) -> Vec<String> {
        match self {
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
            Self::NoDebian { platform, .. } => {
                vec![format!("platform.\"{platform}\".sysroot = \"sysroots/{}\"", platform.as_folder())]
            }
            Self::Debian { source, .. } => source.hints(),
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
            Self::Row { source, .. } => source.hints(),
            Self::File(error) => error.hints(),
            Self::KeyValue { flag, .. } => vec![format!("{flag} key=value")],
            Self::Language { known, .. } => known.iter().map(|name| format!("--language {name}")).collect(),
            Self::NoPlatforms => vec!["--platform linux/amd64,linux/arm64".to_owned()],
            Self::NoTag => vec!["-t registry.example.com/app:latest --push".to_owned()],
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
            Self::SingleManifest { .. } => vec!["--platform linux/amd64 --single-manifest".to_owned()],
            Self::Epoch { .. } => vec!["SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) anyarch build".to_owned()],
            Self::Unfit { source, .. } => source.hints(),
            Self::Compile { ways_out, .. } => ways_out.clone(),
            Self::UnknownRow { origin: Origin::File(_), known, .. } => {
                known.iter().map(|name| format!("toolchain_row = \"{name}\"")).collect()
            }
            Self::UnknownRow { known, .. } => known.iter().map(|name| format!("--toolchain-row {name}")).collect(),
            Self::WithoutCgo { .. } => vec!["cgo = true".to_owned()],
            Self::C(error) => error.hints(),
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
            Self::NoProgram { source, .. } => source.hints(),
            Self::ProjectToolchain { .. } => vec!["--allow-project-toolchains".to_owned()],
            Self::Config(error) => error.hints(),
            Self::Template(error) => error.hints(),
            Self::Platform(error) => error.hints(),
            Self::Base(error) => error.hints(),
            Self::BaseName { origin: Origin::File(_), source, .. } => {
                source.hints().iter().map(|hint| in_file("base", "--base ", hint)).collect()
            }
            Self::BaseName { source, .. } => source.hints(),
            Self::Reference { source, .. } => source.hints(),
            Self::Output { origin: Origin::File(_), source } => {
                source.hints().iter().map(|hint| in_file("output", "-o ", hint)).collect()
            }
            Self::Output { source, .. } => source.hints(),
            Self::BaseImage { source, .. } => source.hints(),
            Self::Push { source, .. } | Self::Client(source) => source.hints(),
            Self::Go(error) => error.hints(),
            Self::Cargo(error) => error.hints(),
            Self::MissingLibrary(error) => error.hints(),
            Self::CargoFlags(error) => error.hints(),
            Self::Toolchain(error) => error.hints(),
            Self::Plan(error) => error.hints(),
            Self::Host(error) => error.hints(),
            Self::Install(error) => error.hints(),
            Self::StillMissing { ways_out, .. } => ways_out.clone(),
            Self::Exec(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Image(error) => error.hints(),
            Self::Sink(error) => error.hints(),
            Self::CommitTime { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}
