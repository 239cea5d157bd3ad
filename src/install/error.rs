//! Why something was not installed, and what would do instead.

use std::io;
use std::path::{Path, PathBuf};

use crate::download::DownloadError;
use crate::exec::ExecError;
use crate::hint::Hint;
use crate::mirror::{self, MirrorError};
use crate::platform::Platform;
use crate::toolchain::DownloadKind;

/// Why something was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No file for this machine.
    #[error("no row says where `{tool}` can be had for {host}")]
    NoFile {
        /// the tool
        tool: String,
        /// this machine
        host: Platform,
    },
    /// Nobody to download from.
    #[error(transparent)]
    Mirror(MirrorError),
    /// A file that did not come.
    #[error("{tool} cannot be downloaded")]
    Download {
        /// the tool and its version
        tool: String,
        /// where it comes from
        kind: DownloadKind,
        /// why not
        #[source]
        source: Box<DownloadError>,
    },
    /// A file with the right SHA-256 that is no archive.
    #[error("`{file}` cannot be unpacked")]
    Archive {
        /// the file
        file: String,
        /// why not
        #[source]
        source: Box<zip::result::ZipError>,
    },
    /// Something in the archive that has no place.
    #[error("`{file}` cannot be unpacked: `{entry}` has no place in its folder")]
    Entry {
        /// the file
        file: String,
        /// what is in it
        entry: String,
    },
    /// An archive without the program.
    #[error("`{file}` does not hold the program `{}` that its row names", program.display())]
    NoProgram {
        /// the file
        file: String,
        /// the program
        program: PathBuf,
    },
    /// A program that does not start.
    #[error("{tool} was downloaded and does not run here ({ending}){}", quoted(said))]
    Silent {
        /// the tool and its version
        tool: String,
        /// how it ended
        ending: String,
        /// what it said
        said: String,
    },
    /// No space.
    #[error("no space is left in `{}`: {} MB more are needed", folder.display(), needed.div_ceil(1_000_000))]
    Full {
        /// where
        folder: PathBuf,
        /// bytes that are still to be written
        needed: u64,
        /// what the file system said
        #[source]
        source: io::Error,
    },
    /// The file system refused otherwise.
    #[error("`{}` cannot be written", path.display())]
    Write {
        /// the file or folder
        path: PathBuf,
        /// what the file system said
        #[source]
        source: io::Error,
    },
    /// The downloaded file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// the file
        path: PathBuf,
        /// what the file system said
        #[source]
        source: io::Error,
    },
    /// rustup failed.
    #[error("`{line}` failed:\n{said}")]
    Target {
        /// the target
        target: String,
        /// the call
        line: String,
        /// what rustup said
        said: String,
        /// settings by which another target would do
        others: Vec<String>,
    },
    /// A child that cannot be run.
    #[error(transparent)]
    Exec(ExecError),
    /// Nobody waits any more.
    #[error("interrupted")]
    Interrupted,
    /// A thread that ended early.
    #[error("a thread of anyarch ended early")]
    Thread,
}

impl InstallError {
    /// What the file system's refusal means; `needed` is how many bytes were still to be written.
    pub(super) fn written(path: &Path, needed: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { folder: path.to_owned(), needed, source }
            }
            _ => Self::Write { path: path.to_owned(), source },
        }
    }

    /// True when the downloaded file is of no use.
    pub(super) fn is_broken_archive(&self) -> bool {
        matches!(self, Self::Archive { .. } | Self::Entry { .. } | Self::NoProgram { .. })
    }

    /// True when this machine's disk is what failed.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Write { .. } | Self::Read { .. } | Self::Thread => true,
            Self::Download { source, .. } => matches!(
                **source,
                DownloadError::Full { .. } | DownloadError::File { .. } | DownloadError::Setup { .. }
            ),
            _ => false,
        }
    }
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(":\n{said}") }
}

/// The line that names another place to download from.
fn other_place(kind: DownloadKind) -> String {
    match kind {
        DownloadKind::Pypi => {
            format!("take a mirror of PyPI: export {}=https://mirror.example.com/simple", mirror::INDEX_VARIABLES[0])
        }
        DownloadKind::GoProxy => {
            format!("take another module proxy: export {}=https://mirror.example.com", mirror::PROXY_VARIABLE)
        }
    }
}

impl Hint for InstallError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Mirror(error) => error.hints(),
            Self::Download { kind, source, .. } => {
                let mut hints = source.hints();
                let elsewhere = matches!(
                    **source,
                    DownloadError::Unreachable { .. }
                        | DownloadError::Status { .. }
                        | DownloadError::WrongHash { .. }
                        | DownloadError::TooLong { .. }
                );
                if elsewhere {
                    hints.insert(0, other_place(*kind));
                }
                hints
            }
            Self::Full { .. } => vec!["take another folder: export ANYARCH_CACHE_DIR=/path/with/space".to_owned()],
            Self::Target { others, .. } => others.clone(),
            Self::Exec(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}
