//! Reads and pushes manifests and indexes, always as the bytes that they are.
//!
//! All of it is over reqwest: oci-client's `pull_manifest_raw` reads a body of any length into memory, follows redirects
//! to anywhere and drops `Retry-After` and the media type; its `fetch_manifest_digest` asks a second time with a whole
//! GET after any answer without a digest, a 404 too; its `push_manifest_raw` panics on a 201 without `Location`.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::action::{Action, Verb};
use super::body::Body;
use super::error::Error;
use super::host::Host;
use super::request::{Answer, Call};
use super::token::Scopes;
use super::{Client, Fetched, Inner, retry};
use crate::blob::{
    Descriptor, Digest, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST,
};
use crate::reference::{Reference, Repository};
use crate::store::StoreError;

/// The longest manifest that is read, in bytes: what registries themselves allow.
pub const LONGEST_MANIFEST: u64 = 4 * 1024 * 1024;
/// Where registries say the digest of what they hold.
const CONTENT_DIGEST: &str = "docker-content-digest";

impl Client {
    /// Finds out what `reference` means now where it says, and reads that: one HEAD for a tag whose manifest is in the
    /// store.
    pub(super) async fn resolve_at(&self, reference: &Reference) -> Result<Fetched, Error> {
        let repository = &reference.repository;
        if let Some(digest) = &reference.digest {
            return self.manifest_at(repository, digest).await;
        }
        let tag = reference.tag_or_latest();
        let host = self.inner.host(repository);
        let found = retry::run(&self.inner.policy, || self.inner.digest_of_tag(&host, repository, tag)).await?;
        match found {
            Some(digest) => self.manifest_at(repository, &digest).await,
            None => self.inner.read_manifest(&host, repository, tag, None).await,
        }
    }

    /// The manifest of that digest, from the store if it is there.
    pub(super) async fn manifest_at(&self, repository: &Repository, digest: &Digest) -> Result<Fetched, Error> {
        let action = Action::new(Verb::ReadManifest, repository, digest);
        let _turn = self.inner.flights.turn(digest).await;
        if let Some(bytes) = self.inner.store.read(digest).map_err(|source| store_error(&action, source))? {
            return fetched(&action, bytes);
        }
        let host = self.inner.host(repository);
        self.inner.read_manifest(&host, repository, &digest.to_string(), Some(digest)).await
    }

    /// True when the repository has that manifest. A registry that does not answer HEAD counts as not having it.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn has_manifest(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        let action = Action::new(Verb::CheckManifest, repository, digest);
        let scopes = Scopes::push(repository);
        let answer = self.inner.look(&action, &scopes, &format!("manifests/{digest}")).await?;
        Ok(answer.is_some_and(|answer| shows(&answer, digest, None)))
    }

    /// The digest that a tag of a destination has; `None` when there is no such tag, or the registry does not tell.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn digest_of_tag(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        let (repository, tag) = (&reference.repository, reference.tag_or_latest());
        let action = Action::new(Verb::CheckManifest, repository, &tag);
        let answer = self.inner.look(&action, &Scopes::push(repository), &format!("manifests/{tag}")).await?;
        Ok(answer.and_then(|answer| answer.header(CONTENT_DIGEST).and_then(|digest| digest.parse().ok())))
    }

    /// Pushes `bytes` under a tag or a digest.
    ///
    /// # Errors
    /// When the registry does not take them, says that it took something else, or neither answers as it should nor has
    /// them afterwards.
    pub async fn push_manifest(
        &self,
        repository: &Repository,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let action = Action::new(Verb::PushManifest, repository, &reference);
        let host = self.inner.host(repository);
        let (scopes, body) = (Scopes::push(repository), Bytes::copy_from_slice(bytes));
        let put = || async {
            let url = self.inner.url(&host, repository, &format!("manifests/{reference}")).await?;
            let call = Call::new(&action, Method::PUT, url, &scopes).body(media_type, Body::Bytes(body.clone()));
            let taken = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
            self.inner.send(&host, &call).await?.expect(&action, &taken).await
        };
        let answer = retry::run(&self.inner.policy, put).await?;
        let digest = Digest::of(bytes);
        check_stored(&action, &answer, &digest)?;
        let status = answer.response.status();
        if status == StatusCode::CREATED || answer.header(CONTENT_DIGEST).is_some() {
            return Ok(());
        }
        // Any web server says `200 OK`.
        let check = action.but(Verb::CheckManifest);
        let kept = self.inner.look(&check, &scopes, &format!("manifests/{reference}")).await?;
        if kept.is_some_and(|kept| shows(&kept, &digest, Some(bytes.len() as u64))) {
            return Ok(());
        }
        Err(Error::NotKept { action: Box::new(action), status })
    }
}

