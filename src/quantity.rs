//! Sizes and times as people write them become bytes and durations.

use std::time::Duration;

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// no size
    #[error("`{0}` is no size: it should read like 500MB, 20GB or 1.5GiB")]
    Size(String),
    /// no time
    #[error("`{0}` is no time: it should read like 90s, 30min, 12h, 7d or 2w")]
    Time(String),
}

/// What a unit stands for.
type Unit = (&'static str, u64);

const SIZES: &[Unit] = &[
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];
const TIMES: &[Unit] =
    &[("s", 1), ("m", 60), ("min", 60), ("h", 60 * 60), ("d", 24 * 60 * 60), ("w", 7 * 24 * 60 * 60)];

/// Reads a size: a number, which may have a fraction, and a unit of bytes, decimal (MB) or binary (MiB), in any case.
/// Only `0` needs no unit.
///
/// # Errors
/// When it is none, or more than 2^64 bytes.
pub fn size(text: &str) -> Result<u64, QuantityError> {
    quantity(text, SIZES).ok_or_else(|| QuantityError::Size(text.to_owned()))
}

/// Reads a limit: a size, or `0` or `none` for no limit, which is `None`.
///
/// # Errors
/// As [`size`].
pub fn limit(text: &str) -> Result<Option<u64>, QuantityError> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    Ok(Some(size(text)?).filter(|limit| *limit > 0))
}

/// Reads a time: a number, which may have a fraction, and a unit from seconds to weeks. Only `0` needs no unit.
///
/// # Errors
/// When it is none, or more than 2^64 seconds.
pub fn time(text: &str) -> Result<Duration, QuantityError> {
    let seconds = quantity(text, TIMES).ok_or_else(|| QuantityError::Time(text.to_owned()))?;
    Ok(Duration::from_secs(seconds))
}

/// Whole numbers are exact; of a fraction nine digits count.
fn quantity(text: &str, units: &[Unit]) -> Option<u64> {
    let text = text.trim();
    let letters = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = (text[..letters].trim_end(), text[letters..].to_ascii_lowercase());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = fraction.parse().ok()?;
    let factor = match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() && whole == 0 && fraction == 0 => 0,
        None => return None,
    };
    let exact = whole.checked_mul(u128::from(factor))?.checked_add(fraction * u128::from(factor) / scale)?;
    u64::try_from(exact).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, expected) in [
            ("20GB", Some(20_000_000_000)),
            ("20 gb", Some(20_000_000_000)),
            ("1.5GiB", Some(1_610_612_736)),
            (" 500MB ", Some(500_000_000)),
            ("7B", Some(7)),
            ("0.1kB", Some(100)),
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("20", None),
            ("20G", None),
            ("", None),
            ("GB", None),
            ("-1GB", None),
            ("1.GB", None),
            (".5GB", None),
            ("1e3MB", None),
            ("1,5GB", None),
            ("1GB2", None),
            ("99999999999999TB", None),
            ("340282366920938463463374607431768211456B", None),
            ("\u{661}GB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
        assert_eq!(size("20G").unwrap_err().to_string(), "`20G` is no size: it should read like 500MB, 20GB or 1.5GiB");
    }

    #[test]
    fn no_limit_has_two_names() {
        for (text, expected) in [
            ("0", Some(None)),
            ("none", Some(None)),
            ("0GB", Some(None)),
            ("1GB", Some(Some(1_000_000_000))),
            ("no", None),
        ] {
            assert_eq!(limit(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn times_read_as_people_write_them() {
        for (text, expected) in [
            ("7d", Some(604_800)),
            ("2w", Some(1_209_600)),
            ("12 h", Some(43_200)),
            ("1.5h", Some(5_400)),
            ("30min", Some(1_800)),
            ("30m", Some(1_800)),
            ("90s", Some(90)),
            ("0", Some(0)),
            ("7", None),
            ("7 days", None),
            ("1y", None),
        ] {
            assert_eq!(time(text).ok().map(|time| time.as_secs()), expected, "{text}");
        }
        assert_eq!(time("7").unwrap_err().to_string(), "`7` is no time: it should read like 90s, 30min, 12h, 7d or 2w");
    }
}
