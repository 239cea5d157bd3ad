//! What the body of a request is made of, opened anew by every attempt and every redirect: a blob of the store, hashed
//! while it is sent, a part of one, or a blob of another registry, passed on as it comes.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;

use super::action::Action;
use super::error::Error;
use super::source::{Source, SourceFailure};
use crate::blob::{Descriptor, Digest};
use crate::store::{Store, StoreError, VerifiedBlob};

/// Bytes of a part of a blob that are read, and handed on, at a time.
const PIECE: u64 = 256 * 1024;

/// A request's body.
pub(super) enum Body {
    Empty,
    Bytes(Bytes),
    Blob(Box<BlobBody>),
}

impl Body {
    /// Length in bytes.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(blob) => blob.length,
        }
    }

    pub(super) async fn open(&self, action: &Action) -> Result<Option<reqwest::Body>, Error> {
        match self {
            Self::Empty => Ok(None),
            Self::Bytes(bytes) => Ok(Some(reqwest::Body::from(bytes.clone()))),
            Self::Blob(blob) => blob.open(action).await.map(Some),
        }
    }
}

/// Where all bytes of a blob come from, however often they are sent.
pub(super) enum Stock<'stock> {
    Store,
    File(&'stock Path),
    /// With what is known of the places where it is to be had.
    Elsewhere(Box<Source>),
}

/// Where the bytes of a body come from.
#[derive(Clone)]
enum Origin {
    /// The store, verified before the last ones are sent.
    Stored(Store),
    /// A file, verified before the last bytes are sent.
    File(PathBuf),
    /// A file, from that byte on: for who has verified the whole.
    Part { path: PathBuf, first: u64 },
    /// Another registry, verified before the last ones are sent.
    Elsewhere(Source),
}

/// The bytes of a blob, or of a part of it; `sent` holds how many of them are on their way.
pub(super) struct BlobBody {
    origin: Origin,
    descriptor: Descriptor,
    length: u64,
    sent: watch::Sender<u64>,
    failure: BodyFailure,
}

/// Why a body could not be read to its end: the failure of the request that sent it tells only that it was not.
#[derive(Clone, Default)]
pub(super) struct BodyFailure(Arc<Mutex<Failed>>);

#[derive(Default)]
enum Failed {
    #[default]
    No,
    File(PathBuf, io::Error),
    Source(SourceFailure),
}

impl BodyFailure {
    fn set(&self, failed: Failed) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    /// The reason, if it was our side that failed and not the destination.
    pub(super) fn take(&self, action: &Action) -> Option<Error> {
        match std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            Failed::No => None,
            Failed::File(path, error) => Some(unreadable(action, path, error)),
            Failed::Source(failure) => failure
                .take()
                .map(|source| Error::Source { action: Box::new(action.clone()), source: Box::new(source) }),
        }
    }
}

/// A body that is being opened.
type Opening<'open> = Pin<Box<dyn Future<Output = Result<reqwest::Body, Error>> + Send + 'open>>;

impl BlobBody {
    fn new(origin: Origin, descriptor: &Descriptor, length: u64, sent: watch::Sender<u64>) -> Self {
        Self { origin, descriptor: descriptor.clone(), length, sent, failure: BodyFailure::default() }
    }

    /// A whole blob.
    pub(super) fn of(stock: &Stock<'_>, store: &Store, descriptor: &Descriptor, sent: watch::Sender<u64>) -> Self {
        let origin = match stock {
            Stock::Store => Origin::Stored(store.clone()),
            Stock::File(path) => Origin::File((*path).to_owned()),
            Stock::Elsewhere(source) => Origin::Elsewhere(Source::clone(source)),
        };
        Self::new(origin, descriptor, descriptor.size, sent)
    }

    /// `length` bytes of a blob that is the file `path`, from the byte `first` on.
    pub(super) fn part(
        path: PathBuf,
        descriptor: &Descriptor,
        first: u64,
        length: u64,
        sent: watch::Sender<u64>,
    ) -> Self {
        Self::new(Origin::Part { path, first }, descriptor, length, sent)
    }

