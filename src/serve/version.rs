//! A layout as it is at one moment: everything that its `index.json` leads to, by digest, and what its images are called.
//!
//! Its files stay open, as far as the system lets us, so that a pull that began before a build replaced the layout ends well.

mod tops;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::error::ServeError;
use super::limits::Budget;
use super::root::{INDEX, Opened, Root, Stamp};
use super::source::{Place, Source};
use crate::base::LONGEST_DOCUMENT;
use crate::blob::{DescriptorPlatform, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_MANIFEST};
use crate::distribution::{ContentDigest, Document, Entry, ImageName, Referrer};

/// The most manifests of a layout; the largest that there are have some hundred.
const MOST_MANIFESTS: usize = 10_000;

/// A layout as it is at one moment.
pub(super) struct Version {
    /// what changes with it
    pub(super) stamp: Stamp,
    /// the layout, as people call it
    pub(super) shown: String,
    /// what its images are called
    pub(super) names: Vec<(ImageName, ContentDigest)>,
    /// the repositories that it is part of
    pub(super) repositories: BTreeSet<String>,
    /// what people should know of it
    pub(super) notes: Vec<String>,
    root: Root,
    manifests: BTreeMap<ContentDigest, Manifest>,
    content: BTreeMap<ContentDigest, Option<Opened>>,
    made: BTreeMap<ContentDigest, Bytes>,
    referrers: BTreeMap<ContentDigest, Vec<Referrer>>,
}

/// A manifest or an index.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    /// what it is
    pub(super) media_type: String,
    /// what clients get that cannot read lists, of docker's
    pub(super) usual: Option<ContentDigest>,
}

/// The bytes of something.
pub(super) enum Found {
    /// in memory
    Bytes(Bytes),
    /// in a file
    File(Opened),
}

impl Found {
    /// The length in bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(opened) => opened.size,
        }
    }
}

impl Version {
    /// Reads a layout; files are kept open as long as the budget lets us.
    ///
    /// # Errors
    /// When there is none, it is none, or it does not have the image that alone is wanted.
    pub(super) fn load(source: &Source, budget: &Arc<Budget>) -> Result<Self, ServeError> {
        let read = |error: io::Error| match (error.kind(), &source.place) {
            (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, Place::Folder(folder)) => {
                let built = folder.join(".anyarch/out");
                ServeError::NotALayout { shown: source.shown.clone(), built: built.is_dir().then_some(built) }
            }
            (io::ErrorKind::NotFound, Place::Archive(file)) if file.is_file() => {
                ServeError::NotALayout { shown: source.shown.clone(), built: None }
            }
            _ => ServeError::Read { shown: source.shown.clone(), source: error },
        };
        let stamp = Stamp::of(&source.place).map_err(read)?;
        let root = Root::open(&source.place).map_err(read)?;
        let index = root.find(&[INDEX]).and_then(|index| index.read(LONGEST_DOCUMENT)).map_err(read)?;
        let unread = |error| ServeError::Index { shown: source.shown.clone(), source: error };
        let document = Document::read(&index).map_err(unread)?;
        let mut version = Self {
            stamp,
            shown: source.shown.clone(),
            names: Vec::new(),
            repositories: BTreeSet::new(),
            notes: Vec::new(),
            root,
            manifests: BTreeMap::new(),
            content: BTreeMap::new(),
            made: BTreeMap::new(),
            referrers: BTreeMap::new(),
        };
        version.name(source, &index, &document.entries, budget)?;
        version.repositories = version.names.iter().map(|(name, _)| name.repository.clone()).collect();
        if version.repositories.is_empty() {
            version.repositories.insert(source.own.clone());
        }
        version.complain();
        Ok(version)
    }

    /// What a digest in this layout is, if it is a manifest or an index.
    pub(super) fn manifest(&self, digest: &ContentDigest) -> Option<&Manifest> {
        self.manifests.get(digest)
    }

    /// The content with that digest, if the layout has it.
    ///
    /// # Errors
    /// When its file is there no longer, or cannot be opened.
    pub(super) fn find(&self, digest: &ContentDigest) -> Option<io::Result<Found>> {
        if let Some(bytes) = self.made.get(digest) {
            return Some(Ok(Found::Bytes(bytes.clone())));
        }
        let found = match self.content.get(digest)? {
            Some(opened) => Ok(opened.clone()),
            None => self.root.find(&digest.place()),
        };
        Some(found.map(Found::File))
    }

