//! Everything that can end a run, with the ways out.

mod hints;

use std::io;
use std::path::PathBuf;

use crate::annotation::AnnotationError;
use crate::base::{BaseError, Subject};
use crate::base_name::BaseNameError;
use crate::blob::Digest;
use crate::cargo::{CargoError, MissingLibrary};
use crate::cargo_flags::CargoConfigError;
use crate::config::template::TemplateError;
use crate::config::{ConfigError, Origin, Place};
use crate::debian_archive::DebianError;
use crate::elf::{ElfError, Mismatch};
use crate::exec::ExecError;
use crate::formatted::FormatError;
use crate::full_disk;
use crate::golang::GoError;
use crate::host::HostError;
use crate::image::ImageError;
use crate::index::IndexError;
use crate::install::InstallError;
use crate::layer::LayerError;
use crate::listing::ListingError;
use crate::manifest_tool::SpecError;
use crate::output_spec::OutputError;
use crate::part::PartError;
use crate::plan::PlanError;
use crate::platform::{Platform, PlatformError};
use crate::quantity::QuantityError;
use crate::reference::ReferenceError;
use crate::registry;
use crate::registry_map::RegistryNameError;
use crate::serve::ServeError;
use crate::shard::Shard;
use crate::sink::SinkError;
use crate::store::StoreError;
use crate::toolchain::ToolchainError;
use crate::tree::TooMany;

