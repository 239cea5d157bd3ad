//! Turns references into manifests and blobs in the store, and blobs and manifests into what a registry serves:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.
//!
//! What is here already is not read, what is there already is not sent. A registry's login goes to it and to its token
//! server and nowhere else, and where it sends us is held to rules (`target`).

mod action;
mod address;
mod advice;
mod answer;
mod body;
mod challenge;
mod credential_file;
mod credentials;
mod document;
mod error;
mod fetch;
mod flight;
mod helper;
mod host;
mod login;
mod login_file;
mod manifest;
mod memory;
mod note;
mod part_sizes;
mod parts;
mod patience;
mod places;
mod proxies;
mod range;
mod reader;
mod refusal;
mod request;
mod retry;
mod source;
mod stream;
mod target;
mod token;
mod transport;
mod trust;
mod upload;
mod whereabouts;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use flight::Flights;
use host::Host;
use transport::Transport;

pub use action::{Action, Verb};
pub use credentials::{CredentialEnvironment, CredentialError, Secret};
pub use error::Error;
pub use login::{AtRegistry, Forgotten, Kept, LoginError, Tried};
pub use manifest::LONGEST_MANIFEST;
pub use note::Notes;
pub use patience::Patience;
pub use proxies::Proxies;
pub use refusal::{Refusal, TargetKind};
pub use retry::RetryPolicy;
pub use source::{Reading, Source, SourceFailure};
pub use trust::TrustError;
pub use upload::{Begun, Placement, Supply};

use crate::blob::Digest;
use crate::reference::Repository;
use crate::registry_map::RegistryMap;
use crate::store::Store;

/// How to make a [`Client`].
#[derive(Debug, Clone)]
pub struct Options {
    /// registries, with or without their port, that may have any certificate or speak plain http
    pub insecure_hosts: Vec<String>,
    /// where logins are looked for
    pub environment: CredentialEnvironment,
    /// where what is read is kept
    pub store: Store,
    /// files of certificates in PEM to trust beside the system's
    pub root_files: Vec<PathBuf>,
    /// addresses of names, as a hosts file has them; their port counts unless a reference names one
    pub addresses: BTreeMap<String, SocketAddr>,
    /// mirrors, locations, and whom each registry's connections trust
    pub map: RegistryMap,
    /// folders with a folder for each registry that has certificates in it: docker's and podman's `certs.d`
    pub certificate_folders: Vec<PathBuf>,
    /// the proxies of the environment
    pub proxies: Proxies,
    /// true: no registry is asked anything, and what is not in the store is an error
    pub offline: bool,
    /// how often passing failures are tried again
    pub retry: RetryPolicy,
    /// how long servers may take
    pub patience: Patience,
    /// is told what a person should know and what changes nothing
    pub notes: Notes,
}

impl Options {
    /// No insecure hosts, mirrors, certificates or addresses of our own, and the usual retries; whether there is a proxy
    /// is looked up where the HTTP client will look, in this process's own environment.
    #[must_use]
    pub fn new(store: Store, environment: CredentialEnvironment) -> Self {
        Self {
            insecure_hosts: Vec::new(),
            environment,
            store,
            root_files: Vec::new(),
            addresses: BTreeMap::new(),
            map: RegistryMap::default(),
            certificate_folders: Vec::new(),
            proxies: Proxies::of_environment(),
            offline: false,
            retry: RetryPolicy::default(),
            patience: Patience::default(),
            notes: Notes::default(),
        }
    }
}

/// A manifest or an index, whose bytes have that digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// of `bytes`
    pub digest: Digest,
    /// one of the four kinds of manifests and indexes
    pub media_type: String,
    /// as the registry sent them
    pub bytes: Vec<u8>,
}

/// How a blob came to be where it was pushed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushedHow {
    /// it was there
    Existed,
    /// the registry took it from another of its repositories
    Mounted,
    /// it was sent
    Uploaded,
}

/// Talks to registries; clones share connections, tokens and what is known of each registry.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// the same with less patience: for mirrors, which another place stands behind
    hasty: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    transport: Arc<Transport>,
    credentials: Arc<credentials::Credentials>,
    store: Store,
    policy: RetryPolicy,
    patience: Patience,
    notes: Notes,
    hosts: Arc<Mutex<BTreeMap<String, Arc<Host>>>>,
    flights: Arc<Flights>,
    part_sizes: Arc<part_sizes::PartSizes>,
    whereabouts: Arc<whereabouts::Whereabouts>,
    places: Arc<places::Places>,
}

impl Client {
    /// A client that has not talked to anyone yet.
    ///
    /// # Errors
    /// When a file of certificates cannot be read, or a variable names no proxy.
    pub fn new(options: Options) -> Result<Self, Error> {
        let inner = Inner {
            transport: Arc::new(Transport::new(&options)?),
            credentials: Arc::new(credentials::Credentials::new(options.environment)),
            store: options.store,
            policy: options.retry,
            patience: options.patience,
            notes: options.notes.clone(),
            hosts: Arc::default(),
            flights: Arc::default(),
            part_sizes: Arc::default(),
            whereabouts: Arc::default(),
            places: Arc::new(places::Places::new(options.map, options.notes)),
        };
        let (policy, patience) = (places::hasty(&inner.policy), inner.patience.hasty());
        let hasty = Inner { policy, patience, ..inner.clone() };
        Ok(Self { inner: Arc::new(inner), hasty: Arc::new(hasty) })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

impl Inner {
    /// What is known of the repository's registry.
    fn host(&self, repository: &Repository) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(repository.registry.clone()).or_insert_with(|| Arc::new(Host::new(repository)));
        Arc::clone(host)
    }
}
