//! Finished images reach their destination; until then nothing that a user can pull has changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::sink::Bundle;

use super::error::Error;
use super::outlets::Outlet;
use super::prepare::Prepared;
use super::push::Push;
use super::session::Session;
use super::smoke::Smoke;
use super::start_check::Checked;
use super::written::{self, Written};

/// An image that is where it should be.
#[derive(Clone, Debug)]
pub struct Published {
    /// its name
    pub name: String,
    /// describes the index, or the only manifest
    pub top: Descriptor,
    /// the config, where there is one platform
    pub config: Option<Digest>,
    /// each platform's manifest, with the bytes that a pull of it moves
    pub platforms: Vec<(Descriptor, u64)>,
    /// what was found out about each platform before, where somebody looked
    pub checked: Vec<Option<Checked>>,
    /// where it is, in the order in which the outputs were asked for
    pub places: Vec<Place>,
}

/// Where an image is.
#[derive(Clone, Debug)]
pub enum Place {
    /// in registries
    Registry {
        /// under these references
        names: Vec<Reference>,
        /// true: under its digest alone, in their repositories
        by_digest: bool,
    },
    /// in a layout
    Folder {
        /// the folder
        path: PathBuf,
        /// its name in there
        tag: String,
    },
    /// in a tar of a layout
    Archive {
        /// the file
        path: PathBuf,
        /// its name in there
        tag: String,
    },
    /// in an archive for docker
    DockerArchive {
        /// the file
        path: PathBuf,
        /// its names in there
        names: Vec<Reference>,
    },
    /// in docker or podman
    Daemon {
        /// the command that runs it
        command: &'static str,
        /// its names there
        names: Vec<Reference>,
    },
    /// what was added to its base, in a folder
    Files {
        /// the folder
        path: PathBuf,
    },
    /// what was added to its base, in a tar
    FilesArchive {
        /// the file
        path: PathBuf,
    },
    /// on stdout, which is full of it
    Stdout {
        /// its names in there; `None` where it is no image
        names: Option<Vec<Reference>>,
    },
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

/// Starts to bring base layers into the store while compilers run. A push fetches only what its registry lacks, later, and
/// what units are started on.
pub fn prefetch(prepared: &Prepared, smoke: Option<&Smoke>) -> Fetches {
    let mut set = JoinSet::new();
    let all = prepared.outlets.iter().any(|outlet| outlet.output.holds_bases());
    let mut wanted: BTreeMap<Digest, (BaseName, Platform, Descriptor)> = BTreeMap::new();
    for unit in prepared.plan.images.iter().flat_map(|image| &image.units) {
        let Some(name) = prepared.base_names.get(&unit.base.name) else { continue };
        let is_started = smoke.is_some_and(|smoke| smoke.can_run(unit.platform)) && !Bases::is_local(name);
        if !all && !is_started {
            continue;
        }
        for layer in &unit.base.image.layers {
            wanted.entry(layer.digest).or_insert_with(|| (name.clone(), unit.platform, layer.clone()));
        }
    }
    for (name, platform, layer) in wanted.into_values() {
        let listings = prepared.listings.clone();
        set.spawn(async move { listings.fetch(&name, platform, &layer).await });
    }
    Fetches(set)
}

/// Publishes every image: registries first, then the other outputs in their order.
///
/// # Errors
/// When a destination cannot be written. Tags that moved before stay moved, and what was written stays; each is a whole
/// image.
pub async fn publish(
    session: &Session,
    prepared: &Prepared,
    bundles: Vec<Bundle>,
    push: Option<Push>,
) -> Result<Vec<Published>, Error> {
    if let Some(push) = push {
        push.finish(&bundles).await?;
    }
    let mut published = Vec::with_capacity(bundles.len());
    for (image, bundle) in bundles.into_iter().enumerate() {
        let bundle = Arc::new(bundle);
        let mut places = Vec::with_capacity(prepared.outlets.len());
        for Outlet { output, names } in &prepared.outlets {
            let written = Written { bundle: bundle.clone(), names: names[image].clone(), store: session.store.clone() };
            places.push(written::put(session, prepared, image, output, written).await?);
        }
        let platforms = bundle.images.iter().map(|image| (image.descriptor(), image.size())).collect();
        let config = match bundle.images.as_slice() {
            [only] => Some(only.config_descriptor().digest),
            _ => None,
        };
        let name = prepared.plan.images[image].name.clone();
        published.push(Published { name, top: bundle.top(), config, platforms, checked: Vec::new(), places });
    }
    Ok(published)
}
