//! The HTTP clients: whom they trust, how close they may come, and what a failed connection means.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::redirect;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::Options;
use super::address::{Addresses, Closeness, Resolver, TooClose, closeness_of, farthest, host_of, is_loopback};
use super::error::Error;
use super::note::Notes;
use super::proxies::Proxies;
use super::trust::{self, Trust, TrustError};
use crate::http::{self, find};
pub(super) use crate::http::{CONNECT_TIMEOUT, READ_TIMEOUT};
use crate::reference::canonical_registry;
use crate::registry_map::RegistryMap;

/// How a registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// the registries whose own certificates are trusted
    trusting: Vec<String>,
    /// the registry that is shown our certificate for it
    showing: Option<String>,
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
    map: RegistryMap,
    certificate_folders: Vec<PathBuf>,
    roots: Vec<reqwest::Certificate>,
    pub(super) addresses: Addresses,
    pub(super) proxies: Proxies,
    notes: Notes,
    /// true when nobody may be asked anything
    pub(super) offline: bool,
    trusts: Mutex<BTreeMap<String, Arc<Trust>>>,
    clients: Mutex<BTreeMap<Kind, reqwest::Client>>,
    /// how close names lead, as this machine sees it; `None` where it does not know the name
    seen: tokio::sync::Mutex<BTreeMap<String, Option<TooClose>>>,
}

