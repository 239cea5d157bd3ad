//! A C or C++ program on one platform becomes what its build system has to find (scripts that call the right compiler,
//! descriptions of the platform) and the calls that build it.
//!
//! Whatever builds it, the compiler is called by names that are the same on every machine (`aarch64-linux-gnu-gcc`),
//! which are scripts in a folder that comes first in PATH: so a project that repeats its compiler in what it makes does not
//! name this machine, and flags that must hold (the target, the sysroot, what paths are called) hold also where a Makefile
//! sets its own.

mod cmake;
mod configure;
mod environment;
mod executables;
mod machine;
mod make;
mod meson;
mod plain;
#[cfg(test)]
mod recipe_tests;
mod scripts;
#[cfg(test)]
mod tests;
mod workplace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use configure::options_of;
pub use environment::environment;
pub use executables::{Executable, ExecutableError, choose, read_reply};
pub use meson::{read_targets, set_up_again, targets_call};
pub use plain::{Plain, PlainError, is_source, sources_of};
pub use scripts::{Found, scripts};
pub(crate) use workplace::{key, programs};

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
    /// the options of ours that its configure script knows
    pub configure_options: Vec<String>,
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
            sysroot: self.sysroot.as_ref().is_some_and(|sysroot| sysroot.serves(self.libc)),
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

    /// The tools of the compiler by what follows the prefix of their names: `cc`, `c++`, `ar`, `ranlib`, `strip`.
    fn tool_paths(&self) -> BTreeMap<&'static str, PathBuf> {
        let tools = ["cc", "c++", "ar", "ranlib", "strip"];
        let prefix = self.compiler().map(|compiler| compiler.prefix.as_str());
        let path = |prefix: &str, tool| (tool, self.scripts_folder().join(format!("{prefix}-{tool}")));
        prefix.into_iter().flat_map(|prefix| tools.map(|tool| path(prefix, tool))).collect()
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
    /// a folder that is emptied when it was made with another key, or by other programs: what was built there then is
    /// not what would be built now
    KeyedFolder {
        /// where
        path: PathBuf,
        /// all that it depends on beside the project
        key: String,
        /// files that it depends on by their size and time
        programs: Vec<PathBuf>,
    },
    /// no file: what an earlier run put there goes
    NoFile {
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
    /// a copy of the project, for a build system that builds beside its sources, without what was built there; what did
    /// not change is not written again
    Copy {
        /// the project
        from: PathBuf,
        /// the copy
        to: PathBuf,
        /// a file that is not taken, relative to the project
        #[serde(skip_serializing_if = "Option::is_none")]
        without: Option<PathBuf>,
        /// true when what git ignores is taken too: what autoconf generates is
        ignored: bool,
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
    /// build tools that have to be on the machine, by the names of their rows
    pub tools: Vec<String>,
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
    // The libc that zig makes has debug information even so, which only the linker takes out.
    let no_debug: &[&str] = if asks_for_debug(program, site) { &[] } else { &["-g0", "-Wl,--strip-debug"] };
    remaps.iter().map(Remap::c_flag).chain(no_debug.iter().map(|flag| (*flag).to_owned())).collect()
}

/// Whether the user's flags, or the build type in the arguments, ask for debug information.
fn asks_for_debug(program: &CProgram, site: &Site<'_>) -> bool {
    let user = ["CFLAGS", "CXXFLAGS"].into_iter().filter_map(site.environment);
    let set = ["CFLAGS", "CXXFLAGS"].into_iter().filter_map(|name| program.settings.env.get(name));
    let written = set.chain(&program.settings.cflags).chain(&program.args).map(|flag| flag.value().to_owned());
    let mut words =
        user.chain(written).flat_map(|flags| flags.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.any(|word| {
        let value =
            word.rsplit_once('=').filter(|(name, _)| name.contains("FLAGS")).map_or(word.as_str(), |(_, value)| value);
        let build_type =
            word.rsplit_once('=').filter(|(name, _)| name.to_lowercase().replace('_', "").contains("buildtype"));
        let debugs = |(_, kind): (&str, &str)| kind.to_lowercase().starts_with("debug") || kind == "RelWithDebInfo";
        value.starts_with("-g") || build_type.is_some_and(debugs) || word == "-Ddebug=true"
    })
}

/// How `program` is built.
#[must_use]
pub fn recipe(program: &CProgram, site: &Site<'_>) -> Recipe {
    match program.build {
        BuildSystem::Plain => plain::recipe(program, site),
        BuildSystem::Cmake => cmake::recipe(program, site),
        BuildSystem::Make => make::recipe(program, site),
        BuildSystem::Configure => configure::recipe(program, site),
        BuildSystem::Meson => meson::recipe(program, site),
    }
}

/// The build type of a `CMake` project.
#[must_use]
pub fn configuration(program: &CProgram) -> String {
    cmake::configuration(program)
}