    /// Where to look for the reason when the request fails.
    pub(super) fn failure(&self) -> BodyFailure {
        self.failure.clone()
    }

    /// Boxed: a source is opened by a request within the request that has this body, so the type would have no end.
    fn open<'open>(&'open self, action: &'open Action) -> Opening<'open> {
        Box::pin(self.opened(action))
    }

    async fn opened(&self, action: &Action) -> Result<reqwest::Body, Error> {
        self.failure.set(Failed::No);
        self.sent.send_replace(0);
        match &self.origin {
            Origin::Stored(store) => {
                let chunks = stored_chunks(action, store, &self.descriptor)?;
                Ok(self.watched(store.blob_path(&self.descriptor.digest), chunks))
            }
            Origin::File(path) => Ok(self.watched(path.clone(), file_chunks(action, path, &self.descriptor)?)),
            Origin::Part { path, first } => {
                let failed = |error| unreadable(action, path.clone(), error);
                let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
                file.seek(SeekFrom::Start(*first)).await.map_err(failed)?;
                Ok(self.watched(path.clone(), pieces(file, self.length).boxed()))
            }
            Origin::Elsewhere(source) => {
                let opened = source.open().await.map_err(|source| {
                    let action = Box::new(action.clone());
                    Error::Source { action, source: Box::new(source) }
                })?;
                let (body, failure) = opened.into_body(self.sent.clone());
                self.failure.set(Failed::Source(failure));
                Ok(body)
            }
        }
    }

    fn watched(&self, path: PathBuf, chunks: Chunks) -> reqwest::Body {
        let (sent, failure) = (self.sent.clone(), self.failure.clone());
        let mut position = 0;
        reqwest::Body::wrap_stream(chunks.map(move |chunk| match chunk {
            Ok(chunk) => {
                position += chunk.len() as u64;
                sent.send_replace(position);
                Ok(chunk)
            }
            Err(error) => {
                let broken = io::Error::new(error.kind(), error.to_string());
                failure.set(Failed::File(path.clone(), error));
                Err(broken)
            }
        }))
    }
}

/// The bytes of a blob, an error in place of the last of them when they are not what its digest says.
pub(super) type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// A blob of the store, which is removed when it is damaged.
pub(super) fn stored_chunks(action: &Action, store: &Store, descriptor: &Descriptor) -> Result<Chunks, Error> {
    let chunks =
        store.chunks(descriptor).map_err(|source| Error::Store { action: Box::new(action.clone()), source })?;
    Ok(chunks.boxed())
}

/// A blob that is a file elsewhere, which stays whatever is wrong with it.
pub(super) fn file_chunks(action: &Action, path: &Path, descriptor: &Descriptor) -> Result<Chunks, Error> {
    let failed = |error| unreadable(action, path.to_owned(), error);
    let blob = VerifiedBlob::of_file(path, descriptor).map_err(failed)?;
    let wrong = || failed(not_the_blob(&descriptor.digest));
    Ok(blob.ok_or_else(wrong)?.into_chunks().boxed())
}

fn not_the_blob(digest: &Digest) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is not the blob {digest}"))
}

/// What it means that the file `path` could not be read.
pub(super) fn unreadable(action: &Action, path: PathBuf, error: io::Error) -> Error {
    let action = Box::new(action.clone());
    match StoreError::within(error) {
        Ok(StoreError::Damaged { digest, removed: false, .. }) => {
            Error::File { action, path, source: not_the_blob(&digest) }
        }
        Ok(source) => Error::Store { action, source },
        Err(source) => Error::File { action, path, source },
    }
}

/// The next `length` bytes of a file.
fn pieces(file: tokio::fs::File, length: u64) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(left.min(PIECE)).unwrap_or(usize::MAX);
        let mut piece = BytesMut::with_capacity(wanted);
        let count = (&mut file).take(wanted as u64).read_buf(&mut piece).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((piece.freeze(), (file, left - count as u64))))
    })
}
