//! The value of `-o`, as buildx spells it (`type=oci,dest=FILE`), becomes an [`OutputSpec`].
//!
//! Keys and their meaning: <https://docs.docker.com/build/exporters/>. A folder alone is `type=local`, `-` alone is
//! `type=tar` on stdout.

mod error;
mod fields;

use std::path::{Path, PathBuf};

use crate::annotation::AnnotationKey;

pub use error::OutputError;
use fields::Fields;

/// Where a tar goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// to this file
    File(PathBuf),
    /// to stdout
    Stdout,
}

/// Where the image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// the layout `.anyarch/out/NAME`
    Default,
    /// an OCI layout as a folder
    Folder(PathBuf),
    /// an OCI layout as a tar
    Archive(Destination),
    /// an archive that `docker load` reads
    DockerArchive(Destination),
    /// the running Docker or podman
    Daemon,
    /// what was added to the base, as files in a folder
    Files {
        /// the folder
        folder: PathBuf,
        /// whether each platform has a folder of its own; when there are several, if nothing was said
        split: Option<bool>,
    },
    /// what was added to the base, as a tar
    FilesArchive {
        /// the tar
        destination: Destination,
        /// whether each platform has a folder of its own; when there are several, if nothing was said
        split: Option<bool>,
    },
    /// registries
    Registry {
        /// true: no tag is moved, and names are those of repositories
        by_digest: bool,
    },
}

/// One `-o`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// where the image goes
    pub output: Output,
    /// what it is called there, where no `-t` says it: references, which may hold templates
    pub names: Vec<String>,
    /// what it is annotated with
    pub annotations: Vec<(AnnotationKey, String)>,
}

/// A type of buildx's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Local,
    Tar,
    Oci,
    Docker,
    Image,
    Registry,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Local, Self::Tar, Self::Oci, Self::Docker, Self::Image, Self::Registry];

    const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Tar => "tar",
            Self::Oci => "oci",
            Self::Docker => "docker",
            Self::Image => "image",
            Self::Registry => "registry",
        }
    }

    /// Its keys beside `type`; those that end in a dot are beginnings of keys.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Local | Self::Tar => &["dest", "platform-split"],
            Self::Oci => &["dest", "tar", "name", "compression", "oci-mediatypes", "annotation."],
            Self::Docker => &["dest", "name", "compression", "oci-mediatypes", "annotation."],
            Self::Image | Self::Registry => {
                &["name", "push", "push-by-digest", "compression", "oci-mediatypes", "annotation."]
            }
        }
    }
}

impl From<Output> for OutputSpec {
    /// That output without a name or an annotation of its own.
    fn from(output: Output) -> Self {
        Self { output, names: Vec::new(), annotations: Vec::new() }
    }
}

impl Output {
    /// The same output, with a path that is relative to `folder` joined to that.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        let joined = |destination| match destination {
            Destination::File(path) => Destination::File(folder.join(path)),
            Destination::Stdout => Destination::Stdout,
        };
        match self {
            Self::Folder(path) => Self::Folder(folder.join(path)),
            Self::Archive(destination) => Self::Archive(joined(destination)),
            Self::DockerArchive(destination) => Self::DockerArchive(joined(destination)),
            Self::Files { folder: path, split } => Self::Files { folder: folder.join(path), split },
            Self::FilesArchive { destination, split } => Self::FilesArchive { destination: joined(destination), split },
            other @ (Self::Default | Self::Daemon | Self::Registry { .. }) => other,
        }
    }

    /// Whether it fills stdout.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        matches!(
            self,
            Self::Archive(Destination::Stdout)
                | Self::DockerArchive(Destination::Stdout)
                | Self::FilesArchive { destination: Destination::Stdout, .. }
        )
    }

    /// Whether it goes to registries.
    #[must_use]
    pub fn is_registry(&self) -> bool {
        matches!(self, Self::Registry { .. })
    }

    /// Whether it is for docker or podman, which take one platform.
    #[must_use]
    pub fn is_docker(&self) -> bool {
        matches!(self, Self::DockerArchive(_) | Self::Daemon)
    }

    /// Whether it is written here with the layers of the base, which are fetched for it.
    #[must_use]
    pub fn holds_bases(&self) -> bool {
        !matches!(self, Self::Files { .. } | Self::FilesArchive { .. } | Self::Registry { .. })
    }

    /// Whether it has room for one image alone.
    #[must_use]
    pub fn is_one_place(&self) -> bool {
        !matches!(self, Self::Default | Self::Daemon | Self::Registry { .. })
    }
}

/// Reads the value of `-o`.
///
/// # Errors
/// When a key, a value or the type is unknown, a value is missing, or what it says cannot be had here.
pub fn parse(text: &str) -> Result<OutputSpec, OutputError> {
    if !text.contains(['=', ',', '"']) && !text.is_empty() {
        return Ok(match text {
            "-" => Output::FilesArchive { destination: Destination::Stdout, split: None },
            folder => Output::Files { folder: folder.into(), split: None },
        }
        .into());
    }
    let mut fields = Fields::read(text)?;
    let given = || text.to_owned();
    let kind = fields.take("type").ok_or_else(|| OutputError::NoType { text: given() })?;
    let known = Kind::ALL.into_iter().find(|known| known.name() == kind);
    let kind = known.ok_or_else(|| OutputError::Type { text: given(), kind })?;
    fields.only(kind)?;
    fields.one_of("compression", &["gzip"])?;
    fields.one_of("oci-mediatypes", &["true", "1"])?;
    let output = output_of(kind, &mut fields)?;
    Ok(OutputSpec { output, names: fields.names()?, annotations: fields.annotations()? })
}

fn output_of(kind: Kind, fields: &mut Fields<'_>) -> Result<Output, OutputError> {
    let text = fields.text.to_owned();
    let destination = fields.take("dest").filter(|destination| !destination.is_empty());
    let tar_at = |destination: Option<String>| match destination.as_deref() {
        None | Some("-") => Destination::Stdout,
        Some(path) => Destination::File(path.into()),
    };
    let folder_at = |destination: Option<String>| match destination.as_deref() {
        None => Err(OutputError::NoDestination { text: text.clone() }),
        Some("-") => Err(OutputError::FolderOnStdout { text: text.clone() }),
        Some(path) => Ok(PathBuf::from(path)),
    };
    Ok(match kind {
        Kind::Local => Output::Files { folder: folder_at(destination)?, split: fields.boolean("platform-split")? },
        Kind::Tar => {
            Output::FilesArchive { destination: tar_at(destination), split: fields.boolean("platform-split")? }
        }
        Kind::Oci if fields.boolean("tar")?.unwrap_or(true) => Output::Archive(tar_at(destination)),
        Kind::Oci => Output::Folder(folder_at(destination)?),
        Kind::Docker if destination.is_none() => Output::Daemon,
        Kind::Docker => Output::DockerArchive(tar_at(destination)),
        Kind::Image | Kind::Registry => {
            if !fields.boolean("push")?.unwrap_or(kind == Kind::Registry) {
                return Err(OutputError::NotPushed { text });
            }
            Output::Registry { by_digest: fields.boolean("push-by-digest")?.unwrap_or(false) }
        }
    })
}

#[cfg(test)]
mod tests;
