//! Turns docker's config.json and podman's auth.json into entries, and a repository into the entry that is meant:
//! <https://docs.docker.com/reference/cli/docker/login/>,
//! <https://github.com/containers/image/blob/v5.36.0/docs/containers-auth.json.5.md>.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::credentials::{Credential, Secret};
use crate::reference::{DOCKER_HUB, Repository};

/// What docker calls Docker Hub, in its file and when it talks to credential helpers.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

/// The part of the file that is about logins.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct CredentialFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
}

/// What the file itself holds of one login; Docker Desktop writes empty ones.
#[derive(Deserialize, Default)]
pub(super) struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Who keeps a registry's login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keeper<'file> {
    /// the file itself
    File,
    /// a helper for this registry alone
    Helper {
        /// what follows `docker-credential-`
        name: &'file str,
        /// what the file calls the registry
        server: &'file str,
    },
    /// a helper for all registries
    Store {
        /// what follows `docker-credential-`
        name: &'file str,
        /// what docker calls the registry
        server: &'file str,
    },
}

/// An `auth` that is not base64 of `user:password`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotBase64;

impl fmt::Debug for CredentialFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CredentialFile").finish_non_exhaustive()
    }
}

impl CredentialFile {
    /// Reads the file; an empty one is one without logins.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // A struct would also be read from a list.
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes)?;
        serde_json::from_slice(bytes)
    }

    /// The entry of `auths` for `repository`, with its key as written: the longest path that is a part of it. Of several
    /// names of a registry, docker's own counts, to which logins are written.
    pub(super) fn entry(&self, repository: &Repository) -> Option<(&str, &Entry)> {
        let full = repository.to_string();
        let matches = |key: &&String| {
            let key = normalize(key);
            full.strip_prefix(&key).is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
        };
        let auths = self.auths.iter().flatten();
        auths
            .filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
            .filter(|(key, _)| matches(key))
            .max_by_key(|(key, _)| (normalize(key).len(), *key == server_name(&repository.registry)))
            .map(|(key, entry)| (key.as_str(), entry))
    }

    /// The keys of `auths` that name more than a registry, and lie below `registry`.
    pub(super) fn paths(&self, registry: &str) -> Vec<&str> {
        let below = |key: &&str| normalize(key).strip_prefix(registry).is_some_and(|rest| rest.starts_with('/'));
        self.auths.iter().flatten().map(|(key, _)| key.as_str()).filter(below).collect()
    }

    /// Who keeps the login of `registry`.
    pub(super) fn keeper<'file>(&'file self, registry: &'file str) -> Keeper<'file> {
        let own = self.cred_helpers.iter().flatten().find(|(key, _)| normalize(key) == registry);
        match (own, self.creds_store.as_deref()) {
            // A registry whose helper has no name is excepted from the store.
            (Some((_, name)), _) if name.is_empty() => Keeper::File,
            (Some((server, name)), _) => Keeper::Helper { name, server },
            (None, None | Some("")) => Keeper::File,
            (None, Some(name)) => Keeper::Store { name, server: server_name(registry) },
        }
    }
}

/// What docker calls a registry in its file, and to a helper.
pub(super) fn server_name(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_SERVER } else { registry }
}

impl Entry {
    /// The login that the entry itself holds, if any.
    pub(super) fn credential(&self) -> Result<Option<Credential>, NotBase64> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credential::Identity(Secret::new(token))));
        }
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Some(Credential::Token(Secret::new(token))));
        }
        if let Some(auth) = filled(&self.auth) {
            let (user, password) = decode(&auth)?;
            return Ok(Some(Credential::Password { user, password: Secret::new(password) }));
        }
        Ok(filled(&self.username)
            .zip(filled(&self.password))
            .map(|(user, password)| Credential::Password { user, password: Secret::new(password) }))
    }
}

/// The text of `auth` for a login.
pub(super) fn encode(user: &str, password: &Secret) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.reveal()))
}

fn decode(auth: &str) -> Result<(String, String), NotBase64> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(auth.trim()).map_err(|_| NotBase64)?;
    let text = String::from_utf8(bytes).map_err(|_| NotBase64)?;
    let (user, password) = text.split_once(':').ok_or(NotBase64)?;
    // docker pads with NUL, and takes it off again.
    Ok((user.to_owned(), password.trim_matches('\0').to_owned()))
}

/// A key of the file as our references would say it: without a scheme and an API's path, Docker Hub by its one name.
pub(super) fn normalize(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    // With a scheme it is docker's way of naming a server, whose path does not count.
    let key = match bare {
        Some(server) => server.split('/').next().unwrap_or(server),
        None => key.trim_end_matches('/'),
    };
    let (host, path) = match key.split_once('/') {
        // Where the API is.
        Some((host, "v1" | "v2")) => (host, None),
        Some((host, path)) => (host, Some(path)),
        None => (key, None),
    };
    let host = match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        host => host.to_owned(),
    };
    path.map_or(host.clone(), |path| format!("{host}/{path}"))
}

