//! Pushes blobs: what the registry has is left alone, what another of its repositories has is mounted, and the rest goes
//! up in one streamed PUT, or in parts where the registry wants them ([`super::parts`]).
//!
//! Over reqwest, not oci-client, which asks no source scope for a mount, takes the legal 202 to one for an error, and
//! uploads in chunks, which some registries drop.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use tokio::sync::watch;
use url::Url;

use super::action::{Action, Verb};
use super::body::{BlobBody, Body, BodyFailure, Stock};
use super::error::Error;
use super::host::Host;
use super::manifest::check_stored;
use super::part_sizes::LEAST_HEADER;
use super::refusal::{Refusal, TargetKind};
use super::request::{Answer, Call};
use super::retry::RetryPolicy;
use super::token::Scopes;
use super::{Client, retry};
use crate::blob::Descriptor;
use crate::reference::Repository;

/// How long an upload may stand still.
pub(super) const STANDSTILL: Duration = Duration::from_mins(2);
/// The same where the bytes come from another registry, which has its own ways to be slow and to come back.
const STANDSTILL_ELSEWHERE: Duration = Duration::from_mins(5);
/// The longest that a registry may think about a blob that it has in full; some copy it to where it belongs first.
const DIGESTION: Duration = Duration::from_mins(15);
/// What a blob is sent as.
pub(super) const OCTETS: &str = "application/octet-stream";
/// How fast a registry may be expected to think about it, in bytes a second.
const DIGESTED: u64 = 1_000_000;
/// How many repositories are asked for one blob.
const MOST_MOUNTS: usize = 2;
/// How often one of them is asked, and for how long, with all waits: sending the blob is the other way.
const MOUNT_ATTEMPTS: u32 = 2;
const MOUNT_PATIENCE: Duration = Duration::from_secs(30);
const MOUNT_WAIT: Duration = Duration::from_secs(5);

/// Where the bytes of a blob that is pushed come from.
#[derive(Debug, Clone, Copy)]
pub enum Supply<'supply> {
    /// the store has them
    Store,
    /// a file that is nobody's copy of ours: the blob in somebody's layout
    File(&'supply Path),
    /// that repository has them; they are passed on as they come, and nothing is kept here
    Registry(&'supply Repository),
}

/// Whether a blob is where it is wanted.
pub enum Placement {
    /// it was there
    Existed,
    /// the registry took it from another of its repositories
    Mounted,
    /// it has to be sent
    Missing(Begun),
}

/// An upload that a registry began in place of a mount, if it did; for [`Client::send_blob`].
#[derive(Default)]
pub struct Begun(Option<Url>);

impl Client {
    /// Sees to it that `repository` has the blob without sending it: it is there, or can be mounted from where `mount_from`
    /// is to be had in the same registry, or from where it was seen earlier.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn place_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        mount_from: Option<&Repository>,
    ) -> Result<Placement, Error> {
        let inner = &self.inner;
        let host = inner.host(repository);
        let upload = Upload::new(self, &host, repository, descriptor);
        let check = upload.action.but(Verb::CheckBlob);
        if inner.has_blob(&check, &upload.scopes, descriptor).await? {
            upload.is_there();
            return Ok(Placement::Existed);
        }
        let mut begun = Begun::default();
        for from in self.mountable(repository, descriptor, mount_from) {
            match upload.mount_if_quick(&from).await? {
                Mount::Done => {
                    upload.is_there();
                    return Ok(Placement::Mounted);
                }
                Mount::Upload(location) => begun = Begun(Some(location)),
                Mount::Refused => {}
            }
            inner.whereabouts.saw(&inner.store, &from, &descriptor.digest, false);
            // A second one would leave the first behind, unfinished.
            if begun.0.is_some() {
                break;
            }
        }
        Ok(Placement::Missing(begun))
    }

    /// Sends a blob that `repository` lacks.
    ///
    /// `progress` is told how many bytes of the blob are on their way, for the first time before any is; the number falls
    /// when an attempt begins anew.
    ///
    /// # Errors
    /// When the registry cannot be asked or does not take the blob, or its bytes cannot be had or are not what its digest
    /// says: it is not finished then.
    pub async fn send_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        begun: Begun,
        supply: Supply<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let host = self.inner.host(repository);
        let upload = Upload::new(self, &host, repository, descriptor);
        let stock = match supply {
            Supply::Store => Stock::Store,
            Supply::File(path) => Stock::File(path),
            Supply::Registry(from) => Stock::Elsewhere(Box::new(self.source(from, descriptor))),
        };
        let (begun, again) = (Mutex::new(begun.0), AtomicBool::new(false));
        let attempt = || async {
            let check = upload.action.but(Verb::CheckBlob);
            // An answer may have been lost on its way, and the blob not.
            if again.swap(true, Ordering::Relaxed) && self.inner.has_blob(&check, &upload.scopes, descriptor).await? {
                return Ok(());
            }
            let begun = begun.lock().unwrap_or_else(PoisonError::into_inner).take();
            upload.attempt(begun, &stock, progress).await
        };
        let mut wrong = 0;
        while let Err(error) = retry::run(&self.inner.policy, attempt).await {
            let is_wrong =
                matches!(&error, Error::Source { source, .. } if matches!(**source, Error::WrongContent { .. }));
            wrong += 1;
            match &stock {
                Stock::Elsewhere(source) if is_wrong && wrong <= source.most_wrong() => {}
                _ => return Err(error),
            }
        }
        progress(descriptor.size);
        upload.is_there();
        Ok(())
    }

    /// Takes in that `repository` has these blobs, so that others of its registry can mount them.
    pub fn saw_blobs<'blobs>(&self, repository: &Repository, blobs: impl IntoIterator<Item = &'blobs Descriptor>) {
        for blob in blobs {
            self.inner.whereabouts.saw(&self.inner.store, repository, &blob.digest, true);
        }
    }

    /// Keeps for later runs which repository was seen to have which blob.
    pub fn keep_whereabouts(&self) {
        self.inner.whereabouts.keep(&self.inner.store);
    }

    /// Where the blob may be mounted from: only a registry's own repositories, and not the one that is pushed to.
    fn mountable(&self, repository: &Repository, blob: &Descriptor, from: Option<&Repository>) -> Vec<Repository> {
        let fits = |from: &Repository| from.registry == repository.registry && from != repository;
        let places = from.map(|from| self.places_of(from)).unwrap_or_default();
        let mut sources: Vec<Repository> = places.into_iter().filter(fits).collect();
        for known in self.inner.whereabouts.sources(&self.inner.store, repository, &blob.digest) {
            if !sources.contains(&known) {
                sources.push(known);
            }
        }
        sources.truncate(MOST_MOUNTS);
        sources
    }
}

