//! The one policy of trying again: which failures pass by themselves, how long to wait, and when to give up.

use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::RETRY_AFTER;

/// How often and how long a request that failed in passing is tried again.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// how many times in all, at least 1
    pub attempts: u32,
    /// the wait after the first failure; it doubles with each
    pub first_wait: Duration,
    /// the budget of all waits of one operation; a server that asks for more (`Retry-After`) is not waited for
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, first_wait: Duration::from_millis(300), longest_wait: Duration::from_mins(1) }
    }
}

impl RetryPolicy {
    /// The wait before the next attempt, or `None` to give up.
    ///
    /// `failures` is how many attempts failed, `waited` what was spent of the budget, `asked` what the server's
    /// `Retry-After` said.
    #[must_use]
    pub fn next_wait(&self, failures: u32, waited: Duration, asked: Option<Duration>) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        let own = self.first_wait.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let wait = asked.map_or(own, |asked| asked.max(own));
        (waited + wait <= self.longest_wait).then_some(wait)
    }
}

/// HTTP statuses that pass by themselves.
#[must_use]
pub fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// What an answer's `Retry-After` asks for.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a `Retry-After` may be a date; no image knows of it")]
pub fn wait_asked(response: &Response) -> Option<Duration> {
    retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
}

/// Reads a `Retry-After` header: seconds, or a date, of which `now` is taken off.
fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let format = &time::format_description::well_known::Rfc2822;
    let date = time::OffsetDateTime::parse(header.trim(), format).ok()?;
    Some((SystemTime::from(date)).duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_within_the_budget() {
        let policy =
            RetryPolicy { attempts: 4, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(10) };
        let seconds = Duration::from_secs;
        for (failures, waited, asked, expected) in [
            (1, 0, None, Some(1)),
            (2, 1, None, Some(2)),
            (3, 3, None, Some(4)),
            (4, 7, None, None),
            (1, 0, Some(5), Some(5)),
            (2, 0, Some(1), Some(2)),
            (1, 0, Some(3600), None),
            (2, 9, Some(2), None),
        ] {
            assert_eq!(
                policy.next_wait(failures, seconds(waited), asked.map(seconds)),
                expected.map(seconds),
                "{failures} {waited} {asked:?}"
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(1_445_412_480 - 30);
        for (header, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(header, now), expected.map(Duration::from_secs), "{header}");
        }
    }
}
