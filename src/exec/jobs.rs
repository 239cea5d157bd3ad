//! The pool of job tokens that all compilers share: a call starts when it has one. cargo joins the pool by the GNU make
//! jobserver protocol (<https://www.gnu.org/software/make/manual/html_node/POSIX-Jobserver.html>), and we join that of a
//! make which started us.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use jobserver::FromEnvErrorKind;

use super::{Children, ExecError, Finished, command};
use crate::invocation::{Invocation, Joins};

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
    /// A pool of `size` tokens; without a size that of the make which started us ([`join_jobserver`]), else one token a
    /// core.
    ///
    /// # Errors
    /// When no pool can be made.
    pub fn new(size: Option<usize>) -> Result<Self, ExecError> {
        let inherited = INHERITED.get().and_then(|found| found.as_ref().ok()).cloned().flatten();
        let inherited = inherited.filter(|_| size.is_none());
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
        let busy = children.busy();
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
        drop(busy);
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

/// The jobserver of the make that started us, none where no make did, or why it cannot be joined.
static INHERITED: OnceLock<Result<Option<jobserver::Client>, String>> = OnceLock::new();

/// Joins the jobserver of the make that started us, if one did. To be called before the process opens its first file:
/// make names descriptors that it may have closed, and one of ours must not be taken for them.
#[expect(
    unsafe_code,
    reason = "the descriptors named in MAKEFLAGS are make's promise, which nothing can check in full"
)]
pub fn join_jobserver() {
    INHERITED.get_or_init(|| {
        // SAFETY: nothing is open yet but what we inherited, and what is no pipe is refused.
        let found = unsafe { jobserver::Client::from_env_ext(true) };
        match found.client {
            Ok(client) => Ok(Some(client)),
            Err(error) => match error.kind() {
                FromEnvErrorKind::NoEnvVar | FromEnvErrorKind::NoJobserver => Ok(None),
                _ => Err(error.to_string()),
            },
        }
    });
}

/// Why the jobserver of the make that started us cannot be joined; `None` when it was, or there is none.
#[must_use]
pub fn lost_jobserver() -> Option<&'static str> {
    INHERITED.get()?.as_ref().err().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation::new("sh", "/").args(["-c", script])
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
