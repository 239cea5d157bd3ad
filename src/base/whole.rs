//! An image wherever it is becomes all of its indexes and manifests, byte by byte, attestations included.

use std::collections::BTreeMap;

use super::documents::{parse, whole_layout};
use super::{BaseError, Bases, DEEPEST_INDEX, LARGEST_LAYER, MOST_ENTRIES, Place, place_of};
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::manifest::{Document, Entry, is_document};

/// How many bytes the documents of one image may have together: each is held in memory.
const MOST_BYTES: u64 = 64 << 20;

/// The indexes and manifests of an image as they are.
#[derive(Clone, Debug)]
pub struct Whole {
    /// what was read
    pub name: BaseName,
    /// what the name stands for: one entry, or, in a layout without tags, as many as it has
    pub top: Vec<Entry>,
    /// every document that was read, by its digest
    pub documents: BTreeMap<Digest, Document>,
}

impl Whole {
    /// The only document that the name stands for.
    #[must_use]
    pub fn only(&self) -> Option<&Document> {
        match self.top.as_slice() {
            [only] => self.documents.get(&only.descriptor.digest),
            _ => None,
        }
    }

    /// Every manifest, and whatever else is no index, in the order in which the indexes name them; each once.
    #[must_use]
    pub fn flat(&self) -> Vec<&Entry> {
        let (mut flat, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        let mut pending: Vec<&Entry> = self.top.iter().rev().collect();
        while let Some(entry) = pending.pop() {
            if !seen.insert(entry.descriptor.digest) {
                continue;
            }
            match self.documents.get(&entry.descriptor.digest).map(Document::entries) {
                Some(entries) if crate::manifest::is_index(&entry.descriptor.media_type) => {
                    pending.extend(entries.iter().rev());
                }
                _ => flat.push(entry),
            }
        }
        flat
    }
}

impl Bases {
    /// Reads the indexes of an image, and those of the manifests that they name which are `wanted`.
    ///
    /// # Errors
    /// When one of them cannot be read, is not what its digest says, or there are more than any image has.
    pub async fn whole(&self, name: &BaseName, wanted: &(dyn Fn(&Entry) -> bool + Sync)) -> Result<Whole, BaseError> {
        let base = self.subject(name);
        let Some(place) = place_of(name) else { return Err(BaseError::NoPlatform { base }) };
        let top = match (&place, name) {
            (Place::Registry(_), BaseName::Registry(reference)) => {
                let fetched = self.client.resolve(reference).await;
                let fetched =
                    fetched.map_err(|source| BaseError::Registry { base: base.clone(), source: Box::new(source) })?;
                vec![Entry::of(Descriptor::new(&fetched.media_type, fetched.digest, fetched.bytes.len() as u64))]
            }
            (Place::Layout(files), BaseName::Layout { tag, .. } | BaseName::Archive { tag, .. }) => {
                whole_layout(&base, files, tag.as_deref())?
            }
            _ => return Err(BaseError::NoPlatform { base }),
        };
        let (mut documents, mut entries_left, mut bytes_left) = (BTreeMap::new(), MOST_ENTRIES, MOST_BYTES);
        let mut pending: Vec<(usize, Entry)> = top.iter().rev().map(|entry| (0, entry.clone())).collect();
        while let Some((depth, entry)) = pending.pop() {
            let descriptor = entry.descriptor.clone();
            let digest = descriptor.digest;
            if !is_document(&descriptor.media_type) {
                match depth {
                    0 => return Err(BaseError::MediaType { base, media_type: descriptor.media_type }),
                    _ => continue,
                }
            }
            if documents.contains_key(&digest) || depth > 0 && !wanted(&entry) {
                continue;
            }
            if depth > DEEPEST_INDEX {
                return Err(BaseError::TooDeep { base, digest });
            }
            let bytes = self.document(&base, &place, "manifest", &descriptor).await?;
            let too_many = |what, most| BaseError::TooMany { base: base.clone(), what, most };
            bytes_left = bytes_left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| too_many("bytes of manifests", usize::try_from(MOST_BYTES).unwrap_or(usize::MAX)))?;
            let document = Document::read(descriptor, bytes).map_err(|source| BaseError::Document {
                base: base.clone(),
                what: "manifest",
                digest: digest.to_string(),
                source: Box::new(source),
            })?;
            entries_left =
                entries_left.checked_sub(document.entries().len()).ok_or_else(|| too_many("images", MOST_ENTRIES))?;
            if let Some(absurd) = document.blobs().into_iter().find(|blob| blob.size > LARGEST_LAYER) {
                let (digest, size) = (absurd.digest, absurd.size);
                return Err(BaseError::Absurd { base, digest, size });
            }
            pending.extend(document.entries().iter().rev().map(|entry| (depth + 1, entry.clone())));
            documents.insert(digest, document);
        }
        Ok(Whole { name: name.clone(), top, documents })
    }

    /// Reads the config of an image as it was written.
    ///
    /// # Errors
    /// When it cannot be read, or is no JSON.
    pub async fn config(&self, name: &BaseName, config: &Descriptor) -> Result<Vec<u8>, BaseError> {
        let base = self.subject(name);
        let Some(place) = place_of(name) else { return Err(BaseError::NoPlatform { base }) };
        let bytes = self.document(&base, &place, "config", config).await?;
        parse::<serde_json::Value>(&base, "config", &config.digest, &bytes)?;
        Ok(bytes)
    }
}
