//! Turns logins into what goes into the `Authorization` header: one token for each registry and set of scopes, fetched
//! once however many wait for it, and again shortly before it ends.
//! <https://distribution.github.io/distribution/spec/auth/token/>, <https://distribution.github.io/distribution/spec/auth/oauth/>.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::challenge::Challenge;
use super::credentials::{Credential, Secret};
use super::error::Error;
use super::host::{Host, Line};
use super::refusal::{Refusal, TargetKind};
use super::target::{Target, admit, shown, unreachable};
use super::transport::{READ_TIMEOUT, Transport};
use super::{Inner, answer};
use crate::reference::Repository;

/// How long a token lives whose server does not say, by the token specification.
const UNSTATED_LIFE: Duration = Duration::from_mins(1);
/// The most of a token server's answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What a token is to be good for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Nothing: a token that shows only who asks.
    pub(super) fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Reading `repository`.
    pub(super) fn pull(repository: &Repository) -> Self {
        Self(BTreeSet::from([format!("repository:{}:pull", repository.path)]))
    }

    /// Reading and writing `repository`.
    pub(super) fn push(repository: &Repository) -> Self {
        Self(BTreeSet::from([format!("repository:{}:pull,push", repository.path)]))
    }

    /// These, and reading `source`: what a mount takes.
    pub(super) fn and_pull(mut self, source: &Repository) -> Self {
        self.0.extend(Self::pull(source).0);
        self
    }
}

/// What a request is authorized by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    None,
    Basic { user: String, password: Secret },
    Bearer(Secret),
}

impl Authorization {
    /// The header; `None` for none, and for text that no header can hold.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::None => return None,
            Self::Basic { user, password } => basic(user, password),
            Self::Bearer(token) => format!("Bearer {}", token.reveal()),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn basic(user: &str, password: &Secret) -> String {
    let pair = format!("{user}:{}", password.reveal());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: Secret,
    fresh_until: Instant,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens of one registry.
#[derive(Default)]
pub(super) struct Tokens {
    /// By the repository whose login they were had for, and the scopes.
    slots: Mutex<BTreeMap<(String, Scopes), Slot>>,
}

impl Tokens {
    fn slot(&self, repository: &Repository, scopes: &Scopes) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((repository.path.clone(), scopes.clone())).or_default())
    }

    /// Forgets a token that the registry did not take, unless another has come in its place already.
    pub(super) async fn discard(&self, repository: &Repository, scopes: &Scopes, refused: &Authorization) {
        let slot = self.slot(repository, scopes);
        let mut token = slot.lock().await;
        if token.as_ref().is_some_and(|token| Authorization::Bearer(token.value.clone()) == *refused) {
            *token = None;
        }
    }
}

/// An authorization, and whether no login was known.
pub(super) struct Authorized {
    pub(super) authorization: Authorization,
    pub(super) anonymous: bool,
}

