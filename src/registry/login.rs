//! Logging in and out: a login is tried at its registry, then kept where docker and podman find it, or forgotten.

mod error;

use std::path::{Path, PathBuf};

use reqwest::header::AUTHORIZATION;

use super::challenge::Challenge;
use super::credential_file::{self, Keeper, normalize, server_name};
use super::credentials::{self, Credential, CredentialEnvironment, Credentials, Secret};
use super::error::Error;
use super::login_file::LoginFile;
use super::token::{Authorization, Scopes, TokenRequest};
use super::transport::{READ_TIMEOUT, connect_error};
use super::{Client, answer, retry};
use crate::reference::{Namespace, Repository};

pub use error::{AtRegistry, LoginError};

/// What a registry says of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// it is right
    Accepted,
    /// nothing: the registry lets everyone in, at least to its front door
    NotAsked,
}

/// Who keeps a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// a file, without encryption
    File(PathBuf),
    /// a program
    Helper {
        /// `docker-credential-NAME`
        program: String,
    },
}

/// What was forgotten, and what was not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// who kept the login; none when there was none
    pub from: Vec<Kept>,
    /// other files where a login for the registry is still found
    pub elsewhere: Vec<PathBuf>,
    /// paths of the registry that have logins of their own
    pub paths: Vec<String>,
}

/// A repository that stands for all of `namespace`.
fn some_repository(namespace: &Namespace) -> Repository {
    Repository { registry: namespace.registry.clone(), path: namespace.path.clone().unwrap_or_default() }
}

/// The key of `auths` under which docker, or for a path podman, looks for the login.
fn key(namespace: &Namespace) -> String {
    match namespace.path {
        None => server_name(&namespace.registry).to_owned(),
        Some(_) => namespace.to_string(),
    }
}

impl Client {
    /// Tries a login as docker does: by the front door of the registry's API, with a token for nothing where tokens are
    /// wanted.
    ///
    /// # Errors
    /// [`Error::LoginRefused`] when it is wrong; others when the registry cannot be asked.
    pub async fn try_login(&self, namespace: &Namespace, user: &str, password: &Secret) -> Result<Tried, Error> {
        retry::run(&self.inner.policy, || self.try_once(namespace, user, password)).await
    }

    async fn try_once(&self, namespace: &Namespace, user: &str, password: &Secret) -> Result<Tried, Error> {
        let (inner, registry) = (&self.inner, &namespace.registry);
        let host = inner.host(&some_repository(namespace));
        let line = inner.proven_line(&host).await?;
        let authorization = match host.challenge() {
            None => return Ok(Tried::NotAsked),
            Some(Challenge::Basic) => Authorization::Basic { user: user.to_owned(), password: password.clone() },
            Some(Challenge::Bearer { realm, service }) => {
                let scopes = Scopes::none();
                let request = TokenRequest { realm: &realm, service: service.as_deref(), scopes: &scopes };
                let credential = Credential::Password { user: user.to_owned(), password: password.clone() };
                let token = inner.fetch_token(&host, line, &request, Some(&credential)).await;
                Authorization::Bearer(token.map_err(|error| refused_by_realm(error, user))?.value)
            }
        };
        let mut request = line.own.get(line.root.clone()).timeout(READ_TIMEOUT);
        if let Some(header) = authorization.header() {
            request = request.header(AUTHORIZATION, header);
        }
        let proxy = || inner.transport.proxy_of(&line.root);
        let response = request.send().await.map_err(|error| connect_error(registry, proxy(), error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Tried::Accepted);
        }
        if retry::is_transient(status.as_u16()) {
            return Err(Error::Busy { registry: registry.clone(), status, wait: answer::wait_asked(&response) });
        }
        let said = answer::said(response, &authorization.secrets()).await;
        Err(Error::LoginRefused { registry: registry.clone(), user: user.to_owned(), realm: None, status, said })
    }
}

/// A token server that gives no token says by that what it thinks of the login.
fn refused_by_realm(error: Error, user: &str) -> Error {
    match error {
        Error::Token { registry, realm, status, said, .. } if !retry::is_transient(status.as_u16()) => {
            Error::LoginRefused { registry, user: user.to_owned(), realm: Some(realm), status, said }
        }
        other => other,
    }
}

