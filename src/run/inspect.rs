//! What an image that exists is made of: each platform, what is said about it, and the bytes of any of it.

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::Digest;
use crate::manifest::Document;
use crate::platform::Platform;

use super::error::Error;
use super::held::{self, Held};
use super::image_name;
use super::registries;
use super::session::Session;

/// What is to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or the path of
    /// one
    pub image: String,
    /// those that are looked at, `host` for this machine's; all for `all` or when empty
    pub platforms: Vec<String>,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
}

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// its name, as it was understood
    pub name: BaseName,
    /// what the name stands for; `None` for a layout whose own index alone names its images
    pub top: Option<Document>,
    /// what it holds, in its own order
    pub held: Vec<Held>,
}

struct Asked {
    bases: Bases,
    name: BaseName,
    platforms: Vec<Platform>,
}

fn asked(session: &Session, request: &Request) -> Result<Asked, Error> {
    let name = image_name::of(&session.directory, &request.image)?;
    let platforms = image_name::platforms(&request.platforms)?;
    let client = registries::without_project(session, request.insecure_registries.clone())?;
    Ok(Asked { bases: Bases::of_images(session.store.clone(), client), name, platforms })
}

/// Reads all documents of an image, or those of some platforms.
///
/// # Errors
/// When it cannot be read, or lacks a platform that was asked for.
pub async fn inspect(session: &Session, request: &Request) -> Result<Inspected, Error> {
    let Asked { bases, name, platforms } = asked(session, request)?;
    let (whole, held) = held::read(&bases, &name, &platforms).await?;
    let held = held::choose(&name, held, &platforms)?;
    Ok(Inspected { top: whole.only().cloned(), name, held })
}

/// The bytes of what the name stands for; of a platform's manifest, if one is asked for.
///
/// # Errors
/// When they cannot be read, there is no such platform, or there are several documents to choose from.
pub async fn raw(session: &Session, request: &Request) -> Result<Vec<u8>, Error> {
    let Asked { bases, name, platforms } = asked(session, request)?;
    if platforms.is_empty() {
        let whole = bases.whole(&name, &|_| false).await?;
        if let Some(only) = whole.only() {
            return Ok(only.bytes.clone());
        }
    }
    let (_, held) = held::read(&bases, &name, &platforms).await?;
    let mut documents: Vec<(Platform, Digest, Vec<u8>)> = Vec::new();
    for held in held::choose(&name, held, &platforms)? {
        if let (Some(platform), Some(document)) = (held.known_platform(), held.document) {
            documents.push((platform, document.descriptor.digest, document.bytes));
        }
    }
    // What is there twice for a platform is so by mistake, and runtimes take the first.
    documents.dedup_by_key(|(platform, ..)| *platform);
    if documents.len() == 1 {
        return Ok(documents.swap_remove(0).2);
    }
    let platforms = documents.into_iter().map(|(platform, ..)| platform).collect();
    Err(Error::SeveralDocuments { image: name.to_string(), platforms })
}
