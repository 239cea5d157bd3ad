//! The bytes of an index or a manifest become what they name: other manifests, content, and what they are about.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ContentDigest;
use crate::blob::{DescriptorPlatform, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_INDEX};

/// What an index or a manifest says. Descriptors without a digest that we know are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// what it says that it is
    pub media_type: Option<String>,
    /// the manifests of an index, in their order
    pub entries: Vec<Entry>,
    /// config and layers of a manifest: their digests and sizes in bytes
    pub content: Vec<(ContentDigest, u64)>,
    /// the manifest that it is about
    pub subject: Option<ContentDigest>,
    annotations: Map<String, Value>,
    artifact_type: Option<String>,
    config_type: Option<String>,
}

/// A manifest in an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// what it is, if that is said
    pub media_type: Option<String>,
    /// its digest
    pub digest: ContentDigest,
    /// its length in bytes
    pub size: u64,
    /// what it is called, and more
    pub annotations: Map<String, Value>,
    /// what it runs on
    pub platform: Option<DescriptorPlatform>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    media_type: Option<String>,
    artifact_type: Option<String>,
    manifests: Option<Vec<RawDescriptor>>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    /// of the artifact manifest that never became part of the specification
    blobs: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    annotations: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: Option<String>,
    digest: Option<String>,
    size: Option<u64>,
    annotations: Option<Map<String, Value>>,
    platform: Option<DescriptorPlatform>,
}

impl RawDescriptor {
    fn digest(&self) -> Option<ContentDigest> {
        ContentDigest::parse(self.digest.as_deref()?)
    }

    fn content(&self) -> Option<(ContentDigest, u64)> {
        Some((self.digest()?, self.size?))
    }

    fn entry(self) -> Option<Entry> {
        let digest = self.digest()?;
        Some(Entry {
            media_type: self.media_type,
            digest,
            size: self.size?,
            annotations: self.annotations.unwrap_or_default(),
            platform: self.platform,
        })
    }
}

impl Document {
    /// Reads a document; nothing is required of it, and of what it holds beyond this nothing is looked at.
    ///
    /// # Errors
    /// When it is no JSON object, or names things in another shape than descriptors have.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: RawDocument = serde_json::from_slice(bytes)?;
        let lists = [&raw.layers, &raw.blobs].into_iter().flatten().flatten();
        let content = raw.config.iter().chain(lists).filter_map(RawDescriptor::content).collect();
        Ok(Self {
            media_type: raw.media_type,
            entries: raw.manifests.into_iter().flatten().filter_map(RawDescriptor::entry).collect(),
            content,
            subject: raw.subject.and_then(|subject| subject.digest()),
            annotations: raw.annotations.unwrap_or_default(),
            artifact_type: raw.artifact_type.filter(|kind| !kind.is_empty()),
            config_type: raw.config.and_then(|config| config.media_type),
        })
    }

    /// Describes this document in a list of referrers.
    #[must_use]
    pub fn referrer(&self, digest: &ContentDigest, size: u64, media_type: &str) -> Referrer {
        let is_index = [MEDIA_TYPE_INDEX, MEDIA_TYPE_DOCKER_INDEX].contains(&media_type);
        let of_config = self.config_type.as_ref().filter(|_| !is_index);
        let artifact_type = self.artifact_type.as_ref().or(of_config).cloned();
        let mut value = json!({"mediaType": media_type, "digest": digest.to_string(), "size": size});
        if let Some(kind) = &artifact_type {
            value["artifactType"] = json!(kind);
        }
        if !self.annotations.is_empty() {
            value["annotations"] = Value::Object(self.annotations.clone());
        }
        Referrer { artifact_type, value }
    }
}

/// A manifest that is about another.
#[derive(Debug, Clone, PartialEq)]
pub struct Referrer {
    artifact_type: Option<String>,
    value: Value,
}

impl Referrer {
    /// Whether it is the manifest with that digest.
    #[must_use]
    pub fn is(&self, digest: &ContentDigest) -> bool {
        self.value["digest"] == digest.to_string()
    }
}

/// The answer to who is about a manifest.
#[derive(Debug, Default)]
pub struct ReferrerList(Vec<Value>);

