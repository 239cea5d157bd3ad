//! Reads which part of a blob an answer holds.

/// What a `Content-Range` says: <https://www.rfc-editor.org/rfc/rfc9110#section-14.4>.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) last: u64,
    /// the size of the whole, unless it is `*`
    pub(super) whole: Option<u64>,
}

/// Reads the header; `None` for one that says nothing of use.
pub(super) fn content_range(text: &str) -> Option<ContentRange> {
    let (range, whole) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let whole = if whole == "*" { None } else { Some(whole.parse().ok()?) };
    (first <= last).then_some(ContentRange { first, last, whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_not_believed() {
        let range = |first, last, whole| Some(ContentRange { first, last, whole });
        for (text, expected) in [
            ("bytes 0-0/1", range(0, 0, Some(1))),
            ("bytes 7-99/100", range(7, 99, Some(100))),
            ("bytes 7-99/*", range(7, 99, None)),
            ("bytes */100", None),
            ("bytes 9-7/100", None),
            ("bytes 7-/100", None),
            ("bytes -7/100", None),
            ("lines 1-2/3", None),
            ("bytes 1-99999999999999999999/3", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }
}
