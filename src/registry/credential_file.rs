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

/// The part of the file that is about logins.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct CredentialFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
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
        serde_json::from_slice(bytes)
    }

    /// The entry of `auths` for `repository`, with its key as written: the longest path that is a part of it.
    pub(super) fn entry(&self, repository: &Repository) -> Option<(&str, &Entry)> {
        let full = repository.to_string();
        let matches = |key: &&String| {
            let key = normalize(key);
            full.strip_prefix(&key).is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
        };
        let auths = self.auths.iter().flatten();
        auths
            .filter(|(key, _)| matches(key))
            .max_by_key(|(key, _)| normalize(key).len())
            .map(|(key, entry)| (key.as_str(), entry))
    }

    /// The helper of this registry alone, and the name by which the file calls the registry.
    pub(super) fn helper(&self, registry: &str) -> Option<(&str, &str)> {
        let (server, helper) = self.cred_helpers.iter().flatten().find(|(key, _)| normalize(key) == registry)?;
        (!helper.is_empty()).then_some((server, helper))
    }

    /// The helper of all registries.
    pub(super) fn store(&self) -> Option<&str> {
        self.creds_store.as_deref().filter(|store| !store.is_empty())
    }
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

fn decode(auth: &str) -> Result<(String, String), NotBase64> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(auth.trim()).map_err(|_| NotBase64)?;
    let text = String::from_utf8(bytes).map_err(|_| NotBase64)?;
    let (user, password) = text.split_once(':').ok_or(NotBase64)?;
    // docker pads with NUL, and takes it off again.
    Ok((user.to_owned(), password.trim_matches('\0').to_owned()))
}

/// A key of the file as our references would say it: without a scheme and an API's path, Docker Hub by its one name.
fn normalize(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    // With a scheme it is docker's way of naming a server, whose path does not count.
    let key = match bare {
        Some(server) => server.split('/').next().unwrap_or(server),
        None => key.trim_end_matches('/'),
    };
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let (host, path) = key.split_once('/').map_or((key, None), |(host, path)| (host, Some(path)));
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
                "localhost:5000": {}, "https://reg.example/v2/": {}, "Upper.example": {}}}"#,
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
            ("quay.io/x", None),
        ] {
            let repository: Repository = repository.parse().unwrap();
            assert_eq!(file.entry(&repository).map(|(key, _)| key), expected, "{repository}");
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
    fn helpers_are_found_by_every_name_of_docker_hub() {
        let file = file(
            r#"{"credHelpers": {"index.docker.io": "hub", "gcr.io": "gcloud", "none.example": ""}, "credsStore": ""}"#,
        );
        assert_eq!(file.helper("docker.io"), Some(("index.docker.io", "hub")));
        assert_eq!(file.helper("gcr.io"), Some(("gcr.io", "gcloud")));
        assert_eq!(file.helper("none.example"), None);
        assert_eq!(file.store(), None);
        assert!(CredentialFile::parse(b" \n").unwrap().entry(&"debian".parse().unwrap()).is_none());
        assert!(CredentialFile::parse(b"{").is_err());
    }
}
