//! Images of every shape that tools write, in one layout: what has to pass through whoever copies images.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyarch::blob::{
    self, Descriptor, DescriptorPlatform, Digest, MEDIA_TYPE_CONFIG, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_LAYER,
    MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST,
};
use anyarch::platform::Platform;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::layout::{Tree, gzip};
use super::prebuilt::Noise;

/// The platforms of the image `v1`.
pub const PLATFORMS: [&str; 6] =
    ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "linux/s390x", "linux/ppc64le"];
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const STATEMENT: &str = "application/vnd.in-toto+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A layout with the images:
///
/// * `v1`: an index of six platforms, each with an attestation, every other one as an artifact with a subject; with fields
///   that nobody knows, and written in nobody's canonical way
/// * `docker`: an index of docker's own kinds
/// * `nested`: an index that holds `v1`, a text, and an image without a platform
/// * `one`: a manifest without an index
/// * `chart`: something that is no image
pub struct Odd(TempDir);

impl Odd {
    /// Writes the layout; layers hold so many bytes that cannot be compressed, other ones for each `seed`.
    pub fn new(seed: u64, size: usize) -> Self {
        let odd = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        fs::create_dir_all(odd.path().join("blobs/sha256")).expect("the layout's folder can be made");
        let mut noise = Noise::new(seed);
        let images: Vec<Value> =
            PLATFORMS.iter().map(|platform| odd.image(platform, false, noise.bytes(size))).collect();
        let attestations = images.iter().enumerate().map(|(number, image)| odd.attestation(image, number % 2 == 1));
        let all: Vec<Value> = images.iter().cloned().chain(attestations).collect();
        let v1 = json!({
            "schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": all,
            "annotations": {"com.example.note": "kept"}, "com.example.field": [1, {"two": null}],
        });
        let v1 = odd.put(MEDIA_TYPE_INDEX, &pretty(&v1));
        let docker: Vec<Value> =
            PLATFORMS[..2].iter().map(|platform| odd.image(platform, true, noise.bytes(size))).collect();
        let docker = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_DOCKER_INDEX, "manifests": docker});
        let docker = odd.put(MEDIA_TYPE_DOCKER_INDEX, &pretty(&docker));
        let mut bare = images[0].clone();
        bare.as_object_mut().expect("a descriptor is an object").remove("platform");
        let text = odd.put("text/plain", b"neither index nor manifest");
        let nested = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [v1, text, bare]});
        let nested = odd.put(MEDIA_TYPE_INDEX, &pretty(&nested));
        let chart = json!({
            "schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST,
            "config": odd.put("application/vnd.cncf.helm.config.v1+json", b"{\"name\":\"chart\"}"),
            "layers": [odd.put("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"no archive at all")],
        });
        let chart = odd.put(MEDIA_TYPE_MANIFEST, &pretty(&chart));
        let named = [("v1", v1), ("docker", docker), ("nested", nested), ("one", bare), ("chart", chart)];
        let named = named.map(|(name, mut entry)| {
            entry["annotations"] = json!({REF_NAME: name});
            entry
        });
        let top = json!({"schemaVersion": 2, "manifests": named});
        fs::write(odd.path().join("index.json"), pretty(&top)).expect("index.json can be written");
        fs::write(odd.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file can be written");
        odd
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// What `anyarch` calls an image of it.
    pub fn name(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path().display())
    }

    fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let descriptor = Descriptor::of(media_type, bytes);
        fs::write(self.path().join("blobs/sha256").join(descriptor.digest.hex()), bytes).expect("a blob is written");
        json!(descriptor)
    }

    fn image(&self, platform: &str, docker: bool, content: Vec<u8>) -> Value {
        let mut tree = Tree::default();
        tree.file("data", 0o644, content);
        let tar = tree.to_tar();
        let named = DescriptorPlatform::from(platform.parse::<Platform>().expect("the table holds platforms"));
        let mut config = json!({
            "architecture": named.architecture, "os": named.os, "config": {"Cmd": ["/data"]},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&tar)]},
        });
        if let Some(variant) = &named.variant {
            config["variant"] = json!(variant);
        }
        let kinds = if docker {
            [DOCKER_CONFIG, MEDIA_TYPE_DOCKER_LAYER, MEDIA_TYPE_DOCKER_MANIFEST]
        } else {
            [MEDIA_TYPE_CONFIG, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST]
        };
        let layers = [self.put(kinds[1], &gzip(&tar))];
        let config = self.put(kinds[0], &pretty(&config));
        let manifest = json!({"schemaVersion": 2, "mediaType": kinds[2], "config": config, "layers": layers});
        let mut entry = self.put(kinds[2], &pretty(&manifest));
        entry["platform"] = json!(named);
        entry
    }

    /// What `BuildKit` says about an image: as it always did, or as an artifact.
    fn attestation(&self, image: &Value, artifact: bool) -> Value {
        let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [image["digest"]]});
        let mut layer = self.put(STATEMENT, &pretty(&statement));
        layer["annotations"] = json!({"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"});
        let mut manifest = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "layers": [layer]});
        if artifact {
            let mut subject = image.clone();
            subject.as_object_mut().expect("a descriptor is an object").remove("platform");
            manifest["artifactType"] = json!("application/vnd.docker.attestation.manifest.v1+json");
            manifest["subject"] = subject;
            manifest["config"] = self.put("application/vnd.oci.empty.v1+json", b"{}");
        } else {
            let diff_ids = [&layer["digest"]];
            let config = json!({
                "architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": diff_ids},
            });
            manifest["config"] = self.put(MEDIA_TYPE_CONFIG, &pretty(&config));
        }
        let mut entry = self.put(MEDIA_TYPE_MANIFEST, &pretty(&manifest));
        entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        entry["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"],
        });
        entry
    }
}

