//! One registry as we found it: how it is spoken to, how it wants to be logged in to, and the tokens it gave us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use super::address::Closeness;
use super::challenge::{self, Challenge};
use super::error::Error;
use super::memory::Memory;
use super::patience::Patience;
use super::reader::Reader;
use super::token::Tokens;
use super::transport::{Scheme, Transport, connect_error};
use super::{answer, retry};
use crate::reference::Repository;
use crate::store::Store;

/// One registry.
pub(super) struct Host {
    /// as references name it
    pub(super) registry: String,
    /// as its API is reached
    authority: String,
    /// as an earlier run found it, until that turns out to be wrong
    remembered: OnceCell<Option<Remembered>>,
    /// whether it answered as it was remembered
    confirmed: AtomicBool,
    /// whether it did not
    refuted: AtomicBool,
    line: OnceCell<Line>,
    challenge: RwLock<Option<Challenge>>,
    pub(super) tokens: Tokens,
    pub(super) reader: Mutex<Reader>,
}

/// What an earlier run found, and the way that it leads to.
pub(super) struct Remembered {
    memory: Memory,
    pub(super) line: Line,
}

/// The way to a registry that turned out to work.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// `https://registry-1.docker.io/v2/`
    pub(super) root: Url,
    /// how it is spoken to
    pub(super) scheme: Scheme,
    /// how close it is, and so how close it may send us
    pub(super) closeness: Closeness,
    /// the client for the registry itself
    pub(super) own: reqwest::Client,
}

impl Host {
    pub(super) fn new(repository: &Repository) -> Self {
        Self {
            registry: repository.registry.clone(),
            authority: repository.api_host().to_owned(),
            remembered: OnceCell::new(),
            confirmed: AtomicBool::new(false),
            refuted: AtomicBool::new(false),
            line: OnceCell::new(),
            challenge: RwLock::default(),
            tokens: Tokens::default(),
            reader: Mutex::default(),
        }
    }

    /// The way to the registry: that of an earlier run, or else found, once. The one `GET /v2/` of a run also tells how it
    /// wants to be logged in to.
    pub(super) async fn line(
        &self,
        transport: &Transport,
        policy: &retry::RetryPolicy,
        store: &Store,
        patience: &Patience,
    ) -> Result<&Line, Error> {
        if let Some(remembered) = self.remembered(transport, store).await {
            return Ok(&remembered.line);
        }
        let found = self.line.get_or_try_init(|| retry::run(policy, || self.find_line(transport, patience))).await?;
        if !self.confirmed.swap(true, Ordering::Relaxed) {
            self.remember(store, found);
        }
        Ok(found)
    }

    /// How an earlier run found the registry, as long as nothing speaks against it.
    async fn remembered(&self, transport: &Transport, store: &Store) -> Option<&Remembered> {
        if transport.offline || self.refuted.load(Ordering::Relaxed) {
            return None;
        }
        self.remembered.get_or_init(|| self.recall(transport, store)).await.as_ref()
    }

    async fn recall(&self, transport: &Transport, store: &Store) -> Option<Remembered> {
        let memory = Memory::read(store, &self.registry)?;
        let allowed = transport.schemes(&self.registry).contains(&memory.scheme);
        let (root, own) = self.way(transport, memory.scheme).ok().filter(|_| allowed)?;
        // Who answered is not known yet: a name that leads closer or farther than it did is looked at anew.
        let closeness = transport.closeness_of(&root, &self.authority).await;
        if closeness != memory.closeness {
            return None;
        }
        self.challenge.write().unwrap_or_else(PoisonError::into_inner).clone_from(&memory.challenge);
        let line = Line { root, scheme: memory.scheme, closeness, own };
        Some(Remembered { memory, line })
    }

    /// What is believed of the registry and has not been seen in this run.
    pub(super) async fn unproven(&self, transport: &Transport, store: &Store) -> Option<&Remembered> {
        let remembered = self.remembered(transport, store).await;
        remembered.filter(|_| !self.confirmed.load(Ordering::Relaxed))
    }

    /// It answered as was believed.
    pub(super) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// It did not: the way is found anew when it is asked for.
    pub(super) fn refute(&self) {
        self.refuted.store(true, Ordering::Relaxed);
        self.confirmed.store(false, Ordering::Relaxed);
    }

    /// True when `line`, found now, and how the registry wants to be logged in to are as `remembered` has them.
    pub(super) fn is_as_remembered(&self, remembered: &Remembered, line: &Line) -> bool {
        line.scheme == remembered.line.scheme && self.challenge() == remembered.memory.challenge
    }

    /// A URL that was made by what was believed, by the way that was found.
    pub(super) fn set_right(&self, url: &Url, line: &Line) -> Url {
        let believed = self.remembered.get().and_then(Option::as_ref).map(|believed| believed.line.root.as_str());
        let rest = believed.filter(|root| *root != line.root.as_str()).and_then(|root| url.as_str().strip_prefix(root));
        rest.and_then(|rest| line.root.join(rest).ok()).unwrap_or_else(|| url.clone())
    }

    /// Keeps for later runs how the registry is spoken to.
    pub(super) fn remember(&self, store: &Store, line: &Line) {
        let memory = Memory { scheme: line.scheme, closeness: line.closeness, challenge: self.challenge() };
        memory.keep(store, &self.registry);
    }

