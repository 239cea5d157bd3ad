//! Why a text is no output, and what would be one.

use crate::annotation::AnnotationError;
use crate::hint::Hint;

/// Why a text is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// A part that is not KEY=VALUE.
    #[error("`{part}` in the output `{text}` should read KEY=VALUE")]
    Part {
        /// what was given
        text: String,
        /// the part
        part: String,
    },
    /// Quotation marks that CSV does not have so.
    #[error("the output `{text}` has a quotation mark too few, or one in the midst of a field")]
    Quotes {
        /// what was given
        text: String,
    },
    /// A key that the type does not have.
    #[error("`{key}` in the output `{text}` is not a key of its type")]
    Key {
        /// what was given
        text: String,
        /// the key
        key: String,
        /// the type
        kind: &'static str,
        /// the keys that it has
        known: Vec<&'static str>,
    },
    /// The same key twice.
    #[error("`{key}` is twice in the output `{text}`")]
    Twice {
        /// what was given
        text: String,
        /// the key
        key: String,
    },
    /// A type that there is not.
    #[error("`{kind}` in the output `{text}` is not a type that anyarch writes")]
    Type {
        /// what was given
        text: String,
        /// the type
        kind: String,
    },
    /// No `type`.
    #[error("the output `{text}` names no type")]
    NoType {
        /// what was given
        text: String,
    },
    /// A folder without a place.
    #[error("the output `{text}` names no dest")]
    NoDestination {
        /// what was given
        text: String,
    },
    /// A name that is none.
    #[error("a `name` in the output `{text}` is empty")]
    NoName {
        /// what was given
        text: String,
    },
    /// A value that the key does not take.
    #[error("`{key}` in the output `{text}` should be {expected}, not `{value}`")]
    Value {
        /// what was given
        text: String,
        /// the key
        key: String,
        /// the value
        value: String,
        /// what it takes
        expected: &'static str,
    },
    /// A folder on stdout.
    #[error("the output `{text}` is a folder, and stdout takes a tar")]
    FolderOnStdout {
        /// what was given
        text: String,
    },
    /// An image for a store that there is not.
    #[error("the output `{text}` pushes nothing, and anyarch keeps no images of its own")]
    NotPushed {
        /// what was given
        text: String,
    },
    /// An annotation of something that has none.
    #[error("`{key}` in the output `{text}` is no annotation: {source}")]
    Annotation {
        /// what was given
        text: String,
        /// the key
        key: String,
        /// why
        source: Box<AnnotationError>,
    },
}

impl Hint for OutputError {
    fn hints(&self) -> Vec<String> {
        let these = |hints: &[&str]| hints.iter().map(|hint| (*hint).to_owned()).collect();
        match self {
            Self::Key { kind, known, .. } => vec![format!("keys of type={kind}: {}", known.join(", "))],
            Self::Value { key, .. } if key == "compression" || key == "oci-mediatypes" => {
                vec![format!("leave `{key}` away: layers are made by gzip, and media types are those of OCI")]
            }
            Self::Value { key, expected, .. } => vec![format!("{key}={}", expected.replace(" or false", ""))],
            Self::NotPushed { .. } => {
                these(&["-o type=image,push=true", "into the running Docker or podman: -o type=docker"])
            }
            Self::FolderOnStdout { .. } => these(&["-o type=oci,dest=-", "-o type=tar,dest=-"]),
            Self::Quotes { .. } => {
                these(&["-o 'type=registry,\"name=registry.example.com/app:1,registry.example.com/app:2\"'"])
            }
            Self::Annotation { .. } => these(&[
                "annotation.KEY=VALUE",
                "annotation-index.KEY=VALUE",
                "annotation-manifest[linux/arm64].KEY=VALUE",
                "annotation-manifest-descriptor.KEY=VALUE",
            ]),
            Self::NoName { .. } => these(&["name=registry.example.com/app:1"]),
            Self::Part { .. }
            | Self::Twice { .. }
            | Self::Type { .. }
            | Self::NoType { .. }
            | Self::NoDestination { .. } => these(&[
                "-o type=oci,dest=image.tar",
                "-o type=oci,dest=folder,tar=false",
                "-o type=docker,dest=image.tar",
                "-o type=docker",
                "-o type=local,dest=folder",
                "-o type=tar,dest=files.tar",
                "-o type=registry",
            ]),
        }
    }
}
