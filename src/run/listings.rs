//! Layers of bases, of images that exist and of our own: brought into the store where that is needed, and each listed once
//! ever, for a listing is kept by its layer's digest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot};

use crate::base::{BaseError, Bases};
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest, Hashed};
use crate::listing::{FORMAT, Limits, Listing, ListingError, ReadSeek};
use crate::platform::Platform;
use crate::store::{Store, StoreError};

use super::error::Error;
use super::event::{Event, TransferEnd};
use super::session::Session;
use super::transfer::{self, Transfer};
use super::unchanged::BUFFER;

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

/// What is known of a layer in this run. Whoever has the lock finds out for all; listings are large, and none stays in
/// memory longer than someone looks at it.
type Known = Arc<tokio::sync::Mutex<Weak<Listing>>>;

/// The listings of a run: each layer is listed by whoever wants it first.
#[derive(Clone)]
pub struct Listings {
    session: Session,
    bases: Bases,
    transfers: Arc<Semaphore>,
    fetched: Arc<Mutex<BTreeSet<Digest>>>,
    known: Arc<Mutex<BTreeMap<Digest, Known>>>,
}

impl Listings {
    pub(super) fn new(session: &Session, bases: &Bases) -> Self {
        Self {
            session: session.clone(),
            bases: bases.clone(),
            transfers: Arc::new(Semaphore::new(TRANSFERS)),
            fetched: Arc::default(),
            known: Arc::default(),
        }
    }

    /// The listing of a layer of the image `name` for `platform`; the layer is fetched when nobody has listed it yet.
    ///
    /// # Errors
    /// When the layer cannot be read, or is no archive.
    pub async fn of(&self, name: &BaseName, platform: Platform, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        // What is built in is in the store, as our own layers are.
        let made = matches!(name, BaseName::Static | BaseName::Scratch);
        self.listed(layer, (!made).then_some((name, platform))).await
    }

    /// The listing of a layer that was made here, and is in the store.
    ///
    /// # Errors
    /// When the layer cannot be read; one that is damaged is removed from the store.
    pub async fn of_own(&self, layer: &Descriptor) -> Result<Arc<Listing>, Error> {
        self.listed(layer, None).await
    }

    async fn listed(&self, layer: &Descriptor, from: Option<(&BaseName, Platform)>) -> Result<Arc<Listing>, Error> {
        let known = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(layer.digest).or_default())
        };
        let mut known = known.lock().await;
        if let Some(listing) = known.upgrade() {
            return Ok(listing);
        }
        let listing = Arc::new(self.read(layer, from).await?);
        *known = Arc::downgrade(&listing);
        Ok(listing)
    }

    /// Brings a layer into the store, unless it is there; four come at once.
    ///
    /// # Errors
    /// When it cannot be read, is not what was announced, or cannot be kept.
    pub async fn fetch(&self, name: &BaseName, platform: Platform, layer: &Descriptor) -> Result<(), Error> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(layer.digest);
        let _permit = self.transfers.acquire().await.map_err(|_| Error::Thread)?;
        if self.session.store.has(&layer.digest, layer.size) {
            return Ok(());
        }
        let what = transfer::of_layer(self.bases.role(), name, Some(platform));
        let transfer = Transfer::start(&self.session, what, layer.size);
        self.bases.fetch_layer(name, layer, &|bytes| transfer.moved(bytes)).await?;
        transfer.end(TransferEnd::Done);
        if let BaseName::Registry(reference) = name {
            self.session.moved.fetched(&reference.repository, layer);
        }
        Ok(())
    }

    /// Whether this run brings a layer into the store, or did.
    #[must_use]
    pub fn fetches(&self, layer: &Digest) -> bool {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).contains(layer)
    }

    /// The listing of a layer that was listed before, in this run or another one.
    #[must_use]
    pub fn kept(&self, layer: &Descriptor) -> Option<Listing> {
        match self.session.store.record(RECORD, &layer.digest) {
            Some(Record { format: FORMAT, listing }) => Some(listing),
            _ => None,
        }
    }

    /// Whether a layer was listed before, as far as can be told without reading what was kept of it.
    #[must_use]
    pub fn has(&self, layer: &Digest) -> bool {
        self.session.store.has_record(RECORD, layer)
    }

    async fn read(&self, layer: &Descriptor, from: Option<(&BaseName, Platform)>) -> Result<Listing, Error> {
        let (looked_up, digest) = (self.clone(), layer.clone());
        if let Some(listing) = computed(move || looked_up.kept(&digest)).await? {
            return Ok(listing);
        }
        let mut listed = self.list(layer, from).await?;
        if matches!(listed, Err(Error::Base(BaseError::Damaged { .. })))
            && let Some((name, _)) = from
            && !Bases::is_local(name)
        {
            // What the cache had of it is no good, and is there no more after this.
            self.session.store.verify(layer)?;
            listed = self.list(layer, from).await?;
        }
        let listing = listed?;
        if let Err(error) = keep(&self.session.store, &layer.digest, &listing) {
            // It only saves work; the next run will say it where it matters.
            self.session.watch.event(Event::Note(format!("the listing of a layer was not kept: {error}")));
        }
        Ok(listing)
    }

    /// Fetches a layer, where it is not here, and lists it.
    async fn list(
        &self,
        layer: &Descriptor,
        from: Option<(&BaseName, Platform)>,
    ) -> Result<Result<Listing, Error>, Error> {
        if let Some((name, platform)) = from
            && !Bases::is_local(name)
        {
            self.fetch(name, platform, layer).await?;
        }
        let (bases, name) = (self.bases.clone(), from.map(|(name, _)| name.clone()));
        let (store, layer) = (self.session.store.clone(), layer.clone());
        computed(move || match name {
            Some(name) => list_of(&bases, &name, &store, &layer),
            None => list_own(&store, &layer),
        })
        .await
    }
}

