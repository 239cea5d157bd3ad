//! The entries of an `index.json` become named images.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{Manifest, Version, media_type};
use crate::base::LONGEST_DOCUMENT;
use crate::blob::{MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_INDEX, canonical_json};
use crate::distribution::{ContentDigest, Document, Entry, ImageName, name_of};
use crate::serve::error::ServeError;
use crate::serve::limits::Budget;
use crate::serve::source::Source;

/// The tag of the only image of a layout that names none, as everywhere.
const LATEST: &str = "latest";

impl Version {
    /// Takes in the images that are wanted, and what is about them.
    pub(super) fn name(
        &mut self,
        source: &Source,
        index: &[u8],
        entries: &[Entry],
        budget: &Arc<Budget>,
    ) -> Result<(), ServeError> {
        let mut named: BTreeMap<ImageName, Vec<&Entry>> = BTreeMap::new();
        let mut unnamed: Vec<&Entry> = Vec::new();
        for entry in entries {
            match name_of(&entry.annotations, source.repository.as_deref(), &source.own) {
                Ok(Some(name)) => named.entry(name).or_default().push(entry),
                Ok(None) => unnamed.push(entry),
                Err(name) => {
                    unnamed.push(entry);
                    let text = name.text.escape_debug();
                    self.notes.push(format!("an image of `{}` has no tag: `{text}` is none", self.shown));
                }
            }
        }
        if let Some(tag) = &source.tag {
            return self.only(source, tag, named, &unnamed, index, budget);
        }
        for entry in entries {
            self.walk(entry, budget)?;
        }
        if named.is_empty() {
            let images = unnamed.into_iter().filter(|entry| !self.is_referrer(&entry.digest)).collect();
            named.insert(ImageName { repository: source.own.clone(), tag: LATEST.to_owned() }, images);
        }
        named.into_iter().try_for_each(|(name, entries)| self.add(name, &entries, index))
    }

    /// Takes in the image with that tag, and what is about it: manifests without a name, and those whose tag is made of its
    /// digest, as the specification and cosign have them.
    fn only(
        &mut self,
        source: &Source,
        tag: &str,
        named: BTreeMap<ImageName, Vec<&Entry>>,
        unnamed: &[&Entry],
        index: &[u8],
        budget: &Arc<Budget>,
    ) -> Result<(), ServeError> {
        if !named.keys().any(|name| name.tag == tag) {
            let tags = named.keys().map(|name| name.tag.clone()).collect();
            return Err(ServeError::NoImage { shown: source.shown.clone(), tag: tag.to_owned(), tags });
        }
        let (wanted, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            named.into_iter().partition(|(name, _)| name.tag == tag);
        for entry in wanted.values().flatten() {
            self.walk(entry, budget)?;
        }
        for (name, entries) in wanted {
            self.add(name, &entries, index)?;
        }
        for entry in unnamed {
            if self.subject_of(entry).is_some_and(|subject| self.manifests.contains_key(&subject)) {
                self.walk(entry, budget)?;
            }
        }
        for (name, entries) in others {
            let is_about = |digest: &ContentDigest| name.tag.starts_with(&tag_of(digest));
            if self.manifests.keys().any(is_about) {
                for entry in &entries {
                    self.walk(entry, budget)?;
                }
                self.add(name, &entries, index)?;
            }
        }
        Ok(())
    }

    /// Gives an image its name. Several manifests of one name, each for its platform, are an image of several platforms: an
    /// index is made of them, since a tag can only point to one thing.
    fn add(&mut self, name: ImageName, entries: &[&Entry], index: &[u8]) -> Result<(), ServeError> {
        let mut digests: Vec<&ContentDigest> = entries.iter().map(|entry| &entry.digest).collect();
        digests.sort();
        digests.dedup();
        let digest = match digests[..] {
            [] => return Ok(()),
            [only] => only.clone(),
            _ => {
                let is_index = |entry: &&&Entry| {
                    let known = self.manifests.get(&entry.digest).map(|manifest| manifest.media_type.clone());
                    let media_type = known.unwrap_or_else(|| media_type(entry, &Document::default()));
                    [MEDIA_TYPE_INDEX, MEDIA_TYPE_DOCKER_INDEX].contains(&media_type.as_str())
                };
                if entries.iter().any(|entry| is_index(&entry)) {
                    let name = format!("{}:{}", name.repository, name.tag);
                    return Err(ServeError::Several { shown: self.shown.clone(), name });
                }
                self.make_index(&digests, index)
            }
        };
        self.names.push((name, digest));
        Ok(())
    }

    /// An index of the descriptors with those digests, as they are in `index.json`.
    fn make_index(&mut self, digests: &[&ContentDigest], index: &[u8]) -> ContentDigest {
        let index: Value = serde_json::from_slice(index).unwrap_or_default();
        let wanted = |entry: &&Value| {
            let digest = entry["digest"].as_str().and_then(ContentDigest::parse);
            digest.is_some_and(|digest| digests.contains(&&digest))
        };
        let entries: Vec<&Value> = index["manifests"].as_array().into_iter().flatten().filter(wanted).collect();
        let bytes = canonical_json(
            &serde_json::json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries}),
        );
        let digest = ContentDigest::of(&bytes);
        self.made.insert(digest.clone(), Bytes::from(bytes));
        self.manifests.insert(digest.clone(), Manifest { media_type: MEDIA_TYPE_INDEX.to_owned(), usual: None });
        digest
    }

    fn is_referrer(&self, digest: &ContentDigest) -> bool {
        self.referrers.values().flatten().any(|referrer| referrer.is(digest))
    }

    /// The manifest that another is about.
    fn subject_of(&self, entry: &Entry) -> Option<ContentDigest> {
        let bytes = self.root.find(&entry.digest.place()).ok()?.read(LONGEST_DOCUMENT).ok()?;
        Document::read(&bytes).ok()?.subject
    }
}

/// What the tags begin with of what is about a manifest:
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>.
fn tag_of(digest: &ContentDigest) -> String {
    let [_, algorithm, hex] = digest.place();
    format!("{algorithm}-{}", &hex[..64])
}
