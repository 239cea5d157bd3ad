//! A base's name becomes what it offers: its platforms, and for those that are wanted the config and the layers.
//!
//! Indexes, manifests and configs are read here; layers are only described, and fetched when something needs them.

mod docker;
mod documents;
mod error;
pub(crate) mod files;
mod place;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fs_err as fs;
use oci_spec::image as oci;

use crate::base_name::BaseName;
use crate::blob::{
    Descriptor, Digest, MEDIA_TYPE_CONFIG, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX,
    MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST,
};
use crate::image::BaseImage;
use crate::layer::{LayerError, Recipe};
use crate::platform::Platform;
use crate::registry;
use crate::static_base;
use crate::store::{STATIC_LAYER, Store, StoreError};
use crate::wanted::{Waiter, Wanted};

use documents::{Entries, described, layers, layout_entries, parse};
use files::Files;
use place::Place;

pub use error::{BaseError, Role, Subject};
pub use place::archive;
pub use whole::Whole;

/// The longest index, manifest or config that is read, in bytes; registries commonly refuse manifests above 4 MiB.
pub(crate) const LONGEST_DOCUMENT: u64 = 4 << 20;
/// How deep indexes may hold indexes.
const DEEPEST_INDEX: usize = 3;
/// The most entries that are read of a base's indexes, all together; the largest images that there are have a few dozen.
const MOST_ENTRIES: usize = 1000;
/// The most layers that a base may have; no runtime mounts more than some hundred.
const MOST_LAYERS: usize = 500;
/// The largest layer, in bytes: 1 TiB.
const LARGEST_LAYER: u64 = 1 << 40;

/// What a base offers.
#[derive(Clone, Debug)]
pub struct Listing {
    /// the base
    pub name: BaseName,
    /// digest of its index, or of its only manifest
    pub digest: Option<Digest>,
    /// each platform with its manifest; `None` when it is made for any platform
    pub platforms: Option<Vec<(Platform, Descriptor)>>,
}

/// Reads bases.
#[derive(Clone)]
pub struct Bases {
    store: Store,
    client: registry::Client,
    role: Role,
    /// archives of docker's that were looked into, by their names
    archives: Arc<Mutex<BTreeMap<BaseName, Files>>>,
}

impl Bases {
    /// Reads bases through `store` and `client`.
    #[must_use]
    pub fn new(store: Store, client: registry::Client) -> Self {
        Self { store, client, role: Role::Base, archives: Arc::default() }
    }

    /// Reads images in the same way, which errors then call so.
    #[must_use]
    pub fn of_images(store: Store, client: registry::Client) -> Self {
        Self { store, client, role: Role::Image, archives: Arc::default() }
    }

    /// What that is to the user which is read here.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What has that name, for sentences.
    #[must_use]
    pub fn subject(&self, name: &BaseName) -> Subject {
        Subject { role: self.role, name: name.to_string().into() }
    }

    /// Lists the platforms of a base.
    ///
    /// # Errors
    /// When it cannot be read or holds no image for a platform.
    pub async fn list(&self, name: &BaseName) -> Result<Listing, BaseError> {
        let base = self.subject(name);
        let (place, top) = match name {
            BaseName::Static | BaseName::Scratch => {
                return Ok(Listing { name: name.clone(), digest: None, platforms: None });
            }
            BaseName::Layout { .. } | BaseName::Archive { .. } | BaseName::DockerArchive { .. } => {
                let Some(Place::Layout(files)) = self.opened(name).await? else {
                    return Err(BaseError::NoPlatform { base });
                };
                let entries = layout_entries(&base, &files, name)?;
                (Place::Layout(files), entries)
            }
            BaseName::Registry(reference) => {
                let fetched = self.client.resolve(reference).await;
                let fetched =
                    fetched.map_err(|source| BaseError::Registry { base: base.clone(), source: Box::new(source) })?;
                let size = fetched.bytes.len() as u64;
                let named = self.store.remember_name(&fetched.digest, &base.name);
                named.map_err(|source| BaseError::Store { base: base.clone(), source })?;
                (
                    Place::Registry(reference.repository.clone()),
                    vec![Descriptor::new(&fetched.media_type, fetched.digest, size)],
                )
            }
        };
        let digest = if let [only] = top.as_slice() { Some(only.digest) } else { None };
        let mut platforms: Vec<(Platform, Descriptor)> = Vec::new();
        let mut flat = self.flatten(&base, &place, top).await?;
        if let (Place::Layout(Files::Archive(file)), BaseName::DockerArchive { .. }) = (&place, name) {
            // `docker save` writes the whole index, with the one platform that is here.
            let read = |source| BaseError::Read { base: base.clone(), source };
            let members = files::all_members(file).map_err(read)?;
            flat.retain(|entry| members.contains_key(&files::blob(&entry.digest)));
        }
        for descriptor in flat {
            let Some(platform) = self.platform_of(&base, &place, &descriptor).await? else { continue };
            // The first entry for a platform is the one that every runtime takes.
            if !platforms.iter().any(|(there, _)| *there == platform) {
                platforms.push((platform, descriptor));
            }
        }
        if platforms.is_empty() {
            return Err(BaseError::NoPlatform { base });
        }
        Ok(Listing { name: name.clone(), digest, platforms: Some(platforms) })
    }

