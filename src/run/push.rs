//! Images go to registries: what a repository lacks of a unit as soon as it is packed, while others are still compiled;
//! manifests when all are there; tags last.
//!
//! Registries do not wait for each other. Within one registry a blob goes up once, and then the others of its
//! repositories are given it by the registry itself.

mod blobs;
mod manifests;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;

use crate::blob::Digest;
use crate::image::Image;
use crate::reference::Repository;
use crate::registry;
use crate::sink::Bundle;

use super::error::Error;
use super::prepare::Prepared;
use super::session::Session;
use target::{Known, Target};

/// The images of a run on their way to registries.
pub struct Push {
    work: Arc<Work>,
    units: JoinSet<()>,
}

/// What all uploads of a run share.
struct Work {
    session: Session,
    prepared: Arc<Prepared>,
    /// One permit for whatever is asked of a registry or sent to it: `--push-jobs`.
    jobs: Semaphore,
    /// The repositories of each image.
    targets: Vec<Vec<Target>>,
    /// Whether all go to one registry, so that what another has is wanted once.
    one_registry: bool,
    /// What is known to be in a repository.
    known: Mutex<BTreeMap<Repository, Known>>,
    /// Whose turn it is to bring a blob to a registry.
    turns: Mutex<BTreeMap<(String, Digest), Turn>>,
    /// The first failure, and that there was one: the others stop then.
    error: Mutex<Option<Error>>,
    failed: watch::Sender<bool>,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

impl Push {
    /// Nothing moves yet.
    #[must_use]
    pub fn new(session: &Session, prepared: &Arc<Prepared>) -> Self {
        let references = || prepared.references.iter().flatten();
        let registries: BTreeSet<&str> = references().map(|reference| reference.repository.registry.as_str()).collect();
        let work = Work {
            session: session.clone(),
            jobs: Semaphore::new(prepared.settings.push_jobs()),
            targets: prepared.references.iter().map(|references| Target::all(references)).collect(),
            one_registry: registries.len() == 1,
            prepared: prepared.clone(),
            known: Mutex::default(),
            turns: Mutex::default(),
            error: Mutex::default(),
            failed: watch::Sender::new(false),
        };
        Self { work: Arc::new(work), units: JoinSet::new() }
    }

    /// Starts to bring what the repositories of an image lack of one of its units.
    pub fn start(&mut self, image: usize, unit: usize, made: &Image) {
        for target in 0..self.work.targets[image].len() {
            let (work, made) = (self.work.clone(), made.clone());
            self.units.spawn(async move {
                let unit = &work.prepared.plan.images[image].units[unit];
                let target = &work.targets[image][target];
                let moving = async {
                    work.look_at_tags(target).await?;
                    work.bring(target, unit, &made).await
                };
                work.unless_failed(moving).await;
            });
        }
    }

    /// Waits for what was started, pushes manifests, and moves the tags; one bundle an image, in the order of the plan.
    ///
    /// # Errors
    /// When a registry cannot be asked, or does not take something. Tags that moved before stay moved; each points to a
    /// whole image.
    pub async fn finish(mut self, bundles: &[Bundle]) -> Result<(), Error> {
        let mut ended = Ok(());
        while let Some(joined) = self.units.join_next().await {
            ended = ended.and(joined.map_err(|_| Error::Thread));
        }
        let failure = self.work.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = match failure {
            Some(error) => Err(error),
            None => match ended {
                Ok(()) => self.work.publish(bundles).await,
                Err(error) => Err(error),
            },
        };
        self.work.prepared.client.keep_whereabouts();
        result
    }
}

impl Work {
    /// Goes on with `moving` until it is over or something else has failed; what fails first is kept.
    async fn unless_failed(&self, moving: impl Future<Output = Result<(), Error>>) {
        let mut failed = self.failed.subscribe();
        tokio::select! {
            // The sender lives as long as we do.
            _ = failed.wait_for(|failed| *failed) => {}
            ended = moving => if let Err(error) = ended {
                self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                self.failed.send_replace(true);
            }
        }
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.jobs.acquire().await.map_err(|_| Error::Thread)
    }
}

fn push_error(repository: &Repository, source: registry::Error) -> Error {
    Error::Push { target: repository.to_string(), source: Box::new(source) }
}
