//! What to do about an error of a registry: lines that can be pasted.

use std::path::Path;

use super::action::{Action, Verb};
use super::address::host_of;
use super::error::Error;
use super::transport::is_closed_unheard;
use super::trust::TrustError;
use crate::hint::Hint;
use crate::reference::DOCKER_HUB;

/// The line that logs in where `registry` finds it.
fn login(registry: &str) -> String {
    if registry == DOCKER_HUB { "anyarch login".to_owned() } else { format!("anyarch login {registry}") }
}

fn denied(registry: &str, anonymous: bool) -> String {
    if anonymous {
        format!("no login is known for `{registry}`; log in: {}", login(registry))
    } else {
        format!("the login for `{registry}` was not accepted for this; log in again: {}", login(registry))
    }
}

fn hints_of_status(action: &Action, status: u16, anonymous: bool) -> Vec<String> {
    let registry = &action.repository.registry;
    let reads = matches!(action.verb, Verb::ReadManifest | Verb::ReadBlob);
    match status {
        401 | 403 if reads => vec![
            denied(registry, anonymous),
            format!("registries say so of what does not exist, too: check the name `{}`", action.repository),
        ],
        401 | 403 => vec![denied(registry, anonymous)],
        404 if reads => {
            let mark = if action.subject.contains(':') { '@' } else { ':' };
            vec![format!("check the name and the tag: `{}{mark}{}`", action.repository, action.subject)]
        }
        404 => vec![format!("some registries want `{}` to be created before the first push", action.repository)],
        429 => rate_limited(registry, anonymous, reads),
        413 => vec!["the registry, or a proxy before it, limits the size of uploads".to_owned()],
        _ => Vec::new(),
    }
}

/// The ways out of a limit: a login, where none is known, and for what is read a mirror.
fn rate_limited(registry: &str, anonymous: bool, reads: bool) -> Vec<String> {
    let mut hints = vec![if anonymous {
        format!("`{registry}` limits requests: wait, or log in for a higher limit: {}", login(registry))
    } else {
        format!("`{registry}` limits requests, those of your login too: wait")
    }];
    if reads {
        hints.extend([
            "or read from a mirror, in anyarch.toml:".to_owned(),
            format!("[registry.\"{registry}\"]"),
            "mirrors = [\"https://mirror.example.com\"]".to_owned(),
        ]);
    }
    hints
}

/// How a certificate of ours is named.
fn certificate_of_ours(registry: &str) -> Vec<String> {
    vec![
        format!("in anyarch.toml: registry.\"{registry}\".client_certificate = \"client.pem\""),
        format!("and its key: registry.\"{registry}\".client_key = \"client.key\""),
    ]
}

/// What to do about a file of certificates.
fn hints_of_file(path: &Path, source: &TrustError) -> Vec<String> {
    match source {
        TrustError::None | TrustError::Malformed | TrustError::NoPair | TrustError::Unusable(_) => {
            vec![format!("see what it holds: openssl x509 -noout -text -in {}", path.display())]
        }
        TrustError::Several(_) => vec!["client_certificate = \"client.pem\"".to_owned()],
        TrustError::KeyAlone => vec![format!("client_certificate = \"{}\"", path.with_extension("pem").display())],
        TrustError::Unreadable(_) | TrustError::NoKey(_) | TrustError::NoCertificate(_) => Vec::new(),
    }
}

impl Hint for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Setup { .. } => vec![
                "install the system's certificates (Debian: apt-get install ca-certificates), or name a file: SSL_CERT_FILE=/path/ca.pem"
                    .to_owned(),
            ],
            Self::Credentials { source, .. } => source.hints(),
            Self::Unreachable { registry, source, .. } | Self::Proxy { registry, source, .. }
                if is_closed_unheard(source) =>
            {
                let mut hints = vec!["the registry may want to know who we are:".to_owned()];
                hints.extend(certificate_of_ours(registry));
                hints
            }
            Self::Unreachable { registry, .. } => {
                vec![format!("check the name `{registry}`, the network and HTTPS_PROXY")]
            }
            Self::NotTls { registry, .. } => {
                vec![format!("if it is meant to speak plain http, add `--insecure-registry {registry}`")]
            }
            Self::Certificates { path, source } => hints_of_file(path, source),
            Self::ProxyVariable { variable } => vec![format!("export {variable}=http://proxy.example.com:3128")],
            Self::Proxy { registry, .. } => vec![
                "check the variables HTTPS_PROXY, HTTP_PROXY and ALL_PROXY".to_owned(),
                format!("or go without it: export NO_PROXY={}", host_of(registry)),
            ],
            Self::ProxyLogin { proxy, .. } => {
                let proxy = proxy.replacen("://", "://USER:PASSWORD@", 1);
                vec![format!("give it a login: export HTTPS_PROXY={proxy}")]
            }
            Self::Offline { .. } | Self::NeverResolved { .. } => {
                vec!["run it once with a network: without `--offline`".to_owned()]
            }
            Self::ClientCertificate { registry, .. } => certificate_of_ours(registry),
            Self::Untrusted { registry, .. } => vec![
                "name the certificate of its authority: SSL_CERT_FILE=/path/ca.pem".to_owned(),
                format!("or in anyarch.toml: registry.\"{registry}\".ca = \"ca.pem\""),
                format!("or, if nobody else can be on the wire, add `--insecure-registry {registry}`"),
            ],
            Self::Status { action, status, anonymous, .. } => hints_of_status(action, status.as_u16(), *anonymous),
            Self::Token { registry, status, anonymous, .. } => match status.as_u16() {
                401 | 403 => vec![denied(registry, *anonymous)],
                429 => rate_limited(registry, *anonymous, true),
                _ => Vec::new(),
            },
            Self::Busy { registry, status, .. } if status.as_u16() == 429 => rate_limited(registry, true, true),
            Self::LoginRefused { .. } => vec![
                "check the user name and the password; many registries want an access token in place of the password"
                    .to_owned(),
            ],
            Self::PartRefused { .. } => {
                vec!["a proxy before the registry may limit the size of requests: raise its limit to 1 MB or more".to_owned()]
            }
            Self::Store { source, .. } => source.hints(),
            Self::GaveUp { source, .. } | Self::Source { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}
