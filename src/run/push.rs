//! Images that are built go to registries: what a repository lacks of a unit as soon as it is packed, while others are still
//! compiled; manifests when all are there; tags last.

mod blobs;
mod carrier;
mod images;
mod manifests;
mod target;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::base_name::BaseName;
use crate::blob::Digest;
use crate::image::Image;
use crate::plan::Unit;
use crate::sink::Bundle;

use super::error::Error;
use super::prepare::Prepared;
use super::renew;
use super::session::Session;
use blobs::Proof;

pub(super) use blobs::Blob;
pub(super) use carrier::{Carrier, PUSH_JOBS, Stock, Task};
pub(super) use images::{Part, Shipment};
pub(super) use manifests::Paper;
pub(super) use target::Target;

/// The images of a run on their way to registries.
pub struct Push {
    work: Arc<Work>,
    units: JoinSet<()>,
}

/// What all uploads of a run share.
struct Work {
    carrier: Carrier,
    prepared: Arc<Prepared>,
    /// The repositories of each image.
    targets: Vec<Vec<Target>>,
    /// The first failure, and that there was one: the others stop then.
    error: Mutex<Option<Error>>,
    failed: watch::Sender<bool>,
}

/// What a build can make or fetch anew.
struct Build {
    session: Session,
    prepared: Arc<Prepared>,
}

impl Stock for Build {
    fn fetch<'run>(&'run self, origin: &'run BaseName, blob: &'run Blob) -> BoxFuture<'run, Result<(), Error>> {
        async move {
            let Some(platform) = blob.platform else { return Ok(()) };
            self.prepared.listings.fetch(origin, platform, &blob.descriptor).await
        }
        .boxed()
    }

    fn fetches(&self, digest: &Digest) -> bool {
        self.prepared.listings.fetches(digest)
    }

    fn file(&self, origin: &BaseName, blob: &Blob) -> Option<PathBuf> {
        self.prepared.bases.layer_file(origin, &blob.descriptor)
    }

    fn renewed<'run>(&'run self, error: &'run Error) -> BoxFuture<'run, Result<bool, Error>> {
        renew::renewed(&self.session, &self.prepared, error).boxed()
    }
}

impl Push {
    /// Nothing moves yet, and the tags are looked at: whether a registry can be reached and lets us in is known before the
    /// compilers are done.
    #[must_use]
    pub fn new(session: &Session, prepared: &Arc<Prepared>) -> Self {
        let images = 0..prepared.plan.images.len();
        let references = images.clone().flat_map(|image| prepared.pushed(image));
        let stock = Build { session: session.clone(), prepared: prepared.clone() };
        let work = Work {
            carrier: Carrier::new(
                session,
                &prepared.client,
                Arc::new(stock),
                prepared.settings.push_jobs(),
                references.map(|(reference, _)| &reference.repository),
                Task::Push,
            ),
            targets: images.map(|image| Target::all(prepared.pushed(image))).collect(),
            prepared: prepared.clone(),
            error: Mutex::default(),
            failed: watch::Sender::new(false),
        };
        let mut push = Self { work: Arc::new(work), units: JoinSet::new() };
        for (image, target) in push.work.everywhere() {
            let work = push.work.clone();
            push.units.spawn(async move {
                work.unless_failed(work.carrier.look_at_tags(&work.targets[image][target])).await;
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
                    work.carrier.look_at_tags(target).await?;
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
            work.carrier.keep_whereabouts();
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
        self.work.carrier.keep_whereabouts();
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

    /// Publishes every image in all its repositories.
    async fn publish(&self, bundles: &[Bundle]) -> Result<(), Error> {
        for bundle in bundles {
            // What a tag points to tells the next run what is there, if the store can tell what that is.
            for (descriptor, bytes) in bundle.documents() {
                self.carrier.session.store.put(&descriptor.media_type, bytes)?;
            }
        }
        let images = bundles.iter().zip(&self.targets).enumerate();
        let all = images.flat_map(|(image, (bundle, targets))| {
            targets.iter().map(move |target| self.publish_in(image, bundle, target))
        });
        try_join_all(all).await.map(drop)
    }

    async fn publish_in(&self, image: usize, bundle: &Bundle, target: &Target) -> Result<(), Error> {
        // Also with no tag to move: what the index names may be there no more.
        match self.put(bundle, target).await {
            // Something vanished between our look and now, or what proved it to be there did not.
            Err(Error::Push { source, .. }) if source.lacks_a_part() => {
                self.check_again(image, bundle, target).await?;
                self.put(bundle, target).await
            }
            put => put,
        }
    }

    async fn put(&self, bundle: &Bundle, target: &Target) -> Result<(), Error> {
        let top = bundle.top();
        let manifests: Vec<_> = bundle.images.iter().map(|image| (image.descriptor(), &image.manifest)).collect();
        if bundle.index.is_some() {
            let children = manifests
                .iter()
                .map(|(descriptor, bytes)| self.carrier.put(&target.repository, Paper { descriptor, bytes }));
            try_join_all(children).await?;
        }
        let only = manifests.first().map(|(_, manifest)| manifest.as_slice());
        let bytes = bundle.index.as_deref().or(only).unwrap_or_default();
        self.carrier.publish(target, Paper { descriptor: &top, bytes }).await
    }

    /// Forgets what is known of a repository, and brings what it turns out to lack; a manifest that it still has proves
    /// nothing now.
    async fn check_again(&self, image: usize, bundle: &Bundle, target: &Target) -> Result<(), Error> {
        self.carrier.forget(&target.repository);
        let units = &self.prepared.plan.images[image].units;
        let all = units.iter().zip(&bundle.images).map(|(unit, made)| self.bring(target, unit, made, Proof::Blobs));
        try_join_all(all).await.map(drop)
    }

    /// Sees to it that all blobs of a unit are in a repository.
    async fn bring(&self, target: &Target, unit: &Unit, made: &Image, proof: Proof) -> Result<(), Error> {
        let config = made.config_descriptor();
        self.carrier.session.store.put(&config.media_type, &made.config)?;
        let base = self.prepared.base_names.get(&unit.base.name);
        let blobs = made.layers.iter().chain([&config]).map(|blob| {
            let is_of_base = unit.base.image.layers.iter().any(|layer| layer.digest == blob.digest);
            let origin = base.filter(|_| is_of_base).cloned();
            Blob { descriptor: blob.clone(), origin, platform: Some(unit.platform) }
        });
        let blobs: Vec<Blob> = blobs.collect();
        self.carrier.bring(&target.repository, &made.descriptor().digest, &blobs, proof).await
    }
}
