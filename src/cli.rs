//! The command line. Doc comments are the help.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

mod copy;
mod index;
mod inspect;
mod load;
mod login;
mod serve;

use crate::quantity;
use crate::shard::Shard;
use crate::store::Kind;
use crate::verify::Policy;

pub use copy::Copy;
pub use index::{Index, IndexCreate};
pub use inspect::Inspect;
pub use load::Load;
pub use login::{Login, Logout, Unseen};
pub use serve::Serve;

/// Build a Go, Rust or C project into a multi-arch container image: no Docker daemon, no QEMU, no Dockerfile
///
/// Every platform's binary is compiled natively on this machine, checked against its platform, layered on that
/// platform's own base image, and published as one OCI index.
#[derive(Debug, Parser)]
#[command(name = "anyarch", version, max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented anyarch.toml for the project that is found
    Init(Init),
    /// Compile for every platform and write or push one OCI index
    Build(Build),
    /// Show what build would do, before any compiler runs
    Plan(Plan),
    /// Tell of any image whether it would start, platform by platform, without running it; exit code 3 when one would not
    Verify(Verify),
    /// Show what an image is made of: its platforms, what is said about them, where it comes from
    Inspect(Inspect),
    /// Load one platform of an image that exists into the running Docker or podman
    Load(Load),
    /// Serve image layouts as a registry on this machine, for docker and podman to pull from; read only
    Serve(Serve),
    /// Put images that exist under one index
    #[command(subcommand)]
    Index(Index),
    /// Copy an image with all its platforms, as it is: between registries, layouts and archives
    Copy(Copy),
    /// List every platform, what each compiler calls it, and what this machine has
    Platforms(Platforms),
    /// Look for compilers, linkers and Rust targets, or install those that need no root
    #[command(subcommand)]
    Toolchain(Toolchain),
    /// See what the cache folder holds, or remove some of it
    #[command(subcommand)]
    Cache(Cache),
    /// Log in to a registry, for this program, docker, podman and all others that read docker's file
    Login(Login),
    /// Forget the login of a registry
    Logout(Logout),
}

/// `anyarch init`
#[derive(Debug, Args)]
pub struct Init {
    /// A folder of the project; the folder you are in when left out
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
}

/// `anyarch build`
#[derive(Debug, Args)]
pub struct Build {
    /// What to build
    #[command(flatten)]
    pub request: Request,
    /// What to do with the result
    #[command(flatten)]
    pub destination: Destination,
    /// Whether what was built is started
    #[command(flatten)]
    pub smoke: Smoke,
    /// Write the digest of the published image to FILE
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write what buildx writes about the result, as JSON, to FILE: containerimage.digest, image.name, ...
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// What to do when an image would not start on a platform: `strict` publishes nothing, `warn` says so and publishes,
    /// `off` does not look; strict when left out
    #[arg(long, value_name = "MODE", value_parser = policy)]
    pub verify: Option<Policy>,
    /// With --push-by-digest, write what this machine made to DIR; .anyarch/results when left out
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// Show the output of compilers that succeed, too
    #[arg(short, long)]
    pub verbose: bool,
}

/// `anyarch plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// What to build
    #[command(flatten)]
    pub request: Request,
    /// What to do with the result
    #[command(flatten)]
    pub destination: Destination,
    /// Read the bases whose libc decides how a program is built (`libc = "auto"`), which fetches their layers
    #[arg(long)]
    pub resolve: bool,
}

/// `anyarch verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// The image: a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or a path
    /// such as image.tar
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Look at these platforms alone, with commas between; all that the image has when left out
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Speak http, or https without verification, to this registry
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// Ask no registry: what is not in the cache is an error
    #[arg(long)]
    pub offline: bool,
    /// Whether the programs are started
    #[command(flatten)]
    pub smoke: Smoke,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// Whether programs are started.
