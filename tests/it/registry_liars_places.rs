//! Places that a registry may not send us to, and those that it may.

use std::io::Write as _;

use anyarch::blob::MEDIA_TYPE_LAYER;
use anyarch::reference::Repository;
use anyarch::registry::Proxies;

use crate::registry::{Party, words};
use crate::registry_answers::open;
use crate::registry_children::{run_myself, variable};
use crate::registry_liars::{blob_refused, layer, rude, tag_refused};
use crate::support::registry::{self, Certificate, Registry, TokenServer};
use crate::support::server::{Answer, Server};

#[tokio::test(flavor = "multi_thread")]
async fn places_that_are_none_are_not_gone_to() {
    let elsewhere = Server::start(|_| Answer::ok("content"));
    let other = elsewhere.host();
    for (place, shown, why) in [
        ("file:///etc/passwd".to_owned(), "file:///etc/passwd", "it is not an http or https URL"),
        ("ftp://OTHER/x".to_owned(), "ftp://OTHER", "it is not an http or https URL"),
        ("http://me:secret@OTHER/x".to_owned(), "http://OTHER", "it holds a user name"),
        ("http://me@OTHER/x".to_owned(), "http://OTHER", "it holds a user name"),
        ("http://".to_owned(), "http://", "it is not an http or https URL"),
        ("javascript:alert(1)".to_owned(), "javascript:alert(1)", "it is not an http or https URL"),
    ] {
        let target = place.replace("OTHER", &other);
        let (location, challenge) = (target.clone(), format!(r#"Bearer realm="{target}",service="s""#));
        let redirecting = open(move |_| Answer::status(307).with("Location", location.clone()));
        let shown = shown.replace("OTHER", &other);
        assert_eq!(
            blob_refused(&redirecting).await,
            format!("the redirect to `{shown}` by the registry `HOST` is refused: {why}")
        );
        let asking = Server::start(move |_| Answer::status(401).with("WWW-Authenticate", challenge.clone()));
        assert_eq!(
            tag_refused(&asking).await,
            format!("the token server `{shown}` that the registry `HOST` names is refused: {why}")
        );
    }
    assert!(elsewhere.requests().is_empty());
    // What would be two headers is none.
    let split = rude(|_, mut stream| {
        write!(stream, "HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\rSet-Cookie: x\r\nContent-Length: 0\r\n\r\n")
    });
    let said = blob_refused(&split).await;
    assert!(said.starts_with("reading the blob `DIGEST` of `HOST/app` failed: the connection broke"), "{said}");
}

/// A client that trusts `certificate` for the registry at `port` of this machine.
fn trusting(certificate: &Certificate, port: u16) -> Party {
    Party::with(|options| {
        options.addresses.insert(Certificate::NAME.to_owned(), format!("127.0.0.1:{port}").parse().unwrap());
        options.root_files.push(certificate.authority());
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn https_never_becomes_http() {
    let certificate = Certificate::make();
    let tokens = TokenServer::start("me", "hunter2");
    let options = registry::Options { certificate: Some(&certificate), tokens: Some(&tokens), ..Default::default() };
    let registry = Registry::start(&options);
    let name = format!("{}:{}", Certificate::NAME, registry.port());
    let repository: Repository = format!("{name}/app").parse().unwrap();
    let error = trusting(&certificate, registry.port()).client.has_blob(&repository, &layer()).await.unwrap_err();
    let realm = tokens.server.host();
    assert_eq!(
        words(&error),
        format!("the token server `http://{realm}` that the registry `{name}` names is refused: it is not https")
    );
    assert!(tokens.server.requests().is_empty());

    let elsewhere = Server::start(|_| Answer::ok("content"));
    let blobs = format!("http://{}/", elsewhere.host());
    let options = registry::Options { certificate: Some(&certificate), blobs: Some(&blobs), ..Default::default() };
    let registry = Registry::start(&options);
    let name = format!("{}:{}", Certificate::NAME, registry.port());
    let repository: Repository = format!("{name}/app").parse().unwrap();
    let party = trusting(&certificate, registry.port());
    let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
    party.push(&repository, &blob, None).await.unwrap();
    std::fs::remove_file(party.store.blob_path(&blob.digest)).unwrap();
    let error = party.client.fetch_blob(&repository, &blob, &|_| ()).await.unwrap_err();
    let other = elsewhere.host();
    assert_eq!(
        words(&error),
        format!("the redirect to `http://{other}` by the registry `{name}` is refused: it is not https")
    );
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_registry_that_keeps_its_blobs_elsewhere_is_read_without_the_login() {
    let elsewhere = Server::start(|_| Answer::ok("content"));
    let blobs = format!("http://{}/", elsewhere.host());
    let options = registry::Options { login: Some(("me", "hunter2")), blobs: Some(&blobs), ..Default::default() };
    let registry = Registry::start(&options);
    let repository: Repository = format!("{}/app", registry.host()).parse().unwrap();
    let party = Party::logged_in(&registry.host(), "me", "hunter2");
    let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
    party.push(&repository, &blob, None).await.unwrap();
    std::fs::remove_file(party.store.blob_path(&blob.digest)).unwrap();
    party.client.fetch_blob(&repository, &blob, &|_| ()).await.unwrap();
    assert!(party.store.verify(&blob).unwrap());
    let requests = elsewhere.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].header("authorization")), ("GET", None));
}

/// Where a registry of the internet may not send us, and what is said of it.
const INSIDE: [(&str, &str); 6] = [
    ("http://10.0.0.1:5000", "10.0.0.1"),
    ("http://169.254.169.254", "169.254.169.254"),
    ("http://127.0.0.1:PORT", "127.0.0.1"),
    ("http://[::ffff:7f00:1]:PORT", "::ffff:127.0.0.1"),
    ("http://[fd00::1]", "fd00::1"),
    // By its name, whatever that leads to here.
    ("http://localhost:PORT", ""),
];

#[test]
fn a_public_registry_cannot_send_us_inside() {
    let inside = Server::start(|_| Answer::ok("content"));
    let port = inside.port().to_string();
    // A name that no name server knows and that is reached through a proxy is taken for one of the internet.
    let places = INSIDE.map(|(place, _)| place.replace("PORT", &port));
    let proxy = Server::start(move |request| {
        if request.method == "CONNECT" {
            return Answer::status(405);
        }
        let Some((_, rest)) = request.target.split_once("/v2/app") else { return Answer::status(200) };
        let (number, rest) = rest.split_once('/').expect("a repository is asked for something");
        let place = &places[number.parse::<usize>().unwrap()];
        match (request.method.as_str(), rest.starts_with("manifests/")) {
            (_, true) => Answer::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{place}/token""#)),
            ("GET", false) => Answer::status(307).with("Location", format!("{place}/blob")),
            ("POST", false) => Answer::status(202).with("Location", format!("{place}/upload")),
            _ => Answer::status(404),
        }
    });
    let proxies = ["http_proxy", "https_proxy"].map(|name| (name, format!("http://{}", proxy.host())));
    let [http, https] = proxies;
    run_myself(
        "registry_liars_places::child_is_sent_inside",
        &[http, https, ("no_proxy", String::new()), ("ANYARCH_TEST_PORT", port)],
    );
    let asked = proxy.lines();
    assert!(asked.iter().any(|line| line.starts_with("GET http://registry.invalid/v2/app5/blobs/")), "{asked:?}");
    assert!(inside.requests().is_empty());
}

#[tokio::test]
#[ignore = "run by a_public_registry_cannot_send_us_inside"]
async fn child_is_sent_inside() {
    let port = variable("ANYARCH_TEST_PORT");
    for (number, (place, address)) in INSIDE.into_iter().enumerate() {
        let place = place.replace("PORT", &port);
        let party = Party::with(|options| {
            options.proxies = Proxies::of_environment();
            options.insecure_hosts.push("registry.invalid".to_owned());
        });
        let repository: Repository = format!("registry.invalid/app{number}").parse().unwrap();
        let blob = party.store.put(MEDIA_TYPE_LAYER, b"pushed").unwrap();
        let registry = "the registry `registry.invalid`";
        let refusals = [
            (
                party.client.fetch_blob(&repository, &layer(), &|_| ()).await.err(),
                format!("the redirect to `{place}` by {registry}"),
            ),
            (
                party.push(&repository, &blob, None).await.err(),
                format!("the upload to `{place}` that {registry} asks for"),
            ),
            (
                party.client.resolve(&repository.with_tag("v1").unwrap()).await.err(),
                format!("the token server `{place}` that {registry} names"),
            ),
        ];
        for (error, refused) in refusals {
            let said = words(&error.unwrap());
            let begin = format!("{refused} is refused: it leads to {address}");
            assert!(said.starts_with(&begin), "{said}\n{begin}");
            assert!(said.ends_with(", which is closer to this machine than the registry itself"), "{said}");
        }
    }
}
