//! Bytes of indexes and manifests become descriptors of ours.

use std::collections::BTreeSet;
use std::io;

use oci_spec::image as oci;

use super::docker;
use super::error::{BaseError, Subject};
use super::files::Files;
use super::{LARGEST_LAYER, LONGEST_DOCUMENT, MOST_LAYERS};
use crate::base_name::BaseName;
use crate::blob::{CONTAINERD_NAME, Descriptor, Digest, DigestError, REF_NAME};
use crate::image_tag::TagChoice;
use crate::manifest::Entry;

/// The entries of a layout's `index.json` that make up the image `name`.
pub(super) fn layout_entries(base: &Subject, files: &Files, name: &BaseName) -> Result<Vec<Descriptor>, BaseError> {
    let entries = whole_layout(base, files, name)?.into_iter().filter(|entry| !entry.is_attestation());
    Ok(entries.map(|entry| entry.descriptor).collect())
}

/// The same, with what is said about the image in there.
pub(super) fn whole_layout(base: &Subject, files: &Files, name: &BaseName) -> Result<Vec<Entry>, BaseError> {
    let (tag, naming) = match (name, files) {
        // One of these was chosen already.
        (_, Files::Docker(_)) => (None, Naming::Full),
        (BaseName::DockerArchive { name, .. }, _) => (name.as_deref(), Naming::Full),
        (BaseName::Layout { tag, .. } | BaseName::Archive { tag, .. }, _) => (tag.as_deref(), Naming::Tag),
        _ => (None, Naming::Tag),
    };
    let read = |source| BaseError::Read { base: base.clone(), source };
    let bytes = files.read("index.json", LONGEST_DOCUMENT).map_err(|source| match (source.kind(), files) {
        (io::ErrorKind::NotFound, Files::Folder(folder)) => {
            BaseError::NoLayout { base: base.clone(), folder: folder.clone() }
        }
        (io::ErrorKind::NotFound, Files::Archive(file)) if file.is_file() => {
            BaseError::NoLayoutInArchive { base: base.clone(), file: file.clone(), is_docker: docker::is_older(file) }
        }
        (_, Files::Archive(file)) => docker::compressed(base, file).unwrap_or_else(|| read(source)),
        _ => read(source),
    })?;
    let index: Entries = parse(base, "index", &Digest::of(&bytes), &bytes)?;
    // What docker writes has names in full; others have tags.
    let name_of = |entry: &Entry| {
        let annotations = &entry.descriptor.annotations;
        let full = annotations.get(CONTAINERD_NAME).filter(|_| matches!(naming, Naming::Full));
        full.or_else(|| annotations.get(REF_NAME)).cloned()
    };
    let mut tags: Vec<String> = index.manifests.iter().filter_map(name_of).collect();
    tags.dedup();
    let Some(tag) = tag else {
        let named: BTreeSet<Digest> = index
            .manifests
            .iter()
            .filter(|entry| name_of(entry).is_some())
            .map(|entry| entry.descriptor.digest)
            .collect();
        // One image may have many names.
        return match (tags.len(), named.len()) {
            (0 | 1, _) => Ok(index.manifests),
            (_, 1) => Ok(index.manifests.into_iter().take(1).collect()),
            _ => Err(BaseError::SeveralImages { base: base.clone(), tags }),
        };
    };
    let choice = TagChoice::of(tag);
    let is_chosen = |entry: &Entry, exactly: bool| match (name_of(entry), naming) {
        (None, _) => false,
        (Some(name), Naming::Tag) => name == tag,
        (Some(name), Naming::Full) if exactly => name == tag || choice.is_exactly(&name),
        (Some(name), Naming::Full) => choice.has_tag(&name),
    };
    for exactly in [true, false] {
        let chosen: Vec<Entry> = index.manifests.iter().filter(|entry| is_chosen(entry, exactly)).cloned().collect();
        if !chosen.is_empty() {
            return Ok(chosen);
        }
    }
    Err(BaseError::NoImage { base: base.clone(), tag: tag.to_owned(), tags })
}

/// What images in a layout are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// by a tag, or whatever else stands there for one
    Tag,
    /// as in docker, in full
    Full,
}

/// What an index names.
#[derive(serde::Deserialize)]
pub(super) struct Entries {
    pub(super) manifests: Vec<Entry>,
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(
    base: &Subject,
    what: &'static str,
    digest: &Digest,
    bytes: &[u8],
) -> Result<T, BaseError> {
    serde_json::from_slice(bytes).map_err(|source| BaseError::Document {
        base: base.clone(),
        what,
        digest: digest.to_string(),
        source: Box::new(source),
    })
}

/// The layers of an image, as far as there can be such.
pub(super) fn layers(base: &Subject, manifest: &oci::ImageManifest) -> Result<Vec<Descriptor>, BaseError> {
    if manifest.layers().len() > MOST_LAYERS {
        return Err(BaseError::TooMany { base: base.clone(), what: "layers", most: MOST_LAYERS });
    }
    let layers = manifest.layers().iter().map(|layer| described(base, layer));
    layers
        .map(|layer| match layer? {
            Descriptor { digest, size, .. } if size > LARGEST_LAYER => {
                Err(BaseError::Absurd { base: base.clone(), digest, size })
            }
            layer => Ok(layer),
        })
        .collect()
}

pub(super) fn described(base: &Subject, entry: &oci::Descriptor) -> Result<Descriptor, BaseError> {
    let digest: Digest = entry.digest().to_string().parse().map_err(|source: DigestError| BaseError::Document {
        base: base.clone(),
        what: "descriptor",
        digest: entry.digest().to_string(),
        source: Box::new(source),
    })?;
    let platform = entry.platform().as_ref().map(|platform| crate::blob::DescriptorPlatform {
        os: platform.os().to_string(),
        architecture: platform.architecture().to_string(),
        variant: platform.variant().clone(),
    });
    Ok(Descriptor {
        media_type: entry.media_type().to_string(),
        digest,
        size: entry.size(),
        annotations: entry.annotations().clone().unwrap_or_default().into_iter().collect(),
        platform,
    })
}
