//! Turns what a person logs in to (`ghcr.io`, `ghcr.io/org`, `https://index.docker.io/v1/`) into a registry and a path.

use std::fmt;
use std::str::FromStr;

use super::{DOCKER_HUB, DOCKER_HUB_ALIASES, ReferenceError, check_path, is_registry};
use crate::hint::Hint;

/// What a login is for: a registry, or its repositories below a path. Prints as `ghcr.io` or `ghcr.io/org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// the host that references name, in lower case, with its port if one was given
    pub registry: String,
    /// the path below it, if one was given
    pub path: Option<String>,
}

/// Why a text names nothing to log in to; `text` is the whole of what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// The part before the first slash is no host, or a word that references take for a folder of Docker Hub.
    #[error(
        "`{registry}` is not a registry: it should be a host name with a dot, an address or `localhost`, and perhaps a port"
    )]
    Registry {
        /// what was given
        text: String,
        /// the part that is at fault
        registry: String,
    },
    /// A URL with a path, which docker would leave out.
    #[error("`{text}` is a URL with a path, and a login is for a registry or for a path of one")]
    Url {
        /// what was given
        text: String,
        /// the same without the scheme
        bare: String,
    },
    /// The path is none of a repository.
    #[error(transparent)]
    Path(ReferenceError),
}

impl Hint for NamespaceError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry { text, registry } if registry.contains(['.', ':']) || text.is_empty() => Vec::new(),
            Self::Registry { text, .. } => vec![
                "name no registry for Docker Hub".to_owned(),
                format!("name the path of Docker Hub in full: `{DOCKER_HUB}/{text}`"),
            ],
            Self::Url { bare, .. } => vec![format!("write `{bare}`")],
            Self::Path(error) => error.hints(),
        }
    }
}

impl Namespace {
    /// The registry that short names mean.
    #[must_use]
    pub fn docker_hub() -> Self {
        Self { registry: DOCKER_HUB.to_owned(), path: None }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.registry)?;
        match &self.path {
            Some(path) => write!(formatter, "/{path}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim_end_matches('/');
        let bare = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
        let (host, path) = match bare.unwrap_or(trimmed).split_once('/') {
            // Where the API is belongs to no login.
            None | Some((_, "v1" | "v2")) => (bare.unwrap_or(trimmed).split('/').next().unwrap_or_default(), None),
            Some((host, path)) => (host, Some(path)),
        };
        if let (Some(bare), Some(_)) = (bare, path) {
            return Err(NamespaceError::Url { text: text.to_owned(), bare: bare.to_owned() });
        }
        if !is_registry(host) || !(host.contains(['.', ':']) || host == "localhost") {
            return Err(NamespaceError::Registry { text: text.to_owned(), registry: host.to_owned() });
        }
        let registry = host.to_ascii_lowercase();
        let registry = if DOCKER_HUB_ALIASES.contains(&registry.as_str()) { DOCKER_HUB.to_owned() } else { registry };
        if let Some(path) = path {
            check_path(text, path).map_err(NamespaceError::Path)?;
        }
        Ok(Self { registry, path: path.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_paths_are_read_in_every_way_that_docker_and_podman_write_them() {
        for (text, expected) in [
            ("ghcr.io", "ghcr.io"),
            ("GHCR.io/", "ghcr.io"),
            ("ghcr.io/org", "ghcr.io/org"),
            ("ghcr.io/org/app", "ghcr.io/org/app"),
            ("https://ghcr.io", "ghcr.io"),
            ("http://reg.example:5000/v2/", "reg.example:5000"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io/v1", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io/org", "docker.io/org"),
            ("localhost", "localhost"),
            ("registry:5000", "registry:5000"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(text.parse::<Namespace>().unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(Namespace::docker_hub().to_string(), "docker.io");
    }

    #[test]
    fn what_is_no_registry_is_said_with_what_may_be_meant() {
        let registry = |name: &str| {
            format!(
                "`{name}` is not a registry: it should be a host name with a dot, an address or `localhost`, and perhaps a port"
            )
        };
        for (text, words, hints) in [
            (
                "me",
                registry("me"),
                vec!["name no registry for Docker Hub", "name the path of Docker Hub in full: `docker.io/me`"],
            ),
            ("", registry(""), vec![]),
            ("bad_host.example", registry("bad_host.example"), vec![]),
            ("ftp://ghcr.io", registry("ftp:"), vec![]),
            (
                "https://ghcr.io/org",
                "`https://ghcr.io/org` is a URL with a path, and a login is for a registry or for a path of one"
                    .to_owned(),
                vec!["write `ghcr.io/org`"],
            ),
            (
                "ghcr.io/Org",
                "`Org` in `ghcr.io/Org` has upper-case letters: repository names are lower case".to_owned(),
                vec!["write `ghcr.io/org`"],
            ),
            (
                "ghcr.io/app:1.0",
                "`app:1.0` in `ghcr.io/app:1.0` is not a repository name: it should be lower-case letters and digits, separated by `.`, `_`, `-` and `/`"
                    .to_owned(),
                vec![],
            ),
        ] {
            let error = text.parse::<Namespace>().unwrap_err();
            assert_eq!((error.to_string(), error.hints()), (words, hints.iter().map(ToString::to_string).collect()));
        }
    }
}
