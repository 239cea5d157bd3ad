//! Finished images reach their destination: children first, then the index, then the tags; until then nothing that a
//! user can pull has changed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use crate::image::Image;
use crate::output_spec::Output;
use crate::plan::Unit;
use crate::platform::Platform;
use crate::reference::{Reference, Repository};
use crate::registry::{self, PushedHow};
use crate::sink::{self, Bundle, SinkError};

use super::error::Error;
use super::event::TransferEnd;
use super::prepare::Prepared;
use super::session::Session;
use super::transfer::{self, Transfer};

/// How many blobs move at once.
const TRANSFERS: usize = 4;
/// An archive goes to stdout in pieces of this many bytes: stdout itself would cut it at each newline.
const STDOUT: usize = 1 << 17;

/// An image that is where it should be.
#[derive(Clone, Debug)]
pub struct Published {
    /// its name
    pub name: String,
    /// describes the index, or the only manifest
    pub top: Descriptor,
    /// each platform's manifest, with the bytes that a pull of it moves
    pub platforms: Vec<(Descriptor, u64)>,
    /// where it is
    pub place: Place,
}

/// Where an image is.
#[derive(Clone, Debug)]
pub enum Place {
    /// in registries, under these references
    Registry(Vec<Reference>),
    /// in a layout
    Folder {
        /// the folder
        path: PathBuf,
        /// its name in there
        tag: String,
    },
    /// in a tar
    Archive {
        /// the file
        path: PathBuf,
        /// its name in there
        tag: String,
    },
    /// on stdout, which is full of it
    Stdout,
}

/// Layers of bases on their way into the store.
pub struct Fetches(JoinSet<Result<(), Error>>);

impl Fetches {
    /// Waits for all of them.
    ///
    /// # Errors
    /// When one could not be read.
    pub async fn finish(mut self) -> Result<(), Error> {
        while let Some(result) = self.0.join_next().await {
            result.map_err(|_| Error::Thread)??;
        }
        Ok(())
    }
}

/// Starts to bring base layers into the store while compilers run. A push fetches only what its registry lacks, later.
pub fn prefetch(session: &Session, prepared: &Arc<Prepared>, output: &Output) -> Fetches {
    let mut set = JoinSet::new();
    if *output == Output::Registry {
        return Fetches(set);
    }
    let limit = Arc::new(Semaphore::new(TRANSFERS));
    let mut wanted: BTreeMap<Digest, (BaseName, Platform, Descriptor)> = BTreeMap::new();
    for unit in prepared.plan.images.iter().flat_map(|image| &image.units) {
        let Some(name) = prepared.base_names.get(&unit.base.name) else { continue };
        for layer in &unit.base.image.layers {
            wanted.entry(layer.digest).or_insert_with(|| (name.clone(), unit.platform, layer.clone()));
        }
    }
    for (name, platform, layer) in wanted.into_values() {
        let (session, prepared, limit) = (session.clone(), prepared.clone(), limit.clone());
        set.spawn(async move {
            let _permit = limit.acquire().await.map_err(|_| Error::Thread)?;
            fetch(&session, &prepared, &name, platform, &layer).await
        });
    }
    Fetches(set)
}

async fn fetch(
    session: &Session,
    prepared: &Prepared,
    name: &BaseName,
    platform: Platform,
    layer: &Descriptor,
) -> Result<(), Error> {
    if session.store.has(&layer.digest, layer.size) {
        return Ok(());
    }
    let transfer = Transfer::start(session, transfer::of_base(name, platform), layer.size);
    prepared.bases.fetch_layer(name, layer, &|bytes| transfer.moved(bytes)).await?;
    transfer.end(TransferEnd::Done);
    if let BaseName::Registry(reference) = name {
        session.moved.fetched(&reference.repository, layer);
    }
    Ok(())
}

/// Blobs on their way to registries, started as soon as a unit is packed.
pub struct Uploads {
    session: Session,
    prepared: Arc<Prepared>,
    set: JoinSet<Result<(), Error>>,
    limit: Arc<Semaphore>,
    ways: Ways,
}

impl Uploads {
    /// Nothing moves yet.
    #[must_use]
    pub fn new(session: &Session, prepared: &Arc<Prepared>) -> Self {
        let limit = Arc::new(Semaphore::new(TRANSFERS));
        let (session, prepared) = (session.clone(), prepared.clone());
        Self { session, prepared, set: JoinSet::new(), limit, ways: Ways::default() }
    }

