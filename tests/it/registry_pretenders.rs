//! The registry edge against what answers like a registry and is none, or says more than it should.

use anyarch::blob::{Digest, MEDIA_TYPE_MANIFEST};

use crate::registry::{Party, words};
use crate::registry_answers::{app, open};
use crate::support::server::{Answer, Server};

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_is_no_registry() {
    let server = Server::start(|_| Answer::ok("<html>hello</html>").with("Content-Type", "text/html"));
    let (client, bytes) = (Party::anonymous().client, MANIFEST.as_bytes());
    assert!(!client.has_manifest(&app(&server), &Digest::of(bytes)).await.unwrap());
    let error = client.push_manifest(&app(&server), "v1", MEDIA_TYPE_MANIFEST, bytes).await.unwrap_err();
    let host = server.host();
    assert_eq!(
        words(&error),
        format!(
            "pushing the manifest `v1` to `{host}/app` failed: the registry answered 200 OK and did not keep it\n\
             hint: see whether it is a registry that answers: curl -iL {host}/v2/"
        )
    );
    // One that says no more than it has to is believed when it has what it was given.
    let terse = open(|request| match request.method.as_str() {
        "HEAD" => Answer::ok(MANIFEST).with("Content-Type", MEDIA_TYPE_MANIFEST),
        _ => Answer::status(200),
    });
    client.push_manifest(&app(&terse), "v1", MEDIA_TYPE_MANIFEST, bytes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_repeats_the_password_does_not_have_it_shown() {
    let server = Server::start(|request| match request.header("authorization") {
        Some(_) => Answer::status(401).body(r#"{"details":"bad login me:hunter2"}"#),
        None => Answer::status(401).with("WWW-Authenticate", r#"Basic realm="x""#),
    });
    let host = server.host();
    let party = Party::configured(&format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6aHVudGVyMg=="}}}}}}"#));
    let bytes = MANIFEST.as_bytes();
    let error = party.client.push_manifest(&app(&server), "v1", MEDIA_TYPE_MANIFEST, bytes).await.unwrap_err();
    let start = format!("pushing the manifest `v1` to `{host}/app` failed: ");
    let expected =
        format!("{start}the registry answered 401 Unauthorized (its words hold the login, and are not shown)");
    assert!(words(&error).starts_with(&expected), "{}", words(&error));
}