impl CredentialEnvironment {
    /// The file that a new login goes to, once it was looked at: what is wrong with it is said before a password is
    /// asked for.
    ///
    /// # Errors
    /// When there is no place for one, or the file is there and cannot be read.
    pub async fn readable_login_file(&self) -> Result<PathBuf, LoginError> {
        let path = self.login_file().ok_or(LoginError::NoHome)?;
        if let Some(bytes) = credentials::read(&path).await? {
            credentials::parse(&path, &bytes)?;
        }
        Ok(path)
    }

    /// Keeps a login where docker and podman look for it; what other names of the registry were known by goes.
    /// `waiting` is called with the file when another process is writing it.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a helper does not keep it.
    pub async fn keep_login(
        &self,
        namespace: &Namespace,
        user: &str,
        password: &Secret,
        waiting: impl Fn(&Path),
    ) -> Result<Kept, LoginError> {
        let path = self.login_file().ok_or(LoginError::NoHome)?;
        let write = |source| LoginError::Write { path: path.clone(), source };
        let locked = LoginFile::open(&path, || waiting(&path)).await.map_err(write)?;
        let (file, mut document) = locked.read(&path).await?;
        // A program knows registries, not paths of them.
        let keeper = if namespace.path.is_some() { Keeper::File } else { file.keeper(&namespace.registry) };
        let key = key(namespace);
        document.remove_logins(|other| other != key && normalize(other) == namespace.to_string());
        let kept = match keeper {
            Keeper::File => {
                document.set_login(&key, Some(&credential_file::encode(user, password)));
                Kept::File(path.clone())
            }
            Keeper::Helper { name, server } | Keeper::Store { name, server } => {
                let helper = self.helper(name, &path);
                helper.store(server, user, password).await?;
                document.set_login(&key, None);
                Kept::Helper { program: helper.program() }
            }
        };
        locked.write(&document).map_err(write)?;
        Ok(kept)
    }

    /// Forgets the login for `namespace`: what the file has under every name of it, and what its helper keeps.
    /// `waiting` is called with the file when another process is writing it.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a helper fails.
    pub async fn forget_login(&self, namespace: &Namespace, waiting: impl Fn(&Path)) -> Result<Forgotten, LoginError> {
        let path = self.login_file().ok_or(LoginError::NoHome)?;
        let mut forgotten = Forgotten::default();
        // Without a file there is nothing to forget, and nothing to be made.
        if credentials::read(&path).await?.is_some() {
            let write = |source| LoginError::Write { path: path.clone(), source };
            let locked = LoginFile::open(&path, || waiting(&path)).await.map_err(write)?;
            let (file, mut document) = locked.read(&path).await?;
            if namespace.path.is_none() {
                forgotten.from.extend(self.erase(&path, &file, &namespace.registry).await?);
                forgotten.paths = file.paths(&namespace.registry).into_iter().map(str::to_owned).collect();
            }
            if !document.remove_logins(|other| normalize(other) == namespace.to_string()).is_empty() {
                locked.write(&document).map_err(write)?;
                if forgotten.from.is_empty() {
                    forgotten.from.push(Kept::File(path.clone()));
                }
            }
        }
        forgotten.elsewhere = self.logins_elsewhere(&path, namespace).await;
        Ok(forgotten)
    }

    /// Has the helper of `registry` forget it by every name by which docker ever called it.
    async fn erase(
        &self,
        path: &Path,
        file: &credential_file::CredentialFile,
        registry: &str,
    ) -> Result<Option<Kept>, LoginError> {
        let (Keeper::Helper { name, server } | Keeper::Store { name, server }) = file.keeper(registry) else {
            return Ok(None);
        };
        let helper = self.helper(name, path);
        let mut found = false;
        for server in [server, &format!("https://{registry}"), &format!("http://{registry}")] {
            if helper.get(server).await?.is_some() {
                helper.erase(server).await?;
                found = true;
            }
        }
        Ok(found.then(|| Kept::Helper { program: helper.program() }))
    }

    /// The other files where `namespace` has a login; one that cannot be read has none that could be used.
    async fn logins_elsewhere(&self, path: &Path, namespace: &Namespace) -> Vec<PathBuf> {
        let (all, repository) = (Credentials::new(self.clone()), some_repository(namespace));
        let mut found = Vec::new();
        for other in self.files().into_iter().filter(|other| other != path) {
            let Ok(Some(bytes)) = credentials::read(&other).await else { continue };
            let Ok(file) = credentials::parse(&other, &bytes) else { continue };
            if let Ok(Some(_)) = all.find_in(&other, &file, &repository).await {
                found.push(other);
            }
        }
        found
    }
}
