//! Platforms x programs become a [`Plan`]: a value that says, before any compiler runs, which binary is made by
//! which call and on which base it goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::blob::Digest;
use crate::golang::{self, GoPackage, GoSettings};
use crate::hint::Hint;
use crate::image::{BaseImage, ImageSettings};
use crate::invocation::{Invocation, Joins};
use crate::layer_entry::Entry;
use crate::platform::{self, Platform};
use crate::toolchain::{Language, Request, Toolchain, ToolchainError, Toolchains};

/// What a program is built from.
#[derive(Clone, Debug)]
pub enum Source {
    /// a Go main package
    Go {
        /// the package
        package: GoPackage,
        /// how it is built
        settings: GoSettings,
    },
    /// a binary that something else built
    Prebuilt {
        /// the file
        path: PathBuf,
    },
}

impl Source {
    /// The language of the program.
    #[must_use]
    pub fn language(&self) -> Language {
        match self {
            Self::Go { .. } => Language::Go,
            Self::Prebuilt { .. } => Language::Prebuilt,
        }
    }

    fn request(&self, platform: Platform) -> Request {
        match self {
            Self::Go { .. } | Self::Prebuilt { .. } => {
                Request { language: self.language(), platform, libc: None, c: false, row: None }
            }
        }
    }

    /// What it is built from, in a word: a package or a path.
    fn origin(&self) -> String {
        match self {
            Self::Go { package, .. } => package.import_path.clone(),
            Self::Prebuilt { path } => path.display().to_string(),
        }
    }
}

/// A program for one platform.
#[derive(Clone, Debug)]
pub struct ProgramInput {
    /// its name in the image
    pub name: String,
    /// its path in the image, with the leading slash
    pub destination: String,
    /// what it is built from
    pub source: Source,
}

/// What a base has to offer.
#[derive(Debug)]
pub struct BaseOffer {
    /// the name the user gave it
    pub name: String,
    /// the digest of its index, or of its manifest when it has none; `None` for `scratch` and `static`
    pub digest: Option<Digest>,
    /// its images; `None` when it is made for any platform
    pub images: Option<Vec<BaseImage>>,
    /// makes the image of a platform where [`Self::images`] is `None`
    pub any: Option<BaseImage>,
}

impl BaseOffer {
    fn platforms(&self) -> Option<Vec<Platform>> {
        self.images.as_ref().map(|images| images.iter().map(|image| image.platform).collect())
    }
}

/// One platform of an image that was asked for.
#[derive(Clone, Debug)]
pub struct UnitInput {
    /// the platform
    pub platform: Platform,
    /// its programs, in the order of the configuration
    pub programs: Vec<ProgramInput>,
    /// its base
    pub base: Arc<BaseOffer>,
}

/// An image that was asked for.
#[derive(Clone, Debug)]
pub struct ImageInput {
    /// its name
    pub name: String,
    /// what its config says
    pub settings: ImageSettings,
    /// files beside its programs
    pub files: Vec<Entry>,
    /// its platforms, in the order that was asked for
    pub units: Vec<UnitInput>,
}

/// What holds for the whole plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// only the exact platform of a base will do
    pub strict_platform: bool,
    /// platforms that are missing are left out
    pub skip_missing: bool,
}

/// What will be done.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// the images
    pub images: Vec<ImagePlan>,
    /// the compiler calls
    pub jobs: Vec<Job>,
    /// platforms that were left out, with the reason
    pub skipped: Vec<Missing>,
}

/// An image of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct ImagePlan {
    /// its name
    pub name: String,
    /// what its config says
    pub settings: ImageSettings,
    /// files beside its programs
    #[serde(skip)]
    pub files: Vec<Entry>,
    /// its platforms
    pub units: Vec<Unit>,
}

/// One platform of an image.
#[derive(Clone, Debug, Serialize)]
pub struct Unit {
    /// the platform
    pub platform: Platform,
    /// the base it goes on
    pub base: BaseChoice,
    /// its programs
    pub programs: Vec<PlannedProgram>,
}

/// The base of a unit.
#[derive(Clone, Debug, Serialize)]
pub struct BaseChoice {
    /// the name the user gave it
    pub name: String,
    /// the platform of the base that was taken
    pub platform: Platform,
    /// the digest of its manifest
    pub digest: Option<Digest>,
    /// the digest of its index
    pub index: Option<Digest>,
    /// why another platform than the unit's own was taken
    pub note: Option<String>,
    /// the image itself
    #[serde(skip)]
    pub image: BaseImage,
}

