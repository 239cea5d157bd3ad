//! One platform of an image that exists, wherever it is, goes into the running Docker or podman.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::{CONTAINERD_NAME, Checked, Descriptor, Digest, REF_NAME};
use crate::host;
use crate::manifest::Contents;
use crate::platform::{self, Platform};
use crate::reference::Reference;
use crate::sink::SinkError;
use crate::sink::daemon::{Daemon, OpenLayer};
use crate::sink::docker_archive::DockerImage;
use crate::store::Store;

use super::error::Error;
use super::image_name;
use super::listings::Listings;
use super::registries;
use super::session::Session;
use super::written;

/// What is to be loaded.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or the path of one
    pub image: String,
    /// `--platform`; this machine's when left out
    pub platform: Option<String>,
    /// what it is called there; as it is called now when empty
    pub names: Vec<String>,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
}

/// What was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// the command that runs it
    pub command: &'static str,
    /// the platform
    pub platform: Platform,
    /// its manifest
    pub manifest: Digest,
    /// what it is called there
    pub names: Vec<Reference>,
    /// what the daemon calls it: its names, or an ID where it has none
    pub said: Vec<String>,
}

/// Loads an image.
///
/// # Errors
/// When no daemon answers, the image cannot be read, or the daemon does not take it.
pub async fn load(session: &Session, request: &Request) -> Result<Loaded, Error> {
    let name = image_name::of(&session.directory, &request.image)?;
    let given = given_names(&request.names)?;
    let daemon = Daemon::find(&session.daemon).await.map_err(SinkError::Daemon)?;
    let client = registries::without_project(session, request.insecure_registries.clone())?;
    let bases = Bases::of_images(session.store.clone(), client);
    let (platform, manifest) = choose(&bases, &name, request.platform.as_deref()).await?;
    let names = if given.is_empty() { own_names(&bases, &name).await? } else { given };
    let document = bases.document_of(&name, &manifest).await?;
    let Contents::Manifest { config, layers } = &document.contents else {
        return Err(Error::NotInImage { image: name.to_string(), platform, offered: Vec::new() });
    };
    let image = DockerImage {
        top: document.descriptor.clone(),
        config: config.digest,
        documents: vec![
            (document.descriptor.clone(), document.bytes.clone()),
            (config.clone(), bases.config(&name, config).await?),
        ],
        layers: layers.clone(),
        names,
    };
    if !Bases::is_local(&name) {
        let listings = Listings::new(session, &bases);
        let fetches = image.layers.iter().map(|layer| listings.fetch(&name, platform, layer));
        futures_util::future::try_join_all(fetches).await?;
    }
    let names = image.names.clone();
    let open = open(&bases, &name, &session.store);
    let said = written::load(session, &daemon, image, open).await?;
    Ok(Loaded { command: daemon.command(), platform, manifest: manifest.digest, names, said })
}

fn given_names(texts: &[String]) -> Result<Vec<Reference>, Error> {
    let given = |text: &String| -> Result<Reference, Error> {
        let wrong = |source| Error::Reference { origin: "-t".to_owned(), source };
        let reference: Reference = text.parse().map_err(wrong)?;
        if reference.digest.is_some() {
            let named = text.split('@').next().unwrap_or_default().to_owned();
            return Err(Error::DigestTag { origin: "-t".to_owned(), text: text.clone(), named });
        }
        Ok(reference)
    };
    texts.iter().map(given).collect()
}

/// The manifest of the platform that was asked for, exactly; else that of the best one for this machine.
async fn choose(bases: &Bases, name: &BaseName, asked: Option<&str>) -> Result<(Platform, Descriptor), Error> {
    let wanted = match asked.map(str::trim) {
        None | Some("host") => host::platform()?,
        Some(text) => text.parse()?,
    };
    let listed = bases.list(name).await?;
    let offered: Vec<Platform> = listed.platforms.iter().flatten().map(|(platform, _)| *platform).collect();
    let exact = asked.is_some_and(|asked| asked.trim() != "host");
    // A lower variant runs here as it is.
    let chosen = platform::select(wanted, &offered, true, exact);
    let found = listed.platforms.into_iter().flatten().find(|(platform, _)| Some(*platform) == chosen);
    found.ok_or_else(|| Error::NotInImage { image: name.to_string(), platform: wanted, offered })
}

/// What an image is called already: its reference; in a layout or an archive its full name there, else the name of the
/// folder or file, with its tag. Nothing where that is no name.
async fn own_names(bases: &Bases, name: &BaseName) -> Result<Vec<Reference>, Error> {
    let (path, tag): (&Path, Option<&str>) = match name {
        BaseName::Registry(Reference { tag: None, digest: Some(_), .. }) | BaseName::Static | BaseName::Scratch => {
            return Ok(Vec::new());
        }
        BaseName::Registry(reference) => return Ok(vec![Reference { digest: None, ..reference.clone() }]),
        BaseName::Layout { folder, tag } => (folder, tag.as_deref()),
        BaseName::Archive { file, tag } => (file, tag.as_deref()),
        BaseName::DockerArchive { file, .. } => (file, None),
    };
    let whole = bases.whole(name, &|_| false).await?;
    let annotations = whole.top.first().map(|entry| &entry.descriptor.annotations);
    let annotation = |key: &str| annotations.and_then(|annotations| annotations.get(key)).map(String::as_str);
    let full = annotation(CONTAINERD_NAME).and_then(|full| full.parse::<Reference>().ok());
    if let Some(full) = full {
        return Ok(vec![full]);
    }
    let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { return Ok(Vec::new()) };
    let tag = tag.or_else(|| annotation(REF_NAME)).unwrap_or("latest");
    Ok(format!("{stem}:{tag}").parse().into_iter().collect())
}

/// Opens layers where they are: in the store, or in their layout, which are held to their digests as they are read.
fn open(bases: &Bases, name: &BaseName, store: &Store) -> OpenLayer {
    let (bases, name, store) = (bases.clone(), name.clone(), store.clone());
    Arc::new(move |layer: &Descriptor| -> io::Result<Box<dyn Read>> {
        if !Bases::is_local(&name) {
            return Ok(Box::new(store.open_blob(layer).map_err(io::Error::other)?));
        }
        let file = bases.open_layer(&name, layer).map_err(io::Error::other)?;
        Ok(Box::new(Checked::new(file, layer)))
    })
}
