//! Bytes that moved by some times become a speed and the time that is left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The speed is that of the time that just passed.
const WINDOW: Duration = Duration::from_secs(5);
/// Positions are remembered that far apart.
const SPACING: Duration = Duration::from_millis(200);

/// How far a transfer has come.
#[derive(Debug)]
pub(super) struct Moving {
    size: u64,
    at: u64,
    /// where it began, the last time it did
    from: u64,
    /// when it began, the first time
    began: Instant,
    again: bool,
    /// when it stood where, the oldest first; never empty
    seen: VecDeque<(Instant, u64)>,
}

impl Moving {
    /// A transfer of `size` bytes, of which `at` are there at the time `now`.
    pub(super) fn new(at: u64, size: u64, now: Instant) -> Self {
        Self { size, at, from: at, began: now, again: false, seen: VecDeque::from([(now, at)]) }
    }

    /// It stands at `at`, which may be less than before: it began anew then.
    pub(super) fn reach(&mut self, at: u64, now: Instant) {
        if at < self.at {
            (self.again, self.from) = (true, at);
            self.seen.clear();
        }
        self.at = at;
        if self.seen.back().is_none_or(|(last, _)| now.saturating_duration_since(*last) >= SPACING) {
            self.seen.push_back((now, at));
        }
        // One that is older than the window is needed to know how it stood when the window began.
        while self.seen.get(1).is_some_and(|(second, _)| now.saturating_duration_since(*second) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// How many bytes there are to move.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many of them were there before any moved.
    pub(super) fn before(&self) -> u64 {
        self.from.min(self.size)
    }

    /// Bytes a second until all were there, from when it began; none when nothing was left to move.
    pub(super) fn whole_speed(&self, now: Instant) -> Option<u64> {
        let moved = self.size - self.before();
        per_second(moved, now.saturating_duration_since(self.began)).filter(|_| moved > 0)
    }

    /// How many of them are there.
    pub(super) fn at(&self) -> u64 {
        self.at.min(self.size)
    }

    /// True when it began anew.
    pub(super) fn is_again(&self) -> bool {
        self.again
    }

    /// True when all bytes have moved and only the answer is missing.
    pub(super) fn is_finishing(&self) -> bool {
        self.at >= self.size
    }

    /// Bytes a second over the last seconds; none so long as nothing can be said.
    pub(super) fn speed(&self, now: Instant) -> Option<u64> {
        let age = |time: &Instant| now.saturating_duration_since(*time);
        let in_window = self.seen.iter().rev().find(|(time, _)| age(time) >= WINDOW);
        let (time, from) = in_window.or(self.seen.front())?;
        per_second(self.at.saturating_sub(*from), age(time)).filter(|_| age(time) >= SPACING)
    }

    /// Seconds until all has moved, if it goes on like that.
    pub(super) fn left(&self, now: Instant) -> Option<u64> {
        let speed = self.speed(now).filter(|speed| *speed > 0)?;
        Some((self.size - self.at()).div_ceil(speed))
    }
}

/// Bytes a second; none for no time at all.
fn per_second(bytes: u64, time: Duration) -> Option<u64> {
    let speed = (u128::from(bytes) * 1_000_000).checked_div(time.as_micros())?;
    Some(u64::try_from(speed).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut moving = Moving::new(0, 100_000, start);
        assert_eq!((moving.speed(start), moving.left(start)), (None, None));
        // A burst into buffers, then a steady 1 kB/s.
        moving.reach(10_000, start + 10 * MS);
        assert_eq!(moving.speed(start + 100 * MS), None, "too early to say");
        assert_eq!(moving.speed(start + 1_000 * MS), Some(10_000));
        for second in 1..=20_u32 {
            moving.reach(10_000 + u64::from(second) * 1_000, start + second * 1_000 * MS);
        }
        let now = start + 20_000 * MS;
        assert_eq!((moving.at(), moving.speed(now), moving.left(now)), (30_000, Some(1_000), Some(70)));
        assert!(moving.seen.len() < 10, "{} positions are kept", moving.seen.len());
        // It stands still.
        let later = now + 5_000 * MS;
        assert_eq!((moving.speed(later), moving.left(later)), (Some(0), None));
    }

    #[test]
    fn one_that_begins_anew_says_so_and_forgets_its_speed() {
        let start = Instant::now();
        let mut moving = Moving::new(0, 100_000, start);
        moving.reach(0, start + 300 * MS);
        moving.reach(50_000, start + 1_000 * MS);
        assert!(!moving.is_again());
        moving.reach(0, start + 2_000 * MS);
        assert!(moving.is_again() && moving.at() == 0);
        assert_eq!(moving.speed(start + 2_100 * MS), None);
        moving.reach(1_000, start + 3_000 * MS);
        assert_eq!(moving.speed(start + 3_000 * MS), Some(1_000));
        assert!(moving.is_again(), "it is still the second time");
    }

    #[test]
    fn what_was_there_before_did_not_move() {
        let start = Instant::now();
        let mut moving = Moving::new(90_000, 100_000, start);
        moving.reach(91_000, start + 1_000 * MS);
        assert_eq!((moving.speed(start + 1_000 * MS), moving.left(start + 1_000 * MS)), (Some(1_000), Some(9)));
        moving.reach(100_001, start + 2_000 * MS);
        assert_eq!((moving.at(), moving.is_finishing()), (100_000, true));
        assert_eq!((moving.before(), moving.whole_speed(start + 4_000 * MS)), (90_000, Some(2_500)));
        // What was here turned out to be of no use.
        moving.reach(0, start + 4_000 * MS);
        assert_eq!((moving.before(), moving.whole_speed(start + 8_000 * MS)), (0, Some(12_500)));
        assert_eq!(Moving::new(7, 7, start).whole_speed(start + 1_000 * MS), None, "nothing moved");
    }
}
