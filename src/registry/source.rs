//! A blob at a repository as a place to read from, as often as it takes: from the first of the repository's places that
//! has it and, when that stops or sends something else, from the next.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;

use super::Client;
use super::action::{Action, Verb};
use super::error::Error;
use super::stream::BlobStream;
use crate::blob::{Descriptor, Hasher};
use crate::reference::Repository;

/// A blob at a repository, to be read as often as it takes.
#[derive(Clone)]
pub struct Source {
    client: Client,
    repository: Repository,
    descriptor: Descriptor,
    /// Mirrors that did not send it: they are not asked again, unlike those whose bytes somebody else had no use for.
    failed: Arc<Mutex<BTreeSet<Repository>>>,
}

/// A blob that is being read, at one place after another.
pub struct Reading {
    source: Source,
    /// The mirror that it comes from; none when it comes from the place itself.
    mirror: Option<Repository>,
    /// How many of its bytes are of other places, or of an earlier reading.
    others: u64,
    stream: BlobStream,
}

impl Client {
    /// The blob as a source of bytes; nothing is asked for yet.
    #[must_use]
    pub fn source(&self, repository: &Repository, descriptor: &Descriptor) -> Source {
        let (client, repository, descriptor) = (self.clone(), repository.clone(), descriptor.clone());
        Source { client, repository, descriptor, failed: Arc::default() }
    }
}

impl Source {
    /// What it is that is read.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Where it is read, there or at a mirror.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What is done when it is read.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::new(Verb::ReadBlob, &self.repository, &self.descriptor.digest)
    }

    /// Opens the blob from its first byte; a registry has answered by then.
    ///
    /// # Errors
    /// When no registry can be asked or has such a blob.
    pub async fn open(&self) -> Result<Reading, Error> {
        self.open_after(Hasher::default()).await
    }

    /// Opens what follows the bytes that went into `before`, of which the digest at the end tells whether they were right.
    ///
    /// # Errors
    /// When no registry can be asked or has such a blob.
    pub async fn open_after(&self, before: Hasher) -> Result<Reading, Error> {
        let others = before.size();
        let (mirror, stream) = self.stream_after(before).await?;
        Ok(Reading { source: self.clone(), mirror, others, stream })
    }

    /// The first place that has what follows `before`, if that is a mirror.
    async fn stream_after(&self, before: Hasher) -> Result<(Option<Repository>, BlobStream), Error> {
        let open = |client: Client, place: Repository| {
            let before = before.clone();
            async move {
                let opened = BlobStream::open(client.inner, &place, &self.descriptor, before).await;
                if opened.as_ref().is_err_and(|error| !error.is_local()) {
                    self.fail(&place);
                }
                opened.map(|stream| (place, stream))
            }
        };
        let may = |mirror: &Repository| !self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains(mirror);
        let (place, stream) = self.client.first_of_some_places(&self.repository, may, open).await?;
        Ok(((place != self.client.location_of(&self.repository)).then_some(place), stream))
    }

    fn fail(&self, place: &Repository) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone());
    }

    /// How often it is worth while to read anew when the bytes were wrong: each mirror may send wrong ones from the first
    /// on, and wrong ones with which another goes on; and at the place itself bytes go wrong on the way, too.
    pub(super) fn most_wrong(&self) -> usize {
        2 * self.client.places_of(&self.repository).len() - 1
    }
}

impl Reading {
    /// How many bytes of the blob were handed on, those before an opening in the middle included.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.stream.position()
    }

    /// What all bytes up to [`Self::position`] went through.
    #[must_use]
    pub fn into_hasher(self) -> Hasher {
        self.stream.into_hasher()
    }

    /// The next piece, never an empty one; `None` at the end, when the digest was right.
    ///
    /// # Errors
    /// When the bytes are other ones than announced, or when the last of the places stops sending them and trying again
    /// does not help. The reading has ended then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.stream.next().await {
                Err(error) => self.leave(error).await?,
                piece => return piece,
            }
        }
    }

    /// Goes on at the next place, if there is one and it can.
    async fn leave(&mut self, error: Error) -> Result<(), Error> {
        let Some(mirror) = self.mirror.take().filter(|_| !error.is_local()) else { return Err(error) };
        let is_wrong = matches!(error, Error::WrongContent { .. });
        // With bytes of others among them, nobody knows whose are wrong.
        if !is_wrong || self.others == 0 {
            self.source.fail(&mirror);
            self.source.client.pass(&mirror, &self.source.repository, &error);
        }
        if is_wrong {
            return Err(error);
        }
        self.others = self.position();
        (self.mirror, self.stream) = self.source.stream_after(self.stream.hasher().clone()).await?;
        Ok(())
    }

    /// A request body of what is left, the number of whose bytes that are on their way `sent` holds, and where to look
    /// for the reason when it fails: the error of the request tells only that it did.
    #[must_use]
    pub fn into_body(self, sent: watch::Sender<u64>) -> (reqwest::Body, SourceFailure) {
        let failure = SourceFailure::default();
        let slot = failure.clone();
        let pieces = stream::try_unfold(self, move |mut reading| {
            let (slot, sent) = (slot.clone(), sent.clone());
            async move {
                match reading.next().await {
                    Ok(Some(piece)) => {
                        sent.send_replace(reading.position());
                        Ok(Some((piece, reading)))
                    }
                    Ok(None) => Ok(None),
                    Err(error) => {
                        let broken = io::Error::other(error.to_string());
                        *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        Err(broken)
                    }
                }
            }
        });
        (reqwest::Body::wrap_stream(pieces), failure)
    }
}

/// Why a body of bytes from another registry failed.
#[derive(Debug, Clone, Default)]
pub struct SourceFailure(Arc<Mutex<Option<Error>>>);

impl SourceFailure {
    /// The reason, if it was the source that failed and not the destination.
    #[must_use]
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Source").field(&self.action()).finish()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reading")
            .field("action", &self.source.action())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
