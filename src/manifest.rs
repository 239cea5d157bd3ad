//! Bytes of indexes and manifests become what they name, as they are: every field that somebody wrote is kept, and
//! nothing is judged. <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>

mod made;
mod role;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::blob::{
    CONTAINERD_NAME, Descriptor, Digest, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX,
    MEDIA_TYPE_MANIFEST, REF_NAME,
};
use crate::named_platform::NamedPlatform;
use crate::platform::Platform;

pub use role::Role;

/// Says of an entry that it is not an image but something about one: <https://docs.docker.com/build/metadata/attestations/attestation-storage/>
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Says which image of the same index that is.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// What an index says of one of its manifests.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// the fields that we know
    pub descriptor: Descriptor,
    /// all fields, as they were written
    pub written: Map<String, Value>,
}

impl Entry {
    /// An entry of ours.
    #[must_use]
    pub fn of(descriptor: Descriptor) -> Self {
        let written = match serde_json::to_value(&descriptor) {
            Ok(Value::Object(written)) => written,
            _ => Map::new(),
        };
        Self { descriptor, written }
    }

    /// True for what is said about an image: `BuildKit` stores provenance beside images, marked so or for the platform
    /// `unknown/unknown`.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        let unknown = self.descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
        unknown || self.descriptor.annotations.contains_key(REFERENCE_TYPE)
    }

    /// The image of the same index that this entry is about.
    #[must_use]
    pub fn attests(&self) -> Option<Digest> {
        self.descriptor.annotations.get(REFERENCE_DIGEST)?.parse().ok()
    }

    /// What it says it is, if it is no image.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.written.get("artifactType").and_then(Value::as_str)
    }

    /// The entry without what it is called in a layout.
    #[must_use]
    pub fn without_name(&self) -> Self {
        let mut entry = self.clone();
        for name in [REF_NAME, CONTAINERD_NAME] {
            entry.descriptor.annotations.remove(name);
            if let Some(annotations) = entry.written.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.remove(name);
            }
        }
        if entry.written.get("annotations").and_then(Value::as_object).is_some_and(Map::is_empty) {
            entry.written.remove("annotations");
        }
        entry
    }

    /// The platform that it says it is for, by whatever name.
    #[must_use]
    pub fn named_platform(&self) -> Option<NamedPlatform> {
        self.written.get("platform").and_then(NamedPlatform::of_json)
    }

    /// The platform that it says it is for, if that is one that we know.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        let said = self.descriptor.platform.as_ref()?;
        Platform::from_parts(&said.os, &said.architecture, said.variant.as_deref()).ok()
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Map::deserialize(deserializer)?;
        let descriptor = Descriptor::deserialize(Value::Object(written.clone())).map_err(serde::de::Error::custom)?;
        Ok(Self { descriptor, written })
    }
}

/// An index or a manifest with its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// describes the bytes
    pub descriptor: Descriptor,
    /// the bytes
    pub bytes: Vec<u8>,
    /// what it names
    pub contents: Contents,
    /// what it is about, in another place of the same repository
    pub subject: Option<Descriptor>,
    /// what it is if it is no image
    pub artifact_type: Option<String>,
    /// what somebody noted on it
    pub annotations: BTreeMap<String, String>,
}

/// What an index or a manifest names.
#[derive(Clone, Debug, PartialEq)]
pub enum Contents {
    /// other documents, or whatever else somebody put into an index
    Index(Vec<Entry>),
    /// an image, or something that is kept in the same way
    Manifest {
        /// its config
        config: Descriptor,
        /// its layers, lowest first
        layers: Vec<Descriptor>,
    },
}

/// Bytes that are no index and no manifest.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not what its media type says.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Neither an index nor a manifest.
    #[error("the media type `{0}` is none of an index or a manifest")]
    MediaType(String),
}

/// What both kinds may have, and one of which each has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    manifests: Option<Vec<Entry>>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// True for the media types that [`Document::read`] reads.
#[must_use]
pub fn is_document(media_type: &str) -> bool {
    is_index(media_type) || matches!(media_type, MEDIA_TYPE_MANIFEST | MEDIA_TYPE_DOCKER_MANIFEST)
}