impl Transport {
    /// A transport that has no client yet.
    ///
    /// Of the options, `root_files` hold certificates in PEM to trust beside the system's, whose place `SSL_CERT_FILE`
    /// and `SSL_CERT_DIR` may change.
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        http::provide_tls();
        options.proxies.check()?;
        let mut roots = Vec::new();
        for path in &options.root_files {
            roots.extend(trust::certificates(path)?);
        }
        Ok(Self {
            insecure_hosts: options.insecure_hosts.clone(),
            map: options.map.clone(),
            certificate_folders: options.certificate_folders.clone(),
            roots,
            addresses: Arc::new(options.addresses.clone()),
            proxies: options.proxies.clone(),
            notes: options.notes.clone(),
            offline: options.offline,
            trusts: Mutex::default(),
            clients: Mutex::default(),
            seen: tokio::sync::Mutex::default(),
        })
    }

    fn trust(&self, registry: &str) -> Result<Arc<Trust>, Error> {
        let mut trusts = self.trusts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trust) = trusts.get(registry) {
            return Ok(Arc::clone(trust));
        }
        let trust =
            Arc::new(Trust::of(registry, self.map.of_registry(registry), &self.certificate_folders, &self.notes)?);
        trusts.insert(registry.to_owned(), Arc::clone(&trust));
        Ok(trust)
    }

    /// The ways to speak to `registry`, to be tried in this order.
    ///
    /// Named insecure: as docker does, https with any certificate, then http. This machine: http, and https with any
    /// certificate when the server wants that; docker tries https first, at the price of a failed handshake every time.
    /// Whoever names certificates for a registry, or says that it is not insecure, wants them verified on this machine too.
    pub(super) fn schemes(&self, registry: &str) -> &'static [Scheme] {
        let careless: &[Scheme] = &[Scheme::UnverifiedHttps, Scheme::Http];
        let here: &[Scheme] = &[Scheme::Http, Scheme::UnverifiedHttps];
        if self.insecure_hosts.iter().any(|host| host == registry || host == host_of(registry)) {
            return if is_loopback(registry) { here } else { careless };
        }
        let settings = self.map.of_registry(registry);
        let said = settings.map(|settings| (settings.plain_http, settings.insecure, trust::names_files(settings)));
        match (said.unwrap_or_default(), self.map.mirror_scheme(registry)) {
            ((Some(true), ..), _) => &[Scheme::Http],
            ((_, Some(true), _), _) => careless,
            ((_, Some(false), _) | (.., true), _) => &[Scheme::Https],
            (_, Some(true)) => &[Scheme::Http],
            (_, Some(false)) if is_loopback(registry) => &[Scheme::UnverifiedHttps],
            _ if is_loopback(registry) => here,
            _ => &[Scheme::Https],
        }
    }

    /// The client for `host`, which `registry` is, or sends us to, and whose name may lead up to that closeness. Clients
    /// are made when they are wanted: one that verifies needs the system's certificates, which a machine that pushes to
    /// itself only may not have.
    ///
    /// The certificates that a registry is trusted by also prove its token server and the host of its blobs, as with
    /// docker; our own certificate is shown to the host that it is named for alone. This machine is not reached through a
    /// proxy, whatever `NO_PROXY` says, as with every program written in Go.
    ///
    /// None of them follows redirects: [`super::request`] does, by our rules.
    pub(super) fn client(
        &self,
        registry: &str,
        host: &str,
        verified: bool,
        limit: Closeness,
    ) -> Result<reqwest::Client, Error> {
        let host = canonical_registry(host);
        let (of_registry, of_host) = (self.trust(registry)?, self.trust(&host)?);
        let mut trusting = vec![(registry, &of_registry), (&host, &of_host)];
        trusting.dedup_by_key(|(name, _)| *name);
        trusting.retain(|(_, trust)| verified && !trust.roots.is_empty());
        let kind = Kind {
            trusting: trusting.iter().map(|(name, _)| (*name).to_owned()).collect(),
            showing: of_host.identity.is_some().then(|| host.clone()),
            verified,
            limit,
            proxies: !is_loopback(&host),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let free = self.proxies.hosts();
        let mut builder = http::builder().redirect(redirect::Policy::none()).dns_resolver(Resolver {
            addresses: Arc::clone(&self.addresses),
            limit,
            free,
        });
        builder = if verified {
            let own = trusting.iter().flat_map(|(_, trust)| &trust.roots);
            builder.tls_certs_merge(self.roots.iter().chain(own).cloned())
        } else {
            builder.tls_danger_accept_invalid_certs(true)
        };
        if let Some((_, identity)) = &of_host.identity {
            builder = builder.identity(identity.clone());
        }
        if !kind.proxies {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|source| match (&of_host.identity, find::<rustls::Error>(&source)) {
            // A key of another certificate shows only now.
            (Some((path, _)), Some(reason)) => {
                Error::Certificates { path: path.clone(), source: TrustError::Unusable(reason.to_string()) }
            }
            _ => Error::Setup { source },
        })?;
        clients.insert(kind, client.clone());
        Ok(client)
    }

    /// The proxy through which `url` is asked for, without its login.
    pub(super) fn proxy_of(&self, url: &Url) -> Option<String> {
        self.proxies.of(url).filter(|_| !url.host_str().is_some_and(is_loopback))
    }

    /// How close the registry at `url` is: what a proxy reaches under a name that this machine does not know is public.
    pub(super) async fn closeness_of(&self, url: &Url, authority: &str) -> Closeness {
        if self.proxy_of(url).is_none() {
            return closeness_of(&self.addresses, authority).await;
        }
        let found = farthest(&self.addresses, host_of(authority)).await;
        found.map_or(Closeness::Public, |found| Closeness::of(found.address))
    }

    /// Refuses a name that leads closer than `limit` where the client's own resolver does not: a proxy resolves names
    /// itself, and the proxy's own name may lead anywhere. So the name is looked up here before the proxy is asked for it.
    /// One that this machine does not know is left to the proxy, whose rules hold for whatever it reaches.
    pub(super) async fn check_name(&self, url: &Url, limit: Closeness) -> Result<(), TooClose> {
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        let unseen = self.proxy_of(url).is_none() && !self.proxies.hosts().iter().any(|host| host == name);
        if limit == Closeness::Loopback || unseen {
            return Ok(());
        }
        let mut seen = self.seen.lock().await;
        let found = if let Some(found) = seen.get(name) {
            found.clone()
        } else {
            let found = farthest(&self.addresses, name).await;
            seen.insert(name.to_owned(), found.clone());
            found
        };
        match found {
            Some(found) if Closeness::of(found.address) > limit => Err(found),
            _ => Ok(()),
        }
    }
}

/// The name that led too close, when that is why no connection was made.
pub(super) fn too_close(error: &reqwest::Error) -> Option<TooClose> {
    find::<TooClose>(error).cloned()
}

