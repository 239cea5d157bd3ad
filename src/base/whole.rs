//! An image wherever it is becomes all of its indexes and manifests, byte by byte, attestations included.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};

use super::documents::{parse, whole_layout};
use super::{BaseError, Bases, DEEPEST_INDEX, LARGEST_LAYER, MOST_ENTRIES, Place, Subject};
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::manifest::{Document, Entry, is_document};

/// How many bytes the documents of one image may have together: each is held in memory.
const MOST_BYTES: u64 = 64 << 20;
/// How many of them are read at once.
const AT_ONCE: usize = 8;

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

/// What an image may still name.
struct Budget {
    entries: usize,
    bytes: u64,
}

impl Budget {
    fn take(&mut self, base: &Subject, document: &Document) -> Result<(), BaseError> {
        let too_many = |what, most| BaseError::TooMany { base: base.clone(), what, most };
        let bytes = self.bytes.checked_sub(document.bytes.len() as u64);
        let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
        self.bytes = bytes.ok_or_else(|| too_many("bytes of manifests", most))?;
        let entries = self.entries.checked_sub(document.entries().len());
        self.entries = entries.ok_or_else(|| too_many("images", MOST_ENTRIES))?;
        Ok(())
    }
}

impl Bases {
    /// Reads the indexes of an image, and those of the manifests that they name which are `wanted`.
    ///
    /// # Errors
    /// When one of them cannot be read, is not what its digest says, or there are more than any image has.
    pub async fn whole(&self, name: &BaseName, wanted: &(dyn Fn(&Entry) -> bool + Sync)) -> Result<Whole, BaseError> {
        let base = self.subject(name);
        let Some(place) = self.opened(name).await? else { return Err(BaseError::NoPlatform { base }) };
        let top = match (&place, name) {
            (Place::Registry(_), BaseName::Registry(reference)) => {
                let fetched = self.client.resolve(reference).await;
                let fetched =
                    fetched.map_err(|source| BaseError::Registry { base: base.clone(), source: Box::new(source) })?;
                vec![Entry::of(Descriptor::new(&fetched.media_type, fetched.digest, fetched.bytes.len() as u64))]
            }
            (Place::Layout(files), _) => whole_layout(&base, files, name)?,
            _ => return Err(BaseError::NoPlatform { base }),
        };
        let mut budget = Budget { entries: MOST_ENTRIES, bytes: MOST_BYTES };
        let mut documents: BTreeMap<Digest, Document> = BTreeMap::new();
        let mut level = top.clone();
        for depth in 0.. {
            let mut seen = BTreeSet::new();
            level.retain(|entry| {
                let digest = entry.descriptor.digest;
                (depth == 0 || wanted(entry)) && !documents.contains_key(&digest) && seen.insert(digest)
            });
            if let Some(other) = level.iter().find(|entry| depth == 0 && !is_document(&entry.descriptor.media_type)) {
                return Err(BaseError::MediaType { base, media_type: other.descriptor.media_type.clone() });
            }
            level.retain(|entry| is_document(&entry.descriptor.media_type));
            match level.first() {
                None => break,
                Some(first) if depth > DEEPEST_INDEX => {
                    return Err(BaseError::TooDeep { base, digest: first.descriptor.digest });
                }
                Some(_) => {}
            }
            let (of, at) = (&base, &place);
            let read = |entry: Entry| async move { self.read_document(of, at, &entry.descriptor).await };
            let mut reads = stream::iter(std::mem::take(&mut level)).map(read).buffered(AT_ONCE);
            while let Some(document) = reads.next().await {
                let document = document?;
                budget.take(&base, &document)?;
                level.extend_from_slice(document.entries());
                documents.insert(document.descriptor.digest, document);
            }
        }
        Ok(Whole { name: name.clone(), top, documents })
    }

    /// Reads an index or a manifest of an image.
    ///
    /// # Errors
    /// When it cannot be read, or is not what its digest says.
    pub async fn document_of(&self, name: &BaseName, descriptor: &Descriptor) -> Result<Document, BaseError> {
        let base = self.subject(name);
        let Some(place) = self.opened(name).await? else { return Err(BaseError::NoPlatform { base }) };
        self.read_document(&base, &place, descriptor).await
    }

    async fn read_document(
        &self,
        base: &Subject,
        place: &Place,
        descriptor: &Descriptor,
    ) -> Result<Document, BaseError> {
        let bytes = self.document(base, place, "manifest", descriptor).await?;
        let document = Document::read(descriptor.clone(), bytes).map_err(|source| BaseError::Document {
            base: base.clone(),
            what: "manifest",
            digest: descriptor.digest.to_string(),
            source: Box::new(source),
        })?;
        match document.blobs().into_iter().find(|blob| blob.size > LARGEST_LAYER) {
            Some(&Descriptor { digest, size, .. }) => Err(BaseError::Absurd { base: base.clone(), digest, size }),
            None => Ok(document),
        }
    }

    /// Reads the config of an image as it was written.
    ///
    /// # Errors
    /// When it cannot be read, or is no JSON.
    pub async fn config(&self, name: &BaseName, config: &Descriptor) -> Result<Vec<u8>, BaseError> {
        let base = self.subject(name);
        let Some(place) = self.opened(name).await? else { return Err(BaseError::NoPlatform { base }) };
        let bytes = self.document(&base, &place, "config", config).await?;
        parse::<serde_json::Value>(&base, "config", &config.digest, &bytes)?;
        Ok(bytes)
    }
}
