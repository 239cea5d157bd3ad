//! Why a layer has no listing.

use std::io;

use crate::hint::Hint;

/// Why a layer has no listing. The texts are predicates: they read on after the layer's name.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The stream broke, or its compression is damaged.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// A compression that layers do not have.
    #[error("is neither a tar nor a tar in gzip or zstd")]
    Format,
    /// A tar that is not as it should be.
    #[error("is damaged: {what}")]
    Damaged {
        /// what is wrong with it
        what: &'static str,
    },
    /// A path that leads out of the image.
    #[error("holds the path `{path}`, which leads out of the image")]
    Outside {
        /// the path
        path: String,
    },
    /// More than any layer has.
    #[error("has {what}, more than anyarch reads")]
    TooMuch {
        /// what, with the bound
        what: String,
    },
}

impl Hint for ListingError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Outside { .. } => {
                vec!["container engines refuse it too: build the image again, with paths below its root".to_owned()]
            }
            Self::Damaged { .. } | Self::Format => vec!["build or copy the image again".to_owned()],
            Self::Read(_) | Self::TooMuch { .. } => Vec::new(),
        }
    }
}
