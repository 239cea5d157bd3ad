//! A stored blob becomes a stream that is hashed while it is read: who reads it to its end has what the digest says, or
//! an error in place of the last bytes. A damaged blob is removed from the store, so that the next run makes or fetches it
//! anew.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fs_err as fs;
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;

use super::{Store, StoreError};
use crate::blob::{Descriptor, Digest, Hasher};

/// Bytes that [`Store::chunks`] reads and hands on at a time.
const CHUNK: usize = 256 * 1024;
/// How many chunks are read and hashed ahead of whoever takes them.
const AHEAD: usize = 4;

/// A blob of the store that is hashed and counted while it is read.
///
/// The read that would hand out the last bytes fails when the blob turns out to be damaged: nobody ever holds all of a
/// damaged blob without knowing. The error holds a [`StoreError::Damaged`], which [`StoreError::within`] takes out of it.
pub struct VerifiedBlob {
    file: fs::File,
    expected: Digest,
    left: u64,
    hasher: Hasher,
    state: State,
    /// true for a blob of the store, which is removed when it is damaged
    owned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Whole,
    Damaged,
}

impl VerifiedBlob {
    /// Opens the file `path`, which should be the blob `descriptor`: `None` when its length says already that it is not.
    /// It is somebody's own, and stays whatever is wrong with it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn of_file(path: &Path, descriptor: &Descriptor) -> io::Result<Option<Self>> {
        let file = fs::File::open(path)?;
        let metadata = file.metadata()?;
        let fits = metadata.is_file() && metadata.len() == descriptor.size;
        let (expected, left) = (descriptor.digest, descriptor.size);
        Ok(fits.then(|| Self { file, expected, left, hasher: Hasher::default(), state: State::Reading, owned: false }))
    }

    /// Reads all that is left, and hands it on to `out` in large pieces.
    ///
    /// # Errors
    /// When it cannot be read or is damaged, and when `out` fails; what that has taken is not the blob then.
    pub fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        let mut buffer = vec![0; usize::try_from(self.left).unwrap_or(CHUNK).clamp(1, CHUNK)];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => out.write_all(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Its bytes in chunks, read and hashed on a thread of their own a little ahead of whoever takes them; a stream that is
    /// dropped ends that.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn into_chunks(mut self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + Unpin {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            loop {
                let chunk = chunk(&mut self).transpose();
                let last = !matches!(chunk, Some(Ok(_)));
                // The receiver is gone when nobody wants the rest.
                if chunk.is_some_and(|chunk| sender.blocking_send(chunk).is_err()) || last {
                    return;
                }
            }
        });
        Box::pin(stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        }))
    }

    fn settle(&mut self) -> io::Result<()> {
        let digest = std::mem::take(&mut self.hasher).finish().0;
        if self.left == 0 && digest == self.expected {
            self.state = State::Whole;
            return Ok(());
        }
        self.state = State::Damaged;
        // Who replaced the file meanwhile knows why: only what was read is taken away.
        if self.owned && self.file.metadata().is_ok_and(|read| is_at(&read, self.file.path())) {
            let _ = fs::remove_file(self.file.path());
        }
        Err(self.damaged())
    }

    fn damaged(&self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, StoreError::damaged(self.file.path().to_owned(), self.expected))
    }
}

/// True when the file that `metadata` is of has the name `path`.
fn is_at(metadata: &std::fs::Metadata, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.dev() == metadata.dev() && there.ino() == metadata.ino())
}

impl Read for VerifiedBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Whole => return Ok(0),
            State::Damaged => return Err(self.damaged()),
            State::Reading if self.left == 0 => return self.settle().map(|()| 0),
            State::Reading if buffer.is_empty() => return Ok(0),
            State::Reading => {}
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..most])?;
        self.hasher.update(&buffer[..count]);
        self.left -= count as u64;
        if count == 0 || self.left == 0 {
            self.settle()?;
        }
        Ok(count)
    }
}

impl Store {
    /// Opens a blob to be read with `std`.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it is not there; [`StoreError::Damaged`] when its length is wrong, and then it is
    /// removed; else when it cannot be opened.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<VerifiedBlob, StoreError> {
        let path = self.blob_path(&descriptor.digest);
        match VerifiedBlob::of_file(&path, descriptor) {
            Ok(Some(blob)) => {
                self.used(&path);
                Ok(VerifiedBlob { owned: true, ..blob })
            }
            Ok(None) => {
                let _ = fs::remove_file(&path);
                Err(StoreError::damaged(path, descriptor.digest))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Missing { path, digest: descriptor.digest })
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Reads a blob once, for nothing but to know that it is whole.
    ///
    /// # Errors
    /// As [`Self::open_blob`].
    pub fn prove(&self, descriptor: &Descriptor) -> Result<(), StoreError> {
        self.open_blob(descriptor)?.copy_to(&mut io::sink()).map_err(|error| self.failed(error))
    }

    /// Opens a blob to be sent: its bytes in chunks, read and hashed on a thread of their own a little ahead of whoever
    /// takes them; a stream that is dropped ends that.
    ///
    /// # Errors
    /// As [`Self::open_blob`]; each chunk as a read of a [`VerifiedBlob`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn chunks(
        &self,
        descriptor: &Descriptor,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync + Unpin + use<>, StoreError> {
        self.open_blob(descriptor).map(VerifiedBlob::into_chunks)
    }
}

/// The next [`CHUNK`] bytes, or what is left of them.
fn chunk(blob: &mut VerifiedBlob) -> io::Result<Option<Bytes>> {
    let wanted = usize::try_from(blob.left).unwrap_or(CHUNK).min(CHUNK);
    let mut bytes = Vec::with_capacity(wanted);
    // The last read settles whether the blob is whole, even one of no bytes.
    blob.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
    Ok((!bytes.is_empty()).then(|| Bytes::from(bytes)))
}

impl StoreError {
    /// What is wrong with the blob that was at `path`.
    fn damaged(path: PathBuf, digest: Digest) -> Self {
        let removed = matches!(fs::symlink_metadata(&path), Err(error) if error.kind() == io::ErrorKind::NotFound);
        Self::Damaged { path, digest, removed }
    }

