//! The content-addressed cache on disk: blobs by digest, and small records that say what was made from what.
//!
//! Every file is written beside its place and renamed, so a reader, another process or a kill never sees half of one.

mod error;
mod eviction;
mod hold;
mod inventory;
mod kind;
mod lock;
mod partial;
mod prune;
mod record;
mod scratch;
mod usage;
mod verified;
mod writer;

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::blob::{Descriptor, Digest};
use hold::Hold;
use usage::Usage;

pub use error::StoreError;
pub use eviction::Evicted;
pub use inventory::Item;
pub use kind::Kind;
pub use lock::{LOOK, lock};
pub use partial::{Claim, Partial};
pub use prune::Selection;
pub use record::{OWN_LAYER, STATIC_LAYER};
pub use scratch::Scratch;
pub use verified::VerifiedBlob;
pub use writer::{BlobWriter, beside};

/// An unfinished file that nobody wrote to for so long belongs to no run that still goes on.
pub(crate) const ABANDONED: Duration = Duration::from_hours(24);

/// A folder that holds `blobs/sha256/HEX` and `records/KIND/KEY.json`, beside what others keep there. As long as a clone of
/// the value lives, no process removes anything from the folder but what is damaged.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    begun: Arc<Begun>,
    hold: Arc<Hold>,
    usage: Arc<Usage>,
}

/// What a store's value has begun and not finished.
#[derive(Debug)]
struct Begun {
    /// what the names of its files begin with
    mark: String,
    /// whether the run is over, and nothing new is begun
    abandoned: RwLock<bool>,
}