#[derive(Debug, Args)]
pub struct Smoke {
    /// Start each image's program once with ARGS, which a shell's quotes keep together, in the image's own files, as nobody
    /// of this machine and without a network, on each platform that this machine or qemu-user runs; exit code 3 when one
    /// does not end with 0
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub smoke: Option<String>,
    /// How long such a program may take (10s, 2min)
    #[arg(long, value_name = "TIME", value_parser = quantity::time, default_value = "30s", requires = "smoke")]
    pub smoke_timeout: Duration,
}

/// `anyarch platforms`
#[derive(Debug, Args)]
pub struct Platforms {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Lay the toolchain rows of FILE over the built-in ones
    #[arg(long, value_name = "FILE")]
    pub toolchain: Vec<PathBuf>,
}

/// `anyarch toolchain`
#[derive(Debug, Subcommand)]
pub enum Toolchain {
    /// List what is needed, where it was found, and the line that installs what is missing; exit code 5 when something is
    Check(ToolchainCheck),
    /// Install what is missing and needs no root: zig, Go, Rust targets; the rest is named with its line
    Install(ToolchainInstall),
}

/// `anyarch toolchain check`
#[derive(Debug, Args)]
pub struct ToolchainCheck {
    /// For what
    #[command(flatten)]
    pub scope: ToolchainScope,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `anyarch toolchain install`
#[derive(Debug, Args)]
pub struct ToolchainInstall {
    /// For what
    #[command(flatten)]
    pub scope: ToolchainScope,
}

/// `anyarch cache`
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// Print the folder
    Path,
    /// List what is in it, the largest first
    Ls(CacheList),
    /// Bring it within its size limit, and remove what killed runs left; waits until no build uses it
    Prune(CachePrune),
}

/// `anyarch cache ls`
#[derive(Debug, Args)]
pub struct CacheList {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `anyarch cache prune`
#[derive(Debug, Args)]
pub struct CachePrune {
    /// Keep at most SIZE (500MB, 20GB, 1.5GiB) of what builds stored
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub max_size: Option<u64>,
    /// Remove what builds stored and none used for AGE (12h, 7d, 2w)
    #[arg(long, value_name = "AGE", value_parser = quantity::time)]
    pub older_than: Option<Duration>,
    /// Remove everything of the kind, as `anyarch cache ls` names it: toolchain, sysroot, base-layer, ...
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind, conflicts_with_all = ["max_size", "older_than"])]
    pub kind: Vec<Kind>,
    /// Remove everything: compilers, packages and sysroots, too
    #[arg(long, conflicts_with_all = ["max_size", "older_than", "kind"])]
    pub all: bool,
    /// Say what would go, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.map(Kind::name).join(", ");
    Kind::from_name(text).ok_or_else(|| format!("there is {known}"))
}

fn policy(text: &str) -> Result<Policy, String> {
    let known = Policy::ALL.map(Policy::name).join(", ");
    Policy::from_name(text).ok_or_else(|| format!("there is {known}"))
}

/// What toolchains are for.
#[derive(Debug, Default, Args)]
pub struct ToolchainScope {
    /// Platforms with commas between, `all` or `host`; those of the project in this folder when left out, and without a
    /// project every default platform
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Everything for programs in this language, with and without C, whatever the project in this folder needs
    #[arg(long, value_name = "LANGUAGE", value_delimiter = ',')]
    pub language: Vec<String>,
    /// Lay the toolchain rows of FILE over the built-in ones
    #[arg(long, value_name = "FILE")]
    pub toolchain: Vec<PathBuf>,
    /// Let the rows of the project's anyarch.toml change which programs run
    #[arg(long)]
    pub allow_project_toolchains: bool,
}