    /// Replaces every index among `top` by what it holds.
    async fn flatten(&self, base: &Subject, place: &Place, top: Vec<Descriptor>) -> Result<Vec<Descriptor>, BaseError> {
        let (mut flat, mut seen, mut entries_left) = (Vec::new(), BTreeSet::new(), MOST_ENTRIES);
        let mut pending: Vec<(usize, Descriptor)> = top.into_iter().rev().map(|descriptor| (0, descriptor)).collect();
        while let Some((depth, descriptor)) = pending.pop() {
            match descriptor.media_type.as_str() {
                MEDIA_TYPE_MANIFEST | MEDIA_TYPE_DOCKER_MANIFEST => flat.push(descriptor),
                MEDIA_TYPE_INDEX | MEDIA_TYPE_DOCKER_INDEX if depth >= DEEPEST_INDEX => {
                    return Err(BaseError::TooDeep { base: base.clone(), digest: descriptor.digest });
                }
                // An index that is named twice offers nothing more.
                MEDIA_TYPE_INDEX | MEDIA_TYPE_DOCKER_INDEX if !seen.insert(descriptor.digest) => {}
                MEDIA_TYPE_INDEX | MEDIA_TYPE_DOCKER_INDEX => {
                    let bytes = self.document(base, place, "index", &descriptor).await?;
                    let index: Entries = parse(base, "index", &descriptor.digest, &bytes)?;
                    entries_left = entries_left
                        .checked_sub(index.manifests.len())
                        .ok_or_else(|| BaseError::TooMany { base: base.clone(), what: "images", most: MOST_ENTRIES })?;
                    let entries = index.manifests.into_iter().filter(|entry| !entry.is_attestation());
                    pending.extend(entries.rev().map(|entry| (depth + 1, entry.descriptor)));
                }
                // Whatever else an index holds beside images is not for us; alone it is an error.
                _ if depth > 0 => {}
                other => return Err(BaseError::MediaType { base: base.clone(), media_type: other.to_owned() }),
            }
        }
        Ok(flat)
    }

    /// The platform that an entry says, else that of its config; `None` when it is not one that we know.
    async fn platform_of(
        &self,
        base: &Subject,
        place: &Place,
        entry: &Descriptor,
    ) -> Result<Option<Platform>, BaseError> {
        if let Some(said) = &entry.platform {
            return Ok(Platform::from_parts(&said.os, &said.architecture, said.variant.as_deref()).ok());
        }
        let (_, config) = self.manifest_and_config(base, place, entry).await?;
        let field = |name: &str| config.get(name).and_then(serde_json::Value::as_str);
        let (os, architecture) = (field("os").unwrap_or_default(), field("architecture").unwrap_or_default());
        Ok(Platform::from_parts(os, architecture, field("variant")).ok())
    }

    async fn manifest_and_config(
        &self,
        base: &Subject,
        place: &Place,
        entry: &Descriptor,
    ) -> Result<(Vec<Descriptor>, serde_json::Value), BaseError> {
        let bytes = self.document(base, place, "manifest", entry).await?;
        let manifest: oci::ImageManifest = parse(base, "manifest", &entry.digest, &bytes)?;
        let config = described(base, manifest.config())?;
        let layers = layers(base, &manifest)?;
        let bytes = self.document(base, place, "config", &config).await?;
        Ok((layers, parse(base, "config", &config.digest, &bytes)?))
    }