/// A program of a unit.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedProgram {
    /// its name
    pub name: String,
    /// its path in the image
    pub destination: String,
    /// its language
    pub language: Language,
    /// the toolchain that compiles it
    pub toolchain: Option<ChosenToolchain>,
    /// where its binary is, or will be
    pub binary: PathBuf,
    /// the position in [`Plan::jobs`] of the call that makes it
    pub job: Option<usize>,
}

/// The row that compiles a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChosenToolchain {
    /// its name
    pub name: String,
    /// the file it stands in
    pub origin: String,
    /// the Rust target
    pub target: Option<String>,
    /// the libc
    pub libc: Option<String>,
    /// whether the binary will be static
    #[serde(rename = "static")]
    pub static_binary: bool,
}

/// One compiler call.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// the language
    pub language: Language,
    /// the platforms it compiles for
    pub platforms: Vec<Platform>,
    /// the call
    pub invocation: Invocation,
    /// the call as a line for a shell
    pub line: String,
    /// how it uses job tokens
    pub joins: Joins,
    /// the binaries it makes
    pub outputs: Vec<PathBuf>,
    /// what has to be on the machine
    #[serde(skip)]
    pub tools: Vec<crate::toolchain::Tool>,
    /// Rust targets that have to be on the machine
    #[serde(skip)]
    pub targets: Vec<String>,
}

/// A platform that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// the image
    pub image: String,
    /// the platform
    pub platform: Platform,
    /// why
    pub reason: String,
    /// ways out beside leaving it out
    #[serde(skip)]
    pub hints: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Platforms that a base or the toolchains lack.
    #[error("{}", describe(.missing))]
    Platforms {
        /// each with its reason
        missing: Vec<Missing>,
        /// the platforms that can be built
        left: Vec<Platform>,
    },
    /// The same platform twice.
    #[error("the platform {0} is asked for twice")]
    Twice(Platform),
    /// No platform at all.
    #[error("no platform is left to build `{image}` for")]
    Nothing {
        /// the image
        image: String,
    },
    /// Two programs of one name.
    #[error("two programs are called `{name}`: {first} and {second}")]
    SameName {
        /// the name
        name: String,
        /// what one is built from
        first: String,
        /// what the other is built from
        second: String,
    },
    /// Two things at one place in an image.
    #[error("the image `{image}` has two things at `{destination}`")]
    SameDestination {
        /// the image
        image: String,
        /// the path
        destination: String,
    },
    /// A toolchain that cannot be chosen.
    #[error(transparent)]
    Toolchain(ToolchainError),
}

fn describe(missing: &[Missing]) -> String {
    let lines: Vec<String> =
        missing.iter().map(|missing| format!("{}: {}", missing.platform, missing.reason)).collect();
    match lines.as_slice() {
        [only] => format!("cannot build for {only}"),
        several => format!("cannot build for {} platforms:\n  {}", several.len(), several.join("\n  ")),
    }
}

impl Hint for PlanError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Platforms { missing, left } => {
                let mut hints: Vec<String> = missing.iter().flat_map(|missing| missing.hints.clone()).collect();
                if !left.is_empty() {
                    let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                    hints.push(format!("--platform {}", left.join(",")));
                    hints.push("--skip-missing".to_owned());
                }
                hints.dedup();
                hints
            }
            Self::Twice(_) => vec!["name each platform once; linux/arm64 and linux/arm64/v8 are the same".to_owned()],
            Self::Nothing { .. } => vec!["--platform linux/amd64,linux/arm64".to_owned()],
            Self::SameName { name, .. } => {
                vec![format!("give one another name in anyarch.toml: [[program]] name = \"{name}-2\"")]
            }
            Self::SameDestination { .. } => vec!["set `destination` in anyarch.toml".to_owned()],
            Self::Toolchain(error) => error.hints(),
        }
    }
}

/// Makes the plan. `build` is the folder where compilers put what they make.
///
/// # Errors
/// When a platform is missing and may not be left out, nothing is left, or names collide.
pub fn make(
    toolchains: &Toolchains,
    build: &Path,
    images: Vec<ImageInput>,
    options: Options,
) -> Result<Plan, PlanError> {
    let mut planned = Planner { toolchains, build, options, missing: Vec::new(), pending: Vec::new() };
    let mut result = Vec::with_capacity(images.len());
    for (position, image) in images.into_iter().enumerate() {
        result.push(planned.image(position, image)?);
    }
    let left = result.iter().flat_map(|image| &image.units).map(|unit| unit.platform).fold(
        Vec::new(),
        |mut left, platform| {
            if !left.contains(&platform) {
                left.push(platform);
            }
            left
        },
    );
    if !planned.missing.is_empty() && !options.skip_missing {
        return Err(PlanError::Platforms { missing: planned.missing, left });
    }
    if let Some(image) = result.iter().find(|image| image.units.is_empty()) {
        return Err(PlanError::Nothing { image: image.name.clone() });
    }
    let Planner { missing, pending, .. } = planned;
    let mut plan = Plan { images: result, jobs: Vec::new(), skipped: missing };
    schedule(&mut plan, &pending, build)?;
    Ok(plan)
}

