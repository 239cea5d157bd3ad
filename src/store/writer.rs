//! Bytes become a blob of the store: written beside its place, hashed on the way, and renamed once whole.

use std::io::{self, Write};
use std::path::Path;

use fs_err as fs;
use tempfile::{NamedTempFile, TempDir};

use super::{ABANDONED, Store, StoreError, prune};
use crate::blob::{Descriptor, Digest, Hasher};

/// A blob on its way into the store; dropped unfinished, it leaves nothing. What goes wrong with a write is a
/// [`StoreError`], which [`StoreError::within`] takes out of the error.
pub struct BlobWriter<'store> {
    store: &'store Store,
    file: NamedTempFile,
    hasher: Hasher,
}

impl Store {
    /// Starts a blob whose digest is found by writing it.
    ///
    /// # Errors
    /// When no file can be made in the store.
    pub fn writer(&self) -> Result<BlobWriter<'_>, StoreError> {
        let file = NamedTempFile::new_in(self.temporary()).map_err(|source| self.failed(source))?;
        Ok(BlobWriter { store: self, file, hasher: Hasher::default() })
    }
}

impl BlobWriter<'_> {
    /// Moves the blob to its place.
    ///
    /// # Errors
    /// When it cannot be renamed into place.
    pub fn finish(self) -> Result<(Digest, u64), StoreError> {
        let (digest, size) = self.hasher.finish();
        let path = self.store.blob_path(&digest);
        self.file.persist(&path).map_err(|error| self.store.failed(error.error))?;
        self.store.stored(path, size);
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
        let refused = |error: io::Error| io::Error::new(error.kind(), self.store.failed(error));
        let written = self.file.write(bytes).map_err(refused)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What is not whole yet, outside of the store, is called so, with letters and digits behind it.
const UNFINISHED: &str = ".anyarch-unfinished-";

/// The path of a fresh temporary file beside `target`, to be renamed onto it once it is whole. What a run that was killed
/// left there is removed.
///
/// # Errors
/// When no file can be made there.
pub fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(target);
    sweep(folder);
    tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)
}

/// As [`beside`], a folder.
///
/// # Errors
/// When no folder can be made there.
pub fn folder_beside(target: &Path) -> io::Result<TempDir> {
    let folder = folder_of(target);
    sweep(folder);
    tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder)
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what was left unfinished in a folder. Nothing depends on it, so what cannot be removed stays.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
        // With an extension it is something else, maybe what was there before.
        let ours = rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if ours && is_abandoned(&entry) {
            let _ = prune::remove(&entry.path());
        }
    }
}

/// True when nobody wrote to it for so long that no run can be at it.
pub(super) fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let written = entry.metadata().and_then(|metadata| metadata.modified()).ok();
    written.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > ABANDONED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_beside_its_target_is_removed_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let mut kept = Vec::new();
        for (name, hours, stays) in [
            (".anyarch-unfinished-aB3", 25, false),
            (".anyarch-unfinished-c4", 23, true),
            (".anyarch-unfinished-aB3.old", 25, true),
            (".anyarch-unfinished-", 25, true),
            (".anyarch-other", 25, true),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("half"), "of a bl").unwrap();
            let opened = std::fs::File::open(&path).unwrap();
            opened.set_modified(opened.metadata().unwrap().modified().unwrap() - hours * ABANDONED / 24).unwrap();
            kept.extend(stays.then_some(path));
        }
        drop(beside(&target).unwrap());
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        kept.sort();
        assert_eq!(left, kept);
        let (file, fresh) = (beside(&target).unwrap(), folder_beside(&target).unwrap());
        for path in [file.path(), fresh.path()] {
            assert!(path.file_name().unwrap().to_str().unwrap().starts_with(UNFINISHED), "{}", path.display());
        }
    }
}
