//! The first call: leaves what it must not have, makes the namespaces, and calls the second in them.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;

use fs_err as fs;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{self, Gid, Uid};
use rustix::fs::OFlags;

use super::protocol::{Failure, Message};
use super::{COMMAND, INSIDE};
use crate::exec;

/// Who nobody is: with root's number, even without root's powers, a process may change settings of the kernel.
const NOBODY: u32 = 65534;

/// Makes a sandbox in the current folder and waits for its end, which it tells on stdout.
pub(super) fn run() -> u8 {
    let message = match enter().and_then(|()| call_inside()) {
        Ok(ended) => ended,
        Err(failure) => Message::Failed(failure),
    };
    // Who called us is gone otherwise, and so are we.
    let _ = message.write(&mut io::stdout());
    0
}

fn enter() -> Result<(), Failure> {
    close_others().map_err(|error| broken("what is open was to be closed", &error))?;
    if unistd::geteuid().is_root() {
        become_nobody().map_err(|error| forbidden("to become nobody", error))?;
    }
    // Lost by becoming someone else; without us nobody would end what we start.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| broken("the end of a parent was to be heard", &error))?;
    let (user, group) = (unistd::geteuid(), unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| forbidden("a user namespace", error))?;
    let map = own_process().and_then(|own| map(&own, (user.as_raw(), group.as_raw()), (0, 0)));
    map.map_err(|error| forbidden_by("the users of a user namespace", &error))?;
    let others = [
        (CloneFlags::CLONE_NEWNS, "a mount namespace"),
        (CloneFlags::CLONE_NEWPID, "a process namespace"),
        (CloneFlags::CLONE_NEWNET, "a network namespace"),
        (CloneFlags::CLONE_NEWIPC, "an IPC namespace"),
        (CloneFlags::CLONE_NEWUTS, "a host name namespace"),
    ];
    others.into_iter().try_for_each(|(flag, what)| unshare(flag).map_err(|error| forbidden(what, error)))
}

/// Closes whatever whoever called us left open: it might be a folder of this machine.
fn close_others() -> io::Result<()> {
    let names: Vec<String> = fs::read_dir("/proc/self/fd")?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    for number in names.iter().filter_map(|name| name.parse::<i32>().ok()).filter(|number| *number > 2) {
        // What listed them is closed by now.
        let _ = unistd::close(number);
    }
    Ok(())
}

/// Root becomes nobody. In a user namespace that knows no nobody, root is none of this machine's.
fn become_nobody() -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    match unistd::chown(".", Some(uid), Some(gid)) {
        Err(Errno::EINVAL) => return Ok(()),
        done => done?,
    }
    // So that the program can open its /dev/stdout.
    unistd::fchown(io::stderr().as_fd(), Some(uid), Some(gid))?;
    unistd::setgroups(&[])?;
    unistd::setresgid(gid, gid, gid)?;
    unistd::setresuid(uid, uid, uid)?;
    // Else our own files in /proc would still be root's.
    prctl::set_dumpable(true)
}

/// Our own folder in /proc.
pub(super) fn own_process() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/proc/self", flags, rustix::fs::Mode::empty())?)
}

/// Has our user and group, `outer`, be `inner` in the user namespace that was just made, where there are no others. `own` is
/// our own folder in /proc.
pub(super) fn map(own: &OwnedFd, outer: (u32, u32), inner: (u64, u64)) -> io::Result<()> {
    let write = |name: &str, text: String| {
        let file = rustix::fs::openat(own, name, OFlags::WRONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
        File::from(file).write_all(text.as_bytes())
    };
    // Who may leave a group may open what is closed to that group: who has no powers must not say who is who before.
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{} {} 1", inner.0, outer.0))?;
    write("gid_map", format!("{} {} 1", inner.1, outer.1))
}

fn call_inside() -> Result<Message, Failure> {
    let status = exec::run_again(&[COMMAND, INSIDE]);
    let status = status.map_err(|error| broken("anyarch was to be started again", &error))?;
    Ok(Message::Ended { code: status.code(), signal: status.signal() })
}

/// A step of ours that failed.
pub(super) fn broken(step: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Broken { step: step.to_owned(), reason: error.to_string() }
}

fn forbidden(step: &str, error: Errno) -> Failure {
    forbidden_by(step, &io::Error::from(error))
}

/// Something that this machine does not let us make.
pub(super) fn forbidden_by(step: &str, error: &dyn std::error::Error) -> Failure {
    // What `fs_err` adds says where in /proc, which helps nobody.
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Failure::Forbidden { step: step.to_owned(), reason }
}
