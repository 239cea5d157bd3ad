//! Pushes blobs: what the registry has is left alone, what another of its repositories has is mounted, and the rest goes
//! up in one streamed PUT.
//!
//! Over reqwest, not oci-client, which asks no source scope for a mount, takes the legal 202 to one for an error, and
//! uploads in chunks, which some registries drop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use tokio::sync::watch;
use url::Url;

use super::action::{Action, Verb};
use super::error::Error;
use super::host::Host;
use super::manifest::check_stored;
use super::refusal::{Refusal, TargetKind};
use super::request::{Answer, Body, Call};
use super::token::Scopes;
use super::{Client, Inner, PushedHow, retry};
use crate::blob::{Descriptor, Digest};
use crate::reference::Repository;

/// How long an upload may stand still.
const STANDSTILL: Duration = Duration::from_mins(2);
/// How long a registry may think about a blob that it has in full; some copy it to where it belongs first.
const DIGESTION: Duration = Duration::from_mins(15);

/// Uploads that a registry began in place of a mount, kept for the push of the same blob.
#[derive(Default)]
pub(super) struct Begun(Mutex<BTreeMap<(Repository, Digest), Url>>);

impl Begun {
    fn keep(&self, repository: &Repository, digest: &Digest, location: Url) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert((repository.clone(), *digest), location);
    }

    fn take(&self, repository: &Repository, digest: &Digest) -> Option<Url> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(repository.clone(), *digest))
    }
}

impl Client {
    /// Has the registry take a blob from another of its repositories; false when it does not. For a blob whose bytes are
    /// not here: when they are, [`Client::push_blob`] does it all.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn mount_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        from: &Repository,
    ) -> Result<bool, Error> {
        let Some(from) = mountable(repository, Some(from)) else { return Ok(false) };
        let host = self.inner.host(repository);
        let upload = Upload::new(&self.inner, &host, repository, descriptor, Some(from));
        match retry::run(&self.inner.policy, || upload.mount(from)).await? {
            Mount::Done => Ok(true),
            Mount::Refused => Ok(false),
            Mount::Upload(location) => {
                self.inner.begun.keep(repository, &descriptor.digest, location);
                Ok(false)
            }
        }
    }

    /// Sees to it that `repository` has the blob, whose bytes are the file `body`.
    ///
    /// `mount_from` is a repository of the same registry that has, or may have, the blob; one of another registry is
    /// not asked. `progress` is told how many bytes of the blob are on their way; the number falls when an attempt
    /// begins anew.
    ///
    /// # Errors
    /// When the registry cannot be asked or does not take the blob, or the file cannot be read.
    pub async fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        body: &Path,
        mount_from: Option<&Repository>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<PushedHow, Error> {
        let host = self.inner.host(repository);
        let upload = Upload::new(&self.inner, &host, repository, descriptor, mountable(repository, mount_from));
        if let Some(location) = self.inner.begun.take(repository, &descriptor.digest) {
            match upload.put(location, body, progress).await {
                Ok(()) => return Ok(PushedHow::Uploaded),
                Err(error @ Error::File { .. }) => return Err(error),
                // It may have ended while the bytes were fetched. All begins anew then.
                Err(_) => {}
            }
        }
        let check = upload.action.but(Verb::CheckBlob);
        if self.inner.has_blob(&check, &upload.scopes, descriptor).await? {
            progress(descriptor.size);
            return Ok(PushedHow::Existed);
        }
        retry::run(&self.inner.policy, || upload.run(body, progress)).await
    }
}

/// Only a registry's own repositories can be mounted from, and not the one that is pushed to.
fn mountable<'from>(repository: &Repository, from: Option<&'from Repository>) -> Option<&'from Repository> {
    from.filter(|from| from.registry == repository.registry && *from != repository)
}

/// What a registry made of the wish to mount a blob.
enum Mount {
    Done,
    /// It began an upload instead, which the specification allows.
    Upload(Url),
    Refused,
}

/// One blob on its way up; every attempt begins a new upload, for nobody promises that half of one is kept.
struct Upload<'push> {
    inner: &'push Inner,
    host: &'push Host,
    action: Action,
    descriptor: &'push Descriptor,
    scopes: Scopes,
    mount_from: Option<&'push Repository>,
}

impl<'push> Upload<'push> {
    fn new(
        inner: &'push Inner,
        host: &'push Host,
        repository: &Repository,
        descriptor: &'push Descriptor,
        mount_from: Option<&'push Repository>,
    ) -> Self {
        let action = Action::new(Verb::UploadBlob, repository, &descriptor.digest);
        Self { inner, host, action, descriptor, scopes: Scopes::push(repository), mount_from }
    }

