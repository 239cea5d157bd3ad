//! What is said of registries: where a repository is really read from and pushed to, and whom a registry's connections
//! trust. Names below a key (`docker.io`, `ghcr.io/org`) become names below its mirrors or its location, by the rules of
//! `containers-registries.conf`: <https://github.com/containers/image/blob/v5.36.0/docs/containers-registries.conf.5.md>.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::hint::Hint;
use crate::reference::{Repository, canonical_registry, is_registry, is_repository_path};

/// Why a text names no registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryNameError {
    /// Nothing, or only a scheme.
    #[error("`{text}` names no registry")]
    Empty {
        /// as written
        text: String,
    },
    /// A scheme where none may be, or another than http and https.
    #[error("`{text}` has the scheme `{scheme}`, which does not belong there")]
    Scheme {
        /// as written
        text: String,
        /// with its `://`
        scheme: String,
    },
    /// A login in the name.
    #[error("a registry's name holds no login")]
    Login,
    /// The first part is no host.
    #[error("`{host}` is not a registry: it should be a host name or an address, and perhaps a port")]
    Host {
        /// the first part
        host: String,
    },
    /// What follows the host is no path of a repository.
    #[error("`{path}` in `{text}` is not a part of a repository's name")]
    Path {
        /// as written
        text: String,
        /// what follows the host
        path: String,
    },
}

impl Hint for RegistryNameError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Scheme { text, scheme } => vec![format!("write it without the scheme: `{}`", &text[scheme.len()..])],
            Self::Host { host } if !host.is_empty() && !host.contains(['.', ':', ' ']) => {
                vec!["[registry.\"docker.io\"]".to_owned()]
            }
            Self::Login => vec!["a mirror's own login is found as any other: anyarch login MIRROR".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// A registry, or the repositories below a path of one: `docker.io`, `ghcr.io/org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// the host, as references name it
    pub registry: String,
    /// empty for the whole registry
    pub path: String,
}

impl Prefix {
    /// The whole registry `registry`.
    #[must_use]
    pub fn of_registry(registry: &str) -> Self {
        Self { registry: registry.to_owned(), path: String::new() }
    }

    /// What of the path of `repository` lies below this prefix, empty when it is the repository itself; `None` when it
    /// is not below.
    fn rest<'path>(&self, repository: &'path Repository) -> Option<&'path str> {
        if repository.registry != self.registry {
            return None;
        }
        if self.path.is_empty() {
            return Some(&repository.path);
        }
        let rest = repository.path.strip_prefix(&self.path)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// The repository `rest` below this prefix; `None` when that has no path at all.
    #[must_use]
    pub fn join(&self, rest: &str) -> Option<Repository> {
        let parts = [self.path.as_str(), rest].into_iter().filter(|part| !part.is_empty());
        let path = parts.collect::<Vec<_>>().join("/");
        (!path.is_empty()).then(|| Repository { registry: self.registry.clone(), path })
    }

    fn parse(text: &str, name: &str) -> Result<Self, RegistryNameError> {
        let name = name.trim_end_matches('/');
        if name.is_empty() {
            return Err(RegistryNameError::Empty { text: text.to_owned() });
        }
        if name.contains('@') {
            return Err(RegistryNameError::Login);
        }
        let (host, path) = name.split_once('/').unwrap_or((name, ""));
        if !is_registry(host) {
            return Err(RegistryNameError::Host { host: host.to_owned() });
        }
        if !path.is_empty() && !is_repository_path(path) {
            return Err(RegistryNameError::Path { text: text.to_owned(), path: path.to_owned() });
        }
        Ok(Self { registry: canonical_registry(host), path: path.to_owned() })
    }
}

impl FromStr for Prefix {
    type Err = RegistryNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(end) = text.find("://") {
            let scheme = text[..end + 3].to_owned();
            return Err(RegistryNameError::Scheme { text: text.to_owned(), scheme });
        }
        let host = text.split('/').next().unwrap_or_default();
        // As in a reference, a word alone is not a host.
        if !host.contains(['.', ':']) && host != "localhost" && !host.is_empty() {
            return Err(RegistryNameError::Host { host: host.to_owned() });
        }
        Self::parse(text, text)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.registry)?;
        if self.path.is_empty() { Ok(()) } else { write!(formatter, "/{}", self.path) }
    }
}

/// A mirror: `mirror.example`, `https://mirror.lan:5000/hub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// where it has what it mirrors
    pub place: Prefix,
    /// whether it was written with `http://` (true) or `https://` (false)
    pub plain_http: Option<bool>,
}

