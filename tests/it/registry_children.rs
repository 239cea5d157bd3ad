//! What only the environment of a whole process can show: the test program runs itself with other variables.

use std::process::Command;

use anyarch::blob::{Descriptor, MEDIA_TYPE_LAYER};
use anyarch::reference::Repository;

use crate::registry::{Party, words};
use crate::support::registry::{Certificate, Options, Registry};

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
    let party = Party::with(|options| options.proxied = true);
    let blob = Descriptor::of(MEDIA_TYPE_LAYER, b"content");
    for host in ["127.0.0.1", "localhost"] {
        let target: Repository = format!("{host}:{port}/app").parse().unwrap();
        assert!(!party.client.has_blob(&target, &blob).await.unwrap_or_else(|error| panic!("{}", words(&error))));
    }
}
