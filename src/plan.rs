//! Platforms x programs become a [`Plan`]: a value that says, before any compiler runs, which binary is made by
//! which call and on which base it goes.

mod alone;
mod error;
mod libc;
mod make;
mod rust_program;
mod schedule;
#[cfg(test)]
mod tests;
mod undecided;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::blob::Digest;
use crate::c_program::{CProgram, Found, Setup};
use crate::cargo::Machine;
use crate::command_program::CommandProgram;
use crate::golang::{GoPackage, GoSettings};
use crate::image::{BaseImage, ImageSettings};
use crate::invocation::Step;
use crate::layer_entry::Entry;
use crate::platform::Platform;
use crate::toolchain::{Language, Request};

pub use error::PlanError;
pub use libc::{AutoLibc, Ground, Offer, PlannedLibc, Told, UnfitLibc};
pub use make::make;
pub use rust_program::RustProgram;
pub use undecided::Undecided;

/// What a program is built from.
#[derive(Clone, Debug)]
pub enum Source {
    /// a Go main package
    Go {
        /// the package
        package: GoPackage,
        /// how it is built
        settings: Box<GoSettings>,
    },
    /// a binary of a Cargo package
    Rust(Box<RustProgram>),
    /// a C or C++ program
    C(Box<CProgram>),
    /// what a command makes
    Command(Box<CommandProgram>),
    /// a binary that something else built
    Prebuilt {
        /// the file
        path: PathBuf,
    },
}

/// What the machine and the environment add to a plan.
pub struct Context<'context> {
    /// what cargo has to be told of this machine, when there is a Rust program
    pub machine: Option<Machine>,
    /// the environment that children inherit
    pub environment: &'context dyn Fn(&str) -> Option<String>,
    /// how a tool is called on this machine
    pub found: Found<'context>,
}

impl Source {
    /// The language of the program.
    #[must_use]
    pub fn language(&self) -> Language {
        match self {
            Self::Go { .. } => Language::Go,
            Self::Rust(_) => Language::Rust,
            Self::C(_) => Language::C,
            Self::Command(_) => Language::Command,
            Self::Prebuilt { .. } => Language::Prebuilt,
        }
    }

    fn request(&self, platform: Platform) -> Request {
        match self {
            Self::Go { settings, .. } => {
                let row = settings.row.clone().filter(|_| settings.cgo.is_none());
                Request { language: Language::Go, platform, libc: None, c: false, row, sysroot: false }
            }
            Self::Prebuilt { .. } => {
                Request { language: Language::Prebuilt, platform, libc: None, c: false, row: None, sysroot: false }
            }
            Self::Rust(program) => program.request(platform),
            Self::C(program) => program.settings.request(platform),
            Self::Command(program) => program.settings.request(platform),
        }
    }

    /// What it asks of a second toolchain, that for C: Go with cgo does.
    fn c_request(&self, platform: Platform) -> Option<Request> {
        match self {
            Self::Go { settings, .. } => settings.cgo.as_ref().map(|cgo| cgo.settings.request(platform)),
            Self::Rust(_) | Self::C(_) | Self::Command(_) | Self::Prebuilt { .. } => None,
        }
    }

    /// What it is built from, in a word: a package or a path.
    fn origin(&self) -> String {
        match self {
            Self::Go { package, .. } => package.import_path.clone(),
            Self::Rust(program) => format!("{}#{}", program.binary.package, program.binary.name),
            Self::C(program) => program.directory.display().to_string(),
            Self::Command(program) => program.command.shown(),
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
    /// how its libc was found, where that is `auto`
    pub libc: Option<AutoLibc>,
}

/// What a base has to offer.
#[derive(Debug)]
pub struct BaseOffer {
    /// the name the user gave it
    pub name: String,
    /// the digest of its index, or of its manifest when it has none; `None` for `scratch` and `static`
    pub digest: Option<Digest>,
    /// every platform it has
    pub platforms: Vec<Platform>,
    /// the images of those that may be taken
    pub images: Vec<BaseImage>,
    /// the image for any platform, of `scratch` and `static`
    pub any: Option<BaseImage>,
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
    /// the same for people: `$NAME` for a value from the environment
    pub shown: ImageSettings,
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
    /// programs that have no call yet, since the base whose libc they are for was not read
    #[serde(skip)]
    pub undecided: Vec<Undecided>,
}

/// An image of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct ImagePlan {
    /// its name
    pub name: String,
    /// what its config says
    #[serde(skip)]
    pub settings: ImageSettings,
    /// the same for people: `$NAME` for a value from the environment
    #[serde(rename = "settings")]
    pub shown: ImageSettings,
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
    /// how its libc was found, where that is `auto`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub libc: Option<PlannedLibc>,
    /// where its binary is, or will be; empty while that depends on a base that was not read
    pub binary: PathBuf,
    /// the position in [`Plan::jobs`] of the call that makes it
    pub job: Option<usize>,
    /// the folder of what its project installs, its root standing for the image's
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed: Option<PathBuf>,
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
    /// the dependency whose C made this the row
    pub c: Option<String>,
    /// whether the binary will be static
    #[serde(rename = "static")]
    pub static_binary: bool,
    /// the row that compiles the C of Go packages
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<Box<ChosenToolchain>>,
}

/// One compiler call.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// the language
    pub language: Language,
    /// the platforms it compiles for
    pub platforms: Vec<Platform>,
    /// what has to be there before the first call
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<Setup>,
    /// the calls, in order
    pub steps: Vec<Step>,
    /// the binaries it makes
    pub outputs: Vec<PathBuf>,
    /// what has to be on the machine
    #[serde(skip)]
    pub tools: Vec<crate::toolchain::Tool>,
    /// what else has to be there, whichever toolchain compiles
    #[serde(skip)]
    pub build_tools: Vec<crate::toolchain::Tool>,
    /// its Rust targets
    #[serde(skip)]
    pub targets: Vec<String>,
    /// true when their standard library has to be on the machine
    #[serde(skip)]
    pub needs_libraries: bool,
    /// names of other toolchains that would do
    #[serde(skip)]
    pub alternatives: Vec<String>,
    /// where cargo builds, which its messages are read by
    #[serde(skip)]
    pub build_directory: Option<PathBuf>,
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
