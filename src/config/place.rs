//! Byte offsets in the configuration's text become `anyarch.toml:12:3`, and every value can say where it came from.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;

/// A line and a column of a file; prints as `anyarch.toml:12:3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// the file, as it is to be shown
    pub path: Arc<Path>,
    /// from 1
    pub line: u32,
    /// from 1, in characters
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// the configuration file
    File(Place),
    /// a command-line flag, by its long name (`--tag`)
    Flag(&'static str),
    /// nobody: it is what holds when nobody says otherwise
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => place.fmt(formatter),
            Self::Flag(flag) => formatter.write_str(flag),
            Self::Default => formatter.write_str("default"),
        }
    }
}

/// The text of a configuration file with the path under which it is shown. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    path: Arc<Path>,
    text: Arc<str>,
}

impl Default for Source {
    fn default() -> Self {
        Self::new(Path::new(super::FILE_NAME), "")
    }
}

impl Source {
    /// Keeps a copy of `text`.
    #[must_use]
    pub fn new(path: &Path, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The path under which the file is shown.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is written at a span, nothing when the span is not of this text.
    #[must_use]
    pub fn written(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The line and column of a byte offset; an offset behind the end is the end.
    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            path: Arc::clone(&self.path),
            line: from_one(before.bytes().filter(|byte| *byte == b'\n').count()),
            // A byte order mark in front of the text is no column of it.
            column: from_one(before[line_start..].trim_start_matches('\u{feff}').chars().count()),
        }
    }

    /// Where a value was written.
    #[must_use]
    pub fn place_of<T>(&self, value: &Spanned<T>) -> Place {
        self.place(value.span().start)
    }

    /// Where a value was written, as the origin that template errors show.
    #[must_use]
    pub fn origin_of<T>(&self, value: &Spanned<T>) -> Origin {
        Origin::File(self.place_of(value))
    }
}

fn from_one(before: usize) -> u32 {
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_a_line_and_a_column_in_characters() {
        let source = Source::new(Path::new("anyarch.toml"), "a = \"é\" # x\nb = 1\n");
        for (offset, shown) in [
            (0, "anyarch.toml:1:1"),
            (5, "anyarch.toml:1:6"),
            (6, "anyarch.toml:1:6"),
            (7, "anyarch.toml:1:7"),
            (13, "anyarch.toml:2:1"),
            (17, "anyarch.toml:2:5"),
            (19, "anyarch.toml:3:1"),
            (999, "anyarch.toml:3:1"),
        ] {
            assert_eq!(source.place(offset).to_string(), shown, "{offset}");
        }
        assert_eq!(Source::default().place(3).to_string(), "anyarch.toml:1:1");
        assert_eq!(Origin::Flag("--tag").to_string(), "--tag");
    }
}
