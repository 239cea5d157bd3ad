//! Why a file did not come, and whether that may pass by itself.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use crate::blob::Digest;
use crate::hint::Hint;
use crate::http;
use crate::mirror::shown;

/// Why a file did not come. URLs are without logins and queries.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No HTTP client can be made, mostly because there are no trusted certificates.
    #[error("the HTTP client cannot be set up")]
    Setup {
        /// what is missing
        #[source]
        source: reqwest::Error,
    },
    /// Nobody may be asked.
    #[error("there is no mirror to download from")]
    NoMirror,
    /// No connection.
    #[error("`{host}` cannot be reached")]
    Unreachable {
        /// the host, with its port where that is not the usual one
        host: String,
        /// why not
        #[source]
        source: reqwest::Error,
    },
    /// An answer other than success.
    #[error("`{url}` cannot be downloaded: the server answered {status}")]
    Status {
        /// what was asked for
        url: String,
        /// the HTTP status
        status: StatusCode,
        /// `Retry-After`
        wait: Option<Duration>,
    },
    /// The connection broke in the middle.
    #[error("the download of `{url}` broke off")]
    Broken {
        /// what was downloaded
        url: String,
        /// how
        #[source]
        source: reqwest::Error,
    },
    /// Nothing moved for too long.
    #[error("the download of `{url}` stands still: nothing came for {} s", http::READ_TIMEOUT.as_secs())]
    Stalled {
        /// what was downloaded
        url: String,
    },
    /// A mirror that cannot go on where it was left.
    #[error("the download of `{url}` cannot go on where it stopped")]
    Range {
        /// what was downloaded
        url: String,
    },
    /// Fewer bytes than there are.
    #[error("the download of `{url}` ended early: {actual} of {size} bytes came")]
    Short {
        /// what was downloaded
        url: String,
        /// bytes in all
        size: u64,
        /// bytes that came
        actual: u64,
    },
    /// More bytes than there are.
    #[error("`{url}` is another file than expected: it has more than {size} bytes")]
    TooLong {
        /// what was downloaded
        url: String,
        /// bytes in all
        size: u64,
    },
    /// Another file.
    #[error("`{url}` is another file than expected: its SHA-256 is {}, and it should be {}", actual.hex(), expected.hex())]
    WrongHash {
        /// what was downloaded
        url: String,
        /// what it should be
        expected: Digest,
        /// what it is
        actual: Digest,
    },
    /// A page that is no text.
    #[error("`{url}` is no text")]
    NotText {
        /// the page
        url: String,
    },
    /// No space.
    #[error("no space is left in `{}`: {} more are needed", folder.display(), megabytes(*needed))]
    Full {
        /// where
        folder: PathBuf,
        /// bytes that are still missing
        needed: u64,
        /// what the file system said
        #[source]
        source: io::Error,
    },
    /// The file system refused otherwise.
    #[error("`{}` cannot be written", path.display())]
    File {
        /// the file
        path: PathBuf,
        /// what the file system said
        #[source]
        source: io::Error,
    },
}

/// A size for people.
#[must_use]
pub(super) fn megabytes(size: u64) -> String {
    // Rounded up: what is needed is never less than what is said.
    format!("{} MB", size.div_ceil(1_000_000))
}

impl DownloadError {
    /// What the file system's refusal means; `needed` is how many bytes were still to be written.
    #[must_use]
    pub fn file(path: &Path, needed: u64, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let folder = path.parent().unwrap_or(path).to_owned();
            return Self::Full { folder, needed, source };
        }
        Self::File { path: path.to_owned(), source }
    }

    /// What a request that got no answer means.
    pub(super) fn sending(url: &Url, source: reqwest::Error) -> Self {
        let source = source.without_url();
        if source.is_connect() {
            let port = url.port().map_or(String::new(), |port| format!(":{port}"));
            return Self::Unreachable { host: format!("{}{port}", url.host_str().unwrap_or_default()), source };
        }
        Self::Broken { url: shown(url), source }
    }

    /// True when the server does not have the file.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. })
    }

    /// True when another mirror would not help.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::File { .. } | Self::Setup { .. })
    }

    /// True for what may pass by itself.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => http::retry::is_transient(status.as_u16()),
            Self::Unreachable { source, .. } => http::is_reset(source),
            Self::Broken { source, .. } => !source.is_redirect() && !source.is_builder(),
            Self::Stalled { .. } | Self::Range { .. } | Self::Short { .. } => true,
            _ => false,
        }
    }

    /// How long the server asked to wait.
    pub(super) fn wait_asked(&self) -> Option<Duration> {
        match self {
            Self::Status { wait, .. } => *wait,
            _ => None,
        }
    }
}

impl Hint for DownloadError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { .. } => {
                vec!["behind a proxy: export HTTPS_PROXY=http://proxy.example.com:8080".to_owned()]
            }
            Self::Broken { .. } | Self::Stalled { .. } | Self::Short { .. } => {
                vec!["run it again: it goes on where it stopped".to_owned()]
            }
            Self::Full { .. } => vec!["take another folder: export ANYARCH_CACHE_DIR=/path/with/space".to_owned()],
            _ => Vec::new(),
        }
    }
}
