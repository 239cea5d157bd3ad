//! What of a store this process used, and when anybody did last: the time of a file's change is that of its last use,
//! for what a file holds never changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use super::Store;

/// What this process did with a store.
#[derive(Debug, Default)]
pub(super) struct Usage {
    used: Mutex<BTreeSet<PathBuf>>,
    stored: AtomicU64,
}

#[cfg(test)]
impl Usage {
    pub(super) fn stored_for_tests(&self, bytes: u64) {
        self.stored.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Store {
    /// Marks a blob or a record as used: on disk once a run.
    pub(super) fn used(&self, path: &Path) {
        let mut used = self.usage.used.lock().unwrap_or_else(PoisonError::into_inner);
        if !used.contains(path) {
            used.insert(path.to_owned());
            touch(path);
        }
    }

    /// Marks a file of `size` bytes that was just put in place.
    pub(super) fn stored(&self, path: PathBuf, size: u64) {
        self.usage.used.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        self.usage.stored.fetch_add(size, Ordering::Relaxed);
    }

    /// True when this process used the blob or the record.
    pub(super) fn is_in_use(&self, path: &Path) -> bool {
        self.usage.used.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    /// How many bytes this process put into the store.
    pub(super) fn bytes_stored(&self) -> u64 {
        self.usage.stored.load(Ordering::Relaxed)
    }
}

/// Makes now the time of a file's last change. What cannot be marked only seems older than it is.
pub(super) fn touch(path: &Path) {
    let time = |nanoseconds| Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
    let _ = utimensat(CWD, path, &times, AtFlags::empty());
}
