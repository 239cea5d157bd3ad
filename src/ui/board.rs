//! Everything that runs now becomes the lines at the bottom of a terminal, or the reports of a pipeline. The time comes
//! from outside.

use std::time::{Duration, Instant};

use super::moving::Moving;
use super::row::{self, Columns};
use super::words;

/// Transfers that take no longer are not worth a line.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// A pipeline hears of a transfer that often, so that whoever waits for it does not think it dead.
const REPORTED_EVERY: Duration = Duration::from_secs(30);

/// Names what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// a compiler, by its position in the plan
    Job(usize),
    /// the one installation
    Install,
    /// a transfer, by its number
    Transfer(u64),
}

/// What runs now, in the order in which it began.
#[derive(Debug, Default)]
pub(super) struct Board(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    key: Key,
    what: String,
    start: Instant,
    reported: Instant,
    /// none for what has no size
    moving: Option<Moving>,
}

/// A transfer that is over and was long enough to be told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) what: String,
    /// bytes that moved
    pub(super) moved: u64,
    /// bytes that were there before
    pub(super) before: u64,
    /// from its start to its end
    pub(super) elapsed: Duration,
    /// bytes a second, of those that moved while they did
    pub(super) speed: u64,
}

impl Board {
    /// Something begins; what bore its name before is over.
    pub(super) fn start(&mut self, key: Key, what: String, moving: Option<Moving>, now: Instant) {
        self.0.retain(|entry| entry.key != key);
        self.0.push(Entry { key, what, start: now, reported: now, moving });
    }

    /// The bytes of a transfer are about to move; `at` of them are there already.
    pub(super) fn begin(&mut self, key: Key, at: u64, now: Instant) {
        if let Some(moving) = self.0.iter_mut().find(|entry| entry.key == key).and_then(|entry| entry.moving.as_mut()) {
            *moving = Moving::new(at, moving.size(), now);
        }
    }

    /// A transfer stands at `at`.
    pub(super) fn reach(&mut self, key: Key, at: u64, now: Instant) {
        if let Some(moving) = self.0.iter_mut().find(|entry| entry.key == key).and_then(|entry| entry.moving.as_mut()) {
            moving.reach(at, now);
        }
    }

    /// Something is over; what there is to tell of it, if it was a transfer that took its time.
    pub(super) fn end(&mut self, key: Key, now: Instant) -> Option<Ended> {
        let position = self.0.iter().position(|entry| entry.key == key)?;
        let entry = self.0.remove(position);
        let (elapsed, moving) = (now.saturating_duration_since(entry.start), entry.moving?);
        if elapsed < SHOWN_AFTER {
            return None;
        }
        let (what, before) = (row::named(&entry.what, &moving, usize::MAX), moving.before());
        Some(Ended { what, moved: moving.size() - before, before, elapsed, speed: moving.whole_speed(now)? })
    }

    /// Nothing runs.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// True when nothing runs.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines of a terminal of that size in letters: one for each that runs, and when these are too many, a last one
    /// for the rest. The line above stays free for what is said meanwhile.
    pub(super) fn rows(&self, now: Instant, width: usize, height: usize) -> Vec<String> {
        let shown: Vec<&Entry> = self.0.iter().filter(|entry| entry.is_shown(now)).collect();
        let most = height.saturating_sub(1).max(1);
        let alone = if shown.len() > most { most - 1 } else { shown.len() };
        let (alone, rest) = shown.split_at(alone);
        let transfers: Vec<(&str, &Moving)> =
            alone.iter().filter_map(|entry| Some((&*entry.what, entry.moving.as_ref()?))).collect();
        let columns = Columns::new(width, &transfers);
        let mut rows: Vec<String> = alone.iter().map(|entry| entry.row(now, width, &columns)).collect();
        if !rest.is_empty() {
            rows.push(row::cut(&in_sum(rest, now), width.saturating_sub(1)));
        }
        rows
    }

