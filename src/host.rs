//! What this machine is and has: its platform, its package manager, the tools that toolchain rows ask for, and the
//! Rust targets whose standard library is there.

mod processor;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::exec::{Children, ExecError};
use crate::hint::Hint;
use crate::invocation::Invocation;
use crate::platform::{Platform, PlatformError};
use crate::toolchain::Tool;

pub use processor::{Emulation, emulation, processor};

/// What a plan needs and this machine lacks.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The machine's own architecture is not one that we know.
    #[error("this machine's own platform is unknown to anyarch")]
    Platform(#[source] PlatformError),
    /// A tool that is not in PATH.
    #[error("`{tool}` is not in PATH and is needed for {}; looked for {}", wanted_for.join(", "), looked_for.join(", "))]
    Tool {
        /// the tool
        tool: String,
        /// the platforms that need it
        wanted_for: Vec<String>,
        /// every way to call it
        looked_for: Vec<String>,
        /// lines that help
        ways_out: Vec<String>,
    },
    /// A tool that is asked what a project holds, and is not in PATH.
    #[error("`{}` is not in PATH, and only it can read the project in `{}`", tool.name, folder.display())]
    Reader {
        /// the tool
        tool: Box<Tool>,
        /// the project
        folder: PathBuf,
        /// lines that help
        ways_out: Vec<String>,
    },
    /// Rust targets without a standard library.
    #[error("the Rust standard library for {} is not installed; looked in `{folder}`", targets.join(", "))]
    Targets {
        /// the targets
        targets: Vec<String>,
        /// where
        folder: PathBuf,
        /// true when rustup is there
        rustup: bool,
    },
    /// rustc that does not answer.
    #[error("`rustc --print sysroot` failed: {output}")]
    Sysroot {
        /// what it said
        output: String,
    },
    /// A toolchain of rustup's that is not there, for a standard library that is compiled too.
    #[error("`build_std` needs the Rust toolchain `{toolchain}`, which does not answer: {output}")]
    Nightly {
        /// the toolchain
        toolchain: String,
        /// what was said in its place
        output: String,
        /// true when rustup is there
        rustup: bool,
    },
    /// A toolchain without the sources of the standard library.
    #[error("`build_std` needs the sources of Rust's standard library, which `{toolchain}` lacks; looked in `{}`", folder.display())]
    RustSource {
        /// the toolchain
        toolchain: String,
        /// where
        folder: PathBuf,
    },
    /// A process that cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

impl Hint for HostError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Tool { ways_out, .. } | Self::Reader { ways_out, .. } => ways_out.clone(),
            Self::Targets { targets, rustup: true, .. } => {
                let lines = targets.iter().map(|target| format!("rustup target add {target}"));
                ["--install-missing".to_owned()].into_iter().chain(lines).collect()
            }
            Self::Nightly { toolchain, rustup: true, .. } => {
                vec![format!("rustup toolchain install {toolchain} --profile minimal --component rust-src")]
            }
            Self::RustSource { toolchain, .. } => {
                vec![format!("rustup component add rust-src --toolchain {toolchain}")]
            }
            Self::Targets { rustup: false, .. } | Self::Nightly { rustup: false, .. } => {
                vec!["install Rust by rustup, which brings other targets: see https://rustup.rs".to_owned()]
            }
            Self::Exec(error) => error.hints(),
            Self::Platform(_) | Self::Sysroot { .. } => Vec::new(),
        }
    }
}

/// A tool that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// how to call it
    pub command: Vec<String>,
    /// the first line of what it says its version is
    pub version: String,
}

/// Linux on this machine's architecture: what `--platform host` means.
///
/// # Errors
/// When the architecture is unknown.
pub fn platform() -> Result<Platform, HostError> {
    std::env::consts::ARCH.parse().map_err(HostError::Platform)
}

/// This machine, with its own operating system: what files are downloaded for; `None` where it is unknown.
#[must_use]
pub fn machine() -> Option<Platform> {
    Platform::from_parts(std::env::consts::OS, std::env::consts::ARCH, None).ok()
}

/// Calls the program that was downloaded where a call names a tool that PATH lacks. What the user's environment says of
/// another installation does not reach it.
pub fn call_downloaded(tool: &Tool, call: &mut Invocation) {
    let Some(program) = tool.downloaded.as_ref().map(|program| program.display().to_string()) else { return };
    if find(tool).is_none_or(|found| found != [program.as_str()]) {
        return;
    }
    if tool.commands.first().is_some_and(|command| *command == [call.program.as_str()]) {
        call.program = program;
    }
    call.env_remove.extend(tool.download.iter().flat_map(|download| download.unset.clone()));
}

/// Looks for a tool, in the order of its commands. A command of several words is run, since its first word alone says
/// nothing: `python3 -m ziglang`.
#[must_use]
pub fn find(tool: &Tool) -> Option<Vec<String>> {
    tool.commands.iter().find(|command| is_there(command, tool)).cloned()
}

/// The same command, its program by its path.
#[must_use]
pub fn absolute(mut command: Vec<String>) -> Vec<String> {
    if let Some(program) = command.first_mut()
        && let Ok(path) = which::which(&*program)
    {
        *program = path.display().to_string();
    }
    command
}