/// Keeps the listing of a layer.
///
/// # Errors
/// When it cannot be written.
pub(super) fn keep(store: &Store, layer: &Digest, listing: &Listing) -> Result<(), StoreError> {
    store.set_record(RECORD, layer, &RecordOf { format: FORMAT, listing })
}

/// A [`Record`] of what somebody else has.
#[derive(Serialize)]
struct RecordOf<'listing> {
    format: u32,
    listing: &'listing Listing,
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

/// Lists a layer of a base or an image, and holds its bytes to its digest.
fn list_of(bases: &Bases, name: &BaseName, store: &Store, layer: &Descriptor) -> Result<Listing, Error> {
    let blob = bases.open_layer(name, layer)?;
    match list(blob, store, layer) {
        Err(Unlisted::Damaged) => Err(bases.damaged(name, layer).into()),
        Err(Unlisted::Unread(source)) => {
            Err(Error::Listing { of: bases.subject(name), layer: layer.digest, source: Box::new(source) })
        }
        Ok(listing) => Ok(listing),
    }
}

/// Lists a layer of our own.
fn list_own(store: &Store, layer: &Descriptor) -> Result<Listing, Error> {
    let path = store.blob_path(&layer.digest);
    let listed = match fs::File::open(&path) {
        Ok(file) => list(io::BufReader::with_capacity(BUFFER, file), store, layer),
        Err(_) => Err(Unlisted::Damaged),
    };
    listed.map_err(|unlisted| match (store.prove(layer), unlisted) {
        (Err(error), _) => error.into(),
        (Ok(()), Unlisted::Unread(source)) => Error::Read { path, source: io::Error::other(source) },
        // It was another when it was listed.
        (Ok(()), Unlisted::Damaged) => Error::Read { path, source: io::ErrorKind::InvalidData.into() },
    })
}

/// Why a layer was not listed.
enum Unlisted {
    /// it is not what its name says
    Damaged,
    /// it cannot be read, or is no archive
    Unread(ListingError),
}

fn list(blob: impl Read, store: &Store, layer: &Descriptor) -> Result<Listing, Unlisted> {
    let mut blob = Hashed::new(blob);
    let spool = |reader: &mut dyn Read| -> io::Result<Box<dyn ReadSeek>> {
        let mut file = tempfile::tempfile_in(store.temporary())?;
        io::copy(reader, &mut file)?;
        Ok(Box::new(io::BufReader::new(file)))
    };
    let listed = Listing::read(&mut blob, &Limits::of(layer.size), &spool);
    // What the archive has after its end is part of the layer all the same.
    io::copy(&mut blob, &mut io::sink()).map_err(|error| Unlisted::Unread(ListingError::Read(error)))?;
    let (digest, size) = blob.finish();
    if digest != layer.digest || size != layer.size {
        return Err(Unlisted::Damaged);
    }
    listed.map_err(Unlisted::Unread)
}
