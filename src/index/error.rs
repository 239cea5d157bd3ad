//! Why images make no index.

use crate::blob::Digest;
use crate::hint::Hint;
use crate::named_platform::NamedPlatform;
use crate::platform::Platform;

/// Why images make no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Nothing that is for a platform.
    #[error("an index needs an image, and there is none")]
    NoImages,
    /// Two images for one platform.
    #[error("two images are for {platform}: {} of `{}` and {} of `{}`", first.1, first.0, second.1, second.0)]
    SamePlatform {
        /// the platform
        platform: Box<NamedPlatform>,
        /// where the first is, and its digest
        first: (String, Digest),
        /// where the second is, and its digest
        second: (String, Digest),
    },
    /// Two places say different things of one image.
    #[error("{digest} of `{source_name}` is said to be for {said}, and it is for {other} by what else is said of it")]
    Contradiction {
        /// where it is
        source_name: String,
        /// the image
        digest: Digest,
        /// what is said by the user, else by the index
        said: Box<NamedPlatform>,
        /// what is said by the index, else by its config
        other: Box<NamedPlatform>,
    },
    /// Nobody says for which platform an image is.
    #[error("{digest} of `{source_name}` is for no platform: neither an index nor its config names one")]
    NoPlatform {
        /// where it is
        source_name: String,
        /// the image
        digest: Digest,
    },
    /// An annotation for a platform that there is not.
    #[error("there is no {platform} in the index, whose descriptor is to be annotated")]
    NothingToAnnotate {
        /// the platform
        platform: Platform,
        /// those that there are
        offered: Vec<Platform>,
    },
}

impl Hint for IndexError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoImages => {
                vec!["anyarch index create -t REPOSITORY:TAG REPOSITORY:TAG-amd64 REPOSITORY:TAG-arm64".into()]
            }
            Self::SamePlatform { first, second, .. } if first.0 == second.0 => {
                vec![format!("take what is meant by its digest: {}@{}", unversioned(&first.0), first.1)]
            }
            Self::SamePlatform { second, .. } => vec![format!("leave `{}` out", second.0)],
            Self::Contradiction { source_name, .. } => {
                vec![format!("look at it: anyarch inspect {}", crate::invocation::quote(source_name))]
            }
            Self::NoPlatform { .. } => {
                vec!["--from-spec FILE, with `platform: {os: linux, architecture: arm64}` for it in FILE".into()]
            }
            Self::NothingToAnnotate { offered, .. } => offered
                .iter()
                .map(|platform| format!("--annotation manifest-descriptor[{platform}]:KEY=VALUE"))
                .collect(),
        }
    }
}

/// A reference without its tag or digest.
fn unversioned(source: &str) -> &str {
    let source = source.split_once('@').map_or(source, |(name, _)| name);
    source.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(source, |(name, _)| name)
}