/// True for a key that names more than a registry.
pub(super) fn is_path_key(key: &str) -> bool {
    normalize(key).contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(json: &str) -> CredentialFile {
        CredentialFile::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_most_specific_entry_is_meant() {
        let file = file(
            r#"{"auths": {"https://index.docker.io/v1/": {}, "ghcr.io": {}, "ghcr.io/org": {}, "ghcr.io/org/app": {},
                "localhost:5000": {}, "https://reg.example/v2/": {}, "Upper.example": {}, "quay.io": null,
                "https://two.example": {}, "http://two.example/": {}, "two.example": {}, "docker.io": {}}}"#,
        );
        for (repository, expected) in [
            ("debian", Some("https://index.docker.io/v1/")),
            ("ghcr.io/other/app", Some("ghcr.io")),
            ("ghcr.io/org/tool", Some("ghcr.io/org")),
            ("ghcr.io/organisation/tool", Some("ghcr.io")),
            ("ghcr.io/org/app", Some("ghcr.io/org/app")),
            ("ghcr.io/org/app/sub", Some("ghcr.io/org/app")),
            ("localhost:5000/x", Some("localhost:5000")),
            ("localhost:5001/x", None),
            ("reg.example/x", Some("https://reg.example/v2/")),
            ("upper.example/x", Some("Upper.example")),
            ("two.example/x", Some("two.example")),
            ("quay.io/x", None),
        ] {
            let repository: Repository = repository.parse().unwrap();
            assert_eq!(file.entry(&repository).map(|(key, _)| key), expected, "{repository}");
        }
        assert_eq!(file.paths("ghcr.io"), ["ghcr.io/org", "ghcr.io/org/app"]);
        for (key, expected) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io/org", "docker.io/org"),
            ("reg.example/v2/", "reg.example"),
            ("reg.example/org/v2", "reg.example/org/v2"),
            ("http://reg.example:80/x", "reg.example:80"),
        ] {
            assert_eq!(normalize(key), expected, "{key}");
        }
    }

    #[test]
    fn logins_are_written_in_many_ways() {
        let password = |user: &str, password: &str| {
            Ok(Some(Credential::Password { user: user.to_owned(), password: Secret::new(password) }))
        };
        for (entry, expected) in [
            ("{}", Ok(None)),
            (r#"{"auth": ""}"#, Ok(None)),
            (r#"{"auth": "bWU6cGE6c3M="}"#, password("me", "pa:ss")),
            (r#"{"auth": "bWU6cGE6c3M"}"#, password("me", "pa:ss")),
            (r#"{"auth": "!"}"#, Err(NotBase64)),
            (r#"{"auth": "bWU="}"#, Err(NotBase64)),
            (r#"{"username": "me", "password": "p"}"#, password("me", "p")),
            (r#"{"auth": "bWU6cA==", "identitytoken": "id"}"#, Ok(Some(Credential::Identity(Secret::new("id"))))),
            (r#"{"registrytoken": "t"}"#, Ok(Some(Credential::Token(Secret::new("t"))))),
        ] {
            assert_eq!(serde_json::from_str::<Entry>(entry).unwrap().credential(), expected, "{entry}");
        }
    }

    #[test]
    fn a_registrys_own_helper_comes_before_the_store_and_an_empty_one_is_an_exception() {
        let file = file(
            r#"{"credHelpers": {"index.docker.io": "hub", "gcr.io": "gcloud", "none.example": ""}, "credsStore": "pass"}"#,
        );
        for (registry, expected) in [
            ("docker.io", Keeper::Helper { name: "hub", server: "index.docker.io" }),
            ("gcr.io", Keeper::Helper { name: "gcloud", server: "gcr.io" }),
            ("none.example", Keeper::File),
            ("quay.io", Keeper::Store { name: "pass", server: "quay.io" }),
        ] {
            assert_eq!(file.keeper(registry), expected, "{registry}");
        }
        let store = self::file(r#"{"credsStore": "pass"}"#);
        assert_eq!(store.keeper("docker.io"), Keeper::Store { name: "pass", server: "https://index.docker.io/v1/" });
        assert_eq!(self::file(r#"{"credsStore": ""}"#).keeper("docker.io"), Keeper::File);
        assert!(CredentialFile::parse(b" \n").unwrap().entry(&"debian".parse().unwrap()).is_none());
        assert!(CredentialFile::parse(b"{").is_err());
        assert!(CredentialFile::parse(b"[]").is_err());
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let auth = encode("me", &Secret::new("pä:ss word"));
        assert_eq!(decode(&auth), Ok(("me".to_owned(), "pä:ss word".to_owned())));
    }
}
