//! Requests to a registry that failed in passing are tried again.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
pub use crate::http::retry::RetryPolicy;
pub(super) use crate::http::retry::is_transient;

/// Runs `attempt` until it succeeds, fails for good, or the policy gives up; every attempt opens its bodies anew.
pub(super) async fn run<T, Attempt, Running>(policy: &RetryPolicy, attempt: Attempt) -> Result<T, Error>
where
    Attempt: Fn() -> Running,
    Running: Future<Output = Result<T, Error>>,
{
    let mut failures = Failures::new();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => failures.wait(policy, error).await?,
        }
    }
}

/// The failures of one operation so far.
#[derive(Debug)]
pub(super) struct Failures {
    start: Instant,
    /// All of them.
    all: u32,
    /// Those since something was gained.
    in_a_row: u32,
    /// How often an upload stood still: that alone takes minutes each time.
    stalls: u32,
    waited: Duration,
}

/// How many attempts at an upload may stand still, without anything gained between them.
const MOST_STALLS: u32 = 2;

impl Failures {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), all: 0, in_a_row: 0, stalls: 0, waited: Duration::ZERO }
    }

    /// Something was gained: what fails now counts as the first failure. The budget of waits stays spent.
    pub(super) fn gained(&mut self) {
        (self.in_a_row, self.stalls) = (0, 0);
    }

    /// Waits until it is time to try again.
    ///
    /// # Errors
    /// `error` itself when it does not pass, or when it is the only one and is not waited for; else that we gave up.
    pub(super) async fn wait(&mut self, policy: &RetryPolicy, error: Error) -> Result<(), Error> {
        if !error.is_transient() {
            return Err(error);
        }
        self.all += 1;
        self.in_a_row += 1;
        self.stalls += u32::from(error.is_stalled_upload());
        let wait = policy.next_wait(self.in_a_row, self.waited, error.retry_after());
        let Some(wait) = wait.filter(|_| self.stalls < MOST_STALLS) else {
            return Err(match self.all {
                1 => error,
                attempts => Error::GaveUp { attempts, elapsed: self.start.elapsed(), source: Box::new(error) },
            });
        };
        tokio::time::sleep(wait).await;
        self.waited += wait;
        Ok(())
    }
}
