//! Names of Debian packages become a folder to compile and link against: the release's signed index is fetched and
//! checked, the packages and all that they depend on are fetched into the store and checked, and unpacked once.
//!
//! Nothing of a package is run, and nothing that a mirror sends counts before its signature or its hash was checked: so a
//! mirror may speak plain http. Only the release itself is read, never its updates: a release changes with its point
//! releases only, some times a year, so the same names give the same files for months.

mod error;
mod fetch;
mod package;
mod release;
mod unpack;

use std::collections::BTreeSet;
use std::io::{BufReader, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use lzma_rust2::XzReader;
use url::Url;

pub use error::DebianError;

use crate::blob::{Descriptor, Digest};
use crate::debian::{self, ALWAYS, Chosen, Index, Keyring, LIBC_HEADERS, Release, Version};
use crate::mirror::{shown, without_login};
use crate::store::Store;
use fetch::Fetcher;

/// Where Debian is unless another mirror is named.
pub const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";
/// The environment variable that names another mirror.
pub const MIRROR_VARIABLE: &str = "ANYARCH_DEBIAN_MIRROR";
/// Of which part of the archive packages are: what Debian itself consists of.
const COMPONENT: &str = "main";
/// How many packages are fetched at once.
const AT_ONCE: usize = 4;
/// Memory that one xz stream may ask for, in KiB: `xz -9` needs 65 MiB to read.
const XZ_MEMORY: u32 = 256 * 1024;
/// Part of what a closure and a folder are kept under: changes when the rules of `debian` do.
const RULES: &str = "1";

/// How to make an [`Archive`].
#[derive(Debug, Clone)]
pub struct Options {
    /// where indexes and packages are kept, and sysroots unpacked
    pub store: Store,
    /// the mirror's folder that has `dists` and `pool`
    pub mirror: String,
    /// whose signatures count
    pub keys: Keyring,
    /// tells how old a kept index is, and whether a release has expired
    pub now: SystemTime,
    /// the wait before a passing failure is tried again; it doubles
    pub first_wait: Duration,
    /// true: the mirror is not asked, and what is not in the store is an error
    pub offline: bool,
}

impl Options {
    /// Debian's own mirror and keys.
    #[must_use]
    pub fn new(store: Store, now: SystemTime) -> Self {
        Self {
            store,
            mirror: DEFAULT_MIRROR.to_owned(),
            keys: Keyring::debian(),
            now,
            first_wait: Duration::from_millis(500),
            offline: false,
        }
    }
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Packages or an index arrive.
    Downloading {
        /// the release
        release: String,
        /// Debian's name of the architecture
        architecture: String,
        /// bytes that are there; falls when an attempt begins anew
        done: u64,
        /// bytes in all
        total: u64,
    },
    /// Packages are unpacked.
    Unpacking {
        /// the release
        release: String,
        /// Debian's name of the architecture
        architecture: String,
    },
    /// The mirror does not answer, and the index that was read before is used.
    KeptIndex {
        /// the release
        release: String,
        /// since when it is kept
        age: Duration,
        /// why the mirror does not answer
        reason: String,
    },
    /// The mirror has an older index than the one that was read before, which is used.
    OlderIndex {
        /// the release
        release: String,
        /// the mirror
        mirror: String,
    },
}

/// Is told what happens.
pub type Events<'events> = &'events (dyn Fn(Event) + Send + Sync);

/// A folder to compile and link against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysroot {
    /// holds `usr/lib/TRIPLET` and `usr/include`
    pub folder: PathBuf,
    /// names and versions of all packages in it, by name
    pub packages: Vec<(String, String)>,
    /// the version of its C library
    pub glibc: (u32, u32),
    /// Debian's name of the architecture's folders: `arm-linux-gnueabihf`
    pub triplet: String,
    /// of all packages' digests: the same packages have the same
    pub digest: Digest,
}

impl Sysroot {
    /// Where libraries are: for `-L` and `-B`.
    #[must_use]
    pub fn libraries(&self) -> PathBuf {
        self.folder.join("usr/lib").join(&self.triplet)
    }

    /// Where headers are, but for those of the C library: for `-idirafter`.
    #[must_use]
    pub fn headers(&self) -> [PathBuf; 2] {
        let headers = self.folder.join("usr/include");
        [headers.join(&self.triplet), headers]
    }

    /// Where the headers of the C library and of the kernel are: for the `-isystem` of a compiler that does not bring
    /// its own.
    #[must_use]
    pub fn libc_headers(&self) -> [PathBuf; 2] {
        let headers = self.folder.join(LIBC_HEADERS);
        [headers.join(&self.triplet), headers]
    }

