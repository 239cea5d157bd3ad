//! Judges each platform of an image, with as few of its layers as the answer needs: the uppermost first, and the next one
//! below when the answer depends on it. A layer is listed once ever: its listing is kept by the layer's digest.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, oneshot};

use crate::base::{BaseError, Bases};
use crate::base_name::{BaseName, BaseNameError};
use crate::blob::{Descriptor, Digest, Hashed};
use crate::host;
use crate::image::BaseImage;
use crate::listing::{FORMAT, Limits, Listing, ListingError, ReadSeek};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::Store;
use crate::tree::Tree;
use crate::verify::{Judgement, NeedsLower, StartConfig, judge};

use super::error::Error;
use super::event::{Event, TransferEnd};
use super::registries;
use super::session::Session;
use super::smoke::{self, Asked, Outcome, Smoke};
use super::transfer::{self, Transfer};

/// The kind of the records that hold listings.
const RECORD: &str = "listing";

/// What is to be judged.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or the path of an archive or a layout
    pub image: String,
    /// those that are looked at, `host` for this machine's; all for `all` or when empty
    pub platforms: Vec<String>,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
    /// what the programs are started with, if they are to be
    pub smoke: Option<Asked>,
}

/// What was found out about one platform.
#[derive(Debug, Clone)]
pub struct Verified {
    /// the platform
    pub platform: Platform,
    /// its manifest
    pub manifest: Option<Digest>,
    /// what was found out
    pub judgement: Judgement,
    /// how many layers the answer needed, and how many there are
    pub layers: (usize, usize),
    /// how its start went, if it was to be started
    pub smoke: Option<Outcome>,
}

/// A listing as it is kept.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    listing: Listing,
}

/// Judges an image; its name as it was understood, and each platform in the image's own order.
///
/// # Errors
/// When the image or one of its layers cannot be read, or it lacks a platform that was asked for.
pub async fn verify(session: &Session, request: &Request) -> Result<(BaseName, Vec<Verified>), Error> {
    let name = name(&session.directory, &request.image)?;
    let chosen = platforms(&request.platforms)?;
    let client = registries::without_project(session, request.insecure_registries.clone())?;
    let bases = Bases::of_images(session.store.clone(), client);
    let listed = bases.list(&name).await?;
    let offered: Vec<Platform> = listed.platforms.iter().flatten().map(|(platform, _)| *platform).collect();
    if let Some(missing) = chosen.iter().find(|wanted| !offered.contains(wanted)) {
        return Err(Error::NotInImage { image: name.to_string(), platform: *missing, offered });
    }
    let wanted = if chosen.is_empty() { offered } else { chosen };
    let images = bases.images(&listed, &wanted).await?;
    let asked = request.smoke.as_ref();
    let smoke = asked.map(|asked| Smoke::new(session, asked, wanted.iter().copied())).transpose()?;
    let layers = Layers { session, bases: &bases, name: &name, known: Mutex::default() };
    let verified = images.iter().cloned().map(|image| layers.judge(image));
    let mut verified = futures_util::future::try_join_all(verified).await?;
    if let Some(smoke) = smoke {
        let outcomes = smoke::start_all(session, &bases, &name, images, smoke).await?;
        for (verified, outcome) in verified.iter_mut().zip(outcomes) {
            verified.smoke = Some(outcome);
        }
    }
    Ok((name.clone(), verified))
}

/// The platforms that were asked for; none for all.
fn platforms(texts: &[String]) -> Result<Vec<Platform>, Error> {
    let mut platforms = Vec::new();
    for text in texts {
        match text.trim() {
            "all" => return Ok(Vec::new()),
            "host" => platforms.push(host::platform()?),
            text => platforms.push(text.parse()?),
        }
    }
    Ok(platforms)
}

/// What the user means: a file or a folder where it can be nothing else, a reference otherwise.
fn name(directory: &Path, text: &str) -> Result<BaseName, Error> {
    let is_path = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    if is_path && directory.join(text).is_dir() {
        return Ok(BaseName::Layout { folder: text.into(), tag: None });
    }
    if is_path || (!text.contains(':') && Path::new(text).extension().is_some_and(|extension| extension == "tar")) {
        return Ok(BaseName::Archive { file: text.into(), tag: None });
    }
    let wrong = |source: BaseNameError| Error::ImageName { text: text.to_owned(), source };
    match text.parse().map_err(wrong)? {
        // Built in as bases, and names like any other in a registry.
        BaseName::Static | BaseName::Scratch => {
            let reference = text.parse::<Reference>().map_err(BaseNameError::Reference);
            Ok(BaseName::Registry(reference.map_err(wrong)?))
        }
        name => Ok(name),
    }
}