impl ReferrerList {
    /// Those of `referrers` that are of the type, once each.
    #[must_use]
    pub fn of<'a>(referrers: impl Iterator<Item = &'a Referrer>, artifact_type: Option<&str>) -> Self {
        let mut list: Vec<Value> = Vec::new();
        let wanted =
            |referrer: &&Referrer| artifact_type.is_none() || referrer.artifact_type.as_deref() == artifact_type;
        for referrer in referrers.filter(wanted) {
            if !list.iter().any(|there| there["digest"] == referrer.value["digest"]) {
                list.push(referrer.value.clone());
            }
        }
        Self(list)
    }

    /// The index that is sent.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": self.0}).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::MEDIA_TYPE_MANIFEST;

    fn digest(text: &str) -> ContentDigest {
        ContentDigest::of(text.as_bytes())
    }

    fn document(value: &Value) -> Document {
        Document::read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_document_names_manifests_content_and_its_subject() {
        let descriptor = |text: &str| json!({"mediaType": "a/b", "digest": digest(text).to_string(), "size": 1});
        let read = document(&json!({
            "mediaType": MEDIA_TYPE_MANIFEST, "config": descriptor("config"), "layers": [descriptor("one"), {"digest": "md5:x"}],
            "subject": descriptor("subject"), "annotations": null, "manifests": null,
        }));
        assert_eq!(read.content, [(digest("config"), 1), (digest("one"), 1)]);
        assert_eq!((read.subject, read.entries), (Some(digest("subject")), Vec::new()));
        let mut entry = descriptor("entry");
        entry["platform"] = json!({"os": "linux", "architecture": "arm64"});
        entry["annotations"] = json!({"a": "b"});
        let read = document(&json!({"manifests": [entry, {"digest": digest("x").to_string()}]}));
        assert_eq!(read.entries.len(), 1);
        assert_eq!(read.entries[0].digest, digest("entry"));
        assert_eq!(read.entries[0].annotations["a"], "b");
        assert_eq!(read.entries[0].platform.as_ref().unwrap().architecture, "arm64");
        for wrong in ["", "[]", "7", r#"{"manifests":[1]}"#, r#"{"manifests":{}}"#, &"[".repeat(1 << 16)] {
            assert!(Document::read(wrong.as_bytes()).is_err(), "{wrong:.20}");
        }
    }

    #[test]
    fn referrers_are_described_by_their_own_words() {
        let (index, manifest) = (MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST);
        let config = json!({"mediaType": "config/type", "digest": digest("c").to_string(), "size": 1});
        for (value, media_type, expected) in [
            (json!({"artifactType": "a/b", "config": config, "annotations": {"k": "v"}}), manifest, Some("a/b")),
            (json!({"artifactType": "", "config": config}), manifest, Some("config/type")),
            (json!({"config": config}), manifest, Some("config/type")),
            (json!({"artifactType": "a/b"}), index, Some("a/b")),
            (json!({"config": config}), index, None),
            (json!({}), index, None),
        ] {
            let referrer = document(&value).referrer(&digest("r"), 7, media_type);
            assert_eq!(referrer.artifact_type.as_deref(), expected, "{value}");
            assert_eq!(referrer.value.get("artifactType").and_then(Value::as_str), expected, "{value}");
            assert_eq!(referrer.value.get("annotations"), value.get("annotations"), "{value}");
            assert_eq!(referrer.value["digest"], digest("r").to_string());
        }
    }

    #[test]
    fn a_list_has_those_of_a_type_and_each_once() {
        let referrer = |text: &str, kind: &str| {
            document(&json!({"artifactType": kind})).referrer(&digest(text), 1, MEDIA_TYPE_MANIFEST)
        };
        let all = [referrer("1", "a/a"), referrer("2", "b/b"), referrer("1", "a/a"), referrer("3", "a/a")];
        for (kind, names) in [(None, &["1", "2", "3"][..]), (Some("a/a"), &["1", "3"]), (Some("c/c"), &[])] {
            let body: Value = serde_json::from_slice(&ReferrerList::of(all.iter(), kind).body()).unwrap();
            let found: Vec<&Value> =
                body["manifests"].as_array().unwrap().iter().map(|entry| &entry["digest"]).collect();
            let names: Vec<String> = names.iter().map(|name| digest(name).to_string()).collect();
            assert_eq!(found, names.iter().collect::<Vec<_>>(), "{kind:?}");
            assert_eq!((&body["schemaVersion"], &body["mediaType"]), (&json!(2), &json!(MEDIA_TYPE_INDEX)));
        }
    }
}
