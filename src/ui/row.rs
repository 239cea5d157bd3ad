//! One thing that runs becomes one line of a terminal, never wider than it.

use std::time::{Duration, Instant};

use super::moving::Moving;
use super::words;

/// What stands before a line turns, so that it can be seen that nothing hangs.
const FRAMES: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// How long each of them stands, in milliseconds.
const FRAME: u128 = 120;

/// Widest speed: `999.99 MB/s`.
const SPEED: usize = 11;
/// Widest time: `90 min left`.
const LEFT: usize = 11;
/// Between columns.
const GAP: usize = 2;
/// A name is not cut shorter than this for the sake of other columns.
const SHORTEST_NAME: usize = 12;
/// A bar, its brackets not counted.
const SHORTEST_BAR: usize = 6;
const LONGEST_BAR: usize = 24;

/// The widths of what stands in the lines of transfers; zero for what has no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    name: usize,
    bar: usize,
    amount: usize,
    speed: usize,
    left: usize,
}

impl Columns {
    /// The columns of a terminal of that width for these transfers and what they are. What tells least goes first when
    /// there is little room: the bar, then the time that is left, then the speed.
    pub(super) fn new(width: usize, transfers: &[(&str, &Moving)]) -> Self {
        let longest = |length: fn(&str, &Moving) -> String| {
            let lengths = transfers.iter().map(|(what, moving)| length(what, moving).chars().count());
            lengths.max().unwrap_or(0)
        };
        let amount = longest(|_, moving| words::part(moving.size(), moving.size()));
        let longest = longest(|what, moving| named(what, moving, usize::MAX));
        // The spinner and its space stand before the name; the last column stays free, for some terminals wrap there.
        let mut room = width.saturating_sub(3);
        let mut take = |column: usize| {
            let fits = room >= SHORTEST_NAME + GAP + column;
            room -= if fits { GAP + column } else { 0 };
            if fits { column } else { 0 }
        };
        let amount = take(amount);
        let speed = if amount > 0 { take(SPEED) } else { 0 };
        let left = if speed > 0 { take(LEFT) } else { 0 };
        let bar = if left > 0 { take(SHORTEST_BAR + 2).saturating_sub(2) } else { 0 };
        let name = longest.min(room);
        let bar = if bar > 0 { (bar + room - name).min(LONGEST_BAR) } else { 0 };
        Self { name, bar, amount, speed, left }
    }
}

/// A line of something of which it is not known how far it is: `⠹ linux/arm64 hello compiling 3 s`.
pub(super) fn spinning(what: &str, elapsed: Duration, width: usize) -> String {
    cut(&format!("{} {what} {} s", frame(elapsed), elapsed.as_secs()), width.saturating_sub(1))
}

/// A line of a transfer: `⠹ push ghcr.io/me/app [===>  ] 12.30 of 45.60 MB 3.60 MB/s 10 s left`.
pub(super) fn moving(what: &str, moving: &Moving, now: Instant, elapsed: Duration, columns: &Columns) -> String {
    let Columns { name, bar, amount, speed, left } = *columns;
    let mut line = format!("{} {:<name$}", frame(elapsed), named(what, moving, name));
    let mut column = |text: String| {
        line.push_str(&" ".repeat(GAP));
        line.push_str(&text);
    };
    if bar > 0 {
        column(format!("[{:<bar$}]", filled(moving, bar)));
    }
    if amount > 0 {
        column(format!("{:>amount$}", words::part(moving.at(), moving.size())));
    }
    if speed > 0 {
        let words =
            if moving.is_finishing() { Some("finishing".to_owned()) } else { moving.speed(now).map(words::speed) };
        column(format!("{:>speed$}", words.unwrap_or_default()));
    }
    if left > 0
        && let Some(seconds) = moving.left(now).filter(|_| !moving.is_finishing())
    {
        column(words::left(seconds));
    }
    line.truncate(line.trim_end().len());
    line
}

