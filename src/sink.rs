//! Where finished images go, one destination a file. All of them take a [`Bundle`].

pub mod archive;
pub mod layout;

use std::io;
use std::path::PathBuf;

use serde_json::json;

use crate::blob::{Descriptor, MEDIA_TYPE_INDEX, REF_NAME, canonical_json};
use crate::hint::Hint;
use crate::image::Image;

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
    #[error("`{path}` cannot be written")]
    Write {
        /// the place
        path: PathBuf,
        /// why
        #[source]
        source: io::Error,
    },
    /// A folder that holds something else than a layout.
    #[error("`{path}` is there already and is no OCI layout")]
    NotALayout {
        /// the place
        path: PathBuf,
    },
}

impl Hint for SinkError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotALayout { path } => {
                vec![format!("choose another folder: -o type=oci,dest={}-image,tar=false", path.display())]
            }
            Self::Write { .. } => Vec::new(),
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
