//! The content-addressed cache on disk: blobs by digest, and small records that say what was made from what.
//!
//! Every file is written beside its place and renamed, so a reader, another process or a kill never sees half of one.

mod lock;

use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use serde::{Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;

use crate::blob::{Descriptor, Digest, Hasher};
use crate::hint::Hint;

pub use lock::{LOOK, lock};

/// An unfinished file that nobody wrote to for so long belongs to no run that still goes on.
const ABANDONED: Duration = Duration::from_hours(24);

/// A folder that holds `blobs/sha256/HEX` and `records/KIND/KEY.json`.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What can go wrong with the store; every variant names the path.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("the cache at `{path}` cannot be used")]
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
}

impl Hint for StoreError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { path, .. } => vec![format!(
                "check the space and the permissions of `{}`, or name another folder: ANYARCH_CACHE_DIR=/path anyarch build",
                path.display()
            )],
            Self::WrongDigest { .. } => Vec::new(),
        }
    }
}

impl Store {
    /// Opens the store at `root`, making its folders.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into() };
        for folder in [store.blobs(), store.temporary(), store.root.join("records")] {
            fs::create_dir_all(folder).map_err(|source| store.io(source))?;
        }
        store.sweep();
        Ok(store)
    }

    /// Removes what runs that were killed left unfinished. Nothing depends on it, so what cannot be removed stays.
    fn sweep(&self) {
        for entry in fs::read_dir(self.temporary()).into_iter().flatten().flatten() {
            let age =
                entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
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

    fn io(&self, source: io::Error) -> StoreError {
        StoreError::Io { path: self.root.clone(), source }
    }

    /// Where the blob is, or would be.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// True when the blob is there in its full length.
    #[must_use]
    pub fn has(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.blob_path(digest)).is_ok_and(|metadata| metadata.len() == size)
    }

    /// Starts a blob whose digest is found by writing it.
    ///
    /// # Errors
    /// When no file can be made in the store.
    pub fn writer(&self) -> Result<BlobWriter<'_>, StoreError> {
        let file = NamedTempFile::new_in(self.temporary()).map_err(|source| self.io(source))?;
        Ok(BlobWriter { store: self, file, hasher: Hasher::default() })
    }

    /// Puts `bytes` into the store.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, StoreError> {
        let descriptor = Descriptor::of(media_type, bytes);
        if !self.has(&descriptor.digest, descriptor.size) {
            let mut writer = self.writer()?;
            writer.write_all(bytes).map_err(|source| self.io(source))?;
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
        match fs::read(self.blob_path(digest)) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(Some(bytes)),
            Ok(_) => {
                fs::remove_file(self.blob_path(digest)).map_err(|source| self.io(source))?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
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
        let path = self.blob_path(&descriptor.digest);
        let file = fs::File::open(&path).map_err(|source| self.io(source))?;
        let mut hasher = Hasher::default();
        io::copy(&mut BufReader::with_capacity(1 << 17, file), &mut hasher).map_err(|source| self.io(source))?;
        if hasher.finish().0 == descriptor.digest {
            return Ok(true);
        }
        fs::remove_file(&path).map_err(|source| self.io(source))?;
        Ok(false)
    }

    fn record_path(&self, kind: &str, key: &Digest) -> PathBuf {
        self.root.join("records").join(kind).join(format!("{}.json", key.hex()))
    }

    /// Reads what was recorded under `key`; a missing or unreadable record is `None`: records only save work.
    #[must_use]
    pub fn record<T: DeserializeOwned>(&self, kind: &str, key: &Digest) -> Option<T> {
        let bytes = fs::read(self.record_path(kind, key)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Records `value` under `key`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_record<T: Serialize>(&self, kind: &str, key: &Digest, value: &T) -> Result<(), StoreError> {
        let path = self.record_path(kind, key);
        let write = || -> io::Result<()> {
            fs::create_dir_all(self.root.join("records").join(kind))?;
            let mut file = NamedTempFile::new_in(self.temporary())?;
            file.write_all(&crate::blob::canonical_json(value))?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| self.io(source))
    }
}

/// A blob on its way into the store; dropped unfinished, it leaves nothing.
pub struct BlobWriter<'store> {
    store: &'store Store,
    file: NamedTempFile,
    hasher: Hasher,
}

impl BlobWriter<'_> {
    /// Moves the blob to its place.
    ///
    /// # Errors
    /// When it cannot be renamed into place.
    pub fn finish(self) -> Result<(Digest, u64), StoreError> {
        let (digest, size) = self.hasher.finish();
        self.file.persist(self.store.blob_path(&digest)).map_err(|error| self.store.io(error.error))?;
        Ok((digest, size))
    }

    /// Moves the blob to its place if it is what was announced.
    ///
    /// # Errors
    /// [`StoreError::WrongDigest`] when it is not; nothing is kept then.
    pub fn finish_as(self, expected: &Descriptor) -> Result<(), StoreError> {
        let (actual, actual_size) = self.hasher.clone().finish();
        if actual != expected.digest || actual_size != expected.size {
            return Err(StoreError::WrongDigest {
                expected: expected.digest,
                expected_size: expected.size,
                actual,
                actual_size,
            });
        }
        self.finish().map(drop)
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The path of a fresh temporary file beside `target`, to be renamed onto it once it is whole.
///
/// # Errors
/// When no file can be made there.
pub fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::new_in(folder)
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
    fn a_record_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = Digest::of(b"key");
        assert_eq!(store.record::<u32>("test", &key), None);
        store.set_record("test", &key, &7_u32).unwrap();
        assert_eq!(store.record::<u32>("test", &key), Some(7));
    }
}