    /// Starts to upload what a unit's repositories lack of it.
    pub fn start(&mut self, image: usize, unit: &Unit, made: &Image) {
        let upload = Upload {
            session: self.session.clone(),
            prepared: self.prepared.clone(),
            limit: self.limit.clone(),
            ways: self.ways.clone(),
            repositories: repositories(&self.prepared.references[image]),
            base: self.prepared.base_names.get(&unit.base.name).cloned(),
            platform: unit.platform,
            base_layers: unit.base.image.layers.iter().map(|layer| layer.digest).collect(),
            image: made.clone(),
        };
        self.set.spawn(upload.run());
    }

    async fn finish(mut self) -> Result<(), Error> {
        while let Some(result) = self.set.join_next().await {
            result.map_err(|_| Error::Thread)??;
        }
        Ok(())
    }
}

fn repositories(references: &[Reference]) -> Vec<Repository> {
    let mut repositories: Vec<Repository> = Vec::new();
    for reference in references {
        if !repositories.contains(&reference.repository) {
            repositories.push(reference.repository.clone());
        }
    }
    repositories
}

/// The way of each blob to each repository: gone once, by whichever image comes first, while the others wait.
#[derive(Clone, Default)]
struct Ways(Arc<Mutex<BTreeMap<(String, Digest), Way>>>);

/// Set once a blob has gone its way.
type Way = Arc<OnceCell<()>>;

impl Ways {
    fn of(&self, repository: &Repository, digest: &Digest) -> Way {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways.entry((repository.to_string(), *digest)).or_default().clone()
    }
}

struct Upload {
    session: Session,
    prepared: Arc<Prepared>,
    limit: Arc<Semaphore>,
    ways: Ways,
    repositories: Vec<Repository>,
    base: Option<BaseName>,
    platform: Platform,
    base_layers: Vec<Digest>,
    image: Image,
}

impl Upload {
    /// One repository after the other, so that a registry can take from the first what the others lack.
    async fn run(self) -> Result<(), Error> {
        let config = self.image.config_descriptor();
        self.session.store.put(&config.media_type, &self.image.config)?;
        for (position, repository) in self.repositories.iter().enumerate() {
            let done = &self.repositories[..position];
            let earlier = done.iter().find(|earlier| earlier.registry == repository.registry);
            self.to(repository, earlier, &config).await?;
        }
        Ok(())
    }

    async fn to(
        &self,
        repository: &Repository,
        earlier: Option<&Repository>,
        config: &Descriptor,
    ) -> Result<(), Error> {
        let failed = |source| push_error(repository, source);
        // A manifest that is there proves that all its blobs are.
        let digest = self.image.descriptor().digest;
        if self.prepared.client.has_manifest(repository, &digest).await.map_err(failed)? {
            for blob in self.image.layers.iter().chain([config]) {
                self.session.moved.pushed(repository, blob, PushedHow::Existed);
            }
            return Ok(());
        }
        let all = self.image.layers.iter().chain([config]).map(|blob| async move {
            let way = self.ways.of(repository, &blob.digest);
            way.get_or_try_init(|| self.blob(repository, earlier, blob)).await.map(drop)
        });
        futures_util::future::try_join_all(all).await.map(drop)
    }

    async fn blob(
        &self,
        repository: &Repository,
        earlier: Option<&Repository>,
        blob: &Descriptor,
    ) -> Result<(), Error> {
        let _permit = self.limit.acquire().await.map_err(|_| Error::Thread)?;
        let failed = |source| push_error(repository, source);
        let client = &self.prepared.client;
        let base = self.base.as_ref().filter(|_| self.base_layers.contains(&blob.digest));
        let from = base.and_then(|base| same_registry(base, repository)).or(earlier);
        if let Some(base) = base
            && !self.session.store.has(&blob.digest, blob.size)
        {
            if client.has_blob(repository, blob).await.map_err(failed)? {
                self.session.moved.pushed(repository, blob, PushedHow::Existed);
                return Ok(());
            }
            if let Some(from) = from
                && client.mount_blob(repository, blob, from).await.map_err(failed)?
            {
                self.session.moved.pushed(repository, blob, PushedHow::Mounted);
                return Ok(());
            }
            fetch(&self.session, &self.prepared, base, self.platform, blob).await?;
        }
        let path = self.session.store.blob_path(&blob.digest);
        let transfer = Transfer::start(&self.session, transfer::of_push(repository), blob.size);
        let pushed = client.push_blob(repository, blob, &path, from, &|bytes| transfer.moved(bytes)).await;
        let how = pushed.map_err(failed)?;
        transfer.pushed(how);
        self.session.moved.pushed(repository, blob, how);
        Ok(())
    }
}