/// What to build.
#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Request {
    /// A project, a package in it, or Go's ./cmd/... ; the folder you are in when left out
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Platforms with commas between, as linux/arm64 or linux/arm/v7; `all` that the base has, `host` this machine's;
    /// linux/amd64,linux/arm64 when left out
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// The base image: a reference, oci:DIR, `scratch`, or `static` (certificates, time zones, a user), which it is when
    /// left out
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Build the binary B of a Rust package
    #[arg(long, value_name = "B")]
    pub bin: Vec<String>,
    /// Build every binary of a Rust package
    #[arg(long, conflicts_with = "bin")]
    pub bins: bool,
    /// Build the package P of a Rust workspace
    #[arg(long, value_name = "P")]
    pub package: Option<String>,
    /// Build the part of one of several machines: the second of three makes every third platform, beginning with the second
    #[arg(long, value_name = "NUMBER/COUNT")]
    pub shard: Option<Shard>,
    /// Build only the image NAME: an `[[image]]` of anyarch.toml, or one of several programs
    #[arg(long, value_name = "NAME")]
    pub image: Vec<String>,
    /// Put all programs into one image
    #[arg(long)]
    pub one_image: bool,
    /// Set a label of the image
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
    /// Set an annotation of the index and of its manifests; index:K=V or manifest:K=V of one of both,
    /// manifest[linux/arm64]:K=V of one platform, manifest-descriptor:K=V of the entries of the index
    #[arg(long, value_name = "K=V")]
    pub annotation: Vec<String>,
    /// How many compiler processes may work at once; the number of cores when left out
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Leave out platforms that the base or the toolchains lack, and say which
    #[arg(long)]
    pub skip_missing: bool,
    /// Take only exactly the platform of a base, never a lower variant such as arm/v6 for arm/v7
    #[arg(long)]
    pub strict_platform: bool,
    /// Take a base with build triggers (ONBUILD), and leave the triggers out
    #[arg(long)]
    pub ignore_onbuild: bool,
    /// Get the compilers and Rust targets that are missing, where that needs no root
    #[arg(long)]
    pub install_missing: bool,
    /// Lay the toolchain rows of FILE over the built-in ones
    #[arg(long, value_name = "FILE")]
    pub toolchain: Vec<PathBuf>,
    /// Compile by the toolchain row NAME (`zig`, `gcc`) whatever has a row of that name: C, cgo, Rust
    #[arg(long, value_name = "NAME")]
    pub toolchain_row: Option<String>,
    /// Let the rows of the project's anyarch.toml change which programs run
    #[arg(long)]
    pub allow_project_toolchains: bool,
    /// Ask no registry and download nothing: bases come from the cache, or it is an error that says what is missing
    #[arg(long)]
    pub offline: bool,
    /// Speak http, or https without verification, to this registry
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// What to do with the result.
#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Destination {
    /// Name the image, as registry.example.com/app:1.0; several images are named registry.example.com/app/NAME:1.0
    #[arg(short, long = "tag", value_name = "REF")]
    pub tag: Vec<String>,
    /// Push to the registries of the tags
    #[arg(long)]
    pub push: bool,
    /// Push to the repositories of the tags by digest alone, and move no tag: `anyarch index create --from-results` does
    #[arg(long, conflicts_with = "push")]
    pub push_by_digest: bool,
    /// Load the image into the running Docker or podman: that of this machine's platform, or of `--platform`
    #[arg(long)]
    pub load: bool,
    /// How many requests may be open at once at each registry; 4 when left out
    #[arg(long, value_name = "N")]
    pub push_jobs: Option<NonZeroUsize>,
    /// Where the image goes, any number of times, as buildx has it: type=oci,dest=FILE[,tar=false], type=docker[,dest=FILE],
    /// type=registry, and what was added to the base: type=local,dest=DIR, type=tar,dest=FILE; `-` is stdout;
    /// the layout .anyarch/out/NAME when left out
    #[arg(short, long, value_name = "SPEC")]
    pub output: Vec<String>,
    /// Publish the manifest itself, without an index; for one platform
    #[arg(long)]
    pub single_manifest: bool,
}