    /// Where pkg-config finds what is there: for `PKG_CONFIG_LIBDIR`, beside `PKG_CONFIG_SYSROOT_DIR`.
    #[must_use]
    pub fn pkg_config(&self) -> [PathBuf; 2] {
        [self.libraries().join("pkgconfig"), self.folder.join("usr/share/pkgconfig")]
    }
}

/// Makes sysroots from one mirror; clones share connections.
#[derive(Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    mirror: Url,
    fetcher: Fetcher,
    /// One index is read at a time: it takes memory, and every core waits for the first one anyway.
    reading: tokio::sync::Mutex<()>,
}

/// What is asked for, for one architecture.
struct Request<'request> {
    release: &'request str,
    architecture: &'request str,
    packages: Vec<String>,
    events: Events<'request>,
}

impl Archive {
    /// Talks to nobody yet.
    ///
    /// # Errors
    /// When the mirror is no http or https address, or no HTTP client can be made.
    pub fn new(options: Options) -> Result<Self, DebianError> {
        let bad = |source| DebianError::Mirror { mirror: without_login(&options.mirror).to_owned(), source };
        let mirror =
            Url::parse(&format!("{}/", options.mirror.trim_end_matches('/'))).map_err(|error| bad(Some(error)))?;
        if !matches!(mirror.scheme(), "http" | "https") {
            return Err(bad(None));
        }
        let fetcher = Fetcher::new(&mirror, options.first_wait, options.offline)?;
        Ok(Self { inner: Arc::new(Inner { options, mirror, fetcher, reading: tokio::sync::Mutex::default() }) })
    }

    /// The sysroot of the packages `packages` with what they depend on, and of what every sysroot has
    /// ([`crate::debian::ALWAYS`]), from `release` (its codename, or its suite) for `architecture` (Debian's name:
    /// `armhf`). It is made unless it is there; then nothing is fetched but, once a day, the release's signed index.
    ///
    /// # Errors
    /// When a name is unknown, the mirror does not answer or sends what is not signed, or the disk is full.
    pub async fn sysroot(
        &self,
        release: &str,
        architecture: &str,
        packages: &[String],
        events: Events<'_>,
    ) -> Result<Sysroot, DebianError> {
        if !debian::is_release_name(release) {
            return Err(DebianError::ReleaseName { name: release.to_owned() });
        }
        if let Some(name) = packages.iter().find(|name| !debian::is_package_name(name)) {
            return Err(DebianError::PackageName { name: name.clone() });
        }
        let names: BTreeSet<&str> = packages.iter().map(String::as_str).chain(ALWAYS.iter().copied()).collect();
        let packages = names.into_iter().map(str::to_owned).collect();
        let request = Request { release, architecture, packages, events };
        let (signed, kept) = self.inner.release(release, false, events).await?;
        match self.inner.make(&request, &signed).await {
            // A point release took away what the kept index names.
            Err(error) if kept && error.is_gone() => {
                let (newer, _) = self.inner.release(release, true, events).await?;
                if newer == signed { Err(error) } else { self.inner.make(&request, &newer).await }
            }
            // What was damaged is removed by now.
            Err(DebianError::Damaged { .. }) => self.inner.make(&request, &signed).await,
            made => made,
        }
    }
}

impl Inner {
    async fn make(self: &Arc<Self>, request: &Request<'_>, release: &Release) -> Result<Sysroot, DebianError> {
        if !release.architectures.iter().any(|known| known == request.architecture) {
            return Err(DebianError::Architecture {
                release: request.release.to_owned(),
                architecture: request.architecture.to_owned(),
                known: release.architectures.clone(),
            });
        }
        let chosen = self.closure(request, release).await?;
        self.fetch_packages(request, &chosen).await?;
        let (release, architecture) = (request.release, request.architecture);
        (request.events)(Event::Unpacking { release: release.to_owned(), architecture: architecture.to_owned() });
        unpack::sysroot(&self.options.store, release, architecture, chosen).await
    }

    /// Which packages it takes: by the index, or by what was found out before from the same index.
    async fn closure(self: &Arc<Self>, request: &Request<'_>, release: &Release) -> Result<Vec<Chosen>, DebianError> {
        let folder = format!("{COMPONENT}/binary-{}", request.architecture);
        let path = format!("{folder}/Packages.xz");
        let no_index = || DebianError::NoIndex { release: request.release.to_owned(), path: path.clone() };
        let listed = release.file(&path).ok_or_else(no_index)?;
        let length = release.file(&format!("{folder}/Packages")).ok_or_else(no_index)?.size;
        let key = format!("{RULES}\n{}\n{}\n{}", listed.digest, request.architecture, request.packages.join(" "));
        let key = Digest::of(key.as_bytes());
        if let Some(chosen) = self.options.store.record("debian-closure", &key) {
            return Ok(chosen);
        }
        let _turn = self.reading.lock().await;
        self.fetch_index(request, release, &folder, listed).await?;
        let inner = Arc::clone(self);
        let (architecture, named) = (request.architecture.to_owned(), request.packages.clone());
        let name = request.release.to_owned();
        let chosen = blocking(move || inner.read_index(&name, &architecture, &named, listed, length)).await?;
        self.options.store.set_record("debian-closure", &key, &chosen)?;
        Ok(chosen)
    }

