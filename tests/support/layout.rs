//! Writes OCI image layouts from trees of files: the base images that tests build on, byte for byte the same each time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write as _};
use std::path::Path;

use anyarch::blob::{self, Descriptor, DescriptorPlatform, Digest};
use anyarch::platform::Platform;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// a directory and its mode
    Directory(u32),
    /// a file's mode and content
    File(u32, Vec<u8>),
    /// a symbolic link's target
    Link(String),
    /// another name of a file: the path of one that comes before, in the order of the alphabet
    HardLink(String),
}

/// The entries of one layer by path, without leading slashes; a path comes after its parents.
#[derive(Debug, Default, Clone)]
pub struct Tree(pub BTreeMap<String, Node>);

impl Tree {
    /// Adds a directory.
    pub fn directory(&mut self, path: &str, mode: u32) {
        self.0.insert(path.to_owned(), Node::Directory(mode));
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.0.insert(path.to_owned(), Node::File(mode, content.into()));
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.0.insert(path.to_owned(), Node::Link(target.to_owned()));
    }

    /// Adds what a tar holds, each path as `rename` says; `None` leaves the entry out.
    ///
    /// # Panics
    /// When the tar cannot be read or holds anything but directories, files and links to what came before.
    pub fn tar(&mut self, tar: impl Read, rename: impl Fn(&str) -> Option<String>) {
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().expect("a tar can be read") {
            let mut entry = entry.expect("a tar entry can be read");
            let path = entry.path().expect("a tar entry has a path").to_string_lossy().into_owned();
            let Some(path) = rename(path.trim_start_matches("./").trim_end_matches('/')) else { continue };
            let mode = entry.header().mode().expect("a tar entry has a mode") & 0o7777;
            let target = |entry: &tar::Entry<'_, _>| {
                entry
                    .link_name()
                    .expect("a link can be read")
                    .expect("a link has a target")
                    .to_string_lossy()
                    .into_owned()
            };
            let node = match entry.header().entry_type() {
                tar::EntryType::Directory => Node::Directory(mode),
                tar::EntryType::Symlink => Node::Link(target(&entry)),
                tar::EntryType::Link => {
                    let first = rename(target(&entry).trim_start_matches("./")).expect("a hard link's target is kept");
                    self.0.get(&first).expect("a hard link comes after its target").clone()
                }
                tar::EntryType::Regular => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).expect("a tar entry can be read");
                    Node::File(mode, content)
                }
                other => panic!("`{path}` is a {other:?}: only directories, files and links are known"),
            };
            self.0.insert(path, node);
        }
    }

    /// The tree as a tar: sorted, owned by root, at the epoch.
    pub fn to_tar(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, node) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            let written = match node {
                Node::Directory(mode) => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(*mode);
                    builder.append_data(&mut header, format!("{path}/"), std::io::empty())
                }
                Node::File(mode, content) => {
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_mode(*mode);
                    header.set_size(content.len() as u64);
                    builder.append_data(&mut header, path, content.as_slice())
                }
                Node::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    builder.append_link(&mut header, path, target)
                }
                Node::HardLink(target) => {
                    header.set_entry_type(tar::EntryType::Link);
                    header.set_mode(0o755);
                    builder.append_link(&mut header, path, target)
                }
            };
            written.expect("a tar in memory can be written");
        }
        builder.into_inner().expect("a tar in memory can be written")
    }
}

/// The layers of one platform of a layout, as trees.
///
/// # Panics
/// When the layout has no such platform, or cannot be read.
pub fn layers(folder: &Path, platform: Platform) -> Vec<Tree> {
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
        fs::read(folder.join("blobs").join(digest.replacen(':', "/", 1))).expect("a layout holds what it names")
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("a manifest is JSON");
    let top = json(&fs::read(folder.join("index.json")).expect("a layout has an index.json"));
    let index = json(&blob(&top["manifests"][0]));
    let wanted = serde_json::to_value(DescriptorPlatform::from(platform)).expect("a platform is JSON");
    let entries = index["manifests"].as_array().expect("an index has manifests");
    let entry = entries.iter().find(|entry| entry["platform"] == wanted).expect("the base has the platform");
    let manifest = json(&blob(entry));
    let layers = manifest["layers"].as_array().expect("a manifest has layers");
    let tree = |layer: &Value| {
        let mut tree = Tree::default();
        tree.tar(flate2::read::GzDecoder::new(&*blob(layer)), |path| Some(path.to_owned()));
        tree
    };
    layers.iter().map(tree).collect()
}

/// One platform's image: its layers and what its config says under `config`.
pub struct Image {
    /// the platform, written into the config and the index
    pub platform: Platform,
    /// the layers, the lowest first
    pub layers: Vec<Tree>,
    /// `Env`, `Cmd`, `User` and the like
    pub config: Value,
}

/// Writes an image layout into the empty or new folder `folder`: one index, under `tag`, with the images in their order.
///
/// Returns the digest of the index.
///
/// # Panics
/// When a file cannot be written.
pub fn write(folder: &Path, tag: &str, images: &[Image]) -> Digest {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("the layout's folder can be made");
    let put = |media_type: &str, bytes: &[u8]| {
        let descriptor = Descriptor::of(media_type, bytes);
        fs::write(blobs.join(descriptor.digest.hex()), bytes).expect("a blob can be written");
        descriptor
    };
    let manifests: Vec<Descriptor> = images.iter().map(|image| write_image(image, &put)).collect();
    let index = json!({"schemaVersion": 2, "mediaType": blob::MEDIA_TYPE_INDEX, "manifests": manifests});
    let mut index = put(blob::MEDIA_TYPE_INDEX, &blob::canonical_json(&index));
    index.annotations.insert("org.opencontainers.image.ref.name".into(), tag.into());
    let top = json!({"schemaVersion": 2, "mediaType": blob::MEDIA_TYPE_INDEX, "manifests": [index]});
    fs::write(folder.join("index.json"), blob::canonical_json(&top)).expect("index.json can be written");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("oci-layout can be written");
    index.digest
}

fn write_image(image: &Image, put: &impl Fn(&str, &[u8]) -> Descriptor) -> Descriptor {
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for tree in &image.layers {
        let tar = tree.to_tar();
        diff_ids.push(Digest::of(&tar));
        layers.push(put(blob::MEDIA_TYPE_LAYER_GZIP, &gzip(&tar)));
    }
    let platform = DescriptorPlatform::from(image.platform);
    let history: Vec<Value> = (1..=layers.len())
        .map(|number| json!({"created": "1970-01-01T00:00:00Z", "created_by": format!("test base, layer {number}")}))
        .collect();
    let mut config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": platform.architecture,
        "os": platform.os,
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    });
    if let Some(variant) = &platform.variant {
        config["variant"] = json!(variant);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": blob::MEDIA_TYPE_MANIFEST,
        "config": put(blob::MEDIA_TYPE_CONFIG, &blob::canonical_json(&config)),
        "layers": layers,
    });
    let mut manifest = put(blob::MEDIA_TYPE_MANIFEST, &blob::canonical_json(&manifest));
    manifest.platform = Some(platform);
    manifest
}

/// Compresses with a header that says nothing of the machine or the time.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("bytes in memory can be compressed")
}
