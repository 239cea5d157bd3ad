//! The only place that starts processes: an [`Invocation`] becomes a child in a process group of its own, with no
//! standard input, that ends when we do. How many compilers work at once is for [`Jobs`] to say.

mod attended;
mod conversation;
mod jobs;
mod nested;

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::cargo::inherited_variables_to_remove;
use crate::hint::Hint;
use crate::invocation::Invocation;

pub use attended::Attended;
pub use conversation::{ConversationError, converse};
pub use jobs::{Jobs, Place, join_jobserver, lost_jobserver};
pub use nested::{OWN_PROGRAM, run_again, run_named};

/// How long children that were asked to end may take: compilers remove their temporary files.
pub const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel may take to end who was killed.
const KILLED: Duration = Duration::from_secs(2);
/// How often we look whether a process is gone.
const LOOK: Duration = Duration::from_millis(10);

/// Why a child gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It could not be started.
    #[error("`{program}` cannot be started in `{cwd}`")]
    Start {
        /// what was called
        program: String,
        /// where
        cwd: String,
        /// why
        #[source]
        source: io::Error,
    },
    /// What it printed could not be read.
    #[error("the output of `{program}` cannot be read")]
    Output {
        /// what was called
        program: String,
        /// why
        #[source]
        source: io::Error,
    },
    /// The pool of job tokens failed.
    #[error("the job tokens cannot be used")]
    Tokens(#[source] io::Error),
    /// We were asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Hint for ExecError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Start { program, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                vec![format!("install `{program}`, or put its folder into PATH")]
            }
            Self::Tokens(_) => vec!["unset MAKEFLAGS".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// What a child left behind.
#[derive(Debug)]
pub struct Finished {
    /// how it ended
    pub status: ExitStatus,
    /// what it printed on stdout, unless that was read line by line
    pub stdout: Vec<u8>,
    /// what it printed on stderr
    pub stderr: Vec<u8>,
}

impl Finished {
    /// How it ended, in words: `exit code 2`, `signal 9`.
    #[must_use]
    pub fn ending(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        }
    }
}

/// Every child that runs, so that an interrupt can end them all.
#[derive(Clone, Default)]
pub struct Children {
    groups: Arc<Mutex<BTreeSet<u32>>>,
    stopped: Arc<AtomicBool>,
    /// calls that hold tokens which have to be given back
    busy: Arc<AtomicUsize>,
    offline: bool,
}

/// A call that is not over, though its child may be.
struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Children {
    /// No child yet; those of Go, cargo and rustup will be told to ask no network.
    #[must_use]
    pub fn offline() -> Self {
        Self { offline: true, ..Self::default() }
    }

    /// Ends every child and everything it started; none can be started afterwards.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.signal(Signal::SIGTERM);
    }

    /// Kills what [`Self::stop`] did not end.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// True when no child runs, nothing that a stopped child left behind, and no token is held for one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let none = self.groups.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        none && self.busy.load(Ordering::SeqCst) == 0
    }

    fn busy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Busy(self.busy.clone())
    }

    fn signal(&self, signal: Signal) {
        for group in self.groups.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Ok(group) = i32::try_from(*group) {
                // A group that is gone already is what we want.
                let _ = killpg(Pid::from_raw(group), signal);
            }
        }
    }

    fn start(&self, command: &mut Command, call: &Invocation) -> Result<Child, ExecError> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stopped.load(Ordering::SeqCst) {
            return Err(ExecError::Interrupted);
        }
        let child = command.spawn().map_err(|source| ExecError::Start {
            program: call.program.clone(),
            cwd: call.cwd.display().to_string(),
            source,
        })?;
        groups.insert(child.id());
        Ok(child)
    }

    /// Forgets a child that ended. When we were asked to stop, what it started may outlive it for a moment: it stays
    /// known, so that [`Self::kill`] reaches it, until nothing of it is left.
    fn ended(&self, child: &Child) {
        let end = Instant::now() + GRACE + KILLED;
        let group = i32::try_from(child.id()).map(Pid::from_raw);
        while self.stopped.load(Ordering::SeqCst) && Instant::now() < end {
            // Signal 0 only asks whether there is someone to signal.
            if group.is_ok_and(|group| killpg(group, None).is_err()) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).remove(&child.id());
    }

    /// Runs a call to its end, handing each line of stdout to `line`; stderr is kept.
    ///
    /// # Errors
    /// When it cannot be started or read, or we were interrupted. A child that fails is not an error here.
    fn run(
        &self,
        mut command: Command,
        call: &Invocation,
        line: Option<&mut dyn FnMut(&str)>,
    ) -> Result<Finished, ExecError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = self.start(&mut command, call)?;
        let output = |source| ExecError::Output { program: call.program.clone(), source };
        let mut stderr = child.stderr.take();
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stderr.as_mut().map_or(Ok(0), |stderr| stderr.read_to_end(&mut bytes));
            read.map(|_| bytes)
        });
        let mut stdout = Vec::new();
        let read = match (child.stdout.take(), line) {
            (Some(pipe), Some(line)) => read_lines(pipe, line),
            (Some(mut pipe), None) => pipe.read_to_end(&mut stdout).map(drop),
            (None, _) => Ok(()),
        };
        let status = child.wait();
        self.ended(&child);
        let stderr = errors.join().unwrap_or_else(|_| Ok(Vec::new())).map_err(output)?;
        read.map_err(output)?;
        let status = status.map_err(output)?;
        if self.stopped.load(Ordering::SeqCst) {
            return Err(ExecError::Interrupted);
        }
        Ok(Finished { status, stdout, stderr })
    }

    /// Asks a program something: runs it to its end and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or read, or we were interrupted. A child that fails is not an error here.
    pub fn ask(&self, call: &Invocation) -> Result<Finished, ExecError> {
        self.run(self.command(call), call, None)
    }
}

