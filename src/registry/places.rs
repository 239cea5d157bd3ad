//! Reads from wherever a repository is to be had: its mirrors, in their order, then the place that it really is at. What a
//! tag meant is recorded, so that a run without a network knows it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::action::{Action, Verb};
use super::error::Error;
use super::manifest::store_error;
use super::{Client, Fetched, Notes, RetryPolicy};
use crate::blob::{Descriptor, Digest};
use crate::reference::{Reference, Repository};
use crate::registry_map::RegistryMap;

/// The records of what tags meant.
const KIND: &str = "tag";

/// Where repositories are to be had.
pub(super) struct Places {
    map: RegistryMap,
    notes: Notes,
    /// mirrors that were in trouble, and are not asked again in this run
    out: Mutex<BTreeSet<String>>,
}

impl Places {
    pub(super) fn new(map: RegistryMap, notes: Notes) -> Self {
        Self { map, notes, out: Mutex::default() }
    }

    fn is_out(&self, registry: &str) -> bool {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).contains(registry)
    }

    /// Passes over a mirror.
    fn pass(&self, mirror: &Repository, origin: &Repository, error: &Error) {
        if !error.is_of_repository() {
            self.out.lock().unwrap_or_else(PoisonError::into_inner).insert(mirror.registry.clone());
        }
        self.notes.once(&mirror.registry, || {
            let (mirror, origin) = (&mirror.registry, &origin.registry);
            format!("the mirror `{mirror}` of `{origin}` is passed over: {}", in_full(error))
        });
    }
}

