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
    let start = Instant::now();
    let mut waited = Duration::ZERO;
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => error,
        };
        failures += 1;
        let Some(wait) = policy.next_wait(failures, waited, error.retry_after()) else {
            return Err(match failures {
                1 => error,
                attempts => Error::GaveUp { attempts, elapsed: start.elapsed(), source: Box::new(error) },
            });
        };
        tokio::time::sleep(wait).await;
        waited += wait;
    }
}