/// What children are told that must not ask the network. Modules that `GOPRIVATE` names would pass the proxy by.
const OFFLINE: [(&str, &str); 3] = [("CARGO_NET_OFFLINE", "true"), ("GONOPROXY", "none"), ("RUSTUP_AUTO_INSTALL", "0")];

/// True for a `GOPROXY` that leads to folders of this machine alone.
fn is_local_proxy(list: &str) -> bool {
    list.split([',', '|']).all(|proxy| proxy == "off" || proxy.starts_with("file://"))
}

fn read_lines(pipe: impl io::Read, line: &mut dyn FnMut(&str)) -> io::Result<()> {
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    Ok(())
}

impl Children {
    fn command(&self, call: &Invocation) -> Command {
        let mut command = command(call);
        if self.offline {
            command.envs(OFFLINE);
            let given = call.env.get("GOPROXY").map(|word| word.value().to_owned());
            let proxy = given.or_else(|| std::env::var("GOPROXY").ok());
            if !proxy.is_some_and(|proxy| is_local_proxy(&proxy)) {
                command.env("GOPROXY", "off");
            }
        }
        command
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
fn command(call: &Invocation) -> Command {
    let mut command = Command::new(&call.program);
    command.args(call.args.iter().map(crate::invocation::Word::value)).current_dir(&call.cwd);
    let inherited: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    for name in inherited_variables_to_remove(inherited.iter().map(String::as_str)) {
        command.env_remove(name);
    }
    for name in NOT_FOR_CHILDREN {
        command.env_remove(name);
    }
    for name in &call.env_remove {
        command.env_remove(name);
    }
    command.envs(call.env.iter().map(|(name, value)| (name, value.value())));
    command
}

/// make's own variables, which are our jobserver's to set, and the shell's idea of where it is.
const NOT_FOR_CHILDREN: [&str; 6] = ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CARGO_MAKEFLAGS", "PWD", "OLDPWD"];

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation::new("sh", "/").args(["-c", script])
    }

    #[test]
    fn a_child_is_asked_with_the_environment_of_its_call() {
        let finished =
            Children::default().ask(&shell("echo $WORD; echo oops >&2; exit 3").env("WORD", "hello")).unwrap();
        assert_eq!((finished.stdout.as_slice(), finished.stderr.as_slice()), (&b"hello\n"[..], &b"oops\n"[..]));
        assert_eq!(finished.ending(), "exit code 3");
    }

    #[test]
    fn offline_children_are_told_so() {
        let show = shell("echo $CARGO_NET_OFFLINE $GOPROXY $GONOPROXY $RUSTUP_AUTO_INSTALL");
        for (proxy, expected) in [
            ("https://proxy.example,direct", "true off none 0\n"),
            ("file:///proxy", "true file:///proxy none 0\n"),
            ("file:///proxy,https://proxy.example", "true off none 0\n"),
        ] {
            let finished = Children::offline().ask(&show.clone().env("GOPROXY", proxy)).unwrap();
            assert_eq!(String::from_utf8_lossy(&finished.stdout), expected, "{proxy}");
        }
    }

    #[test]
    fn a_missing_program_is_said() {
        let error = Children::default().ask(&Invocation::new("no-such-program", "/")).unwrap_err();
        assert_eq!(error.to_string(), "`no-such-program` cannot be started in `/`");
        assert_eq!(error.hints(), ["install `no-such-program`, or put its folder into PATH"]);
    }

    #[test]
    fn a_stop_ends_children_and_what_they_started() {
        let children = Children::default();
        let running = children.clone();
        let thread = std::thread::spawn(move || running.ask(&shell("sleep 100 & wait")));
        while children.is_empty() {
            std::thread::yield_now();
        }
        children.stop();
        assert!(matches!(thread.join().unwrap(), Err(ExecError::Interrupted)));
        assert!(matches!(children.ask(&shell("true")), Err(ExecError::Interrupted)));
    }

    #[test]
    fn what_a_child_leaves_behind_is_killed_too() {
        let children = Children::default();
        let running = children.clone();
        // The child goes at once; what it started does not hear, and holds none of our pipes.
        let deaf = "(trap '' TERM; echo $$; exec sleep 100 >/dev/null 2>&1) & sleep 100";
        let thread = std::thread::spawn(move || running.ask(&shell(deaf)));
        while children.is_empty() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(300));
        let group = *children.groups.lock().unwrap().first().unwrap();
        children.stop();
        std::thread::sleep(Duration::from_millis(300));
        assert!(!children.is_empty(), "the deaf one is still known");
        children.kill();
        assert!(matches!(thread.join().unwrap(), Err(ExecError::Interrupted)));
        assert!(children.is_empty());
        assert!(killpg(Pid::from_raw(i32::try_from(group).unwrap()), None).is_err(), "nothing of the group is left");
    }
}