impl FromStr for Mirror {
    type Err = RegistryNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (plain_http, name) = match text.split_once("://") {
            None => (None, text),
            Some((scheme, name)) if scheme.eq_ignore_ascii_case("https") => (Some(false), name),
            Some((scheme, name)) if scheme.eq_ignore_ascii_case("http") => (Some(true), name),
            Some((scheme, _)) => {
                return Err(RegistryNameError::Scheme { text: text.to_owned(), scheme: format!("{scheme}://") });
            }
        };
        Ok(Self { place: Prefix::parse(text, name)?, plain_http })
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.plain_http {
            Some(true) => "http://",
            Some(false) => "https://",
            None => "",
        })?;
        self.place.fmt(formatter)
    }
}

/// What is said of one registry, or of a part of it. Paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// where it is read from before itself, in this order
    pub mirrors: Option<Vec<Mirror>>,
    /// what it really is
    pub location: Option<Prefix>,
    /// whether any certificate, and plain http, will do
    pub insecure: Option<bool>,
    /// whether it speaks plain http alone
    pub plain_http: Option<bool>,
    /// certificates in PEM to trust beside the system's
    pub ca: Option<Vec<PathBuf>>,
    /// who we are to it, a certificate in PEM
    pub client_certificate: Option<PathBuf>,
    /// the key of that, in PEM; where it is not given it stands in the same file
    pub client_key: Option<PathBuf>,
}

impl RegistrySettings {
    /// These over `below`, key by key.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            mirrors: self.mirrors.or(below.mirrors),
            location: self.location.or(below.location),
            insecure: self.insecure.or(below.insecure),
            plain_http: self.plain_http.or(below.plain_http),
            ca: self.ca.or(below.ca),
            client_certificate: self.client_certificate.or(below.client_certificate),
            client_key: self.client_key.or(below.client_key),
        }
    }
}

/// What is said of registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryMap(BTreeMap<Prefix, RegistrySettings>);

impl RegistryMap {
    /// Lays `above` over what is there, key by key.
    pub fn overlay(&mut self, above: BTreeMap<Prefix, RegistrySettings>) {
        for (prefix, settings) in above {
            let below = self.0.remove(&prefix).unwrap_or_default();
            self.0.insert(prefix, settings.over(below));
        }
    }

    /// What is said under exactly that key.
    #[must_use]
    pub fn of(&self, key: &Prefix) -> Option<&RegistrySettings> {
        self.0.get(key)
    }

    /// The key whose settings hold for `repository`: the longest that it is below.
    #[must_use]
    pub fn key_of(&self, repository: &Repository) -> Option<&Prefix> {
        self.0.keys().filter(|key| key.rest(repository).is_some()).max_by_key(|key| key.path.len())
    }

    /// What is said of a whole registry.
    #[must_use]
    pub fn of_registry(&self, registry: &str) -> Option<&RegistrySettings> {
        self.0.get(&Prefix::of_registry(registry))
    }

    /// The settings of the longest key that `repository` is below, with what remains of its path.
    fn of_repository<'map, 'path>(
        &'map self,
        repository: &'path Repository,
    ) -> Option<(&'map RegistrySettings, &'path str)> {
        let below = self.0.iter().filter_map(|(key, settings)| Some((key, settings, key.rest(repository)?)));
        below.max_by_key(|(key, ..)| key.path.len()).map(|(_, settings, rest)| (settings, rest))
    }

    /// Where `repository` may be read from before its own place, in the order to try.
    #[must_use]
    pub fn mirrors_of(&self, repository: &Repository) -> Vec<Repository> {
        let Some((settings, rest)) = self.of_repository(repository) else { return Vec::new() };
        let mirrors = settings.mirrors.iter().flatten();
        mirrors.filter_map(|mirror| mirror.place.join(rest)).filter(|place| place != repository).collect()
    }

    /// Where `repository` really is: below its key's `location`, or where its name says.
    #[must_use]
    pub fn location_of(&self, repository: &Repository) -> Repository {
        let found = self.of_repository(repository);
        let located = found.and_then(|(settings, rest)| settings.location.as_ref()?.join(rest));
        located.unwrap_or_else(|| repository.clone())
    }

