//! Finds the login for a repository: which file, which entry, which helper.
//!
//! The files are docker's and podman's, the first that has an entry decides. In a file, a path (`ghcr.io/org`, podman's
//! habit) comes before a host's own helper (`credHelpers`), that before the store (`credsStore`), and that before what
//! the file itself holds for the host. No file, no entry, or a helper that knows no such host: anonymous. Everything else
//! that goes wrong is an error, for a push that is anonymous by mistake ends in a riddle.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::credential_file::CredentialFile;
use crate::hint::Hint;
use crate::reference::{DOCKER_HUB, Repository};

/// What docker calls Docker Hub when it talks to credential helpers.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

/// Text that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; for a request header only.
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
#[derive(Debug, Clone, Default)]
pub struct CredentialEnvironment {
    /// `HOME`
    pub home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of docker's config.json
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: podman's file
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: where podman keeps its file
    pub xdg_runtime_dir: Option<PathBuf>,
}

impl CredentialEnvironment {
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
        match self {
            Self::Unreadable { path, .. } => vec![format!("check the permissions: ls -l {}", path.display())],
            Self::Malformed { path, .. } => vec![format!("check it: jq . {}", path.display())],
            Self::Entry { key, .. } => vec![format!("write it again: docker login {key}")],
            Self::HelperMissing { program, path } => {
                vec![format!("install `{program}`, or remove its name from `{}`", path.display())]
            }
            Self::HelperFailed { program, server, .. } => {
                vec![format!("see for yourself: echo {server} | {program} get")]
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
                match tokio::fs::read(&path).await {
                    Ok(bytes) => {
                        let file = CredentialFile::parse(&bytes).map_err(|error| CredentialError::Malformed {
                            path: path.clone(),
                            position: format!("line {}, column {}", error.line(), error.column()),
                        })?;
                        files.push((path, file));
                    }
                    Err(error) if is_absent(&error) => {}
                    Err(source) => return Err(CredentialError::Unreadable { path, source }),
                }
            }
            Ok(Arc::new(files))
        };
        self.files.get_or_try_init(read).await.cloned()
    }

    async fn find_in(
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
        if let Some((server, helper)) = file.helper(&repository.registry) {
            return self.ask(path, helper, server).await;
        }
        if let Some(store) = file.store() {
            let server =
                if repository.registry == DOCKER_HUB { DOCKER_HUB_SERVER } else { repository.registry.as_str() };
            if let Some(credential) = self.ask(path, store, server).await? {
                return Ok(Some(credential));
            }
        }
        inline()
    }

    /// Runs `docker-credential-HELPER get`.
    async fn ask(&self, path: &Path, helper: &str, server: &str) -> Result<Option<Credential>, CredentialError> {
        let mut answers = self.answers.lock().await;
        let key = (helper.to_owned(), server.to_owned());
        if let Some(known) = answers.get(&key) {
            return Ok(known.clone());
        }
        let answer = {
            // Only the helper is docker_credential's part: it gets a configuration that names nothing else.
            let configuration = serde_json::json!({"credHelpers": {server: helper}}).to_string();
            let server = server.to_owned();
            let run = move || docker_credential::get_credential_from_reader(configuration.as_bytes(), &server);
            tokio::task::spawn_blocking(run).await.unwrap_or(Err(CredentialRetrievalError::HelperCommunicationError))
        };
        let credential = interpret(path, helper, server, answer)?;
        answers.insert(key, credential.clone());
        Ok(credential)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What a helper's answer means.
fn interpret(
    path: &Path,
    helper: &str,
    server: &str,
    answer: Result<DockerCredential, CredentialRetrievalError>,
) -> Result<Option<Credential>, CredentialError> {
    let program = format!("docker-credential-{helper}");
    let failed = |said: &str| CredentialError::HelperFailed {
        program: program.clone(),
        path: path.to_owned(),
        server: server.to_owned(),
        said: said.to_owned(),
    };
    match answer {
        Ok(DockerCredential::UsernamePassword(user, password)) if user.is_empty() && password.is_empty() => Ok(None),
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Credential::Password { user, password: Secret::new(password) }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credential::Identity(Secret::new(token)))),
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. }) => {
            if [&stdout, &stderr].iter().any(|text| text.contains("credentials not found")) {
                return Ok(None);
            }
            // A helper that prints a login and fails all the same must not have it printed again.
            let message = [&stderr, &stdout].into_iter().map(|text| text.trim()).find(|text| !text.is_empty());
            let message = message.filter(|text| !text.contains("Secret")).and_then(|text| text.lines().next());
            Err(failed(&message.map_or_else(|| "it ended with an error".to_owned(), super::answer::printable)))
        }
        Err(CredentialRetrievalError::MalformedHelperResponse) => Err(failed("its answer is not the JSON of a login")),
        Err(_) if which::which(&program).is_err() => {
            Err(CredentialError::HelperMissing { program, path: path.to_owned() })
        }
        Err(_) => Err(failed("it could not be run, or ended before it was asked")),
    }
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
        variables.docker_config = Some("/docker".into());
        assert_eq!(names(&variables), ["/docker/config.json", "/auth.json"]);
        assert!(names(&CredentialEnvironment::default()).is_empty());
    }

    #[test]
    fn what_helpers_say_is_a_login_or_anonymous_or_an_error() {
        let failure = |stdout: &str, stderr: &str| {
            Err(CredentialRetrievalError::HelperFailure {
                helper: String::new(),
                stdout: stdout.to_owned(),
                stderr: stderr.to_owned(),
            })
        };
        let ask = |answer| interpret(Path::new("/c.json"), "anyarch-no-such-helper", "reg", answer);
        assert_eq!(ask(failure("credentials not found in native keychain\n", "")).unwrap(), None);
        assert_eq!(
            ask(Ok(DockerCredential::IdentityToken("t".into()))).unwrap(),
            Some(Credential::Identity(Secret::new("t")))
        );
        let failed = "the credential helper `docker-credential-anyarch-no-such-helper`, which `/c.json` names, failed for `reg`: ";
        for (answer, said) in [
            (failure("", "no display\nmore"), format!("{failed}no display")),
            (failure(r#"{"Secret":"hidden"}"#, ""), format!("{failed}it ended with an error")),
            (
                Err(CredentialRetrievalError::MalformedHelperResponse),
                format!("{failed}its answer is not the JSON of a login"),
            ),
            (
                Err(CredentialRetrievalError::HelperCommunicationError),
                "the credential helper `docker-credential-anyarch-no-such-helper`, which `/c.json` names, is not on PATH"
                    .to_owned(),
            ),
        ] {
            assert_eq!(ask(answer).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn secrets_never_print() {
        let credential = Credential::Password { user: "me".to_owned(), password: Secret::new("hunter2") };
        assert_eq!(format!("{credential:?}"), "Password { user: \"me\", password: *** }");
    }
}
