//! A `Range` header and the size of some content become the bytes that are asked for.

/// Which bytes of some content are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// all of them
    Whole,
    /// from the first to the last, both counted from 0
    Part {
        /// the first byte
        first: u64,
        /// the last byte, which is part of it
        last: u64,
    },
    /// none that there are
    Outside,
}

/// Reads a header of a GET: <https://www.rfc-editor.org/rfc/rfc9110#section-14.2>. A header that is malformed, of another
/// unit, or that asks for several parts is passed over, as the specification allows: the whole content is then sent.
#[must_use]
pub fn select(header: Option<&str>, size: u64) -> Selection {
    header.and_then(|header| part(header, size)).unwrap_or(Selection::Whole)
}

fn part(header: &str, size: u64) -> Option<Selection> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?;
        return Some(match (length.min(size), size) {
            (0, _) => Selection::Outside,
            (length, size) => Selection::Part { first: size - length, last: size - 1 },
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(if first >= size { Selection::Outside } else { Selection::Part { first, last: last.min(size - 1) } })
}

/// Digits alone; a number that is larger than any content is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_selects_bytes_or_is_passed_over() {
        let part = |first, last| Selection::Part { first, last };
        for (header, size, expected) in [
            ("bytes=0-9", 100, part(0, 9)),
            ("bytes=0-0", 1, part(0, 0)),
            ("bytes=90-200", 100, part(90, 99)),
            ("bytes=90-", 100, part(90, 99)),
            ("bytes=-5", 100, part(95, 99)),
            ("bytes=-500", 100, part(0, 99)),
            ("Bytes = 1 - 2", 100, part(1, 2)),
            ("bytes=0-99999999999999999999999", 100, part(0, 99)),
            ("bytes=100-", 100, Selection::Outside),
            ("bytes=99999999999999999999999-", 100, Selection::Outside),
            ("bytes=-0", 100, Selection::Outside),
            ("bytes=0-", 0, Selection::Outside),
            ("bytes=-1", 0, Selection::Outside),
            ("bytes=9-8", 100, Selection::Whole),
            ("bytes=0-1,4-5", 100, Selection::Whole),
            ("bytes=", 100, Selection::Whole),
            ("bytes=-", 100, Selection::Whole),
            ("bytes=a-b", 100, Selection::Whole),
            ("bytes=+1-2", 100, Selection::Whole),
            ("bytes=--1", 100, Selection::Whole),
            ("lines=1-2", 100, Selection::Whole),
            ("0-9", 100, Selection::Whole),
            ("", 100, Selection::Whole),
        ] {
            assert_eq!(select(Some(header), size), expected, "{header} of {size}");
        }
        assert_eq!(select(None, 7), Selection::Whole);
    }
}