    /// Whether the scheme that `registry` was written with as a mirror is plain http; `None` when none was written.
    #[must_use]
    pub fn mirror_scheme(&self, registry: &str) -> Option<bool> {
        let mirrors = self.0.values().flat_map(|settings| settings.mirrors.iter().flatten());
        mirrors.filter(|mirror| mirror.place.registry == registry).find_map(|mirror| mirror.plain_http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(tables: &[(&str, &[&str], Option<&str>)]) -> RegistryMap {
        let mut map = RegistryMap::default();
        let settings = |mirrors: &[&str], location: Option<&str>| RegistrySettings {
            mirrors: Some(mirrors.iter().map(|mirror| mirror.parse().unwrap()).collect()),
            location: location.map(|location| location.parse().unwrap()),
            ..RegistrySettings::default()
        };
        let tables = tables.iter().map(|(key, mirrors, location)| (key.parse().unwrap(), settings(mirrors, *location)));
        map.overlay(tables.collect());
        map
    }

    #[test]
    fn a_name_below_a_key_is_below_its_mirrors_and_its_location() {
        let map = map(&[
            ("docker.io", &["https://mirror.example", "mirror.lan:5000/hub/"], None),
            ("ghcr.io", &["mirror.lan:5000/ghcr"], None),
            ("ghcr.io/org", &["mirror.lan:5000", "quay.io/ghcr-org"], Some("registry.lan/other")),
            ("ghcr.io/org/app", &["mirror.lan:5000"], Some("registry.lan/app")),
            ("quiet.example", &[], None),
            ("self.example", &["self.example", "other.example"], None),
        ]);
        for (name, mirrors, location) in [
            (
                "debian",
                &["mirror.example/library/debian", "mirror.lan:5000/hub/library/debian"][..],
                "docker.io/library/debian",
            ),
            ("ghcr.io/else/x", &["mirror.lan:5000/ghcr/else/x"], "ghcr.io/else/x"),
            ("ghcr.io/organ/x", &["mirror.lan:5000/ghcr/organ/x"], "ghcr.io/organ/x"),
            ("ghcr.io/org/x", &["mirror.lan:5000/x", "quay.io/ghcr-org/x"], "registry.lan/other/x"),
            // A mirror has to have some path for the repository that is the key itself.
            ("ghcr.io/org/app", &[], "registry.lan/app"),
            ("ghcr.io/org/app/b", &["mirror.lan:5000/b"], "registry.lan/app/b"),
            ("quiet.example/x", &[], "quiet.example/x"),
            ("self.example/x", &["other.example/x"], "self.example/x"),
            ("unknown.example/x", &[], "unknown.example/x"),
        ] {
            let repository: Repository = name.parse().unwrap();
            let found: Vec<String> = map.mirrors_of(&repository).iter().map(ToString::to_string).collect();
            assert_eq!(found, mirrors, "{name}");
            assert_eq!(map.location_of(&repository).to_string(), location, "{name}");
        }
    }

    #[test]
    fn a_mirror_says_how_it_is_spoken_to() {
        let map = map(&[("docker.io", &["http://a.lan:5000", "https://b.lan/hub", "c.lan"], None)]);
        for (registry, scheme) in [("a.lan:5000", Some(true)), ("b.lan", Some(false)), ("c.lan", None), ("d.lan", None)]
        {
            assert_eq!(map.mirror_scheme(registry), scheme, "{registry}");
        }
    }

    #[test]
    fn keys_and_mirrors_are_registries() {
        for (text, expected) in [
            ("docker.io", Ok("docker.io")),
            ("index.docker.io", Ok("docker.io")),
            ("Registry-1.docker.io/library", Ok("docker.io/library")),
            ("localhost:5000/", Ok("localhost:5000")),
            ("[::1]:5000/a/b", Ok("[::1]:5000/a/b")),
            ("", Err("`` names no registry")),
            ("hub", Err("`hub` is not a registry: it should be a host name or an address, and perhaps a port")),
            ("https://a.lan", Err("`https://a.lan` has the scheme `https://`, which does not belong there")),
            ("me:word@a.lan", Err("a registry's name holds no login")),
            ("a.lan/B", Err("`B` in `a.lan/B` is not a part of a repository's name")),
        ] {
            let parsed = text.parse::<Prefix>().map(|prefix| prefix.to_string()).map_err(|error| error.to_string());
            assert_eq!(parsed.as_deref().map_err(String::as_str), expected, "{text}");
        }
        for (text, expected) in [
            ("mirror", Ok(("mirror", None))),
            ("HTTP://mirror:80/hub", Ok(("mirror:80/hub", Some(true)))),
            ("https://mirror.example/", Ok(("mirror.example", Some(false)))),
            ("https://", Err("`https://` names no registry")),
            ("ftp://a.lan", Err("`ftp://a.lan` has the scheme `ftp://`, which does not belong there")),
            ("https://a.lan/x?y=1", Err("`x?y=1` in `https://a.lan/x?y=1` is not a part of a repository's name")),
        ] {
            let parsed = text.parse::<Mirror>().map_err(|error| error.to_string());
            let parsed = parsed.map(|mirror| (mirror.place.to_string(), mirror.plain_http));
            let parsed = parsed.as_ref().map(|(place, scheme)| (place.as_str(), *scheme)).map_err(String::as_str);
            assert_eq!(parsed, expected, "{text}");
        }
    }

    #[test]
    fn settings_are_laid_over_each_other_key_by_key() {
        let mut map = RegistryMap::default();
        let key: Prefix = "a.lan".parse().unwrap();
        let user = RegistrySettings { insecure: Some(true), ca: Some(vec!["/user.pem".into()]), ..Default::default() };
        let project = RegistrySettings { insecure: Some(false), ..Default::default() };
        map.overlay([(key.clone(), user.clone())].into());
        map.overlay([(key, project)].into());
        assert_eq!(map.of_registry("a.lan"), Some(&RegistrySettings { insecure: Some(false), ..user }));
    }
}