/// What a registry made of the wish to mount a blob.
enum Mount {
    Done,
    /// It began an upload instead, which the specification allows.
    Upload(Url),
    Refused,
}

/// One blob on its way up; every attempt begins a new upload, for nobody promises that half of one is kept.
pub(super) struct Upload<'push> {
    pub(super) client: &'push Client,
    pub(super) host: &'push Host,
    pub(super) action: Action,
    pub(super) descriptor: &'push Descriptor,
    pub(super) scopes: Scopes,
}

impl<'push> Upload<'push> {
    fn new(client: &'push Client, host: &'push Host, repository: &Repository, descriptor: &'push Descriptor) -> Self {
        let action = Action::new(Verb::UploadBlob, repository, &descriptor.digest);
        Self { client, host, action, descriptor, scopes: Scopes::push(repository) }
    }

    fn is_there(&self) {
        let (inner, repository) = (&self.client.inner, &self.action.repository);
        inner.whereabouts.saw(&inner.store, repository, &self.descriptor.digest, true);
    }

    /// Asks for the blob of another repository; a mount saves bytes, so one that fails or takes long is no reason to fail.
    async fn mount_if_quick(&self, from: &Repository) -> Result<Mount, Error> {
        let policy = &self.client.inner.policy;
        let policy = RetryPolicy {
            attempts: policy.attempts.min(MOUNT_ATTEMPTS),
            longest_wait: policy.longest_wait.min(MOUNT_WAIT),
            ..policy.clone()
        };
        let mounting = retry::run(&policy, || self.mount(from));
        match tokio::time::timeout(MOUNT_PATIENCE, mounting).await {
            Ok(Err(error)) if error.is_local() || matches!(error, Error::Forbidden { .. }) => Err(error),
            Ok(Ok(mount)) => Ok(mount),
            Ok(Err(_)) | Err(_) => Ok(Mount::Refused),
        }
    }

    /// Asks for the blob of another repository, once.
    async fn mount(&self, from: &Repository) -> Result<Mount, Error> {
        let inner = &self.client.inner;
        let action = self.action.but(Verb::MountBlob);
        let scopes = self.scopes.clone().and_pull(from);
        let mut url = inner.url(self.host, &action.repository, "blobs/uploads/").await?;
        url.query_pairs_mut().append_pair("mount", &self.descriptor.digest.to_string()).append_pair("from", &from.path);
        let call = Call::new(&action, Method::POST, url, &scopes);
        // A token server that refuses the pair of scopes may give the target's alone.
        let answer = inner.send(self.host, &call).await?;
        match answer.response.status() {
            StatusCode::CREATED => {
                check_stored(&action, &answer, &self.descriptor.digest)?;
                Ok(Mount::Done)
            }
            // Without a place to go on at, nothing was begun.
            StatusCode::ACCEPTED => match self.begun(&answer) {
                Err(Error::NoLocation { .. }) => Ok(Mount::Refused),
                begun => begun.map(Mount::Upload),
            },
            status if retry::is_transient(status.as_u16()) => Err(answer.into_error(&action).await),
            // Registries without mounts answer this and that.
            _ => Ok(Mount::Refused),
        }
    }

    async fn attempt(
        &self,
        begun: Option<Url>,
        stock: &Stock<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        if let Some(location) = begun {
            match self.send(location, stock, progress).await {
                // It may have ended meanwhile, or be of no use to the target's own token: all begins anew.
                Err(Error::Forgotten { .. }) => {}
                Err(error @ Error::Status { .. }) if !error.is_transient() => {}
                ended => return ended,
            }
        }
        let location = self.begin().await?;
        self.send(location, stock, progress).await
    }

