//! What several machines pushed by digest, and wrote down, becomes the indexes that one machine would have published.

use std::path::Path;

use crate::annotation::Annotations;
use crate::base::Bases;
use crate::blob::{Descriptor, MEDIA_TYPE_INDEX};
use crate::index::{Part, assemble};
use crate::manifest::Document;
use crate::manifest_tool::Source;
use crate::part::{Joined, join};
use crate::run::copy::Destination;
use crate::run::error::Error;
use crate::run::part;
use crate::run::push::PUSH_JOBS;
use crate::run::registries;
use crate::run::session::Session;

use super::{Prepared, Read, Request, destinations, sources};

/// Puts the results in `folder` together, an index for each image; what `request` says of names goes before what they say.
///
/// # Errors
/// When they are not the parts of one build, one names no tag, or what they name is not there any more.
pub async fn prepare(session: &Session, request: &Request, folder: &Path) -> Result<Vec<Prepared>, Error> {
    let images = join(&part::read(&session.directory.join(folder))?)?;
    if images.len() > 1 && !request.tags.is_empty() {
        return Err(Error::TagsOfSeveral { images: images.into_iter().map(|image| image.name).collect() });
    }
    let given = destinations(session, &request.tags)?;
    let mut prepared = Vec::with_capacity(images.len());
    for image in images {
        let named = || image.references.iter().filter(|reference| reference.tag.is_some());
        let to = if given.is_empty() { named().cloned().map(Destination::Registry).collect() } else { given.clone() };
        if to.is_empty() {
            return Err(Error::UntaggedResults { image: image.name });
        }
        prepared.push(one(session, request, &image, to).await?);
    }
    Ok(prepared)
}

async fn one(session: &Session, request: &Request, image: &Joined, to: Vec<Destination>) -> Result<Prepared, Error> {
    let client = registries::without_project(session, request.insecure_registries.clone())?;
    let bases = Bases::of_images(session.store.clone(), client.clone());
    let index = Descriptor::of(MEDIA_TYPE_INDEX, &image.index);
    let index = Document::read(index, image.index.clone()).map_err(|_| Error::Thread)?;
    let from = image.references.first().ok_or_else(|| Error::UntaggedResults { image: image.name.clone() })?;
    let name_of = |digest| from.repository.with_digest(digest).to_string();
    let wanted = index.entries().iter().map(|entry| Source { image: name_of(entry.descriptor.digest), platform: None });
    let wanted: Vec<Source> = wanted.collect();
    let read: Vec<Read> = sources::read(session, &bases, &wanted, &[]).await?;
    let held = read.iter().flat_map(|read| read.held.iter().map(|held| (read.whole.name.to_string(), held)));
    let parts = held.zip(index.entries()).map(|((source, held), entry)| Part {
        source,
        entry: entry.clone(),
        role: held.role.clone(),
        configured: held.configured.clone(),
        asked: None,
        stands: false,
    });
    let parts: Vec<Part> = parts.collect();
    let index = assemble(Some(&index), &parts, &Annotations::default()).map_err(Error::Index)?;
    let jobs = request.push_jobs.unwrap_or(PUSH_JOBS);
    Ok(Prepared { client, bases, destinations: to, read, index, jobs, name: Some(image.name.clone()) })
}
