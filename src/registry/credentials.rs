//! Finds the login for a repository: which file, which entry, which helper.
//!
//! The files are docker's and podman's, the first that has an entry decides. In a file, a path (`ghcr.io/org`, podman's
//! habit) comes before a host's own helper (`credHelpers`), that before the store (`credsStore`), and that before what
//! the file itself holds for the host. No file, no entry, or a helper that knows no such host: anonymous. Everything else
//! that goes wrong is an error, for a push that is anonymous by mistake ends in a riddle.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::credential_file::{CredentialFile, Keeper};
use super::helper::Helper;
use crate::hint::Hint;
use crate::invocation::quote;
use crate::reference::Repository;

/// How long a helper may take: some of them ask the user for a password, or wait for a finger.
const HELPER_PATIENCE: Duration = Duration::from_mins(2);

/// Text that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Text that is not to be seen.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; for a request header, a helper and the file of logins only.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// User name and password.
    Password { user: String, password: Secret },
    /// A token that the token server changes for others, a refresh token.
    Identity(Secret),
    /// A token for the registry itself.
    Token(Secret),
}

/// The part of the environment that says where logins are; the caller's snapshot of the variables of these names.
#[derive(Debug, Clone)]
pub struct CredentialEnvironment {
    /// `HOME`
    pub home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of docker's config.json
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: podman's file
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: where podman keeps its file
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `PATH`: where helper programs are; our own when left out
    pub path: Option<OsString>,
    /// how long a helper program may take
    pub patience: Duration,
}

impl Default for CredentialEnvironment {
    fn default() -> Self {
        Self {
            home: None,
            docker_config: None,
            registry_auth_file: None,
            xdg_runtime_dir: None,
            path: None,
            patience: HELPER_PATIENCE,
        }
    }
}

impl CredentialEnvironment {
    /// The file that a new login goes to, which is the first of [`Self::files`]: docker's, or podman's when a variable
    /// names that one alone. `None` without a home.
    #[must_use]
    pub fn login_file(&self) -> Option<PathBuf> {
        let docker = || self.home.as_ref().map(|home| home.join(".docker/config.json"));
        let named = self.docker_config.as_ref().map(|folder| folder.join("config.json"));
        named.or_else(|| self.registry_auth_file.clone()).or_else(docker)
    }

    /// The program `docker-credential-NAME`, which `file` names.
    pub(super) fn helper<'file>(&'file self, name: &'file str, file: &'file Path) -> Helper<'file> {
        Helper { name, path: file, programs: self.path.as_deref(), patience: self.patience }
    }

    /// The files in which logins are looked for, in this order. A file that a variable names comes before a usual
    /// place, and the usual places of a program whose variable is set are not looked at.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let below = |folder: &Option<PathBuf>, path: &str| folder.as_ref().map(|folder| folder.join(path));
        let mut files = vec![below(&self.docker_config, "config.json"), self.registry_auth_file.clone()];
        if self.docker_config.is_none() {
            files.push(below(&self.home, ".docker/config.json"));
        }
        if self.registry_auth_file.is_none() {
            files.push(below(&self.xdg_runtime_dir, "containers/auth.json"));
            files.push(below(&self.home, ".config/containers/auth.json"));
        }
        files.into_iter().flatten().collect()
    }
}

/// Why a login cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file is there and cannot be read.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// the file
        path: PathBuf,
        /// why not
        #[source]
        source: io::Error,
    },
    /// A file is no JSON, or not of the right shape.
    #[error("`{path}` is not a valid docker configuration: {position}")]
    Malformed {
        /// the file
        path: PathBuf,
        /// line and column; what stands there may be a secret
        position: String,
    },
    /// An entry's `auth` is not base64 of `user:password`.
    #[error("the entry `{key}` of `auths` in `{path}` is not the base64 text of `user:password`")]
    Entry {
        /// the file
        path: PathBuf,
        /// the entry
        key: String,
    },
    /// The helper program is not installed.
    #[error("the credential helper `{program}`, which `{path}` names, is not on PATH")]
    HelperMissing {
        /// `docker-credential-NAME`
        program: String,
        /// the file that names it
        path: PathBuf,
    },
    /// The helper failed otherwise than by knowing no such host.
    #[error("the credential helper `{program}`, which `{path}` names, failed for `{server}`: {said}")]
    HelperFailed {
        /// `docker-credential-NAME`
        program: String,
        /// `get`, `store` or `erase`
        verb: &'static str,
        /// the file that names it
        path: PathBuf,
        /// what it was asked for
        server: String,
        /// what it said
        said: String,
    },
}

impl Hint for CredentialError {
    fn hints(&self) -> Vec<String> {
        let shown = |path: &Path| quote(&path.display().to_string());
        match self {
            Self::Unreadable { path, .. } => {
                vec![format!("check what it is, and its permissions: ls -ld {}", shown(path))]
            }
            Self::Malformed { path, .. } => vec![format!("check it: jq . {}", shown(path))],
            Self::Entry { key, .. } => vec![format!("write it again: anyarch login {}", quote(key))],
            Self::HelperMissing { program, path } => {
                vec![format!("install `{program}`, or remove its name from `{}`", path.display())]
            }
            Self::HelperFailed { program, verb: "store" | "erase", .. } => {
                vec![format!("see for yourself: {program} list")]
            }
            Self::HelperFailed { program, server, .. } => {
                vec![format!("see for yourself: echo {} | {program} get", quote(server))]
            }
        }
    }
}

