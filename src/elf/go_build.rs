//! Go's build information becomes [`GoBuild`]: which Go linked a binary, and with which settings.
//!
//! Source: Go's own `src/debug/buildinfo/buildinfo.go` and `src/runtime/debug/mod.go`. Since Go 1.18 two strings
//! follow the header, each behind its length: the version, and lines of text between two marks of 16 bytes. Before,
//! the header held pointers, and there were no settings to find behind them.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use object::elf;
use serde::{Deserialize, Serialize};

use super::error::{ElfError, damaged};
use super::read::{Layout, Source, printable};

const MAGIC: &[u8] = b"\xff Go buildinf:";
const HEADER_SIZE: u64 = 32;
const ALIGNMENT: u64 = 16;
/// Position of the flags in the header, and the flag that says that the strings follow.
const FLAGS: usize = 15;
const INLINE: u8 = 2;
/// Go's linker puts the header at the beginning; a binary without section headers is searched this far.
const SEARCH: u64 = 1 << 20;
/// Hundreds of modules take less than 100 kB.
const TEXT_SIZE: u64 = 8 << 20;
/// The marks around the text.
const MARK: usize = 16;

/// What Go wrote into a binary about its build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoBuild {
    /// `go1.26.1`; `None` for a Go before 1.18
    pub version: Option<String>,
    /// `GOARCH`, `GOARM`, `CGO_ENABLED`, `-tags`, `vcs.revision` and so on; empty when the build left them out
    pub settings: BTreeMap<String, String>,
}

impl GoBuild {
    /// The value of a setting: `setting("GOARM")`.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn parse(version: &[u8], text: &[u8]) -> Self {
        let text = match text.len().checked_sub(MARK + 1) {
            Some(newline) if newline >= MARK && text[newline] == b'\n' => &text[MARK..=newline],
            _ => &[],
        };
        let settings = text.split(|byte| *byte == b'\n').filter_map(|line| {
            let setting = line.strip_prefix(b"build\t")?;
            let equals = setting.iter().position(|byte| *byte == b'=')?;
            Some((printable(&setting[..equals]), unquoted(&setting[equals + 1..])))
        });
        Self { version: Some(printable(version)), settings: settings.collect() }
    }
}

/// Go quotes a value with white space or quotes in it. None of the values that anyone compares is of that kind, so
/// what is inside the quotes stays as Go escaped it.
fn unquoted(value: &[u8]) -> String {
    let inside = |quote: u8| value.strip_prefix(&[quote]).and_then(|rest| rest.strip_suffix(&[quote]));
    printable(inside(b'"').or_else(|| inside(b'`')).unwrap_or(value))
}

/// Reads the build information; `None` when there is none.
pub(super) fn read<R: Read + Seek>(source: &mut Source<R>, layout: &Layout) -> Result<Option<GoBuild>, ElfError> {
    // Where the sections are known, a binary without this one is not Go's, whatever its data holds by chance.
    let place = match layout.section(b".go.buildinfo") {
        Some(section) => Some((section.address, section.offset, section.size)),
        None if layout.sections.is_empty() => layout
            .loaded()
            .find(|segment| segment.flags.0 & (elf::PF_W.0 | elf::PF_X.0) == elf::PF_W.0)
            .map(|segment| (segment.address, segment.offset, segment.size)),
        None => None,
    };
    let Some((address, offset, size)) = place else { return Ok(None) };
    let what = "its Go build information lies beyond its end";
    let end = offset.checked_add(size).ok_or_else(|| damaged(what))?;
    let searched = source.bytes(offset, size.min(SEARCH), SEARCH, what)?;
    let Some(found) = find(&searched, address) else { return Ok(None) };
    let header = offset + found;
    let flags = usize::try_from(found).ok().and_then(|found| searched.get(found + FLAGS)).copied().unwrap_or_default();
    if flags & INLINE == 0 {
        return Ok(Some(GoBuild::default()));
    }
    let (version, next) = read_string(source, header + HEADER_SIZE, end)?;
    let (text, _) = read_string(source, next, end)?;
    Ok((!version.is_empty()).then(|| GoBuild::parse(&version, &text)))
}

/// Where the header begins: at an address that is a multiple of 16, with room for the whole of it.
fn find(searched: &[u8], address: u64) -> Option<u64> {
    let first = address.wrapping_neg() % ALIGNMENT;
    (first..(searched.len() as u64).saturating_sub(HEADER_SIZE - 1)).step_by(16).find(|start| {
        usize::try_from(*start).ok().and_then(|start| searched.get(start..)).is_some_and(|rest| rest.starts_with(MAGIC))
    })
}

/// The string at `offset` behind its length (a varint, seven bits a byte), and the offset after it.
fn read_string<R: Read + Seek>(source: &mut Source<R>, offset: u64, end: u64) -> Result<(Vec<u8>, u64), ElfError> {
    let what = "its Go build information ends too early";
    let bytes = source.up_to(offset, end.saturating_sub(offset).min(10))?;
    let mut length = 0_u64;
    for (position, byte) in (0_u32..).zip(bytes) {
        // What is shifted out makes the length wrong, not the arithmetic; it is held to the bound below.
        length |= u64::from(byte & 0x7f).checked_shl(7 * position).unwrap_or(u64::MAX);
        if byte & 0x80 == 0 {
            let start = offset + u64::from(position) + 1;
            let after = start.checked_add(length).filter(|after| *after <= end).ok_or_else(|| damaged(what))?;
            return Ok((source.bytes(start, length, TEXT_SIZE, what)?, after));
        }
    }
    Err(damaged(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_the_build_lines_between_the_marks() {
        let text = b"0123456789abcdefpath\thello\nbuild\t-ldflags=\"-s -w\"\nbuild\tGOARM=6\nbuild\tGOOS=linux\nfedcba9876543210";
        let build = GoBuild::parse(b"go1.26.1", text);
        assert_eq!(build.version.as_deref(), Some("go1.26.1"));
        let settings: Vec<_> = build.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(settings, ["-ldflags=-s -w", "GOARM=6", "GOOS=linux"]);
        assert_eq!(build.setting("GOARM"), Some("6"));
        assert_eq!(build.setting("GOAMD64"), None);
    }

    #[test]
    fn text_without_its_marks_is_no_settings() {
        for text in [b"".as_slice(), b"\n", b"build\tGOARM=6\n", b"0123456789abcdef\nfedcba9876543210", &[b'x'; 40]] {
            let build = GoBuild::parse(b"go1.26.1", text);
            assert!(build.settings.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn the_header_is_found_at_multiples_of_16_only() {
        let at = |position: usize, size: usize| {
            let mut bytes = vec![0; size];
            bytes[position..position + MAGIC.len()].copy_from_slice(MAGIC);
            bytes
        };
        for (bytes, address, found) in [
            (at(0, 32), 0x1000, Some(0)),
            (at(48, 80), 0x1000, Some(48)),
            (at(8, 64), 0x1000, None),
            (at(8, 64), 0x1008, Some(8)),
            (at(32, 63), 0x1000, None),
            (vec![0; 8], 0x1001, None),
        ] {
            assert_eq!(find(&bytes, address), found);
        }
    }
}