/// A program that some job has to make.
struct Pending {
    image: usize,
    unit: usize,
    program: usize,
    platform: Platform,
    name: String,
    source: Source,
    toolchain: Toolchain,
}

struct Planner<'input> {
    toolchains: &'input Toolchains,
    build: &'input Path,
    options: Options,
    missing: Vec<Missing>,
    pending: Vec<Pending>,
}

impl Planner<'_> {
    fn image(&mut self, position: usize, image: ImageInput) -> Result<ImagePlan, PlanError> {
        let mut units: Vec<Unit> = Vec::with_capacity(image.units.len());
        for input in &image.units {
            if units.iter().any(|unit| unit.platform == input.platform) {
                return Err(PlanError::Twice(input.platform));
            }
            distinct_destinations(&image, input)?;
            match self.unit(&image.name, position, units.len(), input)? {
                Ok(unit) => units.push(unit),
                Err(missing) => self.missing.push(missing),
            }
        }
        Ok(ImagePlan { name: image.name, settings: image.settings, files: image.files, units })
    }

    fn unit(
        &mut self,
        image_name: &str,
        image: usize,
        unit: usize,
        input: &UnitInput,
    ) -> Result<Result<Unit, Missing>, PlanError> {
        let platform = input.platform;
        let missing =
            |reason: String, hints: Vec<String>| Missing { image: image_name.to_owned(), platform, reason, hints };
        let mut programs = Vec::with_capacity(input.programs.len());
        let mut pending = Vec::new();
        let mut static_binaries = true;
        for (position, program) in input.programs.iter().enumerate() {
            let mut planned = PlannedProgram {
                name: program.name.clone(),
                destination: program.destination.clone(),
                language: program.source.language(),
                toolchain: None,
                binary: PathBuf::new(),
                job: None,
            };
            if let Source::Prebuilt { path } = &program.source {
                // What it needs is only known once it is read, so nothing is taken for granted.
                static_binaries = false;
                planned.binary.clone_from(path);
                programs.push(planned);
                continue;
            }
            let toolchain = match self.toolchains.select(&program.source.request(platform)) {
                Ok(toolchain) => toolchain,
                Err(error @ (ToolchainError::NoPlatform { .. } | ToolchainError::NoRow { .. })) => {
                    return Ok(Err(missing(error.to_string(), error.hints())));
                }
                Err(error) => return Err(PlanError::Toolchain(error)),
            };
            static_binaries &= toolchain.static_binary;
            planned.toolchain = Some(chosen(&toolchain));
            planned.binary = self.build.join(platform.as_folder()).join(&program.name);
            programs.push(planned);
            pending.push(Pending {
                image,
                unit,
                program: position,
                platform,
                name: program.name.clone(),
                source: program.source.clone(),
                toolchain,
            });
        }
        match choose_base(&input.base, platform, static_binaries, self.options.strict_platform) {
            Ok(base) => {
                self.pending.extend(pending);
                Ok(Ok(Unit { platform, base, programs }))
            }
            Err(reason) => Ok(Err(missing(reason, Vec::new()))),
        }
    }
}

fn chosen(toolchain: &Toolchain) -> ChosenToolchain {
    ChosenToolchain {
        name: toolchain.name.clone(),
        origin: toolchain.origin.clone(),
        target: toolchain.target.clone(),
        libc: toolchain.libc.as_ref().map(ToString::to_string),
        static_binary: toolchain.static_binary,
    }
}

fn distinct_destinations(image: &ImageInput, unit: &UnitInput) -> Result<(), PlanError> {
    let files = image.files.iter().map(|entry| format!("/{}", entry.path));
    let mut seen = std::collections::BTreeSet::new();
    for destination in files.chain(unit.programs.iter().map(|program| program.destination.clone())) {
        if !seen.insert(destination.clone()) {
            return Err(PlanError::SameDestination { image: image.name.clone(), destination });
        }
    }
    Ok(())
}