/// True when the answer to a HEAD is that of a registry which has the manifest: by its digest, or, where that is left
/// out, by what it is and by how long it is.
fn shows(answer: &Answer, digest: &Digest, size: Option<u64>) -> bool {
    let length = answer.header(CONTENT_LENGTH.as_str()).and_then(|length| length.trim().parse().ok());
    is_shown(answer.header(CONTENT_DIGEST), answer.header(CONTENT_TYPE.as_str()), length, digest, size)
}

fn is_shown(
    announced: Option<&str>,
    media_type: Option<&str>,
    length: Option<u64>,
    digest: &Digest,
    size: Option<u64>,
) -> bool {
    // A digest of another algorithm says nothing.
    if let Some(announced) = announced.filter(|announced| announced.starts_with("sha256:")) {
        return announced == digest.to_string();
    }
    let kinds = [MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST];
    let kind = media_type.and_then(|media_type| media_type.split(';').next()).map(str::trim);
    let fits = |length: u64| size.map_or((1..=LONGEST_MANIFEST).contains(&length), |size| size == length);
    kind.is_some_and(|kind| kinds.contains(&kind)) && length.is_some_and(fits)
}

/// Holds a registry to what it says it stored, if it says so.
pub(super) fn check_stored(action: &Action, answer: &Answer, expected: &Digest) -> Result<(), Error> {
    match answer.header(CONTENT_DIGEST) {
        // A digest of another algorithm is no contradiction.
        Some(actual) if actual.starts_with("sha256:") && actual != expected.to_string() => {
            Err(Error::StoredOtherwise {
                action: Box::new(action.clone()),
                expected: *expected,
                actual: super::answer::printable(actual),
            })
        }
        _ => Ok(()),
    }
}

impl Inner {
    /// HEADs a tag; `None` when only a GET can tell: some registries answer HEAD with 400, 403, 404 or 405, or leave
    /// the digest out. If the tag really is not there, the GET has the registry's own words, which a HEAD never has.
    async fn digest_of_tag(&self, host: &Host, repository: &Repository, tag: &str) -> Result<Option<Digest>, Error> {
        let action = Action::new(Verb::ReadManifest, repository, &tag);
        let scopes = Scopes::pull(repository);
        let url = self.url(host, repository, &format!("manifests/{tag}")).await?;
        let call = Call::new(&action, Method::HEAD, url, &scopes).accept_manifests();
        let answer = self.send(host, &call).await?;
        match answer.response.status() {
            StatusCode::OK => Ok(answer.header(CONTENT_DIGEST).and_then(|digest| digest.parse().ok())),
            status if tells_nothing(status) => Ok(None),
            _ => Err(answer.into_error(&action).await),
        }
    }

    async fn read_manifest(
        &self,
        host: &Host,
        repository: &Repository,
        reference: &str,
        expected: Option<&Digest>,
    ) -> Result<Fetched, Error> {
        let action = Action::new(Verb::ReadManifest, repository, &reference);
        let scopes = Scopes::pull(repository);
        let mut again = false;
        let fetched = loop {
            let get = || self.get_manifest(host, &action, &scopes, reference);
            let (bytes, announced) = retry::run(&self.policy, get).await?;
            let actual = Digest::of(&bytes);
            match expected.copied().or(announced).filter(|expected| *expected != actual) {
                None => break fetched(&action, bytes)?,
                // Bytes go wrong on the way, too.
                Some(_) if !again => again = true,
                Some(expected) => {
                    // A page of a proxy's that asks for a login is better called no JSON than other content.
                    let bytes = fetched(&action, bytes)?.bytes;
                    let size = bytes.len() as u64;
                    let source = StoreError::WrongDigest { expected, expected_size: size, actual, actual_size: size };
                    return Err(Error::WrongContent { action: Box::new(action), source });
                }
            }
        };
        self.store.put(&fetched.media_type, &fetched.bytes).map_err(|source| store_error(&action, source))?;
        Ok(fetched)
    }

