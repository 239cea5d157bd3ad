//! What is typed for the place of a copy becomes that place.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::base_name::{BaseName, BaseNameError};
use crate::blob::Digest;
use crate::reference::Reference;
use crate::run::error::Error;
use crate::run::session::Session;
use crate::sink;

/// The name in a layout where none is said: what no tag means everywhere.
const LATEST: &str = "latest";

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
    /// into an archive of its own that is a layout
    Archive {
        /// the file
        file: PathBuf,
        /// the image's name in there
        tag: String,
    },
    /// one platform into an archive for `docker load`
    DockerArchive {
        /// the file
        file: PathBuf,
        /// the image's name in there, if it has one
        name: Option<Reference>,
    },
}

impl Destination {
    /// Reads `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]` or a reference.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
            return Err(Error::BarePath { text: text.to_owned() });
        }
        let tag_or_latest = |tag: Option<String>| tag.unwrap_or_else(|| LATEST.to_owned());
        let wrong = |source: BaseNameError| Error::ImageName { text: text.to_owned(), source };
        if let Some(place) = text.strip_prefix("docker-archive:") {
            // As skopeo has it: what is behind the first colon is a reference, which has colons of its own.
            let (file, name) = place.split_once(':').map_or((place, ""), |parts| parts);
            if file.is_empty() {
                return Err(wrong(BaseNameError::NoFile { text: text.to_owned() }));
            }
            let name = Some(name).filter(|name| !name.is_empty()).map(str::parse).transpose();
            return Ok(Self::DockerArchive {
                file: file.into(),
                name: name.map_err(|error| wrong(BaseNameError::Reference(error)))?,
            });
        }
        match text.parse().map_err(wrong)? {
            BaseName::Layout { folder, tag } => Ok(Self::Layout { folder, tag: tag_or_latest(tag) }),
            BaseName::Archive { file, tag } => Ok(Self::Archive { file, tag: tag_or_latest(tag) }),
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
            Self::Archive { file, .. } => free(session, file, "oci-archive"),
            Self::DockerArchive { file, .. } => free(session, file, "docker-archive"),
        }
    }

    /// The name of the image there, by which every tool can read it: a registry's with the digest.
    #[must_use]
    pub fn line(&self, digest: &Digest) -> String {
        match self {
            Self::Registry(reference) => format!("{}@{digest}", reference.repository),
            Self::Layout { .. } | Self::Archive { .. } | Self::DockerArchive { .. } => self.to_string(),
        }
    }
}

/// Holds the place of an archive to be free, or to be a file.
fn free(session: &Session, file: &Path, kind: &'static str) -> Result<(), Error> {
    if session.directory.join(file).is_dir() { Err(Error::Taken { path: file.to_owned(), kind }) } else { Ok(()) }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(Reference { repository, digest: Some(digest), .. }) => {
                write!(formatter, "{repository}@{digest}")
            }
            Self::Registry(reference) => write!(formatter, "{}:{}", reference.repository, reference.tag_or_latest()),
            Self::Layout { folder, tag } => write!(formatter, "oci:{}:{tag}", folder.display()),
            Self::Archive { file, tag } => write!(formatter, "oci-archive:{}:{tag}", file.display()),
            Self::DockerArchive { file, name: None } => write!(formatter, "docker-archive:{}", file.display()),
            Self::DockerArchive { file, name: Some(name) } => {
                let (repository, tag) = (&name.repository, name.tag_or_latest());
                write!(formatter, "docker-archive:{}:{repository}:{tag}", file.display())
            }
        }
    }
}