/// JSON as no canonical encoder writes it.
fn pretty(value: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("a value encodes")
}

/// The digest of what a layout calls `tag`.
pub fn named(layout: &Path, tag: &str) -> String {
    let index = json(&fs::read(layout.join("index.json")).expect("a layout has an index.json"));
    let entries = index["manifests"].as_array().expect("an index has manifests");
    let mut named = entries.iter().filter(|entry| entry["annotations"][REF_NAME] == tag);
    let digest = named.next().unwrap_or_else(|| panic!("the layout has no `{tag}`: {index}"))["digest"].clone();
    assert!(named.next().is_none(), "`{tag}` is there twice: {index}");
    digest.as_str().expect("a digest is a text").to_owned()
}

/// Everything that a document of a layout stands for, itself included.
///
/// # Panics
/// When something of it is not there, or is not what its name says.
pub fn reachable(layout: &Path, digest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A document, or a blob where it is named as one.
    let mut pending = vec![(digest.to_owned(), true)];
    while let Some((digest, is_document)) = pending.pop() {
        let path = layout.join("blobs").join(digest.replacen(':', "/", 1));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
        assert_eq!(Digest::of(&bytes).to_string(), digest, "a blob of the layout is damaged");
        if found.insert(digest) && is_document {
            let value = json(&bytes);
            let kinds = [MEDIA_TYPE_INDEX, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_MANIFEST, MEDIA_TYPE_DOCKER_MANIFEST];
            let named = ["manifests", "layers"].into_iter().filter_map(|key| value[key].as_array()).flatten();
            for descriptor in named.chain(Some(&value["config"]).filter(|config| config.is_object())) {
                let is_document = kinds.iter().any(|kind| descriptor["mediaType"] == **kind);
                pending.push((descriptor["digest"].as_str().expect("a digest is a text").to_owned(), is_document));
            }
        }
    }
    found
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("a document is JSON")
}

/// What two layouts call a digest is the same, byte for byte.
pub fn assert_same(one: &Path, other: &Path, digest: &str) {
    let (mine, theirs) = (reachable(one, digest), reachable(other, digest));
    assert_eq!(mine, theirs);
}

/// The digests of the platforms' manifests in an index of a layout.
pub fn platforms(layout: &Path, index: &str) -> Vec<(String, String)> {
    let bytes = fs::read(layout.join("blobs").join(index.replacen(':', "/", 1))).expect("the index is there");
    let entries = json(&bytes)["manifests"].as_array().expect("it is an index").clone();
    let platform = |entry: &Value| {
        let named: blob::DescriptorPlatform = serde_json::from_value(entry["platform"].clone()).ok()?;
        Platform::from_parts(&named.os, &named.architecture, named.variant.as_deref()).ok()
    };
    let known = entries.iter().filter_map(|entry| Some((platform(entry)?, entry)));
    known
        .map(|(platform, entry)| (platform.to_string(), entry["digest"].as_str().expect("a text").to_owned()))
        .collect()
}