    /// One GET: the bytes, and the digest that the registry says they have.
    async fn get_manifest(
        &self,
        host: &Host,
        action: &Action,
        scopes: &Scopes,
        reference: &str,
    ) -> Result<(Vec<u8>, Option<Digest>), Error> {
        let url = self.url(host, &action.repository, &format!("manifests/{reference}")).await?;
        let call = Call::new(action, Method::GET, url, scopes).accept_manifests();
        let answer = self.send(host, &call).await?.expect(action, &[StatusCode::OK]).await?;
        let packed = answer.header(CONTENT_ENCODING.as_str()).filter(|encoding| *encoding != "identity");
        if let Some(encoding) = packed {
            let encoding = super::answer::printable(encoding);
            return Err(Error::Encoded { action: Box::new(action.clone()), encoding });
        }
        let announced = answer.header(CONTENT_DIGEST).and_then(|digest| digest.parse::<Digest>().ok());
        let after = self.patience.document;
        let late = |_| Error::TooLong { action: Box::new(action.clone()), after };
        let reading = read_body(action, answer.response, self.patience.silence);
        Ok((tokio::time::timeout(after, reading).await.map_err(late)??, announced))
    }

    /// HEADs something at a destination; `None` when it is not there or the registry does not tell.
    pub(super) async fn look(&self, action: &Action, scopes: &Scopes, path: &str) -> Result<Option<Answer>, Error> {
        let host = self.host(&action.repository);
        let head = || async {
            let url = self.url(&host, &action.repository, path).await?;
            let call = Call::new(action, Method::HEAD, url, scopes).accept_manifests();
            let answer = self.send(&host, &call).await?;
            match answer.response.status() {
                StatusCode::OK => Ok(Some(answer)),
                status if tells_nothing(status) => Ok(None),
                _ => Err(answer.into_error(action).await),
            }
        };
        retry::run(&self.policy, head).await
    }
}

/// True for what registries answer to a HEAD for something that is not there, or because they do not like HEAD: 400, 403,
/// 404, 405 and 501 have been seen. What is not there is then told by the next request, in the registry's own words.
fn tells_nothing(status: StatusCode) -> bool {
    let refused = status.is_client_error() && status != StatusCode::UNAUTHORIZED;
    (refused && !retry::is_transient(status.as_u16())) || status == StatusCode::NOT_IMPLEMENTED
}

async fn read_body(action: &Action, mut response: Response, silence: Duration) -> Result<Vec<u8>, Error> {
    let too_large = || Error::TooLarge { action: Box::new(action.clone()), limit: LONGEST_MANIFEST };
    if response.content_length().is_some_and(|length| length > LONGEST_MANIFEST) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = tokio::time::timeout(silence, response.chunk()).await;
        let chunk = chunk.map_err(|_| Error::Stalled { action: Box::new(action.clone()), after: silence })?;
        let broken = |error: reqwest::Error| error.without_url();
        match chunk.map_err(|error| Error::Interrupted { action: Box::new(action.clone()), source: broken(error) })? {
            None => return Ok(bytes),
            Some(chunk) => bytes.extend_from_slice(&chunk),
        }
        if bytes.len() as u64 > LONGEST_MANIFEST {
            return Err(too_large());
        }
    }
}

pub(super) fn store_error(action: &Action, source: StoreError) -> Error {
    match source {
        StoreError::WrongDigest { .. } => Error::WrongContent { action: Box::new(action.clone()), source },
        _ => Error::Store { action: Box::new(action.clone()), source },
    }
}

fn fetched(action: &Action, bytes: Vec<u8>) -> Result<Fetched, Error> {
    let media_type =
        media_type(&bytes).map_err(|reason| Error::Manifest { action: Box::new(action.clone()), reason })?.to_owned();
    let descriptor = Descriptor::of(&media_type, &bytes);
    Ok(Fetched { digest: descriptor.digest, media_type, bytes })
}

