//! Why nobody is logged in or out.

use std::io;
use std::path::PathBuf;

use crate::hint::Hint;
use crate::invocation::quote;
use crate::reference::NamespaceError;
use crate::registry::{CredentialError, Error};

/// Why nobody is logged in or out.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// What was named is no registry.
    #[error(transparent)]
    Name(#[from] NamespaceError),
    /// A password among the arguments.
    #[error(
        "a password does not belong into the arguments: every user of this machine can see them, and the shell remembers them"
    )]
    InArguments {
        /// the line that takes it from stdin
        line: String,
    },
    /// There is nobody to ask.
    #[error("there is no terminal to ask for the login")]
    NoTerminal {
        /// the line that takes it from stdin
        line: String,
    },
    /// No user name.
    #[error("the user name is empty")]
    NoUser,
    /// A colon ends the user name in what is sent and kept.
    #[error("the user name `{user}` has a colon, and no login can have one")]
    Colon {
        /// the name
        user: String,
    },
    /// No password.
    #[error("the password is empty")]
    NoPassword,
    /// The password has more than it should.
    #[error("what was given as the password is longer than {limit} bytes")]
    LongPassword {
        /// the most that is read, in bytes
        limit: usize,
    },
    /// The password cannot be read.
    #[error("the login cannot be read")]
    Input(#[source] io::Error),
    /// There is no home to keep it in.
    #[error("there is no place to keep a login: neither HOME nor DOCKER_CONFIG is set")]
    NoHome,
    /// The file or the helper that keeps it is in trouble.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The file cannot be written.
    #[error("`{path}` cannot be written")]
    Write {
        /// the file
        path: PathBuf,
        /// why not
        #[source]
        source: io::Error,
    },
    /// The registry does not take the login, or cannot be asked.
    #[error(transparent)]
    Registry(#[from] Box<Error>),
}

impl Hint for LoginError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Name(error) => error.hints(),
            Self::InArguments { line } | Self::NoTerminal { line } => vec![line.clone()],
            Self::NoHome => vec!["name a folder: DOCKER_CONFIG=/path/of/a/folder anyarch login".to_owned()],
            Self::Credentials(error) => error.hints(),
            Self::Write { path, .. } => {
                let folder = path.parent().map_or_else(String::new, |folder| quote(&folder.display().to_string()));
                vec![
                    format!("check the folder: ls -ld {folder}"),
                    "or name another: DOCKER_CONFIG=/path/of/a/folder anyarch login".to_owned(),
                ]
            }
            Self::Registry(error) => error.hints(),
            Self::NoUser | Self::Colon { .. } | Self::NoPassword | Self::LongPassword { .. } | Self::Input(_) => {
                Vec::new()
            }
        }
    }
}
