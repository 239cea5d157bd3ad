//! Why nobody is logged in or out.

use std::fmt;
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
    Registry(AtRegistry),
}

/// What went wrong at a registry, with the file that says how registries are spoken to when there is no project.
#[derive(Debug)]
pub struct AtRegistry {
    /// what went wrong
    pub error: Box<Error>,
    /// the user's own file
    pub file: PathBuf,
}

impl fmt::Display for AtRegistry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for AtRegistry {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
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
            Self::Registry(at) => at.error.hints_by(&at.file.display().to_string()),
            Self::NoUser | Self::Colon { .. } | Self::NoPassword | Self::LongPassword { .. } | Self::Input(_) => {
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::TrustError;

    #[test]
    fn without_a_project_the_users_own_file_is_named() {
        let source = TrustError::KeyAlone { registry: "a.lan".to_owned() };
        let error = Box::new(Error::Certificates { path: "/my keys/client.key".into(), source });
        let in_a_project = error.hints();
        let login = LoginError::Registry(AtRegistry { error, file: "/home/me/registries.toml".into() });
        let lines = |file: &str| {
            let file = format!("in {file}:");
            vec![file, "[registry.\"a.lan\"]".to_owned(), "client_certificate = \"/my keys/client.pem\"".to_owned()]
        };
        assert_eq!((in_a_project, login.hints()), (lines("anyarch.toml"), lines("/home/me/registries.toml")));
        assert_eq!(login.to_string(), "the certificates in `/my keys/client.key` cannot be read");
    }
}
