//! The registry edge against answers that real registries give now and then, and that liars give.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyarch::blob::{Descriptor, Digest, MEDIA_TYPE_LAYER, MEDIA_TYPE_MANIFEST};
use anyarch::hint::Hint as _;
use anyarch::reference::Repository;
use anyarch::registry::{Error, PushedHow};

use crate::registry::{Party, words};
use crate::support::server::{Answer, Request, Server};

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;

/// Decides on an answer without knowing anything but the request.
type Decide = fn(&Request) -> Answer;

pub fn app(server: &Server) -> Repository {
    format!("{}/app", server.host()).parse().unwrap()
}

fn layer() -> Descriptor {
    Descriptor::of(MEDIA_TYPE_LAYER, b"content")
}

/// A server that says nothing of logins and answers everything else by `decide`.
pub fn open(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |request| if request.target == "/v2/" { Answer::status(200) } else { decide(request) })
}

/// A server whose `decide` also gets how many requests came before.
pub fn counting(decide: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    open(move |request| decide(request, count.fetch_add(1, Ordering::SeqCst)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_tells_what_a_head_does_not() {
    for refusal in [403, 404, 405, 200] {
        let server = open(move |request| match request.method.as_str() {
            // 200 without a digest.
            "HEAD" => Answer::status(refusal),
            _ => Answer::ok(MANIFEST),
        });
        let fetched = Party::anonymous().client.resolve(&app(&server).with_tag("v1").unwrap()).await.unwrap();
        assert_eq!(fetched.digest, Digest::of(MANIFEST.as_bytes()), "{refusal}");
        assert_eq!(fetched.media_type, MEDIA_TYPE_MANIFEST);
        assert_eq!(server.lines()[1..], ["HEAD /v2/app/manifests/v1", "GET /v2/app/manifests/v1"], "{refusal}");
        let accept = server.requests()[1].header("accept").unwrap().to_owned();
        assert!(accept.contains("image.index.v1+json") && accept.contains("manifest.list.v2+json"), "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_in_the_registrys_words() {
    let server =
        open(|_| Answer::status(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#));
    let host = server.host();
    let error = Party::anonymous().client.resolve(&app(&server).with_tag("v1").unwrap()).await.unwrap_err();
    assert_eq!(
        words(&error),
        format!(
            "reading the manifest `v1` of `{host}/app` failed: the registry answered 404 Not Found \
             (MANIFEST_UNKNOWN: manifest unknown)\n\
             hint: check the name and the tag: `{host}/app:v1`"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_are_refused_within_bounds() {
    let other = Digest::of(b"other");
    let manifests: [(Decide, &str); 4] = [
        (|_| Answer::endless(), "the registry sends more than 4194304 bytes"),
        (|_| Answer::ok(vec![b' '; 5 * 1024 * 1024]), "the registry sends more than 4194304 bytes"),
        (|_| Answer::ok(r#"{"schemaVersion":2,"manifests":[]}"#), "the registry sent other content"),
        (|_| Answer::ok("<html>"), "the manifest is not JSON"),
    ];
    for (decide, expected) in manifests {
        let server = open(decide);
        let error = Party::anonymous().client.manifest(&app(&server), &other).await.unwrap_err();
        let begin = format!("reading the manifest `{other}` of `{}` failed: ", app(&server));
        assert_eq!(error.to_string(), format!("{begin}{expected}"));
    }
    let blobs: [(Decide, &str); 3] = [
        (|_| Answer::endless(), "the registry sends more than 7 bytes"),
        (|_| Answer::ok("content and more"), "the registry sends more than 7 bytes"),
        (|_| Answer::ok("cOntent"), "the registry sent other content"),
    ];
    for (decide, expected) in blobs {
        let server = open(decide);
        let party = Party::anonymous();
        let error = party.client.fetch_blob(&app(&server), &layer(), &|_| ()).await.unwrap_err();
        let begin = format!("reading the blob `{}` of `{}` failed: ", layer().digest, app(&server));
        assert_eq!(error.to_string(), format!("{begin}{expected}"));
        assert!(!party.store.has(&layer().digest, 7));
        let left = std::fs::read_dir(party.store.root().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "nothing half is left behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_by_itself_is_tried_again() {
    let troubles: [(&str, Decide); 9] = [
        ("408", |_| Answer::status(408)),
        ("500", |_| Answer::status(500)),
        ("502", |_| Answer::status(502)),
        ("503", |_| Answer::status(503)),
        ("504", |_| Answer::status(504)),
        ("429", |_| Answer::status(429).with("Retry-After", "0")),
        ("hangup", |_| Answer::hangup()),
        ("cut", |_| Answer::ok("content").cut(3)),
        ("short", |_| Answer::ok("cont")),
    ];
    for (name, trouble) in troubles {
        let server = counting(move |request, before| if before < 2 { trouble(request) } else { Answer::ok("content") });
        let party = Party::anonymous();
        party
            .client
            .fetch_blob(&app(&server), &layer(), &|_| ())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(server.requests().len(), 4, "{name}");
    }
    let server = open(|_| Answer::status(503).body("busy"));
    let error = Party::anonymous().client.fetch_blob(&app(&server), &layer(), &|_| ()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "reading the blob `{}` of `{}` failed: the registry answered 503 Service Unavailable (busy) (tried 5 times in 0 s)",
            layer().digest,
            app(&server)
        )
    );
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_beyond_the_budget_is_not_waited() {
    let server = open(|_| Answer::status(429).with("Retry-After", "3600"));
    let (host, begin) = (server.host(), Instant::now());
    let error = Party::anonymous().client.resolve(&app(&server).with_tag("v1").unwrap()).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(
        words(&error),
        format!(
            "reading the manifest `v1` of `{host}/app` failed: the registry answered 429 Too Many Requests and asks to wait 3600 s\n\
             hint: `{host}` limits requests: wait, or log in for a higher limit: anyarch login {host}\n\
             hint: or read from a mirror, in anyarch.toml:\n\
             hint: [registry.\"{host}\"]\n\
             hint: mirrors = [\"https://mirror.example.com\"]"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_without_the_login() {
    let elsewhere = Server::start(|_| Answer::ok("content"));
    let location = format!("http://{}/blob?signature=secret", elsewhere.host());
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Basic bWU6aHVudGVyMg==") => Answer::status(307).with("Location", location.clone()),
        _ => Answer::status(401).with("WWW-Authenticate", r#"Basic realm="x""#),
    });
    let party = Party::logged_in(&server.host(), "me", "hunter2");
    party.client.fetch_blob(&app(&server), &layer(), &|_| ()).await.unwrap();
    let requests = elsewhere.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].target, "/blob?signature=secret");
    assert_eq!(requests[0].header("authorization"), None);

    let endless = open(|request| Answer::status(302).with("Location", format!("{}x", request.target)));
    let error = Party::anonymous().client.fetch_blob(&app(&endless), &layer(), &|_| ()).await.unwrap_err();
    let host = endless.host();
    assert_eq!(
        words(&error),
        format!(
            "the redirect to `http://{host}` by the registry `{host}` is refused: there were 10 redirects before it"
        )
    );
    let file = open(|_| Answer::status(302).with("Location", "file:///etc/passwd?x"));
    let error = Party::anonymous().client.fetch_blob(&app(&file), &layer(), &|_| ()).await.unwrap_err();
    let host = file.host();
    assert_eq!(
        words(&error),
        format!(
            "the redirect to `file:///etc/passwd` by the registry `{host}` is refused: it is not an http or https URL"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_client_is_not_led_elsewhere() {
    let blobs: Vec<Descriptor> =
        ["one", "two", "three"].map(|text| Descriptor::of(MEDIA_TYPE_LAYER, text.as_bytes())).into();
    let elsewhere = Server::start(|_| Answer::ok("three"));
    // The same machine under another name, which is another host to oci-client.
    let location = format!("http://localhost:{}/three", elsewhere.port());
    let (first, second) = (blobs[0].digest.to_string(), blobs[1].digest.to_string());
    let server = open(move |request| {
        if request.target.ends_with(&first) {
            Answer::ok("one")
        } else if request.target.ends_with(&second) {
            Answer::ok("two")
        } else {
            Answer::status(307).with("Location", location.clone())
        }
    });
    let party = Party::anonymous();
    for blob in &blobs {
        party.client.fetch_blob(&app(&server), blob, &|_| ()).await.unwrap();
    }
    let agent = |request: &Request| request.header("user-agent").unwrap_or_default().contains("oci-client");
    assert_eq!(server.requests().iter().map(agent).collect::<Vec<_>>(), [false, false, true, true, false]);
    assert_eq!(elsewhere.requests().iter().map(agent).collect::<Vec<_>>(), [false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_restarts_is_waited_for_and_one_that_never_answered_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let restarting = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        drop((stream, listener));
        thread::sleep(Duration::from_millis(300));
        let again = TcpListener::bind(address).unwrap();
        Server::on(again, |request, stream| Answer::ok("content").write(request, stream))
    });
    let party = Party::with(|options| options.retry.first_wait = Duration::from_millis(100));
    let repository: Repository = format!("{address}/app").parse().unwrap();
    party.client.fetch_blob(&repository, &layer(), &|_| ()).await.unwrap();
    assert_eq!(restarting.join().unwrap().requests().len(), 1);

    let nobody: Repository = "127.0.0.1:1/app".parse().unwrap();
    let error = Party::anonymous().client.fetch_blob(&nobody, &layer(), &|_| ()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { answered: false, .. }), "{error:?}");
}

/// Takes a blob up to where `location` says.
fn uploads(location: &'static str) -> Server {
    open(move |request| match request.method.as_str() {
        "POST" => Answer::status(202).with("Location", location),
        "PUT" => Answer::status(201),
        _ => Answer::status(404),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_where_the_registry_says_in_one_piece() {
    let digest = layer().digest;
    for (location, expected) in [
        ("/v2/app/blobs/uploads/1", format!("PUT /v2/app/blobs/uploads/1?digest={digest}")),
        ("2?_state=a%2Fb+c==&x", format!("PUT /v2/app/blobs/uploads/2?_state=a%2Fb+c==&x&digest={digest}")),
    ] {
        let server = uploads(location);
        let party = Party::anonymous();
        let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
        assert_eq!(party.push(&app(&server), &blob, None).await.unwrap(), PushedHow::Uploaded);
        let expected_lines =
            [format!("HEAD /v2/app/blobs/{digest}"), "POST /v2/app/blobs/uploads/".to_owned(), expected];
        assert_eq!(server.lines()[1..], expected_lines);
        let put = &server.requests()[3];
        assert_eq!(put.body, b"content");
        assert_eq!(put.header("content-length"), Some("7"));
        assert_eq!(put.header("transfer-encoding"), None);
        assert_eq!(put.header("content-type"), Some("application/octet-stream"));
        assert_eq!(server.requests()[2].header("content-length"), Some("0"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_another_host_takes_no_login_along() {
    let elsewhere = Server::start(|_| Answer::status(201));
    let location = format!("http://{}/put?signed=1", elsewhere.host());
    let server = Server::start(move |request| match (request.method.as_str(), request.header("authorization")) {
        (_, None) => Answer::status(401).with("WWW-Authenticate", "Basic"),
        ("POST", _) => Answer::status(202).with("Location", location.clone()),
        _ => Answer::status(404),
    });
    let party = Party::logged_in(&server.host(), "me", "hunter2");
    let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
    assert_eq!(party.push(&app(&server), &blob, None).await.unwrap(), PushedHow::Uploaded);
    let put = &elsewhere.requests()[0];
    assert_eq!((put.header("authorization"), put.body.as_slice()), (None, b"content".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_a_place_is_an_error_that_says_which() {
    let server = open(|request| Answer::status(if request.method == "POST" { 202 } else { 404 }));
    let party = Party::anonymous();
    let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
    let error = party.push(&app(&server), &blob, None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "uploading the blob `{}` to `{}` failed: the registry answered 202 Accepted without saying where to upload to (no `Location`)",
            blob.digest,
            app(&server)
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_begins_anew_from_the_first_byte() {
    let puts = Arc::new(AtomicUsize::new(0));
    let server = open(move |request| match request.method.as_str() {
        "POST" => Answer::status(202).with("Location", "/v2/app/blobs/uploads/1"),
        "PUT" if puts.fetch_add(1, Ordering::SeqCst) == 0 => Answer::hangup(),
        "PUT" => Answer::status(201),
        _ => Answer::status(404),
    });
    let party = Party::anonymous();
    let blob = party.store.put(MEDIA_TYPE_LAYER, &vec![b'z'; 3_000_000]).unwrap();
    assert_eq!(party.push(&app(&server), &blob, None).await.unwrap(), PushedHow::Uploaded);
    let lengths: Vec<usize> =
        server.requests().iter().filter(|request| request.method == "PUT").map(|request| request.body.len()).collect();
    assert_eq!(lengths, [3_000_000, 3_000_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stores_something_else_is_found_out() {
    let server = open(|_| Answer::status(201).with("Docker-Content-Digest", Digest::of(b"other").to_string()));
    let bytes = MANIFEST.as_bytes();
    let pushed = Party::anonymous().client.push_manifest(&app(&server), "v1", MEDIA_TYPE_MANIFEST, bytes).await;
    assert_eq!(
        pushed.unwrap_err().to_string(),
        format!(
            "pushing the manifest `v1` to `{}` failed: the registry stored it as {}, but it is {}",
            app(&server),
            Digest::of(b"other"),
            Digest::of(bytes)
        )
    );
    assert_eq!(server.requests()[1].body, bytes);
    assert_eq!(server.requests()[1].header("content-type"), Some(MEDIA_TYPE_MANIFEST));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_of_login_and_a_broken_configuration_are_named() {
    let server = Server::start(|_| Answer::status(401).with("WWW-Authenticate", "Negotiate token"));
    let error = Party::anonymous().client.has_blob(&app(&server), &layer()).await.unwrap_err();
    let host = server.host();
    assert_eq!(error.to_string(), format!("the registry `{host}` asks for a login of an unknown kind: `Negotiate`"));

    let server = Server::start(|_| Answer::status(401).with("WWW-Authenticate", "Basic"));
    let party = Party::configured("{\n  \"auths\": 7");
    let error = party.client.has_blob(&app(&server), &layer()).await.unwrap_err();
    let (host, file) = (server.host(), party.store.root().join("docker/config.json"));
    let file = file.display();
    assert_eq!(
        words(&error),
        format!(
            "the login for the registry `{host}` cannot be found out: `{file}` is not a valid docker configuration: line 2, column 12\n\
             hint: check it: jq . {file}"
        )
    );
    let Error::Credentials { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.hints().len(), 1);
}
