//! Why a base cannot be used, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::LONGEST_DOCUMENT;
use crate::blob::Digest;
use crate::hint::Hint;
use crate::invocation::quote;
use crate::layer::LayerError;
use crate::registry;
use crate::store::StoreError;

/// What is read, for sentences: prints as ``base `debian:12` ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// what it is to the user
    pub role: Role,
    /// its name
    pub name: Box<str>,
}

/// What something that is read is to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// what images are built on
    Base,
    /// what is looked at
    Image,
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.role == Role::Base { "base" } else { "image" };
        write!(formatter, "{role} `{}`", self.name)
    }
}

/// Why a base cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A folder that is none, or holds no layout.
    #[error("there is no image layout for the {base}: `{}` does not exist", folder.join("index.json").display())]
    NoLayout {
        /// the base
        base: Subject,
        /// the folder
        folder: PathBuf,
    },
    /// A tar that holds something else.
    #[error("the file `{}` of the {base} holds no image layout: it has no index.json", file.display())]
    NoLayoutInArchive {
        /// the base
        base: Subject,
        /// the archive
        file: PathBuf,
        /// true for an archive of docker's
        is_docker: bool,
    },
    /// A tar that is no archive of docker's.
    #[error("the file `{}` of the {base} holds no image: it has neither a manifest.json nor an index.json", file.display())]
    NoImageInArchive {
        /// the base
        base: Subject,
        /// the archive
        file: PathBuf,
    },
    /// An archive that is compressed as a whole.
    #[error("the file `{}` of the {base} is compressed by {by}, and is read where it lies", file.display())]
    Compressed {
        /// the base
        base: Subject,
        /// the archive
        file: PathBuf,
        /// what compressed it
        by: &'static str,
    },
    /// An archive of docker's that does not fit together.
    #[error("the {base} has {layers} layers, and its config lists {diff_ids} of them")]
    DockerLayers {
        /// the base
        base: Subject,
        /// entries of `rootfs.diff_ids`
        diff_ids: usize,
        /// entries of `Layers`
        layers: usize,
    },
    /// The registry did not give it.
    #[error("the {base} cannot be read")]
    Registry {
        /// the base
        base: Subject,
        /// why
        #[source]
        source: Box<registry::Error>,
    },
    /// A file of its layout cannot be read.
    #[error("the {base} cannot be read")]
    Read {
        /// the base
        base: Subject,
        /// why; the file is named by it
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error("the {base} cannot be kept")]
    Store {
        /// the base
        base: Subject,
        /// why
        #[source]
        source: StoreError,
    },
    /// A document that is not what it should be.
    #[error("the {what} {digest} of the {base} cannot be read")]
    Document {
        /// the base
        base: Subject,
        /// index, manifest or config
        what: &'static str,
        /// its digest
        digest: String,
        /// why
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of a layout whose contents are not its name.
    #[error("the layout of the {base} is damaged: {digest} is not what its name says")]
    Damaged {
        /// the base
        base: Subject,
        /// the blob
        digest: Digest,
    },
    /// A document that is too long.
    #[error("the {what} {digest} of the {base} has {size} bytes, more than {LONGEST_DOCUMENT}")]
    TooLong {
        /// the base
        base: Subject,
        /// index, manifest or config
        what: &'static str,
        /// its digest
        digest: Digest,
        /// its length
        size: u64,
    },
    /// Indexes in indexes without an end in sight.
    #[error("the index {digest} of the {base} lies too deep in other indexes")]
    TooDeep {
        /// the base
        base: Subject,
        /// the index that is not read any more
        digest: Digest,
    },
    /// More of something than there can be.
    #[error("the {base} names more than {most} {what}")]
    TooMany {
        /// the base
        base: Subject,
        /// images or layers
        what: &'static str,
        /// how many are read
        most: usize,
    },
    /// A layer of a size that none has.
    #[error("the layer {digest} of the {base} is said to have {size} bytes")]
    Absurd {
        /// the base
        base: Subject,
        /// the layer
        digest: Digest,
        /// its length, by the manifest
        size: u64,
    },
    /// A layout with several images, and no choice.
    #[error("the layout of the {base} holds {} images: {}", tags.len(), tags.join(", "))]
    SeveralImages {
        /// the base
        base: Subject,
        /// their names
        tags: Vec<String>,
    },
    /// A layout without the image.
    #[error("the layout of the {base} has no image `{tag}`; it has {}", tags.join(", "))]
    NoImage {
        /// the base
        base: Subject,
        /// the name that was asked for
        tag: String,
        /// their names
        tags: Vec<String>,
    },
    /// Nothing in it is an image for a known platform.
    #[error("the {base} holds no image for a platform")]
    NoPlatform {
        /// the base
        base: Subject,
    },
    /// Something that is no image.
    #[error("the {base} is of the media type `{media_type}`, which is no image")]
    MediaType {
        /// the base
        base: Subject,
        /// what it is
        media_type: String,
    },
    /// The built-in base cannot be made.
    #[error("the built-in base `static` cannot be made")]
    Static(#[source] LayerError),
}

/// A layout or an archive without the image in it: the name of one in an archive of docker's has a colon of its own.
fn untagged(name: &str) -> &str {
    let mut colons = name.match_indices(':').map(|(position, _)| position);
    let is_docker = name.starts_with("docker-archive:");
    let end = if is_docker { colons.nth(1) } else { colons.next_back().filter(|last| name[..*last].contains(':')) };
    end.map_or(name, |end| &name[..end])
}

impl Hint for BaseError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry { source, .. } => source.hints(),
            Self::Store { source, .. } => source.hints(),
            Self::SeveralImages { base, tags } | Self::NoImage { base, tags, .. } => {
                let place = untagged(&base.name);
                let before = if base.role == Role::Base { "--base " } else { "" };
                tags.iter().map(|tag| format!("{before}{place}:{tag}")).collect()
            }
            Self::NoLayout { folder, .. } => {
                vec![format!("skopeo copy --all docker://IMAGE oci:{}:latest", folder.display())]
            }
            Self::NoLayoutInArchive { file, is_docker: true, .. } => {
                vec![format!("an archive of docker's: docker-archive:{}", file.display())]
            }
            Self::Compressed { file, by, .. } => {
                let program = if *by == "gzip" { "gunzip" } else { "unzstd" };
                vec![format!("{program} --keep {}", quote(&file.display().to_string()))]
            }
            Self::Damaged { base, .. } => vec![format!("copy `{}` again", base.name)],
            _ => Vec::new(),
        }
    }
}
