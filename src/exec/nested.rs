//! Calls from within a sandbox, which keep our standard streams: this program once more, and a program of an image.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// The current program, wherever it is by now and whoever may enter the folders above it.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// Runs the current program again, and waits for its end.
///
/// # Errors
/// When it cannot be started.
#[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
pub fn run_again(args: &[&str]) -> io::Result<ExitStatus> {
    Command::new(OWN_PROGRAM).args(args).status()
}

/// Runs `program`, called `args[0]` with the other `args` as its arguments and with no environment but `env`, and waits for
/// its end.
///
/// # Errors
/// When it cannot be started.
#[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
pub fn run_named(program: &Path, args: &[OsString], env: &[(String, String)]) -> io::Result<ExitStatus> {
    let mut command = Command::new(program);
    let mut args = args.iter();
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    command.args(args).env_clear().envs(env.iter().map(|(name, value)| (name, value))).status()
}
