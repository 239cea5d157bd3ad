//! Bytes of indexes and manifests become descriptors of ours.

use std::io;

use oci_spec::image as oci;

use super::error::{BaseError, Subject};
use super::files::Files;
use super::{LARGEST_LAYER, LONGEST_DOCUMENT, MOST_LAYERS};
use crate::blob::{Descriptor, Digest, DigestError, REF_NAME};
use crate::manifest::Entry;

/// The entries of a layout's `index.json` that make up one image.
pub(super) fn layout_entries(base: &Subject, files: &Files, tag: Option<&str>) -> Result<Vec<Descriptor>, BaseError> {
    let entries = whole_layout(base, files, tag)?.into_iter().filter(|entry| !entry.is_attestation());
    Ok(entries.map(|entry| entry.descriptor).collect())
}

/// The same, with what is said about the image in there.
pub(super) fn whole_layout(base: &Subject, files: &Files, tag: Option<&str>) -> Result<Vec<Entry>, BaseError> {
    let read = |source| BaseError::Read { base: base.clone(), source };
    let bytes = files.read("index.json", LONGEST_DOCUMENT).map_err(|source| match (source.kind(), files) {
        (io::ErrorKind::NotFound, Files::Folder(folder)) => {
            BaseError::NoLayout { base: base.clone(), folder: folder.clone() }
        }
        (io::ErrorKind::NotFound, Files::Archive(file)) if file.is_file() => {
            BaseError::NoLayoutInArchive { base: base.clone(), file: file.clone() }
        }
        _ => read(source),
    })?;
    let index: Entries = parse(base, "index", &Digest::of(&bytes), &bytes)?;
    let name_of = |entry: &Entry| entry.descriptor.annotations.get(REF_NAME).cloned();
    let mut tags: Vec<String> = index.manifests.iter().filter_map(name_of).collect();
    tags.dedup();
    match tag {
        Some(tag) => {
            let chosen = index.manifests.into_iter().filter(|entry| name_of(entry).as_deref() == Some(tag));
            let chosen: Vec<Entry> = chosen.collect();
            if chosen.is_empty() {
                return Err(BaseError::NoImage { base: base.clone(), tag: tag.to_owned(), tags });
            }
            Ok(chosen)
        }
        None if tags.len() > 1 => Err(BaseError::SeveralImages { base: base.clone(), tags }),
        None => Ok(index.manifests),
    }
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
