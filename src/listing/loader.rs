//! The bytes of a dynamic loader become [`Loader`]: where it looks for libraries when nobody tells it.
//!
//! No table could say it: each distribution builds its own folders in. glibc holds them as texts in a row, each with a
//! slash at its end (`system_dirs` in `elf/dl-load.c`), musl as one text with colons (`ldso/dynlink.c`).

use serde::{Deserialize, Serialize};

use crate::elf::{ElfFacts, Linkage};

/// A loader is some hundred kilobytes; with everything for a debugger some megabytes.
pub(super) const LOADER_SIZE: u64 = 16 << 20;

/// What a dynamic loader says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loader {
    /// glibc's
    #[serde(rename = "g")]
    Glibc {
        /// its own folders, in its order, without the slash at their ends; empty when they were not found
        folders: Vec<String>,
    },
    /// musl's, which is its libc too
    #[serde(rename = "m")]
    Musl {
        /// `1.2.5`, if it was found
        version: Option<String>,
        /// its own folders, in its order; empty when they were not found
        folders: Vec<String>,
    },
}

/// Whether a file called `name` may be a loader, so that it is worth looking for what it says of itself.
pub(super) fn may_be_one(name: &str, facts: &ElfFacts) -> bool {
    let named = name.starts_with("ld") || name.starts_with("libc.");
    let built = matches!(facts.linkage, Linkage::SharedLibrary | Linkage::StaticPie) && facts.needed.is_empty();
    named && built && facts.interpreter.is_none()
}

/// Whether a file is glibc's own library.
pub(super) fn is_glibc(facts: &ElfFacts) -> bool {
    facts.soname.as_deref() == Some("libc.so.6") && offers_private(facts)
}

fn offers_private(facts: &ElfFacts) -> bool {
    facts.offers.iter().any(|version| version == "GLIBC_PRIVATE")
}

/// The version in the banner of glibc's library: not every release has new symbols, so these do not tell it.
pub(super) fn glibc_version(facts: &ElfFacts, bytes: &[u8]) -> Option<String> {
    const BEFORE: &[u8] = b" release version ";
    let found = bytes.windows(BEFORE.len()).position(|window| window == BEFORE).filter(|_| is_glibc(facts))?;
    let rest = bytes.get(found + BEFORE.len()..)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let version = std::str::from_utf8(&rest[..end]).ok()?.trim_end_matches('.');
    (version.len() < 20 && version.contains('.')).then(|| version.to_owned())
}

impl Loader {
    /// Looks for what a loader called `name` says of itself in its bytes.
    pub(super) fn of(name: &str, facts: &ElfFacts, bytes: &[u8]) -> Option<Self> {
        if !may_be_one(name, facts) {
            return None;
        }
        if offers_private(facts) {
            return Some(Self::Glibc { folders: system_folders(bytes) });
        }
        if contains(bytes, b"musl libc") {
            let texts = || texts(bytes);
            let version = texts().find(|text| is_version(text)).map(str::to_owned);
            let path = texts().find(|text| {
                text.contains(':') && text.split(':').all(|folder| folder.starts_with('/') && folder.contains("lib"))
            });
            let folders = path.into_iter().flat_map(|path| path.split(':')).map(str::to_owned).collect();
            return Some(Self::Musl { version, folders });
        }
        None
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The texts between two zero bytes.
fn texts(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let short = bytes.split(|byte| *byte == 0).filter(|text| (3..4096).contains(&text.len()));
    short.filter_map(|text| std::str::from_utf8(text).ok())
}

/// `1.2.5`, alone.
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The longest row of texts that are folders, one directly after the other.
fn system_folders(bytes: &[u8]) -> Vec<String> {
    let (mut longest, mut current): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    for text in bytes.split(|byte| *byte == 0).chain([&b""[..]]) {
        let is_folder = text.len() > 1 && text.starts_with(b"/") && text.ends_with(b"/") && contains(text, b"lib");
        if is_folder {
            current.push(text);
            continue;
        }
        if current.len() > longest.len() {
            longest.clone_from(&current);
        }
        current.clear();
    }
    longest.into_iter().map(|folder| String::from_utf8_lossy(&folder[..folder.len() - 1]).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_glibc_are_a_row_of_texts() {
        let debian = b"\x01/proc/self/exe\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0glibc\0/lib/\0x";
        assert_eq!(system_folders(debian), ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"]);
        assert_eq!(system_folders(b"a\0/lib64/\0/usr/lib64/"), ["/lib64", "/usr/lib64"]);
        assert_eq!(system_folders(b"/etc/ld.so.cache\0/var/tmp/\0"), [""; 0]);
    }

    #[test]
    fn a_version_stands_alone() {
        for (text, is) in [("1.2.5", true), ("1.2", false), ("1.2.5\n", false), ("1..5", false), ("a.b.c", false)] {
            assert_eq!(is_version(text), is, "{text}");
        }
    }
}
