//! One platform's image as an archive that `docker load` reads, of whatever age docker is: an OCI layout, as it saves images
//! itself since version 25, with the `manifest.json` of older ones beside.
//! <https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format>

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::archive::{self, Open};
use super::{Bundle, LAYOUT_VERSION, SinkError, blob_path, layout_index, place};
use crate::blob::{Descriptor, Digest, canonical_json};
use crate::image::Image;
use crate::reference::Reference;
use crate::store::Store;
use crate::wanted::Wanted;

/// An image for docker.
#[derive(Clone, Debug)]
pub struct DockerImage {
    /// what its names point to: an index over the one manifest, or that itself
    pub top: Descriptor,
    /// index, manifest and config
    pub documents: Vec<(Descriptor, Vec<u8>)>,
    /// which of them is the config
    pub config: Digest,
    /// its layers, lowest first
    pub layers: Vec<Descriptor>,
    /// what it is called there
    pub names: Vec<Reference>,
}

impl DockerImage {
    /// The only image of a bundle.
    ///
    /// # Errors
    /// When there are several, or none.
    pub fn of(bundle: &Bundle, names: &[Reference]) -> io::Result<Self> {
        let [Image { layers, .. }] = bundle.images.as_slice() else {
            return Err(io::Error::other("docker takes one platform"));
        };
        Ok(Self {
            top: bundle.top(),
            documents: bundle.documents().map(|(descriptor, bytes)| (descriptor, bytes.to_vec())).collect(),
            config: bundle.images[0].config_descriptor().digest,
            layers: layers.clone(),
            names: names.to_vec(),
        })
    }

    /// Writes it as a tar: the same bytes for the same image.
    ///
    /// # Errors
    /// When a layer is not whole, or `out` fails.
    pub(super) fn stream(&self, open: &Open<'_>, out: &mut dyn Write) -> io::Result<()> {
        let path = |digest: &Digest| blob_path(digest);
        let tags: Vec<String> = self.names.iter().map(full_name).collect();
        let manifest = canonical_json(&json!([{
            "Config": path(&self.config),
            "Layers": self.layers.iter().map(|layer| path(&layer.digest)).collect::<Vec<_>>(),
            "RepoTags": tags,
        }]));
        let index = layout_index(&self.top, &self.names.iter().collect::<Vec<_>>());
        let heads =
            [("oci-layout", LAYOUT_VERSION), ("index.json", index.as_slice()), ("manifest.json", manifest.as_slice())];
        let documents = self.documents.iter().map(|(descriptor, bytes)| (descriptor.clone(), bytes.as_slice()));
        let mut layers: Vec<&Descriptor> = self.layers.iter().collect();
        layers.sort_by_key(|layer| layer.digest);
        layers.dedup_by_key(|layer| layer.digest);
        archive::tar(&heads, documents.collect(), &layers, open, out)
    }
}

/// A name with its tag, as docker, podman and containerd all take it: `docker.io/library/app:1.0`.
pub(super) fn full_name(reference: &Reference) -> String {
    format!("{}:{}", reference.repository, reference.tag_or_latest())
}

/// Writes the image of `bundle` as the tar `file`, put in place once it is whole, as long as that is `wanted`.
///
/// # Errors
/// When it cannot be written, or is no longer wanted; what was there is then still there.
pub fn write(
    bundle: &Bundle,
    names: &[Reference],
    store: &Store,
    file: &Path,
    wanted: &Wanted,
) -> Result<(), SinkError> {
    place::file(file, wanted, |out| DockerImage::of(bundle, names)?.stream(&archive::of_store(store), out))
}

/// Writes the image of `bundle` as a tar to stdout, as long as that is `wanted`.
///
/// # Errors
/// When a layer is not whole, stdout cannot be written, or nobody waits for it any more.
pub fn write_to_stdout(bundle: &Bundle, names: &[Reference], store: &Store, wanted: &Wanted) -> Result<(), SinkError> {
    place::stdout(wanted, |out| DockerImage::of(bundle, names)?.stream(&archive::of_store(store), out))
}
