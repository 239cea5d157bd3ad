//! What goes into a layer of ours, before it is written.

use std::borrow::Cow;
use std::path::PathBuf;

/// One entry of a layer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// without a leading slash, `/`-separated
    pub path: String,
    /// permission bits, with set-id and sticky
    pub mode: u32,
    /// numeric owner
    pub uid: u64,
    /// numeric group
    pub gid: u64,
    /// what it is
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// a folder
    Directory,
    /// a regular file
    File(Contents),
    /// a symbolic link to this target
    Symlink(String),
}

/// Where the contents of a file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// they are here
    Bytes(Cow<'static, [u8]>),
    /// they are in a file of `size` bytes
    Path {
        /// the file
        path: PathBuf,
        /// its length in bytes when it was looked at
        size: u64,
    },
}
