//! What to do about an error of a registry: lines that can be pasted.

use std::path::Path;

use super::action::{Action, Verb};
use super::address::host_of;
use super::error::Error;
use super::transport::is_closed_unheard;
use super::trust::TrustError;
use crate::hint::Hint;
use crate::invocation::quote;
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

fn hints_of_status(action: &Action, status: u16, anonymous: bool, file: &str) -> Vec<String> {
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
        429 => rate_limited(registry, anonymous, reads, file),
        413 => vec!["the registry, or a proxy before it, limits the size of uploads".to_owned()],
        _ => Vec::new(),
    }
}

/// The ways out of a limit: a login, where none is known, and for what is read a mirror.
fn rate_limited(registry: &str, anonymous: bool, reads: bool, file: &str) -> Vec<String> {
    let mut hints = vec![if anonymous {
        format!("`{registry}` limits requests: wait, or log in for a higher limit: {}", login(registry))
    } else {
        format!("`{registry}` limits requests, those of your login too: wait")
    }];
    if reads {
        hints.extend([
            format!("or read from a mirror, in {file}:"),
            format!("[registry.\"{registry}\"]"),
            "mirrors = [\"https://mirror.example.com\"]".to_owned(),
        ]);
    }
    hints
}

/// How a certificate of ours is named.
fn certificate_of_ours(registry: &str, file: &str) -> Vec<String> {
    vec![
        format!("in {file}: registry.\"{registry}\".client_certificate = \"client.pem\""),
        format!("and its key: registry.\"{registry}\".client_key = \"client.key\""),
    ]
}

/// What to do about a file of certificates.
fn hints_of_file(path: &Path, source: &TrustError, file: &str) -> Vec<String> {
    let name = |registry: &str, certificate: &Path| {
        vec![
            format!("in {file}:"),
            format!("[registry.\"{registry}\"]"),
            format!("client_certificate = {}", toml::Value::from(certificate.display().to_string())),
        ]
    };
    match source {
        TrustError::None | TrustError::Malformed | TrustError::NoPair | TrustError::Unusable(_) => {
            vec![format!("see what it holds: openssl x509 -noout -text -in {}", quote(&path.display().to_string()))]
        }
        TrustError::Several { registry, .. } => {
            let mut hints = name(registry, path);
            hints.push(format!("client_key = {}", toml::Value::from(path.with_extension("key").display().to_string())));
            hints
        }
        TrustError::KeyAlone { registry } => name(registry, &path.with_extension("pem")),
        TrustError::Unreadable(_) | TrustError::NoKey(_) | TrustError::NoCertificate(_) => Vec::new(),
    }
}

impl Hint for Error {
    fn hints(&self) -> Vec<String> {
        self.hints_by("anyarch.toml")
    }
}

impl Error {
    /// The hints where `file` is what says of registries how they are spoken to.
    pub(super) fn hints_by(&self, file: &str) -> Vec<String> {
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
                hints.extend(certificate_of_ours(registry, file));
                hints
            }
            Self::Unreachable { registry, variable, .. } => vec![match variable {
                Some(variable) => format!("check the name `{registry}`, the network and {variable}"),
                None => format!("check the name `{registry}`, and that the registry runs"),
            }],
            Self::NotTls { registry, .. } => {
                vec![format!("if it is meant to speak plain http, add `--insecure-registry {registry}`")]
            }
            Self::Certificates { path, source } => hints_of_file(path, source, file),
            Self::ProxyVariable { variable } => vec![format!("export {variable}=http://proxy.example.com:3128")],
            Self::Proxy { registry, .. } => vec![
                "check the variables HTTPS_PROXY, HTTP_PROXY and ALL_PROXY".to_owned(),
                format!("or go without it: export NO_PROXY={}", host_of(registry)),
            ],
            Self::ProxyLogin { proxy, variable, .. } => {
                let proxy = proxy.replacen("://", "://USER:PASSWORD@", 1);
                vec![format!("give it a login: export {variable}={proxy}")]
            }
            Self::Offline { .. } | Self::NeverResolved { .. } => {
                vec!["run it once with a network: without `--offline`".to_owned()]
            }
            Self::ClientCertificate { registry, .. } => certificate_of_ours(registry, file),
            Self::Untrusted { registry, .. } => vec![
                "name the certificate of its authority: SSL_CERT_FILE=/path/ca.pem".to_owned(),
                format!("or in {file}: registry.\"{registry}\".ca = \"ca.pem\""),
                format!("or, if nobody else can be on the wire, add `--insecure-registry {registry}`"),
            ],
            Self::Status { action, status, anonymous, .. } => {
                hints_of_status(action, status.as_u16(), *anonymous, file)
            }
            Self::Token { registry, status, anonymous, reads, .. } => match status.as_u16() {
                401 | 403 => vec![denied(registry, *anonymous)],
                429 => rate_limited(registry, *anonymous, *reads, file),
                _ => Vec::new(),
            },
            // Before anything was asked for, nobody knows by whom, nor what for.
            Self::Busy { registry, status, .. } if status.as_u16() == 429 => {
                vec![format!("`{registry}` limits requests: wait")]
            }
            Self::LoginRefused { .. } => vec![
                "check the user name and the password; many registries want an access token in place of the password"
                    .to_owned(),
            ],
            Self::NotKept { action, .. } => {
                vec![format!("see whether it is a registry that answers: curl -iL {}/v2/", action.repository.api_host())]
            }
            Self::PartRefused { .. } => {
                vec!["a proxy before the registry may limit the size of requests: raise its limit to 1 MB or more".to_owned()]
            }
            Self::Store { source, .. } => source.hints(),
            Self::GaveUp { source, .. } | Self::Source { source, .. } => source.hints_by(file),
            _ => Vec::new(),
        }
    }
}
