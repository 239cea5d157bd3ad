//! A repository that an image goes to: what its tags point to now, and what therefore is in it already.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::blob::{Descriptor, Digest};
use crate::reference::{Reference, Repository};
use crate::store::{Store, StoreError};

use super::carrier::{Carrier, push_error};
use crate::run::error::Error;

/// How long what a tag was seen to point to counts as what it points to.
const FRESH: Duration = Duration::from_secs(30);

/// A repository that an image goes to.
pub(in crate::run) struct Target {
    pub(super) repository: Repository,
    /// in the order that was asked for
    pub(super) tags: Vec<Tag>,
    /// true: what the tags point to is there under its digest, whether or not there is a tag
    pub(super) by_digest: bool,
    /// what is looked at where no tag is to be moved, to know early whether the registry can be reached and lets us in
    latest: Option<Tag>,
}

/// A tag that an image is to have.
pub(in crate::run) struct Tag {
    pub(super) reference: Reference,
    seen: OnceCell<Seen>,
}

/// What a tag pointed to, if there was one.
struct Seen {
    digest: Option<Digest>,
    at: Instant,
}

impl Target {
    /// The repositories of an image, each once; `references` say whether they are pushed by the digest alone.
    pub(in crate::run) fn all<'name>(references: impl Iterator<Item = (&'name Reference, bool)>) -> Vec<Self> {
        let mut targets: Vec<Self> = Vec::new();
        for (reference, by_digest) in references {
            let repository = &reference.repository;
            let position = targets.iter().position(|target| target.repository == *repository).unwrap_or_else(|| {
                let reference = Reference { repository: repository.clone(), tag: None, digest: None };
                let latest = Some(Tag { reference, seen: OnceCell::new() });
                targets.push(Self { repository: repository.clone(), tags: Vec::new(), by_digest: false, latest });
                targets.len() - 1
            });
            let target = &mut targets[position];
            if by_digest {
                target.by_digest = true;
            } else if !target.tags.iter().any(|tag| tag.reference == *reference) {
                target.tags.push(Tag { reference: reference.clone(), seen: OnceCell::new() });
            }
        }
        targets
    }

    /// The place of one image: its tag, or, where the name has only a digest, that alone.
    pub(in crate::run) fn of(reference: &Reference) -> Self {
        let by_digest = reference.digest.is_some() && reference.tag.is_none();
        Self::all(std::iter::once((reference, by_digest))).swap_remove(0)
    }
}

/// What is in a repository.
#[derive(Default)]
pub(in crate::run) struct Known {
    pub(super) manifests: BTreeSet<Digest>,
    pub(super) blobs: BTreeSet<Digest>,
}

/// As much of a manifest or an index as says what else must be there.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Known {
    /// Takes in that a manifest or an index is there, which a registry accepts only when all that it names is there: the
    /// blobs of that, as far as the store can tell. Manifests that an index names are not taken for granted: they can be
    /// deleted one by one, and then nothing but our asking for them would ever bring them back.
    fn add(&mut self, store: &Store, top: &Digest) -> Result<(), StoreError> {
        self.manifests.insert(*top);
        let mut pending = vec![*top];
        while let Some(digest) = pending.pop() {
            let Some(bytes) = store.read(&digest)? else { continue };
            let Ok(parts) = serde_json::from_slice::<Parts>(&bytes) else { continue };
            pending.extend(parts.manifests.iter().map(|manifest| manifest.digest));
            self.blobs.extend(parts.config.iter().chain(&parts.layers).map(|blob| blob.digest));
        }
        Ok(())
    }
}

impl Carrier {
    /// Finds out, once, what the tags of a repository point to. It is the first thing that is asked of a registry, and
    /// with one that cannot be reached nothing goes on.
    pub(super) async fn look_at_tags(&self, target: &Target) -> Result<(), Error> {
        let latest = target.latest.iter().filter(|_| target.tags.is_empty());
        let looks = target.tags.iter().chain(latest).map(|tag| async move { self.seen(tag).await.map(drop) });
        futures_util::future::try_join_all(looks).await.map(drop)
    }

    async fn seen<'tag>(&self, tag: &'tag Tag) -> Result<&'tag Seen, Error> {
        let look = || async {
            let seen = self.look(tag).await?;
            if let Some(digest) = &seen.digest {
                let store = &self.session.store;
                self.with_known(&tag.reference.repository, |known| known.add(store, digest))?;
            }
            Ok(seen)
        };
        tag.seen.get_or_try_init(look).await
    }

    async fn look(&self, tag: &Tag) -> Result<Seen, Error> {
        let _permit = self.permit(&tag.reference.repository).await?;
        let digest = self.client.digest_of_tag(&tag.reference).await;
        let digest = digest.map_err(|source| push_error(&tag.reference.repository, source))?;
        Ok(Seen { digest, at: Instant::now() })
    }

    /// Whether a tag needs not be moved.
    pub(super) async fn points_to(&self, tag: &Tag, top: &Digest) -> Result<bool, Error> {
        let seen = self.seen(tag).await?;
        if seen.digest.as_ref() != Some(top) || seen.at.elapsed() < FRESH {
            return Ok(seen.digest.as_ref() == Some(top));
        }
        Ok(self.look(tag).await?.digest.as_ref() == Some(top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::MEDIA_TYPE_INDEX;

    #[test]
    fn an_index_that_is_there_proves_the_blobs_and_not_the_manifests() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let of = |text: &str| Descriptor::of("text/plain", text.as_bytes());
        let put = |value: serde_json::Value| store.put(MEDIA_TYPE_INDEX, value.to_string().as_bytes()).unwrap();
        let (config, layer, elsewhere) = (of("config"), of("layer"), of("a manifest that the store has not"));
        let manifest = put(serde_json::json!({"config": config, "layers": [layer]}));
        let index = put(serde_json::json!({"manifests": [manifest, elsewhere]}));
        let mut known = Known::default();
        known.add(&store, &index.digest).unwrap();
        assert_eq!(known.manifests, BTreeSet::from([index.digest]));
        assert_eq!(known.blobs, BTreeSet::from([config.digest, layer.digest]));
        // What cannot be read says nothing but that it is there itself.
        let mut known = Known::default();
        known.add(&store, &store.put("text/plain", b"[]").unwrap().digest).unwrap();
        assert_eq!((known.manifests.len(), known.blobs.len()), (1, 0));
    }
}
