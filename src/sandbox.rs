//! The layers of an image and a program in it become a process that sees these files and nothing else: in user, mount,
//! process, network, IPC and host name namespaces of its own, as nobody of this machine.
//!
//! A process that has threads cannot make them, so it is this program itself that is called again, twice: the first call
//! (`outside`) leaves all that it must not have and makes the namespaces; the second (`inside`), the first process in them,
//! mounts what containers have, turns its back on this machine's files, only then unpacks the layers, which come through a
//! pipe, and runs the program. What a layer says of paths can therefore not lead out, whatever it is; and whoever kills the
//! second process ends everything that the program has started.

#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod outside;
#[cfg(target_os = "linux")]
mod program;
mod protocol;
#[cfg(target_os = "linux")]
mod unpack;

use std::ffi::OsString;

pub use protocol::{EmulatorFile, Failure, Message, Spec, Start, write_frame};

/// The first argument of a call that is none of the user's.
pub const COMMAND: &str = "__sandbox";
/// The second argument of the call that is made by the first.
#[cfg(target_os = "linux")]
const INSIDE: &str = "inside";

/// Runs the call if it is one of ours, and returns its exit code. `main` asks before it does anything else: nothing may have
/// started a thread.
#[must_use]
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<u8> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != COMMAND {
        return None;
    }
    Some(run(args.next()))
}

#[cfg(target_os = "linux")]
fn run(stage: Option<OsString>) -> u8 {
    if stage.is_some_and(|stage| stage == INSIDE) { inside::run() } else { outside::run() }
}

#[cfg(not(target_os = "linux"))]
fn run(_stage: Option<OsString>) -> u8 {
    let step = "namespaces".to_owned();
    let message = Message::Failed(Failure::Forbidden { step, reason: "only Linux has them".to_owned() });
    // Whoever called us is gone otherwise.
    let _ = message.write(&mut std::io::stdout());
    1
}