/// True for the media types of indexes.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, MEDIA_TYPE_INDEX | MEDIA_TYPE_DOCKER_INDEX)
}

impl Document {
    /// Reads the bytes that `descriptor` describes; that they are those is for the caller to see to.
    ///
    /// # Errors
    /// When they are no index or manifest, whichever the media type says.
    pub fn read(descriptor: Descriptor, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        if !is_document(&descriptor.media_type) {
            return Err(DocumentError::MediaType(descriptor.media_type));
        }
        let fields: Fields = serde_json::from_slice(&bytes)?;
        let missing = |name| <serde_json::Error as serde::de::Error>::missing_field(name);
        let contents = if is_index(&descriptor.media_type) {
            Contents::Index(fields.manifests.ok_or_else(|| missing("manifests"))?)
        } else {
            let config = fields.config.ok_or_else(|| missing("config"))?;
            Contents::Manifest { config, layers: fields.layers }
        };
        let annotations = fields.annotations.unwrap_or_default();
        let (subject, artifact_type) = (fields.subject, fields.artifact_type);
        Ok(Self { descriptor, bytes, contents, subject, artifact_type, annotations })
    }

    /// What an index names; nothing for a manifest.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.contents {
            Contents::Index(entries) => entries,
            Contents::Manifest { .. } => &[],
        }
    }

    /// The blobs that are kept where the document is. A layer that nobody but its owner may hand on is fetched from him: the
    /// `urls` of the manifest say where, <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#non-distributable-layers>.
    pub fn blobs_here(&self) -> impl Iterator<Item = &Descriptor> {
        let theirs = match &self.contents {
            Contents::Manifest { layers, .. } if layers.iter().any(is_restricted) => theirs(&self.bytes),
            _ => Vec::new(),
        };
        let is_theirs = move |blob: &Descriptor| is_restricted(blob) && theirs.contains(&blob.digest);
        self.blobs().into_iter().filter(move |blob| !is_theirs(blob))
    }

    /// Bytes that a pull of it moves: its own, and each of its blobs once.
    #[must_use]
    pub fn pull_size(&self) -> u64 {
        let blobs: BTreeMap<Digest, u64> = self.blobs().into_iter().map(|blob| (blob.digest, blob.size)).collect();
        blobs.values().fold(self.bytes.len() as u64, |sum, size| sum.saturating_add(*size))
    }

    /// What is kept as blobs: the config and the layers of a manifest; of an index what is neither index nor manifest.
    #[must_use]
    pub fn blobs(&self) -> Vec<&Descriptor> {
        match &self.contents {
            Contents::Manifest { config, layers } => std::iter::once(config).chain(layers).collect(),
            Contents::Index(entries) => {
                let entries = entries.iter().map(|entry| &entry.descriptor);
                entries.filter(|entry| !is_document(&entry.media_type)).collect()
            }
        }
    }
}

/// True for layers that may not be handed on to just anybody: parts of Windows.
fn is_restricted(layer: &Descriptor) -> bool {
    layer.media_type.contains(".nondistributable.") || layer.media_type.contains(".foreign.")
}

