//! What can go wrong with a registry, and what to do about it. No variant holds a secret: URLs are reduced to hosts,
//! because the queries of signed ones are as good as passwords.

mod meaning;

use std::path::PathBuf;
use std::time::Duration;

use super::action::Action;
use super::credentials::CredentialError;
use super::refusal::{Refusal, TargetKind};
use super::trust::TrustError;
use crate::blob::Digest;
use crate::reference::Reference;
use crate::store::StoreError;

/// What can go wrong with a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client can be made, mostly because there are no trusted certificates.
    #[error("the HTTP client cannot be set up")]
    Setup {
        /// what is missing
        #[source]
        source: reqwest::Error,
    },
    /// A file of certificates to trust cannot be used.
    #[error("the certificates in `{path}` cannot be read")]
    Certificates {
        /// the file
        path: PathBuf,
        /// why not
        #[source]
        source: TrustError,
    },
    /// A variable that is to name a proxy names none.
    #[error("the variable `{variable}` does not name a proxy")]
    ProxyVariable {
        /// its name; its text may hold a password
        variable: &'static str,
    },
    /// No connection through the proxy.
    #[error("the registry `{registry}` cannot be reached through the proxy `{proxy}`")]
    Proxy {
        /// the registry
        registry: String,
        /// scheme, host and port
        proxy: String,
        /// why not
        #[source]
        source: reqwest::Error,
    },
    /// The proxy knows us not.
    #[error(
        "the proxy `{proxy}`, through which the registry `{registry}` is reached, asks for a login or refuses ours"
    )]
    ProxyLogin {
        /// the registry
        registry: String,
        /// scheme, host and port
        proxy: String,
        /// which variable names it for such registries
        variable: &'static str,
    },
    /// Nobody may be asked.
    #[error("the registry `{registry}` is not asked: this is a run with `--offline`")]
    Offline {
        /// the registry
        registry: String,
    },
    /// Nobody may be asked, and nobody was before.
    #[error("the tag `{reference}` was never resolved, and this is a run with `--offline`")]
    NeverResolved {
        /// the image
        reference: Reference,
    },
    /// The login cannot be found out.
    #[error("the login for the registry `{registry}` cannot be found out")]
    Credentials {
        /// the registry
        registry: String,
        /// what is wrong
        #[source]
        source: Box<CredentialError>,
    },
    /// No connection.
    #[error("the registry `{registry}` cannot be reached")]
    Unreachable {
        /// the registry
        registry: String,
        /// which variable could name a proxy to it; none for this machine
        variable: Option<&'static str>,
        /// true when it answered before, in this run
        answered: bool,
        /// why not
        #[source]
        source: reqwest::Error,
    },
    /// A name that no URL can hold.
    #[error("`{registry}` cannot be part of a URL")]
    Name {
        /// the registry
        registry: String,
        /// why not
        #[source]
        source: url::ParseError,
    },
    /// The registry is in trouble, or we asked too often, before anything could be asked for.
    #[error(
        "the registry `{registry}` answered {status}{}",
        wait.map(|wait| format!(" and asks to wait {} s", wait.as_secs())).unwrap_or_default()
    )]
    Busy {
        /// the registry
        registry: String,
        /// the HTTP status
        status: reqwest::StatusCode,
        /// `Retry-After`
        wait: Option<Duration>,
    },
    /// No connection to a host that the registry sends us to.
    #[error("`{target}`, to which the registry `{registry}` sends us, cannot be reached")]
    TargetUnreachable {
        /// the registry
        registry: String,
        /// the other host
        target: String,
        /// why not
        #[source]
        source: reqwest::Error,
    },
    /// TLS was spoken to a server that does not speak it.
    #[error("the registry `{registry}` does not speak https")]
    NotTls {
        /// the registry
        registry: String,
        /// what the TLS library said
        #[source]
        source: reqwest::Error,
    },
    /// The certificate does not prove that this is the registry.
    #[error("the certificate of the registry `{registry}` is not trusted")]
    Untrusted {
        /// the registry
        registry: String,
        /// what the TLS library said
        #[source]
        source: reqwest::Error,
    },
    /// The registry wants to know who we are, by a certificate.
    #[error("the registry `{registry}` asks for a certificate of ours, or refuses the one that it was shown")]
    ClientCertificate {
        /// the registry
        registry: String,
        /// what the TLS library said
        #[source]
        source: reqwest::Error,
    },
    /// An answer other than success.
    #[error(
        "{action} failed: the registry answered {status}{}{}",
        said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default(),
        wait.map(|wait| format!(" and asks to wait {} s", wait.as_secs())).unwrap_or_default()
    )]
    Status {
        /// what was being done
        action: Box<Action>,
        /// the HTTP status
        status: reqwest::StatusCode,
        /// the codes and messages in the answer
        said: Option<String>,
        /// `Retry-After`
        wait: Option<Duration>,
        /// true when no login was known for the registry
        anonymous: bool,
    },
    /// The connection broke in the middle.
    #[error("{action} failed: the connection broke")]
    Interrupted {
        /// what was being done
        action: Box<Action>,
        /// how
        #[source]
        source: reqwest::Error,
    },
    /// Nothing moved for too long.
    #[error("{action} failed: nothing moved for {} s", after.as_secs())]
    Stalled {
        /// what was being done
        action: Box<Action>,
        /// how long was waited
        after: Duration,
    },
    /// Too little moved for too long.
    #[error("{action} failed: fewer than {least} bytes came in {} s", window.as_secs())]
    TooSlow {
        /// what was being done
        action: Box<Action>,
        /// the least that should have come, in bytes
        least: u64,
        /// in that time
        window: Duration,
    },
    /// A document that took too long to come, or that we were sent about for too long.
    #[error("{action} failed: it was not there after {} s", after.as_secs())]
    TooLong {
        /// what was being done
        action: Box<Action>,
        /// how long was waited
        after: Duration,
    },
    /// A token that took too long to come.
    #[error("the token server of the registry `{registry}` gave no token in {} s", after.as_secs())]
    TokenTooLong {
        /// the registry
        registry: String,
        /// how long was waited
        after: Duration,
    },
    /// The token server refused.
    #[error(
        "the token server `{realm}` of the registry `{registry}` answered {status}{}{}",
        said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default(),
        wait.map(|wait| format!(" and asks to wait {} s", wait.as_secs())).unwrap_or_default()
    )]
    Token {
        /// the registry
        registry: String,
        /// the host of the token server
        realm: String,
        /// the HTTP status
        status: reqwest::StatusCode,
        /// the codes and messages in the answer
        said: Option<String>,
        /// `Retry-After`
        wait: Option<Duration>,
        /// true when no login was known for the registry
        anonymous: bool,
        /// true when the token was to be for reading alone
        reads: bool,
    },
    /// A login that is being tried is wrong.
    #[error(
        "the registry `{registry}` does not accept the login of `{user}`: {} answered {status}{}",
        realm.as_ref().map_or_else(|| "it".to_owned(), |realm| format!("its token server `{realm}`")),
        said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default()
    )]
    LoginRefused {
        /// the registry
        registry: String,
        /// who wants to log in
        user: String,
        /// the host of the token server, when that is who said so
        realm: Option<String>,
        /// the HTTP status
        status: reqwest::StatusCode,
        /// the codes and messages in the answer
        said: Option<String>,
    },
    /// The token server's answer holds no token.
    #[error("the token server `{realm}` of the registry `{registry}` answered without a token")]
    NoToken {
        /// the registry
        registry: String,
        /// the host of the token server
        realm: String,
    },
    /// The registry wants a login of a kind that we do not know.
    #[error("the registry `{registry}` asks for a login of an unknown kind: `{challenge}`")]
    Challenge {
        /// the registry
        registry: String,
        /// what it sent, without parameters
        challenge: String,
    },
    /// The registry sends us where it must not.
    #[error("{} is refused", forbidden_target(registry, *kind, target))]
    Forbidden {
        /// the registry
        registry: String,
        /// how it sends us there
        kind: TargetKind,
        /// scheme and host
        target: String,
        /// why not
        #[source]
        source: Refusal,
    },
    /// An upload was begun and the registry did not say where it goes on.
    #[error("{action} failed: the registry answered {status} without saying where to upload to (no `Location`)")]
    NoLocation {
        /// what was being done
        action: Box<Action>,
        /// the HTTP status
        status: reqwest::StatusCode,
    },
    /// An upload is not known any more: it begins anew.
    #[error(
        "{action} failed: the registry lost the upload and answered {status}{}",
        said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default()
    )]
    Forgotten {
        /// what was being done
        action: Box<Action>,
        /// the HTTP status
        status: reqwest::StatusCode,
        /// what it said
        said: Option<String>,
    },
    /// Not even small parts of a blob are taken.
    #[error("{action} failed: the registry refused a part of {length} bytes as too large")]
    PartRefused {
        /// what was being done
        action: Box<Action>,
        /// of the part, in bytes
        length: u64,
    },
    /// The registry that a blob comes from failed, not the one that it goes to.
    #[error("{action} failed: its bytes cannot be had")]
    Source {
        /// what was being done
        action: Box<Action>,
        /// what was wrong there
        #[source]
        source: Box<Error>,
    },
    /// Other bytes than the digest promises.
    #[error("{action} failed: the registry sent other content")]
    WrongContent {
        /// what was being done
        action: Box<Action>,
        /// what was expected and what came
        #[source]
        source: StoreError,
    },
    /// Fewer bytes than promised.
    #[error("{action} failed: the registry sent {actual} of {expected} bytes")]
    Truncated {
        /// what was being done
        action: Box<Action>,
        /// size in bytes
        expected: u64,
        /// what came, in bytes
        actual: u64,
    },
    /// More bytes than promised, or than we take.
    #[error("{action} failed: the registry sends more than {limit} bytes")]
    TooLarge {
        /// what was being done
        action: Box<Action>,
        /// the limit in bytes
        limit: u64,
    },
    /// The registry keeps something else than what was sent to it.
    #[error("{action} failed: the registry stored it as {actual}, but it is {expected}")]
    StoredOtherwise {
        /// what was being done
        action: Box<Action>,
        /// the digest of what was sent
        expected: Digest,
        /// what the registry says
        actual: String,
    },
    /// What was taken is not there afterwards: it may be no registry that answers.
    #[error("{action} failed: the registry answered {status} and did not keep it")]
    NotKept {
        /// what was being done
        action: Box<Action>,
        /// the HTTP status
        status: reqwest::StatusCode,
    },
    /// A manifest that was packed on the way, against what was asked for.
    #[error("{action} failed: the registry sent it packed as `{encoding}`, which was not asked for")]
    Encoded {
        /// what was being done
        action: Box<Action>,
        /// `gzip`
        encoding: String,
    },
    /// The manifest is none that we can use.
    #[error("{action} failed: {reason}")]
    Manifest {
        /// what was being done
        action: Box<Action>,
        /// what is wrong with it
        reason: &'static str,
    },
    /// A file to upload cannot be read, or is not what it should be.
    #[error("{action} failed: `{path}` cannot be read")]
    File {
        /// what was being done
        action: Box<Action>,
        /// the file
        path: PathBuf,
        /// why not
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error("{action} failed")]
    Store {
        /// what was being done
        action: Box<Action>,
        /// what is wrong with the store
        #[source]
        source: StoreError,
    },
    /// A passing failure that did not pass.
    #[error("{source} (tried {attempts} times in {} s)", elapsed.as_secs())]
    GaveUp {
        /// how often was tried
        attempts: u32,
        /// from the first attempt to the last failure
        elapsed: Duration,
        /// the last failure; its own sources follow
        source: Box<Error>,
    },
}

fn forbidden_target(registry: &str, kind: TargetKind, target: &str) -> String {
    match kind {
        TargetKind::Realm => format!("the token server `{target}` that the registry `{registry}` names"),
        TargetKind::Redirect => format!("the redirect to `{target}` by the registry `{registry}`"),
        TargetKind::Upload => format!("the upload to `{target}` that the registry `{registry}` asks for"),
    }
}