    /// Reads the images of some of a listing's platforms.
    ///
    /// # Errors
    /// When a manifest or a config cannot be read.
    pub async fn images(&self, listing: &Listing, wanted: &[Platform]) -> Result<Vec<BaseImage>, BaseError> {
        let base = self.subject(&listing.name);
        let place = self.opened(&listing.name).await?;
        let chosen = listing.platforms.iter().flatten().filter(|(platform, _)| wanted.contains(platform));
        let reads = chosen.map(|(platform, entry)| {
            let (base, place) = (&base, place.as_ref());
            async move {
                let Some(place) = place else { return Ok(None) };
                let (layers, config) = self.manifest_and_config(base, place, entry).await?;
                Ok(Some(BaseImage { platform: *platform, manifest: Some(entry.digest), config, layers }))
            }
        });
        let images: Result<Vec<Option<BaseImage>>, BaseError> = futures_util::future::try_join_all(reads).await;
        Ok(images?.into_iter().flatten().collect())
    }

    /// The image of `static` or `scratch`, for any platform; `None` for other bases. Makes the layer of `static` when the store lacks it.
    ///
    /// # Errors
    /// When the layer cannot be written.
    pub fn built_in(&self, name: &BaseName, mtime: u64) -> Result<Option<BaseImage>, BaseError> {
        // Replaced for each platform by whoever takes it.
        let any = Platform::linux(crate::platform::Architecture::Amd64);
        match name {
            BaseName::Scratch => Ok(Some(BaseImage::scratch(any))),
            BaseName::Static => self.static_image(any, mtime).map(Some),
            BaseName::Layout { .. }
            | BaseName::Archive { .. }
            | BaseName::DockerArchive { .. }
            | BaseName::Registry(_) => Ok(None),
        }
    }

