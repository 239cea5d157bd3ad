//! What goes into a layer of ours, before it is an archive: paths, owners, modes and where the bytes come from.
//!
//! A plain value: whoever makes entries reads no files, and only the layer writer turns them into a tar.

use std::borrow::Cow;
use std::path::PathBuf;

/// One entry of a layer of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// place in the image, `/`-separated, without a leading or trailing slash: `etc/passwd`
    pub path: String,
    /// permission bits with setuid, setgid and sticky: `0o1777`; no file type bits
    pub mode: u32,
    /// owner
    pub uid: u64,
    /// owning group
    pub gid: u64,
    /// what the entry is
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// a directory
    Directory,
    /// a regular file
    File(Contents),
    /// a symbolic link with its target, as it is to be written
    Symlink(String),
}

/// Whether a path, or a folder that it lies in, has a name that stands for the removal of another: what unpacks a layer
/// makes no such file and deletes one of the base. <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
#[must_use]
pub fn is_whiteout(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with(".wh."))
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// bytes in memory, for what is small
    Bytes(Cow<'static, [u8]>),
    /// a file on this machine, streamed when the layer is written
    Path {
        /// the file
        path: PathBuf,
        /// its length in bytes, as it was when the entry was made
        size: u64,
    },
}

impl Contents {
    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Path { size, .. } => *size,
        }
    }
}
