//! What there is in a cache folder, as people and `--kind` call it.

use std::fmt;

use super::record::{OWN_LAYER as OWN_RECORD, STATIC_LAYER};

/// A kind of things in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// the list of a base's platforms
    Index,
    /// what a base has for one platform
    Manifest,
    /// how an image runs
    Config,
    /// a layer of a base, and that of `static`
    BaseLayer,
    /// a layer that was made here
    OwnLayer,
    /// what Debian has for a sysroot: packages and lists of them
    Debian,
    /// a blob of which nothing more is known
    Blob,
    /// what was made from what
    Record,
    /// a compiler that `anyarch toolchain install` unpacked
    Toolchain,
    /// headers and libraries for compilers, unpacked from Debian packages
    Sysroot,
    /// the scripts by which cargo calls zig
    Wrapper,
    /// an archive of a compiler, and what there is of a blob that is not whole yet
    Download,
    /// what a run has not finished, or never will
    Unfinished,
}

impl Kind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 13] = [
        Self::Index,
        Self::Manifest,
        Self::Config,
        Self::BaseLayer,
        Self::OwnLayer,
        Self::Debian,
        Self::Blob,
        Self::Record,
        Self::Toolchain,
        Self::Sysroot,
        Self::Wrapper,
        Self::Download,
        Self::Unfinished,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::BaseLayer => "base-layer",
            Self::OwnLayer => "own-layer",
            Self::Debian => "debian",
            Self::Blob => "blob",
            Self::Record => "record",
            Self::Toolchain => "toolchain",
            Self::Sysroot => "sysroot",
            Self::Wrapper => "wrapper",
            Self::Download => "download",
            Self::Unfinished => "unfinished",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// True for what the size limit is about: what builds store by digest, and the records of it.
    #[must_use]
    pub fn is_limited(self) -> bool {
        !matches!(self, Self::Toolchain | Self::Sysroot | Self::Wrapper | Self::Download | Self::Unfinished)
    }

    /// The kind of a blob that a record of `kind` names.
    pub(super) fn of_record(kind: &str) -> Self {
        match kind {
            OWN_RECORD => Self::OwnLayer,
            STATIC_LAYER => Self::BaseLayer,
            _ => Self::Blob,
        }
    }

    /// The kind of a blob by its first bytes, which tell as much as `file` would.
    pub(super) fn of_start(start: &[u8]) -> Self {
        match start {
            // gzip, https://www.rfc-editor.org/rfc/rfc1952; zstd, https://www.rfc-editor.org/rfc/rfc8878
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::BaseLayer,
            // deb(5); xz, https://tukaani.org/xz/xz-file-format.txt, which lists of packages are in; a signed list
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..]
            | [0xfd, b'7', b'z', b'X', b'Z', 0, ..]
            | [b'-', b'-', b'-', b'-', b'-', b'B', b'E', b'G', ..] => Self::Debian,
            _ => Self::Blob,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