/// What is in a line before its numbers, in at most `width` letters.
pub(super) fn named(what: &str, moving: &Moving, width: usize) -> String {
    let again = if moving.is_again() { " again" } else { "" };
    format!("{}{again}", cut(what, width.saturating_sub(again.len())))
}

/// `===>`, as long as it belongs into a bar of that length.
fn filled(moving: &Moving, length: usize) -> String {
    let part = u128::from(moving.at()) * length as u128;
    let filled = part.checked_div(u128::from(moving.size())).and_then(|filled| usize::try_from(filled).ok());
    match filled.unwrap_or(length) {
        0 => String::new(),
        whole if whole >= length => "=".repeat(length),
        some => format!("{}>", "=".repeat(some - 1)),
    }
}

/// `text` in at most `width` letters; what is too much goes from its middle, for both ends tell it from others.
pub(super) fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let Some(kept) = width.checked_sub(1) else { return String::new() };
    let (front, back) = (kept - kept / 2, kept / 2);
    text.chars().take(front).chain(['…']).chain(text.chars().skip(length - back)).collect()
}

fn frame(elapsed: Duration) -> char {
    let position = (elapsed.as_millis() / FRAME) % FRAMES.len() as u128;
    usize::try_from(position).ok().and_then(|position| FRAMES.get(position)).copied().unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A transfer of 45.6 MB that has come to `at` within four seconds.
    fn come_to(at: u64, again: bool) -> (Moving, Instant) {
        let start = Instant::now();
        let mut moving = Moving::new(0, 45_600_000, start);
        if again {
            moving.reach(1_000_000, start);
            moving.reach(0, start);
        }
        moving.reach(at, start + 4 * SECOND);
        (moving, start + 4 * SECOND)
    }

    #[test]
    fn a_transfer_is_a_line_that_fits() {
        let (short, long) = ("push ghcr.io/me/app", "base registry.example.com/team/debian:12-slim linux/arm64");
        let (some, most, all) = (4_560_000, 14_400_000, 45_600_000);
        for (what, at, again, width, name, rest) in [
            (short, most, false, 120, short, "  [======>                 ]  14.40 of 45.60 MB    3.60 MB/s  9 s left"),
            (short, most, false, 80, short, "  [=>       ]  14.40 of 45.60 MB    3.60 MB/s  9 s left"),
            (short, most, true, 80, "push ghc…/me/app again", "  [>     ]  14.40 of 45.60 MB    3.60 MB/s  9 s left"),
            (long, all, false, 120, long, "  [===========]  45.60 of 45.60 MB    finishing"),
            (long, 0, false, 80, "base regist…inux/arm64", "  [      ]   0.00 of 45.60 MB        0 B/s"),
            (long, some, false, 68, "base regis…nux/arm64", "   4.56 of 45.60 MB    1.14 MB/s  36 s left"),
            (long, some, false, 50, "base re…x/arm64", "   4.56 of 45.60 MB    1.14 MB/s"),
            (long, some, false, 40, "base regi…ux/arm64", "   4.56 of 45.60 MB"),
            (long, some, false, 20, "base reg…ux/arm64", ""),
        ] {
            let (moving, now) = come_to(at, again);
            let columns = Columns::new(width, &[(what, &moving)]);
            let line = super::moving(what, &moving, now, 4 * SECOND, &columns);
            assert_eq!(line, format!("⠸ {name}{rest}"), "{width}");
            assert!(line.chars().count() < width, "{line}");
        }
    }

    #[test]
    fn what_has_no_size_shows_its_time() {
        let what = "linux/arm64      hello                compiling";
        for (width, expected) in
            [(80, "⠼ linux/arm64      hello                compiling 90 s"), (30, "⠼ linux/arm64 …compiling 90 s")]
        {
            assert_eq!(spinning(what, Duration::from_millis(90_480), width), expected);
        }
    }

    #[test]
    fn nothing_to_move_is_a_full_bar() {
        let now = Instant::now();
        assert_eq!(filled(&Moving::new(0, 0, now), 6), "======");
        assert_eq!(filled(&Moving::new(99, 100, now), 6), "====>");
    }
}
