//! The second call, the first process of its namespaces: prepares what a container has, starts the program, and takes
//! everything that is left of it along when it ends.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use fs_err as fs;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd;

use super::mounts::{self, EMULATOR_FILE};
use super::outside::{broken, forbidden_by, map, own_process};
use super::program::{self, Call, beginning, refused};
use super::protocol::{EmulatorFile, Failure, Message, Start, read_frame};
use super::unpack::Unpacker;
use crate::exec;
use crate::verify::{DEFAULT_PATH, Numbers, numbers};

/// What the machine is called in there.
const HOST_NAME: &str = "anyarch";
/// The longest /etc/passwd and /etc/group that are read, in bytes.
const LONGEST_FILE: u64 = 2 << 20;
/// The longest file that the program may write, in bytes.
const LARGEST_FILE: u64 = 1 << 30;
/// How many files that were left out are named.
const NAMED: usize = 3;

/// Prepares everything and runs the program; who called us hears how that went.
pub(super) fn run() -> u8 {
    // Out of the program's reach.
    let Ok(mut control) = io::stdout().as_fd().try_clone_to_owned().map(File::from) else { return 1 };
    match prepare(&mut control) {
        Ok(()) => 0,
        Err(failure) => {
            // Who called us is gone otherwise.
            let _ = Message::Failed(failure).write(&mut control);
            1
        }
    }
}

fn prepare(control: &mut File) -> Result<(), Failure> {
    let failed = |error: io::Error| broken("the streams of a sandbox", &error);
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| broken("the end of a parent was to be heard", &error))?;
    let mut source = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    let null = File::open("/dev/null").map_err(failed)?;
    unistd::dup2_stdin(&null).map_err(|error| failed(error.into()))?;
    unistd::dup2_stdout(io::stderr()).map_err(|error| failed(error.into()))?;
    umask(Mode::from_bits_truncate(0o022));
    let spec = read_frame(&mut source).map_err(|error| broken("what is to be done was to be read", &error))?;
    if let Some(emulator) = &spec.emulator {
        take_emulator(&mut source, emulator)?;
    }
    // Without a /proc of our own there is another way to it; with one, that would be a way out.
    let mut own = own_process().ok();
    let has_proc = mounts::enter(spec.emulator.is_some())?;
    if has_proc {
        own = None;
    }
    unistd::sethostname(HOST_NAME).map_err(|error| forbidden_by("a host name", &error))?;
    say(control, &Message::Ready)?;
    let Some(start) = &spec.start else { return Ok(()) };
    if !has_proc {
        say(control, &Message::Note("there was no /proc: this machine allows none in a user namespace".to_owned()))?;
    }
    let mut unpacker = Unpacker::new("/");
    for size in &spec.layers {
        unpack(&mut unpacker, &mut source, *size)?;
    }
    drop(source);
    say_sparse(control, &unpacker)?;
    run_program(control, start, spec.emulator.as_ref(), own)
}

fn say(control: &mut File, message: &Message) -> Result<(), Failure> {
    message.write(control).map_err(|error| broken("who waits was to be told", &error))
}

/// Puts the emulator beside what becomes the root.
fn take_emulator(source: &mut File, emulator: &EmulatorFile) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::write(Path::new(mounts::EMULATOR), &error);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o700).open(EMULATOR_FILE).map_err(failed)?;
    let copied = io::copy(&mut source.take(emulator.size), &mut file).map_err(failed)?;
    if copied != emulator.size {
        return Err(broken("the emulator was to be read", &io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
    file.flush().map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).map_err(failed)
}

fn unpack(unpacker: &mut Unpacker, source: &mut File, size: u64) -> Result<(), Failure> {
    let mut blob = source.take(size);
    unpacker.layer(&mut blob, size)?;
    // What the archive has after its end is no file, and the next layer comes behind it.
    let rest = io::copy(&mut blob, &mut io::sink());
    rest.map(drop).map_err(|error| broken("a layer was to be read", &error))
}

fn say_sparse(control: &mut File, unpacker: &Unpacker) -> Result<(), Failure> {
    if unpacker.sparse.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = unpacker.sparse.iter().take(NAMED).map(|path| format!("`{}`", path.display())).collect();
    let more = unpacker.sparse.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!("{}{more} were left out: they are stored as sparse files", named.join(", "));
    say(control, &Message::Note(text))
}

/// Runs the program as the image's user, who is the only one there is.
fn run_program(
    control: &mut File,
    start: &Start,
    emulator: Option<&EmulatorFile>,
    own: Option<OwnedFd>,
) -> Result<(), Failure> {
    let user = numbers(&start.user, small("/etc/passwd"), small("/etc/group")).map_err(|problem| refused(&problem))?;
    let folder = Path::new(if start.folder.is_empty() { "/" } else { &start.folder });
    // Engines make it where it is missing.
    let entered = fs::create_dir_all(folder).and_then(|()| unistd::chdir(folder).map_err(io::Error::from));
    entered.map_err(|error| Failure::Start {
        text: format!("the working folder `{}` cannot be used: {}", folder.display(), plain(&error)),
    })?;
    let call = program::find(start, emulator)?;
    let env = environment(start, &user);
    give_up_powers(&user, own)?;
    say(control, &Message::Starting { script: call.script })?;
    let status = exec::run_named(&call.program, &call.args, &env);
    let status = status.map_err(|error| not_started(&call, start, &error))?;
    say(control, &Message::Ended { code: status.code(), signal: status.signal() })
}

fn small(path: &str) -> Option<Vec<u8>> {
    beginning(Path::new(path), LONGEST_FILE)
}

/// The image's variables, and those that engines add.
fn environment(start: &Start, user: &Numbers) -> Vec<(String, String)> {
    let added = [("PATH", DEFAULT_PATH), ("HOSTNAME", HOST_NAME), ("HOME", &user.home)];
    let added = added.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Of several of one name the last counts.
    added.chain(start.env.iter().cloned()).collect()
}

/// Becomes the image's user in a user namespace to which none of the others belongs: its root, too, may mount nothing,
/// configure no network, and reach no process but those that it starts.
fn give_up_powers(user: &Numbers, own: Option<OwnedFd>) -> Result<(), Failure> {
    let limits = [(Resource::RLIMIT_CORE, 0), (Resource::RLIMIT_FSIZE, LARGEST_FILE)];
    for (resource, most) in limits {
        setrlimit(resource, most, most).map_err(|error| broken("a limit", &error))?;
    }
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| forbidden_by("a second user namespace", &error))?;
    let mapped = own.map_or_else(own_process, Ok).and_then(|own| map(&own, (0, 0), (user.uid, user.gid)));
    mapped.map_err(|error| forbidden_by("the image's user", &error))?;
    // The program must not get hold of us: it is our end that is its own.
    prctl::set_dumpable(false).map_err(|error| broken("to be left alone", &error))?;
    prctl::set_no_new_privs().map_err(|error| broken("new powers were to be ruled out", &error))
}

/// Why the kernel did not start the program.
fn not_started(call: &Call, start: &Start, error: &io::Error) -> Failure {
    let name = start.words.first().map_or("", String::as_str);
    let is_there = error.kind() == io::ErrorKind::NotFound && call.program.exists();
    let lacks = if is_there { ", and it is there: what it asks for, an interpreter or a loader, is not" } else { "" };
    Failure::Start { text: format!("`{name}` cannot be started: {}{lacks}", plain(error)) }
}

/// What the system said, without what `fs_err` adds.
fn plain(error: &io::Error) -> String {
    let source = error.get_ref().and_then(std::error::Error::source);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}