/// Finds logins, and remembers what files and helpers said.
#[derive(Debug)]
pub(super) struct Credentials {
    environment: CredentialEnvironment,
    files: tokio::sync::OnceCell<Arc<Vec<(PathBuf, CredentialFile)>>>,
    /// What each helper said of each server; held while one runs, for some of them ask the user.
    answers: tokio::sync::Mutex<BTreeMap<(String, String), Option<Credential>>>,
    found: Mutex<BTreeMap<Repository, Option<Credential>>>,
}

impl Credentials {
    pub(super) fn new(environment: CredentialEnvironment) -> Self {
        Self {
            environment,
            files: tokio::sync::OnceCell::new(),
            answers: tokio::sync::Mutex::default(),
            found: Mutex::default(),
        }
    }

    /// The login for `repository`; `None` for anonymous.
    pub(super) async fn find(&self, repository: &Repository) -> Result<Option<Credential>, CredentialError> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(repository).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let files = self.files().await?;
        let mut found = None;
        for (path, file) in files.iter() {
            found = self.find_in(path, file, repository).await?;
            if found.is_some() {
                break;
            }
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(repository.clone(), found.clone());
        Ok(found)
    }

    async fn files(&self) -> Result<Arc<Vec<(PathBuf, CredentialFile)>>, CredentialError> {
        let read = || async {
            let mut files = Vec::new();
            for path in self.environment.files() {
                if let Some(bytes) = read(&path).await? {
                    let file = parse(&path, &bytes)?;
                    files.push((path, file));
                }
            }
            Ok(Arc::new(files))
        };
        self.files.get_or_try_init(read).await.cloned()
    }

    /// The login that one file has for `repository`.
    pub(super) async fn find_in(
        &self,
        path: &Path,
        file: &CredentialFile,
        repository: &Repository,
    ) -> Result<Option<Credential>, CredentialError> {
        let entry = file.entry(repository);
        let inline = || match &entry {
            None => Ok(None),
            Some((key, entry)) => {
                entry.credential().map_err(|_| CredentialError::Entry { path: path.to_owned(), key: (*key).to_owned() })
            }
        };
        if entry.as_ref().is_some_and(|(key, _)| super::credential_file::is_path_key(key))
            && let Some(credential) = inline()?
        {
            return Ok(Some(credential));
        }
        match file.keeper(&repository.registry) {
            Keeper::File => inline(),
            Keeper::Helper { name, server } => self.ask(path, name, server).await,
            Keeper::Store { name, server } => match self.ask(path, name, server).await? {
                Some(credential) => Ok(Some(credential)),
                None => inline(),
            },
        }
    }

    /// Runs `docker-credential-NAME get`, once for each server.
    async fn ask(&self, path: &Path, name: &str, server: &str) -> Result<Option<Credential>, CredentialError> {
        let mut answers = self.answers.lock().await;
        let key = (name.to_owned(), server.to_owned());
        if let Some(known) = answers.get(&key) {
            return Ok(known.clone());
        }
        let credential = self.environment.helper(name, path).get(server).await?;
        answers.insert(key, credential.clone());
        Ok(credential)
    }
}

/// What is in a file of logins; `None` when there is none.
pub(super) async fn read(path: &Path) -> Result<Option<Vec<u8>>, CredentialError> {
    match tokio::fs::read(path).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(CredentialError::Unreadable { path: path.to_owned(), source }),
    }
}

/// What a file of logins says.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<CredentialFile, CredentialError> {
    CredentialFile::parse(bytes).map_err(|error| malformed(path, &error))
}

/// What is wrong with a file, without a word of what is in it.
pub(super) fn malformed(path: &Path, error: &serde_json::Error) -> CredentialError {
    let position = format!("line {}, column {}", error.line(), error.column());
    CredentialError::Malformed { path: path.to_owned(), position }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> CredentialEnvironment {
        CredentialEnvironment {
            home: Some("/home/me".into()),
            docker_config: None,
            registry_auth_file: None,
            xdg_runtime_dir: Some("/run/user/1".into()),
            ..CredentialEnvironment::default()
        }
    }

    #[test]
    fn a_file_that_a_variable_names_comes_first() {
        let names = |environment: &CredentialEnvironment| -> Vec<String> {
            environment.files().iter().map(|path| path.display().to_string()).collect()
        };
        let mut variables = environment();
        assert_eq!(
            names(&variables),
            [
                "/home/me/.docker/config.json",
                "/run/user/1/containers/auth.json",
                "/home/me/.config/containers/auth.json"
            ]
        );
        variables.registry_auth_file = Some("/auth.json".into());
        assert_eq!(names(&variables), ["/auth.json", "/home/me/.docker/config.json"]);
        assert_eq!(variables.login_file(), Some("/auth.json".into()));
        variables.docker_config = Some("/docker".into());
        assert_eq!(names(&variables), ["/docker/config.json", "/auth.json"]);
        assert_eq!(variables.login_file(), Some("/docker/config.json".into()));
        assert_eq!(environment().login_file(), Some("/home/me/.docker/config.json".into()));
        let homeless = CredentialEnvironment { home: None, ..environment() };
        assert_eq!(homeless.login_file(), None, "podman's usual places are podman's");
        assert!(names(&CredentialEnvironment::default()).is_empty());
    }

    #[test]
    fn secrets_never_print() {
        let credential = Credential::Password { user: "me".to_owned(), password: Secret::new("hunter2") };
        assert_eq!(format!("{credential:?}"), "Password { user: \"me\", password: *** }");
    }
}
