//! Images that exist become one flat index over them and over what is said about them, in the order in which they were
//! named. What an index said of an image before is kept, every field of it.
//!
//! Two images for one platform are an error, and so is a platform that an image's own config contradicts.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::annotation::Annotations;
use crate::blob::{
    Descriptor, Digest, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX, canonical_json,
};
use crate::manifest::{Document, Entry, Role};
use crate::named_platform::NamedPlatform;

pub use error::IndexError;

/// Something that goes into an index, with what is known of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// where it comes from, as people call it
    pub source: String,
    /// what names it there
    pub entry: Entry,
    /// what it is
    pub role: Role,
    /// for which platform, by the config of an image
    pub configured: Option<NamedPlatform>,
    /// for which platform, by the user's own words
    pub asked: Option<NamedPlatform>,
    /// whether it is in the index that others are added to, and gives way to one of them
    pub stands: bool,
}

/// An index, and what it is made of.
#[derive(Clone, Debug)]
pub struct Index {
    /// describes its bytes
    pub descriptor: Descriptor,
    /// its bytes
    pub bytes: Vec<u8>,
    /// the parts that it names, in its order, by their positions; of those that name one thing the first
    pub parts: Vec<usize>,
    /// each image's platform, in the same order, with its position
    pub platforms: Vec<(NamedPlatform, usize)>,
    /// what a person should know
    pub remarks: Vec<Remark>,
}

/// Something that was left out on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// an image gave way to another
    Replaced {
        /// for this platform
        platform: NamedPlatform,
        /// the one that was there
        old: Digest,
        /// the one that is there now
        new: Digest,
    },
    /// what was said about an image that is not in the index
    Orphan {
        /// what was said
        attestation: Digest,
        /// about this image
        of: Digest,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced { platform, old, new } => write!(formatter, "{platform}: {new} takes the place of {old}"),
            Self::Orphan { attestation, of } => {
                write!(
                    formatter,
                    "the attestation {attestation} is left out: the image {of} that it is about is not there"
                )
            }
        }
    }
}

/// An image on its way into an index.
struct Image {
    /// The position of the part that it is.
    part: usize,
    /// That of the part in whose place it is.
    slot: usize,
    platform: NamedPlatform,
    digest: Digest,
    written: Map<String, Value>,
}

/// Puts parts together. `whole` is the index that they are all of, or to which others are added: what it says of itself
/// stays, and its very bytes where nothing changed.
///
/// # Errors
/// When there is no image, two are for one platform, a platform is missing or contradicted, or something is to be annotated
/// that is not there.
pub fn assemble(whole: Option<&Document>, parts: &[Part], annotations: &Annotations) -> Result<Index, IndexError> {
    let mut remarks = Vec::new();
    let mut images = images(parts, &mut remarks)?;
    if images.is_empty() {
        return Err(IndexError::NoImages);
    }
    annotate(&mut images, annotations)?;
    let has = |digest: Digest| images.iter().any(|image| image.digest == digest);
    let mut entries: Vec<(usize, usize, Map<String, Value>)> =
        images.iter().map(|image| (image.slot, image.part, image.written.clone())).collect();
    let mut seen = BTreeSet::new();
    for (position, part) in parts.iter().enumerate().filter(|(_, part)| part.role != Role::Image) {
        let digest = part.entry.descriptor.digest;
        match part.role {
            _ if !seen.insert(digest) => {}
            Role::Attestation { of: Some(of), .. } if !has(of) => {
                remarks.push(Remark::Orphan { attestation: digest, of });
            }
            _ => entries.push((position, position, part.entry.written.clone())),
        }
    }
    entries.sort_by_key(|(slot, ..)| *slot);
    let written: Vec<&Map<String, Value>> = entries.iter().map(|(.., written)| written).collect();
    let (media_type, bytes) = encoded(whole, &written, annotations);
    Ok(Index {
        descriptor: Descriptor::of(media_type, &bytes),
        bytes,
        platforms: images.into_iter().map(|image| (image.platform, image.part)).collect(),
        parts: entries.into_iter().map(|(_, position, _)| position).collect(),
        remarks,
    })
}

/// The images among the parts, one a platform.
fn images(parts: &[Part], remarks: &mut Vec<Remark>) -> Result<Vec<Image>, IndexError> {
    let mut images: Vec<Image> = Vec::new();
    for (position, part) in parts.iter().enumerate().filter(|(_, part)| part.role == Role::Image) {
        let platform = platform_of(part)?;
        let digest = part.entry.descriptor.digest;
        let image = Image { part: position, slot: position, written: written(part, &platform), platform, digest };
        match images.iter_mut().find(|there| there.platform.is_same(&image.platform)) {
            None => images.push(image),
            Some(there) if there.digest == digest => {}
            Some(there) if parts[there.part].stands && !part.stands => {
                remarks.push(Remark::Replaced { platform: image.platform.clone(), old: there.digest, new: digest });
                *there = Image { slot: there.slot, ..image };
            }
            Some(there) => {
                let first = (parts[there.part].source.clone(), there.digest);
                let second = (part.source.clone(), digest);
                return Err(IndexError::SamePlatform { platform: Box::new(image.platform), first, second });
            }
        }
    }
    Ok(images)
}

