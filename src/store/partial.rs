//! What was received of a blob that is not whole yet: kept by its digest when a run fails or is killed, so that the next
//! one goes on from there, and locked, so that two processes never write to the same file.
//!
//! The lock is on the file itself, which goes when its process does, however that ends. Whoever has the lock has the file
//! that is at the path: it is removed and renamed under the lock alone, and one that was moved while its lock was being
//! had is let go again.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::lock::Attempt;
use super::{Store, StoreError};
use crate::blob::{Descriptor, Digest, Hasher};

/// The folder of unfinished blobs in the store.
const FOLDER: &str = "partial";
/// What is kept of an unfinished blob, in bytes: less is fetched again sooner than it is hashed.
const KEPT_FROM: u64 = 1 << 20;
/// Bytes that are hashed at a time.
const CHUNK: usize = 1 << 17;

/// An unfinished blob, which no other process writes to.
#[derive(Debug)]
pub struct Partial {
    store: Store,
    path: PathBuf,
    file: File,
    /// Of what was there when it was claimed.
    before: Hasher,
    /// How many bytes are there now.
    length: u64,
    /// False for a file that nobody else will ever look for.
    shared: bool,
    /// Whether the file is left as it is.
    settled: bool,
}

/// What there is of a blob.
#[derive(Debug)]
pub enum Claim {
    /// What was received of it before, which may be nothing; it is ours now.
    Ours(Partial),
    /// Another process is at it, and has so many bytes of it.
    Others(u64),
}

impl Store {
    /// Takes what there is of an unfinished blob, and hashes it.
    ///
    /// # Errors
    /// When the file cannot be made or read.
    pub fn claim(&self, digest: &Digest) -> Result<Claim, StoreError> {
        let folder = self.root().join(FOLDER);
        let path = folder.join(digest.hex());
        let claim = || -> io::Result<Claim> {
            fs::create_dir_all(&folder)?;
            let file = open(&path)?;
            match Attempt::of(file.try_lock())? {
                Attempt::Had if is_at(&file, &path)? => {}
                Attempt::Had => return Ok(Claim::Others(0)),
                Attempt::Taken => return Ok(Claim::Others(file.metadata()?.len())),
                // Then every process has its own.
                Attempt::NoLocks => return Ok(Claim::Ours(self.unshared()?)),
            }
            let mut partial = Partial::new(self, file, path.clone(), true);
            partial.hash()?;
            Ok(Claim::Ours(partial))
        };
        claim().map_err(|source| self.failed(source))
    }

