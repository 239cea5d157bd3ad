//! Images that exist, wherever they are, are put under one index, which is published: what its places lack is brought
//! there first, the tags move last.

pub mod results;
mod sources;

use futures_util::future::try_join_all;

use crate::annotation::{AnnotationError, AnnotationKey, Annotations};
use crate::base::{Bases, Whole};
use crate::blob::{Descriptor, DescriptorPlatform};
use crate::index::{Index, Part, assemble};
use crate::manifest::Document;
use crate::manifest_tool::Source;
use crate::registry;

use super::copy::to_layout::{self, Freight};
use super::copy::{Destination, Run};
use super::error::Error;
use super::event::Event;
use super::held::Held;
use super::image_name;
use super::publish::{Place, Published};
use super::push::{Carrier, PUSH_JOBS, Paper, Part as Shipped, Shipment, Target};
use super::registries;
use super::session::Session;

const ANNOTATION: &str = "--annotation";

/// What is to be put under one index.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// what goes into it
    pub sources: Vec<Source>,
    /// where it goes: references, `oci:DIR[:TAG]`
    pub tags: Vec<String>,
    /// whether the sources are added to what the first of them is now
    pub append: bool,
    /// of the sources only these, `host` for this machine's; all for `all` or when empty
    pub platforms: Vec<String>,
    /// KEY=VALUE, with a prefix as in `build`; without one it goes to the index
    pub annotations: Vec<String>,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
    /// how many requests may be open at once at each registry that it goes to
    pub push_jobs: Option<usize>,
}

/// An index that was put together, and is nowhere yet.
pub struct Prepared {
    client: registry::Client,
    bases: Bases,
    destinations: Vec<Destination>,
    read: Vec<Read>,
    /// the index over all of it
    pub index: Index,
    jobs: usize,
    /// what its project calls it, where that is known
    name: Option<String>,
}

/// A source that was read.
struct Read {
    whole: Whole,
    held: Vec<Held>,
}

/// Reads the sources, and puts them under one index.
///
/// # Errors
/// When one cannot be read or holds no image, two are for one platform, or what is to be annotated is not there.
pub async fn prepare(session: &Session, request: &Request) -> Result<Prepared, Error> {
    let destinations = destinations(session, &request.tags)?;
    let annotations = annotations(&request.annotations)?;
    let platforms = image_name::platforms(&request.platforms)?;
    let client = registries::without_project(session, request.insecure_registries.clone())?;
    let bases = Bases::of_images(session.store.clone(), client.clone());
    if request.sources.is_empty() && !request.append {
        return Err(Error::NoSources);
    }
    let standing = match (request.append, destinations.first()) {
        (true, None) => return Err(Error::AppendToNothing),
        (true, Some(first)) => sources::standing(session, &bases, first).await?,
        (false, _) => None,
    };
    let added = sources::read(session, &bases, &request.sources, &platforms).await?;
    // What is there says the rest of the index; so does the only source, if it is one.
    let alone =
        standing.as_ref().or(added.first().filter(|_| added.len() == 1 && request.sources[0].platform.is_none()));
    let whole = alone.and_then(|read| index_of(&read.whole)).cloned();
    let appended = standing.is_some();
    let read: Vec<Read> = standing.into_iter().chain(added).collect();
    let asked = std::iter::repeat_n(None, usize::from(appended))
        .chain(request.sources.iter().map(|source| source.platform.as_ref()));
    let parts: Vec<Part> = read
        .iter()
        .zip(asked)
        .enumerate()
        .flat_map(|(position, (read, asked))| {
            let stands = appended && position == 0;
            read.held.iter().map(move |held| sources::part(&read.whole, held, asked, stands))
        })
        .collect();
    let index = assemble(whole.as_ref(), &parts, &annotations).map_err(Error::Index)?;
    for remark in &index.remarks {
        session.watch.event(Event::Note(remark.to_string()));
    }
    let jobs = request.push_jobs.unwrap_or(PUSH_JOBS);
    Ok(Prepared { client, bases, destinations, read, index, jobs, name: None })
}

/// What is said of where it is; the names in registries together.
fn places(destinations: Vec<Destination>) -> Vec<Place> {
    let (mut names, mut places) = (Vec::new(), Vec::new());
    for destination in destinations {
        match destination {
            Destination::Registry(reference) => names.push(reference),
            Destination::Layout { folder, tag } => places.push(Place::Folder { path: folder, tag }),
        }
    }
    if !names.is_empty() {
        places.insert(0, Place::Registry { names, by_digest: false });
    }
    places
}

fn index_of(whole: &Whole) -> Option<&Document> {
    whole.only().filter(|only| crate::manifest::is_index(&only.descriptor.media_type))
}

/// Where it goes, each place once.
fn destinations(session: &Session, tags: &[String]) -> Result<Vec<Destination>, Error> {
    let mut destinations: Vec<Destination> = Vec::new();
    for text in tags {
        let destination = Destination::parse(text)?;
        if let Destination::Registry(reference) = &destination
            && reference.digest.is_some()
        {
            let named = text.split('@').next().unwrap_or_default().to_owned();
            return Err(Error::DigestTag { origin: "-t".to_owned(), text: text.clone(), named });
        }
        destination.check(session)?;
        if !destinations.contains(&destination) {
            destinations.push(destination);
        }
    }
    Ok(destinations)
}