impl Inner {
    /// What a request to `host` for `scopes` is authorized by.
    pub(super) async fn authorize(
        &self,
        host: &Host,
        repository: &Repository,
        scopes: &Scopes,
    ) -> Result<Authorized, Error> {
        let line = self.line(host).await?;
        let Some(challenge) = host.challenge() else {
            // Whoever asks for nothing is given nothing.
            return Ok(Authorized { authorization: Authorization::None, anonymous: true });
        };
        let credential = self
            .credentials
            .find(repository)
            .await
            .map_err(|source| Error::Credentials { registry: host.registry.clone(), source: Box::new(source) })?;
        let anonymous = credential.is_none();
        let authorization = match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                Authorization::Basic { user, password }
            }
            (Challenge::Basic, Some(Credential::Identity(_)) | None) => Authorization::None,
            (_, Some(Credential::Token(token))) => Authorization::Bearer(token),
            (Challenge::Bearer { realm, service }, credential) => {
                let slot = host.tokens.slot(repository, scopes);
                // Held while the token is fetched: that is what makes all others wait for this one.
                let mut token = slot.lock().await;
                let fresh = token.as_ref().filter(|token| token.fresh_until > Instant::now()).cloned();
                let fresh = if let Some(fresh) = fresh {
                    fresh
                } else {
                    let request = TokenRequest { realm: &realm, service: service.as_deref(), scopes };
                    let after = self.patience.document;
                    let fetching = self.fetch_token(host, line, &request, credential.as_ref());
                    let late = |_| Error::TokenTooLong { registry: host.registry.clone(), after };
                    tokio::time::timeout(after, fetching).await.map_err(late)??
                };
                *token = Some(fresh.clone());
                Authorization::Bearer(fresh.value)
            }
        };
        Ok(Authorized { authorization, anonymous })
    }

    /// Asks the token server that `request` names, if that is a place to go to.
    ///
    /// An identity token is changed by POST. Where the server says that it does not do that (404, 405), or does not
    /// understand it or the token (400, 401), it is shown as a password, as containerd does.
    pub(super) async fn fetch_token(
        &self,
        host: &Host,
        line: &Line,
        request: &TokenRequest<'_>,
        credential: Option<&Credential>,
    ) -> Result<Token, Error> {
        let url = request.url(host)?;
        let target = admit(&self.transport, host, line, TargetKind::Realm, None, &url).await?;
        let realm =
            Realm { transport: &self.transport, host, target: &target, url: &url, anonymous: credential.is_none() };
        match credential {
            Some(Credential::Identity(identity)) => {
                let form = request.exchange(identity);
                let post = target.client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
                let error = match realm.ask(post.body(form)).await {
                    Err(error @ Error::Token { status, .. }) if matches!(status.as_u16(), 400 | 401 | 404 | 405) => {
                        error
                    }
                    answered => return answered,
                };
                let shown = Authorization::Basic { user: String::new(), password: identity.clone() };
                match realm.ask(realm.get(request.query(url.clone(), None), &shown)).await {
                    // A server that knows what POST is has said why it gives nothing.
                    Err(Error::Token { .. }) if matches!(error.status(), Some(400 | 401)) => Err(error),
                    answered => answered,
                }
            }
            Some(Credential::Password { user, password }) => {
                let basic = Authorization::Basic { user: user.clone(), password: password.clone() };
                realm.ask(realm.get(request.query(url.clone(), Some(user)), &basic)).await
            }
            Some(Credential::Token(_)) | None => {
                realm.ask(realm.get(request.query(url.clone(), None), &Authorization::None)).await
            }
        }
    }
}

/// A token server that may be asked.
struct Realm<'realm> {
    transport: &'realm Transport,
    host: &'realm Host,
    target: &'realm Target,
    url: &'realm Url,
    anonymous: bool,
}

impl Realm<'_> {
    fn get(&self, url: Url, authorization: &Authorization) -> reqwest::RequestBuilder {
        let builder = self.target.client.get(url);
        match authorization.header() {
            Some(header) => builder.header(reqwest::header::AUTHORIZATION, header),
            None => builder,
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Token, Error> {
        let broken = |error| unreachable(self.transport, self.host, self.target, TargetKind::Realm, self.url, error);
        let asked = Instant::now();
        let response = request.timeout(READ_TIMEOUT).send().await.map_err(broken)?;
        let (registry, realm) = (self.host.registry.clone(), shown(self.url));
        if !response.status().is_success() {
            let (status, wait) = (response.status(), answer::wait_asked(&response));
            let said = answer::said(response).await;
            return Err(Error::Token { registry, realm, status, said, wait, anonymous: self.anonymous });
        }
        let body = read_answer(response).await.map_err(broken)?;
        body.and_then(|body| read_token(&body, asked)).ok_or(Error::NoToken { registry, realm })
    }
}

/// What is asked of a token server.
pub(super) struct TokenRequest<'request> {
    pub(super) realm: &'request str,
    pub(super) service: Option<&'request str>,
    pub(super) scopes: &'request Scopes,
}