/// What tells one kind of manifest from another; all the rest of it, however much that is, is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    #[serde(default, deserialize_with = "present")]
    manifests: bool,
    #[serde(default, deserialize_with = "present")]
    config: bool,
    #[serde(default, deserialize_with = "present")]
    layers: bool,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// What a manifest is, by its own words and shape alone: the header that came with it is not part of its digest, and one
/// that could be read both ways is refused (<https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh>).
fn media_type(bytes: &[u8]) -> Result<&'static str, &'static str> {
    // A list would be taken for the fields in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err("the manifest is a list");
    }
    let shape: Shape = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "it is not what a manifest or an index looks like",
        _ => "the manifest is not JSON",
    })?;
    if shape.schema_version == Some(1) {
        return Err("the image is of docker's old format (schema 1), which has to be pushed again by a newer docker");
    }
    let kinds = match (shape.manifests, shape.config || shape.layers) {
        (true, false) => [MEDIA_TYPE_INDEX, MEDIA_TYPE_DOCKER_INDEX],
        (false, true) => [MEDIA_TYPE_MANIFEST, MEDIA_TYPE_DOCKER_MANIFEST],
        (true, true) => return Err("the manifest can be read as an index and as an image"),
        (false, false) => return Err("it is neither an image manifest nor an index"),
    };
    match shape.media_type {
        None => Ok(kinds[0]),
        Some(stated) => {
            kinds.into_iter().find(|kind| *kind == stated).ok_or("its `mediaType` is not that of what it holds")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_shows_that_it_has_a_manifest() {
        let digest = Digest::of(b"{}");
        let (same, other) = (digest.to_string(), Digest::of(b"").to_string());
        let kind = Some(MEDIA_TYPE_INDEX);
        for (announced, media_type, length, size, expected) in [
            (Some(&*same), None, None, None, true),
            (Some(&*other), kind, Some(2), Some(2), false),
            (Some("sha512:00"), kind, Some(2), Some(2), true),
            (None, kind, Some(2), None, true),
            (None, kind, Some(3), Some(2), false),
            (None, kind, Some(0), None, false),
            (None, kind, Some(LONGEST_MANIFEST + 1), None, false),
            (None, kind, None, None, false),
            (None, Some("application/vnd.oci.image.index.v1+json; charset=utf-8"), Some(2), Some(2), true),
            (None, Some("text/html"), Some(2), Some(2), false),
            (None, None, Some(2), Some(2), false),
        ] {
            let found = is_shown(announced, media_type, length, &digest, size);
            assert_eq!(found, expected, "{announced:?} {media_type:?} {length:?} {size:?}");
        }
    }

    #[test]
    fn a_manifest_says_itself_what_it_is() {
        let docker = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[]}"#;
        let confused = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","config":{},"layers":[]}"#;
        for (text, expected) in [
            (r#"{"schemaVersion":2,"manifests":[]}"#, Ok(MEDIA_TYPE_INDEX)),
            (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, Ok(MEDIA_TYPE_MANIFEST)),
            (docker, Ok(MEDIA_TYPE_DOCKER_MANIFEST)),
            (confused, Err("its `mediaType` is not that of what it holds")),
            (r#"{"manifests":[],"layers":[]}"#, Err("the manifest can be read as an index and as an image")),
            ("{}", Err("it is neither an image manifest nor an index")),
            ("x", Err("the manifest is not JSON")),
            (r#" [2,"a",[]]"#, Err("the manifest is a list")),
            (r#"{"layers":[],"mediaType":7}"#, Err("it is not what a manifest or an index looks like")),
            (r#"{"layers":[],"layers":[]}"#, Err("it is not what a manifest or an index looks like")),
            (&format!("{{\"x\":{}", "[".repeat(1 << 20)), Err("the manifest is not JSON")),
            (r#"{"layers":[],"x":[[[{"layers":1,"manifests":2}]]]}"#, Ok(MEDIA_TYPE_MANIFEST)),
        ] {
            assert_eq!(media_type(text.as_bytes()), expected, "{text}");
        }
        assert!(media_type(br#"{"schemaVersion":1,"fsLayers":[]}"#).unwrap_err().contains("schema 1"));
    }
}
