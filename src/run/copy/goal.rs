//! What is typed for the place of a copy becomes that place: one that holds images, or an archive of one.

use std::fmt;
use std::path::{Path, PathBuf};

use super::destination::{Destination, LATEST};
use crate::base_name::{BaseName, BaseNameError};
use crate::blob::Digest;
use crate::reference::Reference;
use crate::run::error::Error;
use crate::run::session::Session;

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// to a place that holds other images, too
    Open(Destination),
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

impl Goal {
    /// Reads `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]` or a reference.
    ///
    /// # Errors
    /// When it is none of them.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |source: BaseNameError| Error::ImageName { text: text.to_owned(), source };
        if let Some(place) = text.strip_prefix("docker-archive:") {
            // As skopeo has it: what is behind the first colon is a reference, which has colons of its own.
            let (file, name) = place.split_once(':').unwrap_or((place, ""));
            if file.is_empty() {
                return Err(wrong(BaseNameError::NoFile { text: text.to_owned() }));
            }
            let name = Some(name).filter(|name| !name.is_empty()).map(str::parse).transpose();
            let name = name.map_err(|error| wrong(BaseNameError::Reference(error)))?;
            return Ok(Self::DockerArchive { file: file.into(), name });
        }
        if text.starts_with("oci-archive:")
            && let BaseName::Archive { file, tag } = text.parse().map_err(wrong)?
        {
            return Ok(Self::Archive { file, tag: tag.unwrap_or_else(|| LATEST.to_owned()) });
        }
        Destination::parse(text).map(Self::Open)
    }

    /// Holds it to be a place that can be written to, before anything is read.
    ///
    /// # Errors
    /// When it is a registry and none may be asked, or something else is where it is to be.
    pub(super) fn check(&self, session: &Session) -> Result<(), Error> {
        match self {
            Self::Open(destination) => destination.check(session),
            Self::Archive { file, .. } => free(session, file, "oci-archive"),
            Self::DockerArchive { file, .. } => free(session, file, "docker-archive"),
        }
    }

    /// The name of the image there, by which every tool can read it: a registry's with the digest.
    #[must_use]
    pub fn line(&self, digest: &Digest) -> String {
        match self {
            Self::Open(destination) => destination.line(digest),
            Self::Archive { .. } | Self::DockerArchive { .. } => self.to_string(),
        }
    }
}

/// Holds the place of an archive to be free, or to be a file.
fn free(session: &Session, file: &Path, kind: &'static str) -> Result<(), Error> {
    if session.directory.join(file).is_dir() { Err(Error::Taken { path: file.to_owned(), kind }) } else { Ok(()) }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(destination) => destination.fmt(formatter),
            Self::Archive { file, tag } => write!(formatter, "oci-archive:{}:{tag}", file.display()),
            Self::DockerArchive { file, name: None } => write!(formatter, "docker-archive:{}", file.display()),
            Self::DockerArchive { file, name: Some(name) } => {
                let (repository, tag) = (&name.repository, name.tag_or_latest());
                write!(formatter, "docker-archive:{}:{repository}:{tag}", file.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_called_so() {
        for (text, printed) in [
            ("debian", "docker.io/library/debian:latest"),
            ("static", "docker.io/library/static:latest"),
            ("localhost:5000/a:1", "localhost:5000/a:1"),
            ("oci:dir", "oci:dir:latest"),
            ("oci:dir:1", "oci:dir:1"),
            ("oci-archive:a.tar", "oci-archive:a.tar:latest"),
            ("oci-archive:a.tar:1", "oci-archive:a.tar:1"),
            ("docker-archive:a.tar", "docker-archive:a.tar"),
            ("docker-archive:a.tar:app", "docker-archive:a.tar:docker.io/library/app:latest"),
            ("docker-archive:a.tar:localhost:5000/app:1", "docker-archive:a.tar:localhost:5000/app:1"),
        ] {
            assert_eq!(Goal::parse(text).unwrap().to_string(), printed);
        }
        for (text, message) in [
            ("docker-archive:", "`docker-archive:` names no image: `docker-archive:` names no file"),
            ("oci-archive:", "`oci-archive:` names no image: `oci-archive:` names no file"),
            ("oci:", "`oci:` names no image: `oci:` names no folder"),
            ("./a", "`./a` could be a layout or an archive, and the place of a copy says which"),
        ] {
            assert_eq!(Goal::parse(text).unwrap_err().to_string(), message);
        }
        assert!(Goal::parse("docker-archive:a.tar:App").is_err());
    }
}