impl TokenRequest<'_> {
    fn url(&self, host: &Host) -> Result<Url, Error> {
        Url::parse(self.realm).ok().filter(Url::has_host).ok_or_else(|| Error::Forbidden {
            registry: host.registry.clone(),
            kind: TargetKind::Realm,
            target: answer::printable(self.realm),
            source: Refusal::NotHttp,
        })
    }

    /// A GET's URL: every scope in a parameter of its own.
    fn query(&self, mut url: Url, user: Option<&str>) -> Url {
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(self.service.map(|service| ("service", service)));
            pairs.extend_pairs(self.scopes.0.iter().map(|scope| ("scope", scope)));
            pairs.extend_pairs(user.map(|user| ("account", user)));
        }
        url
    }

    /// A POST's body: all scopes in one parameter.
    fn exchange(&self, identity: &Secret) -> String {
        let scopes: Vec<&str> = self.scopes.0.iter().map(String::as_str).collect();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "anyarch");
        form.extend_pairs(self.service.map(|service| ("service", service)));
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        form.append_pair("refresh_token", identity.reveal());
        form.finish()
    }
}

/// The whole answer; `None` when it is too long.
async fn read_answer(mut response: reqwest::Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

/// Reads the answer; a token counts as fresh for its life, less a quarter of it or 30 s.
fn read_token(body: &[u8], asked: Instant) -> Option<Token> {
    let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
    let value = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty())?;
    HeaderValue::try_from(format!("Bearer {value}")).ok()?;
    let life = answer
        .expires_in
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.min(86_400.0)).ok())
        .unwrap_or(UNSTATED_LIFE);
    let margin = (life / 4).min(Duration::from_secs(30));
    Some(Token { value: Secret::new(value), fresh_until: asked + life.saturating_sub(margin) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_under_two_names_and_end_early() {
        let now = Instant::now();
        for (body, expected) in [
            (r#"{"token":"a"}"#, Some(("a", 45))),
            (r#"{"access_token":"b","expires_in":300}"#, Some(("b", 270))),
            (r#"{"token":"","access_token":"b","expires_in":0}"#, Some(("b", 45))),
            (r#"{"token":"a","expires_in":1e300}"#, Some(("a", 86_370))),
            (r#"{"token":"a\nb"}"#, None),
            ("{}", None),
            ("no", None),
        ] {
            let token = read_token(body.as_bytes(), now);
            let found = token.as_ref().map(|token| (token.value.reveal(), (token.fresh_until - now).as_secs()));
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn a_mount_asks_for_both_repositories_in_one_token() {
        let (target, source): (Repository, Repository) = ("reg/a".parse().unwrap(), "reg.example/b".parse().unwrap());
        let scopes = Scopes::push(&target).and_pull(&source);
        let request = TokenRequest { realm: "https://auth/token?x=1", service: Some("the reg"), scopes: &scopes };
        let url = request.query(Url::parse(request.realm).unwrap(), Some("me"));
        assert_eq!(
            url.query(),
            Some("x=1&service=the+reg&scope=repository%3Ab%3Apull&scope=repository%3Areg%2Fa%3Apull%2Cpush&account=me")
        );
        assert_eq!(
            request.exchange(&Secret::new("id")),
            "grant_type=refresh_token&client_id=anyarch&service=the+reg&scope=repository%3Ab%3Apull+repository%3Areg%2Fa%3Apull%2Cpush&refresh_token=id"
        );
    }

    #[test]
    fn authorization_never_prints() {
        let authorization = Authorization::Basic { user: "me".to_owned(), password: Secret::new("p") };
        assert_eq!(authorization.header().unwrap(), "Basic bWU6cA==");
        assert_eq!(format!("{:?}", authorization.header()), "Some(Sensitive)");
        assert_eq!(format!("{:?}", Authorization::Bearer(Secret::new("t"))), "Bearer(***)");
    }
}