/// An error with what led to it, in one line.
fn in_full(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// The patience with a mirror: once more and soon, for another place stands behind it.
pub(super) fn hasty(policy: &RetryPolicy) -> RetryPolicy {
    RetryPolicy {
        attempts: policy.attempts.min(2),
        longest_wait: policy.longest_wait.min(Duration::from_secs(1)),
        ..policy.clone()
    }
}

/// What a tag meant.
#[derive(Debug, Serialize, Deserialize)]
struct Resolved {
    /// the name, for people who look into the store
    reference: String,
    /// the index or the manifest
    descriptor: Descriptor,
    /// when it meant that, in seconds since 1970
    time: u64,
}

impl Client {
    /// Where `repository` may be read from, in the order in which it is: its mirrors, then the place that it really is at.
    #[must_use]
    pub fn places_of(&self, repository: &Repository) -> Vec<Repository> {
        let mut places = self.inner.places.map.mirrors_of(repository);
        places.push(self.location_of(repository));
        places
    }

    /// Where `repository` really is, and is pushed to: itself, unless a `location` is said of it.
    #[must_use]
    pub fn location_of(&self, repository: &Repository) -> Repository {
        self.inner.places.map.location_of(repository)
    }

    /// Finds out what `reference` means now, and reads that: one HEAD for a tag whose manifest is in the store. Offline, it
    /// means what it meant when it was asked for last.
    ///
    /// # Errors
    /// When no registry can be asked, none has such a manifest, or the last sends something else.
    pub async fn resolve(&self, reference: &Reference) -> Result<Fetched, Error> {
        let repository = &reference.repository;
        if let Some(digest) = &reference.digest {
            return self.manifest(repository, digest).await;
        }
        let tag = repository.with_tag(reference.tag_or_latest()).unwrap_or_else(|_| reference.clone());
        if self.inner.transport.offline {
            return self.recorded(&tag).await;
        }
        let resolve = |client: Self, repository| {
            let tag = Reference { repository, ..tag.clone() };
            async move { client.resolve_at(&tag).await }
        };
        let fetched = self.first_of_places(repository, resolve).await?;
        self.record(&tag, &fetched)?;
        Ok(fetched)
    }

    /// The manifest of that digest, from the store if it is there.
    ///
    /// # Errors
    /// When no registry can be asked, none has such a manifest, or the last sends something else.
    pub async fn manifest(&self, repository: &Repository, digest: &Digest) -> Result<Fetched, Error> {
        let digest = *digest;
        let read = |client: Self, place: Repository| async move { client.manifest_at(&place, &digest).await };
        self.first_of_places(repository, read).await
    }

    /// Brings a blob into the store, unless it is there.
    ///
    /// `progress` is told how many bytes of the blob are there by now, for the first time before any comes; the number falls
    /// when an attempt begins anew.
    ///
    /// # Errors
    /// When no registry can be asked, none has such a blob, or the last sends something else.
    pub async fn fetch_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let fetch =
            |client: Self, place: Repository| async move { client.fetch_blob_at(&place, descriptor, progress).await };
        self.first_of_places(repository, fetch).await
    }

    /// Passes over a mirror of `origin` that failed while it was read from.
    pub(super) fn pass(&self, mirror: &Repository, origin: &Repository, error: &Error) {
        self.inner.places.pass(mirror, origin, error);
    }

    /// Tries each mirror, then the place itself, whose error is the one that counts.
    async fn first_of_places<T, Attempt, Running>(&self, repository: &Repository, attempt: Attempt) -> Result<T, Error>
    where
        Attempt: Fn(Self, Repository) -> Running,
        Running: Future<Output = Result<T, Error>>,
    {
        self.first_of_some_places(repository, |_| true, attempt).await
    }

    /// The same, of the mirrors that `may` be asked.
    pub(super) async fn first_of_some_places<T, Attempt, Running>(
        &self,
        repository: &Repository,
        may: impl Fn(&Repository) -> bool,
        attempt: Attempt,
    ) -> Result<T, Error>
    where
        Attempt: Fn(Self, Repository) -> Running,
        Running: Future<Output = Result<T, Error>>,
    {
        let places = &self.inner.places;
        for mirror in places.map.mirrors_of(repository) {
            if places.is_out(&mirror.registry) || !may(&mirror) {
                continue;
            }
            let hasty = Self { inner: self.hasty.clone(), hasty: self.hasty.clone() };
            // On the heap: what reads nests deep, and twice.
            match Box::pin(attempt(hasty, mirror.clone())).await {
                Err(error) if !error.is_local() => places.pass(&mirror, repository, &error),
                done => return done,
            }
        }
        Box::pin(attempt(self.clone(), self.location_of(repository))).await
    }

    fn record(&self, tag: &Reference, fetched: &Fetched) -> Result<(), Error> {
        let descriptor = Descriptor::new(&fetched.media_type, fetched.digest, fetched.bytes.len() as u64);
        let resolved = Resolved { reference: tag.to_string(), descriptor, time: now() };
        let kept = self.inner.store.set_record(KIND, &Digest::of(tag.to_string().as_bytes()), &resolved);
        kept.map_err(|source| {
            store_error(&Action::new(Verb::ReadManifest, &tag.repository, &tag.tag_or_latest()), source)
        })
    }

    async fn recorded(&self, tag: &Reference) -> Result<Fetched, Error> {
        let resolved: Option<Resolved> = self.inner.store.record(KIND, &Digest::of(tag.to_string().as_bytes()));
        let resolved = resolved.ok_or_else(|| Error::NeverResolved { reference: tag.clone() })?;
        let digest = resolved.descriptor.digest;
        let fetched = self.manifest(&tag.repository, &digest).await?;
        self.inner.places.notes.once(&tag.to_string(), || {
            let age = age(now().saturating_sub(resolved.time));
            format!("offline: `{tag}` is {digest}, as it was {age} ago")
        });
        Ok(fetched)
    }
}

#[expect(clippy::disallowed_methods, reason = "how old a record is says the clock; no image depends on it")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A time span for people.
fn age(seconds: u64) -> String {
    let several = |number: u64, unit: &str| format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
    match seconds {
        0..60 => several(seconds, "second"),
        60..3600 => several(seconds / 60, "minute"),
        3600..86_400 => several(seconds / 3600, "hour"),
        _ => several(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        for (seconds, expected) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "1 minute"),
            (7199, "1 hour"),
            (86_399, "23 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn a_mirror_is_not_waited_for() {
        let hasty = hasty(&RetryPolicy::default());
        assert_eq!((hasty.attempts, hasty.longest_wait), (2, Duration::from_secs(1)));
    }
}
