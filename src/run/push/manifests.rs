//! Manifests and tags of images whose blobs are there: children first, then what the tags point to, under the name of each
//! tag that does not point to it already.

use futures_util::future::try_join_all;

use crate::blob::{Digest, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use crate::reference::Repository;
use crate::registry;
use crate::sink::Bundle;

use super::blobs::Proof;
use super::target::{Tag, Target};
use super::{Work, push_error};
use crate::run::error::Error;

/// A manifest or an index that is pushed.
struct Document<'bundle> {
    reference: &'bundle str,
    media_type: &'bundle str,
    bytes: &'bundle [u8],
}

impl Work {
    /// Publishes every image in all its repositories.
    pub(super) async fn publish(&self, bundles: &[Bundle]) -> Result<(), Error> {
        for bundle in bundles {
            // What a tag points to tells the next run what is there, if the store can tell what that is.
            for (descriptor, bytes) in bundle.documents() {
                self.session.store.put(&descriptor.media_type, bytes)?;
            }
        }
        let images = bundles.iter().zip(&self.targets).enumerate();
        let all = images.flat_map(|(image, (bundle, targets))| {
            targets.iter().map(move |target| self.publish_in(image, bundle, target))
        });
        try_join_all(all).await.map(drop)
    }

    async fn publish_in(&self, image: usize, bundle: &Bundle, target: &Target) -> Result<(), Error> {
        let top = bundle.top().digest;
        let mut moving = Vec::new();
        for tag in &target.tags {
            if self.points_to(tag, &top).await? {
                self.remember(tag, &top)?;
            } else {
                moving.push(tag);
            }
        }
        // Also with no tag to move: what the index names may be there no more.
        match self.put(bundle, target, &moving).await {
            // Something vanished between our look and now, or what proved it to be there did not.
            Err(Error::Push { source, .. }) if source.lacks_a_part() => {
                self.check_again(image, bundle, target).await?;
                self.put(bundle, target, &moving).await
            }
            put => put,
        }
    }

    /// Has the cache know the image by the name of a tag that points to it.
    fn remember(&self, tag: &Tag, top: &Digest) -> Result<(), Error> {
        Ok(self.session.store.remember_name(top, &tag.reference.to_string())?)
    }

    async fn put(&self, bundle: &Bundle, target: &Target, tags: &[&Tag]) -> Result<(), Error> {
        let repository = &target.repository;
        let failed = |source| push_error(repository, source);
        if bundle.index.is_some() {
            let children =
                bundle.images.iter().map(|image| self.put_by_digest(repository, MEDIA_TYPE_MANIFEST, &image.manifest));
            try_join_all(children).await.map_err(failed)?;
        }
        let only = bundle.images.first().map(|image| image.manifest.as_slice());
        let media_type = if bundle.index.is_some() { MEDIA_TYPE_INDEX } else { MEDIA_TYPE_MANIFEST };
        let bytes = bundle.index.as_deref().or(only).unwrap_or_default();
        if target.by_digest {
            self.put_by_digest(repository, media_type, bytes).await.map_err(failed)?;
        }
        for tag in tags {
            let reference = tag.reference.tag_or_latest();
            self.put_document(repository, &Document { reference, media_type, bytes }).await.map_err(failed)?;
            self.remember(tag, &bundle.top().digest)?;
        }
        Ok(())
    }

    async fn put_by_digest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), registry::Error> {
        let digest = Digest::of(bytes);
        if self.with_known(repository, |known| known.manifests.contains(&digest)) {
            return Ok(());
        }
        let document = Document { reference: &digest.to_string(), media_type, bytes };
        self.put_document(repository, &document).await?;
        self.with_known(repository, |known| known.manifests.insert(digest));
        Ok(())
    }

    async fn put_document(&self, repository: &Repository, document: &Document<'_>) -> Result<(), registry::Error> {
        // The semaphore is never closed.
        let _permit = self.permit(repository).await.ok();
        let Document { reference, media_type, bytes } = document;
        self.prepared.client.push_manifest(repository, reference, media_type, bytes).await
    }

    /// Forgets what is known of a repository, and brings what it turns out to lack; a manifest that it still has proves
    /// nothing now.
    async fn check_again(&self, image: usize, bundle: &Bundle, target: &Target) -> Result<(), Error> {
        self.with_known(&target.repository, |known| *known = super::Known::default());
        let units = &self.prepared.plan.images[image].units;
        let all = units.iter().zip(&bundle.images).map(|(unit, made)| self.bring(target, unit, made, Proof::Blobs));
        try_join_all(all).await.map(drop)
    }
}
