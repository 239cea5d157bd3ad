//! What the user calls a base: `static`, `scratch`, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE` or a registry
//! reference.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::hint::Hint;
use crate::reference::{Reference, ReferenceError};

/// The name of a base.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BaseName {
    /// the one that anyarch brings: certificates, time zones, users; the same for every platform
    Static,
    /// nothing at all
    Scratch,
    /// an image in an OCI layout
    Layout {
        /// the layout's folder
        folder: PathBuf,
        /// its `org.opencontainers.image.ref.name`, where the layout holds several
        tag: Option<String>,
    },
    /// an image in an OCI layout that is in a tar
    Archive {
        /// the tar
        file: PathBuf,
        /// its `org.opencontainers.image.ref.name`, where the layout holds several
        tag: Option<String>,
    },
    /// an image in an archive of `docker save`
    DockerArchive {
        /// the tar
        file: PathBuf,
        /// its name or its tag, where the archive holds several; `@0` is the first
        name: Option<String>,
    },
    /// an image in a registry
    Registry(Reference),
}

/// How names of what lies on this disk begin.
const ON_DISK: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];

/// Whether a name is that of something on this disk.
#[must_use]
pub fn is_on_disk(name: &str) -> bool {
    ON_DISK.iter().any(|beginning| name.starts_with(beginning))
}

/// Why a text names no base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseNameError {
    /// `oci:` without a folder.
    #[error("`{text}` names no folder")]
    NoFolder {
        /// what was given
        text: String,
    },
    /// `oci-archive:` without a file.
    #[error("`{text}` names no file")]
    NoFile {
        /// what was given
        text: String,
    },
    /// Not a reference.
    #[error(transparent)]
    Reference(ReferenceError),
}

impl Hint for BaseNameError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoFolder { .. } => vec!["--base oci:path/to/layout".to_owned()],
            Self::NoFile { text } => vec![format!("--base {text}path/to/image.tar")],
            Self::Reference(error) => error.hints(),
        }
    }
}

impl FromStr for BaseName {
    type Err = BaseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "static" => return Ok(Self::Static),
            "scratch" => return Ok(Self::Scratch),
            _ => {}
        }
        if let Some(place) = after(text, "docker-archive:") {
            // As skopeo has it: what is behind the first colon is a reference, which has colons of its own.
            let (file, name) =
                place.split_once(':').map_or((place, None), |(file, name)| (file, Some(name.to_owned())));
            if file.is_empty() {
                return Err(BaseNameError::NoFile { text: text.to_owned() });
            }
            return Ok(Self::DockerArchive { file: file.into(), name: name.filter(|name| !name.is_empty()) });
        }
        let (place, archive) = match (after(text, "oci:"), after(text, "oci-archive:")) {
            (Some(place), _) => (place, false),
            (None, Some(place)) => (place, true),
            (None, None) => return text.parse().map(Self::Registry).map_err(BaseNameError::Reference),
        };
        // A colon in a folder's name is taken for a tag, as skopeo does; `oci:./a:b:latest` still names it.
        let (folder, tag) = match place.rsplit_once(':') {
            Some((folder, tag)) if !tag.contains('/') => (folder, Some(tag.to_owned())),
            _ => (place, None),
        };
        match (folder, archive) {
            ("", true) => Err(BaseNameError::NoFile { text: text.to_owned() }),
            ("", false) => Err(BaseNameError::NoFolder { text: text.to_owned() }),
            (file, true) => Ok(Self::Archive { file: file.into(), tag }),
            (folder, false) => Ok(Self::Layout { folder: folder.into(), tag }),
        }
    }
}

/// What follows a prefix, in small letters or large: a registry's name is printed in small ones, and would be taken for it.
fn after<'text>(text: &'text str, prefix: &str) -> Option<&'text str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl fmt::Display for BaseName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => formatter.write_str("static"),
            Self::Scratch => formatter.write_str("scratch"),
            Self::Layout { folder, tag: None } => write!(formatter, "oci:{}", folder.display()),
            Self::Layout { folder, tag: Some(tag) } => write!(formatter, "oci:{}:{tag}", folder.display()),
            Self::Archive { file, tag: None } => write!(formatter, "oci-archive:{}", file.display()),
            Self::Archive { file, tag: Some(tag) } => write!(formatter, "oci-archive:{}:{tag}", file.display()),
            Self::DockerArchive { file, name: None } => write!(formatter, "docker-archive:{}", file.display()),
            Self::DockerArchive { file, name: Some(name) } => {
                write!(formatter, "docker-archive:{}:{name}", file.display())
            }
            Self::Registry(reference) => write!(formatter, "{reference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_called_so() {
        for (text, printed) in [
            ("static", "static"),
            ("scratch", "scratch"),
            ("oci:base", "oci:base"),
            ("oci:../base/dir:v1", "oci:../base/dir:v1"),
            ("oci-archive:dir/base.tar", "oci-archive:dir/base.tar"),
            ("OCI:5000/base", "oci:5000/base"),
            ("oci-archive:base.tar:v1", "oci-archive:base.tar:v1"),
            ("docker-archive:base.tar", "docker-archive:base.tar"),
            ("docker-archive:base.tar:app:1.0", "docker-archive:base.tar:app:1.0"),
            ("debian:12-slim", "docker.io/library/debian:12-slim"),
            ("localhost:5000/static", "localhost:5000/static"),
        ] {
            assert_eq!(text.parse::<BaseName>().unwrap().to_string(), printed);
        }
        assert_eq!("oci:".parse::<BaseName>().unwrap_err().to_string(), "`oci:` names no folder");
        assert_eq!("docker-archive:".parse::<BaseName>().unwrap_err().to_string(), "`docker-archive:` names no file");
        assert!("Debian".parse::<BaseName>().is_err());
    }
}