    async fn begin(&self) -> Result<Url, Error> {
        let inner = &self.client.inner;
        let url = inner.url(self.host, &self.action.repository, "blobs/uploads/").await?;
        let call = Call::new(&self.action, Method::POST, url, &self.scopes);
        let answer = inner.send(self.host, &call).await?.expect(&self.action, &[StatusCode::ACCEPTED]).await?;
        self.begun(&answer)
    }

    /// Where an upload that was begun goes on; by the way the registry may say how small parts may be.
    fn begun(&self, answer: &Answer) -> Result<Url, Error> {
        if let Some(least) = answer.header(LEAST_HEADER).and_then(|least| least.trim().parse().ok()) {
            self.client.inner.part_sizes.at_least(&self.host.registry, least);
        }
        self.location(answer)?.ok_or_else(|| {
            let status = answer.response.status();
            Error::NoLocation { action: Box::new(self.action.clone()), status }
        })
    }

    /// Where the registry wants the bytes: another path or another host, with a query that is not ours to touch.
    pub(super) fn location(&self, answer: &Answer) -> Result<Option<Url>, Error> {
        let Some(location) = answer.header(LOCATION.as_str()).filter(|location| !location.is_empty()) else {
            return Ok(None);
        };
        let url = answer.url.join(location).ok().filter(Url::has_host);
        url.map(Some).ok_or_else(|| Error::Forbidden {
            registry: self.host.registry.clone(),
            kind: TargetKind::Upload,
            target: super::answer::printable(location.split('?').next().unwrap_or_default()),
            source: Refusal::NotHttp,
        })
    }

    /// Sends the blob in one piece; in parts when the registry wants them or does not take so much at once.
    async fn send(&self, location: Url, stock: &Stock<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<(), Error> {
        let (sizes, registry) = (&self.client.inner.part_sizes, &self.host.registry);
        let size = self.descriptor.size;
        if sizes.of(registry).is_some_and(|part| size > part) {
            return self.in_parts(location, stock, progress).await;
        }
        match self.put(location, stock, progress).await {
            Err(error) if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE.as_u16()) => {
                if !sizes.refused(registry, size) {
                    return Err(error);
                }
                let location = self.begin().await?;
                self.in_parts(location, stock, progress).await
            }
            sent => sent,
        }
    }

    async fn put(&self, location: Url, stock: &Stock<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<(), Error> {
        let (sent, seen) = watch::channel(0_u64);
        let standstill = if matches!(stock, Stock::Elsewhere(_)) { STANDSTILL_ELSEWHERE } else { STANDSTILL };
        let body = BlobBody::of(stock, &self.client.inner.store, self.descriptor, sent);
        progress(0);
        let failure = body.failure();
        let call = Call::new(&self.action, Method::PUT, self.finishing(location), &self.scopes)
            .body(OCTETS, Body::Blob(Box::new(body)));
        let answer = self.watched(&call, &failure, seen, standstill, progress).await?;
        self.finished(answer).await
    }

    /// The URL that finishes an upload.
    pub(super) fn finishing(&self, mut location: Url) -> Url {
        // Not `query_pairs_mut().clear()` or the like: some registries sign their query byte by byte.
        let digest = format!("digest={}", self.descriptor.digest);
        let query = match location.query() {
            Some(query) if !query.is_empty() => format!("{query}&{digest}"),
            _ => digest,
        };
        location.set_query(Some(&query));
        location
    }

    pub(super) async fn finished(&self, answer: Answer) -> Result<(), Error> {
        let taken = [StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT];
        let answer = answer.expect(&self.action, &taken).await.map_err(Error::of_an_upload)?;
        check_stored(&self.action, &answer, &self.descriptor.digest)
    }

    /// How long the registry may think about so many bytes of the blob once it has them.
    pub(super) fn digestion(bytes: u64) -> Duration {
        (STANDSTILL + Duration::from_secs(bytes / DIGESTED)).min(DIGESTION)
    }

    /// Sends a body as long as it moves, and says why when it was our side that failed.
    pub(super) async fn watched(
        &self,
        call: &Call<'_>,
        failure: &BodyFailure,
        mut seen: watch::Receiver<u64>,
        standstill: Duration,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Answer, Error> {
        let size = call.body.length();
        let sending = self.client.inner.send(self.host, call);
        tokio::pin!(sending);
        let ended = loop {
            let patience = if *seen.borrow() >= size { Self::digestion(size).max(standstill) } else { standstill };
            tokio::select! {
                answer = &mut sending => break answer,
                change = tokio::time::timeout(patience, seen.changed()) => {
                    if change.is_err() {
                        break Err(Error::Stalled { action: Box::new(self.action.clone()), after: patience });
                    }
                    progress(*seen.borrow_and_update());
                }
            }
        };
        match ended {
            Ok(answer) if answer.response.status().is_success() => Ok(answer),
            ended => failure.take(&self.action).map_or(ended, Err),
        }
    }
}
