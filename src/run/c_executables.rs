//! A project of `CMake` or Meson is configured once, on a platform that the settings name, and asked which executables it makes.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::blob::Digest;
use crate::c_program::{self, BuildSystem, CProgram, Executable, Site};
use crate::exec::Children;
use crate::host;
use crate::platform::Platform;
use crate::toolchain::{Tool, Toolchains};

use super::c::CProjectError;
use super::error::Error;
use super::setup;

/// Where `CMake` answers, below the build folder.
const REPLY: &str = ".cmake/api/v1/reply";
/// What a generator of Makefiles writes, below the build folder.
const MAKEFILE: &str = "CMakeFiles/Makefile2";

/// Asks build systems what they make.
pub(super) struct Question<'run> {
    /// starts them
    pub children: &'run Children,
    /// the rows
    pub toolchains: &'run Toolchains,
    /// the project's `.anyarch`
    pub own_folder: &'run Path,
    /// the platform it is configured for; executables are called the same on every one
    pub platform: Platform,
}

/// True when the build system can be asked.
pub(super) fn answers(build: BuildSystem) -> bool {
    matches!(build, BuildSystem::Cmake | BuildSystem::Meson)
}

impl Question<'_> {
    /// The executables of the project that `program` is of; its own name and target play no part.
    ///
    /// # Errors
    /// When a tool is missing, the project cannot be configured, or what the build system answers cannot be read.
    pub(super) fn ask(&self, program: &CProgram) -> Result<Vec<Executable>, Error> {
        let program = CProgram { name: String::new(), target: None, output: None, install: false, ..program.clone() };
        let request = program.settings.request(self.platform);
        let toolchain = self.toolchains.select(&request)?;
        let alternatives = self.toolchains.alternatives(&request, &toolchain.name);
        for tool in &toolchain.tools {
            host::require_reader(tool, &program.directory, &alternatives)?;
        }
        let described = Digest::of(format!("{program:?} {}", self.platform).as_bytes()).hex();
        let folder = self.own_folder.join("build").join("executables").join(&described[..16]);
        let (found, environment) =
            (|tool: &Tool| host::find(tool).map(host::absolute), |name: &str| std::env::var(name).ok());
        let site = Site {
            platform: self.platform,
            toolchain: &toolchain,
            folder: &folder,
            found: &found,
            environment: &environment,
        };
        let recipe = c_program::recipe(&program, &site);
        for tool in recipe.tools.iter().filter_map(|name| self.toolchains.tool(name, self.platform)) {
            host::require_reader(&tool, &program.directory, &[])?;
        }
        setup::own_folder(self.own_folder)?;
        setup::prepare(&recipe.setup, self.children)?;
        let Some(configure) = recipe.steps.first() else { return Ok(Vec::new()) };
        match &configure.once {
            // A build would see by itself that its description changed; an introspection does not.
            Some(stamp) if stamp.exists() => {
                self.run(&c_program::set_up_again(&configure.invocation), &program)?;
            }
            Some(stamp) => {
                self.run(&configure.invocation, &program)?;
                fs::write(stamp, "").map_err(|source| Error::Write { path: stamp.clone(), source })?;
            }
            None => drop(self.run(&configure.invocation, &program)?),
        }
        let build = site.build_folder();
        match program.build {
            BuildSystem::Meson => {
                let call = c_program::targets_call(&configure.invocation, &build);
                let printed = self.run(&call, &program)?;
                let unreadable = |source: serde_json::Error| unreadable(&build, source.into());
                Ok(c_program::read_targets(&printed, &build).map_err(unreadable)?)
            }
            _ => Ok(cmake(&build, &c_program::configuration(&program)).map_err(|source| unreadable(&build, source))?),
        }
    }

    fn run(&self, call: &crate::invocation::Invocation, program: &CProgram) -> Result<Vec<u8>, Error> {
        let finished = self.children.ask(call)?;
        if finished.status.success() {
            return Ok(finished.stdout);
        }
        let said = [finished.stdout.as_slice(), finished.stderr.as_slice()].map(String::from_utf8_lossy).concat();
        Err(CProjectError::Configure {
            line: call.to_line(),
            folder: program.directory.clone(),
            ending: finished.ending(),
            output: said.trim_end().to_owned(),
        }
        .into())
    }
}

fn unreadable(build: &Path, source: std::io::Error) -> CProjectError {
    CProjectError::Read { path: build.to_owned(), source }
}

/// Reads `CMake`'s newest reply.
fn cmake(build: &Path, configuration: &str) -> std::io::Result<Vec<Executable>> {
    let reply: PathBuf = build.join(REPLY);
    let mut indexes = Vec::new();
    for entry in fs::read_dir(&reply)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("index-") {
            indexes.push(name);
        }
    }
    // The newest is the last by name.
    let index = indexes.into_iter().max().ok_or(std::io::ErrorKind::NotFound)?;
    let makefile = fs::read_to_string(build.join(MAKEFILE)).ok();
    let read = |name: &str| fs::read_to_string(reply.join(name));
    c_program::read_reply(&read, &index, configuration, makefile.as_deref())
}
