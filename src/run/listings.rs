//! What the layers of an image hold, each listed once ever: a listing is kept by its layer's digest.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, oneshot};

use crate::base::{BaseError, Bases};
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest, Hashed};
use crate::listing::{FORMAT, Limits, Listing, ListingError, ReadSeek};
use crate::store::Store;

use super::error::Error;
use super::event::{Event, TransferEnd};
use super::session::Session;
use super::transfer::{self, Transfer};

/// The kind of the records that hold listings.
const RECORD: &str = "listing";

/// A listing as it is kept.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    listing: Listing,
}

/// A listing that somebody makes, or made.
type Made = Arc<OnceCell<Arc<Listing>>>;

/// The listings of a run: each layer is listed by whoever wants it first.
#[derive(Clone)]
pub(super) struct Listings {
    session: Session,
    bases: Bases,
    known: Arc<Mutex<BTreeMap<Digest, Made>>>,
}

impl Listings {
    pub(super) fn new(session: &Session, bases: &Bases) -> Self {
        Self { session: session.clone(), bases: bases.clone(), known: Arc::default() }
    }

    /// The listing of a layer of the image `name`; the layer is fetched when nobody has listed it yet.
    ///
    /// # Errors
    /// When the layer cannot be read, or is no archive.
    pub(super) async fn of(&self, name: &BaseName, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(layer.digest).or_default())
        };
        cell.get_or_try_init(|| self.read(name, layer)).await.cloned()
    }

    /// The listing of a layer that was listed before, in this run or another one.
    pub(super) fn kept(&self, layer: &Descriptor) -> Option<Listing> {
        match self.session.store.record(RECORD, &layer.digest) {
            Some(Record { format: FORMAT, listing }) => Some(listing),
            _ => None,
        }
    }

    async fn read(&self, name: &BaseName, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        if let Some(listing) = self.kept(layer) {
            return Ok(Arc::new(listing));
        }
        let store = &self.session.store;
        let mut listed = self.list(name, layer).await?;
        if matches!(listed, Err(Error::Base(BaseError::Damaged { .. }))) && !Bases::is_local(name) {
            // What the cache had of it is no good, and is there no more after this.
            store.verify(layer)?;
            listed = self.list(name, layer).await?;
        }
        let record = Record { format: FORMAT, listing: listed? };
        if let Err(error) = store.set_record(RECORD, &layer.digest, &record) {
            // It only saves work; the next run will say it where it matters.
            self.session.watch.event(Event::Note(format!("the listing of a layer was not kept: {error}")));
        }
        Ok(Arc::new(record.listing))
    }

    /// Fetches a layer, where it is not here, and lists it.
    async fn list(&self, name: &BaseName, layer: &Descriptor) -> Result<Result<Listing, Error>, Error> {
        if !Bases::is_local(name) && !self.session.store.has(&layer.digest, layer.size) {
            let transfer = Transfer::start(&self.session, transfer::of_layer(name), layer.size);
            self.bases.fetch_layer(name, layer, &|bytes| transfer.moved(bytes)).await?;
            transfer.end(TransferEnd::Done);
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
    let unread = |source| Error::Listing { image: name.to_string(), layer: layer.digest, source: Box::new(source) };
    // What the archive has after its end is part of the layer all the same.
    io::copy(&mut blob, &mut io::sink()).map_err(|error| unread(ListingError::Read(error)))?;
    let (digest, size) = blob.finish();
    if digest != layer.digest || size != layer.size {
        return Err(bases.damaged(name, layer).into());
    }
    listed.map_err(unread)
}
