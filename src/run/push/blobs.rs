//! What a repository lacks of a manifest's blobs gets there: found, mounted, or sent, the first that wants it doing it for
//! all.

use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::platform::Platform;
use crate::reference::Repository;
use crate::registry::{Begun, Placement, PushedHow, Supply};

use super::carrier::{Carrier, push_error};
use crate::run::error::Error;
use crate::run::event::TransferEnd;
use crate::run::transfer::{self, Transfer};

/// What shows that the blobs of a manifest are in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Proof {
    /// the manifest that names them
    Manifest,
    /// each of them alone
    Blobs,
}

/// A blob that a repository is to have.
#[derive(Debug, Clone)]
pub(in crate::run) struct Blob {
    /// which
    pub descriptor: Descriptor,
    /// an image that has it, where the store has not
    pub origin: Option<BaseName>,
    /// the platform that it is for, as people are told
    pub platform: Option<Platform>,
}

impl Carrier {
    /// Sees to it that all blobs of a manifest are in a repository.
    ///
    /// # Errors
    /// When the registry cannot be asked, does not take one, or one cannot be had.
    pub(super) async fn bring(
        &self,
        repository: &Repository,
        manifest: &Digest,
        blobs: &[Blob],
        proof: Proof,
    ) -> Result<(), Error> {
        // A manifest that is there proves that all its blobs are, unless the registry has just said otherwise.
        if proof == Proof::Manifest && self.has_manifest(repository, manifest).await? {
            self.were_there(repository, blobs.iter().map(|blob| &blob.descriptor));
            return Ok(());
        }
        let moving = blobs.iter().map(|blob| self.bring_blob(repository, blob));
        futures_util::future::try_join_all(moving).await.map(drop)
    }

    /// Takes in that blobs that a repository was to have were there.
    pub(super) fn were_there<'blobs>(
        &self,
        repository: &Repository,
        blobs: impl IntoIterator<Item = &'blobs Descriptor, IntoIter: Clone>,
    ) {
        let blobs = blobs.into_iter();
        blobs.clone().for_each(|blob| self.session.moved.pushed(repository, blob, PushedHow::Existed));
        self.client.saw_blobs(repository, blobs);
    }

    /// Whether a repository has a manifest; once it does, it is not asked again.
    pub(super) async fn has_manifest(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        if self.with_known(repository, |known| known.manifests.contains(digest)) {
            return Ok(true);
        }
        let _permit = self.permit(repository).await?;
        let found = self.client.has_manifest(repository, digest).await;
        let found = found.map_err(|source| push_error(repository, source))?;
        if found {
            self.with_known(repository, |known| known.manifests.insert(*digest));
        }
        Ok(found)
    }

    /// Sees to it that a blob is in a repository.
    pub(super) async fn bring_blob(&self, repository: &Repository, blob: &Blob) -> Result<(), Error> {
        let descriptor = &blob.descriptor;
        // What one repository of a registry has by then, the next is given.
        let turn = self.turn(repository, &descriptor.digest);
        let _turn = turn.lock().await;
        if self.with_known(repository, |known| known.blobs.contains(&descriptor.digest)) {
            self.client.saw_blobs(repository, [descriptor]);
            self.session.moved.pushed(repository, descriptor, PushedHow::Existed);
            return Ok(());
        }
        let _permit = self.permit(repository).await?;
        let failed = |source| push_error(repository, source);
        let source = blob.origin.as_ref().and_then(repository_of);
        let how = match self.client.place_blob(repository, descriptor, source).await.map_err(failed)? {
            Placement::Existed => PushedHow::Existed,
            Placement::Mounted => PushedHow::Mounted,
            Placement::Missing(begun) => {
                if let Err(error) = self.send(repository, blob, begun).await {
                    // What was damaged in the store is sent once it is whole again.
                    if !self.stock.renewed(&error).await? {
                        return Err(error);
                    }
                    self.send(repository, blob, Begun::default()).await?;
                }
                PushedHow::Uploaded
            }
        };
        self.session.moved.pushed(repository, descriptor, how);
        self.with_known(repository, |known| known.blobs.insert(descriptor.digest));
        Ok(())
    }

    /// Sends a blob, by an upload that the registry may have begun already.
    async fn send(&self, repository: &Repository, blob: &Blob, begun: Begun) -> Result<(), Error> {
        let descriptor = &blob.descriptor;
        let is_here = || self.session.store.has(&descriptor.digest, descriptor.size);
        let missing = blob.origin.as_ref().filter(|_| !is_here());
        let file = missing.and_then(|origin| self.stock.file(origin, blob));
        let supply = match &file {
            Some(file) => Supply::File(file),
            None => self.supply(missing, blob).await?,
        };
        let transfer = Transfer::start(&self.session, transfer::of_push(self.task, repository, blob), descriptor.size);
        let sent = self.client.send_blob(repository, descriptor, begun, supply, &|bytes| transfer.moved(bytes)).await;
        sent.map_err(|source| push_error(repository, source))?;
        transfer.end(TransferEnd::Done);
        if let Supply::Registry(from) = supply {
            self.session.moved.fetched(from, descriptor);
        }
        Ok(())
    }

    /// Where the bytes come from: the store; for a blob that is `missing` there, straight from the registry that has it,
    /// unless several registries want it, or it comes into the store anyway.
    async fn supply<'name>(&self, missing: Option<&'name BaseName>, blob: &Blob) -> Result<Supply<'name>, Error> {
        let Some(origin) = missing else { return Ok(Supply::Store) };
        match repository_of(origin) {
            // What is read into the store for something else is not read twice.
            Some(repository) if self.one_registry && !self.stock.fetches(&blob.descriptor.digest) => {
                Ok(Supply::Registry(repository))
            }
            _ => {
                self.stock.fetch(origin, blob).await?;
                Ok(Supply::Store)
            }
        }
    }
}

fn repository_of(name: &BaseName) -> Option<&Repository> {
    match name {
        BaseName::Registry(reference) => Some(&reference.repository),
        _ => None,
    }
}
