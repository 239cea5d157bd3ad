//! Bytes become a blob of the store: written beside its place, hashed on the way, and renamed once whole.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::{Store, StoreError};
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
        let file = self.unfinished().map_err(|source| self.failed(source))?;
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

/// The path of a fresh temporary file beside `target`, to be renamed onto it once it is whole.
///
/// # Errors
/// When no file can be made there.
pub fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::new_in(folder)
}
