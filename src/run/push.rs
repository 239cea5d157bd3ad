//! Images go to registries: what a repository lacks of a unit as soon as it is packed, while others are still compiled;
//! manifests when all are there; tags last.
//!
//! Registries do not wait for each other: each has its own `--push-jobs`. Within one registry a blob goes up once, and then the others of its
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
use blobs::Proof;
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
    /// For each registry, one permit for whatever is asked of it or sent to it: `--push-jobs`.
    jobs: BTreeMap<String, Semaphore>,
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
    /// Nothing moves yet, and the tags are looked at: whether a registry can be reached and lets us in is known before the
    /// compilers are done.
    #[must_use]
    pub fn new(session: &Session, prepared: &Arc<Prepared>) -> Self {
        let images = 0..prepared.plan.images.len();
        let references = images.clone().flat_map(|image| prepared.pushed(image));
        let registries: BTreeSet<&str> =
            references.map(|(reference, _)| reference.repository.registry.as_str()).collect();
        let jobs = prepared.settings.push_jobs();
        let work = Work {
            session: session.clone(),
            jobs: registries.iter().map(|registry| ((*registry).to_owned(), Semaphore::new(jobs))).collect(),
            targets: images.map(|image| Target::all(prepared.pushed(image))).collect(),
            one_registry: registries.len() == 1,
            prepared: prepared.clone(),
            known: Mutex::default(),
            turns: Mutex::default(),
            error: Mutex::default(),
            failed: watch::Sender::new(false),
        };
        let mut push = Self { work: Arc::new(work), units: JoinSet::new() };
        for (image, target) in push.work.everywhere() {
            let work = push.work.clone();
            push.units.spawn(async move {
                work.unless_failed(work.look_at_tags(&work.targets[image][target])).await;
            });
        }
        push
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
                    work.bring(target, unit, &made, Proof::Manifest).await
                };
                work.unless_failed(moving).await;
            });
        }
    }

    /// Waits until something has failed, and says what; for ever when all goes well.
    pub fn failure(&self) -> impl Future<Output = Error> + 'static {
        let work = self.work.clone();
        async move {
            // The sender lives as long as we do.
            let _ = work.failed.subscribe().wait_for(|failed| *failed).await;
            work.prepared.client.keep_whereabouts();
            work.failure().unwrap_or(Error::Thread)
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
        let result = match self.work.failure() {
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

    /// Every repository of every image, by their positions.
    fn everywhere(&self) -> Vec<(usize, usize)> {
        let targets = |(image, targets): (usize, &Vec<Target>)| (0..targets.len()).map(move |target| (image, target));
        self.targets.iter().enumerate().flat_map(targets).collect()
    }

    /// What failed, the first time that this is asked.
    fn failure(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn permit(&self, repository: &Repository) -> Result<SemaphorePermit<'_>, Error> {
        let jobs = self.jobs.get(&repository.registry).ok_or(Error::Thread)?;
        jobs.acquire().await.map_err(|_| Error::Thread)
    }
}

fn push_error(repository: &Repository, source: registry::Error) -> Error {
    Error::Push { target: repository.to_string(), source: Box::new(source) }
}
