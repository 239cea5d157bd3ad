//! The only place that starts processes: an [`Invocation`] becomes a child in a process group of its own, with no
//! standard input, that ends when we do.
//!
//! Compilers share one pool of job tokens; cargo joins it by the GNU make jobserver protocol
//! (<https://www.gnu.org/software/make/manual/html_node/POSIX-Jobserver.html>).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::hint::Hint;
use crate::invocation::{Invocation, Joins};

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
}

impl Children {
    /// Ends every child and everything it started; none can be started afterwards.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.signal(Signal::SIGTERM);
    }

    /// Kills what [`Self::stop`] did not end.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// True when no child runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
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

    fn ended(&self, child: &Child) {
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
        self.run(command(call), call, None)
    }
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

#[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
fn command(call: &Invocation) -> Command {
    let mut command = Command::new(&call.program);
    command.args(call.args.iter().map(crate::invocation::Word::value)).current_dir(&call.cwd);
    for (name, _) in std::env::vars_os().filter(|(name, _)| not_for_children(name)) {
        command.env_remove(name);
    }
    for name in &call.env_remove {
        command.env_remove(name);
    }
    command.envs(call.env.iter().map(|(name, value)| (name, value.value())));
    command
}

/// Variables of whoever started us that a compiler would take for its own: make's, and those that cargo sets for the
/// package it runs (<https://doc.rust-lang.org/cargo/reference/environment-variables.html>).
fn not_for_children(name: &OsString) -> bool {
    let Some(name) = name.to_str() else { return false };
    matches!(name, "MAKEFLAGS" | "MFLAGS" | "MAKELEVEL" | "CARGO_MAKEFLAGS" | "OUT_DIR" | "CARGO" | "PWD" | "OLDPWD")
        || name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || name.starts_with("CARGO_BIN_EXE_")
        || matches!(name, "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE")
        || (name == "RUSTUP_TOOLCHAIN" && std::env::var_os("RUST_RECURSION_COUNT").is_some())
        || name == "RUST_RECURSION_COUNT"
}

/// The pool of job tokens that all compilers share.
#[derive(Clone)]
pub struct Jobs {
    client: jobserver::Client,
    /// The token that whoever gave us an inherited jobserver counts as ours already.
    implicit: Arc<AtomicBool>,
    size: usize,
    inherited: bool,
    waiting: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

/// Tokens that are held; dropping gives them back.
struct Held {
    count: usize,
    implicit: Option<Arc<AtomicBool>>,
    acquired: Vec<jobserver::Acquired>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.acquired.clear();
        if let Some(implicit) = &self.implicit {
            implicit.store(true, Ordering::SeqCst);
        }
    }
}

impl Jobs {
    /// A pool of `size` tokens; without a size that of the make which started us, else one token a core.
    ///
    /// # Errors
    /// When no pool can be made.
    pub fn new(size: Option<usize>) -> Result<Self, ExecError> {
        let inherited = if size.is_none() { inherited_jobserver() } else { None };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let size = size.unwrap_or(cores).max(1);
        let is_inherited = inherited.is_some();
        let client = match inherited {
            Some(client) => client,
            None => jobserver::Client::new(size).map_err(ExecError::Tokens)?,
        };
        Ok(Self {
            client,
            implicit: Arc::new(AtomicBool::new(is_inherited)),
            size,
            inherited: is_inherited,
            waiting: Arc::default(),
            running: Arc::default(),
        })
    }

    /// How many tokens there are, as far as we know.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Counts a call that will ask for a token, so that those which start earlier leave one for it.
    pub fn announce(&self, calls: usize) {
        self.waiting.fetch_add(calls, Ordering::SeqCst);
    }

    fn acquire_one(&self) -> Result<Held, ExecError> {
        if self.implicit.compare_exchange(true, false, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return Ok(Held { count: 1, implicit: Some(self.implicit.clone()), acquired: Vec::new() });
        }
        let acquired = self.client.acquire().map_err(ExecError::Tokens)?;
        Ok(Held { count: 1, implicit: None, acquired: vec![acquired] })
    }

    /// Waits for a token, then runs an announced call to its end under it, handing each line of stdout to `line`.
    ///
    /// # Errors
    /// When it cannot be started or read, or we were interrupted. A compiler that fails is not an error here.
    pub fn run(
        &self,
        children: &Children,
        call: &Invocation,
        joins: Joins,
        started: impl FnOnce(),
        line: &mut dyn FnMut(&str),
    ) -> Result<Finished, ExecError> {
        let mut held = self.acquire_one()?;
        let still_waiting = self.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        self.running.fetch_add(1, Ordering::SeqCst);
        started();
        let mut process = command(call);
        match joins {
            Joins::Jobserver => self.client.configure(&mut process),
            Joins::AtStart => {
                while still_waiting < self.size && held.count < self.size {
                    match self.client.try_acquire() {
                        Ok(Some(token)) => held.acquired.push(token),
                        Ok(None) | Err(_) => break,
                    }
                    held.count += 1;
                }
                process = command(&with_parallelism(call, held.count));
            }
        }
        let finished = children.run(process, call, Some(line));
        drop(held);
        if self.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.restore();
        }
        finished
    }

    /// Puts back the tokens that a child took with it when it was killed. Only while no child runs is the full number known.
    fn restore(&self) {
        if self.inherited {
            return;
        }
        if let Ok(available) = self.client.available() {
            for _ in available..self.size {
                // A token that cannot be put back makes the build slower, not wrong.
                let _ = self.client.release_raw();
            }
        }
    }
}

/// `go build -p N ...`; the folder of what is done is not changed by it, so a plan's line leaves it out.
fn with_parallelism(call: &Invocation, tokens: usize) -> Invocation {
    let mut call = call.clone();
    call.args.insert(1.min(call.args.len()), format!("-p={tokens}").into());
    call
}

#[expect(unsafe_code, reason = "the file descriptors named in MAKEFLAGS are make's promise, which nothing can check")]
fn inherited_jobserver() -> Option<jobserver::Client> {
    // SAFETY: called once, before any file or thread of ours is opened, so no descriptor of ours can be meant.
    unsafe { jobserver::Client::from_env() }
}

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
    fn the_last_calls_get_what_is_free_and_tokens_of_the_killed_are_put_back() {
        let jobs = Jobs::new(Some(4)).unwrap();
        let children = Children::default();
        let count = Invocation::new("sh", "/").args(["-c", "echo $0 $1", "-p"]);
        jobs.announce(1);
        let mut lines = Vec::new();
        jobs.run(&children, &count, Joins::AtStart, || (), &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(jobs.client.available().unwrap(), 4);
        jobs.client.acquire().unwrap().drop_without_releasing();
        jobs.announce(1);
        let killed = jobs.run(&children, &shell("kill -9 $$"), Joins::Jobserver, || (), &mut |_| ()).unwrap();
        assert_eq!(killed.ending(), "signal 9");
        assert_eq!(jobs.client.available().unwrap(), 4);
    }
}
