//! A blob at a repository as a place to read from, as often and from wherever it takes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Mirrors that were opened once. Whoever opens again did not get what it wanted.
    opened: Arc<Mutex<BTreeSet<Repository>>>,
}

impl Client {
    /// The blob as a source of bytes; nothing is asked for yet.
    #[must_use]
    pub fn source(&self, repository: &Repository, descriptor: &Descriptor) -> Source {
        let (client, repository, descriptor) = (self.clone(), repository.clone(), descriptor.clone());
        Source { client, repository, descriptor, opened: Arc::default() }
    }
}

impl Source {
    /// What it is that is read.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// What is done when it is read.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::new(Verb::ReadBlob, &self.repository, &self.descriptor.digest)
    }

    /// Opens the blob from its first byte; the registry has answered by then.
    ///
    /// # Errors
    /// When the registry cannot be asked or has no such blob.
    pub async fn open(&self) -> Result<BlobStream, Error> {
        self.open_after(Hasher::default()).await
    }

    /// Opens what follows the bytes that went into `before`, of which the digest at the end tells whether they were right.
    ///
    /// # Errors
    /// When the registry cannot be asked or has no such blob.
    pub async fn open_after(&self, before: Hasher) -> Result<BlobStream, Error> {
        let position = before.size();
        self.open_with(Some(before), position).await
    }

    /// Opens what follows the first `position` bytes, for a destination that has them and checks the whole itself: these
    /// bytes are counted, and cannot be verified.
    ///
    /// # Errors
    /// When the registry cannot be asked or has no such blob.
    pub async fn open_at(&self, position: u64) -> Result<BlobStream, Error> {
        self.open_with((position == 0).then(Hasher::default), position).await
    }

    async fn open_with(&self, hasher: Option<Hasher>, position: u64) -> Result<BlobStream, Error> {
        let open = |client: Client, place: Repository| {
            let hasher = hasher.clone();
            async move { BlobStream::open(client.inner, &place, &self.descriptor, hasher, position).await }
        };
        let is_new =
            |mirror: &Repository| self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(mirror.clone());
        self.client.first_of_some_places(&self.repository, is_new, open).await
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Source").field(&self.action()).finish()
    }
}
