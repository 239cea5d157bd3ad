//! All layouts at one moment become repositories: which tag points to what, and where a digest may be found.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::ServeError;
use super::version::{Found, Manifest, Version};
use crate::distribution::{ContentDigest, Pointer, Referrer};

/// All that is served at one moment.
#[derive(Default)]
pub(super) struct View {
    repositories: BTreeMap<String, Repository>,
    images: Vec<Image>,
}

/// A repository.
#[derive(Default)]
pub(super) struct Repository {
    /// how many of the versions are there now: none when all layouts of it are gone, and only who began to pull may end that
    current: usize,
    tags: BTreeMap<String, ContentDigest>,
    /// those in which a digest is looked for: what is there now, then what was
    versions: Vec<Arc<Version>>,
}

/// An image that is served.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// its repository
    pub repository: String,
    /// its tag
    pub tag: String,
    /// the digest of its index, or of its only manifest
    pub digest: String,
    /// what that is
    pub media_type: String,
    /// the layout that it is in, as people call it
    pub layout: String,
}

impl View {
    /// Puts layouts together. What has the same name in two of them is that of the first, and an error is added.
    pub(super) fn of(current: &[Arc<Version>], replaced: &[Arc<Version>]) -> (Self, Vec<ServeError>) {
        let (mut view, mut errors) = (Self::default(), Vec::new());
        let mut layout_of: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for version in current {
            for (name, digest) in &version.names {
                let repository = view.repositories.entry(name.repository.clone()).or_default();
                let there = repository.tags.get(&name.tag);
                let key = (name.repository.as_str(), name.tag.as_str());
                if let Some(first) = there.filter(|there| *there != digest).and_then(|_| layout_of.get(&key)) {
                    errors.push(ServeError::SameName {
                        name: format!("{}:{}", name.repository, name.tag),
                        first: (*first).to_owned(),
                        second: version.shown.clone(),
                    });
                } else if there.is_none() {
                    repository.tags.insert(name.tag.clone(), digest.clone());
                    layout_of.insert(key, &version.shown);
                    view.images.extend(image(version, &name.repository, &name.tag, digest));
                }
            }
        }
        for (versions, is_there) in [(current, true), (replaced, false)] {
            for version in versions {
                for name in &version.repositories {
                    let repository = view.repositories.entry(name.clone()).or_default();
                    repository.current += usize::from(is_there);
                    repository.versions.push(version.clone());
                }
            }
        }
        view.images.sort();
        (view, errors)
    }

    /// The images, by name, without those that are about others.
    pub(super) fn images(&self) -> &[Image] {
        &self.images
    }

    /// The names of the repositories.
    pub(super) fn names(&self) -> Vec<&str> {
        self.repositories
            .iter()
            .filter(|(_, repository)| repository.is_there())
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// A repository that is there, or was a moment ago.
    pub(super) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
    }
}

fn image(version: &Version, repository: &str, tag: &str, digest: &ContentDigest) -> Option<Image> {
    // A signature, or the list of what is about an image: nothing that can be run.
    let is_about = tag.get(..71).is_some_and(|start| ContentDigest::parse(&start.replacen('-', ":", 1)).is_some());
    let manifest = version.manifest(digest)?;
    (!is_about).then(|| Image {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_string(),
        media_type: manifest.media_type.clone(),
        layout: version.shown.clone(),
    })
}

impl Repository {
    /// Whether there is a layout of it now.
    pub(super) fn is_there(&self) -> bool {
        self.current > 0
    }

    /// The tags.
    pub(super) fn tags(&self) -> Vec<&str> {
        self.tags.keys().map(String::as_str).collect()
    }

    /// The manifest that is pointed to.
    pub(super) fn manifest(&self, pointer: &Pointer) -> Option<(ContentDigest, Manifest)> {
        let digest = match pointer {
            Pointer::Tag(tag) => self.tags.get(tag)?,
            Pointer::Digest(digest) => digest,
        };
        let manifest = self.versions.iter().find_map(|version| version.manifest(digest))?;
        Some((digest.clone(), manifest.clone()))
    }

    /// The content with that digest; of several layouts that have it, one from which it can be read.
    ///
    /// # Errors
    /// When none of those that have it can be read.
    pub(super) fn find(&self, digest: &ContentDigest) -> Option<io::Result<Found>> {
        let mut failed = None;
        for found in self.versions.iter().filter_map(|version| version.find(digest)) {
            match found {
                Ok(found) => return Some(Ok(found)),
                Err(error) => failed = Some(Err(error)),
            }
        }
        failed
    }

    /// The manifests that are about another.
    pub(super) fn referrers(&self, subject: &ContentDigest) -> Vec<Referrer> {
        self.versions[..self.current].iter().flat_map(|version| version.referrers(subject)).cloned().collect()
    }
}
