//! The first bytes of a file that is no ELF binary become a [`FileKind`]: what it is instead, in words.

use std::fmt;

/// What a file is that should have been an ELF binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// no bytes at all
    Empty,
    /// a macOS binary, for one machine or several
    MachO,
    /// a Windows binary
    Pe,
    /// `#!` and an interpreter
    Script {
        /// the first line after `#!`, shortened
        interpreter: String,
    },
    /// a static library (`.a`) or a Debian package
    Archive,
    /// a compressed file or archive
    Compressed(&'static str),
    /// WebAssembly
    Wasm,
    /// LLVM bitcode, what a compiler writes under link-time optimization
    Bitcode,
    /// a Java class
    JavaClass,
    /// text
    Text {
        /// its first line, shortened
        beginning: String,
    },
    /// none of these
    Unknown {
        /// its first bytes, at most eight
        beginning: Vec<u8>,
    },
}

/// How many bytes of a file [`FileKind::of`] looks at.
pub(super) const BEGINNING: usize = 512;
/// How much of a line is repeated in an error.
const LINE: usize = 60;

impl FileKind {
    /// Tells what a file is from its first 512 bytes, or all of them if there are fewer.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        // Magic numbers as file(1) has them. Mach-O's universal binaries and Java classes begin alike: there the
        // number of architectures follows (a few), here the class file's version (45 and up).
        match bytes {
            [] => Self::Empty,
            [0xca, 0xfe, 0xba, 0xbe, _, _, 0, 45..=255, ..] => Self::JavaClass,
            [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
            | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
            | [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] => Self::MachO,
            [b'M', b'Z', ..] if bytes.len() >= 64 && !is_text(bytes) => Self::Pe,
            [b'#', b'!', rest @ ..] => Self::Script { interpreter: first_line(rest) },
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', b'\n', ..]
            | [b'!', b'<', b't', b'h', b'i', b'n', b'>', b'\n', ..] => Self::Archive,
            [0x1f, 0x8b, ..] => Self::Compressed("gzip"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Compressed("zstd"),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Compressed("xz"),
            [b'P', b'K', 3, 4, ..] => Self::Compressed("zip"),
            [0, b'a', b's', b'm', ..] => Self::Wasm,
            [b'B', b'C', 0xc0, 0xde, ..] => Self::Bitcode,
            _ if is_text(bytes) => Self::Text { beginning: first_line(bytes) },
            _ => Self::Unknown { beginning: bytes.iter().copied().take(8).collect() },
        }
    }
}

/// UTF-8 without control characters other than white space; a character that the end cuts in two is no objection.
fn is_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|character| !character.is_control() || character.is_ascii_whitespace())
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = super::read::printable(line);
    let line = line.trim();
    if line.chars().count() <= LINE {
        return line.to_owned();
    }
    line.chars().take(LINE).chain("...".chars()).collect()
}

impl fmt::Display for FileKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("an empty file"),
            Self::MachO => formatter.write_str("a Mach-O binary (macOS)"),
            Self::Pe => formatter.write_str("a PE binary (Windows)"),
            Self::Script { interpreter } => write!(formatter, "a script for `{interpreter}`"),
            Self::Archive => formatter.write_str("an ar archive (a static library or a package)"),
            Self::Compressed(format) => write!(formatter, "a {format} file"),
            Self::Wasm => formatter.write_str("a WebAssembly module"),
            Self::Bitcode => formatter.write_str("LLVM bitcode"),
            Self::JavaClass => formatter.write_str("a Java class"),
            Self::Text { beginning } => write!(formatter, "text that begins `{beginning}`"),
            Self::Unknown { beginning } => {
                formatter.write_str("a file that begins with the bytes")?;
                beginning.iter().try_for_each(|byte| write!(formatter, " {byte:02x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_instead_is_said() {
        let pe = [b"MZ\x90\0".as_slice(), &[0; 60]].concat();
        let long = format!("{}\nsecond", "x".repeat(80));
        let long_text = format!("text that begins `{}...`", "x".repeat(60));
        for (bytes, words) in [
            (b"".as_slice(), "an empty file"),
            (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "a Mach-O binary (macOS)"),
            (b"\xfe\xed\xfa\xce\0\0\0\x12", "a Mach-O binary (macOS)"),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", "a Mach-O binary (macOS)"),
            (b"\xca\xfe\xba\xbe\0\0\0\x41", "a Java class"),
            (&pe, "a PE binary (Windows)"),
            (b"MZ is how this text begins", "text that begins `MZ is how this text begins`"),
            (b"#!/bin/sh -e\necho", "a script for `/bin/sh -e`"),
            (b"#! /usr/bin/env \x1b[31mpython\n", "a script for `/usr/bin/env \u{fffd}[31mpython`"),
            (b"!<arch>\nx.o/", "an ar archive (a static library or a package)"),
            (b"\x1f\x8b\x08\0", "a gzip file"),
            (b"PK\x03\x04", "a zip file"),
            (b"\0asm\x01\0\0\0", "a WebAssembly module"),
            (b"BC\xc0\xde5", "LLVM bitcode"),
            (b"version https://git-lfs.github.com/spec/v1\noid", {
                "text that begins `version https://git-lfs.github.com/spec/v1`"
            }),
            ("déjà vu\nx".as_bytes(), "text that begins `déjà vu`"),
            (&"dé".as_bytes()[..2], "text that begins `d\u{fffd}`"),
            (long.as_bytes(), &long_text),
            (b"\x7fELG\x01\x02", "a file that begins with the bytes 7f 45 4c 47 01 02"),
            (b"\0\0\0\0\0\0\0\0\0\0", "a file that begins with the bytes 00 00 00 00 00 00 00 00"),
        ] {
            assert_eq!(FileKind::of(bytes).to_string(), words);
        }
    }
}