    /// A line for each transfer of which a pipeline has not heard for long.
    pub(super) fn reports(&mut self, now: Instant) -> Vec<String> {
        let due = |entry: &&mut Entry| now.saturating_duration_since(entry.reported) >= REPORTED_EVERY;
        self.0.iter_mut().filter(due).filter_map(|entry| entry.report(now)).collect()
    }
}

impl Entry {
    fn is_shown(&self, now: Instant) -> bool {
        self.moving.is_none() || self.elapsed(now) >= SHOWN_AFTER
    }

    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    fn row(&self, now: Instant, width: usize, columns: &Columns) -> String {
        match &self.moving {
            Some(moving) => row::moving(&self.what, moving, now, self.elapsed(now), columns),
            None => row::spinning(&self.what, self.elapsed(now), width),
        }
    }

    fn report(&mut self, now: Instant) -> Option<String> {
        let moving = self.moving.as_ref()?;
        self.reported = now;
        let mut line = row::named(&self.what, moving, usize::MAX);
        line = format!("{line:<37} {}", words::part(moving.at(), moving.size()));
        if moving.is_finishing() {
            line.push_str(", finishing");
        } else if let Some(speed) = moving.speed(now) {
            line = format!("{line}, {}", words::speed(speed));
        }
        if let Some(seconds) = moving.left(now).filter(|_| !moving.is_finishing()) {
            line = format!("{line}, {}", words::left(seconds));
        }
        Some(line)
    }
}

