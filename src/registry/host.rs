//! One registry as we found it: how it is spoken to, how it wants to be logged in to, and the tokens it gave us.

use std::sync::{Mutex, PoisonError, RwLock};

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use super::address::Closeness;
use super::challenge::{self, Challenge};
use super::error::Error;
use super::patience::Patience;
use super::reader::Reader;
use super::token::Tokens;
use super::transport::{Scheme, Transport, connect_error};
use super::{answer, retry};
use crate::reference::Repository;

/// One registry.
pub(super) struct Host {
    /// as references name it
    pub(super) registry: String,
    /// as its API is reached
    authority: String,
    line: OnceCell<Line>,
    challenge: RwLock<Option<Challenge>>,
    pub(super) tokens: Tokens,
    pub(super) reader: Mutex<Reader>,
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
            line: OnceCell::new(),
            challenge: RwLock::default(),
            tokens: Tokens::default(),
            reader: Mutex::default(),
        }
    }

    /// Finds the way to the registry, once: the one `GET /v2/` of a run also tells how it wants to be logged in to.
    pub(super) async fn line(
        &self,
        transport: &Transport,
        policy: &retry::RetryPolicy,
        patience: &Patience,
    ) -> Result<&Line, Error> {
        self.line.get_or_try_init(|| retry::run(policy, || self.find_line(transport, patience))).await
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

    async fn try_scheme(
        &self,
        transport: &Transport,
        scheme: Scheme,
        patience: &Patience,
    ) -> Result<(Line, Response), Error> {
        let root = Url::parse(&format!("{}{}/v2/", scheme.prefix(), self.authority))
            .map_err(|source| Error::Name { registry: self.registry.clone(), source })?;
        // The registry itself may be as close as it likes: the user named it.
        let own = transport.client(&self.registry, &self.registry, scheme == Scheme::Https, Closeness::Loopback)?;
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
            return Err(Error::ProxyLogin { registry: self.registry.clone(), proxy });
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
