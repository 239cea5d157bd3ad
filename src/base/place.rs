//! A base's name becomes the place where it is read: a registry, or the files of a layout.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::docker::{self, Archived};
use super::files::Files;
use super::{BaseError, Bases};
use crate::base_name::BaseName;
use crate::reference::Repository;
use crate::wanted::{Waiter, Wanted};

/// Where a base is read.
#[derive(Clone)]
pub(super) enum Place {
    /// in these files
    Layout(Files),
    /// in this repository
    Registry(Repository),
}

impl Bases {
    /// Where a base is; `None` for one that is built in.
    ///
    /// # Errors
    /// When it is an archive that cannot be looked into.
    pub(super) fn place(&self, name: &BaseName) -> Result<Option<Place>, BaseError> {
        // It lives as long as we wait.
        let waiter = Waiter::default();
        self.place_while(name, &waiter.wanted())
    }

    fn place_while(&self, name: &BaseName, wanted: &Wanted) -> Result<Option<Place>, BaseError> {
        Ok(match name {
            BaseName::Static | BaseName::Scratch => None,
            BaseName::Layout { folder, .. } => Some(Place::Layout(Files::Folder(folder.clone()))),
            BaseName::Archive { file, .. } => Some(Place::Layout(Files::Archive(file.clone()))),
            BaseName::Registry(reference) => Some(Place::Registry(reference.repository.clone())),
            BaseName::DockerArchive { file, name: image } => {
                if let Some(files) = self.known(name) {
                    return Ok(Some(Place::Layout(files)));
                }
                let files = match docker::open(&self.subject(name), file, image.as_deref(), wanted)? {
                    Archived::Layout => Files::Archive(file.clone()),
                    Archived::Docker(files) => Files::Docker(Arc::new(files)),
                };
                let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
                archives.insert(name.clone(), files.clone());
                Some(Place::Layout(files))
            }
        })
    }

    fn known(&self, name: &BaseName) -> Option<Files> {
        self.archives.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The same, where it may take its time.
    pub(super) async fn opened(&self, name: &BaseName) -> Result<Option<Place>, BaseError> {
        if !matches!(name, BaseName::DockerArchive { .. }) || self.known(name).is_some() {
            return self.place(name);
        }
        let (bases, of) = (self.clone(), name.clone());
        let waiter = Waiter::default();
        let wanted = waiter.wanted();
        let opened = tokio::task::spawn_blocking(move || bases.place_while(&of, &wanted)).await;
        drop(waiter);
        opened.map_err(|error| BaseError::Read { base: self.subject(name), source: io::Error::other(error) })?
    }
}

/// What a tar at `file` is called, which the user calls `shown`: an archive of docker's, or a layout.
#[must_use]
pub fn archive(file: &Path, shown: PathBuf) -> BaseName {
    if docker::is_older(file) {
        BaseName::DockerArchive { file: shown, name: None }
    } else {
        BaseName::Archive { file: shown, tag: None }
    }
}
