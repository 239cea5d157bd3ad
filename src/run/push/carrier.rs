//! What every upload of a run shares: connections, what is known to be where, and who is at what.
//!
//! Registries do not wait for each other: each has its own `--push-jobs`. Within one registry a blob goes up once, and then
//! the others of its repositories are given it by the registry itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::base_name::BaseName;
use crate::blob::Digest;
use crate::reference::Repository;
use crate::registry;
use crate::run::error::Error;
use crate::run::session::Session;

use super::blobs::Blob;
use super::target::Known;

/// How many requests may be open at once at a registry that is pushed to, where nothing else is said.
pub(in crate::run) const PUSH_JOBS: usize = 4;

/// Where blobs come from that neither the store nor another registry has.
pub(in crate::run) trait Stock: Send + Sync {
    /// Brings a blob of `origin` into the store.
    ///
    /// # Errors
    /// When it cannot be read, is not what was announced, or cannot be kept.
    fn fetch<'run>(&'run self, origin: &'run BaseName, blob: &'run Blob) -> BoxFuture<'run, Result<(), Error>>;

    /// True when a blob is brought into the store for something else.
    fn fetches(&self, digest: &Digest) -> bool;

    /// The file that is a blob of `origin` already: of a layout on disk.
    fn file(&self, origin: &BaseName, blob: &Blob) -> Option<PathBuf>;

    /// Where `error` says that a blob of the store is not whole: has it there anew and returns true. False for any other
    /// error, and when it cannot be made.
    ///
    /// # Errors
    /// When it can be neither fetched nor made.
    fn renewed<'run>(&'run self, error: &'run Error) -> BoxFuture<'run, Result<bool, Error>>;
}

/// What is done, as people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Task {
    /// what was built is pushed
    Push,
    /// what exists is copied
    Copy,
}

/// Brings blobs and manifests to registries.
pub(in crate::run) struct Carrier {
    pub(super) session: Session,
    pub(super) client: registry::Client,
    pub(super) stock: Arc<dyn Stock>,
    pub(super) task: Task,
    /// For each registry, one permit for whatever is asked of it or sent to it.
    jobs: BTreeMap<String, Semaphore>,
    /// Whether all goes to one registry, so that what another has is wanted once.
    pub(super) one_registry: bool,
    /// What is known to be in a repository.
    known: Mutex<BTreeMap<Repository, Known>>,
    /// Whose turn it is to bring a blob to a registry.
    turns: Mutex<BTreeMap<(String, Digest), Turn>>,
}

pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

impl Carrier {
    /// Nothing is asked or moved yet. Each of the registries of `repositories`, all that anything goes to, takes `jobs`
    /// requests at once.
    pub(in crate::run) fn new<'name>(
        session: &Session,
        client: &registry::Client,
        stock: Arc<dyn Stock>,
        jobs: usize,
        repositories: impl Iterator<Item = &'name Repository>,
        task: Task,
    ) -> Self {
        let jobs: BTreeMap<String, Semaphore> =
            repositories.map(|repository| (repository.registry.clone(), Semaphore::new(jobs))).collect();
        Self {
            session: session.clone(),
            client: client.clone(),
            stock,
            task,
            one_registry: jobs.len() == 1,
            jobs,
            known: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// Keeps for later runs which repository was seen to have which blob.
    pub(in crate::run) fn keep_whereabouts(&self) {
        self.client.keep_whereabouts();
    }

    /// Forgets what is known of a repository: it turned out to be wrong.
    pub(super) fn forget(&self, repository: &Repository) {
        self.with_known(repository, |known| *known = Known::default());
    }

    /// What is known of a repository.
    pub(super) fn with_known<T>(&self, repository: &Repository, act: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        act(known.entry(repository.clone()).or_default())
    }

    pub(super) async fn permit(&self, repository: &Repository) -> Result<SemaphorePermit<'_>, Error> {
        let jobs = self.jobs.get(&repository.registry).ok_or(Error::Thread)?;
        jobs.acquire().await.map_err(|_| Error::Thread)
    }

    pub(super) fn turn(&self, repository: &Repository, digest: &Digest) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry((repository.registry.clone(), *digest)).or_default().clone()
    }
}

pub(super) fn push_error(repository: &Repository, source: registry::Error) -> Error {
    Error::Push { target: repository.to_string(), source: Box::new(source) }
}
