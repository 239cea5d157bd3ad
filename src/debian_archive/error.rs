//! What can go wrong on the way from a Debian mirror to a sysroot, and what to do about it.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::MIRROR_VARIABLE;
use crate::blob::Digest;
use crate::debian::{ClosureError, IndexError, ReleaseError, SignatureError};
use crate::full_disk;
use crate::hint::Hint;
use crate::http::retry::is_transient;
use crate::store::StoreError;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum DebianError {
    /// The mirror is no address that can be used.
    #[error("the Debian mirror `{mirror}` is not an http or https address")]
    Mirror {
        /// as it was given
        mirror: String,
        /// what is wrong with it
        #[source]
        source: Option<url::ParseError>,
    },
    /// No HTTP client can be made.
    #[error("the HTTP client cannot be set up")]
    Setup {
        /// what is missing
        #[source]
        source: reqwest::Error,
    },
    /// What no release can be called.
    #[error("`{name}` is not the name of a Debian release")]
    ReleaseName {
        /// what was asked for
        name: String,
    },
    /// What no package can be called.
    #[error("`{name}` is not the name of a Debian package")]
    PackageName {
        /// what was asked for
        name: String,
    },
    /// No connection, or no answer on it.
    #[error("`{url}` cannot be reached")]
    Unreachable {
        /// what was asked for
        url: String,
        /// why not
        #[source]
        source: reqwest::Error,
    },
    /// Nobody may be asked.
    #[error("`{url}` is not in the cache, and `--offline` downloads nothing")]
    Offline {
        /// what is wanted
        url: String,
    },
    /// The connection broke in the middle.
    #[error("the connection broke while `{url}` was read")]
    Interrupted {
        /// what was asked for
        url: String,
        /// how
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is neither the file nor that there is none.
    #[error("the mirror answered {status} to `{url}`")]
    Status {
        /// what was asked for
        url: String,
        /// the HTTP status
        status: u16,
    },
    /// The mirror lacks a file that it should have.
    #[error("the mirror has no `{url}`")]
    NotFound {
        /// what was asked for
        url: String,
    },
    /// Fewer bytes than the signed index promises.
    #[error("the mirror sent {actual} of {expected} bytes of `{url}`")]
    Truncated {
        /// what was asked for
        url: String,
        /// in bytes
        expected: u64,
        /// in bytes
        actual: u64,
    },
    /// More bytes than the signed index promises.
    #[error("the mirror sends more than {limit} bytes of `{url}`")]
    TooLarge {
        /// what was asked for
        url: String,
        /// in bytes
        limit: u64,
    },
    /// Other bytes than the signed index promises.
    #[error("`{url}` is not what the signed index promises: expected {expected}, got {actual}")]
    WrongContent {
        /// what was asked for
        url: String,
        /// promised
        expected: Digest,
        /// of what came
        actual: Digest,
    },
    /// The mirror has no such release.
    #[error("the mirror `{mirror}` has no release `{release}`")]
    UnknownRelease {
        /// what was asked for
        release: String,
        /// the mirror
        mirror: String,
    },
    /// The index is not signed by whom it should be.
    #[error("the signature of `{url}` cannot be trusted")]
    Signature {
        /// the index
        url: String,
        /// why not
        #[source]
        source: SignatureError,
    },
    /// The signed text is no release.
    #[error("`{url}` does not describe a release")]
    Release {
        /// the index
        url: String,
        /// what is wrong with it
        #[source]
        source: ReleaseError,
    },
    /// The signed index is that of another release.
    #[error("`{url}` is the index of another release than `{asked}`: {}", in_backticks(called))]
    OtherRelease {
        /// the index
        url: String,
        /// the release that was asked for
        asked: String,
        /// what the index calls itself
        called: Vec<String>,
    },
    /// The signed index says until when it counts, and that is over.
    #[error("the index of `{release}` at `{mirror}` was valid until {until}")]
    Expired {
        /// the release
        release: String,
        /// when it ended
        until: OffsetDateTime,
        /// the mirror
        mirror: String,
    },
    /// The release is not made for the architecture.
    #[error("the release `{release}` has no architecture `{architecture}`: it has {}", in_backticks(known))]
    Architecture {
        /// the release
        release: String,
        /// what was asked for
        architecture: String,
        /// what it has
        known: Vec<String>,
    },
    /// The release lists no index of packages.
    #[error("the index of `{release}` lists no `{path}`")]
    NoIndex {
        /// the release
        release: String,
        /// what is missing
        path: String,
    },
    /// The index of packages is none.
    #[error("the packages of `{release}` for {architecture} cannot be read")]
    Index {
        /// the release
        release: String,
        /// the architecture
        architecture: String,
        /// what is wrong
        #[source]
        source: IndexError,
    },
    /// There is no such set of packages.
    #[error("no sysroot of `{release}` for {architecture}")]
    Closure {
        /// the release
        release: String,
        /// the architecture
        architecture: String,
        /// why not
        #[source]
        source: ClosureError,
    },
    /// A package cannot be unpacked.
    #[error("the package `{package}` cannot be unpacked")]
    Package {
        /// the package
        package: String,
        /// why not
        #[source]
        source: std::io::Error,
    },
    /// A package is compressed in a way that we do not read.
    #[error("the package `{package}` holds its files as `{member}`, which is none of data.tar.xz, .gz or data.tar")]
    Compression {
        /// the package
        package: String,
        /// the archive in it
        member: String,
    },
    /// A package holds a path that leads out of the folder.
    #[error("the package `{package}` holds `{path}`, which leads out of the sysroot")]
    Outside {
        /// the package
        package: String,
        /// the path
        path: String,
    },
    /// A package holds a file where another has a folder.
    #[error("`{path}` of the package `{package}` is a folder in one package and a file in another")]
    Clash {
        /// the package
        package: String,
        /// the path
        path: String,
    },
    /// The release's C library is not where it should be.
    #[error("the sysroot of `{release}` holds no C library to link against")]
    NoLibc {
        /// the release
        release: String,
    },
    /// The disk damaged what was kept; it was removed.
    #[error("the {what} in the cache was damaged, and is removed")]
    Damaged {
        /// what it was
        what: String,
    },
    /// A folder or a file cannot be written.
    #[error("{}", full_disk::cannot_be_written(path, source))]
    Disk {
        /// the folder or file
        path: PathBuf,
        /// why not
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run ends while files are unpacked.
    #[error("the run was ended")]
    Interrupt,
}

fn in_backticks(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl DebianError {
    /// True for what may pass by itself.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::Truncated { .. } => true,
            Self::Status { status, .. } => is_transient(*status),
            _ => false,
        }
    }

    /// True when the mirror no longer has what an index names.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::WrongContent { .. } | Self::Truncated { .. } | Self::TooLarge { .. }
        )
    }
}

