//! What only the environment of a whole process can show: the test program runs itself with other variables.

use std::process::Command;

use anyarch::blob::{Descriptor, MEDIA_TYPE_LAYER};
use anyarch::reference::Repository;
use anyarch::registry::Proxies;

use crate::registry::{Party, words};
use crate::support::registry::{Certificate, Options, Registry};
use crate::support::server::{Answer, Server};
use crate::support::tunnel::Tunnel;

/// Runs one ignored test of this program with more variables.
pub fn run_myself(test: &str, variables: &[(&str, String)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "0")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let report = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.contains("1 passed"), "{report}");
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by the test that runs this one"))
}

#[test]
fn the_systems_certificates_are_those_of_ssl_cert_file() {
    let certificate = Certificate::make();
    let registry = Registry::start(&Options { certificate: Some(&certificate), ..Default::default() });
    run_myself(
        "registry_children::child_trusts_ssl_cert_file",
        &[
            ("SSL_CERT_FILE", certificate.authority().display().to_string()),
            ("ANYARCH_TEST_PORT", registry.port().to_string()),
        ],
    );
}

#[tokio::test]
#[ignore = "run by the_systems_certificates_are_those_of_ssl_cert_file"]
async fn child_trusts_ssl_cert_file() {
    let port = variable("ANYARCH_TEST_PORT");
    let party = Party::with(|options| {
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        options.addresses.insert(Certificate::NAME.to_owned(), address);
    });
    let target: Repository = format!("{}:{port}/app", Certificate::NAME).parse().unwrap();
    let blob = Descriptor::of(MEDIA_TYPE_LAYER, b"content");
    assert!(!party.client.has_blob(&target, &blob).await.unwrap_or_else(|error| panic!("{}", words(&error))));
}

#[test]
fn this_machine_is_not_reached_through_a_proxy() {
    let registry = Registry::start(&Options::default());
    // Nothing can listen on port 0.
    let proxy = "http://127.0.0.1:0".to_owned();
    run_myself(
        "registry_children::child_ignores_proxies",
        &[
            ("HTTP_PROXY", proxy.clone()),
            ("http_proxy", proxy.clone()),
            ("ALL_PROXY", proxy),
            ("NO_PROXY", String::new()),
            ("ANYARCH_TEST_PORT", registry.port().to_string()),
        ],
    );
}

#[tokio::test]
#[ignore = "run by this_machine_is_not_reached_through_a_proxy"]
async fn child_ignores_proxies() {
    let port = variable("ANYARCH_TEST_PORT");
    let party = Party::with(|options| options.proxies = Proxies::of_environment());
    let blob = Descriptor::of(MEDIA_TYPE_LAYER, b"content");
    for host in ["127.0.0.1", "localhost"] {
        let target: Repository = format!("{host}:{port}/app").parse().unwrap();
        assert!(!party.client.has_blob(&target, &blob).await.unwrap_or_else(|error| panic!("{}", words(&error))));
    }
}

#[test]
fn a_registry_behind_a_proxy_cannot_send_us_inside() {
    let tunnel = Tunnel::start(None);
    // The proxy itself has a name of this machine, and is reached all the same.
    run_myself(
        "registry_children::child_is_sent_inside_through_a_proxy",
        &[("HTTP_PROXY", format!("http://localhost:{}", tunnel.port())), ("NO_PROXY", String::new())],
    );
    let seen = tunnel.seen();
    assert!(seen.iter().any(|line| line.contains("http://auth.test:")), "{seen:?}");
    assert!(!seen.iter().any(|line| line.contains("inside.test")), "{seen:?}");
}

#[tokio::test]
#[ignore = "run by a_registry_behind_a_proxy_cannot_send_us_inside"]
async fn child_is_sent_inside_through_a_proxy() {
    let tokens = Server::start(|_| Answer::ok(r#"{"token":"t"}"#));
    let port = tokens.port();
    for (realm, refusal) in [
        ("auth.test", None),
        ("inside.test", Some("it leads to 10.9.9.9, which is closer to this machine than the registry itself")),
    ] {
        let challenge = format!("Bearer realm=\"http://{realm}:{port}/token\"");
        let server = Server::start(move |request| match request.header("authorization") {
            Some("Bearer t") => Answer::status(200),
            _ => Answer::status(401).with("WWW-Authenticate", challenge.clone()),
        });
        let registry = format!("registry.test:{}", server.port());
        let party = Party::with(|options| {
            options.proxies = Proxies::of_environment();
            options.insecure_hosts.push(registry.clone());
            options.addresses.insert("inside.test".to_owned(), "10.9.9.9:0".parse().unwrap());
        });
        let target: Repository = format!("{registry}/app").parse().unwrap();
        let blob = Descriptor::of(MEDIA_TYPE_LAYER, b"");
        match (party.client.has_blob(&target, &blob).await, refusal) {
            (Ok(true), None) => {}
            (Err(error), Some(refusal)) => assert!(words(&error).ends_with(refusal), "{}", words(&error)),
            (result, _) => panic!("{realm}: {result:?}"),
        }
    }
}