    async fn run(&self, body: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<PushedHow, Error> {
        let mount = match self.mount_from {
            Some(from) => self.mount(from).await?,
            None => Mount::Refused,
        };
        let location = match mount {
            Mount::Done => {
                progress(self.descriptor.size);
                return Ok(PushedHow::Mounted);
            }
            Mount::Upload(location) => location,
            Mount::Refused => self.begin().await?,
        };
        self.put(location, body, progress).await?;
        Ok(PushedHow::Uploaded)
    }

    /// Asks for the blob of another repository.
    async fn mount(&self, from: &Repository) -> Result<Mount, Error> {
        let action = self.action.but(Verb::MountBlob);
        let scopes = self.scopes.clone().and_pull(from);
        let mut url = self.inner.url(self.host, &action.repository, "blobs/uploads/").await?;
        url.query_pairs_mut().append_pair("mount", &self.descriptor.digest.to_string()).append_pair("from", &from.path);
        let call = Call::new(&action, Method::POST, url, &scopes);
        let answer = match self.inner.send(self.host, &call).await {
            Ok(answer) => answer,
            // A token server that refuses the pair of scopes may give the target's alone.
            Err(Error::Token { status, .. }) if status.is_client_error() && status.as_u16() != 429 => {
                return Ok(Mount::Refused);
            }
            Err(error) => return Err(error),
        };
        match answer.response.status() {
            StatusCode::CREATED => {
                check_stored(&action, &answer, &self.descriptor.digest)?;
                Ok(Mount::Done)
            }
            StatusCode::ACCEPTED => self.location(&answer).map(Mount::Upload),
            status if retry::is_transient(status.as_u16()) => Err(answer.into_error(&action).await),
            // Registries without mounts answer this and that.
            _ => Ok(Mount::Refused),
        }
    }

    async fn begin(&self) -> Result<Url, Error> {
        let url = self.inner.url(self.host, &self.action.repository, "blobs/uploads/").await?;
        let call = Call::new(&self.action, Method::POST, url, &self.scopes);
        let answer = self.inner.send(self.host, &call).await?;
        let answer = answer.expect(&self.action, &[StatusCode::ACCEPTED]).await?;
        self.location(&answer)
    }

    /// Where the registry wants the bytes: another path or another host, with a query that is not ours to touch.
    fn location(&self, answer: &Answer) -> Result<Url, Error> {
        let Some(location) = answer.header(LOCATION.as_str()).filter(|location| !location.is_empty()) else {
            return Err(Error::NoLocation { action: Box::new(self.action.clone()), status: answer.response.status() });
        };
        let url = answer.url.join(location).ok().filter(Url::has_host);
        url.ok_or_else(|| Error::Forbidden {
            registry: self.host.registry.clone(),
            kind: TargetKind::Upload,
            target: super::answer::printable(location.split('?').next().unwrap_or_default()),
            source: Refusal::NotHttp,
        })
    }

    async fn put(&self, mut location: Url, body: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<(), Error> {
        // Not `query_pairs_mut().clear()` or the like: some registries sign their query byte by byte.
        let digest = format!("digest={}", self.descriptor.digest);
        let query = match location.query() {
            Some(query) if !query.is_empty() => format!("{query}&{digest}"),
            _ => digest,
        };
        location.set_query(Some(&query));
        let (sent, mut seen) = watch::channel(0_u64);
        let size = self.descriptor.size;
        let call = Call::new(&self.action, Method::PUT, location, &self.scopes)
            .body("application/octet-stream", Body::File { path: body.to_owned(), size, sent });
        let sending = self.inner.send(self.host, &call);
        tokio::pin!(sending);
        let answer = loop {
            let patience = if *seen.borrow() >= size { DIGESTION } else { STANDSTILL };
            tokio::select! {
                answer = &mut sending => break answer?,
                change = tokio::time::timeout(patience, seen.changed()) => {
                    if change.is_err() {
                        return Err(Error::Stalled { action: Box::new(self.action.clone()), after: patience });
                    }
                    progress(*seen.borrow_and_update());
                }
            }
        };
        let taken = [StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT];
        let answer = answer.expect(&self.action, &taken).await?;
        progress(size);
        check_stored(&self.action, &answer, &self.descriptor.digest)
    }
}
