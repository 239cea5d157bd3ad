//! A manifest becomes what it is to people: an image, something that is said about one, or something else altogether.

use super::{Contents, Document, Entry, is_document};
use crate::blob::{Digest, MEDIA_TYPE_CONFIG};

/// The config of an image as docker calls it.
const MEDIA_TYPE_DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A statement about an image: <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/envelope.md>
const MEDIA_TYPE_STATEMENT: &str = "application/vnd.in-toto+json";
/// Says of a statement what kind it is:
/// <https://github.com/moby/buildkit/blob/v0.20.2/docs/attestations/attestation-storage.md>
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// What `BuildKit` calls its attestations where it writes them as artifacts.
const ATTESTATION: &str = "application/vnd.docker.attestation.manifest.v1+json";

/// What something that an index names is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// an image, whose config says for which platform
    Image,
    /// what is said about an image
    Attestation {
        /// the image, where that is said
        of: Option<Digest>,
        /// what kinds of statements there are, in their order
        predicates: Vec<String>,
    },
    /// neither
    Artifact {
        /// what it is, by its own words
        artifact_type: String,
    },
}

impl Role {
    /// What `document` is, which `entry` names; of what is no manifest, or was not read (`None`), what the entry says.
    #[must_use]
    pub fn of(entry: &Entry, document: Option<&Document>) -> Self {
        let subject = document.and_then(|document| document.subject.as_ref()).map(|subject| subject.digest);
        let of = entry.attests().or(subject);
        let Some((document, Contents::Manifest { config, layers })) =
            document.map(|document| (document, &document.contents))
        else {
            if entry.is_attestation() {
                return Self::Attestation { of, predicates: Vec::new() };
            }
            // Not read; a platform is what only images have.
            if is_document(&entry.descriptor.media_type) && entry.named_platform().is_some() {
                return Self::Image;
            }
            let artifact_type = entry.artifact_type().unwrap_or(&entry.descriptor.media_type).to_owned();
            return Self::Artifact { artifact_type };
        };
        let statements = || layers.iter().filter(|layer| layer.media_type == MEDIA_TYPE_STATEMENT);
        // One that is named by itself, and not by an index, has no mark.
        let all_statements = !layers.is_empty() && statements().count() == layers.len();
        if entry.is_attestation() || document.artifact_type.as_deref() == Some(ATTESTATION) || all_statements {
            let predicates = statements().filter_map(|layer| layer.annotations.get(PREDICATE_TYPE).cloned());
            return Self::Attestation { of, predicates: predicates.collect() };
        }
        match (config.media_type.as_str(), &document.artifact_type) {
            (MEDIA_TYPE_CONFIG | MEDIA_TYPE_DOCKER_CONFIG, _) => Self::Image,
            (_, Some(artifact_type)) => Self::Artifact { artifact_type: artifact_type.clone() },
            (media_type, None) => Self::Artifact { artifact_type: media_type.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::{Descriptor, MEDIA_TYPE_MANIFEST};
    use serde_json::{Value, json};

    const EMPTY: &str = "application/vnd.oci.empty.v1+json";

    #[test]
    fn roles_are_told_by_marks_and_by_what_is_inside() {
        let image = Digest::of(b"image");
        let of = |media_type: &str| json!({"mediaType": media_type, "digest": Digest::of(b"x"), "size": 1});
        let subject = json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": image, "size": 1});
        let statement = json!({
            "mediaType": MEDIA_TYPE_STATEMENT, "digest": image, "size": 1, "annotations": {PREDICATE_TYPE: "https://slsa.dev/provenance/v0.2"},
        });
        let marked = json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image});
        let predicates = vec!["https://slsa.dev/provenance/v0.2".to_owned()];
        let about = Role::Attestation { of: Some(image), predicates: predicates.clone() };
        let artifact = |artifact_type: &str| Role::Artifact { artifact_type: artifact_type.to_owned() };
        for (annotations, manifest, role) in [
            (json!({}), json!({"config": of(MEDIA_TYPE_CONFIG), "layers": [of("tar")]}), Role::Image),
            (json!({}), json!({"config": of(MEDIA_TYPE_DOCKER_CONFIG)}), Role::Image),
            (marked.clone(), json!({"config": of(MEDIA_TYPE_CONFIG), "layers": [statement]}), about.clone()),
            (
                json!({}),
                json!({"config": of(MEDIA_TYPE_CONFIG), "layers": [statement]}),
                Role::Attestation { of: None, predicates },
            ),
            (
                json!({}),
                json!({"config": of(EMPTY), "layers": [statement], "artifactType": ATTESTATION, "subject": subject}),
                about,
            ),
            (json!({}), json!({"config": of(EMPTY), "layers": [], "artifactType": "a/chart"}), artifact("a/chart")),
            (
                json!({}),
                json!({"config": of("application/vnd.cncf.helm.config.v1+json")}),
                artifact("application/vnd.cncf.helm.config.v1+json"),
            ),
        ] {
            let bytes = manifest.to_string().into_bytes();
            let document = Document::read(Descriptor::of(MEDIA_TYPE_MANIFEST, &bytes), bytes).unwrap();
            let entry =
                json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": image, "size": 1, "annotations": annotations});
            let entry: Entry = serde_json::from_value(entry).unwrap();
            assert_eq!(Role::of(&entry, Some(&document)), role, "{manifest}");
        }
    }

    #[test]
    fn what_was_not_read_is_told_by_its_entry() {
        let image = Digest::of(b"image");
        let entry = |fields: Value| -> Entry {
            let mut entry = json!({"mediaType": "text/plain", "digest": image, "size": 1});
            entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            serde_json::from_value(entry).unwrap()
        };
        let artifact = |artifact_type: &str| Role::Artifact { artifact_type: artifact_type.to_owned() };
        for (fields, role) in [
            (json!({}), artifact("text/plain")),
            (json!({"artifactType": "a/b"}), artifact("a/b")),
            (json!({"mediaType": MEDIA_TYPE_MANIFEST, "artifactType": "a/b"}), artifact("a/b")),
            (
                json!({"mediaType": MEDIA_TYPE_MANIFEST, "platform": {"os": "linux", "architecture": "arm"}}),
                Role::Image,
            ),
            (
                json!({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
                Role::Attestation { of: None, predicates: Vec::new() },
            ),
        ] {
            assert_eq!(Role::of(&entry(fields), None), role);
        }
    }
}