fn is_there(command: &[String], tool: &Tool) -> bool {
    match command {
        [] => false,
        [program] => which::which(program).is_ok(),
        [program, ..] => which::which(program).is_ok() && version_of(command, tool).is_some(),
    }
}

fn version_of(command: &[String], tool: &Tool) -> Option<String> {
    let (program, args) = command.split_first()?;
    let mut call = Invocation::new(program, ".").args(args.iter().chain(&tool.version).map(String::as_str));
    if tool.downloaded.as_deref().is_some_and(|downloaded| Path::new(program) == downloaded) {
        call.env_remove.extend(tool.download.iter().flat_map(|download| download.unset.clone()));
    }
    let finished = Children::default().ask(&call).ok().filter(|finished| finished.status.success())?;
    let text = String::from_utf8_lossy(&finished.stdout);
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Looks for a tool and asks for its version.
#[must_use]
pub fn find_with_version(tool: &Tool) -> Option<Found> {
    let command = find(tool)?;
    let version = version_of(&command, tool).unwrap_or_default();
    Some(Found { command, version })
}

/// The line of this machine's package manager that installs a tool.
#[must_use]
pub fn install_line(tool: &Tool) -> Option<String> {
    let manager = [("apt", "apt-get"), ("dnf", "dnf"), ("apk", "apk"), ("brew", "brew")]
        .into_iter()
        .find(|(manager, program)| tool.install.contains_key(*manager) && which::which(program).is_ok())
        .map(|(manager, _)| manager);
    tool.install.get(manager.unwrap_or("any")).or_else(|| tool.install.get("any")).cloned()
}

/// Fails when a tool is missing. `wanted_for` names platforms and `alternatives` other toolchains that would do.
///
/// # Errors
/// [`HostError::Tool`] with the line that installs it.
pub fn require(tool: &Tool, wanted_for: &[Platform], alternatives: &[String]) -> Result<Vec<String>, HostError> {
    if let Some(command) = find(tool) {
        return Ok(command);
    }
    Err(HostError::Tool {
        tool: tool.name.clone(),
        wanted_for: wanted_for.iter().map(ToString::to_string).collect(),
        looked_for: tool.commands.iter().map(|command| format!("`{}`", command.join(" "))).collect(),
        ways_out: ways_out(tool).chain(other_toolchains(alternatives)).collect(),
    })
}

/// Fails when a tool that is asked about the project in `folder` is missing. `alternatives` are other toolchains that would
/// do.
///
/// # Errors
/// [`HostError::Reader`] with the line that installs it.
pub fn require_reader(tool: &Tool, folder: &Path, alternatives: &[String]) -> Result<(), HostError> {
    if find(tool).is_some() {
        return Ok(());
    }
    let ways_out = ways_out(tool).chain(other_toolchains(alternatives)).collect();
    Err(HostError::Reader { tool: Box::new(tool.clone()), folder: folder.to_owned(), ways_out })
}

fn other_toolchains(names: &[String]) -> impl Iterator<Item = String> {
    names.iter().map(|name| format!("or set toolchain = \"{name}\" for the program in anyarch.toml"))
}

/// The flag by which we get a tool, where we can, and the line of this machine's package manager.
fn ways_out(tool: &Tool) -> impl Iterator<Item = String> {
    let ours = tool.downloaded.as_ref().map(|_| "--install-missing".to_owned());
    ours.into_iter().chain(install_line(tool))
}

/// The folder of rustc's own libraries, as the toolchain of `project` has it.
///
/// # Errors
/// When rustc cannot be asked.
pub fn rust_libraries(children: &Children, project: &Path) -> Result<PathBuf, HostError> {
    let finished = children.ask(&Invocation::new("rustc", project).args(["--print", "sysroot"]))?;
    if !finished.status.success() {
        return Err(HostError::Sysroot { output: String::from_utf8_lossy(&finished.stderr).trim().to_owned() });
    }
    let sysroot = String::from_utf8_lossy(&finished.stdout).trim().to_owned();
    Ok(Path::new(&sysroot).join("lib").join("rustlib"))
}

/// Fails when the standard library of a Rust target is missing.
///
/// # Errors
/// [`HostError::Targets`] with a line for each.
pub fn require_targets(children: &Children, project: &Path, targets: &BTreeSet<String>) -> Result<(), HostError> {
    if targets.is_empty() {
        return Ok(());
    }
    let folder = rust_libraries(children, project)?;
    let missing: Vec<String> = targets.iter().filter(|target| !has_target(&folder, target)).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(HostError::Targets { targets: missing, folder, rustup: which::which("rustup").is_ok() })
}

/// True when `folder`, the answer of [`rust_libraries`], holds a target's standard library.
#[must_use]
pub fn has_target(folder: &Path, target: &str) -> bool {
    let is_std = |name: std::ffi::OsString| name.to_string_lossy().starts_with("libstd-");
    let library = folder.join(target).join("lib");
    fs::read_dir(library)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_std(entry.file_name()))))
}
