//! What a repository lacks of a unit gets there: found, mounted, or sent, the first unit that wants it doing it for all.

use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::image::Image;
use crate::plan::Unit;
use crate::platform::Platform;
use crate::reference::Repository;
use crate::registry::{Begun, Placement, PushedHow, Supply};

use super::target::Target;
use super::{Turn, Work, push_error};
use crate::run::error::Error;
use crate::run::event::TransferEnd;
use crate::run::renew;
use crate::run::transfer::{self, Transfer};

/// What shows that the blobs of a unit are in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// the manifest that names them
    Manifest,
    /// each of them alone
    Blobs,
}

impl Work {
    /// Sees to it that all blobs of a unit are in a repository.
    pub(super) async fn bring(&self, target: &Target, unit: &Unit, made: &Image, proof: Proof) -> Result<(), Error> {
        let repository = &target.repository;
        let config = made.config_descriptor();
        self.session.store.put(&config.media_type, &made.config)?;
        let all: Vec<&Descriptor> = made.layers.iter().chain([&config]).collect();
        // A manifest that is there proves that all its blobs are, unless the registry has just said otherwise.
        if proof == Proof::Manifest && self.has_manifest(repository, &made.descriptor().digest).await? {
            for blob in &all {
                self.session.moved.pushed(repository, blob, PushedHow::Existed);
            }
            self.prepared.client.saw_blobs(repository, all);
            return Ok(());
        }
        let base = self.prepared.base_names.get(&unit.base.name);
        let moving = all.into_iter().map(|blob| {
            let base = base.filter(|_| unit.base.image.layers.iter().any(|layer| layer.digest == blob.digest));
            self.bring_blob(repository, base, unit.platform, blob)
        });
        futures_util::future::try_join_all(moving).await.map(drop)
    }

    async fn has_manifest(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        if self.with_known(repository, |known| known.manifests.contains(digest)) {
            return Ok(true);
        }
        let _permit = self.permit(repository).await?;
        let found = self.prepared.client.has_manifest(repository, digest).await;
        let found = found.map_err(|source| push_error(repository, source))?;
        if found {
            self.with_known(repository, |known| known.manifests.insert(*digest));
        }
        Ok(found)
    }

    /// Brings a blob, which is a layer of `base` if that is given.
    async fn bring_blob(
        &self,
        repository: &Repository,
        base: Option<&BaseName>,
        platform: Platform,
        blob: &Descriptor,
    ) -> Result<(), Error> {
        // What one repository of a registry has by then, the next is given.
        let turn = self.turn(repository, &blob.digest);
        let _turn = turn.lock().await;
        if self.with_known(repository, |known| known.blobs.contains(&blob.digest)) {
            self.prepared.client.saw_blobs(repository, [blob]);
            self.session.moved.pushed(repository, blob, PushedHow::Existed);
            return Ok(());
        }
        let _permit = self.permit(repository).await?;
        let client = &self.prepared.client;
        let failed = |source| push_error(repository, source);
        let source = base.and_then(repository_of);
        let how = match client.place_blob(repository, blob, source).await.map_err(failed)? {
            Placement::Existed => PushedHow::Existed,
            Placement::Mounted => PushedHow::Mounted,
            Placement::Missing(begun) => {
                if let Err(error) = self.send(repository, base, platform, blob, begun).await {
                    // What was damaged in the store is sent once it is whole again.
                    if !renew::renewed(&self.session, &self.prepared, &error).await? {
                        return Err(error);
                    }
                    self.send(repository, base, platform, blob, Begun::default()).await?;
                }
                PushedHow::Uploaded
            }
        };
        self.session.moved.pushed(repository, blob, how);
        self.with_known(repository, |known| known.blobs.insert(blob.digest));
        Ok(())
    }

    /// Sends a blob, by an upload that the registry may have begun already.
    async fn send(
        &self,
        repository: &Repository,
        base: Option<&BaseName>,
        platform: Platform,
        blob: &Descriptor,
        begun: Begun,
    ) -> Result<(), Error> {
        let missing = base.filter(|_| !self.session.store.has(&blob.digest, blob.size));
        let file = missing.and_then(|base| self.prepared.bases.layer_file(base, blob));
        let supply = match &file {
            Some(file) => Supply::File(file),
            None => self.supply(missing, platform, blob).await?,
        };
        let what = transfer::of_push(repository, platform, base.is_some());
        let transfer = Transfer::start(&self.session, what, blob.size);
        let sent =
            self.prepared.client.send_blob(repository, blob, begun, supply, &|bytes| transfer.moved(bytes)).await;
        sent.map_err(|source| push_error(repository, source))?;
        transfer.end(TransferEnd::Done);
        if let Supply::Registry(from) = supply {
            self.session.moved.fetched(from, blob);
        }
        Ok(())
    }

    fn turn(&self, repository: &Repository, digest: &Digest) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        turns.entry((repository.registry.clone(), *digest)).or_default().clone()
    }

    /// Where the bytes come from: the store; for a layer of a base that is `missing` there, straight from the base's registry,
    /// unless several registries want it, or it comes into the store anyway.
    async fn supply<'base>(
        &self,
        missing: Option<&'base BaseName>,
        platform: Platform,
        blob: &Descriptor,
    ) -> Result<Supply<'base>, Error> {
        let Some(base) = missing else { return Ok(Supply::Store) };
        match repository_of(base) {
            // What is read into the store for something else is not read twice.
            Some(repository) if self.one_registry && !self.prepared.listings.fetches(&blob.digest) => {
                Ok(Supply::Registry(repository))
            }
            _ => {
                self.prepared.listings.fetch(base, platform, blob).await?;
                Ok(Supply::Store)
            }
        }
    }
}

fn repository_of(base: &BaseName) -> Option<&Repository> {
    match base {
        BaseName::Registry(reference) => Some(&reference.repository),
        _ => None,
    }
}
