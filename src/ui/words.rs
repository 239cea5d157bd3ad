//! Numbers become words for people. Decimal units throughout, as registries and `docker images` show them.

use std::time::Duration;

use crate::run::moved::{Count, Traffic};

/// Units from the largest down, with how many bytes each is.
const UNITS: &[(&str, u64)] = &[
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// A duration: `0.84 s`.
#[must_use]
pub fn seconds(elapsed: Duration) -> String {
    format!("{:.2} s", elapsed.as_secs_f64())
}

/// How long ago something was, for people: `3 h ago`.
#[must_use]
pub fn age(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A size: `12.30 MB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    let (unit, length) = unit_of(size);
    format!("{} {unit}", in_units(size, length))
}

/// How much of a size there is, in the unit of the size: `0.50 of 12.30 MB`.
#[must_use]
pub(super) fn part(at: u64, size: u64) -> String {
    let (unit, length) = unit_of(size);
    format!("{} of {} {unit}", in_units(at, length), in_units(size, length))
}

/// Bytes in a second: `3.60 MB/s`.
#[must_use]
pub(super) fn speed(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// Time that is left, the coarser the more it is: `10 s left`, `12 min left`, `3 h left`.
#[must_use]
pub(super) fn left(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s left"),
        100..5_400 => format!("{} min left", seconds.div_ceil(60)),
        _ => format!("{} h left", seconds.div_ceil(3600)),
    }
}

/// What went to a registry and came from it: `pushed 6 blobs (3.10 MB), mounted 12, 48 were there`.
#[must_use]
pub fn traffic(traffic: &Traffic) -> String {
    let Traffic { fetched, pushed, mounted, present } = traffic;
    let mut said = false;
    let mut blobs = |count: &Count| {
        let word = if count.blobs == 1 { " blob" } else { " blobs" };
        // Once is enough.
        format!("{}{}", count.blobs, if std::mem::replace(&mut said, true) { "" } else { word })
    };
    let mut parts = Vec::new();
    for (verb, count) in [("fetched", fetched), ("pushed", pushed)] {
        if count.blobs > 0 {
            parts.push(format!("{verb} {} ({})", blobs(count), bytes(count.bytes)));
        }
    }
    if mounted.blobs > 0 {
        parts.push(format!("mounted {}", blobs(mounted)));
    }
    if present.blobs > 0 {
        let were = if present.blobs == 1 { "was" } else { "were" };
        parts.push(format!("{} {were} there", blobs(present)));
    }
    parts.join(", ")
}

/// The unit that a size is shown in, and its length in bytes.
fn unit_of(size: u64) -> (&'static str, u64) {
    // As long as the smaller unit does not have to be written with four digits, it is the better one.
    let fits = |(_, length): &&(&str, u64)| hundredths(size, length / 1_000) >= 100_000;
    UNITS.iter().find(fits).copied().unwrap_or(("B", 1))
}

/// Rounded to hundredths, except for single bytes.
fn in_units(size: u64, length: u64) -> String {
    if length == 1 {
        return size.to_string();
    }
    let hundredths = hundredths(size, length);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn hundredths(size: u64, length: u64) -> u128 {
    (u128::from(size) * 100 + u128::from(length) / 2) / u128::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_decimals_and_the_largest_unit_that_fits() {
        for (size, expected) in [
            (0, "0 B"),
            (1, "1 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (1_004, "1.00 kB"),
            (1_005, "1.01 kB"),
            (215_496, "215.50 kB"),
            (999_994, "999.99 kB"),
            (999_995, "1.00 MB"),
            (1_000_000, "1.00 MB"),
            (12_300_000, "12.30 MB"),
            (2_000_000_000, "2.00 GB"),
            (3_456_000_000_000, "3.46 TB"),
            (u64::MAX, "18446.74 PB"),
        ] {
            assert_eq!(bytes(size), expected, "{size}");
        }
    }

    #[test]
    fn a_part_is_in_the_unit_of_the_whole() {
        for (at, size, expected) in [
            (0, 0, "0 of 0 B"),
            (12, 523, "12 of 523 B"),
            (0, 1_500, "0.00 of 1.50 kB"),
            (500_000, 12_300_000, "0.50 of 12.30 MB"),
            (2_000_000_000, 2_000_000_000, "2.00 of 2.00 GB"),
        ] {
            assert_eq!(part(at, size), expected);
        }
        assert_eq!(speed(3_600_000), "3.60 MB/s");
        assert_eq!(speed(0), "0 B/s");
    }

    #[test]
    fn times_are_as_fine_as_they_are_short() {
        for (time, expected) in [(0, "0.00 s"), (840, "0.84 s"), (1_005, "1.00 s"), (61_000, "61.00 s")] {
            assert_eq!(seconds(Duration::from_millis(time)), expected);
        }
        for (seconds, expected) in [
            (0, "0 s left"),
            (10, "10 s left"),
            (99, "99 s left"),
            (100, "2 min left"),
            (121, "3 min left"),
            (5_399, "90 min left"),
            (5_400, "2 h left"),
            (7_201, "3 h left"),
        ] {
            assert_eq!(left(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn traffic_says_what_there_was_and_nothing_else() {
        let of = |blobs, bytes| Count { blobs, bytes };
        for (fetched, pushed, mounted, present, expected) in [
            (
                of(2, 31_200_000),
                of(6, 3_100_000),
                of(12, 99),
                of(48, 99),
                "fetched 2 blobs (31.20 MB), pushed 6 (3.10 MB), mounted 12, 48 were there",
            ),
            (of(0, 0), of(6, 3_100_000), of(0, 0), of(1, 7), "pushed 6 blobs (3.10 MB), 1 was there"),
            (of(0, 0), of(1, 523), of(0, 0), of(0, 0), "pushed 1 blob (523 B)"),
            (of(0, 0), of(0, 0), of(1, 523), of(0, 0), "mounted 1 blob"),
            (of(0, 0), of(0, 0), of(0, 0), of(1, 523), "1 blob was there"),
            (of(0, 0), of(0, 0), of(0, 0), of(17, 523), "17 blobs were there"),
        ] {
            assert_eq!(traffic(&Traffic { fetched, pushed, mounted, present }), expected);
        }
    }
}