/// What a failure to connect to `registry`, through `proxy` if there is one, means.
pub(super) fn connect_error(registry: &str, proxy: Option<String>, error: reqwest::Error) -> Error {
    let variable = match error.url() {
        _ if is_loopback(registry) => None,
        Some(url) if url.scheme() == "http" => Some("HTTP_PROXY"),
        _ => Some("HTTPS_PROXY"),
    };
    let (registry, source) = (registry.to_owned(), error.without_url());
    match (find::<rustls::Error>(&source), proxy) {
        (Some(rustls::Error::InvalidMessage(_)), None) => Error::NotTls { registry, source },
        (Some(rustls::Error::InvalidCertificate(_)), _) => Error::Untrusted { registry, source },
        _ if is_about_us(&source) => Error::ClientCertificate { registry, source },
        (_, Some(proxy)) if wants_login(&source) => {
            Error::ProxyLogin { registry, proxy, variable: variable.unwrap_or("HTTPS_PROXY") }
        }
        (_, Some(proxy)) => Error::Proxy { registry, proxy, source },
        (_, None) => Error::Unreachable { registry, answered: false, variable, source },
    }
}

/// The words of the innermost cause: of some failures that is all that the libraries let out.
fn innermost(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        words = cause.to_string();
        next = cause.source();
    }
    words
}

/// True for what a server says of our certificate, or of its lack. By TLS 1.3 it says so only when the connection stands.
fn is_about_us(error: &reqwest::Error) -> bool {
    let alerts = ["CertificateRequired", "BadCertificate", "UnknownCA", "CertificateExpired", "CertificateUnknown"];
    innermost(error).strip_prefix("received fatal alert: ").is_some_and(|alert| alerts.contains(&alert))
}

/// True for a connection that stood and was closed before anything was said on it: what a server has to say of a
/// certificate of ours may be lost by that.
pub(super) fn is_closed_unheard(error: &reqwest::Error) -> bool {
    ["connection closed", "connection was not ready", "channel closed"]
        .iter()
        .any(|words| innermost(error).contains(words))
}

/// True when a proxy answered 407.
fn wants_login(error: &reqwest::Error) -> bool {
    innermost(error).ends_with("proxy authorization required")
}

/// True for a connection that stood, or nearly so, and was cut: it may stand the next time.
pub(super) fn is_reset(error: &reqwest::Error) -> bool {
    too_close(error).is_none() && http::is_reset(error)
}

#[cfg(test)]
mod tests {
    use super::super::CredentialEnvironment;
    use super::*;
    use crate::registry_map::RegistrySettings;
    use crate::store::Store;

    #[test]
    fn a_registry_is_spoken_to_as_it_is_said_to_be() {
        use Scheme::{Http, Https, UnverifiedHttps};
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(Store::open(folder.path()).unwrap(), CredentialEnvironment::default());
        options.proxies = Proxies::default();
        options.insecure_hosts = vec!["flag.lan".to_owned(), "localhost:4".to_owned()];
        let none = RegistrySettings::default;
        let mirrors = ["http://plain.lan", "https://localhost:3"].map(|mirror| mirror.parse().unwrap());
        let tables = [
            ("insecure.lan", RegistrySettings { insecure: Some(true), ..none() }),
            ("http.lan", RegistrySettings { plain_http: Some(true), ..none() }),
            ("localhost:1", RegistrySettings { insecure: Some(false), ..none() }),
            ("localhost:2", RegistrySettings { ca: Some(vec!["/ca.pem".into()]), ..none() }),
            ("localhost:4", RegistrySettings { insecure: Some(false), ..none() }),
            ("mirrored.lan", RegistrySettings { mirrors: Some(mirrors.into()), ..none() }),
        ];
        options.map.overlay(tables.into_iter().map(|(key, settings)| (key.parse().unwrap(), settings)).collect());
        let transport = Transport::new(&options).unwrap();
        for (registry, expected) in [
            ("docker.io", &[Https][..]),
            ("localhost:5000", &[Http, UnverifiedHttps]),
            ("flag.lan:5000", &[UnverifiedHttps, Http]),
            ("insecure.lan", &[UnverifiedHttps, Http]),
            // A table is of one port, and so is what it allows.
            ("insecure.lan:5000", &[Https]),
            ("http.lan", &[Http]),
            ("localhost:1", &[Https]),
            ("localhost:2", &[Https]),
            ("localhost:3", &[UnverifiedHttps]),
            ("localhost:4", &[Http, UnverifiedHttps]),
            ("plain.lan", &[Http]),
            ("mirrored.lan", &[Https]),
        ] {
            assert_eq!(transport.schemes(registry), expected, "{registry}");
        }
    }
}
