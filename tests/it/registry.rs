//! The registry edge against Debian's `docker-registry`: anonymous, with passwords, with tokens, over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyarch::blob::{Descriptor, Digest, MEDIA_TYPE_CONFIG, MEDIA_TYPE_LAYER, MEDIA_TYPE_MANIFEST, canonical_json};
use anyarch::hint::Hint as _;
use anyarch::reference::{Reference, Repository};
use anyarch::registry::{Client, CredentialEnvironment, Error, Options, Placement, Proxies, PushedHow, Supply};
use anyarch::store::Store;
use base64::Engine as _;
use tempfile::TempDir;

use crate::support::registry::{self, Certificate, Registry, TokenServer};

/// A client with a store of its own.
pub struct Party {
    pub client: Client,
    pub store: Store,
    _folder: TempDir,
}

impl Party {
    /// Without any login.
    pub fn anonymous() -> Self {
        Self::with(|_| ())
    }

    /// With a docker configuration that knows one login.
    pub fn logged_in(registry: &str, user: &str, password: &str) -> Self {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self::configured(&serde_json::json!({"auths": {registry: {"auth": auth}}}).to_string())
    }

    /// With that docker configuration.
    pub fn configured(configuration: &str) -> Self {
        Self::with(|options| {
            let folder = options.store.root().join("docker");
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("config.json"), configuration).unwrap();
            options.environment.docker_config = Some(folder);
        })
    }

    /// With other options.
    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        Self { client: client(&store, change), store, _folder: folder }
    }

    /// Another client, as another process would have, of the same store.
    pub fn beside(&self, change: impl FnOnce(&mut Options)) -> Client {
        client(&self.store, change)
    }

    /// Pushes a blob of the store.
    pub async fn push(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: Option<&Repository>,
    ) -> Result<PushedHow, Error> {
        self.push_of(repository, blob, Supply::Store, from).await
    }

    /// Pushes a blob from where it is to be had.
    pub async fn push_of(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        supply: Supply<'_>,
        from: Option<&Repository>,
    ) -> Result<PushedHow, Error> {
        Ok(match self.client.place_blob(repository, blob, from).await? {
            Placement::Existed => PushedHow::Existed,
            Placement::Mounted => PushedHow::Mounted,
            Placement::Missing(begun) => {
                self.client.send_blob(repository, blob, begun, supply, &|_| ()).await?;
                PushedHow::Uploaded
            }
        })
    }
}

fn client(store: &Store, change: impl FnOnce(&mut Options)) -> Client {
    let mut options = Options::new(store.clone(), CredentialEnvironment::default());
    options.proxies = Proxies::default();
    options.retry.first_wait = Duration::from_millis(5);
    change(&mut options);
    Client::new(options).unwrap()
}

/// An image of three layers; its blobs are in the store.
struct Image {
    blobs: Vec<Descriptor>,
    manifest: Vec<u8>,
}

