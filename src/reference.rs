//! Turns what a person calls an image (`debian:12`, `localhost:5000/app@sha256:...`) into registry, repository, tag
//! and digest, by the rules of docker:
//! <https://github.com/distribution/reference/blob/v0.6.0/normalize.go>.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::blob::Digest;

mod error;
mod namespace;

pub use error::ReferenceError;
pub use namespace::{Namespace, NamespaceError};

/// The registry that short names mean.
pub const DOCKER_HUB: &str = "docker.io";
/// The host that serves Docker Hub's API; `docker.io` itself does not.
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// Names that mean Docker Hub too.
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", DOCKER_HUB_API];
/// The longest repository path, in characters.
const LONGEST_PATH: usize = 255;
/// The longest tag, in characters.
const LONGEST_TAG: usize = 128;

/// A repository of a registry; prints in full, as `docker.io/library/debian`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// the host that references name, in lower case, with its port if one was given: `docker.io`, `[::1]:5000`
    pub registry: String,
    /// the path below it: `library/debian`
    pub path: String,
}

/// An image in a repository; prints in full, without a default tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// where the image is
    pub repository: Repository,
    /// the tag, if one was given
    pub tag: Option<String>,
    /// the digest, if one was given; it decides, a tag beside it is a comment
    pub digest: Option<Digest>,
}

impl Repository {
    /// The host and port that serve the registry's API: another one than the name for Docker Hub only.
    #[must_use]
    pub fn api_host(&self) -> &str {
        if self.registry == DOCKER_HUB { DOCKER_HUB_API } else { &self.registry }
    }

    /// The repository `name` below this one: where each of several programs is published.
    ///
    /// # Errors
    /// When `name` cannot be part of a repository's name.
    pub fn join(&self, name: &str) -> Result<Self, ReferenceError> {
        let text = format!("{self}/{name}");
        let path = format!("{}/{name}", self.path);
        check_path(&text, &path)?;
        Ok(Self { registry: self.registry.clone(), path })
    }

    /// The image of this repository with that tag.
    ///
    /// # Errors
    /// When `tag` is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Reference, ReferenceError> {
        check_tag(&format!("{self}:{tag}"), tag)?;
        Ok(Reference { repository: self.clone(), tag: Some(tag.to_owned()), digest: None })
    }

    /// This repository, without saying which of its images.
    #[must_use]
    pub fn without_tag(&self) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: None }
    }

    /// The image of this repository with that digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: Some(digest) }
    }
}

impl Reference {
    /// The tag, or `latest`, which is what no tag means.
    #[must_use]
    pub fn tag_or_latest(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reference: Reference = text.parse()?;
        if reference.tag.is_some() || reference.digest.is_some() {
            let repository = reference.repository.to_string();
            return Err(ReferenceError::NotARepository { text: text.to_owned(), repository });
        }
        Ok(reference.repository)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some(end) = text.find("://") {
            let scheme = text[..end + 3].to_owned();
            return Err(ReferenceError::Scheme { text: text.to_owned(), scheme });
        }
        let (name, digest) = match text.split_once('@') {
            None => (text, None),
            Some((name, digest)) => {
                let error = |source| ReferenceError::Digest { text: text.to_owned(), source };
                (name, Some(digest.parse::<Digest>().map_err(error)?))
            }
        };
        if name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::BareDigest { text: text.to_owned() });
        }
        // A colon before the last slash belongs to the registry's port.
        let path_start = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[path_start..].find(':') {
            None => (name, None),
            Some(colon) => (&name[..path_start + colon], Some(&name[path_start + colon + 1..])),
        };
        let (registry, path) = split_registry(text, name)?;
        check_path(text, &path)?;
        if let Some(tag) = tag {
            check_tag(text, tag)?;
        }
        Ok(Self { repository: Repository { registry, path }, tag: tag.map(str::to_owned), digest })
    }
}

/// Tells a registry from the first folder of a Docker Hub repository, as docker does: by a dot, a colon or `localhost`.
///
/// docker also takes a first part with capitals for a host. Nobody means that by `MyOrg/app`, so it is an error here.
fn split_registry(text: &str, name: &str) -> Result<(String, String), ReferenceError> {
    let registry = name.split_once('/').filter(|(first, _)| first.contains(['.', ':']) || *first == "localhost");
    let (registry, path) = match registry {
        None => (DOCKER_HUB.to_owned(), name),
        Some((registry, path)) if is_registry(registry) => (registry.to_ascii_lowercase(), path),
        Some((registry, _)) => {
            return Err(ReferenceError::Registry { text: text.to_owned(), registry: registry.to_owned() });
        }
    };
    let registry = canonical_registry(&registry);
    let official = registry == DOCKER_HUB && !path.contains('/') && !path.is_empty();
    Ok((registry, if official { format!("library/{path}") } else { path.to_owned() }))
}