    /// The manifests in this layout that are about another.
    pub(super) fn referrers(&self, subject: &ContentDigest) -> &[Referrer] {
        self.referrers.get(subject).map(Vec::as_slice).unwrap_or_default()
    }

    /// Says what the layout should hold and does not.
    fn complain(&mut self) {
        let unopened = self.content.iter().filter(|(_, opened)| opened.is_none());
        let mut missing = unopened.filter_map(|(digest, _)| Some((digest, self.root.find(&digest.place()).err()?)));
        let Some((first, error)) = missing.next() else { return };
        let why = match error.kind() {
            io::ErrorKind::NotFound => "it is not in it".to_owned(),
            _ => error.to_string(),
        };
        let more = match missing.count() {
            0 => String::new(),
            number => format!(", and {number} more cannot be read"),
        };
        let note = format!("`{}` is not whole: {first} cannot be read, for {why}{more}", self.shown);
        self.notes.push(note);
    }

    /// Takes in a manifest of the layout and all that it leads to.
    fn walk(&mut self, top: &Entry, budget: &Arc<Budget>) -> Result<(), ServeError> {
        let mut pending = vec![top.clone()];
        while let Some(entry) = pending.pop() {
            if self.manifests.contains_key(&entry.digest) {
                continue;
            }
            if self.manifests.len() >= MOST_MANIFESTS {
                return Err(ServeError::TooMany { shown: self.shown.clone(), most: MOST_MANIFESTS });
            }
            let Some(document) = self.document(&entry, budget) else { continue };
            for (digest, _) in &document.content {
                self.keep(digest, budget);
            }
            let media_type = media_type(&entry, &document);
            if let Some(subject) = &document.subject {
                let referrer = document.referrer(&entry.digest, entry.size, &media_type);
                self.referrers.entry(subject.clone()).or_default().push(referrer);
            }
            let usual = document.entries.iter().find(|entry| entry.platform.as_ref().is_some_and(is_usual));
            let usual = usual.map(|entry| entry.digest.clone()).filter(|_| media_type == MEDIA_TYPE_DOCKER_INDEX);
            self.manifests.insert(entry.digest, Manifest { media_type, usual });
            // The last goes first: so they come in their order.
            pending.extend(document.entries.into_iter().rev());
        }
        Ok(())
    }

    /// Reads a manifest; `None` when it is not there, damaged, or longer than any.
    fn document(&mut self, entry: &Entry, budget: &Arc<Budget>) -> Option<Document> {
        self.keep(&entry.digest, budget);
        let Some(Ok(Found::File(opened))) = self.find(&entry.digest) else { return None };
        let bytes = opened.read(LONGEST_DOCUMENT).ok().filter(|bytes| entry.digest.is_of(bytes));
        let Some(bytes) = bytes else {
            self.notes
                .push(format!("`{}` is damaged: {} is other content than its name says", self.shown, entry.digest));
            return None;
        };
        // What is no document of ours is served as it is.
        Some(Document::read(&bytes).unwrap_or_default())
    }

    /// Takes in some content, and keeps it open.
    fn keep(&mut self, digest: &ContentDigest, budget: &Arc<Budget>) {
        if self.content.contains_key(digest) {
            return;
        }
        let opened = self.root.find(&digest.place()).ok();
        let kept = match opened {
            Some(opened) if self.root.opens_files() => budget.take().map(|permit| opened.kept(permit)),
            opened => opened,
        };
        self.content.insert(digest.clone(), kept);
    }
}

fn is_usual(platform: &DescriptorPlatform) -> bool {
    platform.os == "linux" && platform.architecture == "amd64"
}

/// What a manifest is: by its own words, else by those of whoever names it.
fn media_type(entry: &Entry, document: &Document) -> String {
    let said = document.media_type.as_ref().or(entry.media_type.as_ref()).filter(|said| !said.is_empty());
    said.cloned().unwrap_or_else(|| MEDIA_TYPE_MANIFEST.to_owned())
}