fn image(store: &Store) -> Image {
    let layers: Vec<Descriptor> = [b'a', b'b', b'c']
        .into_iter()
        .map(|letter| store.put(MEDIA_TYPE_LAYER, &vec![letter; 700_000]).unwrap())
        .collect();
    let config = store.put(MEDIA_TYPE_CONFIG, br#"{"architecture":"amd64","os":"linux"}"#).unwrap();
    let manifest = canonical_json(&serde_json::json!({
        "schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": config, "layers": layers,
    }));
    Image { blobs: layers.into_iter().chain([config]).collect(), manifest }
}

async fn push_all(party: &Party, repository: &Repository, image: &Image) -> Vec<PushedHow> {
    let mut how = Vec::new();
    for blob in &image.blobs {
        how.push(party.push(repository, blob, None).await.unwrap());
    }
    let (client, digest) = (&party.client, Digest::of(&image.manifest).to_string());
    client.push_manifest(repository, &digest, MEDIA_TYPE_MANIFEST, &image.manifest).await.unwrap();
    client.push_manifest(repository, "v1", MEDIA_TYPE_MANIFEST, &image.manifest).await.unwrap();
    how
}

fn repository(registry: &str, path: &str) -> Repository {
    format!("{registry}/{path}").parse().unwrap()
}

/// The error with all that led to it, and its hints.
pub fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    error.hints().iter().fold(text, |text, hint| format!("{text}\nhint: {hint}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_resolved_and_fetched_and_not_pushed_again() {
    let registry = Registry::start(&registry::Options::default());
    let target = repository(&registry.host(), "team/app");
    let pusher = Party::anonymous();
    let image = image(&pusher.store);
    assert_eq!(push_all(&pusher, &target, &image).await, [PushedHow::Uploaded; 4]);
    let uploads = registry.count("POST /v2/team/app/blobs/uploads/");
    assert_eq!(uploads, 4);
    assert_eq!(push_all(&pusher, &target, &image).await, [PushedHow::Existed; 4]);
    assert_eq!(registry.count("POST "), uploads, "the second push uploads nothing");

    let reader = Party::anonymous();
    let tag: Reference = format!("{target}:v1").parse().unwrap();
    let fetched = reader.client.resolve(&tag).await.unwrap();
    assert_eq!(fetched.bytes, image.manifest);
    assert_eq!(fetched.media_type, MEDIA_TYPE_MANIFEST);
    assert_eq!(fetched.digest, Digest::of(&image.manifest));
    let (gets, heads) = (registry.count("GET /v2/team/app/manifests/"), registry.count("HEAD /v2/team/app/manifests/"));
    assert_eq!((gets, heads), (1, 1));
    assert_eq!(reader.client.resolve(&tag).await.unwrap(), fetched);
    assert_eq!(registry.count("GET /v2/team/app/manifests/"), 1, "the manifest comes from the store");
    assert_eq!(registry.count("HEAD /v2/team/app/manifests/"), 2);

    let seen = AtomicU64::new(0);
    for blob in &image.blobs {
        let progress = |bytes| seen.store(bytes, Ordering::Relaxed);
        reader.client.fetch_blob(&target, blob, &progress).await.unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), blob.size);
        assert!(reader.store.verify(blob).unwrap());
        reader.client.fetch_blob(&target, blob, &|_| ()).await.unwrap();
    }
    assert_eq!(registry.count("GET /v2/team/app/blobs/"), 4, "each blob is read once");
    let by_oci_client = registry.requests().iter().filter(|line| line.contains("oci-client/")).count();
    assert_eq!(by_oci_client, 3, "after the first blob the registry is known to serve them itself");

    assert!(reader.client.has_manifest(&target, &fetched.digest).await.unwrap());
    assert!(!reader.client.has_manifest(&target, &Digest::of(b"")).await.unwrap());
    assert!(reader.client.has_blob(&target, &image.blobs[0]).await.unwrap());
    assert!(!reader.client.has_blob(&target, &Descriptor::of(MEDIA_TYPE_LAYER, b"no")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_another_repository_is_mounted_and_not_uploaded() {
    let registry = Registry::start(&registry::Options::default());
    let (source, target) = (repository(&registry.host(), "base"), repository(&registry.host(), "app"));
    let party = Party::anonymous();
    let image = image(&party.store);
    push_all(&party, &source, &image).await;
    assert_eq!(party.push(&target, &image.blobs[0], Some(&source)).await.unwrap(), PushedHow::Mounted);
    let placed = party.client.place_blob(&target, &image.blobs[1], Some(&source)).await.unwrap();
    assert!(matches!(placed, Placement::Mounted));
    assert_eq!(registry.count("POST /v2/app/blobs/uploads/?mount="), 2);
    assert_eq!(registry.count("POST /v2/app/blobs/uploads/ "), 0);
    assert_eq!(registry.count("PUT /v2/app/blobs/"), 0, "nothing is uploaded");

    // What the other repository does not have is answered with an upload, which is used.
    let new = party.store.put(MEDIA_TYPE_LAYER, b"new").unwrap();
    assert_eq!(party.push(&target, &new, Some(&source)).await.unwrap(), PushedHow::Uploaded);
    assert_eq!(registry.count("POST /v2/app/blobs/uploads/"), 3, "one upload was begun, by the mount");
    assert_eq!(registry.count("HEAD /v2/app/blobs/"), 3, "each blob is looked for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_used_and_what_is_wrong_with_them_is_said() {
    let registry = Registry::start(&registry::Options { login: Some(("me", "hunter2")), ..Default::default() });
    let host = registry.host();
    let target = repository(&host, "app");
    let party = Party::logged_in(&host, "me", "hunter2");
    let image = image(&party.store);
    assert_eq!(push_all(&party, &target, &image).await, [PushedHow::Uploaded; 4]);
    let reader = Party::logged_in(&host, "me", "hunter2");
    for blob in &image.blobs {
        reader.client.fetch_blob(&target, blob, &|_| ()).await.unwrap();
    }
    assert_eq!(registry.requests().iter().filter(|line| line.contains("oci-client/")).count(), 3);
    assert_eq!(registry.count("GET /v2/ "), 2, "each client asks once how to log in");
    assert!(!format!("{:?}", party.client).contains("hunter2"));

    let tag = target.with_tag("v1").unwrap();
    let anonymous = Party::anonymous().client.resolve(&tag).await.unwrap_err();
    assert_eq!(
        words(&anonymous),
        format!(
            "reading the manifest `v1` of `{host}/app` failed: the registry answered 401 Unauthorized\n\
             hint: no login is known for `{host}`; log in: anyarch login {host}\n\
             hint: registries say so of what does not exist, too: check the name `{host}/app`"
        )
    );
    let wrong = Party::logged_in(&host, "me", "wrong-word");
    let error = wrong.client.push_manifest(&target, "v2", MEDIA_TYPE_MANIFEST, &image.manifest).await.unwrap_err();
    assert_eq!(
        words(&error),
        format!(
            "pushing the manifest `v2` to `{host}/app` failed: the registry answered 401 Unauthorized \
             (UNAUTHORIZED: authentication required)\n\
             hint: the login for `{host}` was not accepted for this; log in again: anyarch login {host}"
        )
    );
    assert!(!format!("{error:?}").contains("wrong-word"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_all_who_want_the_same() {
    let tokens = TokenServer::start("me", "hunter2");
    let registry = Registry::start(&registry::Options { tokens: Some(&tokens), ..Default::default() });
    let (base, app) = (repository(&registry.host(), "base"), repository(&registry.host(), "app"));
    let party = Party::logged_in(&registry.host(), "me", "hunter2");
    let image = image(&party.store);
    let party = Arc::new(party);
    let pushes = image.blobs.iter().map(|blob| {
        let (party, base, blob) = (Arc::clone(&party), base.clone(), blob.clone());
        tokio::spawn(async move { party.push(&base, &blob, None).await.unwrap() })
    });
    let how = futures_util::future::try_join_all(pushes).await.unwrap();
    assert_eq!(how, [PushedHow::Uploaded; 4]);
    assert_eq!(tokens.scopes(), [["repository:base:pull,push"]]);

    assert_eq!(party.push(&app, &image.blobs[0], Some(&base)).await.unwrap(), PushedHow::Mounted);
    assert_eq!(
        tokens.scopes()[1..],
        [
            vec!["repository:app:pull,push".to_owned()],
            vec!["repository:app:pull,push".to_owned(), "repository:base:pull".to_owned()],
        ]
    );
    let reader = Party::logged_in(&registry.host(), "me", "hunter2");
    for blob in &image.blobs {
        reader.client.fetch_blob(&base, blob, &|_| ()).await.unwrap();
    }
    assert_eq!(tokens.scopes().len(), 4, "reading takes one more, oci-client's part included");
    assert_eq!(registry.requests().iter().filter(|line| line.contains("oci-client/")).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_taken_is_renewed_once() {
    let tokens = TokenServer::start("me", "hunter2");
    let registry = Registry::start(&registry::Options { tokens: Some(&tokens), ..Default::default() });
    let app = repository(&registry.host(), "app");
    let party = Party::logged_in(&registry.host(), "me", "hunter2");
    let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
    tokens.next_life(-1);
    assert_eq!(party.push(&app, &blob, None).await.unwrap(), PushedHow::Uploaded);
    assert_eq!(tokens.scopes().len(), 2);

    tokens.next_life(-1);
    tokens.next_life(-1);
    let other = Party::logged_in(&registry.host(), "me", "hunter2");
    let error = other.client.has_blob(&app, &blob).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert_eq!(tokens.scopes().len(), 4, "not for ever");

    let wrong = Party::logged_in(&registry.host(), "me", "wrong-word");
    let (host, realm) = (registry.host(), tokens.server.host());
    assert_eq!(
        words(&wrong.client.has_blob(&app, &blob).await.unwrap_err()),
        format!(
            "the token server `http://{realm}` of the registry `{host}` answered 401 Unauthorized \
             (incorrect username or password)\n\
             hint: the login for `{host}` was not accepted for this; log in again: anyarch login {host}"
        )
    );
}

/// A client that knows where `registry.test` is.
fn to_test_name(registry: &Registry, change: impl FnOnce(&mut Options)) -> Party {
    Party::with(|options| {
        let address = format!("127.0.0.1:{}", registry.port()).parse().unwrap();
        options.addresses.insert(Certificate::NAME.to_owned(), address);
        change(options);
    })
}

async fn round_trip(party: &Party, target: &Repository) {
    let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
    assert_eq!(party.push(target, &blob, None).await.unwrap(), PushedHow::Uploaded);
    std::fs::remove_file(party.store.blob_path(&blob.digest)).unwrap();
    party.client.fetch_blob(target, &blob, &|_| ()).await.unwrap();
    assert!(party.store.verify(&blob).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_unless_the_registry_is_named_insecure() {
    let certificate = Certificate::make();
    let registry = Registry::start(&registry::Options { certificate: Some(&certificate), ..Default::default() });
    let name = format!("{}:{}", Certificate::NAME, registry.port());
    let trusting = to_test_name(&registry, |options| options.root_files.push(certificate.authority()));
    round_trip(&trusting, &repository(&name, "trusted")).await;
    let careless = to_test_name(&registry, |options| options.insecure_hosts.push(name.clone()));
    round_trip(&careless, &repository(&name, "careless")).await;
    // This machine's own registries may have any certificate, as with docker.
    let near = Party::anonymous();
    round_trip(&near, &repository(&registry.host(), "near")).await;

    let target = repository(&name, "app").with_tag("v1").unwrap();
    let error = to_test_name(&registry, |_| ()).client.resolve(&target).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the certificate of the registry `{name}` is not trusted"));
    assert_eq!(
        error.hints(),
        [
            "name the certificate of its authority: SSL_CERT_FILE=/path/ca.pem".to_owned(),
            format!("or in anyarch.toml: registry.\"{name}\".ca = \"ca.pem\""),
            format!("or, if nobody else can be on the wire, add `--insecure-registry {name}`"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_spoken_to_this_machine_and_to_insecure_registries_only() {
    let registry = Registry::start(&registry::Options::default());
    let name = format!("{}:{}", Certificate::NAME, registry.port());
    let insecure = to_test_name(&registry, |options| options.insecure_hosts.push(Certificate::NAME.to_owned()));
    round_trip(&insecure, &repository(&name, "app")).await;
    round_trip(&Party::anonymous(), &repository(&format!("localhost:{}", registry.port()), "near")).await;

    let target = repository(&name, "app").with_tag("v1").unwrap();
    let error = to_test_name(&registry, |_| ()).client.resolve(&target).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the registry `{name}` does not speak https"));
    assert_eq!(error.hints(), [format!("if it is meant to speak plain http, add `--insecure-registry {name}`")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_not_there_is_named() {
    let client = Party::anonymous().client;
    let error = client.resolve(&"localhost:1/app:v1".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "the registry `localhost:1` cannot be reached");
    assert_eq!(error.hints(), ["check the name `localhost:1`, and that the registry runs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_damaged_or_gone_is_not_pushed() {
    let registry = Registry::start(&registry::Options::default());
    let target = repository(&registry.host(), "app");
    let party = Party::anonymous();
    let blob = party.store.put(MEDIA_TYPE_LAYER, &vec![b'z'; 3_000_000]).unwrap();
    let path = party.store.blob_path(&blob.digest);
    let begun = format!("uploading the blob `{}` to `{target}` failed", blob.digest);
    // The length is right, the content is not: the last bytes are kept back, and the file is taken away.
    std::fs::write(&path, vec![b'x'; 3_000_000]).unwrap();
    let error = party.push(&target, &blob, None).await.unwrap_err();
    let shown = path.display();
    let digest = blob.digest;
    assert_eq!(
        words(&error).lines().next().unwrap(),
        format!("{begun}: `{shown}` in the cache is damaged: its contents do not have the digest {digest}")
    );
    assert!(!path.exists());
    assert_eq!(registry.count("POST "), 1, "trying again would not help");
    let error = party.push(&target, &blob, None).await.unwrap_err();
    assert_eq!(words(&error).lines().next().unwrap(), format!("{begun}: `{shown}` is gone from the cache"));
    assert!(!party.client.has_blob(&target, &blob).await.unwrap());
}