fn choose_base(offer: &BaseOffer, wanted: Platform, static_binaries: bool, strict: bool) -> Result<BaseChoice, String> {
    let choice = |platform, image: BaseImage, note| BaseChoice {
        name: offer.name.clone(),
        platform,
        digest: image.manifest,
        index: offer.digest,
        note,
        image,
    };
    if let Some(any) = &offer.any {
        return Ok(choice(wanted, BaseImage { platform: wanted, ..any.clone() }, None));
    }
    let offered = offer.platforms().unwrap_or_default();
    let listed = offered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let found = platform::select(wanted, &offered, static_binaries, strict);
    let image = found.and_then(|found| offer.images.iter().flatten().find(|image| image.platform == found));
    let image = image.ok_or_else(|| format!("the base `{}` lacks it; it offers {listed}", offer.name))?;
    let note = (image.platform != wanted).then(|| {
        format!("the base `{}` has no {wanted}; its {} is the nearest lower variant", offer.name, image.platform)
    });
    Ok(choice(image.platform, image.clone(), note))
}

/// Groups pending programs into compiler calls and enters them into the plan.
fn schedule(plan: &mut Plan, pending: &[Pending], build: &Path) -> Result<(), PlanError> {
    distinct_names(pending)?;
    let mut by_platform: BTreeMap<Platform, Vec<&Pending>> = BTreeMap::new();
    let mut order = Vec::new();
    for program in pending.iter().filter(|program| matches!(program.source, Source::Go { .. })) {
        if !by_platform.contains_key(&program.platform) {
            order.push(program.platform);
        }
        by_platform.entry(program.platform).or_default().push(program);
    }
    for platform in order {
        schedule_go(plan, platform, &by_platform[&platform], build);
    }
    Ok(())
}

fn schedule_go(plan: &mut Plan, platform: Platform, programs: &[&Pending], build: &Path) {
    // The same program in two images is compiled once.
    let mut distinct: Vec<(&str, &GoPackage, &GoSettings, &Toolchain)> = Vec::new();
    for program in programs {
        if let Source::Go { package, settings } = &program.source {
            if !distinct.iter().any(|other| other.0 == program.name) {
                distinct.push((&program.name, package, settings, &program.toolchain));
            }
        }
    }
    let named: Vec<_> = distinct.iter().map(|(name, package, settings, _)| (*name, *package, *settings)).collect();
    let folder = build.join(platform.as_folder());
    for batch in golang::batches(&named) {
        let packages: Vec<&GoPackage> = batch.iter().map(|position| named[*position].1).collect();
        let output = match batch.as_slice() {
            [only] => folder.join(named[*only].0).display().to_string(),
            _ => format!("{}/", folder.display()),
        };
        let (_, _, settings, toolchain) = distinct[batch[0]];
        let invocation = golang::build_invocation(&packages, settings, &toolchain.env, &output);
        let names: Vec<&str> = batch.iter().map(|position| named[*position].0).collect();
        let job = plan.jobs.len();
        for program in programs.iter().filter(|program| names.contains(&program.name.as_str())) {
            plan.images[program.image].units[program.unit].programs[program.program].job = Some(job);
        }
        plan.jobs.push(Job {
            language: Language::Go,
            platforms: vec![platform],
            line: invocation.to_line(),
            invocation,
            joins: Joins::AtStart,
            outputs: names.iter().map(|name| folder.join(name)).collect(),
            tools: toolchain.tools.clone(),
            targets: Vec::new(),
        });
    }
}

