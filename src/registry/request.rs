//! Sends one request to a registry: authorized, followed through redirects by our rules, and once more with a new login
//! when the registry says 401. Trying again after passing failures is the caller's, for it knows what has to begin anew.

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::action::{Action, Verb};
use super::body::Body;
use super::error::Error;
use super::host::{Host, Line};
use super::refusal::{Refusal, TargetKind};
use super::target::{MOST_REDIRECTS, Target, admit, refused, unreachable};
use super::token::{Authorization, Scopes};
use super::transport::Scheme;
use super::{Inner, answer};
use crate::blob::{MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use crate::reference::Repository;

/// What to ask of a registry.
pub(super) struct Call<'call> {
    pub(super) action: &'call Action,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scopes: &'call Scopes,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    unhurried: bool,
}

/// What came of it, whatever its status.
pub(super) struct Answer {
    pub(super) response: Response,
    /// true when no login was known
    pub(super) anonymous: bool,
    /// the URL that answered
    pub(super) url: Url,
    /// true when that is the registry itself
    pub(super) own: bool,
    /// what the registry was told and must not be shown when it says it
    secrets: Vec<String>,
}

impl<'call> Call<'call> {
    /// A request without headers and body.
    pub(super) fn new(action: &'call Action, method: Method, url: Url, scopes: &'call Scopes) -> Self {
        Self { action, method, url, scopes, headers: HeaderMap::new(), body: Body::Empty, unhurried: false }
    }

    /// Asks for manifests and indexes of the kinds that we read.
    pub(super) fn accept_manifests(mut self) -> Self {
        let kinds = [MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST];
        if let Ok(value) = HeaderValue::try_from(kinds.join(", ")) {
            self.headers.insert(ACCEPT, value);
        }
        self.identity()
    }

    /// Asks for the bytes that have the digest, not for a packed form of them.
    pub(super) fn identity(mut self) -> Self {
        self.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self
    }

    /// Sends `body` as `media_type`.
    pub(super) fn body(mut self, media_type: &str, body: Body) -> Self {
        if let Ok(value) = HeaderValue::try_from(media_type) {
            self.headers.insert(CONTENT_TYPE, value);
        }
        self.body = body;
        self
    }

    /// Leaves it to the caller how long the answer is waited for.
    pub(super) fn unhurried(mut self) -> Self {
        self.unhurried = true;
        self
    }

    /// Whether the caller watches over it, however long it takes.
    fn is_watched(&self) -> bool {
        self.unhurried || matches!(self.body, Body::Blob(_))
    }
}

impl Answer {
    /// The error that this answer is.
    pub(super) async fn into_error(self, action: &Action) -> Error {
        let (status, wait) = (self.response.status(), answer::wait_asked(&self.response));
        let said = answer::said(self.response, &self.secrets).await;
        Error::Status { action: Box::new(action.clone()), status, said, wait, anonymous: self.anonymous }
    }