    fn static_image(&self, any: Platform, mtime: u64) -> Result<BaseImage, BaseError> {
        let kept = |source| BaseError::Store { base: self.subject(&BaseName::Static), source };
        let entries = static_base::entries();
        let no_files =
            |path: &Path| Err(LayerError::Read { path: path.to_owned(), source: io::ErrorKind::NotFound.into() });
        let recipe = Recipe::of(&entries, mtime, &no_files).map_err(BaseError::Static)?;
        let recorded: Option<(Descriptor, Digest)> = self.store.record(STATIC_LAYER, recipe.key());
        let known = recorded.filter(|(layer, _)| self.store.has(&layer.digest, layer.size));
        let (descriptor, diff_id) = if let Some(known) = known {
            known
        } else {
            let mut blob = self.store.writer().map_err(kept)?;
            let open = |_: &Path| Err(io::ErrorKind::NotFound.into());
            let made = recipe.write(&open, &mut blob).map_err(|error| match error {
                LayerError::Write(error) => kept(self.store.failed(error)),
                other => BaseError::Static(other),
            })?;
            let (digest, size) = blob.finish().map_err(kept)?;
            let made = (Descriptor::new(MEDIA_TYPE_LAYER_GZIP, digest, size), made.diff_id);
            self.store.set_record(STATIC_LAYER, recipe.key(), &made).map_err(kept)?;
            made
        };
        let config = serde_json::json!({
            "config": static_base::config(),
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "anyarch static"}],
        });
        Ok(BaseImage { platform: any, manifest: None, config, layers: vec![descriptor] })
    }

    /// Brings a layer of a base into the store; `progress` is told of bytes as they come.
    ///
    /// # Errors
    /// When it cannot be read, is not what was announced, or cannot be kept.
    pub async fn fetch_layer(
        &self,
        name: &BaseName,
        layer: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BaseError> {
        if self.store.has(&layer.digest, layer.size) {
            return Ok(());
        }
        let base = self.subject(name);
        match self.opened(name).await? {
            None => Ok(()),
            Some(Place::Registry(repository)) => {
                let fetched = self.client.fetch_blob(&repository, layer, progress).await;
                fetched.map_err(|source| BaseError::Registry { base, source: Box::new(source) })
            }
            Some(Place::Layout(files)) => {
                let (bases, layer, of) = (self.clone(), layer.clone(), base.clone());
                let waiter = Waiter::default();
                let wanted = waiter.wanted();
                // Large files are copied off the runtime, which has others to serve.
                let copy = move || bases.copy_layer(&of, &files, &layer, &wanted);
                let copied = tokio::task::spawn_blocking(copy).await;
                drop(waiter);
                copied.map_err(|error| BaseError::Read { base, source: io::Error::other(error) })?
            }
        }
    }

    /// Opens a layer where it is: in its layout, or in the store, into which [`Self::fetch_layer`] brought it.
    ///
    /// # Errors
    /// When it is not there, or cannot be opened.
    pub fn open_layer(&self, name: &BaseName, layer: &Descriptor) -> Result<Box<dyn Read + Send>, BaseError> {
        let read = |source| BaseError::Read { base: self.subject(name), source };
        match self.place(name)? {
            Some(Place::Layout(files)) => files.open(&files::blob(&layer.digest)).map_err(read),
            None | Some(Place::Registry(_)) => {
                let file = fs::File::open(self.store.blob_path(&layer.digest)).map_err(read)?;
                Ok(Box::new(io::BufReader::with_capacity(1 << 17, file)))
            }
        }
    }

    /// The error for a layer whose bytes are not what its name says.
    #[must_use]
    pub fn damaged(&self, name: &BaseName, layer: &Descriptor) -> BaseError {
        BaseError::Damaged { base: self.subject(name), digest: layer.digest }
    }

    /// The error for an image that a registry did not give.
    #[must_use]
    pub fn unread(&self, name: &BaseName, source: registry::Error) -> BaseError {
        BaseError::Registry { base: self.subject(name), source: Box::new(source) }
    }

    /// True when layers are read where they are, and need not be fetched.
    #[must_use]
    pub fn is_local(name: &BaseName) -> bool {
        matches!(name, BaseName::Layout { .. } | BaseName::Archive { .. } | BaseName::DockerArchive { .. })
    }

    /// The file that is a layer of a base already: of a layout on disk.
    #[must_use]
    pub fn layer_file(&self, name: &BaseName, layer: &Descriptor) -> Option<PathBuf> {
        match self.place(name).ok()? {
            Some(Place::Layout(Files::Folder(folder))) => Some(folder.join(files::blob(&layer.digest))),
            _ => None,
        }
    }

    fn copy_layer(&self, base: &Subject, files: &Files, layer: &Descriptor, wanted: &Wanted) -> Result<(), BaseError> {
        let read = |source| BaseError::Read { base: base.clone(), source };
        let kept = |source| BaseError::Store { base: base.clone(), source };
        let file = files.open(&files::blob(&layer.digest)).map_err(read)?;
        let mut blob = self.store.writer().map_err(kept)?;
        let failed = |error| StoreError::within(error).map_or_else(read, kept);
        io::copy(&mut wanted.only(file), &mut blob).map_err(failed)?;
        match blob.finish_as(layer) {
            Err(StoreError::WrongDigest { .. }) => Err(BaseError::Damaged { base: base.clone(), digest: layer.digest }),
            other => other.and_then(|()| self.store.remember_name(&layer.digest, &base.name)).map_err(kept),
        }
    }

    async fn document(
        &self,
        base: &Subject,
        place: &Place,
        what: &'static str,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, BaseError> {
        let (digest, size) = (descriptor.digest, descriptor.size);
        if size > LONGEST_DOCUMENT {
            return Err(BaseError::TooLong { base: base.clone(), what, digest, size });
        }
        let remote = |source| BaseError::Registry { base: base.clone(), source: Box::new(source) };
        match place {
            Place::Layout(files) => {
                let bytes = files
                    .read(&files::blob(&digest), LONGEST_DOCUMENT)
                    .map_err(|source| BaseError::Read { base: base.clone(), source })?;
                if Digest::of(&bytes) != digest {
                    return Err(BaseError::Damaged { base: base.clone(), digest });
                }
                Ok(bytes)
            }
            Place::Registry(repository) if what == "config" => {
                let kept = |source| BaseError::Store { base: base.clone(), source };
                if let Some(bytes) = self.store.read(&digest).map_err(kept)? {
                    return Ok(bytes);
                }
                let config = Descriptor::new(MEDIA_TYPE_CONFIG, digest, size);
                self.client.fetch_blob(repository, &config, &|_| ()).await.map_err(remote)?;
                let read = self.store.read(&digest).map_err(kept)?;
                read.ok_or_else(|| BaseError::Damaged { base: base.clone(), digest })
            }
            Place::Registry(repository) => Ok(self.client.manifest(repository, &digest).await.map_err(remote)?.bytes),
        }
    }
}