    /// A file for a blob that another process is at, too, and that is not waited for.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn claim_own(&self) -> Result<Partial, StoreError> {
        self.unshared().map_err(|source| self.failed(source))
    }

    fn unshared(&self) -> io::Result<Partial> {
        let (file, path) = self.unfinished()?.keep().map_err(|kept| kept.error)?;
        Ok(Partial::new(self, file, path, false))
    }

    /// Removes unfinished blobs that nobody wrote to for `age`. Nothing depends on it, so what cannot be removed stays.
    pub(super) fn sweep_partials(&self, age: Duration) {
        for entry in fs::read_dir(self.root().join(FOLDER)).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(file) = File::open(&path) else { continue };
            let written = file.metadata().and_then(|metadata| metadata.modified()).ok();
            let old = written.and_then(|time| time.elapsed().ok()).is_some_and(|elapsed| elapsed > age);
            if old && file.try_lock().is_ok() && is_at(&file, &path).unwrap_or(false) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

impl Partial {
    fn new(store: &Store, file: File, path: PathBuf, shared: bool) -> Self {
        let store = store.clone();
        Self { store, path, file, before: Hasher::default(), length: 0, shared, settled: false }
    }

    /// The bytes that were here when this was claimed, or none since [`Self::begin_anew`].
    #[must_use]
    pub fn before(&self) -> &Hasher {
        &self.before
    }

    fn hash(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.file.read(&mut chunk)? {
                0 => break,
                count => self.before.update(&chunk[..count]),
            }
        }
        self.length = self.before.size();
        Ok(())
    }

    /// Throws away what is here.
    ///
    /// # Errors
    /// When the file cannot be emptied.
    pub fn begin_anew(&mut self) -> Result<(), StoreError> {
        (self.before, self.length) = (Hasher::default(), 0);
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|source| self.failed(source))
    }

    /// Adds what came next.
    ///
    /// # Errors
    /// When it cannot be written; nothing of the blob is kept then, for the disk may be full.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Err(source) = self.file.write_all(bytes) {
            self.remove();
            return Err(self.failed(source));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Moves the blob to its place in the store if it is what was announced. `all` went through the bytes that were here
    /// before, and through all that were added: they are not hashed a second time.
    ///
    /// # Errors
    /// [`StoreError::WrongDigest`] when it is not, and nothing of it is kept then; else when it cannot be renamed.
    pub fn finish_as(mut self, expected: &Descriptor, all: Hasher) -> Result<(), StoreError> {
        let (actual, actual_size) = all.finish();
        if actual != expected.digest || actual_size != expected.size || self.length != expected.size {
            self.remove();
            let (expected, expected_size) = (expected.digest, expected.size);
            return Err(StoreError::WrongDigest { expected, expected_size, actual, actual_size });
        }
        let here = is_at(&self.file, &self.path).map_err(|source| self.failed(source))?;
        if !here {
            // Somebody emptied the cache under us.
            self.settled = true;
            return Err(self.failed(io::Error::new(io::ErrorKind::NotFound, "an unfinished blob was removed")));
        }
        let place = self.store.blob_path(&actual);
        fs::rename(&self.path, &place).map_err(|source| self.failed(source))?;
        self.settled = true;
        self.store.stored(place, actual_size);
        Ok(())
    }

    fn remove(&mut self) {
        if !self.settled && is_at(&self.file, &self.path).unwrap_or(false) {
            // What cannot be removed is swept some day.
            let _ = fs::remove_file(&self.path);
        }
        self.settled = true;
    }

    fn failed(&self, source: io::Error) -> StoreError {
        self.store.failed(source)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.shared || self.length < KEPT_FROM {
            self.remove();
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // As private as what `tempfile` makes, which the other blobs begin as.
    let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(file.into_parts().0)
}

/// True when `path` is the name of that file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let file = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (file.dev(), file.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn ours(store: &Store, blob: &Descriptor) -> Partial {
        match store.claim(&blob.digest).unwrap() {
            Claim::Ours(partial) => partial,
            Claim::Others(bytes) => panic!("another has {bytes}"),
        }
    }

    fn files(store: &Store) -> Vec<u64> {
        let folder = std::fs::read_dir(store.root().join(FOLDER)).unwrap();
        folder.map(|entry| entry.unwrap().metadata().unwrap().len()).collect()
    }

    fn hash(bytes: &[u8]) -> Hasher {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher
    }

    /// A blob of a size that is kept.
    fn large() -> (Vec<u8>, Descriptor) {
        let bytes: Vec<u8> = (0..3 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        let blob = Descriptor::of("x", &bytes);
        (bytes, blob)
    }

    #[test]
    fn what_was_received_is_gone_on_with() {
        let (_folder, store) = store();
        let (bytes, blob) = large();
        let mut partial = ours(&store, &blob);
        partial.add(&bytes[..2 << 20]).unwrap();
        assert!(matches!(store.claim(&blob.digest).unwrap(), Claim::Others(0x20_0000)));
        drop(partial);
        let mut partial = ours(&store, &blob);
        let mut all = partial.before().clone();
        assert_eq!(all.size(), 2 << 20);
        all.update(&bytes[2 << 20..]);
        partial.add(&bytes[2 << 20..]).unwrap();
        partial.finish_as(&blob, all).unwrap();
        assert!(store.verify(&blob).unwrap());
        assert!(files(&store).is_empty());
    }

    #[test]
    fn a_little_and_what_is_wrong_are_not_kept() {
        let (_folder, store) = store();
        let (bytes, blob) = large();
        let mut partial = ours(&store, &blob);
        partial.add(&bytes[..1000]).unwrap();
        drop(partial);
        assert!(files(&store).is_empty());
        let mut partial = ours(&store, &blob);
        let wrong = vec![7; bytes.len()];
        partial.add(&wrong).unwrap();
        assert!(matches!(partial.finish_as(&blob, hash(&wrong)), Err(StoreError::WrongDigest { .. })));
        assert!(files(&store).is_empty() && !store.has(&blob.digest, blob.size));
        let mut partial = ours(&store, &blob);
        partial.add(&wrong).unwrap();
        assert!(matches!(partial.finish_as(&blob, hash(&bytes[..9])), Err(StoreError::WrongDigest { .. })));
        let mut partial = ours(&store, &blob);
        partial.add(&wrong).unwrap();
        partial.begin_anew().unwrap();
        partial.add(&bytes).unwrap();
        partial.finish_as(&blob, hash(&bytes)).unwrap();
        assert!(store.verify(&blob).unwrap());
    }

    #[test]
    fn who_does_not_wait_has_a_file_of_their_own() {
        let (_folder, store) = store();
        let (bytes, blob) = large();
        let _other = ours(&store, &blob);
        let mut own = store.claim_own().unwrap();
        own.add(&bytes).unwrap();
        own.finish_as(&blob, hash(&bytes)).unwrap();
        assert!(store.verify(&blob).unwrap());
        let mut own = store.claim_own().unwrap();
        own.add(&bytes).unwrap();
        drop(own);
        assert_eq!(std::fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_cache_that_is_emptied_meanwhile_gets_nothing_half() {
        let (_folder, store) = store();
        let (bytes, blob) = large();
        let mut partial = ours(&store, &blob);
        partial.add(&bytes).unwrap();
        let path = store.root().join(FOLDER).join(blob.digest.hex());
        std::fs::remove_file(&path).unwrap();
        let mut second = ours(&store, &blob);
        second.add(&bytes[..2 << 20]).unwrap();
        assert!(matches!(partial.finish_as(&blob, hash(&bytes)), Err(StoreError::Io { .. })));
        assert_eq!(files(&store), [2 << 20], "the file of the second is left alone");
        assert!(!store.has(&blob.digest, blob.size));
    }

    #[test]
    fn old_ones_are_swept_unless_somebody_is_at_them() {
        let (_folder, store) = store();
        let (bytes, blob) = large();
        let mut partial = ours(&store, &blob);
        partial.add(&bytes[..2 << 20]).unwrap();
        let hours = Duration::from_hours(2);
        partial.file.set_modified(partial.file.metadata().unwrap().modified().unwrap() - hours).unwrap();
        store.sweep_partials(hours / 2);
        assert_eq!(files(&store).len(), 1, "it is locked");
        drop(partial);
        store.sweep_partials(hours * 2);
        assert_eq!(files(&store).len(), 1, "it is young");
        store.sweep_partials(hours / 2);
        assert!(files(&store).is_empty());
    }
}
