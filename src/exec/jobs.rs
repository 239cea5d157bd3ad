//! The pool of job tokens that all compilers share: a call starts when it has one. cargo joins the pool by the GNU make
//! jobserver protocol (<https://www.gnu.org/software/make/manual/html_node/POSIX-Jobserver.html>), and we join that of a
//! make which started us.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jobserver::FromEnvErrorKind;

use super::{Busy, Children, ExecError, Finished};
use crate::invocation::{Invocation, Joins, Step};

/// How long the pool has to look the same before its tokens are counted.
const SETTLED: Duration = Duration::from_millis(20);
/// How often that is tried.
const LOOKS: usize = 25;

/// The pool of job tokens that all compilers share.
#[derive(Clone)]
pub struct Jobs {
    client: jobserver::Client,
    size: usize,
    inherited: bool,
    waiting: Arc<AtomicUsize>,
    pool: Arc<Pool>,
}

/// What those who want a token and the thread that fetches tokens tell each other.
#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// tokens that were fetched for whoever comes first
    fetched: Vec<jobserver::Acquired>,
    /// the token that whoever gave us an inherited jobserver counts as ours already is free
    implicit: bool,
    /// how many wait for a token
    wanted: usize,
    /// a token is being fetched
    fetching: bool,
    /// why no more tokens come
    failed: Option<io::ErrorKind>,
    /// tokens of the pool that our calls hold
    held: usize,
    /// calls that go on
    running: usize,
    /// a call failed that may have taken tokens with it
    damaged: bool,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches a token from `client` whenever someone waits for one; the implicit one may come free before it is there.
    fn fetch(&self, client: &jobserver::Client) {
        let mut state = self.state();
        loop {
            if state.wanted <= state.fetched.len() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.fetching = true;
            drop(state);
            let token = client.acquire();
            state = self.state();
            state.fetching = false;
            match token {
                Ok(token) if state.wanted > state.fetched.len() => state.fetched.push(token),
                // Who waited has got another one.
                Ok(token) => drop(token),
                Err(error) => {
                    state.failed = Some(error.kind());
                    self.changed.notify_all();
                    return;
                }
            }
            self.changed.notify_all();
        }
    }

    /// A token that is free now. A pipe cannot be asked without waiting, so the thread that fetches is, and it gives back what
    /// comes too late.
    fn spare(&self) -> Option<jobserver::Acquired> {
        let mut state = self.state();
        state.wanted += 1;
        self.changed.notify_all();
        let none = |state: &mut State| state.fetched.is_empty() && state.failed.is_none();
        let waited = self.changed.wait_timeout_while(state, SETTLED, none);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.wanted -= 1;
        let token = state.fetched.pop();
        state.held += usize::from(token.is_some());
        token
    }

    /// Waits for a token; `None` is the implicit one.
    fn take(&self) -> Result<Option<jobserver::Acquired>, ExecError> {
        let mut state = self.state();
        state.wanted += 1;
        self.changed.notify_all();
        let token = loop {
            if std::mem::take(&mut state.implicit) {
                break Ok(None);
            }
            if let Some(token) = state.fetched.pop() {
                state.held += 1;
                break Ok(Some(token));
            }
            if let Some(kind) = state.failed {
                break Err(ExecError::Tokens(kind.into()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        state.wanted -= 1;
        state.running += usize::from(token.is_ok());
        token
    }
}

/// A call's place among those that go on: its tokens, which are given back with it.
pub struct Place {
    pool: Arc<Pool>,
    tokens: Vec<jobserver::Acquired>,
    implicit: bool,
    still_waiting: usize,
    /// given up last: when all are gone, so are all tokens
    _busy: Busy,
}

impl Place {
    fn size(&self) -> usize {
        self.tokens.len() + usize::from(self.implicit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.held -= self.tokens.len();
        self.tokens.clear();
        state.implicit |= self.implicit;
        state.running -= 1;
        self.pool.changed.notify_all();
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
        let pool = Arc::new(Pool::default());
        pool.state().implicit = is_inherited;
        let (fetcher, source) = (pool.clone(), client.clone());
        // It waits as long as the process lives: nobody can call it back from a read.
        std::thread::spawn(move || fetcher.fetch(&source));
        Ok(Self { client, size, inherited: is_inherited, waiting: Arc::default(), pool })
    }

    /// How many tokens there are, as far as we know.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Counts a call that will ask for a place, so that those which start earlier leave a token for it.
    pub fn announce(&self, calls: usize) {
        self.waiting.fetch_add(calls, Ordering::SeqCst);
    }

    /// Waits until an announced call may start.
    ///
    /// # Errors
    /// When the pool cannot be read.
    pub fn place(&self, children: &Children) -> Result<Place, ExecError> {
        let token = self.pool.take();
        let still_waiting = self.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        let token = token?;
        let (pool, implicit) = (self.pool.clone(), token.is_none());
        Ok(Place { pool, tokens: token.into_iter().collect(), implicit, still_waiting, _busy: children.busy() })
    }

    /// Runs calls one after another in one place, handing each line of stdout to `line`: the first that fails is the
    /// last, and what all of them said on stderr is told together.
    ///
    /// # Errors
    /// When one cannot be started or read, or we were interrupted. A compiler that fails is not an error here.
    pub fn run(
        &self,
        mut place: Place,
        children: &Children,
        steps: &[Step],
        line: &mut dyn FnMut(&str),
    ) -> Result<Finished, ExecError> {
        let mut said = Vec::new();
        let mut last = Err(ExecError::Tokens(io::ErrorKind::InvalidInput.into()));
        for step in steps.iter().filter(|step| step.once.as_ref().is_none_or(|stamp| !stamp.exists())) {
            last = self.step(&mut place, children, &step.invocation, step.joins, line).map(|mut finished| {
                said.append(&mut finished.stderr);
                finished
            });
            if !last.as_ref().is_ok_and(|finished| finished.status.success()) {
                break;
            }
            if let Some(stamp) = &step.once {
                // One that cannot be written makes the next build slower, not wrong.
                let _ = fs_err::write(stamp, "");
            }
        }
        drop(place);
        self.restore();
        last.map(|finished| Finished { stderr: said, ..finished })
    }

    fn step(
        &self,
        place: &mut Place,
        children: &Children,
        call: &Invocation,
        joins: Joins,
        line: &mut dyn FnMut(&str),
    ) -> Result<Finished, ExecError> {
        let mut process = children.command(call);
        match joins {
            // cargo reads a variable of its own, make those that it knows.
            Joins::Jobserver => self.client.configure_make(&mut process),
            Joins::AtStart | Joins::LastArgument => {
                self.widen(place);
                process = children.command(&with_parallelism(call, joins, place.size()));
            }
            Joins::Alone => {}
        }
        let finished = children.run(process, call, Some(line));
        let failed = !finished.as_ref().is_ok_and(|finished| finished.status.success());
        if failed && joins == Joins::Jobserver {
            self.pool.state().damaged = true;
        }
        finished
    }

    /// The last calls get what is free when they start.
    fn widen(&self, place: &mut Place) {
        while place.still_waiting < self.size && place.size() < self.size {
            let Some(token) = self.client.available().ok().filter(|free| *free > 0).and_then(|_| self.pool.spare())
            else {
                return;
            };
            place.tokens.push(token);
        }
    }

    /// Puts back the tokens that compilers took with them when they were killed. Only while no call goes on is it known
    /// how many there should be; of a pool that others share, never.
    fn restore(&self) {
        let mut before = None;
        for _ in 0..LOOKS {
            let mut state = self.pool.state();
            if self.inherited || !state.damaged || state.running > 0 {
                return;
            }
            let Ok(available) = self.client.available() else { return };
            let now = (available, state.held, state.fetched.len(), state.fetching);
            // A token that is free while one is fetched is on its way.
            if before == Some(now) && (available == 0 || !state.fetching) {
                state.damaged = false;
                for _ in available + state.held + state.fetched.len()..self.size {
                    // A token that cannot be put back makes the build slower, not wrong.
                    let _ = self.client.release_raw();
                }
                return;
            }
            before = Some(now);
            drop(state);
            std::thread::sleep(SETTLED);
        }
    }
}

/// `go build -p N ...` or `cmake --build ... -j N`; what is made is not changed by it, so a plan's line leaves it out.
fn with_parallelism(call: &Invocation, joins: Joins, tokens: usize) -> Invocation {
    let mut call = call.clone();
    match joins {
        Joins::LastArgument => call.args.push(format!("-j{tokens}").into()),
        _ => call.args.insert(1.min(call.args.len()), format!("-p={tokens}").into()),
    }
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
        let count = Invocation::new("echo", "/").args(["build"]);
        let run = |call: &Invocation, joins, line: &mut dyn FnMut(&str)| {
            jobs.announce(1);
            let place = jobs.place(&children).unwrap();
            jobs.run(place, &children, &[Step::new(call.clone(), joins)], line).unwrap()
        };
        let mut said = String::new();
        run(&count, Joins::AtStart, &mut |line| line.clone_into(&mut said));
        assert_eq!(said, "build -p=4", "one that is alone gets all");
        run(&shell("echo $MAKEFLAGS"), Joins::Jobserver, &mut |line| line.clone_into(&mut said));
        assert!(said.contains("--jobserver-auth="), "{said}");
        assert_eq!(jobs.client.available().unwrap(), 4);
        jobs.client.acquire().unwrap().drop_without_releasing();
        let killed = run(&shell("kill -9 $$"), Joins::Jobserver, &mut |_| ());
        assert_eq!(killed.ending(), "signal 9");
        assert_eq!(jobs.client.available().unwrap(), 4);
    }

    #[test]
    fn no_more_calls_go_on_than_there_are_tokens() {
        let (jobs, children, calls) = (Jobs::new(Some(2)).unwrap(), Children::default(), 40);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        jobs.announce(calls);
        std::thread::scope(|scope| {
            for call in 0..calls {
                let (jobs, children, now, most) = (&jobs, &children, &now, &most);
                scope.spawn(move || {
                    let place = jobs.place(children).unwrap();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                    // Failures make the pool count itself, in the middle of what others do.
                    let script = if call % 2 == 0 { "exit 1" } else { "true" };
                    let steps = [Step::new(shell(script), Joins::Jobserver)];
                    jobs.run(place, children, &steps, &mut |_| ()).unwrap();
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(jobs.client.available().unwrap(), 2);
    }

    #[test]
    fn the_token_that_is_ours_without_asking_is_used_again_and_again() {
        let pool = Arc::new(Pool::default());
        pool.state().implicit = true;
        // Another holds the only token that can be fetched, for good.
        let client = jobserver::Client::new(1).unwrap();
        let theirs = client.acquire().unwrap();
        let (fetcher, source) = (pool.clone(), client.clone());
        std::thread::spawn(move || fetcher.fetch(&source));
        let jobs = Jobs { client, size: 2, inherited: true, waiting: Arc::default(), pool };
        let children = Children::default();
        jobs.announce(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let place = jobs.place(&children).unwrap();
                    let steps = [Step::new(shell("true"), Joins::AtStart)];
                    jobs.run(place, &children, &steps, &mut |_| ()).unwrap();
                });
            }
        });
        drop(theirs);
        assert!(jobs.pool.state().implicit);
    }
}