impl Hint for DebianError {
    fn hints(&self) -> Vec<String> {
        let another = |why: &str| format!("{why}: {MIRROR_VARIABLE}=https://MIRROR/debian anyarch build");
        match self {
            Self::Mirror { .. } => vec![format!("{MIRROR_VARIABLE}=http://deb.debian.org/debian anyarch build")],
            Self::ReleaseName { .. } => vec!["sysroot = { debian = \"bookworm\", packages = [...] }".to_owned()],
            Self::Offline { .. } => vec!["run it once with a network: without `--offline`".to_owned()],
            Self::PackageName { .. } => {
                vec!["give the plain names, without version and architecture: packages = [\"libssl-dev\"]".to_owned()]
            }
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::Status { .. } => {
                vec![another("check the connection, or name another mirror")]
            }
            Self::NotFound { .. } | Self::Truncated { .. } | Self::TooLarge { .. } | Self::WrongContent { .. } => vec![
                "the mirror may just be renewed: try again in some minutes".to_owned(),
                another("or name another mirror"),
            ],
            Self::UnknownRelease { mirror, .. } => {
                vec![format!("`{mirror}/dists/` lists the releases that the mirror has")]
            }
            Self::Signature { .. } => vec![
                another("a proxy or the mirror may have changed it: name another mirror"),
                "a release that is newer than this anyarch may be signed with newer keys: take a newer anyarch"
                    .to_owned(),
            ],
            Self::Release { .. } | Self::OtherRelease { .. } | Self::NoIndex { .. } | Self::Index { .. } => {
                vec![another("name another mirror")]
            }
            Self::Expired { .. } => vec![
                "check this machine's clock: date".to_owned(),
                another("the mirror may have stopped to be renewed: name another mirror"),
            ],
            Self::Architecture { .. } => {
                vec!["leave the platform out, or take a release that has it: https://wiki.debian.org/SupportedArchitectures".to_owned()]
            }
            Self::Closure { source, .. } => source.hints(),
            Self::Damaged { .. } => vec!["run it again: it is fetched anew".to_owned()],
            Self::Disk { source, .. } if full_disk::is_full(source) => full_disk::hints(source),
            Self::Disk { path, .. } => vec![format!(
                "check the space and the permissions of `{}`, or name another folder: ANYARCH_CACHE_DIR=/path anyarch build",
                path.display()
            )],
            Self::Store(error) => error.hints(),
            Self::Setup { .. } => {
                vec![
                    another("without certificates a mirror in the clear will do, all it sends is checked")
                        .replace("https:", "http:"),
                ]
            }
            Self::Package { .. }
            | Self::Compression { .. }
            | Self::Outside { .. }
            | Self::Clash { .. }
            | Self::NoLibc { .. }
            | Self::Interrupt => Vec::new(),
        }
    }
}