    /// Takes what a [`VerifiedBlob`] said out of the error that a reader passed on.
    ///
    /// # Errors
    /// The error itself, when it is another.
    pub fn within(error: io::Error) -> Result<Self, io::Error> {
        error.downcast()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    fn store_with(bytes: &[u8]) -> (tempfile::TempDir, Store, Descriptor) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let descriptor = store.put("", bytes).unwrap();
        (folder, store, descriptor)
    }

    fn read(store: &Store, descriptor: &Descriptor) -> (Vec<u8>, Result<(), StoreError>) {
        let mut bytes = Vec::new();
        let read = match store.open_blob(descriptor) {
            Ok(mut blob) => blob.read_to_end(&mut bytes).map(drop).map_err(|error| StoreError::within(error).unwrap()),
            Err(error) => Err(error),
        };
        (bytes, read)
    }

    #[test]
    fn a_whole_blob_is_read_to_its_end() {
        for bytes in [&b""[..], b"a", &vec![7; 3 * CHUNK + 1], &vec![7; 2 * CHUNK]] {
            let (_folder, store, descriptor) = store_with(bytes);
            let (read, ended) = read(&store, &descriptor);
            ended.unwrap();
            assert_eq!(read, bytes);
        }
    }

    #[test]
    fn a_damaged_blob_is_never_handed_out_whole_and_is_removed() {
        let bytes = vec![7; CHUNK + 1];
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [flipped, bytes[..CHUNK].to_vec(), Vec::new(), [bytes.as_slice(), b"more"].concat()] {
            let (_folder, store, descriptor) = store_with(&bytes);
            let path = store.blob_path(&descriptor.digest);
            std::fs::write(&path, &damaged).unwrap();
            let (read, ended) = read(&store, &descriptor);
            assert!(matches!(ended, Err(StoreError::Damaged { removed: true, .. })), "{ended:?}");
            assert!(read.len() < bytes.len());
            assert!(!path.exists());
            let (_, ended) = super::tests::read(&store, &descriptor);
            assert!(matches!(ended, Err(StoreError::Missing { .. })), "{ended:?}");
        }
    }

    #[test]
    fn who_reads_on_after_the_error_gets_it_again() {
        let (_folder, store, descriptor) = store_with(b"hello");
        std::fs::write(store.blob_path(&descriptor.digest), b"jello").unwrap();
        let mut blob = store.open_blob(&descriptor).unwrap();
        let mut buffer = [0; 16];
        for _ in 0..2 {
            assert_eq!(blob.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn what_another_process_made_anew_meanwhile_stays() {
        let (_folder, store, descriptor) = store_with(b"hello");
        let path = store.blob_path(&descriptor.digest);
        std::fs::write(&path, b"jello").unwrap();
        let mut blob = store.open_blob(&descriptor).unwrap();
        std::fs::remove_file(&path).unwrap();
        store.put("", b"hello").unwrap();
        blob.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    }

    #[tokio::test]
    async fn chunks_are_the_blob_or_end_in_an_error() {
        for bytes in [&b""[..], b"a", &vec![7; 9 * CHUNK + 1], &vec![7; 2 * CHUNK]] {
            let (_folder, store, descriptor) = store_with(bytes);
            let chunks: Vec<Bytes> = store.chunks(&descriptor).unwrap().try_collect().await.unwrap();
            assert_eq!(chunks.concat(), bytes);
            if bytes.is_empty() {
                continue;
            }
            let mut damaged = bytes.to_vec();
            damaged[0] ^= 1;
            std::fs::write(store.blob_path(&descriptor.digest), damaged).unwrap();
            let mut chunks = store.chunks(&descriptor).unwrap();
            let mut seen = 0;
            let error = loop {
                match chunks.try_next().await {
                    Ok(Some(chunk)) => seen += chunk.len(),
                    Ok(None) => panic!("a damaged blob was read to its end"),
                    Err(error) => break error,
                }
            };
            assert!(seen < bytes.len());
            assert!(matches!(StoreError::within(error), Ok(StoreError::Damaged { .. })));
        }
    }
}