    /// The answer when its status is one of `expected`, else the error that it is.
    pub(super) async fn expect(self, action: &Action, expected: &[StatusCode]) -> Result<Self, Error> {
        if expected.contains(&self.response.status()) { Ok(self) } else { Err(self.into_error(action).await) }
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

impl Inner {
    /// `https://HOST/v2/REPOSITORY/REST`
    pub(super) async fn url(&self, host: &Host, repository: &Repository, rest: &str) -> Result<Url, Error> {
        let line = self.line(host).await?;
        line.root
            .join(&format!("{}/{rest}", repository.path))
            .map_err(|source| Error::Name { registry: host.registry.clone(), source })
    }

    /// Sends `call`; a 401 is answered with a new token, once. When the registry turns out to be another than an earlier
    /// run found it, the way to it is found anew, once.
    pub(super) async fn send(&self, host: &Host, call: &Call<'_>) -> Result<Answer, Error> {
        let believed = host.unproven(&self.transport, &self.store).await;
        let outcome = self.send_authorized(host, call).await;
        let Some(believed) = believed else { return outcome };
        if !is_doubtful(&outcome, &believed.line) {
            host.confirm();
            return outcome;
        }
        host.refute();
        let line = self.line(host).await?;
        if host.is_as_remembered(believed, line) {
            return outcome;
        }
        self.send_authorized(host, call).await
    }

    async fn send_authorized(&self, host: &Host, call: &Call<'_>) -> Result<Answer, Error> {
        let repository = &call.action.repository;
        let mut again = false;
        loop {
            let authorized = self.authorize(host, repository, call.scopes).await?;
            let following = self.follow(host, call, &authorized.authorization);
            let mut answer = if call.is_watched() {
                following.await?
            } else {
                // Each step has its own patience; a registry that sends us in circles must not add them up.
                let after = self.patience.document;
                let late = |_| Error::TooLong { action: Box::new(call.action.clone()), after };
                tokio::time::timeout(after, following).await.map_err(late)??
            };
            answer.anonymous = authorized.anonymous;
            if answer.response.status() != StatusCode::UNAUTHORIZED || !answer.own || again {
                return Ok(answer);
            }
            let challenged = host.learn(answer.response.headers())?;
            if challenged {
                host.remember(&self.store, self.line(host).await?);
            }
            match &authorized.authorization {
                // The same password would not be taken the second time.
                Authorization::Basic { .. } => return Ok(answer),
                Authorization::Bearer(_) => {
                    host.tokens.discard(repository, call.scopes, &authorized.authorization).await;
                }
                Authorization::None if !challenged => return Ok(answer),
                Authorization::None => {}
            }
            again = true;
        }
    }

    /// Sends `call` to where it belongs and on to where that sends it; only the registry itself is authorized.
    async fn follow(&self, host: &Host, call: &Call<'_>, authorization: &Authorization) -> Result<Answer, Error> {
        let line = self.line(host).await?;
        let kind = if call.action.verb == Verb::UploadBlob { TargetKind::Upload } else { TargetKind::Redirect };
        let mut from = line.root.clone();
        let mut url = host.set_right(&call.url, line);
        for _ in 0..=MOST_REDIRECTS {
            let target = admit(&self.transport, host, line, kind, Some(&from), &url).await?;
            let response = self.send_once(host, call, &target, kind, &url, authorization).await?;
            let next = next_url(&response, &url);
            match next {
                None => {
                    let secrets = authorization.secrets();
                    return Ok(Answer { response, anonymous: false, url, own: target.own, secrets });
                }
                Some(next) => {
                    let next = next.map_err(|shown| Error::Forbidden {
                        registry: host.registry.clone(),
                        kind: TargetKind::Redirect,
                        target: shown,
                        source: Refusal::NotHttp,
                    })?;
                    from = std::mem::replace(&mut url, next);
                }
            }
        }
        Err(refused(host, TargetKind::Redirect, &url, Refusal::TooMany { limit: MOST_REDIRECTS }))
    }

    async fn send_once(
        &self,
        host: &Host,
        call: &Call<'_>,
        target: &Target,
        kind: TargetKind,
        url: &Url,
        authorization: &Authorization,
    ) -> Result<Response, Error> {
        let mut headers = call.headers.clone();
        if target.own
            && let Some(value) = authorization.header()
        {
            headers.insert(AUTHORIZATION, value);
        }
        let mut request = target.client.request(call.method.clone(), url.clone()).headers(headers);
        if call.method != Method::GET && call.method != Method::HEAD {
            request = request.header(CONTENT_LENGTH, call.body.length());
        }
        request = match call.body.open(call.action).await? {
            None => request,
            Some(body) => request.body(body),
        };
        let sending = request.send();
        let sent = if call.is_watched() {
            // Blobs take as long as they take; whoever sends one watches its progress.
            sending.await
        } else {
            let after = self.patience.silence;
            let stalled = |_| Error::Stalled { action: Box::new(call.action.clone()), after };
            tokio::time::timeout(after, sending).await.map_err(stalled)?
        };
        sent.map_err(|error| {
            if error.is_connect() {
                unreachable(&self.transport, host, target, kind, url, error)
            } else {
                Error::Interrupted { action: Box::new(call.action.clone()), source: error.without_url() }
            }
        })
    }

    /// The way to `host`, found by an earlier run or now.
    pub(super) async fn line<'host>(&self, host: &'host Host) -> Result<&'host Line, Error> {
        host.line(&self.transport, &self.policy, &self.store, &self.patience).await
    }

    /// The way to `host` as this run has seen it, for whoever could not tell that an earlier run's is wrong.
    pub(super) async fn proven_line<'host>(&self, host: &'host Host) -> Result<&'host Line, Error> {
        if host.unproven(&self.transport, &self.store).await.is_some() {
            host.refute();
        }
        self.line(host).await
    }
}

/// True for what may come of speaking to a registry, or to its token server, in a way that is no longer its own.
fn is_doubtful(outcome: &Result<Answer, Error>, line: &Line) -> bool {
    match outcome {
        Ok(answer) => match answer.response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => true,
            // A server that wants TLS answers so to a request in the clear.
            StatusCode::BAD_REQUEST => line.scheme == Scheme::Http,
            _ => false,
        },
        Err(Error::Stalled { .. } | Error::TooLong { .. } | Error::Credentials { .. }) => false,
        Err(_) => true,
    }
}

/// Where a redirect leads; an `Err` holds what was to be seen in place of a URL.
fn next_url(response: &Response, url: &Url) -> Option<Result<Url, String>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let text = String::from_utf8_lossy(location.as_bytes());
    let next = url.join(&text).ok().filter(Url::has_host);
    Some(next.ok_or_else(|| answer::printable(text.split('?').next().unwrap_or_default())))
}
