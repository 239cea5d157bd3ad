//! Where finished images go, one destination a file. All of them take a [`Bundle`].

pub mod archive;
pub mod collection;
pub mod layout;
mod unfinished;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::blob::{Descriptor, MEDIA_TYPE_INDEX, REF_NAME, canonical_json};
use crate::full_disk;
use crate::hint::Hint;
use crate::image::Image;
use crate::invocation::quote;
use crate::store::StoreError;

/// An image as it is published: its index, its manifests and configs as bytes, its layers in the store.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// one image a platform, in the order that was asked for
    pub images: Vec<Image>,
    /// the index over them; `None` when the only manifest itself is published
    pub index: Option<Vec<u8>>,
}

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file system refused.
    #[error("{}", full_disk::cannot_be_written(path, source))]
    Write {
        /// the place
        path: PathBuf,
        /// why
        #[source]
        source: io::Error,
    },
    /// A layer that the store does not give.
    #[error("the image for `{path}` is not whole")]
    Blob {
        /// the place
        path: PathBuf,
        /// which, and why
        #[source]
        source: StoreError,
    },
    /// A layout whose own index cannot be read.
    #[error("`{path}` is no index of an OCI layout")]
    Index {
        /// the file
        path: PathBuf,
        /// why
        #[source]
        source: serde_json::Error,
    },
    /// A folder that holds something else than a layout.
    #[error("`{path}` is there already and is no OCI layout")]
    NotALayout {
        /// the place
        path: PathBuf,
    },
}

impl SinkError {
    /// Tells a layer that is not whole from a place that cannot be written.
    fn of(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match StoreError::within(error) {
            Ok(source) => Self::Blob { path, source },
            Err(source) => Self::Write { path, source },
        }
    }
}

impl Hint for SinkError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotALayout { path } => {
                vec![format!("choose another folder: -o type=oci,dest={}-image,tar=false", path.display())]
            }
            Self::Write { source, .. } => full_disk::hints(source),
            Self::Index { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                vec![format!(
                    "choose another folder, or remove this one: rm -r {}",
                    quote(&folder.display().to_string())
                )]
            }
            Self::Blob { source, .. } => source.hints(),
        }
    }
}

impl Bundle {
    /// Describes what a tag points to: the index, or the only manifest.
    #[must_use]
    pub fn top(&self) -> Descriptor {
        match (&self.index, self.images.first()) {
            (None, Some(only)) => only.descriptor(),
            (index, _) => Descriptor::of(MEDIA_TYPE_INDEX, index.as_deref().unwrap_or_default()),
        }
    }

    /// The small blobs: index, manifests, configs.
    pub(crate) fn documents(&self) -> impl Iterator<Item = (Descriptor, &[u8])> {
        let index = self.index.iter().map(|index| (Descriptor::of(MEDIA_TYPE_INDEX, index), index.as_slice()));
        index.chain(self.images.iter().flat_map(|image| {
            [(image.descriptor(), image.manifest.as_slice()), (image.config_descriptor(), image.config.as_slice())]
        }))
    }

    /// Every layer once, in the order of its digest.
    #[must_use]
    pub fn layers(&self) -> Vec<&Descriptor> {
        let mut layers: Vec<&Descriptor> = self.images.iter().flat_map(|image| &image.layers).collect();
        layers.sort_by_key(|layer| layer.digest);
        layers.dedup_by_key(|layer| layer.digest);
        layers
    }

    /// A layout's `index.json`: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>
    pub(crate) fn layout_index(&self, tag: &str) -> Vec<u8> {
        let mut top = self.top();
        top.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
        canonical_json(&json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [top]}))
    }
}

/// A layout's `oci-layout`.
pub(crate) const LAYOUT_VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
