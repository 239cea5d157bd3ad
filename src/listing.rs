//! A layer's tar stream becomes a [`Listing`]: every path with what a kernel or a loader would want to know of it.
//!
//! Made once for each layer and kept by its digest; whatever has to be known about an image is in the listings of its
//! layers. Files are read where they lie in the stream: executables for their facts, a few small files whole, all others
//! not at all. Nothing that a stream claims is believed beyond a bound.

mod archive;
mod bytes;
mod entries;
mod error;
mod loader;
mod packed;
mod read;
#[cfg(test)]
mod tests;
mod unpack;

use serde::{Deserialize, Serialize};

use crate::elf::{ElfFacts, Symbols};

pub(crate) use archive::{Archive, Member, damaged, failed};
pub use entries::Open;
pub use error::ListingError;
pub use loader::Loader;
pub use packed::{Listed, Listing};
pub use read::{Limits, ReadSeek, Spool};
pub(crate) use unpack::unpacked;

/// What a record of a listing says of its own form: raised whenever the same layer would give another listing.
pub const FORMAT: u32 = 2;

/// A path of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// without a leading or trailing slash, without `.` and `..`; empty for the root itself
    pub path: String,
    /// permission bits with setuid, setgid and sticky
    pub mode: u32,
    /// owner
    pub uid: u64,
    /// owning group
    pub gid: u64,
    /// what it is
    pub kind: Kind,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// a folder
    #[serde(rename = "d")]
    Folder,
    /// a regular file
    #[serde(rename = "f")]
    File(File),
    /// a symbolic link with its target, as it is written
    #[serde(rename = "l")]
    Symlink(String),
    /// another name of the file at that path
    #[serde(rename = "h")]
    HardLink(String),
    /// a device, a pipe or a socket
    #[serde(rename = "o")]
    Other,
    /// the removal of what lower layers have at this path
    #[serde(rename = "w")]
    Whiteout,
    /// the removal of what lower layers have in the folder at this path
    #[serde(rename = "q")]
    Opaque,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// its length in bytes
    #[serde(rename = "s")]
    pub size: u64,
    /// what is in it
    #[serde(rename = "c", default, skip_serializing_if = "Contents::is_unread")]
    pub contents: Contents,
}

/// What is in a file, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contents {
    /// neither something that starts nor something that a start needs
    #[default]
    #[serde(rename = "-")]
    Unread,
    /// a program or a library
    #[serde(rename = "e")]
    Elf(Box<Binary>),
    /// `#!`: the rest of its first line, at most 256 bytes as the kernel reads them
    #[serde(rename = "i")]
    Script(String),
    /// all of its bytes
    #[serde(rename = "b", with = "bytes")]
    Kept(Vec<u8>),
    /// executable by its mode and of no kind that a kernel starts, in words: `a Mach-O binary (macOS)`
    #[serde(rename = "x")]
    NotStartable(String),
    /// what begins as a binary and is none, as a predicate: `is a damaged ELF file: ...`
    #[serde(rename = "u")]
    Unreadable(String),
    /// what was not looked into, as a predicate: `is stored as a sparse file`
    #[serde(rename = "n")]
    NotRead(String),
}

impl Contents {
    fn is_unread(&self) -> bool {
        *self == Self::Unread
    }
}

/// A program or a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// what it is
    #[serde(rename = "f")]
    pub facts: ElfFacts,
    /// its dynamic symbols; `None` where they cannot be read or are too many to be kept
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<Symbols>,
    /// the version that glibc's `libc.so.6` says of itself: `2.31`
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub glibc: Option<String>,
    /// what it says of itself as a loader
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<Loader>,
}

impl Binary {
    /// The length of all names in its facts, in bytes: a small file may have long ones, for names may share their text.
    #[must_use]
    pub fn names_size(&self) -> usize {
        let facts = &self.facts;
        let single = [&facts.interpreter, &facts.soname, &facts.rpath, &facts.runpath].into_iter().flatten();
        let listed = facts.needed.iter().chain(&facts.offers);
        let required = facts.versions.iter().flat_map(|required| [&required.library, &required.version]);
        let go = facts.go.iter().flat_map(|go| go.version.iter().chain(go.settings.values()));
        single.chain(listed).chain(required).chain(go).map(String::len).sum()
    }
}