impl Store {
    /// Opens the store at `root`, making its folders, together with whoever else uses it.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::open_by(root.into(), |lock| hold::together(lock, || ()))
    }

    /// As [`Self::open`]; `waiting` is called once when another process is just removing things from the store, which is
    /// waited for.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_waiting(root: impl Into<PathBuf>, waiting: impl FnOnce()) -> Result<Self, StoreError> {
        Self::open_by(root.into(), |lock| hold::together(lock, waiting))
    }

    /// Opens the store at `root` for nobody but the caller; `waiting` is called once when others use it, who are waited
    /// for.
    ///
    /// # Errors
    /// As [`Self::open`], and when the file system knows no locks.
    pub fn open_alone(root: impl Into<PathBuf>, waiting: impl FnOnce()) -> Result<Self, StoreError> {
        Self::open_by(root.into(), |lock| hold::alone(lock, waiting))
    }

    fn open_by(root: PathBuf, hold: impl FnOnce(&Path) -> io::Result<Hold>) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io { path: root.clone(), source };
        for folder in ["blobs/sha256", "tmp", "records"] {
            fs::create_dir_all(root.join(folder)).map_err(failed)?;
        }
        let hold = Arc::new(hold(&root.join(hold::FILE)).map_err(failed)?);
        let mark = format!(".tmp-{:016x}-", RandomState::new().hash_one(std::process::id()));
        let begun = Arc::new(Begun { mark, abandoned: RwLock::default() });
        let store = Self { root, begun, hold, usage: Arc::default() };
        store.sweep();
        Ok(store)
    }

    /// Removes what runs that were killed left unfinished. Nothing depends on it, so what cannot be removed stays.
    fn sweep(&self) {
        self.sweep_partials(ABANDONED);
        for entry in fs::read_dir(self.temporary()).into_iter().flatten().flatten() {
            let age =
                entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = prune::remove(&entry.path());
            }
        }
    }

    /// A file for something that is renamed to its place once it is whole.
    fn unfinished(&self) -> io::Result<NamedTempFile> {
        self.begin(|builder, folder| builder.tempfile_in(folder))
    }

    /// A folder that nobody else may enter, and that whoever gets it removes.
    fn unfinished_folder(&self) -> io::Result<PathBuf> {
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        self.begin(|builder, folder| builder.permissions(closed).tempdir_in(folder).map(tempfile::TempDir::keep))
    }

    fn begin<T>(&self, make: impl FnOnce(&mut tempfile::Builder<'_, '_>, PathBuf) -> io::Result<T>) -> io::Result<T> {
        // Held while it is made, so that nothing is made behind the back of `abandon`.
        let abandoned = self.begun.abandoned.read().unwrap_or_else(PoisonError::into_inner);
        if *abandoned {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the run is over"));
        }
        make(tempfile::Builder::new().prefix(&self.begun.mark), self.temporary())
    }

    /// Removes what this value and its clones have left unfinished, for a run that ends while threads of it still write:
    /// none of that is ever finished then, and nothing new is begun. What cannot be removed stays until it is swept.
    pub fn abandon(&self) {
        let mut abandoned = self.begun.abandoned.write().unwrap_or_else(PoisonError::into_inner);
        *abandoned = true;
        for entry in fs::read_dir(self.temporary()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&self.begun.mark) {
                let _ = prune::remove(&entry.path());
            }
        }
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    /// Where unfinished files are, on the disk that has room for what is finished.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What the file system said about a file of the store, as an error of the store.
    #[must_use]
    pub fn failed(&self, source: io::Error) -> StoreError {
        StoreError::within(source).unwrap_or_else(|source| StoreError::Io { path: self.root.clone(), source })
    }

    /// Where the blob is, or would be.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// True when the blob is there in its full length. It counts as used then.
    #[must_use]
    pub fn has(&self, digest: &Digest, size: u64) -> bool {
        let path = self.blob_path(digest);
        let there = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size);
        if there {
            self.used(&path);
        }
        there
    }

    /// Puts `bytes`, which are few, into the store, unless they are there and whole.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, StoreError> {
        let descriptor = Descriptor::of(media_type, bytes);
        if self.read(&descriptor.digest)?.is_none() {
            let mut writer = self.writer()?;
            writer.write_all(bytes).map_err(|source| self.failed(source))?;
            writer.finish()?;
        }
        Ok(descriptor)
    }

    /// Reads a small blob (a manifest or a config), checking its digest; `None` when it is not there or damaged,
    /// in which case it is removed so that it can be fetched again.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.blob_path(digest);
        match fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == *digest => {
                self.used(&path);
                Ok(Some(bytes))
            }
            Ok(_) => {
                fs::remove_file(&path).map_err(|source| self.failed(source))?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Hashes the stored blob again and removes it when it is damaged; true when it is there and whole.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn verify(&self, descriptor: &Descriptor) -> Result<bool, StoreError> {
        if !self.has(&descriptor.digest, descriptor.size) {
            return Ok(false);
        }
        match self.prove(descriptor) {
            Ok(()) => Ok(true),
            Err(StoreError::Damaged { removed: true, .. } | StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_blob_is_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let descriptor = store.put("text/plain", b"hello").unwrap();
        assert_eq!(store.read(&descriptor.digest).unwrap().unwrap(), b"hello");
        std::fs::write(store.blob_path(&descriptor.digest), b"jello").unwrap();
        assert!(!store.verify(&descriptor).unwrap());
        assert_eq!(store.read(&descriptor.digest).unwrap(), None);
    }

    #[test]
    fn what_is_not_what_was_announced_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let announced = Descriptor::of("text/plain", b"hello");
        let mut writer = store.writer().unwrap();
        writer.write_all(b"world").unwrap();
        assert!(matches!(writer.finish_as(&announced), Err(StoreError::WrongDigest { .. })));
        assert!(!store.has(&announced.digest, 5));
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path()).unwrap();
        let (old, new) = (folder.path().join("tmp/old"), folder.path().join("tmp/new"));
        for path in [&old, &new] {
            std::fs::write(path, "half of a bl").unwrap();
        }
        let opened = std::fs::File::options().write(true).open(&old).unwrap();
        opened.set_modified(opened.metadata().unwrap().modified().unwrap() - 2 * ABANDONED).unwrap();
        Store::open(folder.path()).unwrap();
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn a_run_that_ends_takes_what_it_has_not_finished_along() {
        let folder = tempfile::tempdir().unwrap();
        let (store, other) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        let (clone, _theirs) = (store.clone(), other.writer().unwrap());
        let mut ours = clone.writer().unwrap();
        ours.write_all(b"half of a bl").unwrap();
        store.abandon();
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1, "another run's stays");
        assert!(ours.finish().is_err());
        assert!(clone.writer().is_err() && other.writer().is_ok());
    }
}
