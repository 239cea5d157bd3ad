//! A finished image reaches one of its outputs that is no registry.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::blob::Descriptor;
use crate::output_spec::{Destination, Output};
use crate::reference::{Reference, Repository};
use crate::sink::daemon::{self, Daemon, LoadError, OpenLayer};
use crate::sink::docker_archive::DockerImage;
use crate::sink::{self, Bundle, SinkError};
use crate::store::Store;
use crate::wanted::Wanted;

use super::error::Error;
use super::event::TransferEnd;
use super::locate;
use super::prepare::Prepared;
use super::publish::Place;
use super::renew;
use super::session::Session;
use super::transfer::{self, Transfer};

/// What is written somewhere, what it is called there, and where its layers are.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) bundle: Arc<Bundle>,
    pub(super) names: Vec<Reference>,
    pub(super) store: Store,
}

/// Puts an image of the plan, which `written` is, into an output. What is pushed is there already.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn put(
    session: &Session,
    prepared: &Prepared,
    image: usize,
    output: &Output,
    written: Written,
) -> Result<Place, Error> {
    let (names, tag) = (written.names.clone(), written.tag());
    let here = |path: &Path| session.directory.join(path);
    Ok(match output {
        Output::Registry { by_digest: false } => Place::Registry { names, by_digest: false },
        Output::Registry { by_digest: true } => {
            let repositories: BTreeSet<Repository> = names.into_iter().map(|name| name.repository).collect();
            let names = repositories.iter().map(Repository::without_tag).collect();
            Place::Registry { names, by_digest: true }
        }
        Output::Default => {
            let path = locate::layouts_folder(&prepared.settings.root).join(&prepared.plan.images[image].name);
            let folder = path.clone();
            renew::whole(session, prepared, move |wanted| written.to_layout(&folder, wanted)).await?;
            Place::Folder { path, tag }
        }
        Output::Folder(path) => {
            let folder = here(path);
            renew::whole(session, prepared, move |wanted| written.to_layout(&folder, wanted)).await?;
            Place::Folder { path: path.clone(), tag }
        }
        Output::Files { folder: path, split } => {
            let (folder, split) = (here(path), *split);
            let write =
                move |wanted: &Wanted| sink::files::write(&written.bundle, &written.store, &folder, split, wanted);
            renew::whole(session, prepared, write).await?;
            Place::Files { path: path.clone() }
        }
        Output::Archive(destination)
        | Output::DockerArchive(destination)
        | Output::FilesArchive { destination, .. } => {
            let kind = Archive::of(output);
            match destination {
                Destination::File(path) => {
                    let file = here(path);
                    renew::whole(session, prepared, move |wanted| written.to_file(kind, &file, wanted)).await?;
                    kind.place(path, names, tag)
                }
                Destination::Stdout => {
                    let proved = written.clone();
                    renew::whole(session, prepared, move |wanted| proved.prove(kind, wanted)).await?;
                    // What is on its way cannot be taken back, so there is no second attempt.
                    renew::once(move |wanted| written.to_stdout(kind, wanted)).await??;
                    Place::Stdout { names: kind.is_image().then_some(names) }
                }
            }
        }
        Output::Daemon => {
            let daemon = prepared.daemon.as_ref().ok_or(Error::Thread)?;
            renew::repeated(session, prepared, async || written.load(session, daemon).await).await?;
            Place::Daemon { command: daemon.command(), names }
        }
    })
}

/// What a tar is of.
#[derive(Clone, Copy, Debug)]
enum Archive {
    Layout,
    Docker,
    Files(Option<bool>),
}

impl Archive {
    fn of(output: &Output) -> Self {
        match output {
            Output::DockerArchive(_) => Self::Docker,
            Output::FilesArchive { split, .. } => Self::Files(*split),
            _ => Self::Layout,
        }
    }

    fn is_image(self) -> bool {
        !matches!(self, Self::Files(_))
    }

    fn place(self, path: &Path, names: Vec<Reference>, tag: String) -> Place {
        let path = path.to_owned();
        match self {
            Self::Layout => Place::Archive { path, tag },
            Self::Docker => Place::DockerArchive { path, names },
            Self::Files(_) => Place::FilesArchive { path },
        }
    }
}

impl Written {
    /// What readers of a layout call it.
    fn tag(&self) -> String {
        self.names.first().map_or("latest", Reference::tag_or_latest).to_owned()
    }

    fn to_layout(&self, folder: &Path, wanted: &Wanted) -> Result<(), SinkError> {
        sink::layout::write(&self.bundle, &self.names, &self.store, folder, wanted)
    }

    fn to_file(&self, kind: Archive, file: &Path, wanted: &Wanted) -> Result<(), SinkError> {
        let Self { bundle, names, store } = self;
        match kind {
            Archive::Layout => sink::archive::write(bundle, names, store, file, wanted),
            Archive::Docker => sink::docker_archive::write(bundle, names, store, file, wanted),
            Archive::Files(split) => sink::files_archive::write(bundle, store, file, split, wanted),
        }
    }

    fn prove(&self, kind: Archive, wanted: &Wanted) -> Result<(), SinkError> {
        match kind {
            Archive::Layout | Archive::Docker => sink::archive::prove(&self.bundle, &self.store, wanted),
            Archive::Files(split) => sink::files_archive::prove(&self.bundle, &self.store, split, wanted),
        }
    }

    fn to_stdout(&self, kind: Archive, wanted: &Wanted) -> Result<(), SinkError> {
        let Self { bundle, names, store } = self;
        match kind {
            Archive::Layout => sink::archive::write_to_stdout(bundle, names, store, wanted),
            Archive::Docker => sink::docker_archive::write_to_stdout(bundle, names, store, wanted),
            Archive::Files(split) => sink::files_archive::write_to_stdout(bundle, store, split, wanted),
        }
    }

    async fn load(&self, session: &Session, to: &Daemon) -> Result<(), Error> {
        let image = DockerImage::of(&self.bundle, &self.names).map_err(|_| Error::Thread)?;
        let store = self.store.clone();
        let open = move |layer: &Descriptor| -> io::Result<Box<dyn Read>> {
            Ok(Box::new(store.open_blob(layer).map_err(io::Error::other)?))
        };
        load(session, to, image, Arc::new(open)).await.map(drop)
    }
}

/// Loads an image into docker or podman, and shows how far it is; what that calls it then.
///
/// # Errors
/// When a layer is not whole, or the daemon does not take it.
pub(super) async fn load(
    session: &Session,
    to: &Daemon,
    image: DockerImage,
    open: OpenLayer,
) -> Result<Vec<String>, Error> {
    let size = daemon::size(&image);
    let transfer = Transfer::start(session, transfer::of_load(to.command(), &image.names), size);
    // Nothing of it was there before.
    transfer.moved(0);
    match to.load(image, open, &|bytes| transfer.moved(bytes.min(size))).await {
        Ok(said) => {
            transfer.end(TransferEnd::Done);
            Ok(said)
        }
        Err(LoadError::Daemon(error)) => Err(SinkError::Daemon(error).into()),
        Err(LoadError::Layer(error)) => Err(SinkError::of(Path::new(to.command()), error).into()),
    }
}