fn same_registry<'base>(base: &'base BaseName, target: &Repository) -> Option<&'base Repository> {
    match base {
        BaseName::Registry(reference) if reference.repository.registry == target.registry => {
            Some(&reference.repository)
        }
        _ => None,
    }
}

fn push_error(repository: &Repository, source: registry::Error) -> Error {
    Error::Push { target: repository.to_string(), source: Box::new(source) }
}

/// Publishes every image.
///
/// # Errors
/// When a destination cannot be written. Tags that moved before stay moved; each points to a whole image.
pub async fn publish(
    session: &Session,
    prepared: &Prepared,
    bundles: Vec<Bundle>,
    output: &Output,
    uploads: Option<Uploads>,
) -> Result<Vec<Published>, Error> {
    if let Some(uploads) = uploads {
        uploads.finish().await?;
    }
    let mut published = Vec::with_capacity(bundles.len());
    for ((bundle, plan), references) in bundles.into_iter().zip(&prepared.plan.images).zip(&prepared.references) {
        let tag = references.first().map_or("latest", Reference::tag_or_latest).to_owned();
        let store = &session.store;
        let place = match output {
            Output::Registry => {
                push(prepared, &bundle, references).await?;
                Place::Registry(references.clone())
            }
            Output::Default => {
                let path = prepared.settings.own_folder().join("out").join(&plan.name);
                sink::layout::write(&bundle, &tag, store, &path)?;
                Place::Folder { path, tag }
            }
            Output::Folder(path) => {
                sink::layout::write(&bundle, &tag, store, &session.directory.join(path))?;
                Place::Folder { path: path.clone(), tag }
            }
            Output::Archive(path) => {
                sink::archive::write(&bundle, &tag, store, &session.directory.join(path))?;
                Place::Archive { path: path.clone(), tag }
            }
            Output::Stdout => {
                let stdout = io::BufWriter::with_capacity(STDOUT, io::stdout().lock());
                sink::archive::stream(&bundle, &tag, store, stdout)
                    .map_err(|source| SinkError::Write { path: "stdout".into(), source })?;
                Place::Stdout
            }
        };
        let platforms = bundle.images.iter().map(|image| (image.descriptor(), image.size())).collect();
        published.push(Published { name: plan.name.clone(), top: bundle.top(), platforms, place });
    }
    Ok(published)
}

async fn push(prepared: &Prepared, bundle: &Bundle, references: &[Reference]) -> Result<(), Error> {
    let client = &prepared.client;
    let top = bundle.top();
    let top_bytes =
        bundle.index.as_deref().or(bundle.images.first().map(|image| image.manifest.as_slice())).unwrap_or_default();
    let top_type = if bundle.index.is_some() { MEDIA_TYPE_INDEX } else { MEDIA_TYPE_MANIFEST };
    for repository in repositories(references) {
        let failed = |source| push_error(&repository, source);
        if client.has_manifest(&repository, &top.digest).await.map_err(failed)? {
            continue;
        }
        let children = bundle.images.iter().map(|image| {
            let digest = image.descriptor().digest.to_string();
            let repository = &repository;
            async move { client.push_manifest(repository, &digest, MEDIA_TYPE_MANIFEST, &image.manifest).await }
        });
        futures_util::future::try_join_all(children).await.map_err(failed)?;
        if bundle.index.is_some() {
            client.push_manifest(&repository, &top.digest.to_string(), top_type, top_bytes).await.map_err(failed)?;
        }
    }
    for reference in references {
        let failed = |source| push_error(&reference.repository, source);
        client
            .push_manifest(&reference.repository, reference.tag_or_latest(), top_type, top_bytes)
            .await
            .map_err(failed)?;
    }
    Ok(())
}