/// The one name of a registry: in lower case, and `docker.io` for each name of Docker Hub.
pub(crate) fn canonical_registry(registry: &str) -> String {
    let registry = registry.to_ascii_lowercase();
    if DOCKER_HUB_ALIASES.contains(&registry.as_str()) { DOCKER_HUB.to_owned() } else { registry }
}

/// True for `host`, `host:port`, `127.0.0.1:port` and `[::1]:port`.
pub(crate) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match port.strip_prefix(':') {
                Some(port) => (None, Some(port)),
                None if port.is_empty() => (None, None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.is_none_or(|host| host.split('.').all(label))
        && port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn check_path(text: &str, path: &str) -> Result<(), ReferenceError> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ReferenceError::UpperCase { text: text.to_owned(), part: path.to_owned() });
    }
    if !is_repository_path(path) {
        return Err(ReferenceError::Path { text: text.to_owned(), path: path.to_owned() });
    }
    if path.len() > LONGEST_PATH {
        return Err(ReferenceError::TooLong { text: text.to_owned(), length: path.len() });
    }
    Ok(())
}

/// True for the whole path of a repository.
pub(crate) fn is_repository_name(path: &str) -> bool {
    path.len() <= LONGEST_PATH && is_repository_path(path)
}

/// True for a repository's path, or the beginning of one.
pub(crate) fn is_repository_path(path: &str) -> bool {
    path.split('/').all(is_path_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    let mut separator = String::new();
    let mut last_is_alphanumeric = false;
    for byte in component.bytes() {
        last_is_alphanumeric = alphanumeric(byte);
        if last_is_alphanumeric {
            separator.clear();
            continue;
        }
        separator.push(char::from(byte));
        let legal = matches!(separator.as_str(), "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-');
        if !legal {
            return false;
        }
    }
    last_is_alphanumeric && component.bytes().next().is_some_and(alphanumeric)
}

fn check_tag(text: &str, tag: &str) -> Result<(), ReferenceError> {
    if is_tag(tag) { Ok(()) } else { Err(ReferenceError::Tag { text: text.to_owned(), tag: tag.to_owned() }) }
}

/// True for a tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint as _;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_expand_as_dockers_do() {
        for (short, full, tag) in [
            ("debian", "docker.io/library/debian", None),
            ("debian:12", "docker.io/library/debian", Some("12")),
            ("org/app:v1", "docker.io/org/app", Some("v1")),
            ("docker.io/debian", "docker.io/library/debian", None),
            ("index.docker.io/debian", "docker.io/library/debian", None),
            ("registry-1.docker.io/org/app", "docker.io/org/app", None),
            ("localhost/app", "localhost/app", None),
            ("localhost:5000/x", "localhost:5000/x", None),
            ("localhost:5000/x:y", "localhost:5000/x", Some("y")),
            ("localhost:5000", "docker.io/library/localhost", Some("5000")),
            ("[::1]:5000/a/b:c", "[::1]:5000/a/b", Some("c")),
            ("[2001:db8::1]/a", "[2001:db8::1]/a", None),
            ("127.0.0.1:80/a", "127.0.0.1:80/a", None),
            ("Registry.Example.COM/a/b-c__d.e", "registry.example.com/a/b-c__d.e", None),
            ("host.example/a--b", "host.example/a--b", None),
        ] {
            let reference: Reference = short.parse().unwrap();
            assert_eq!(reference.repository.to_string(), full, "{short}");
            assert_eq!(reference.tag.as_deref(), tag, "{short}");
            assert_eq!(reference.tag_or_latest(), tag.unwrap_or("latest"), "{short}");
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference, "{short}");
        }
    }

    #[test]
    fn a_digest_may_stand_beside_a_tag() {
        let text = format!("debian:12@sha256:{HEX}");
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.digest, Some(Digest::of(b"")));
        assert_eq!(reference.tag.as_deref(), Some("12"));
        assert_eq!(reference.to_string(), format!("docker.io/library/debian:12@sha256:{HEX}"));
    }

    #[test]
    fn what_names_no_image_is_told_why_and_what_to_write() {
        let long = format!("host.example/{}", "a".repeat(256));
        let tag = "t".repeat(129);
        let long_tag = format!("app:{tag}");
        let table: [(&str, &str, &[&str]); 15] = [
            ("", "an image reference is empty", &["name an image, for instance `registry.example.com/app:1.0`"]),
            (" ", "an image reference is empty", &["name an image, for instance `registry.example.com/app:1.0`"]),
            (
                "https://ghcr.io/org/app",
                "`https://ghcr.io/org/app` is not an image reference: it starts with the scheme `https://`",
                &["write it without the scheme: `ghcr.io/org/app`"],
            ),
            (
                "http://reg:5000/app",
                "`http://reg:5000/app` is not an image reference: it starts with the scheme `http://`",
                &[
                    "write it without the scheme: `reg:5000/app`",
                    "a registry without TLS is allowed by `--insecure-registry reg:5000`",
                ],
            ),
            (
                "MyOrg/App:V1",
                "`MyOrg/App` in `MyOrg/App:V1` has upper-case letters: repository names are lower case",
                &["write `myorg/app:V1`"],
            ),
            (
                "host.example/a//b",
                "`a//b` in `host.example/a//b` is not a repository name: it should be lower-case letters and digits, separated by `.`, `_`, `-` and `/`",
                &[],
            ),
            (
                "a..b",
                "`library/a..b` in `a..b` is not a repository name: it should be lower-case letters and digits, separated by `.`, `_`, `-` and `/`",
                &[],
            ),
            (
                "host.example/",
                "`` in `host.example/` is not a repository name: it should be lower-case letters and digits, separated by `.`, `_`, `-` and `/`",
                &[],
            ),
            (
                "-bad.example/app",
                "`-bad.example` in `-bad.example/app` is not a registry: it should be a host name or an address, and perhaps a port",
                &[],
            ),
            (
                "host:99999/app",
                "`host:99999` in `host:99999/app` is not a registry: it should be a host name or an address, and perhaps a port",
                &[],
            ),
            (
                "app:.x",
                "`.x` in `app:.x` is not a tag: it should be at most 128 letters, digits, `_`, `.` and `-`, and not start with `.` or `-`",
                &[],
            ),
            (
                "app:a:b",
                "`a:b` in `app:a:b` is not a tag: it should be at most 128 letters, digits, `_`, `.` and `-`, and not start with `.` or `-`",
                &[],
            ),
            (
                "app@sha256:12",
                "the digest in `app@sha256:12` cannot be read",
                &["a reference by digest reads `REPOSITORY@sha256:HEX`"],
            ),
            (
                HEX,
                "`e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` is a digest without its repository",
                &[
                    "name the repository too: `REPOSITORY@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`",
                ],
            ),
            (
                "app:",
                "`` in `app:` is not a tag: it should be at most 128 letters, digits, `_`, `.` and `-`, and not start with `.` or `-`",
                &[],
            ),
        ];
        for (text, message, hints) in table {
            let error = text.parse::<Reference>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
            assert_eq!(error.hints(), hints, "{text}");
        }
        let error = long.parse::<Reference>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the repository name in `{long}` has 256 characters, and 255 is the most")
        );
        assert!(matches!(long_tag.parse::<Reference>(), Err(ReferenceError::Tag { .. })));
    }

    #[test]
    fn a_repository_takes_no_tag_and_joins_names() {
        let repository: Repository = "localhost:5000/team".parse().unwrap();
        assert_eq!(repository.join("helper").unwrap().to_string(), "localhost:5000/team/helper");
        assert!(matches!(repository.join("Helper"), Err(ReferenceError::UpperCase { .. })));
        assert!(matches!(repository.join("a:b"), Err(ReferenceError::Path { .. })));
        assert_eq!(repository.with_tag("1").unwrap().to_string(), "localhost:5000/team:1");
        let error = "debian:12".parse::<Repository>().unwrap_err();
        assert_eq!(error.to_string(), "`debian:12` should be a repository without a tag or a digest");
        assert_eq!(error.hints(), ["write `docker.io/library/debian`"]);
        assert_eq!("debian".parse::<Repository>().unwrap().api_host(), "registry-1.docker.io");
    }
}