/// The layers of a manifest that have `urls`.
fn theirs(manifest: &[u8]) -> Vec<Digest> {
    #[derive(Deserialize)]
    struct Layer {
        digest: Digest,
        #[serde(default)]
        urls: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Layers {
        #[serde(default)]
        layers: Vec<Layer>,
    }
    let layers = serde_json::from_slice(manifest).map_or_else(|_| Vec::new(), |Layers { layers }| layers);
    layers.into_iter().filter(|layer| !layer.urls.is_empty()).map(|layer| layer.digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(media_type: &str, value: &Value) -> Result<Document, DocumentError> {
        let bytes = value.to_string().into_bytes();
        Document::read(Descriptor::of(media_type, &bytes), bytes)
    }

    #[test]
    fn an_entry_keeps_what_nobody_here_knows() {
        let digest = Digest::of(b"x");
        let written = json!({
            "mediaType": MEDIA_TYPE_MANIFEST, "digest": digest, "size": 1, "artifactType": "a/b", "urls": ["u"],
            "platform": {"os": "windows", "architecture": "amd64", "os.version": "10.0"}, "new": {"er": [1]},
        });
        let document = read(MEDIA_TYPE_INDEX, &json!({"schemaVersion": 2, "manifests": [written]})).unwrap();
        let [entry] = document.entries() else { panic!("one entry") };
        assert_eq!(Value::Object(entry.written.clone()), written);
        assert_eq!((entry.descriptor.digest, entry.is_attestation(), entry.attests()), (digest, false, None));
        assert!(document.blobs().is_empty());
    }

    #[test]
    fn what_a_layout_calls_an_image_stays_there() {
        let digest = Digest::of(b"x");
        for (annotations, left) in [
            (json!({REF_NAME: "1.0", CONTAINERD_NAME: "example.com/app:1.0"}), json!(null)),
            (json!({REF_NAME: "1.0", "k": "v"}), json!({"k": "v"})),
        ] {
            let written =
                json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": digest, "size": 1, "annotations": annotations});
            let entry: Entry = serde_json::from_value(written).unwrap();
            let entry = entry.without_name();
            assert_eq!(entry.written.get("annotations").unwrap_or(&json!(null)), &left);
            assert!(!entry.descriptor.annotations.contains_key(REF_NAME));
        }
    }

    #[test]
    fn attestations_are_known_by_either_mark() {
        let (image, own) = (Digest::of(b"image"), Digest::of(b"own"));
        let unknown = json!({"os": "unknown", "architecture": "unknown"});
        for (platform, annotations, attests) in [
            (Some(&unknown), json!({}), None),
            (None, json!({REFERENCE_TYPE: "attestation-manifest", REFERENCE_DIGEST: image}), Some(image)),
        ] {
            let mut entry =
                json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": own, "size": 1, "annotations": annotations});
            if let Some(platform) = platform {
                entry["platform"] = platform.clone();
            }
            let entry: Entry = serde_json::from_value(entry).unwrap();
            assert_eq!((entry.is_attestation(), entry.attests(), entry.platform()), (true, attests, None));
        }
    }

    #[test]
    fn a_manifest_names_its_blobs_and_its_subject() {
        let of = |text: &str| Descriptor::of("text/plain", text.as_bytes());
        let (config, layer, subject) = (of("config"), of("layer"), of("subject"));
        let value = json!({"config": config, "layers": [layer], "subject": subject, "artifactType": "a/b"});
        for media_type in [MEDIA_TYPE_MANIFEST, MEDIA_TYPE_DOCKER_MANIFEST] {
            let document = read(media_type, &value).unwrap();
            assert_eq!(document.blobs(), [&config, &layer]);
            assert_eq!((document.subject, document.artifact_type.as_deref()), (Some(subject.clone()), Some("a/b")));
        }
    }

    #[test]
    fn layers_that_only_their_owner_hands_on_are_not_here() {
        let of =
            |media_type: &str, text: &str| serde_json::to_value(Descriptor::of(media_type, text.as_bytes())).unwrap();
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let (mut theirs, ours) = (of(foreign, "theirs"), of(foreign, "ours"));
        theirs["urls"] = json!(["https://owner.example/layer"]);
        let mut open = of("a/layer", "open");
        open["urls"] = json!(["https://anybody.example/layer"]);
        let value = json!({"config": of("a/config", "config"), "layers": [theirs, ours, open]});
        let document = read(MEDIA_TYPE_DOCKER_MANIFEST, &value).unwrap();
        let here: Vec<Digest> = document.blobs_here().map(|blob| blob.digest).collect();
        assert_eq!(here, ["config", "ours", "open"].map(|text| Digest::of(text.as_bytes())));
    }

    #[test]
    fn what_is_something_else_is_said() {
        for (media_type, value, message) in [
            (MEDIA_TYPE_INDEX, json!({"config": {}}), "missing field `mediaType`"),
            (MEDIA_TYPE_INDEX, json!({}), "missing field `manifests`"),
            (MEDIA_TYPE_MANIFEST, json!({"manifests": []}), "missing field `config`"),
            ("text/plain", json!({}), "the media type `text/plain` is none of an index or a manifest"),
        ] {
            let error = read(media_type, &value).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