use super::c::CProjectError;
use super::files::FileError;
use super::smoke::{FailedStart, SandboxError};

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
    #[error("`{image}` is no name for docker, and the image has no other")]
    NoDockerName { image: String },
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
    #[error("the sysroot `{path}` in {place} is not for {platform}: it is laid out for {}", in_backticks(.found))]
    ForeignSysroot { place: String, path: PathBuf, platform: Platform, found: Vec<String> },
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
    #[error("`{text}` ({flag}) has a tag, and a push by digest moves none")]
    TagByDigest { flag: &'static str, text: String, named: String },
    #[error("the outputs `{first}` and `{second}` have different annotations, and one build makes one image")]
    OutputsDiffer { first: String, second: String },
    #[error("the outputs `{first}` and `{second}` have one place")]
    SamePlace { first: String, second: String },
    #[error("`--json` and an output on stdout exclude each other")]
    JsonOnStdout,
    #[error("an archive is not written to a terminal")]
    Terminal,
    #[error("docker and podman take one platform, and `{image}` has {platforms}")]
    SeveralPlatforms { image: String, platforms: usize, host: String },
    #[error("`{variable}` cannot be used: {source}")]
    CacheLimit { variable: &'static str, source: QuantityError },
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
    #[error("{}", full_disk::cannot_be_written(path, source))]
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
    #[error(
        "`/{path}` was installed and would delete files of the base: names that begin with `.wh.` mean that in a layer"
    )]
    InstalledWhiteout { path: String },
    #[error("the image `{image}` has two things at `/{path}`: one from `{first}`, one from `{second}`")]
    InstalledTwice { image: String, path: String, first: String, second: String },
    #[error("`{program}` is installed at `{installed}`, and `destination` in {place} says `{destination}`")]
    InstalledElsewhere { program: String, installed: String, place: Place, destination: String },
    #[error(transparent)]
    C(Box<CProjectError>),
    #[error("`--offline` asks no registry, and not everything is in the cache:{}", on_lines(.missing))]
    NotCached { missing: Vec<String>, again: String },
    #[error("`--offline` asks no registry, and a copy to one does")]
    OfflineCopy,
    #[error("`{text}` is no place for copies of bases: {source}")]
    MirrorName { text: String, source: RegistryNameError },
    #[error("`{text}` is no name of a repository, and a base would be copied to it")]
    MirrorPlace { text: String },
    #[error("`{path}` is there already and is no {}", if *kind == "oci" { "OCI layout" } else { "file" })]
    Taken { path: PathBuf, kind: &'static str },
    #[error("`{image}` has several platforms, and an archive for docker takes one")]
    OnePlatform { image: String, platforms: Vec<Platform> },
    #[error("`{text}` is an archive of one image, and an index goes to a registry or into a layout")]
    ArchiveName { text: String },
    #[error("`{text}` could be a layout or an archive, and the place of a copy says which")]
    BarePath { text: String },
    #[error(
        "some platforms of `{image}` are copied in an index of their own with a digest of its own, and `--preserve-digests` excludes that"
    )]
    OtherIndex { image: String, entries: usize },
    #[error("what is copied is {actual}, and the place of the copy is called {expected}")]
    OtherDigest { expected: Digest, actual: Digest },
    #[error("`--offline` and a push exclude each other: nothing was compiled")]
    OfflinePush,
    #[error("{}, and `--offline` downloads nothing", describe_missing(.missing))]
    OfflineInstall { missing: Vec<String> },
    #[error("interrupted")]
    Interrupted,
    #[error("a thread of anyarch ended early")]
    Thread,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the shard {shard} is a part of the image, and a push would move the tags to it")]
    TagsOfPart { shard: Shard },
    #[error("the results are of {} images, and each has names of its own: {}", images.len(), images.join(", "))]
    TagsOfSeveral { images: Vec<String> },
    #[error("the results of `{image}` name no tag")]
    UntaggedResults { image: String },
    #[error("`--results` says where the result of a push by digest goes, and nothing is pushed by digest")]
    NoResult,
    #[error(transparent)]
    Part(#[from] PartError),
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
    #[error("`{text}` names no image: {source}")]
    ImageName { text: String, source: BaseNameError },
    #[error("the image `{image}` has no {platform}")]
    NotInImage { image: String, platform: Platform, offered: Vec<Platform> },
    #[error("the image `{image}` holds several manifests, and the bytes of one can be had at a time")]
    SeveralDocuments { image: String, platforms: Vec<Platform> },
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("an index is made of images, and none is named")]
    NoSources,
    #[error("an index needs a name to be published by, and there is none")]
    NoIndexName,
    #[error("`--append` adds to what `-t` names, and that is left out")]
    AppendToNothing,
    #[error("the annotation `{annotation}` is for manifests, which stay as they are")]
    ManifestAnnotation { annotation: String, name: String },
    #[error("{place} cannot be read: {source}")]
    Spec { place: String, source: SpecError },
    #[error(transparent)]
    Index(IndexError),
    #[error("the layer {layer} of the {of} {source}")]
    Listing { of: Subject, layer: Digest, source: Box<ListingError> },
    #[error("the image `{image}` cannot be judged")]
    TooManyFiles {
        image: String,
        #[source]
        source: TooMany,
    },
    #[error("`{image}` does not start on {}", join(.platforms))]
    DoesNotStart { image: String, platforms: Vec<Platform> },
    #[error("`--smoke {}` cannot be read as a shell would: a quote is not closed", quoted(text))]
    SmokeArguments { text: String },
    #[error("the layer {layer} cannot be read")]
    SmokeRead {
        layer: Digest,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("{}, so nothing was published", describe_starts(.failed))]
    Smoke { failed: Vec<FailedStart> },
    #[error("{}, so nothing was published", describe_unstartable(.images))]
    WouldNotStart { images: Vec<(String, Vec<Platform>)>, may_be_forced: bool },
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
    Output { origin: Origin, source: Box<OutputError> },
    #[error("cannot push to `{target}`")]
    Push {
        target: String,
        #[source]
        source: Box<registry::Error>,
    },
    #[error("registries cannot be spoken to")]
    Client(#[source] Box<registry::Error>),
    #[error(transparent)]
    Login(#[from] registry::LoginError),
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
    #[error(transparent)]
    Serve(#[from] ServeError),
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

pub(super) use crate::invocation::quote as quoted;

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

fn describe_starts(failed: &[FailedStart]) -> String {
    let each = failed.iter().map(|start| format!("`{}` {} on {}", start.command, start.ending, start.platform));
    each.collect::<Vec<_>>().join(" and ")
}

fn describe_unstartable(images: &[(String, Vec<Platform>)]) -> String {
    let each = images.iter().map(|(image, platforms)| format!("`{image}` would not start on {}", join(platforms)));
    each.collect::<Vec<_>>().join(", and ")
}

fn describe_missing(missing: &[String]) -> String {
    let is = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {is} missing", missing.join(", "))
}

fn in_backticks(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