    async fn find_line(&self, transport: &Transport, patience: &Patience) -> Result<Line, Error> {
        if transport.offline {
            return Err(Error::Offline { registry: self.registry.clone() });
        }
        let mut first_error = None;
        let mut refused_in_the_clear = None;
        for scheme in transport.schemes(&self.registry) {
            match self.try_scheme(transport, *scheme, patience).await {
                // A server that wants TLS answers so to a request in the clear.
                Ok((line, response)) if *scheme == Scheme::Http && response.status() == StatusCode::BAD_REQUEST => {
                    refused_in_the_clear = Some(line);
                }
                Ok((line, response)) => {
                    self.check_status(transport, &line, &response)?;
                    // What was believed of it is not.
                    self.challenge.write().unwrap_or_else(PoisonError::into_inner).take();
                    self.learn(response.headers())?;
                    return Ok(line);
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        match (refused_in_the_clear, first_error) {
            (Some(line), _) => Ok(line),
            (None, Some(error)) => Err(error),
            (None, None) => unreachable!("there is a scheme for every registry, and each fails or returns"),
        }
    }

    /// The API's root by that scheme, and the client for it.
    fn way(&self, transport: &Transport, scheme: Scheme) -> Result<(Url, reqwest::Client), Error> {
        let root = Url::parse(&format!("{}{}/v2/", scheme.prefix(), self.authority))
            .map_err(|source| Error::Name { registry: self.registry.clone(), source })?;
        // The registry itself may be as close as it likes: the user named it.
        let own = transport.client(&self.registry, &self.registry, scheme == Scheme::Https, Closeness::Loopback)?;
        Ok((root, own))
    }

    async fn try_scheme(
        &self,
        transport: &Transport,
        scheme: Scheme,
        patience: &Patience,
    ) -> Result<(Line, Response), Error> {
        let (root, own) = self.way(transport, scheme)?;
        let response = own
            .get(root.clone())
            .timeout(patience.greeting)
            .send()
            .await
            .map_err(|error| connect_error(&self.registry, transport.proxy_of(&root), error))?;
        // The farther of what its name leads to and of who answered: a name that leads elsewhere the second time it is
        // asked for does not bring a registry closer, nor does a proxy.
        let answered = response.remote_addr().map(|address| Closeness::of(address.ip()));
        let named = transport.closeness_of(&root, &self.authority).await;
        let closeness = answered.map_or(named, |answered| answered.min(named));
        Ok((Line { root, scheme, closeness, own }, response))
    }

    /// A server in trouble says nothing about logins: its refusal is tried again by the policy.
    fn check_status(&self, transport: &Transport, line: &Line, response: &Response) -> Result<(), Error> {
        let status = response.status();
        if let Some(proxy) = transport.proxy_of(&line.root).filter(|_| status.as_u16() == 407) {
            let variable = if line.scheme == Scheme::Http { "HTTP_PROXY" } else { "HTTPS_PROXY" };
            return Err(Error::ProxyLogin { registry: self.registry.clone(), proxy, variable });
        }
        if !retry::is_transient(status.as_u16()) {
            return Ok(());
        }
        Err(Error::Busy { registry: self.registry.clone(), status, wait: answer::wait_asked(response) })
    }

    /// Takes in how the registry wants to be logged in to; true when it said so.
    pub(super) fn learn(&self, headers: &HeaderMap) -> Result<bool, Error> {
        let offered: Vec<&str> =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
        if offered.is_empty() {
            return Ok(false);
        }
        let chosen = challenge::choose(offered.iter().copied()).ok_or_else(|| Error::Challenge {
            registry: self.registry.clone(),
            challenge: answer::printable(offered[0].split(' ').next().unwrap_or_default()),
        })?;
        *self.challenge.write().unwrap_or_else(PoisonError::into_inner) = Some(chosen);
        Ok(true)
    }

    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.challenge.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CredentialEnvironment, Options};
    use super::*;

    #[tokio::test]
    async fn what_is_remembered_chooses_only_among_what_is_allowed_now() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut options = Options::new(store.clone(), CredentialEnvironment::default());
        options.insecure_hosts = vec!["192.0.2.1:5000".to_owned()];
        let transport = Transport::new(&options).unwrap();
        for (registry, scheme, closeness, counts) in [
            ("127.0.0.1:5000", Scheme::Http, Closeness::Loopback, true),
            ("127.0.0.1:5000", Scheme::UnverifiedHttps, Closeness::Loopback, true),
            // It was nearer, or farther away.
            ("127.0.0.1:5000", Scheme::Http, Closeness::Public, false),
            ("192.0.2.1:5000", Scheme::Http, Closeness::Loopback, false),
            // Nobody says any more that it is insecure.
            ("192.0.2.2:5000", Scheme::Http, Closeness::of([192, 0, 2, 2].into()), false),
            ("192.0.2.2:5000", Scheme::UnverifiedHttps, Closeness::of([192, 0, 2, 2].into()), false),
        ] {
            Memory { scheme, closeness, challenge: Some(Challenge::Basic) }.keep(&store, registry);
            let host = Host::new(&format!("{registry}/app").parse().unwrap());
            let line = host.unproven(&transport, &store).await.map(|believed| believed.line.scheme);
            assert_eq!(line, counts.then_some(scheme), "{registry} {closeness:?}");
            assert_eq!(host.challenge().is_some(), counts, "{registry}");
            host.refute();
            assert!(host.unproven(&transport, &store).await.is_none());
        }
    }
}
