//! Manifests and tags whose blobs are there: children first, then what the tags point to, under the name of each tag that
//! does not point to it already.

use crate::blob::{Descriptor, Digest};
use crate::reference::Repository;

use super::carrier::{Carrier, push_error};
use super::target::{Tag, Target};
use crate::run::error::Error;

/// A manifest or an index that is pushed.
#[derive(Clone, Copy)]
pub(in crate::run) struct Paper<'bytes> {
    /// describes the bytes
    pub descriptor: &'bytes Descriptor,
    /// the bytes
    pub bytes: &'bytes [u8],
}

impl Carrier {
    /// Pushes a manifest by its digest, unless it is known to be there.
    pub(super) async fn put(&self, repository: &Repository, paper: Paper<'_>) -> Result<(), Error> {
        let digest = paper.descriptor.digest;
        if self.with_known(repository, |known| known.manifests.contains(&digest)) {
            return Ok(());
        }
        self.put_as(repository, &digest.to_string(), paper).await?;
        self.with_known(repository, |known| known.manifests.insert(digest));
        Ok(())
    }

    /// Has each tag of a repository point to a manifest whose parts are all there.
    pub(super) async fn publish(&self, target: &Target, paper: Paper<'_>) -> Result<(), Error> {
        let top = paper.descriptor.digest;
        if target.by_digest {
            self.has_manifest(&target.repository, &top).await?;
            self.put(&target.repository, paper).await?;
        }
        for tag in &target.tags {
            if !self.points_to(tag, &top).await? {
                self.put_as(&target.repository, tag.reference.tag_or_latest(), paper).await?;
            }
            self.remember(tag, &top)?;
        }
        Ok(())
    }

    async fn put_as(&self, repository: &Repository, reference: &str, paper: Paper<'_>) -> Result<(), Error> {
        let _permit = self.permit(repository).await?;
        let Paper { descriptor, bytes } = paper;
        let put = self.client.push_manifest(repository, reference, &descriptor.media_type, bytes).await;
        put.map_err(|source| push_error(repository, source))
    }

    /// Has the cache know the image by the name of a tag that points to it.
    fn remember(&self, tag: &Tag, top: &Digest) -> Result<(), Error> {
        Ok(self.session.store.remember_name(top, &tag.reference.to_string())?)
    }
}