/// Binaries are found by platform and name, so one name may not stand for two programs.
fn distinct_names(pending: &[Pending]) -> Result<(), PlanError> {
    let mut seen: BTreeMap<(Platform, &str), &Pending> = BTreeMap::new();
    for program in pending {
        let Some(first) = seen.insert((program.platform, &program.name), program) else { continue };
        let same = match (&first.source, &program.source) {
            (Source::Go { package, settings }, Source::Go { package: other, settings: theirs }) => {
                package == other && settings == theirs
            }
            _ => false,
        };
        if !same {
            let (first, second) = (first.source.origin(), program.source.origin());
            return Err(PlanError::SameName { name: program.name.clone(), first, second });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    fn program(name: &str) -> ProgramInput {
        let package = GoPackage {
            import_path: format!("m/cmd/{name}"),
            directory: format!("/src/cmd/{name}").into(),
            module: "m".into(),
            module_directory: "/src".into(),
        };
        ProgramInput {
            name: name.into(),
            destination: format!("/usr/local/bin/{name}"),
            source: Source::Go { package, settings: GoSettings::default() },
        }
    }

    fn offer(platforms: &[&str]) -> Arc<BaseOffer> {
        let images = platforms.iter().map(|text| BaseImage::scratch(platform(text))).collect();
        Arc::new(BaseOffer { name: "debian:12".into(), digest: None, images: Some(images), any: None })
    }

    fn image(name: &str, platforms: &[&str], base: &Arc<BaseOffer>, programs: &[&str]) -> ImageInput {
        let units = platforms.iter().map(|text| UnitInput {
            platform: platform(text),
            programs: programs.iter().map(|name| program(name)).collect(),
            base: base.clone(),
        });
        ImageInput { name: name.into(), settings: ImageSettings::default(), files: Vec::new(), units: units.collect() }
    }

    fn make(images: Vec<ImageInput>, options: Options) -> Result<Plan, PlanError> {
        super::make(&Toolchains::built_in().unwrap(), Path::new("/src/.anyarch/build"), images, options)
    }

    #[test]
    fn one_call_a_platform_makes_the_programs_of_all_images() {
        let base = offer(&["linux/amd64", "linux/arm64"]);
        let both = ["linux/amd64", "linux/arm64"];
        let plan = make(
            vec![image("app", &both, &base, &["app"]), image("tool", &both, &base, &["tool"])],
            Options::default(),
        )
        .unwrap();
        assert_eq!(plan.jobs.len(), 2);
        assert_eq!(
            plan.jobs[1].line,
            "CGO_ENABLED=0 GOARCH=arm64 GOARM64=v8.0 GOOS=linux go build -trimpath -o /src/.anyarch/build/linux_arm64/ ./cmd/app ./cmd/tool"
        );
        let jobs: Vec<_> = plan.images.iter().flat_map(|image| &image.units).map(|unit| unit.programs[0].job).collect();
        assert_eq!(jobs, [Some(0), Some(1), Some(0), Some(1)]);
        assert_eq!(plan.images[1].units[1].programs[0].binary, Path::new("/src/.anyarch/build/linux_arm64/tool"));
    }

    #[test]
    fn platforms_are_a_contract() {
        let base = offer(&["linux/amd64", "linux/arm64"]);
        let wanted = ["linux/amd64", "linux/riscv64", "windows/amd64"];
        let error = make(vec![image("app", &wanted, &base, &["app"])], Options::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot build for 2 platforms:\n  linux/riscv64: the base `debian:12` lacks it; it offers linux/amd64, linux/arm64\n  windows/amd64: go has no toolchain for windows/amd64"
        );
        assert_eq!(error.hints().last().unwrap(), "--skip-missing");
        assert!(error.hints().contains(&"--platform linux/amd64".to_owned()));
        let plan =
            make(vec![image("app", &wanted, &base, &["app"])], Options { skip_missing: true, ..Options::default() })
                .unwrap();
        assert_eq!(plan.images[0].units.len(), 1);
        assert_eq!(plan.skipped.len(), 2);
        let nothing = image("app", &["linux/riscv64"], &base, &["app"]);
        let error = make(vec![nothing], Options { skip_missing: true, ..Options::default() }).unwrap_err();
        assert_eq!(error.to_string(), "no platform is left to build `app` for");
    }

    #[test]
    fn a_lower_variant_serves_and_is_said() {
        let base = offer(&["linux/arm/v6"]);
        let plan = make(vec![image("app", &["linux/arm/v7"], &base, &["app"])], Options::default()).unwrap();
        let choice = &plan.images[0].units[0].base;
        assert_eq!(
            choice.note.as_deref(),
            Some("the base `debian:12` has no linux/arm/v7; its linux/arm/v6 is the nearest lower variant")
        );
        let strict = Options { strict_platform: true, ..Options::default() };
        assert!(make(vec![image("app", &["linux/arm/v7"], &base, &["app"])], strict).is_err());
    }

    #[test]
    fn names_do_not_collide_silently() {
        let base = offer(&["linux/amd64"]);
        let twice = image("app", &["linux/amd64", "linux/x86_64"], &base, &["app"]);
        assert_eq!(
            make(vec![twice], Options::default()).unwrap_err().to_string(),
            "the platform linux/amd64 is asked for twice"
        );
        let mut same = image("app", &["linux/amd64"], &base, &["app", "tool"]);
        same.units[0].programs[1].destination = "/usr/local/bin/app".into();
        assert_eq!(
            make(vec![same], Options::default()).unwrap_err().to_string(),
            "the image `app` has two things at `/usr/local/bin/app`"
        );
        let mut renamed = image("app", &["linux/amd64"], &base, &["app", "tool"]);
        renamed.units[0].programs[1].name = "app".into();
        assert_eq!(
            make(vec![renamed], Options::default()).unwrap_err().to_string(),
            "two programs are called `app`: m/cmd/app and m/cmd/tool"
        );
    }
}
