//! What to do about an error of a registry: lines that can be pasted.

use super::action::{Action, Verb};
use super::error::Error;
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
        429 => rate_limited(registry),
        413 => vec!["the registry, or a proxy before it, limits the size of uploads".to_owned()],
        _ => Vec::new(),
    }
}

fn rate_limited(registry: &str) -> Vec<String> {
    vec![
        format!("`{registry}` limits requests: wait, or log in for a higher limit: {}", login(registry)),
        "or name a mirror or a copy of the image in another registry".to_owned(),
    ]
}

impl Hint for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Setup { .. } => vec![
                "install the system's certificates (Debian: apt-get install ca-certificates), or name a file: SSL_CERT_FILE=/path/ca.pem"
                    .to_owned(),
            ],
            Self::Credentials { source, .. } => source.hints(),
            Self::Unreachable { registry, .. } => {
                vec![format!("check the name `{registry}`, the network and HTTPS_PROXY")]
            }
            Self::NotTls { registry, .. } => {
                vec![format!("if it is meant to speak plain http, add `--insecure-registry {registry}`")]
            }
            Self::Untrusted { registry, .. } => vec![
                "name the certificate of its authority: SSL_CERT_FILE=/path/ca.pem".to_owned(),
                format!("or, if nobody else can be on the wire, add `--insecure-registry {registry}`"),
            ],
            Self::Status { action, status, anonymous, .. } => hints_of_status(action, status.as_u16(), *anonymous),
            Self::Token { registry, status, anonymous, .. } => match status.as_u16() {
                401 | 403 => vec![denied(registry, *anonymous)],
                429 => rate_limited(registry),
                _ => Vec::new(),
            },
            Self::LoginRefused { .. } => vec![
                "check the user name and the password; many registries want an access token in place of the password"
                    .to_owned(),
            ],
            Self::Busy { registry, status, .. } if status.as_u16() == 429 => rate_limited(registry),
            Self::PartRefused { .. } => {
                vec!["a proxy before the registry may limit the size of requests: raise its limit to 1 MB or more".to_owned()]
            }
            Self::Store { source, .. } => source.hints(),
            Self::GaveUp { source, .. } | Self::Source { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}