/// What is noted on the index and its descriptors; manifests stay as they are.
fn annotations(texts: &[String]) -> Result<Annotations, Error> {
    let wrong = |source: AnnotationError| Error::Annotation { flag: ANNOTATION, source: Box::new(source) };
    let mut written = Vec::new();
    for text in texts {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::KeyValue { flag: ANNOTATION, text: text.clone() })?;
        let key: AnnotationKey = key.parse().map_err(wrong)?;
        if key.names_manifests() {
            return Err(Error::ManifestAnnotation { annotation: text.clone(), name: key.name });
        }
        written.push((key, value.to_owned()));
    }
    let mut annotations = Annotations::default();
    annotations.lay_over(written);
    Ok(annotations)
}

impl Prepared {
    /// Brings the index to where it goes, and all that it names before it.
    ///
    /// # Errors
    /// When nothing says where, something cannot be read, or a place does not take it. Tags that moved before stay moved.
    pub async fn publish(self, session: &Session) -> Result<Published, Error> {
        if self.destinations.is_empty() {
            return Err(Error::NoIndexName);
        }
        let mut destinations = self.destinations.clone();
        for destination in &mut destinations {
            if let Destination::Registry(reference) = destination {
                // What is pushed goes where the name leads.
                reference.repository = self.client.location_of(&reference.repository);
            }
        }
        self.push(session, &destinations).await?;
        self.write(session, &destinations).await?;
        Ok(Published {
            name: self.name(),
            top: self.index.descriptor.clone(),
            config: None,
            platforms: self.platforms(),
            checked: Vec::new(),
            places: places(destinations),
        })
    }

    async fn push(&self, session: &Session, destinations: &[Destination]) -> Result<(), Error> {
        let references = destinations.iter().filter_map(|destination| match destination {
            Destination::Registry(reference) => Some((reference, false)),
            Destination::Layout { .. } => None,
        });
        let repositories = references.clone().map(|(reference, _)| &reference.repository);
        let carrier = Carrier::of_images(session, &self.client, &self.bases, self.jobs, repositories);
        let parts = self.index.parts.iter().map(|position| {
            let (read, held) = self.part(*position);
            Shipped::Entry(&read.whole, &held.entry)
        });
        let top = Paper { descriptor: &self.index.descriptor, bytes: &self.index.bytes };
        let shipment = Shipment { bases: &self.bases, top, parts: parts.collect() };
        let targets = Target::all(references);
        try_join_all(targets.iter().map(|target| carrier.deliver(&shipment, target))).await.map(drop)
    }

    async fn write(&self, session: &Session, destinations: &[Destination]) -> Result<(), Error> {
        let run = Run { session, client: &self.client, bases: &self.bases, jobs: self.jobs };
        for destination in destinations {
            let Destination::Layout { folder, tag } = destination else { continue };
            let mut freight = Freight::default();
            for position in &self.index.parts {
                let (Read { whole, .. }, held) = self.part(*position);
                match &held.document {
                    Some(document) => freight.add(&whole.name, document, held.known_platform()),
                    None => freight.add_blob(&whole.name, &held.entry.descriptor, None),
                }
            }
            freight.add_bytes(&self.index.descriptor, &self.index.bytes);
            to_layout::write(run, freight, &self.index.descriptor, folder, tag).await?;
        }
        Ok(())
    }

    /// What a part of the index is, and where it was read.
    fn part(&self, position: usize) -> (&Read, &Held) {
        let mut all = self.read.iter().flat_map(|read| read.held.iter().map(move |held| (read, held)));
        all.nth(position).unwrap_or_else(|| unreachable!("an index names parts that it was made of"))
    }

    /// What people call it: as its project does, else the repository's last part, or the layout's folder.
    fn name(&self) -> String {
        let name = self.destinations.first().and_then(|first| match first {
            Destination::Registry(reference) => reference.repository.path.rsplit('/').next().map(str::to_owned),
            Destination::Layout { folder, .. } => folder.file_name().map(|name| name.to_string_lossy().into_owned()),
        });
        self.name.clone().or(name).unwrap_or_else(|| "index".to_owned())
    }

    /// Each platform's manifest, with the bytes that a pull of it moves.
    #[must_use]
    pub fn platforms(&self) -> Vec<(Descriptor, u64)> {
        let described = self.index.platforms.iter().map(|(platform, position)| {
            let (_, held) = self.part(*position);
            let descriptor = &held.entry.descriptor;
            let platform: Option<DescriptorPlatform> = serde_json::from_value(platform.to_json()).ok();
            let size = held.document.as_ref().map_or(descriptor.size, Document::pull_size);
            let (media_type, digest) = (&descriptor.media_type, descriptor.digest);
            (Descriptor { platform, ..Descriptor::new(media_type, digest, descriptor.size) }, size)
        });
        described.collect()
    }
}
