//! Images that exist, wherever they are, get to a repository as they are: what it lacks of their blobs, then the manifests,
//! those that others name first, then what its tags point to.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::base::{Bases, Whole};
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::manifest::{Contents, Document, Entry, is_document, is_index};
use crate::platform::Platform;
use crate::reference::Repository;
use crate::registry;

use super::blobs::{Blob, Proof};
use super::carrier::{Carrier, Stock, Task};
use super::manifests::Paper;
use super::target::Target;
use crate::run::error::Error;
use crate::run::event::TransferEnd;
use crate::run::renew;
use crate::run::session::Session;
use crate::run::transfer::{self, Transfer};

/// How many manifests of an image are on their way at once.
const MANIFESTS: usize = 16;

/// Images that exist, as what blobs are taken from.
struct Existing {
    session: Session,
    bases: Bases,
}

impl Stock for Existing {
    fn fetch<'run>(&'run self, origin: &'run BaseName, blob: &'run Blob) -> BoxFuture<'run, Result<(), Error>> {
        async move {
            let descriptor = &blob.descriptor;
            let transfer = Transfer::start(
                &self.session,
                transfer::of_layer(self.bases.role(), origin, blob.platform),
                descriptor.size,
            );
            self.bases.fetch_layer(origin, descriptor, &|bytes| transfer.moved(bytes)).await?;
            transfer.end(TransferEnd::Done);
            if let BaseName::Registry(reference) = origin {
                self.session.moved.fetched(&reference.repository, descriptor);
            }
            Ok(())
        }
        .boxed()
    }

    fn fetches(&self, _: &Digest) -> bool {
        false
    }

    fn file(&self, origin: &BaseName, blob: &Blob) -> Option<PathBuf> {
        self.bases.layer_file(origin, &blob.descriptor)
    }

    fn renewed<'run>(&'run self, error: &'run Error) -> BoxFuture<'run, Result<bool, Error>> {
        // Where it came from it is still to be had.
        std::future::ready(Ok(renew::lost(error).is_some())).boxed()
    }
}

/// An image that a repository is to have: an index or a manifest, and where what it names is to be had.
pub(in crate::run) struct Shipment<'run> {
    /// reads the images
    pub bases: &'run Bases,
    /// the bytes that the tags are to point to; what it names is said by `parts`
    pub top: Paper<'run>,
    /// what is to be there before
    pub parts: Vec<Part<'run>>,
}

/// A part of an image that exists, all indexes of which were read.
#[derive(Clone, Copy)]
pub(in crate::run) enum Part<'run> {
    /// a manifest with its blobs, an index with all that it names, or whatever else an index names: by its digest
    Entry(&'run Whole, &'run Entry),
    /// the config and the layers of a manifest
    Blobs(&'run Whole, &'run Document),
}

impl<'run> Part<'run> {
    /// All that a document of an image names.
    pub(in crate::run) fn of(whole: &'run Whole, document: &'run Document) -> Vec<Self> {
        match &document.contents {
            Contents::Index(entries) => entries.iter().map(|entry| Self::Entry(whole, entry)).collect(),
            Contents::Manifest { .. } => vec![Self::Blobs(whole, document)],
        }
    }
}