/// One line for what has no line of its own.
fn in_sum(rest: &[&Entry], now: Instant) -> String {
    let transfers: Vec<&Moving> = rest.iter().filter_map(|entry| entry.moving.as_ref()).collect();
    let mut parts = Vec::new();
    if rest.len() > transfers.len() {
        let others = rest.len() - transfers.len();
        parts.push(format!("{others} more {}", if others == 1 { "compiler" } else { "compilers" }));
    }
    if !transfers.is_empty() {
        let sum = |number: &dyn Fn(&Moving) -> u64| transfers.iter().map(|moving| number(moving)).sum();
        let amount = words::part(sum(&Moving::at), sum(&Moving::size));
        let speed = words::speed(sum(&|moving| moving.speed(now).unwrap_or(0)));
        let word = if transfers.len() == 1 { "transfer" } else { "transfers" };
        parts.push(format!("{} more {word}: {amount}, {speed}", transfers.len()));
    }
    format!("  and {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Transfers of 10 MB each, the first at 1 MB, the second at 2 MB, ..., after ten seconds.
    fn board(transfers: u64) -> (Board, Instant) {
        let (mut board, start) = (Board::default(), Instant::now());
        for id in 0..transfers {
            let key = Key::Transfer(id);
            board.start(key, format!("push example.com/{id}"), Some(Moving::new(0, 10_000_000, start)), start);
            board.reach(key, (id + 1) * 1_000_000, start + 10 * SECOND);
        }
        (board, start)
    }

    #[test]
    fn a_transfer_shows_after_a_second_and_a_compiler_at_once() {
        let (mut board, start) = board(1);
        board.start(Key::Job(0), "compiling".to_owned(), None, start);
        let count = |after: Duration| board.rows(start + after, 80, 24).len();
        assert_eq!((count(SECOND / 2), count(SECOND), count(9 * SECOND)), (1, 2, 2));
        assert_eq!(board.rows(start, 80, 24), ["⠋ compiling 0 s"]);
    }

    #[test]
    fn what_does_not_fit_is_one_line_in_sum() {
        let (mut board, start) = board(8);
        let now = start + 10 * SECOND;
        for (height, alone, rest) in [
            (24, 8, None),
            (9, 8, None),
            (8, 6, Some("  and 2 more transfers: 15.00 of 20.00 MB, 1.50 MB/s")),
            (3, 1, Some("  and 7 more transfers: 35.00 of 70.00 MB, 3.50 MB/s")),
            (2, 0, Some("  and 8 more transfers: 36.00 of 80.00 MB, 3.60 MB/s")),
            (0, 0, Some("  and 8 more transfers: 36.00 of 80.00 MB, 3.60 MB/s")),
        ] {
            let rows = board.rows(now, 80, height);
            assert_eq!(
                (rows.len(), rows.get(alone).map(String::as_str)),
                (alone + rest.iter().len(), rest),
                "{height}"
            );
        }
        board.start(Key::Job(1), "compiling".to_owned(), None, now);
        board.start(Key::Job(2), "compiling".to_owned(), None, now);
        let rest = "  and 2 more compilers, 1 more transfer: 8.00 of 10.00 MB, 800.00 kB/s";
        assert_eq!(board.rows(now, 80, 9).last().map(String::as_str), Some(rest));
        assert_eq!(board.rows(now, 30, 9).last().map(String::as_str), Some("  and 2 more c…B, 800.00 kB/s"));
    }

    #[test]
    fn the_end_of_a_transfer_is_told_when_it_took_a_second() {
        let ended = |after: Duration| {
            let (mut board, start) = board(1);
            let ended = board.end(Key::Transfer(0), start + after);
            assert!(board.is_empty());
            ended
        };
        assert_eq!(ended(Duration::from_millis(999)), None);
        let (what, elapsed) = ("push example.com/0".to_owned(), 4 * SECOND);
        let expected = Ended { what, moved: 10_000_000, before: 0, elapsed, speed: 2_500_000 };
        assert_eq!(ended(4 * SECOND), Some(expected));
        let (mut board, start) = board(1);
        board.reach(Key::Transfer(0), 0, start + 11 * SECOND);
        let ended = board.end(Key::Transfer(0), start + 20 * SECOND);
        assert_eq!(ended.map(|ended| ended.what).as_deref(), Some("push example.com/0 again"));
        assert_eq!(board.end(Key::Transfer(0), start), None, "it is over");
    }

    #[test]
    fn what_was_there_before_a_transfer_began_did_not_move() {
        let (key, what) = (Key::Transfer(0), "base debian:12 linux/arm64".to_owned());
        let (mut board, start) = (Board::default(), Instant::now());
        board.start(key, what.clone(), Some(Moving::new(0, 10_000_000, start)), start);
        // What is there is read and hashed first.
        board.begin(key, 8_000_000, start + 2 * SECOND);
        board.reach(key, 9_000_000, start + 3 * SECOND);
        let rows = board.rows(start + 3 * SECOND, 80, 24);
        assert!(rows[0].ends_with("9.00 of 10.00 MB    1.00 MB/s  1 s left"), "{rows:?}");
        let elapsed = 6 * SECOND;
        let expected = Ended { what: what.clone(), moved: 2_000_000, before: 8_000_000, elapsed, speed: 500_000 };
        assert_eq!(board.end(key, start + elapsed), Some(expected));
        // Another process brought it.
        board.start(key, what, Some(Moving::new(0, 10_000_000, start)), start);
        board.begin(key, 10_000_000, start + 2 * SECOND);
        assert_eq!(board.end(key, start + 6 * SECOND), None);
    }

    #[test]
    fn a_pipeline_hears_of_a_transfer_every_half_minute() {
        let (mut board, start) = board(1);
        let key = Key::Transfer(0);
        board.start(Key::Job(0), "compiling".to_owned(), None, start);
        let mut reports = |after: u32| board.reports(start + after * SECOND);
        assert_eq!(reports(29), [""; 0]);
        assert_eq!(reports(30), ["push example.com/0                    1.00 of 10.00 MB, 0 B/s"]);
        assert_eq!(reports(59), [""; 0]);
        board.reach(key, 2_000_000, start + 58 * SECOND);
        board.reach(key, 3_000_000, start + 60 * SECOND);
        let reports = board.reports(start + 60 * SECOND);
        assert_eq!(reports.len(), 1);
        board.reach(key, 0, start + 61 * SECOND);
        board.reach(key, 10_000_000, start + 89 * SECOND);
        let again = "push example.com/0 again              10.00 of 10.00 MB, finishing";
        assert_eq!(board.reports(start + 90 * SECOND), [again]);
    }
}
