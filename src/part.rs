//! What one machine made of an image becomes a small file; the files of all machines become the index of the whole, the
//! same bytes that one machine alone would have written.

mod error;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::blob::{Descriptor, canonical_json};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::shard::Shard;

pub use error::PartError;

/// The form of the files that this version writes, and the only one that it reads.
const FORMAT: u32 = 1;

/// What one machine made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    format: u32,
    /// which of how many machines it was; `None` when it was told its platforms
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// of each image, the platforms that it made
    pub images: Vec<ImagePart>,
}

/// Some platforms of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePart {
    /// the image's name
    pub name: String,
    /// what the whole is to be called
    pub references: Vec<Reference>,
    /// the platforms of the whole, in its order
    pub platforms: Vec<Platform>,
    /// those of this machine's that `--skip-missing` left out
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Platform>,
    /// the index over what it made
    pub index: PartIndex,
}

/// An index as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartIndex {
    manifests: Vec<Descriptor>,
    /// everything else that it says
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// An image of which all parts are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// its name
    pub name: String,
    /// what it is to be called
    pub references: Vec<Reference>,
    /// each platform's manifest, in the order of the index
    pub manifests: Vec<Descriptor>,
    /// the index
    pub index: Vec<u8>,
}

impl PartIndex {
    /// Reads the bytes of an index of ours.
    ///
    /// # Errors
    /// When they are none.
    pub fn read(index: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(index)
    }
}

impl Part {
    /// What this machine made.
    #[must_use]
    pub fn new(shard: Option<Shard>, images: Vec<ImagePart>) -> Self {
        Self { format: FORMAT, shard, images }
    }

    /// The name of its file: one a machine, the same in every run.
    #[must_use]
    pub fn file_name(&self) -> String {
        if let Some(shard) = self.shard {
            return format!("shard-{}-of-{}.json", shard.number(), shard.count());
        }
        let mut platforms: Vec<String> =
            self.images.iter().flat_map(ImagePart::made).map(|platform| platform.replace('/', "-")).collect();
        platforms.sort();
        platforms.dedup();
        format!("{}.json", platforms.join("_"))
    }

    /// The bytes of its file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = canonical_json(self);
        bytes.push(b'\n');
        bytes
    }

    /// Reads the file `file`.
    ///
    /// # Errors
    /// When it is not one of ours.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, PartError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let unread = |source| PartError::Unreadable { file: file.to_owned(), source };
        let Format { format } = serde_json::from_slice(bytes).map_err(unread)?;
        if format != FORMAT {
            return Err(PartError::Format { file: file.to_owned(), format, known: FORMAT });
        }
        serde_json::from_slice(bytes).map_err(unread)
    }
}

impl ImagePart {
    fn made(&self) -> impl Iterator<Item = String> {
        self.index.manifests.iter().map(platform_of)
    }
}

fn platform_of(descriptor: &Descriptor) -> String {
    descriptor.platform.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// Puts the parts of all machines together, each with the name of its file; images in the order in which they come.
///
/// # Errors
/// When one is missing, two made the same, or they are parts of different builds.
pub fn join(parts: &[(String, Part)]) -> Result<Vec<Joined>, PartError> {
    every_shard(parts)?;
    let mut names: Vec<&str> = Vec::new();
    for image in parts.iter().flat_map(|(_, part)| &part.images) {
        if !names.contains(&image.name.as_str()) {
            names.push(&image.name);
        }
    }
    names.into_iter().map(|name| image(parts, name)).collect()
}

/// Holds the files to be one of each shard.
fn every_shard(parts: &[(String, Part)]) -> Result<(), PartError> {
    let Some((first, part)) = parts.first() else { return Err(PartError::None) };
    let mut seen: BTreeMap<usize, &str> = BTreeMap::new();
    for (file, other) in parts {
        let count = |part: &Part| part.shard.map(Shard::count);
        if count(other) != count(part) {
            let of = |part: &Part| part.shard.map(|shard| shard.to_string());
            let (first, second) = ((first.clone(), of(part)), (file.clone(), of(other)));
            return Err(PartError::OtherSplit { first, second });
        }
        if let Some(shard) = other.shard
            && let Some(first) = seen.insert(shard.number(), file)
        {
            return Err(PartError::ShardTwice { shard, first: first.to_owned(), second: file.clone() });
        }
    }
    let count = part.shard.map_or(0, Shard::count);
    let missing: Vec<String> =
        (1..=count).filter(|number| !seen.contains_key(number)).map(|number| format!("{number}/{count}")).collect();
    if missing.is_empty() { Ok(()) } else { Err(PartError::ShardsMissing { missing }) }
}

fn image(parts: &[(String, Part)], name: &str) -> Result<Joined, PartError> {
    let mut of_image = parts.iter().flat_map(|(file, part)| {
        part.images.iter().filter(|image| image.name == name).map(move |image| (file, part.shard, image))
    });
    let Some((first_file, shard, first)) = of_image.next() else { return Err(PartError::None) };
    let mut made: BTreeMap<String, (&str, &Descriptor)> = BTreeMap::new();
    let mut left_out: Vec<&Platform> = Vec::new();
    for (file, _, image) in std::iter::once((first_file, shard, first)).chain(of_image) {
        if let Some(what) = difference(first, image, shard.is_some()) {
            let (first, second) = (first_file.clone(), file.clone());
            return Err(PartError::Differ { image: name.to_owned(), what, first, second });
        }
        left_out.extend(&image.left_out);
        for descriptor in &image.index.manifests {
            let platform = platform_of(descriptor);
            if let Some((first, _)) = made.insert(platform.clone(), (file, descriptor)) {
                let (first, second) = (first.to_owned(), file.clone());
                return Err(PartError::PlatformTwice { image: name.to_owned(), platform, first, second });
            }
        }
    }
    let order: Vec<String> = if shard.is_some() {
        first.platforms.iter().map(ToString::to_string).collect()
    } else {
        let mut platforms: Vec<Platform> = made.keys().filter_map(|platform| platform.parse().ok()).collect();
        platforms.sort();
        platforms.iter().map(ToString::to_string).collect()
    };
    let is_left_out = |platform: &String| left_out.iter().any(|left_out| left_out.to_string() == *platform);
    let missing: Vec<String> =
        order.iter().filter(|platform| !made.contains_key(*platform) && !is_left_out(platform)).cloned().collect();
    if !missing.is_empty() || made.is_empty() {
        return Err(PartError::PlatformsMissing { image: name.to_owned(), missing });
    }
    let manifests: Vec<Descriptor> =
        order.iter().filter_map(|platform| made.get(platform)).map(|(_, descriptor)| (*descriptor).clone()).collect();
    let index = canonical_json(&PartIndex { manifests: manifests.clone(), rest: first.index.rest.clone() });
    Ok(Joined { name: name.to_owned(), references: first.references.clone(), manifests, index })
}

/// What two parts of one image do not agree about.
fn difference(one: &ImagePart, other: &ImagePart, sharded: bool) -> Option<&'static str> {
    if one.references != other.references {
        return Some("references");
    }
    if sharded && one.platforms != other.platforms {
        return Some("platforms");
    }
    (one.index.rest != other.index.rest).then_some("annotations")
}

#[cfg(test)]
mod tests;
