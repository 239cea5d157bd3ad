//! Layers of bases and of images that exist: brought into the store where that is needed, and each listed once ever, for a
//! listing is kept by its layer's digest.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore, oneshot};

use crate::base::{BaseError, Bases};
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest, Hashed};
use crate::listing::{FORMAT, Limits, Listing, ListingError, ReadSeek};
use crate::platform::Platform;
use crate::store::Store;

use super::error::Error;
use super::event::{Event, TransferEnd};
use super::session::Session;
use super::transfer::{self, Transfer};

/// The kind of the records that hold listings.
const RECORD: &str = "listing";
/// How many layers come at once.
const TRANSFERS: usize = 4;

/// A listing as it is kept.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    listing: Listing,
}

/// The listings of a run: each layer is listed by whoever wants it first.
#[derive(Clone)]
pub struct Listings {
    session: Session,
    bases: Bases,
    transfers: Arc<Semaphore>,
    known: Arc<Mutex<BTreeMap<Digest, Arc<OnceCell<Arc<Listing>>>>>>,
}

impl Listings {
    pub(super) fn new(session: &Session, bases: &Bases) -> Self {
        let transfers = Arc::new(Semaphore::new(TRANSFERS));
        Self { session: session.clone(), bases: bases.clone(), transfers, known: Arc::default() }
    }

    /// The listing of a layer of the image `name` for `platform`; the layer is fetched when nobody has listed it yet.
    ///
    /// # Errors
    /// When the layer cannot be read, or is no archive.
    pub async fn of(&self, name: &BaseName, platform: Platform, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(layer.digest).or_default())
        };
        cell.get_or_try_init(|| self.read(name, platform, layer)).await.cloned()
    }

    /// Brings a layer into the store, unless it is there; four come at once.
    ///
    /// # Errors
    /// When it cannot be read, is not what was announced, or cannot be kept.
    pub async fn fetch(&self, name: &BaseName, platform: Platform, layer: &Descriptor) -> Result<(), Error> {
        let _permit = self.transfers.acquire().await.map_err(|_| Error::Thread)?;
        if self.session.store.has(&layer.digest, layer.size) {
            return Ok(());
        }
        let transfer =
            Transfer::start(&self.session, transfer::of_layer(self.bases.role(), name, platform), layer.size);
        self.bases.fetch_layer(name, layer, &|bytes| transfer.moved(bytes)).await?;
        transfer.end(TransferEnd::Done);
        if let BaseName::Registry(reference) = name {
            self.session.moved.fetched(&reference.repository, layer);
        }
        Ok(())
    }

    /// The listing of a layer that was listed before, in this run or another one.
    pub(super) fn kept(&self, layer: &Descriptor) -> Option<Listing> {
        match self.session.store.record(RECORD, &layer.digest) {
            Some(Record { format: FORMAT, listing }) => Some(listing),
            _ => None,
        }
    }

    async fn read(&self, name: &BaseName, platform: Platform, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        if let Some(listing) = self.kept(layer) {
            return Ok(Arc::new(listing));
        }
        let store = &self.session.store;
        let mut listed = self.list(name, platform, layer).await?;
        if matches!(listed, Err(Error::Base(BaseError::Damaged { .. }))) && !Bases::is_local(name) {
            // What the cache had of it is no good, and is there no more after this.
            store.verify(layer)?;
            listed = self.list(name, platform, layer).await?;
        }
        let record = Record { format: FORMAT, listing: listed? };
        if let Err(error) = store.set_record(RECORD, &layer.digest, &record) {
            // It only saves work; the next run will say it where it matters.
            self.session.watch.event(Event::Note(format!("the listing of a layer was not kept: {error}")));
        }
        Ok(Arc::new(record.listing))
    }

    /// Fetches a layer, where it is not here, and lists it.
    async fn list(
        &self,
        name: &BaseName,
        platform: Platform,
        layer: &Descriptor,
    ) -> Result<Result<Listing, Error>, Error> {
        if !Bases::is_local(name) {
            self.fetch(name, platform, layer).await?;
        }
        let (bases, name) = (self.bases.clone(), name.clone());
        let (store, layer) = (self.session.store.clone(), layer.clone());
        computed(move || list(&bases, &name, &store, &layer)).await
    }
}

/// Runs CPU work on a thread of rayon's.
pub(super) async fn computed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
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
    let unread = |source| Error::Listing { of: bases.subject(name), layer: layer.digest, source: Box::new(source) };
    // What the archive has after its end is part of the layer all the same.
    io::copy(&mut blob, &mut io::sink()).map_err(|error| unread(ListingError::Read(error)))?;
    let (digest, size) = blob.finish();
    if digest != layer.digest || size != layer.size {
        return Err(bases.damaged(name, layer).into());
    }
    listed.map_err(unread)
}
