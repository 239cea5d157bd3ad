//! Why a text names no image, and what to write instead.

use super::{LONGEST_PATH, LONGEST_TAG};
use crate::blob::DigestError;
use crate::hint::Hint;

/// A text that names no image; `text` is the whole of what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("an image reference is empty")]
    Empty,
    /// A URL was given.
    #[error("`{text}` is not an image reference: it starts with the scheme `{scheme}`")]
    Scheme {
        /// what was given
        text: String,
        /// `https://`
        scheme: String,
    },
    /// Repositories are lower case.
    #[error("`{part}` in `{text}` has upper-case letters: repository names are lower case")]
    UpperCase {
        /// what was given
        text: String,
        /// the part that is at fault
        part: String,
    },
    /// The part before the first slash is no host.
    #[error("`{registry}` in `{text}` is not a registry: it should be a host name or an address, and perhaps a port")]
    Registry {
        /// what was given
        text: String,
        /// the part that is at fault
        registry: String,
    },
    /// The path is no repository.
    #[error(
        "`{path}` in `{text}` is not a repository name: it should be lower-case letters and digits, separated by `.`, `_`, `-` and `/`"
    )]
    Path {
        /// what was given
        text: String,
        /// the part that is at fault
        path: String,
    },
    /// The path is too long for every registry.
    #[error("the repository name in `{text}` has {length} characters, and {LONGEST_PATH} is the most")]
    TooLong {
        /// what was given
        text: String,
        /// how long the path is, in characters
        length: usize,
    },
    /// 64 hexadecimal digits alone mean a local image's id to docker, never a repository.
    #[error("`{text}` is a digest without its repository")]
    BareDigest {
        /// what was given
        text: String,
    },
    /// The part after the colon is no tag.
    #[error(
        "`{tag}` in `{text}` is not a tag: it should be at most {LONGEST_TAG} letters, digits, `_`, `.` and `-`, and not start with `.` or `-`"
    )]
    Tag {
        /// what was given
        text: String,
        /// the part that is at fault
        tag: String,
    },
    /// The part after the at sign is no digest.
    #[error("the digest in `{text}` cannot be read")]
    Digest {
        /// what was given
        text: String,
        /// what is wrong with it
        #[source]
        source: DigestError,
    },
    /// A tag or a digest stands where only a repository may be.
    #[error("`{text}` should be a repository without a tag or a digest")]
    NotARepository {
        /// what was given
        text: String,
        /// the same without them
        repository: String,
    },
}

impl Hint for ReferenceError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Empty => vec!["name an image, for instance `registry.example.com/app:1.0`".to_owned()],
            Self::Scheme { text, scheme } => {
                let rest = text.get(scheme.len()..).unwrap_or_default();
                let mut hints = vec![format!("write it without the scheme: `{rest}`")];
                if scheme == "http://" {
                    let host = rest.split('/').next().unwrap_or_default();
                    hints.push(format!("a registry without TLS is allowed by `--insecure-registry {host}`"));
                }
                hints
            }
            Self::UpperCase { text, .. } => {
                let path_start = text.rfind('/').map_or(0, |slash| slash + 1);
                let end = text[path_start..].find([':', '@']).map_or(text.len(), |at| path_start + at);
                vec![format!("write `{}{}`", text[..end].to_lowercase(), &text[end..])]
            }
            Self::BareDigest { text } => vec![format!("name the repository too: `REPOSITORY@sha256:{text}`")],
            Self::NotARepository { repository, .. } => vec![format!("write `{repository}`")],
            Self::Digest { .. } => vec!["a reference by digest reads `REPOSITORY@sha256:HEX`".to_owned()],
            Self::Registry { .. } | Self::Path { .. } | Self::TooLong { .. } | Self::Tag { .. } => Vec::new(),
        }
    }
}