/// The layers of an image, listed when they are needed.
struct Layers<'run> {
    session: &'run Session,
    bases: &'run Bases,
    name: &'run BaseName,
    known: Mutex<BTreeMap<Digest, Arc<OnceCell<Arc<Listing>>>>>,
}

impl Layers<'_> {
    async fn judge(&self, image: BaseImage) -> Result<Verified, Error> {
        let config = StartConfig::of(&image.config);
        let (platform, count) = (image.platform, image.layers.len());
        // Lowest first.
        let mut listings: Vec<Arc<Listing>> = Vec::new();
        loop {
            let complete = listings.len() == count;
            let work = (listings.clone(), config.clone());
            let judged = computed(move || {
                let listings: Vec<&Listing> = work.0.iter().map(Arc::as_ref).collect();
                let tree = Tree::of(&listings, complete)?;
                Ok(judge(platform, &work.1, &tree))
            });
            match judged.await?.map_err(|source| Error::TooManyFiles { image: self.name.to_string(), source })? {
                Ok(judgement) => {
                    let layers = (listings.len(), count);
                    return Ok(Verified { platform, manifest: image.manifest, judgement, layers, smoke: None });
                }
                Err(NeedsLower) => match image.layers.get((count - listings.len()).wrapping_sub(1)) {
                    Some(next) => listings.insert(0, self.listing(next).await?),
                    // With all layers there is nothing that could be needed.
                    None => return Err(Error::Thread),
                },
            }
        }
    }

    async fn listing(&self, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(layer.digest).or_default())
        };
        cell.get_or_try_init(|| self.read(layer)).await.cloned()
    }

    async fn read(&self, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        let store = &self.session.store;
        if let Some(Record { format: FORMAT, listing }) = store.record(RECORD, &layer.digest) {
            return Ok(Arc::new(listing));
        }
        let mut listed = self.list(layer).await?;
        if matches!(listed, Err(Error::Base(BaseError::Damaged { .. }))) && !Bases::is_local(self.name) {
            // What the cache had of it is no good, and is there no more after this.
            store.verify(layer)?;
            listed = self.list(layer).await?;
        }
        let record = Record { format: FORMAT, listing: listed? };
        if let Err(error) = self.session.store.set_record(RECORD, &layer.digest, &record) {
            // It only saves work; the next run will say it where it matters.
            self.session.watch.event(Event::Note(format!("the listing of a layer was not kept: {error}")));
        }
        Ok(Arc::new(record.listing))
    }

    /// Fetches a layer, where it is not here, and lists it.
    async fn list(&self, layer: &Descriptor) -> Result<Result<Listing, Error>, Error> {
        fetch(self.session, self.bases, self.name, layer).await?;
        let (bases, name) = (self.bases.clone(), self.name.clone());
        let (store, layer) = (self.session.store.clone(), layer.clone());
        computed(move || list(&bases, &name, &store, &layer)).await
    }
}

/// Fetches a layer of an image, unless it is here.
pub(super) async fn fetch(session: &Session, bases: &Bases, name: &BaseName, layer: &Descriptor) -> Result<(), Error> {
    if !Bases::is_local(name) && !session.store.has(&layer.digest, layer.size) {
        let transfer = Transfer::start(session, transfer::of_layer(name), layer.size);
        bases.fetch_layer(name, layer, &|bytes| transfer.moved(bytes)).await?;
        transfer.end(TransferEnd::Done);
    }
    Ok(())
}

/// Runs CPU work on a thread of rayon's.
async fn computed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let (sender, receiver) = oneshot::channel();
    rayon::spawn(move || {
        // The receiver is gone only when the run has ended already.
        let _ = sender.send(work());
    });
    receiver.await.map_err(|_| Error::Thread)
}

/// Lists a layer, and holds its bytes to its digest.
fn list(bases: &Bases, name: &BaseName, store: &Store, layer: &Descriptor) -> Result<Listing, Error> {
    let mut blob = Hashed::new(bases.open_layer(name, layer)?);
    let spool = |reader: &mut dyn Read| -> io::Result<Box<dyn ReadSeek>> {
        let mut file = tempfile::tempfile_in(store.temporary())?;
        io::copy(reader, &mut file)?;
        Ok(Box::new(io::BufReader::new(file)))
    };
    let listed = Listing::read(&mut blob, &Limits::of(layer.size), &spool);
    let unread = |source| Error::Listing { image: name.to_string(), layer: layer.digest, source: Box::new(source) };
    // What the archive has after its end is part of the layer all the same.
    io::copy(&mut blob, &mut io::sink()).map_err(|error| unread(ListingError::Read(error)))?;
    let (digest, size) = blob.finish();
    if digest != layer.digest || size != layer.size {
        return Err(bases.damaged(name, layer).into());
    }
    listed.map_err(unread)
}
