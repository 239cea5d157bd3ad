//! An image that exists becomes each thing that it holds: images with their configs, what is said about them, artifacts.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::base::{Bases, Whole};
use crate::base_name::BaseName;
use crate::blob::Digest;
use crate::manifest::{Contents, Document, Entry, Role};
use crate::named_platform::NamedPlatform;
use crate::platform::Platform;

use super::error::Error;

/// How many configs are read at once.
const READS: usize = 8;

/// Something that the indexes of an image name, or that its name stands for.
#[derive(Debug, Clone)]
pub struct Held {
    /// what the index says of it
    pub entry: Entry,
    /// the manifest, unless it is none, or none that was wanted
    pub document: Option<Document>,
    /// what it is
    pub role: Role,
    /// the config of an image
    pub config: Option<Vec<u8>>,
    /// what that says of the platform
    pub configured: Option<NamedPlatform>,
}

impl Held {
    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.entry.descriptor.digest
    }

    /// The platform of an image: what its index says, completed by what its config says.
    #[must_use]
    pub fn platform(&self) -> Option<NamedPlatform> {
        if self.role != Role::Image {
            return None;
        }
        match (self.entry.named_platform(), &self.configured) {
            (Some(said), Some(configured)) => Some(said.completed_by(configured)),
            (said, configured) => said.or_else(|| configured.clone()),
        }
    }

    /// The platform, if it is one that we know.
    #[must_use]
    pub fn known_platform(&self) -> Option<Platform> {
        self.platform()?.known()
    }
}

/// Reads what an image holds; of those that say they are for other platforms than the `wanted` only that they are there.
/// None is wanted: all are.
///
/// # Errors
/// When it cannot be read.
pub async fn read(bases: &Bases, name: &BaseName, wanted: &[Platform]) -> Result<(Whole, Vec<Held>), Error> {
    let may_be_wanted = |entry: &Entry| {
        wanted.is_empty() || entry.is_attestation() || entry.platform().is_none_or(|said| wanted.contains(&said))
    };
    let whole = bases.whole(name, &may_be_wanted).await?;
    let held = stream::iter(whole.flat()).map(|entry| one(bases, &whole, entry)).buffered(READS);
    let held = held.try_collect().await?;
    Ok((whole, held))
}

async fn one(bases: &Bases, whole: &Whole, entry: &Entry) -> Result<Held, Error> {
    let document = whole.documents.get(&entry.descriptor.digest).cloned();
    let role = Role::of(entry, document.as_ref());
    let mut held = Held { entry: entry.clone(), document, role, config: None, configured: None };
    if let (Role::Image, Some(Contents::Manifest { config, .. })) =
        (&held.role, held.document.as_ref().map(|document| &document.contents))
    {
        let config = bases.config(&whole.name, config).await?;
        held.configured = serde_json::from_slice(&config).ok().as_ref().and_then(NamedPlatform::of_json);
        held.config = Some(config);
    }
    Ok(held)
}

/// Keeps the images of the `wanted` platforms and what is said about them; all when none is wanted.
///
/// # Errors
/// When there is none for one of them.
pub fn choose(image: &BaseName, held: Vec<Held>, wanted: &[Platform]) -> Result<Vec<Held>, Error> {
    if wanted.is_empty() {
        return Ok(held);
    }
    let offered: Vec<Platform> = held.iter().filter_map(Held::known_platform).collect();
    if let Some(missing) = wanted.iter().find(|wanted| !offered.contains(wanted)) {
        return Err(Error::NotInImage { image: image.to_string(), platform: *missing, offered });
    }
    Ok(those_for(held, wanted))
}

/// Keeps the images of those of the `wanted` platforms that there are, and what is said about them; all when none is wanted.
#[must_use]
pub fn those_for(held: Vec<Held>, wanted: &[Platform]) -> Vec<Held> {
    if wanted.is_empty() {
        return held;
    }
    let is_chosen = |held: &&Held| held.known_platform().is_some_and(|platform| wanted.contains(&platform));
    let chosen: Vec<Digest> = held.iter().filter(is_chosen).map(Held::digest).collect();
    about(held, &chosen)
}

/// Keeps some of the images, and what is said about them.
#[must_use]
pub fn about(held: Vec<Held>, images: &[Digest]) -> Vec<Held> {
    let stays = |held: &Held| match &held.role {
        Role::Image => images.contains(&held.digest()),
        Role::Attestation { of, .. } => of.is_some_and(|of| images.contains(&of)),
        Role::Artifact { .. } => false,
    };
    held.into_iter().filter(stays).collect()
}
