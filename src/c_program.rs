//! A C or C++ program on one platform becomes what its build system has to find (scripts that call the right compiler,
//! descriptions of the platform) and the calls that build it.
//!
//! Whatever builds it, the compiler is called by names that are the same on every machine (`aarch64-linux-gnu-gcc`),
//! which are scripts in a folder that comes first in PATH: so a project that repeats its compiler in what it makes does not
//! name this machine, and flags that must hold (the target, the sysroot, what paths are called) hold also where a Makefile
//! sets its own.

mod environment;
mod plain;
mod scripts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use environment::environment;
pub use plain::{Plain, PlainError, is_source, sources_of};
pub use scripts::{Found, scripts};

use crate::cargo::{Remap, in_order};
use crate::invocation::{Step, Word};
use crate::platform::Platform;
use crate::sysroot::Sysroot;
use crate::toolchain::{CCompiler, Language, Libc, Request, Toolchain};

/// How a project builds its C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildSystem {
    /// by one call of the compiler
    Plain,
    /// by `CMake`
    Cmake,
    /// by a Makefile
    Make,
    /// by a configure script, and the Makefile that it writes
    Configure,
    /// by Meson
    Meson,
}

impl BuildSystem {
    const KNOWN: [(Self, &'static str); 5] = [
        (Self::Plain, "plain"),
        (Self::Cmake, "cmake"),
        (Self::Make, "make"),
        (Self::Configure, "configure"),
        (Self::Meson, "meson"),
    ];

    /// Every build system, as the configuration writes it.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        Self::KNOWN.iter().map(|(_, name)| *name).collect()
    }

    /// The build system that is written so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::KNOWN.iter().find(|(_, known)| *known == name).map(|(system, _)| *system)
    }
}

/// A C program with all that its settings and its project say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CProgram {
    /// its name in the image
    pub name: String,
    /// the folder of its sources
    pub directory: PathBuf,
    /// how it is built
    pub build: BuildSystem,
    /// the files of a plain build, relative to the folder
    pub sources: Vec<String>,
    /// what is built of the project, where that has to be said
    pub target: Option<String>,
    /// arguments of the build system
    pub args: Vec<Word>,
    /// where the binary is: below the build folder, or below what is installed
    pub output: Option<String>,
    /// true when what the project installs goes into the image
    pub install: bool,
    /// what the build depends on beside its sources
    pub settings: CSettings,
}

/// What is the same for C wherever it comes from: in programs, in Go packages, in what a command builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CSettings {
    /// flags of the compiler
    pub cflags: Vec<Word>,
    /// flags of the linker
    pub ldflags: Vec<Word>,
    /// libraries to link, without `-l`
    pub libs: Vec<String>,
    /// true when symbols are left out
    pub strip: bool,
    /// the libc that was asked for
    pub libc: Option<Libc>,
    /// the toolchain row that was asked for
    pub row: Option<String>,
    /// headers and libraries of the platform
    pub sysroot: Option<Sysroot>,
    /// variables for the compiler
    pub env: BTreeMap<String, Word>,
}

impl CSettings {
    /// What it asks of a toolchain.
    #[must_use]
    pub fn request(&self, platform: Platform) -> Request {
        Request {
            language: Language::C,
            platform,
            libc: self.libc.or_else(|| self.sysroot.as_ref().and_then(Sysroot::libc)),
            c: true,
            row: self.row.clone(),
            sysroot: self.sysroot.is_some(),
        }
    }
}

/// Where and by what a program is built on one platform.
pub struct Site<'site> {
    /// the platform
    pub platform: Platform,
    /// the toolchain that was chosen, a C one
    pub toolchain: &'site Toolchain,
    /// the folder that is for this program and platform alone
    pub folder: &'site Path,
    /// how a tool is called on this machine
    pub found: Found<'site>,
    /// the environment that children inherit
    pub environment: &'site dyn Fn(&str) -> Option<String>,
}

impl Site<'_> {
    /// The compiler.
    #[must_use]
    pub fn compiler(&self) -> Option<&CCompiler> {
        self.toolchain.c.as_ref()
    }

    /// The folder of the scripts that call the compiler.
    #[must_use]
    pub fn scripts_folder(&self) -> PathBuf {
        self.folder.join("tools")
    }

    /// The folder that is built in.
    #[must_use]
    pub fn build_folder(&self) -> PathBuf {
        self.folder.join("build")
    }
}

/// What has to be there before the first call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Setup {
    /// a folder
    Folder {
        /// where
        path: PathBuf,
    },
    /// an empty folder: what an earlier run put there goes
    EmptyFolder {
        /// where
        path: PathBuf,
    },
    /// a file; written only if it is different, so that nothing is built again for it
    File {
        /// where
        path: PathBuf,
        /// all of it
        text: String,
        /// true for a script
        executable: bool,
    },
    /// a copy of the project, for a build system that builds beside its sources; what did not change is not written again
    Copy {
        /// the project
        from: PathBuf,
        /// the copy
        to: PathBuf,
    },
}

/// How a program is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// what has to be there before
    pub setup: Vec<Setup>,
    /// the calls, in order
    pub steps: Vec<Step>,
    /// the binary
    pub output: PathBuf,
    /// the folder of what was installed, its root standing for the image's
    pub installed: Option<PathBuf>,
}

/// Flags that win over those of the project: no path of this machine in the binary, and no debug information, which names
/// many, unless the user asks for it.
fn fixed_flags(program: &CProgram, site: &Site<'_>) -> Vec<String> {
    let mut remaps = vec![
        Remap::new(&program.directory, "/src"),
        Remap::new(site.folder, "/build"),
        Remap::new(&site.build_folder(), "/src"),
    ];
    remaps.extend(program.settings.sysroot.iter().map(|sysroot| Remap::new(&sysroot.folder, "/sysroot")));
    let remaps = in_order(remaps);
    let user = ["CFLAGS", "CXXFLAGS"].into_iter().filter_map(site.environment);
    let set = ["CFLAGS", "CXXFLAGS"].into_iter().filter_map(|name| program.settings.env.get(name));
    let written = set.chain(&program.settings.cflags).map(|flag| flag.value().to_owned());
    let flags = user.chain(written);
    let debug = flags.flat_map(|flags| flags.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let asks_for_debug = debug.into_iter().any(|flag| flag.starts_with("-g"));
    // The libc that zig makes has debug information even so, which only the linker takes out.
    let no_debug: &[&str] = if asks_for_debug { &[] } else { &["-g0", "-Wl,--strip-debug"] };
    remaps.iter().map(Remap::c_flag).chain(no_debug.iter().map(|flag| (*flag).to_owned())).collect()
}

/// How `program` is built.
#[must_use]
pub fn recipe(program: &CProgram, site: &Site<'_>) -> Recipe {
    match program.build {
        BuildSystem::Plain | BuildSystem::Cmake | BuildSystem::Make | BuildSystem::Configure | BuildSystem::Meson => {
            plain::recipe(program, site)
        }
    }
}
