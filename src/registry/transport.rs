//! The HTTP clients: whom they trust, how close they may come, and what a failed connection means.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::redirect;

use super::address::{Addresses, Closeness, Resolver, TooClose, host_of, is_loopback};
use super::error::Error;
use crate::http::{self, find};
pub(super) use crate::http::{CONNECT_TIMEOUT, READ_TIMEOUT};

/// How a registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// https to a server that proves its name
    Https,
    /// https to whoever answers
    UnverifiedHttps,
    /// in the clear
    Http,
}

impl Scheme {
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Https | Self::UnverifiedHttps => "https://",
            Self::Http => "http://",
        }
    }
}

/// What tells one HTTP client from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// whether certificates are verified
    verified: bool,
    /// how close names may lead
    limit: Closeness,
    /// whether the environment's proxies count
    proxies: bool,
}

/// Makes and keeps HTTP clients, one for each way to trust.
pub(super) struct Transport {
    insecure_hosts: Vec<String>,
    roots: Vec<reqwest::Certificate>,
    pub(super) addresses: Addresses,
    clients: Mutex<BTreeMap<Kind, reqwest::Client>>,
}

impl Transport {
    /// `root_files` hold certificates in PEM to trust beside the system's, whose place `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` may change.
    pub(super) fn new(
        insecure_hosts: Vec<String>,
        root_files: &[PathBuf],
        addresses: Addresses,
    ) -> Result<Self, Error> {
        http::provide_tls();
        let mut roots = Vec::new();
        for path in root_files {
            let error = |source| Error::Certificates { path: path.clone(), source };
            let pem = fs_err::read(path).map_err(|source| error(source.into()))?;
            roots.extend(reqwest::Certificate::from_pem_bundle(&pem).map_err(|source| error(source.into()))?);
        }
        Ok(Self { insecure_hosts, roots, addresses, clients: Mutex::default() })
    }

    /// True when certificates beside the system's are trusted.
    pub(super) fn has_roots(&self) -> bool {
        !self.roots.is_empty()
    }

    /// The ways to speak to `registry`, to be tried in this order.
    ///
    /// Named insecure: as docker does, https with any certificate, then http. This machine: http, and https with any
    /// certificate when the server wants that; docker tries https first, at the price of a failed handshake every time.
    pub(super) fn schemes(&self, registry: &str) -> &'static [Scheme] {
        if is_loopback(registry) {
            &[Scheme::Http, Scheme::UnverifiedHttps]
        } else if self.insecure_hosts.iter().any(|host| host == registry || host == host_of(registry)) {
            &[Scheme::UnverifiedHttps, Scheme::Http]
        } else {
            &[Scheme::Https]
        }
    }

    /// The client for `host`, whose name may lead up to that closeness. Clients are made when they are wanted: one that
    /// verifies needs the system's certificates, which a machine that pushes to itself only may not have.
    ///
    /// This machine is not reached through a proxy, whatever `NO_PROXY` says, as with every program written in Go.
    ///
    /// None of them follows redirects: [`super::request`] does, by our rules.
    pub(super) fn client(&self, host: &str, verified: bool, limit: Closeness) -> Result<reqwest::Client, Error> {
        let kind = Kind { verified, limit, proxies: !is_loopback(host) };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let mut builder = http::builder()
            .redirect(redirect::Policy::none())
            .dns_resolver(Resolver { addresses: Arc::clone(&self.addresses), limit });
        builder = if verified {
            builder.tls_certs_merge(self.roots.iter().cloned())
        } else {
            builder.tls_danger_accept_invalid_certs(true)
        };
        if !kind.proxies {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|source| Error::Setup { source })?;
        clients.insert(kind, client.clone());
        Ok(client)
    }
}

/// The name that led too close, when that is why no connection was made.
pub(super) fn too_close(error: &reqwest::Error) -> Option<TooClose> {
    find::<TooClose>(error).cloned()
}

/// What a failure to connect to `registry` means.
pub(super) fn connect_error(registry: &str, error: reqwest::Error) -> Error {
    let (registry, source) = (registry.to_owned(), error.without_url());
    match find::<rustls::Error>(&source) {
        Some(rustls::Error::InvalidMessage(_)) => Error::NotTls { registry, source },
        Some(rustls::Error::InvalidCertificate(_)) => Error::Untrusted { registry, source },
        _ => Error::Unreachable { registry, source },
    }
}

/// True for a connection that stood, or nearly so, and was cut: it may stand the next time.
pub(super) fn is_reset(error: &reqwest::Error) -> bool {
    too_close(error).is_none() && http::is_reset(error)
}
