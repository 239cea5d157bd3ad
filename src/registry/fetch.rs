//! Reads blobs into the store, a chunk at a time, each verified and never longer than announced.
//!
//! Two ways lead there. Registries that send us elsewhere for their blobs, which is most of the public ones, are read by
//! our own client, which holds redirects to our rules. A registry that has served a blob itself is read through
//! oci-client ([`super::reader`]) from then on. When that fails, our own client asks again: it alone can tell a person
//! what the registry said.

use std::io::Write as _;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::CONTENT_LENGTH;

use super::action::{Action, Verb};
use super::error::Error;
use super::manifest::store_error;
use super::stream::Source;
use super::token::Scopes;
use super::transport::READ_TIMEOUT;
use super::{Client, Inner};
use crate::blob::Descriptor;
use crate::reference::Repository;
use crate::store::StoreError;

impl Client {
    /// Brings a blob into the store, unless it is there.
    ///
    /// `progress` is told how many bytes of the blob are there by now; the number falls when an attempt begins anew.
    ///
    /// # Errors
    /// When the registry cannot be asked, has no such blob, or sends something else.
    pub async fn fetch_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let _turn = self.inner.flights.turn(&descriptor.digest).await;
        if self.inner.store.has(&descriptor.digest, descriptor.size) {
            progress(descriptor.size);
            return Ok(());
        }
        let source = self.source(repository, descriptor);
        match self.keep(&source, progress).await {
            // Bytes go wrong on the way, too.
            Err(Error::WrongContent { .. }) => self.keep(&source, progress).await,
            kept => kept,
        }
    }

    /// Reads the blob into the store.
    async fn keep(&self, source: &Source, progress: &(dyn Fn(u64) + Sync)) -> Result<(), Error> {
        let (action, store) = (source.action(), &self.inner.store);
        let mut stream = source.open().await?;
        let mut writer = store.writer().map_err(|error| store_error(&action, error))?;
        progress(0);
        while let Some(piece) = stream.next().await? {
            let path = || store.root().to_owned();
            writer
                .write_all(&piece)
                .map_err(|error| store_error(&action, StoreError::Io { path: path(), source: error }))?;
            progress(stream.position());
        }
        writer.finish_as(source.descriptor()).map_err(|error| store_error(&action, error))
    }

    /// True when the repository has that blob. A registry that does not answer HEAD counts as not having it.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn has_blob(&self, repository: &Repository, descriptor: &Descriptor) -> Result<bool, Error> {
        let action = Action::new(Verb::CheckBlob, repository, &descriptor.digest);
        let scopes = Scopes::push(repository);
        self.inner.has_blob(&action, &scopes, descriptor).await
    }
}

impl Inner {
    pub(super) async fn has_blob(
        &self,
        action: &Action,
        scopes: &Scopes,
        descriptor: &Descriptor,
    ) -> Result<bool, Error> {
        let Some(answer) = self.look(action, scopes, &format!("blobs/{}", descriptor.digest)).await? else {
            return Ok(false);
        };
        // A registry that holds half of a blob must be given the whole.
        let size = answer.header(CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok());
        Ok(size.is_none_or(|size| size == descriptor.size))
    }
}

/// The next piece of a body.
pub(super) async fn next_chunk(action: &Action, response: &mut Response) -> Result<Option<Bytes>, Error> {
    match tokio::time::timeout(READ_TIMEOUT, response.chunk()).await {
        Err(_) => Err(Error::Stalled { action: Box::new(action.clone()), after: READ_TIMEOUT }),
        Ok(Err(error)) => Err(Error::Interrupted { action: Box::new(action.clone()), source: error.without_url() }),
        Ok(Ok(chunk)) => Ok(chunk),
    }
}
