//! Writes image layouts document by document, as other programs write them: attestations, artifacts, docker's own types,
//! indexes in indexes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyarch::blob::{self, Descriptor};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::layout::{self, Tree};
use super::process;
use super::registry::Registry;

/// Docker's name of a config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A statement about an image.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// A layout that grows; gone with the value.
pub struct RawLayout(TempDir);

/// The media types of an image.
#[derive(Clone, Copy)]
pub struct Types {
    manifest: &'static str,
    config: &'static str,
    layer: &'static str,
}

pub const OCI: Types =
    Types { manifest: blob::MEDIA_TYPE_MANIFEST, config: blob::MEDIA_TYPE_CONFIG, layer: blob::MEDIA_TYPE_LAYER_GZIP };
pub const DOCKER: Types =
    Types { manifest: blob::MEDIA_TYPE_DOCKER_MANIFEST, config: DOCKER_CONFIG, layer: blob::MEDIA_TYPE_DOCKER_LAYER };

impl RawLayout {
    /// A layout without images.
    pub fn new() -> Self {
        let layout = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        fs::create_dir_all(layout.folder().join("blobs/sha256")).expect("a folder can be made");
        fs::write(layout.folder().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file is written");
        layout.top(&[]);
        layout
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// `oci:FOLDER:TAG`
    pub fn name(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.folder().display())
    }

    /// Adds a blob, and returns its descriptor.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let descriptor = Descriptor::of(media_type, bytes);
        fs::write(self.path(&descriptor.digest.hex()), bytes).expect("a blob can be written");
        serde_json::to_value(descriptor).expect("a descriptor is JSON")
    }

    fn path(&self, hex: &str) -> PathBuf {
        self.folder().join("blobs/sha256").join(hex)
    }

    /// Adds a document as people's programs write it, with spaces and in an order of its own.
    pub fn document(&self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, &serde_json::to_vec_pretty(value).expect("a value is JSON"))
    }

    /// The bytes of a blob that was added.
    pub fn bytes(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
        fs::read(self.path(digest.trim_start_matches("sha256:"))).expect("the blob was added")
    }

    /// Adds an image with one file, `/app`, which holds `content`; `platform` is the fields of its config. Its descriptor
    /// has no platform.
    pub fn image(&self, types: Types, platform: &Value, content: &str) -> Value {
        let mut tree = Tree::default();
        tree.file("app", 0o755, content);
        let tar = tree.to_tar();
        let mut config = json!({
            "created": "2024-05-06T07:08:09.123Z", "config": {"Entrypoint": ["/app"]},
            "rootfs": {"type": "layers", "diff_ids": [blob::Digest::of(&tar)]},
        });
        let fields = config.as_object_mut().expect("it is an object");
        fields.extend(platform.as_object().expect("a platform is an object").clone());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": types.manifest,
            "config": self.document(types.config, &config), "layers": [self.blob(types.layer, &layout::gzip(&tar))],
        });
        self.document(types.manifest, &manifest)
    }

    /// Adds what `BuildKit` says about an image, in its older form, and returns the entry of an index for it.
    pub fn attestation(&self, of: &Value, predicate: &str) -> Value {
        let statement =
            json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": of["digest"], "predicateType": predicate});
        let mut statement = self.document(STATEMENT, &statement);
        statement["annotations"] = json!({"in-toto.io/predicate-type": predicate});
        let config = json!({"architecture": "unknown", "os": "unknown", "config": {}});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": blob::MEDIA_TYPE_MANIFEST,
            "config": self.document(blob::MEDIA_TYPE_CONFIG, &config), "layers": [statement],
        });
        let mut entry = self.document(blob::MEDIA_TYPE_MANIFEST, &manifest);
        entry["platform"] = json!({"architecture": "unknown", "os": "unknown"});
        entry["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of["digest"],
        });
        entry
    }

    /// Adds an index over `entries`.
    pub fn index(&self, media_type: &str, entries: &[Value], annotations: &Value) -> Value {
        let mut index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        if !annotations.is_null() {
            index["annotations"] = annotations.clone();
        }
        self.document(media_type, &index)
    }

    /// Names documents, each by a tag, and no others.
    pub fn tags(&self, tags: &[(&str, &Value)]) {
        let named = |(tag, descriptor): &(&str, &Value)| {
            let mut named = (*descriptor).clone();
            named["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
            named
        };
        self.top(&tags.iter().map(named).collect::<Vec<_>>());
    }

    fn top(&self, entries: &[Value]) {
        let index = json!({"schemaVersion": 2, "mediaType": blob::MEDIA_TYPE_INDEX, "manifests": entries});
        fs::write(self.folder().join("index.json"), index.to_string()).expect("index.json can be written");
    }

    /// Pushes what has the name `tag` by another program, and returns `HOST/NAME`.
    pub fn push(&self, tag: &str, registry: &Registry, name: &str) -> String {
        let reference = format!("{}/{name}", registry.host());
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false", &self.name(tag)]);
        process::succeed(skopeo.arg(format!("docker://{reference}")));
        reference
    }
}

/// An entry of an index for an image of that platform.
pub fn with_platform(descriptor: &Value, platform: &Value) -> Value {
    let mut entry = descriptor.clone();
    entry["platform"] = platform.clone();
    entry
}

/// The fields of a platform.
pub fn platform(text: &str) -> Value {
    let platform: anyarch::platform::Platform = text.parse().expect("a test names a known platform");
    serde_json::to_value(blob::DescriptorPlatform::from(platform)).expect("a platform is JSON")
}
