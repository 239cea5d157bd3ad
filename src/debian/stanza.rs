//! Text in Debian's control format becomes stanzas of the fields that are wanted, one at a time, so that an index of
//! 50 MB is never in memory: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#syntax-of-control-files>.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

/// The wanted fields of one stanza, by the name under which they were wanted.
pub type Stanza = BTreeMap<&'static str, String>;

/// Reads stanzas off a text.
pub struct Stanzas<R> {
    reader: R,
    wanted: &'static [&'static str],
    line: Vec<u8>,
}

impl<R: BufRead> Stanzas<R> {
    /// Keeps the fields `wanted` (their case does not count) and passes over all others.
    pub fn new(reader: R, wanted: &'static [&'static str]) -> Self {
        Self { reader, wanted, line: Vec::new() }
    }

    /// The next stanza, or `None` at the end of the text. Lines that continue a field are joined by line feeds, each
    /// without the space that it begins with.
    ///
    /// # Errors
    /// When the text cannot be read, or a line is neither a field nor the continuation of one.
    pub fn next_stanza(&mut self) -> io::Result<Option<Stanza>> {
        let mut stanza = Stanza::new();
        let mut begun = false;
        let mut field: Option<&'static str> = None;
        loop {
            self.line.clear();
            let end = self.reader.read_until(b'\n', &mut self.line)? == 0;
            let line = self.line.trim_ascii_end();
            if end || line.is_empty() {
                if begun || end {
                    return Ok(begun.then_some(stanza));
                }
                continue;
            }
            if line[0] == b' ' || line[0] == b'\t' {
                if !begun {
                    return Err(malformed(line));
                }
                if let Some(text) = field.and_then(|name| stanza.get_mut(name)) {
                    text.push('\n');
                    text.push_str(&String::from_utf8_lossy(&line[1..]));
                }
                continue;
            }
            let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| malformed(line))?;
            begun = true;
            field = self.wanted.iter().copied().find(|name| name.as_bytes().eq_ignore_ascii_case(&line[..colon]));
            if let Some(name) = field {
                stanza.insert(name, String::from_utf8_lossy(line[colon + 1..].trim_ascii_start()).into_owned());
            }
        }
    }
}

fn malformed(line: &[u8]) -> io::Error {
    let text: String = String::from_utf8_lossy(line).chars().take(60).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("`{text}` is neither a field nor the continuation of one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> io::Result<Vec<Stanza>> {
        let mut stanzas = Stanzas::new(text.as_bytes(), &["Package", "SHA256"]);
        let mut found = Vec::new();
        while let Some(stanza) = stanzas.next_stanza()? {
            found.push(stanza);
        }
        Ok(found)
    }

    #[test]
    fn stanzas_are_read_one_at_a_time() {
        for (text, expected) in [
            ("", vec![]),
            ("\n\n", vec![]),
            ("Package: a\n", vec![vec![("Package", "a")]]),
            ("Package: a\r\nsha256:\r\n x y\r\n z\r\n", vec![vec![("Package", "a"), ("SHA256", "\nx y\nz")]]),
            (
                "\nPackage: a\nDescription: long\n text\nSHA256: 1\n\n\nPackage: b",
                vec![vec![("Package", "a"), ("SHA256", "1")], vec![("Package", "b")]],
            ),
            ("Other: x\n", vec![vec![]]),
        ] {
            let expected: Vec<Stanza> = expected
                .into_iter()
                .map(|fields| fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
                .collect();
            assert_eq!(all(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for text in ["<html>\n", " begins with a space\n", "Package: a\nnonsense\n"] {
            let error = all(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
            assert!(error.to_string().contains("is neither a field"), "{error}");
        }
    }
}
