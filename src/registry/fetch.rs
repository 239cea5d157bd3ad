//! Reads blobs into the store: what a run that failed left of them is gone on with, and what another process reads is
//! waited for.

use std::time::Duration;

use reqwest::header::CONTENT_LENGTH;
use tokio::time::Instant;

use super::action::{Action, Verb};
use super::error::Error;
use super::manifest::store_error;
use super::source::Source;
use super::token::Scopes;
use super::{Client, Inner};
use crate::blob::{Descriptor, Hasher};
use crate::reference::Repository;
use crate::store::{Claim, LOOK, Partial, Store, StoreError};

/// How long another process is waited for in silence.
const NOTE_AFTER: Duration = Duration::from_secs(2);

impl Client {
    /// Brings a blob of exactly that repository into the store, unless it is there.
    pub(super) async fn fetch_blob_at(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let _turn = self.inner.flights.turn(&descriptor.digest).await;
        let source = self.source(repository, descriptor);
        let Some(mut partial) = self.claim(&source).await? else {
            progress(descriptor.size);
            return Ok(());
        };
        let all = match fill(&source, &mut partial, progress).await {
            // Bytes go wrong on the way, and on disks.
            Err(Error::WrongContent { .. }) => {
                partial.begin_anew().map_err(|error| store_error(&source.action(), error))?;
                fill(&source, &mut partial, progress).await
            }
            filled => filled,
        };
        let all = match all {
            Err(error @ Error::WrongContent { .. }) => {
                partial.begin_anew().map_err(|error| store_error(&source.action(), error))?;
                return Err(error);
            }
            all => all?,
        };
        partial.finish_as(descriptor, all).map_err(|error| store_error(&source.action(), error))
    }

    /// What there is of the blob, to go on with; `None` when it is in the store.
    ///
    /// Another process that reads the same is waited for, as long as it gets on.
    async fn claim(&self, source: &Source) -> Result<Option<Partial>, Error> {
        let (store, digest, action) = (&self.inner.store, source.descriptor().digest, source.action());
        let there = || store.has(&digest, source.descriptor().size);
        let begin = Instant::now();
        let (mut others, mut moved) = (0, begin);
        loop {
            if there() {
                return Ok(None);
            }
            match off_the_runtime(&action, store.clone(), move |store| store.claim(&digest)).await? {
                // It may have come since.
                Claim::Ours(partial) => return Ok((!there()).then_some(partial)),
                Claim::Others(bytes) if bytes != others => (others, moved) = (bytes, Instant::now()),
                // It may be waiting for a server itself, so it gets twice as long as one.
                Claim::Others(_) if moved.elapsed() > 2 * self.inner.patience.silence => {
                    return off_the_runtime(&action, store.clone(), |store| store.claim_own()).await.map(Some);
                }
                Claim::Others(_) => {}
            }
            if begin.elapsed() > NOTE_AFTER {
                let note = || format!("another anyarch is {action}: waiting until it is done");
                self.inner.notes.once(&digest.to_string(), note);
            }
            tokio::time::sleep(LOOK).await;
        }
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

/// Adds to `partial` what is missing; what all of it went through.
async fn fill(source: &Source, partial: &mut Partial, progress: &(dyn Fn(u64) + Sync)) -> Result<Hasher, Error> {
    let kept = |error| store_error(&source.action(), error);
    if partial.before().size() > source.descriptor().size {
        partial.begin_anew().map_err(kept)?;
    }
    let mut reading = source.open_after(partial.before().clone()).await?;
    progress(reading.position());
    while let Some(piece) = reading.next().await? {
        partial.add(&piece).map_err(kept)?;
        progress(reading.position());
    }
    Ok(reading.into_hasher())
}

/// Reads and hashes large files where nobody waits for it.
async fn off_the_runtime<T: Send + 'static>(
    action: &Action,
    store: Store,
    work: impl FnOnce(Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Error> {
    let path = store.root().to_owned();
    let done = tokio::task::spawn_blocking(move || work(store)).await;
    done.unwrap_or_else(|error| Err(StoreError::Io { path, source: std::io::Error::other(error) }))
        .map_err(|error| store_error(action, error))
}
