//! Finished images reach their destination; until then nothing that a user can pull has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::output_spec::Output;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::sink::{self, Bundle, SinkError};
use crate::store::Store;
use crate::wanted::Wanted;

use super::error::Error;
use super::prepare::Prepared;
use super::push::Push;
use super::renew;
use super::session::Session;
use super::start_check::Checked;

/// An image that is where it should be.
#[derive(Clone, Debug)]
pub struct Published {
    /// its name
    pub name: String,
    /// describes the index, or the only manifest
    pub top: Descriptor,
    /// each platform's manifest, with the bytes that a pull of it moves
    pub platforms: Vec<(Descriptor, u64)>,
    /// what was found out about each platform before, where somebody looked
    pub checked: Vec<Option<Checked>>,
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
pub fn prefetch(prepared: &Prepared, output: &Output) -> Fetches {
    let mut set = JoinSet::new();
    if *output == Output::Registry {
        return Fetches(set);
    }
    let mut wanted: BTreeMap<Digest, (BaseName, Platform, Descriptor)> = BTreeMap::new();
    for unit in prepared.plan.images.iter().flat_map(|image| &image.units) {
        let Some(name) = prepared.base_names.get(&unit.base.name) else { continue };
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

/// Publishes every image.
///
/// # Errors
/// When a destination cannot be written. Tags that moved before stay moved; each points to a whole image.
pub async fn publish(
    session: &Session,
    prepared: &Prepared,
    bundles: Vec<Bundle>,
    output: &Output,
    push: Option<Push>,
) -> Result<Vec<Published>, Error> {
    if let Some(push) = push {
        push.finish(&bundles).await?;
    }
    let mut published = Vec::with_capacity(bundles.len());
    for ((bundle, plan), references) in bundles.into_iter().zip(&prepared.plan.images).zip(&prepared.references) {
        let tag = references.first().map_or("latest", Reference::tag_or_latest).to_owned();
        let bundle = Arc::new(bundle);
        let written = Written { bundle: bundle.clone(), tag: tag.clone(), store: session.store.clone() };
        let place = match output {
            Output::Registry => Place::Registry(references.clone()),
            Output::Default => {
                let path = prepared.settings.own_folder().join("out").join(&plan.name);
                let folder = path.clone();
                renew::whole(session, prepared, move |wanted| written.to_folder(&folder, wanted)).await?;
                Place::Folder { path, tag }
            }
            Output::Folder(path) => {
                let folder = session.directory.join(path);
                renew::whole(session, prepared, move |wanted| written.to_folder(&folder, wanted)).await?;
                Place::Folder { path: path.clone(), tag }
            }
            Output::Archive(path) => {
                let file = session.directory.join(path);
                renew::whole(session, prepared, move |wanted| written.to_file(&file, wanted)).await?;
                Place::Archive { path: path.clone(), tag }
            }
            Output::Stdout => {
                let proved = written.clone();
                renew::whole(session, prepared, move |wanted| proved.prove(wanted)).await?;
                // What is on its way cannot be taken back, so there is no second attempt.
                renew::once(move |wanted| written.to_stdout(wanted)).await??;
                Place::Stdout
            }
        };
        let platforms = bundle.images.iter().map(|image| (image.descriptor(), image.size())).collect();
        published.push(Published { name: plan.name.clone(), top: bundle.top(), platforms, checked: Vec::new(), place });
    }
    Ok(published)
}

/// What is written somewhere, and where its layers are.
#[derive(Clone)]
struct Written {
    bundle: Arc<Bundle>,
    tag: String,
    store: Store,
}

impl Written {
    fn to_folder(&self, folder: &Path, wanted: &Wanted) -> Result<(), SinkError> {
        sink::layout::write(&self.bundle, &self.tag, &self.store, folder, wanted)
    }

    fn to_file(&self, file: &Path, wanted: &Wanted) -> Result<(), SinkError> {
        sink::archive::write(&self.bundle, &self.tag, &self.store, file, wanted)
    }

    fn prove(&self, wanted: &Wanted) -> Result<(), SinkError> {
        sink::archive::prove(&self.bundle, &self.store, wanted)
    }

    fn to_stdout(&self, wanted: &Wanted) -> Result<(), SinkError> {
        sink::archive::write_to_stdout(&self.bundle, &self.tag, &self.store, wanted)
    }
}