/// The platform of an image: what the user says, completed by what the index and the config say. None may contradict
/// another.
fn platform_of(part: &Part) -> Result<NamedPlatform, IndexError> {
    let said = part.entry.named_platform();
    let digest = part.entry.descriptor.digest;
    let voices = [&part.asked, &said, &part.configured];
    let mut platform: Option<NamedPlatform> = None;
    for voice in voices.into_iter().flatten() {
        // One that says more may contradict what a third one left open.
        if let Some(other) = voices.into_iter().flatten().find(|other| other.contradicts(voice)) {
            let (source, said, other) = (part.source.clone(), Box::new(voice.clone()), Box::new(other.clone()));
            return Err(IndexError::Contradiction { source_name: source, digest, said, other });
        }
        platform = Some(platform.map_or_else(|| voice.clone(), |platform| platform.completed_by(voice)));
    }
    platform.ok_or_else(|| IndexError::NoPlatform { source_name: part.source.clone(), digest })
}

/// What the index says of an image: what was said before, and its platform where that was left out or is said otherwise.
fn written(part: &Part, platform: &NamedPlatform) -> Map<String, Value> {
    let mut written = part.entry.written.clone();
    let said = part.entry.named_platform();
    let adds =
        part.asked.as_ref().is_some_and(|asked| said.as_ref().is_none_or(|said| said.completed_by(asked) != *said));
    if said.is_none() || adds {
        written.insert("platform".into(), platform.to_json());
    }
    written
}

fn annotate(images: &mut [Image], annotations: &Annotations) -> Result<(), IndexError> {
    let known: Vec<_> = images.iter().filter_map(|image| image.platform.known()).collect();
    if let Some(platform) = annotations.described_platforms().find(|platform| !known.contains(platform)) {
        return Err(IndexError::NothingToAnnotate { platform, offered: known });
    }
    for image in images {
        let added = annotations.of_named_descriptor(image.platform.known());
        if added.is_empty() {
            continue;
        }
        let there = image.written.entry("annotations").or_insert_with(|| json!({}));
        if !there.is_object() {
            *there = json!({});
        }
        if let Value::Object(there) = there {
            there.extend(added.into_iter().map(|(name, value)| (name, value.into())));
        }
    }
    Ok(())
}

/// The bytes of an index and what they are: docker's own list where all that it names is docker's and nothing is noted on
/// it, which is what such images are in everywhere; else OCI's index.
fn encoded(
    whole: Option<&Document>,
    entries: &[&Map<String, Value>],
    annotations: &Annotations,
) -> (&'static str, Vec<u8>) {
    let of_docker = |entry: &&Map<String, Value>| {
        entry.get("mediaType").is_some_and(|media_type| media_type == MEDIA_TYPE_DOCKER_MANIFEST)
            && !entry.contains_key("annotations")
    };
    let was_oci = whole.is_some_and(|whole| whole.descriptor.media_type == MEDIA_TYPE_INDEX);
    let is_docker = !was_oci && annotations.of_index().is_empty() && entries.iter().all(of_docker);
    let media_type = if is_docker { MEDIA_TYPE_DOCKER_INDEX } else { MEDIA_TYPE_INDEX };
    let mut fields: Map<String, Value> =
        whole.and_then(|whole| serde_json::from_slice(&whole.bytes).ok()).unwrap_or_default();
    if !annotations.of_index().is_empty() {
        let mut noted = match fields.remove("annotations") {
            Some(Value::Object(noted)) => noted,
            _ => Map::new(),
        };
        noted.extend(annotations.of_index().iter().map(|(name, value)| (name.clone(), value.clone().into())));
        fields.insert("annotations".into(), Value::Object(noted));
    }
    let before = fields.clone();
    fields.insert("schemaVersion".into(), 2.into());
    fields.insert("mediaType".into(), media_type.into());
    fields.insert("manifests".into(), json!(entries));
    match whole {
        // Some registries gave indexes without a `mediaType`: that alone is no change.
        Some(whole) if unchanged(whole, &before, &fields) && whole.descriptor.media_type == media_type => {
            (media_type, whole.bytes.clone())
        }
        _ => (media_type, canonical_json(&fields)),
    }
}

/// True when an index would say the same.
fn unchanged(whole: &Document, before: &Map<String, Value>, now: &Map<String, Value>) -> bool {
    let was: Map<String, Value> = serde_json::from_slice(&whole.bytes).unwrap_or_default();
    *before == was && was.iter().all(|(name, value)| now.get(name) == Some(value))
}