    /// Brings the index into the store: by its hash where the mirror offers that, so that a mirror that is just being
    /// renewed still has what the signed release names.
    async fn fetch_index(
        &self,
        request: &Request<'_>,
        release: &Release,
        folder: &str,
        listed: debian::Listed,
    ) -> Result<(), DebianError> {
        let store = &self.options.store;
        if store.has(&listed.digest, listed.size) {
            return Ok(());
        }
        let progress = |done| (request.events)(request.downloading(done, listed.size));
        let base = format!("dists/{}/{folder}", request.release);
        if release.by_hash {
            let url = self.url(&format!("{base}/by-hash/SHA256/{}", listed.digest.hex()))?;
            match self.fetcher.blob(&url, listed, store, &progress).await {
                Err(DebianError::NotFound { .. }) => {}
                done => return done,
            }
        }
        self.fetcher.blob(&self.url(&format!("{base}/Packages.xz"))?, listed, store, &progress).await
    }

    fn read_index(
        &self,
        release: &str,
        architecture: &str,
        named: &[String],
        listed: debian::Listed,
        length: u64,
    ) -> Result<Vec<Chosen>, DebianError> {
        let store = &self.options.store;
        let (release, architecture) = (release.to_owned(), architecture.to_owned());
        let descriptor = Descriptor::new("", listed.digest, listed.size);
        if !store.verify(&descriptor)? {
            return Err(DebianError::Damaged { what: format!("index of {release} for {architecture}") });
        }
        let path = store.blob_path(&listed.digest);
        let file = fs_err::File::open(&path).map_err(|source| DebianError::Disk { path: path.clone(), source })?;
        // The signed length bounds what comes out, whatever went in.
        let text = XzReader::new_mem_limit(BufReader::new(file), true, XZ_MEMORY).take(length);
        let index = Index::read(BufReader::with_capacity(1 << 16, text), named).map_err(|source| {
            DebianError::Index { release: release.clone(), architecture: architecture.clone(), source }
        })?;
        debian::closure(&index, &architecture, named).map_err(|source| DebianError::Closure {
            release,
            architecture,
            source,
        })
    }

    async fn fetch_packages(&self, request: &Request<'_>, chosen: &[Chosen]) -> Result<(), DebianError> {
        let store = &self.options.store;
        let missing: Vec<&Chosen> = chosen.iter().filter(|chosen| !store.has(&chosen.digest, chosen.size)).collect();
        let total = missing.iter().map(|chosen| chosen.size).sum();
        let done = AtomicU64::new(0);
        let fetches = missing.into_iter().map(|chosen| {
            let done = &done;
            async move {
                let before = AtomicU64::new(0);
                let progress = |now: u64| {
                    let before = before.swap(now, Ordering::Relaxed);
                    let others = done.fetch_add(now.wrapping_sub(before), Ordering::Relaxed).wrapping_sub(before);
                    (request.events)(request.downloading(others.wrapping_add(now), total));
                };
                let listed = debian::Listed { digest: chosen.digest, size: chosen.size };
                self.fetcher.blob(&self.url(&chosen.filename)?, listed, store, &progress).await
            }
        });
        // The closures are collected first: a stream of them would have to be the same type for every lifetime.
        let fetches: Vec<_> = fetches.collect();
        stream::iter(fetches).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// The mirror for people, who may not be those that know its password.
    fn shown_mirror(&self) -> String {
        shown(&self.mirror).trim_end_matches('/').to_owned()
    }

    fn url(&self, path: &str) -> Result<Url, DebianError> {
        let bad = |source| DebianError::Mirror { mirror: self.shown_mirror(), source: Some(source) };
        self.mirror.join(path).map_err(bad)
    }
}

impl Request<'_> {
    fn downloading(&self, done: u64, total: u64) -> Event {
        let (release, architecture) = (self.release.to_owned(), self.architecture.to_owned());
        Event::Downloading { release, architecture, done, total }
    }
}

/// The version of the C library among the packages.
fn glibc(chosen: &[Chosen]) -> Option<(u32, u32)> {
    Version::new(&chosen.iter().find(|chosen| chosen.name == "libc6")?.version).major_minor()
}

/// Runs what reads and writes much outside of the threads that serve connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DebianError> + Send + 'static,
) -> Result<T, DebianError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(DebianError::Interrupt),
        },
    }
}