impl Carrier {
    /// Brings images that exist, which `bases` reads, to `repositories`, each of whose registries takes `jobs` requests at
    /// once. Nothing is asked or moved yet.
    pub(in crate::run) fn of_images<'name>(
        session: &Session,
        client: &registry::Client,
        bases: &Bases,
        jobs: usize,
        repositories: impl Iterator<Item = &'name Repository>,
    ) -> Self {
        let existing = Existing { session: session.clone(), bases: bases.clone() };
        Self::new(session, client, Arc::new(existing), jobs, repositories, Task::Copy)
    }

    /// Brings an image to a repository. Of its manifests those are read that the repository lacks.
    ///
    /// # Errors
    /// When something of it cannot be read, or the registry cannot be asked or does not take it. Tags that moved before
    /// stay moved.
    pub(in crate::run) async fn deliver(&self, shipment: &Shipment<'_>, target: &Target) -> Result<(), Error> {
        let delivered = async {
            self.look_at_tags(target).await?;
            match self.attempt(shipment, target, Proof::Manifest).await {
                // Something vanished between our look and now, or what proved it to be there did not.
                Err(Error::Push { source, .. }) if source.lacks_a_part() => {
                    self.forget(&target.repository);
                    self.attempt(shipment, target, Proof::Blobs).await
                }
                delivered => delivered,
            }
        };
        let delivered = delivered.await;
        self.keep_whereabouts();
        delivered
    }

    async fn attempt(&self, shipment: &Shipment<'_>, target: &Target, proof: Proof) -> Result<(), Error> {
        let Shipment { bases, top, parts } = shipment;
        // What the tags point to tells the next run what is there, if the store can tell what that is.
        self.session.store.put(&top.descriptor.media_type, top.bytes)?;
        let to = Way { carrier: self, bases, repository: &target.repository, proof };
        to.bring_all(parts.clone()).await?;
        self.publish(target, *top).await
    }
}

/// The way of an image to a repository.
#[derive(Clone, Copy)]
struct Way<'run> {
    carrier: &'run Carrier,
    bases: &'run Bases,
    repository: &'run Repository,
    proof: Proof,
}

impl<'run> Way<'run> {
    fn bring_all(self, parts: Vec<Part<'run>>) -> BoxFuture<'run, Result<(), Error>> {
        let bring = move |part| async move {
            match part {
                Part::Entry(whole, _) | Part::Blobs(whole, _) if self.is_there(whole) => Ok(()),
                Part::Entry(whole, entry) => self.bring_entry(whole, entry).await,
                Part::Blobs(whole, document) => self.bring_named(whole, document, None).await,
            }
        };
        stream::iter(parts).map(bring).buffer_unordered(MANIFESTS).try_collect::<()>().boxed()
    }

    /// True where an image is read from the repository that it goes to: it is there then, unless that has just said
    /// otherwise.
    fn is_there(self, whole: &Whole) -> bool {
        let BaseName::Registry(reference) = &whole.name else { return false };
        let places = || self.carrier.client.places_of(&reference.repository);
        self.proof == Proof::Manifest && places().iter().all(|place| place == self.repository)
    }

    async fn bring_entry(self, whole: &'run Whole, entry: &'run Entry) -> Result<(), Error> {
        let descriptor = &entry.descriptor;
        if !is_document(&descriptor.media_type) {
            return self.carrier.bring_blob(self.repository, &blob(whole, descriptor, entry.platform())).await;
        }
        if is_index(&descriptor.media_type) {
            // Of what an index names, parts can be deleted one by one: that it is there says nothing.
            if let Some(index) = whole.documents.get(&descriptor.digest) {
                self.bring_all(Part::of(whole, index)).await?;
            }
        }
        if self.proof == Proof::Manifest && self.carrier.has_manifest(self.repository, &descriptor.digest).await? {
            if let Some(document) = whole.documents.get(&descriptor.digest) {
                self.carrier.were_there(self.repository, document.blobs());
            }
            return Ok(());
        }
        let read;
        let document = if let Some(document) = whole.documents.get(&descriptor.digest) {
            document
        } else {
            read = self.bases.document_of(&whole.name, descriptor).await?;
            &read
        };
        self.bring_named(whole, document, entry.platform()).await?;
        let paper = Paper { descriptor: &document.descriptor, bytes: &document.bytes };
        self.carrier.put(self.repository, paper).await
    }

    /// Brings the blobs that a document names.
    async fn bring_named(self, whole: &Whole, document: &Document, platform: Option<Platform>) -> Result<(), Error> {
        let blobs: Vec<Blob> = document.blobs_here().map(|named| blob(whole, named, platform)).collect();
        try_join_all(blobs.iter().map(|blob| self.carrier.bring_blob(self.repository, blob))).await.map(drop)
    }
}

fn blob(whole: &Whole, descriptor: &Descriptor, platform: Option<Platform>) -> Blob {
    Blob { descriptor: descriptor.clone(), origin: Some(whole.name.clone()), platform }
}
