//! What can go wrong with the store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::blob::Digest;
use crate::full_disk;
use crate::hint::Hint;

/// What can go wrong with the store; every variant names the path.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{}", cannot_be_used(path, source))]
    Io {
        /// the store's folder
        path: PathBuf,
        /// what the file system said; fs-err names the file
        #[source]
        source: io::Error,
    },
    /// What arrived is not what was announced.
    #[error("expected {expected} of {expected_size} bytes, got {actual} of {actual_size} bytes")]
    WrongDigest {
        /// announced digest
        expected: Digest,
        /// announced size in bytes
        expected_size: u64,
        /// digest of what arrived
        actual: Digest,
        /// size of what arrived, in bytes
        actual_size: u64,
    },
    /// A blob that is not what its name says.
    #[error("`{path}` in the cache is damaged: its contents do not have the digest {digest}")]
    Damaged {
        /// the file
        path: PathBuf,
        /// what it should be
        digest: Digest,
        /// true when it is removed by now
        removed: bool,
    },
    /// A blob that was there before and is no longer.
    #[error("`{path}` is gone from the cache")]
    Missing {
        /// the file
        path: PathBuf,
        /// which it was
        digest: Digest,
    },
}

fn cannot_be_used(path: &Path, source: &io::Error) -> String {
    if full_disk::is_full(source) {
        format!("the disk of the cache `{}` is full", path.display())
    } else {
        format!("the cache at `{}` cannot be used", path.display())
    }
}

impl Hint for StoreError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { source, .. } if full_disk::is_full(source) => full_disk::hints(source),
            Self::Io { path, .. } => vec![format!(
                "check the space and the permissions of `{}`, or name another folder: ANYARCH_CACHE_DIR=/path anyarch build",
                path.display()
            )],
            Self::WrongDigest { .. } => Vec::new(),
            Self::Damaged { removed: true, .. } => {
                vec!["run it again: what was damaged is removed, and is made or fetched anew".to_owned()]
            }
            Self::Damaged { path, removed: false, .. } => {
                let path = crate::invocation::quote(&path.display().to_string());
                vec![format!("remove it, and it is made or fetched anew: rm -rf {path}")]
            }
            Self::Missing { .. } => vec!["run it again: it is made or fetched anew".to_owned()],
        }
    }
}
