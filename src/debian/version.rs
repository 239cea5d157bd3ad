//! Versions of Debian packages and their order:
//! <https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Peekable;
use std::str::Bytes;

/// `[epoch:]upstream[-revision]`, kept as it was written. Two versions that are written differently may be equal
/// (`1.0` and `1.0-0`).
#[derive(Debug, Clone)]
pub struct Version(String);

impl Version {
    /// Takes a version as a stanza has it; every text has a place in the order.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (u64, &str, &str) {
        let (epoch, rest) = match self.0.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, self.0.as_str()),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }

    /// The first two numbers of the upstream version: of `2.36-9+deb12u10`, (2, 36).
    #[must_use]
    pub fn major_minor(&self) -> Option<(u32, u32)> {
        let (_, upstream, _) = self.parts();
        let mut numbers = upstream.split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?;
        let digits = minor.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(minor.len());
        Some((major, minor[..digits].parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (epoch, upstream, revision) = self.parts();
        let (their_epoch, their_upstream, their_revision) = other.parts();
        epoch
            .cmp(&their_epoch)
            .then_with(|| compare(upstream, their_upstream))
            .then_with(|| compare(revision, their_revision))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// Compares by turns what is not digits, letter by letter, and numbers.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.bytes().peekable(), other.bytes().peekable());
    while one.peek().is_some() || other.peek().is_some() {
        loop {
            let (left, right) = (letter(&mut one), letter(&mut other));
            match left.cmp(&right) {
                Ordering::Equal if left == 0 => break,
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        let (left, right) = (number(&mut one), number(&mut other));
        // Without leading zeros the longer number is the greater one.
        let order = left.len().cmp(&right.len()).then_with(|| left.cmp(&right));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The weight of the next byte that is no digit, which is taken: `~` comes before the end, the end before letters,
/// letters before all else.
fn letter(bytes: &mut Peekable<Bytes<'_>>) -> i32 {
    match bytes.next_if(|byte| !byte.is_ascii_digit()) {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

/// The digits that come next, without leading zeros.
fn number(bytes: &mut Peekable<Bytes<'_>>) -> Vec<u8> {
    let mut digits = Vec::new();
    while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
        if digit != b'0' || !digits.is_empty() {
            digits.push(digit);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Policy's own examples, dpkg's test suite, and versions of bookworm.
    #[test]
    fn versions_have_the_order_of_the_policy() {
        for (one, order, other) in [
            ("~~", "<", "~~a"),
            ("~~a", "<", "~"),
            ("~", "<", ""),
            ("", "<", "a"),
            ("1.0~beta1~svn1245", "<", "1.0~beta1"),
            ("1.0~beta1", "<", "1.0"),
            ("1.0", "=", "1.0-0"),
            ("0:1.0", "=", "1.0"),
            ("1.0", "=", "1.00"),
            ("1.2.3", "<", "1.2.10"),
            ("1.2", "<", "1.2a"),
            ("1.2a", "<", "1.2+b"),
            ("1.2-1", "<", "1.2-1+b1"),
            ("1:0.1", ">", "9.9"),
            ("2.36-9+deb12u10", ">", "2.36-9+deb12u9"),
            ("3.0.20-1~deb12u1", "<", "3.0.20-1"),
            ("5.3.28+dfsg2-1", ">", "5.3.28-1"),
            ("1:9.20210110-1", ">", "9.20210110-1"),
            ("99999999999999999999", "<", "100000000000000000000"),
            ("1.0-1-2", ">", "1.0-1"),
        ] {
            let expected = match order {
                "<" => Ordering::Less,
                ">" => Ordering::Greater,
                _ => Ordering::Equal,
            };
            let (one, other) = (Version::new(one), Version::new(other));
            assert_eq!(one.cmp(&other), expected, "{one} {order} {other}");
            assert_eq!(other.cmp(&one), expected.reverse(), "{other} and {one}");
        }
    }

    #[test]
    fn a_libc_version_is_two_numbers() {
        for (text, expected) in [
            ("2.36-9+deb12u10", Some((2, 36))),
            ("2.41-12", Some((2, 41))),
            ("2.42~rc1-1", Some((2, 42))),
            ("1:2.31.1", Some((2, 31))),
            ("2", None),
            ("two.six", None),
        ] {
            assert_eq!(Version::new(text).major_minor(), expected, "{text}");
        }
    }
}
