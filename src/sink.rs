//! Where finished images go, one destination a file. All of them take a [`Bundle`].

mod added;
pub mod archive;
pub mod collection;
pub mod daemon;
pub mod docker_archive;
pub mod files;
pub mod files_archive;
pub mod layout;
mod place;
mod unfinished;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::blob::{CONTAINERD_NAME, Descriptor, Digest, MEDIA_TYPE_INDEX, REF_NAME, canonical_json};
use crate::full_disk;
use crate::hint::Hint;
use crate::image::Image;
use crate::invocation::quote;
use crate::reference::Reference;
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
    /// A folder where a file is to be.
    #[error("`{path}` is a folder, and an archive is a file")]
    IsFolder {
        /// the place
        path: PathBuf,
    },
    /// Something else where a folder is to be.
    #[error("`{path}` is there already and is no folder")]
    NotAFolder {
        /// the place
        path: PathBuf,
    },
    /// Docker or podman.
    #[error(transparent)]
    Daemon(#[from] daemon::DaemonError),
}

impl SinkError {
    /// Tells a layer that is not whole from a place that cannot be written.
    pub(crate) fn of(path: &Path, error: io::Error) -> Self {
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
            Self::IsFolder { path } => {
                let path = path.display();
                vec![
                    format!("-o type=oci,dest={path}/image.tar"),
                    format!("as a folder: -o type=oci,dest={path},tar=false"),
                ]
            }
            Self::NotAFolder { path } => {
                vec![format!("choose another folder: -o type=local,dest={}-files", path.display())]
            }
            Self::Daemon(error) => error.hints(),
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

    /// A layout's `index.json`, which names what it holds by each tag.
    pub(crate) fn layout_index(&self, names: &[Reference]) -> Vec<u8> {
        // Readers take one of a tag, and the repository is not for them.
        let mut distinct: Vec<&Reference> = Vec::new();
        for name in names {
            if !distinct.iter().any(|other| other.tag_or_latest() == name.tag_or_latest()) {
                distinct.push(name);
            }
        }
        layout_index(&self.top(), &distinct)
    }
}

/// A layout's `index.json`, with an entry for each name, or for `latest` if there is none:
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>
fn layout_index(top: &Descriptor, names: &[&Reference]) -> Vec<u8> {
    let mut entries = Vec::with_capacity(names.len().max(1));
    for name in names {
        let mut entry = top.clone();
        entry.annotations.insert(REF_NAME.to_owned(), name.tag_or_latest().to_owned());
        entry.annotations.insert(CONTAINERD_NAME.to_owned(), docker_archive::full_name(name));
        entries.push(entry);
    }
    if entries.is_empty() {
        let mut entry = top.clone();
        entry.annotations.insert(REF_NAME.to_owned(), "latest".to_owned());
        entries.push(entry);
    }
    canonical_json(&json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries}))
}

/// Where a blob is in a layout.
fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A layout's `oci-layout`.
pub(crate) const LAYOUT_VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
