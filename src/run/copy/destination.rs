//! What is typed for a place that holds images becomes that place: a repository of a registry, or a layout.

use std::fmt;
use std::path::PathBuf;

use crate::base_name::{BaseName, BaseNameError};
use crate::blob::Digest;
use crate::reference::Reference;
use crate::run::error::Error;
use crate::run::session::Session;
use crate::sink;

/// The name in a layout where none is said: what no tag means everywhere.
pub(super) const LATEST: &str = "latest";

/// Where an image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// to a registry
    Registry(Reference),
    /// into a layout, beside the images that are there
    Layout {
        /// its folder
        folder: PathBuf,
        /// the image's name in there
        tag: String,
    },
}

impl Destination {
    /// Reads `oci:DIR[:TAG]` or a reference.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
            return Err(Error::BarePath { text: text.to_owned() });
        }
        let tag_or_latest = |tag: Option<String>| tag.unwrap_or_else(|| LATEST.to_owned());
        let wrong = |source: BaseNameError| Error::ImageName { text: text.to_owned(), source };
        if ["oci-archive:", "docker-archive:"].iter().any(|kind| text.starts_with(kind)) {
            return Err(Error::ArchiveName { text: text.to_owned() });
        }
        match text.parse().map_err(wrong)? {
            BaseName::Layout { folder, tag } => Ok(Self::Layout { folder, tag: tag_or_latest(tag) }),
            BaseName::Archive { .. } | BaseName::DockerArchive { .. } => {
                Err(Error::ArchiveName { text: text.to_owned() })
            }
            BaseName::Registry(reference) => Ok(Self::Registry(reference)),
            // Built in as bases, and names like any other in a registry.
            BaseName::Static | BaseName::Scratch => {
                let reference = text.parse().map_err(BaseNameError::Reference);
                Ok(Self::Registry(reference.map_err(wrong)?))
            }
        }
    }

    /// Holds it to be a place that can be written to, before anything is read.
    ///
    /// # Errors
    /// When it is a registry and none may be asked, or something else than a layout is where one is to be.
    pub(in crate::run) fn check(&self, session: &Session) -> Result<(), Error> {
        match self {
            Self::Registry(_) if session.offline => Err(Error::OfflineCopy),
            Self::Registry(_) => Ok(()),
            Self::Layout { folder, .. } => match sink::layout::check(&session.directory.join(folder)) {
                Err(_) => Err(Error::Taken { path: folder.clone(), kind: "oci" }),
                Ok(()) => Ok(()),
            },
        }
    }

    /// The name of the image there, by which every tool can read it: a registry's with the digest.
    #[must_use]
    pub fn line(&self, digest: &Digest) -> String {
        match self {
            Self::Registry(reference) => format!("{}@{digest}", reference.repository),
            Self::Layout { .. } => self.to_string(),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(Reference { repository, digest: Some(digest), .. }) => {
                write!(formatter, "{repository}@{digest}")
            }
            Self::Registry(reference) => write!(formatter, "{}:{}", reference.repository, reference.tag_or_latest()),
            Self::Layout { folder, tag } => write!(formatter, "oci:{}:{tag}", folder.display()),
        }
    }
}
