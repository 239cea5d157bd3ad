//! Why an image is not in Docker or podman, and how it gets there.

use std::path::PathBuf;

use crate::hint::Hint;

/// A place where no daemon answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// its address
    pub place: String,
    /// what names it; nothing for a usual place
    pub named_by: Option<String>,
    /// why not
    pub reason: String,
}

/// Why an image is not in Docker or podman.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Nobody is there.
    #[error("no Docker and no podman answers: {}", describe(.tried))]
    Absent {
        /// where we looked
        tried: Vec<Tried>,
    },
    /// An address of a kind that we do not know.
    #[error("`{text}` ({named_by}) is no address that anyarch speaks to")]
    Address {
        /// the address, without a login
        text: String,
        /// what names it
        named_by: String,
    },
    /// An address that is spoken to by TLS.
    #[error("the Docker that {named_by} names wants TLS, which anyarch does not speak to it")]
    Tls {
        /// what names it
        named_by: String,
    },
    /// A context that cannot be read.
    #[error("docker's context `{name}` cannot be used: `{path}`: {reason}")]
    Context {
        /// its name
        name: String,
        /// its file
        path: PathBuf,
        /// why
        reason: String,
    },
    /// The connection broke.
    #[error("{place} broke off: {reason}")]
    Broken {
        /// the daemon
        place: String,
        /// why
        reason: String,
    },
    /// It took too long.
    #[error("{place} neither takes nor says anything for {} minutes", super::SILENCE.as_secs() / 60)]
    Silent {
        /// the daemon
        place: String,
    },
    /// It does not want the image.
    #[error("{place} refuses the image: {reason}")]
    Refused {
        /// the daemon
        place: String,
        /// its words
        reason: String,
    },
    /// It answered something else.
    #[error("{place} did not say that the image is loaded")]
    Answer {
        /// the daemon
        place: String,
    },
}

fn describe(tried: &[Tried]) -> String {
    let one = |tried: &Tried| {
        let named_by = tried.named_by.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let reason = &tried.reason;
        let colon = if reason == "does not exist" || reason.starts_with("answers ") || reason.starts_with("says ") {
            ""
        } else {
            ":"
        };
        format!("{}{named_by}{colon} {reason}", tried.place)
    };
    tried.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Hint for DaemonError {
    fn hints(&self) -> Vec<String> {
        const ARCHIVE: &str = "without a daemon: -o type=docker,dest=image.tar";
        match self {
            Self::Absent { tried } => {
                let mut hints = Vec::new();
                if tried.iter().any(|tried| tried.reason.contains("ermission denied")) {
                    hints.push("sudo usermod -aG docker \"$USER\" && newgrp docker".to_owned());
                } else if tried.iter().all(|tried| tried.named_by.is_none()) {
                    hints.push("sudo systemctl start docker".to_owned());
                    hints.push("systemctl --user start podman.socket".to_owned());
                }
                hints.push(ARCHIVE.to_owned());
                hints
            }
            Self::Address { .. } | Self::Tls { .. } => {
                vec!["through docker itself: anyarch build -o type=docker,dest=- | docker load".to_owned()]
            }
            Self::Context { .. } => vec!["docker context ls".to_owned(), "DOCKER_CONTEXT=default".to_owned()],
            Self::Broken { .. } | Self::Silent { .. } | Self::Refused { .. } | Self::Answer { .. } => {
                vec![ARCHIVE.to_owned()]
            }
        }
    }
}
