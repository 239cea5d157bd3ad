//! Reads blobs into the store, a chunk at a time, each verified and never longer than announced.
//!
//! Two ways lead there. Registries that send us elsewhere for their blobs, which is most of the public ones, are read by
//! our own client, which holds redirects to our rules. A registry that has served a blob itself is read through
//! oci-client ([`super::reader`]) from then on. When that fails, our own client asks again: it alone can tell a person
//! what the registry said.

use std::io::Write as _;

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Method, Response, StatusCode};

use super::action::{Action, Verb};
use super::error::Error;
use super::host::Host;
use super::manifest::store_error;
use super::request::Call;
use super::token::Scopes;
use super::transport::READ_TIMEOUT;
use super::{Client, Inner, retry};
use crate::blob::Descriptor;
use crate::reference::Repository;
use crate::store::{BlobWriter, StoreError};

impl Client {
    /// Brings a blob of exactly that repository into the store, unless it is there.
    pub(super) async fn fetch_blob_at(
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
        let host = self.inner.host(repository);
        let action = Action::new(Verb::ReadBlob, repository, &descriptor.digest);
        retry::run(&self.inner.policy, || self.inner.fetch(&host, &action, descriptor, progress)).await
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

    async fn fetch(
        &self,
        host: &Host,
        action: &Action,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        if let Some(stream) = self.open_by_oci_client(host, action, descriptor).await? {
            match self.keep_stream(action, descriptor, stream, progress).await {
                Err(error @ Error::Store { .. }) => return Err(error),
                Ok(true) => return Ok(()),
                Ok(false) | Err(_) => host.forget_direct(),
            }
        }
        let scopes = Scopes::pull(&action.repository);
        let url = self.url(host, &action.repository, &format!("blobs/{}", descriptor.digest)).await?;
        let call = Call::new(action, Method::GET, url, &scopes);
        let answer = self.send(host, &call).await?.expect(action, &[StatusCode::OK]).await?;
        let direct = answer.own;
        self.keep(action, descriptor, answer.response, progress).await?;
        if direct {
            host.remember_direct();
        }
        Ok(())
    }

    async fn keep(
        &self,
        action: &Action,
        descriptor: &Descriptor,
        mut response: Response,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        if response.content_length().is_some_and(|length| length > descriptor.size) {
            return Err(Error::TooLarge { action: Box::new(action.clone()), limit: descriptor.size });
        }
        let mut sink = Sink::new(self, action, descriptor)?;
        progress(0);
        while let Some(chunk) = next_chunk(action, &mut response).await? {
            progress(sink.take(&chunk)?);
        }
        sink.finish()
    }

    /// Keeps what oci-client reads; false when the stream broke or lied, which is asked about again.
    async fn keep_stream(
        &self,
        action: &Action,
        descriptor: &Descriptor,
        mut stream: oci_client::client::SizedStream,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<bool, Error> {
        if stream.content_length.is_some_and(|length| length != descriptor.size) {
            return Ok(false);
        }
        let mut sink = Sink::new(self, action, descriptor)?;
        progress(0);
        loop {
            let Ok(next) = tokio::time::timeout(READ_TIMEOUT, stream.next()).await else { return Ok(false) };
            match next {
                None => return sink.finish().map(|()| true),
                Some(Err(_)) => return Ok(false),
                Some(Ok(chunk)) => progress(sink.take(&chunk)?),
            }
        }
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

/// A blob on its way into the store, counted against what was announced.
struct Sink<'fetch> {
    action: &'fetch Action,
    descriptor: &'fetch Descriptor,
    writer: BlobWriter<'fetch>,
    received: u64,
    root: &'fetch std::path::Path,
}

impl<'fetch> Sink<'fetch> {
    fn new(inner: &'fetch Inner, action: &'fetch Action, descriptor: &'fetch Descriptor) -> Result<Self, Error> {
        let writer = inner.store.writer().map_err(|source| store_error(action, source))?;
        Ok(Self { action, descriptor, writer, received: 0, root: inner.store.root() })
    }

    /// Takes a piece; how many bytes are there by then.
    fn take(&mut self, chunk: &Bytes) -> Result<u64, Error> {
        self.received += chunk.len() as u64;
        if self.received > self.descriptor.size {
            return Err(Error::TooLarge { action: Box::new(self.action.clone()), limit: self.descriptor.size });
        }
        self.writer
            .write_all(chunk)
            .map_err(|source| store_error(self.action, StoreError::Io { path: self.root.to_owned(), source }))?;
        Ok(self.received)
    }

    fn finish(self) -> Result<(), Error> {
        if self.received < self.descriptor.size {
            return Err(Error::Truncated {
                action: Box::new(self.action.clone()),
                expected: self.descriptor.size,
                actual: self.received,
            });
        }
        self.writer.finish_as(self.descriptor).map_err(|source| store_error(self.action, source))
    }
}
