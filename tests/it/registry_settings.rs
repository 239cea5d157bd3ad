//! `[registry]` tables: mirrors, locations, certificates; and the proxies of the environment.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyarch::blob::{Descriptor, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER};
use anyarch::reference::Repository;
use anyarch::registry::{Notes, Placement};
use anyarch::registry_map::{Prefix, RegistryMap, RegistrySettings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::registry::{Party, words};
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::registry::{Certificate, Options, Registry};
use crate::support::server::{Answer, Server};
use crate::support::small_base;
use crate::support::tunnel::Tunnel;

/// The lines of stderr that are notes.
fn notes(output: &Output) -> Vec<&str> {
    output.stderr.lines().filter_map(|line| line.strip_prefix("note: ")).collect()
}

/// A Go project with that configuration.
fn project(configuration: &str) -> Project {
    Project::hello_go().file("anyarch.toml", configuration)
}

/// The first manifest of the layout that was built.
fn built_manifest(project: &Project) -> Value {
    let folder = project.path().join(".anyarch/out/hello");
    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let first = |index: &Value| {
        let digest = index["manifests"][0]["digest"].as_str().unwrap();
        read(&folder.join("blobs/sha256").join(digest.trim_start_matches("sha256:")))
    };
    first(&first(&read(&folder.join("index.json"))))
}

#[test]
fn mirrors_are_asked_in_their_order_and_the_registry_itself_last() {
    let (origin, mirror) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    small_base::push(&format!("{}/library/base:1", origin.host()), "the base", None);
    small_base::push(&format!("{}/hub/library/base:1", mirror.host()), "the base", None);
    let busy = Server::start(|_| Answer::status(429).with("Retry-After", "3600"));
    let lacking = Server::start(|_| Answer::status(404));
    let (base, home) = (format!("{}/library/base:1", origin.host()), Home::new());
    let before = origin.requests().len();
    let project = project(&format!(
        "base = \"{base}\"\n[registry.\"{}\"]\nmirrors = [\"127.0.0.1:1\", \"http://{}/x\", \"{}\", \"{}/hub\"]\n",
        origin.host(),
        busy.host(),
        lacking.host(),
        mirror.host()
    ));
    let output = project.anyarch_at(&home).args(["build"]).run();
    output.assert_success();
    let of = origin.host();
    let notes = notes(&output);
    assert_eq!(notes.len(), 3, "{notes:#?}");
    let dead =
        format!("the mirror `127.0.0.1:1` of `{of}` is passed over: the registry `127.0.0.1:1` cannot be reached: ");
    assert!(notes[0].starts_with(&dead), "{notes:#?}");
    assert_eq!(
        notes[1..],
        [
            format!(
                "the mirror `{0}` of `{of}` is passed over: the registry `{0}` answered 429 Too Many Requests and asks \
                 to wait 3600 s",
                busy.host()
            ),
            format!(
                "the mirror `{0}` of `{of}` is passed over: reading the manifest `1` of `{0}/library/base` failed: the \
                 registry answered 404 Not Found",
                lacking.host()
            ),
        ]
    );
    assert_eq!(origin.requests().len(), before, "the registry itself is not asked while a mirror has it");
    assert_eq!(busy.lines(), ["GET /v2/"], "who is in trouble is asked once a run");
    assert!(mirror.count("GET /v2/hub/library/base/blobs/") > 0);
    // What is built names the base as the user did.
    assert_eq!(built_manifest(&project)["annotations"]["org.opencontainers.image.base.name"], base.as_str());

    drop(mirror);
    let again = project.anyarch_at(&Home::new()).args(["build"]).run();
    again.assert_success();
    assert_eq!(again.stdout, output.stdout);
    assert!(origin.count("GET /v2/library/base/blobs/") > 0, "without any mirror, the registry itself");
}

#[test]
fn a_push_takes_the_layers_of_a_base_from_a_mirror() {
    let (mirror, target) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    small_base::push(&format!("{}/hub/base:1", mirror.host()), "the base", None);
    let project = project(&format!(
        "base = \"ghost.example/base:1\"\n[registry.\"ghost.example\"]\nmirrors = [\"127.0.0.1:1\", \"{}/hub\"]\n",
        mirror.host()
    ));
    let (tag, uploads) = (format!("{}/hello:1", target.host()), mirror.count("POST "));
    let output = project.anyarch().args(["build", "--push", "-t", &tag]).run();
    output.assert_success();
    assert_eq!(notes(&output).len(), 1, "{}", output.stderr);
    // One layer for both platforms, and their two configs.
    assert_eq!(mirror.count("GET /v2/hub/base/blobs/"), 3);
    assert_eq!(mirror.count("POST "), uploads, "nothing is pushed to a mirror");
}

/// A client with one mirror for a registry, and what it has to say.
pub fn with_mirror(origin: &str, mirror: &str, logins: &Value) -> (Party, Arc<Mutex<Vec<String>>>) {
    let said = Arc::<Mutex<Vec<String>>>::default();
    let told = Arc::clone(&said);
    let party = Party::with(|options| {
        let folder = options.store.root().join("docker");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.json"), logins.to_string()).unwrap();
        options.environment.docker_config = Some(folder);
        let settings = RegistrySettings { mirrors: Some(vec![mirror.parse().unwrap()]), ..Default::default() };
        let mut map = RegistryMap::default();
        map.overlay([(origin.parse::<Prefix>().unwrap(), settings)].into());
        options.map = map;
        options.notes = Notes::new(move |note| told.lock().unwrap().push(note));
    });
    (party, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mirror_of_the_base_has_is_mounted_from_there() {
    let registry = Registry::start(&Options::default());
    let repository = |name: &str| format!("{}/{name}", registry.host()).parse::<Repository>().unwrap();
    let (hub, target) = (repository("hub/base"), repository("app"));
    let filler = Party::anonymous();
    let layer = filler.store.put(MEDIA_TYPE_LAYER, b"a layer of a base").unwrap();
    filler.push(&hub, &layer, None).await.unwrap();

    let (party, _) = with_mirror("ghost.example", &format!("{}/hub", registry.host()), &serde_json::json!({}));
    let base: Repository = "ghost.example/base".parse().unwrap();
    let placed = party.client.place_blob(&target, &layer, Some(&base)).await.unwrap();
    assert!(matches!(placed, Placement::Mounted));
    assert_eq!(registry.count("PUT /v2/app/"), 0, "nothing is uploaded");
}

/// Docker's configuration with one login.
pub fn login(registry: &str) -> Value {
    serde_json::json!({"auths": {registry: {"auth": STANDARD.encode("me:hunter2")}}})
}

const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

/// Answers whoever is logged in as a registry that has one index.
fn guarded() -> Server {
    Server::start(|request| match request.header("authorization") {
        Some("Basic bWU6aHVudGVyMg==") if request.method == "GET" => Answer::ok(INDEX),
        Some("Basic bWU6aHVudGVyMg==") => {
            let digest = Descriptor::of(MEDIA_TYPE_INDEX, INDEX.as_bytes()).digest;
            Answer::status(200).with("Docker-Content-Digest", digest.to_string())
        }
        _ => Answer::status(401).with("WWW-Authenticate", "Basic"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_gets_its_own_login_and_never_the_registrys() {
    let (origin, mirror) = (guarded(), guarded());
    let base: Repository = format!("{}/base", origin.host()).parse().unwrap();
    let tag = base.with_tag("1").unwrap();
    let (party, said) = with_mirror(&origin.host(), &mirror.host(), &login(&mirror.host()));
    party.client.resolve(&tag).await.unwrap();
    assert_eq!((origin.requests().len(), said.lock().unwrap().len()), (0, 0));

    let seen = mirror.requests().len();
    let (party, said) = with_mirror(&origin.host(), &mirror.host(), &login(&origin.host()));
    party.client.resolve(&tag).await.unwrap();
    assert!(mirror.requests()[seen..].iter().all(|request| request.header("authorization").is_none()));
    let note = format!(
        "the mirror `{0}` of `{1}` is passed over: reading the manifest `1` of `{0}/base` failed: the registry answered \
         401 Unauthorized",
        mirror.host(),
        origin.host()
    );
    assert_eq!(*said.lock().unwrap(), [note]);
    let places: Vec<String> = party.client.places_of(&base).iter().map(ToString::to_string).collect();
    assert_eq!(places, [format!("{}/base", mirror.host()), format!("{}/base", origin.host())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mirror_sends_is_held_to_the_digest() {
    let mirror = Server::start(|request| match request.target.as_str() {
        "/v2/" => Answer::status(200),
        target if target.contains("/manifests/") => Answer::ok(r#"{"schemaVersion":2,"manifests":[{}]}"#),
        _ => Answer::ok("c0ntent"),
    });
    let origin = Server::start(|request| {
        let is_manifest = request.target.contains("/manifests/");
        Answer::ok(if is_manifest { INDEX } else { "content" })
    });
    let (party, said) = with_mirror(&origin.host(), &mirror.host(), &serde_json::json!({}));
    let base: Repository = format!("{}/base", origin.host()).parse().unwrap();
    let (index, layer) =
        (Descriptor::of(MEDIA_TYPE_INDEX, INDEX.as_bytes()), Descriptor::of(MEDIA_TYPE_LAYER, b"content"));
    assert_eq!(party.client.manifest(&base, &index.digest).await.unwrap().bytes, INDEX.as_bytes());
    party.client.fetch_blob(&base, &layer, &|_| ()).await.unwrap();
    assert!(party.store.verify(&layer).unwrap());
    let notes = said.lock().unwrap().clone();
    assert_eq!(notes.len(), 1, "once a run: {notes:#?}");
    assert!(notes[0].contains("the registry sent other content: expected sha256:"), "{notes:#?}");
}

#[test]
fn what_is_below_a_key_is_read_from_and_pushed_to_its_location() {
    let registry = Registry::start(&Options::default());
    small_base::push(&format!("{}/other/base:1", registry.host()), "the base", None);
    let project = project(&format!(
        "base = \"ghost.example/org/base:1\"\n[registry.\"ghost.example/org\"]\nlocation = \"{}/other\"\n",
        registry.host()
    ));
    let output = project.anyarch().args(["build", "--push", "-t", "ghost.example/org/team/hello:1"]).run();
    output.assert_success();
    assert!(output.stdout.starts_with(&format!("{}/other/team/hello@sha256:", registry.host())), "{}", output.stdout);
    assert_eq!(registry.count("PUT /v2/other/team/hello/manifests/1 "), 1);
}

#[test]
fn the_users_own_file_holds_below_the_projects() {
    let registry = Registry::start(&Options::default());
    small_base::push(&format!("{}/base:1", registry.host()), "the base", None);
    let (home, host) = (Home::new(), registry.host());
    let folder = home.path().join(".config/anyarch");
    fs::create_dir_all(&folder).unwrap();
    let user = |text: &str| fs::write(folder.join("registries.toml"), text).unwrap();
    user(&format!("[registry.\"{host}\"]\nmirrors = [\"127.0.0.1:1\"]\n"));
    let plain = project(&format!("base = \"{host}/base:1\"\n"));
    let output = plain.anyarch_at(&home).args(["plan"]).run();
    output.assert_success();
    assert!(output.stderr.starts_with("note: the mirror `127.0.0.1:1` of "), "{}", output.stderr);
    let without = project(&format!("base = \"{host}/base:1\"\n[registry.\"{host}\"]\nmirrors = []\n"));
    without.anyarch_at(&home).args(["plan"]).run().assert_success().assert_stderr("");

    user("[registry.\"docker.io\"]\nmirror = [\"127.0.0.1:1\"]\n");
    plain.anyarch_at(&home).args(["plan"]).run().assert_code(2).assert_stdout("").assert_stderr(
        "
        error: unknown key `mirror` in [HOME]/.config/anyarch/registries.toml:2:1

        hint: did you mean `mirrors`?
        ",
    );
}

/// A registry with TLS that serves only those that show a certificate, with the base in it.
struct Strict {
    certificate: Certificate,
    registry: Registry,
    client: (std::path::PathBuf, std::path::PathBuf),
}

impl Strict {
    fn start() -> Self {
        let certificate = Certificate::make();
        let client = certificate.client();
        let options = Options { certificate: Some(&certificate), clients_known: true, ..Options::default() };
        let registry = Registry::start(&options);
        let folder = tempfile::tempdir().unwrap();
        fs::copy(&client.0, folder.path().join("client.cert")).unwrap();
        fs::copy(&client.1, folder.path().join("client.key")).unwrap();
        small_base::push(&format!("{}/base:1", registry.host()), "the base", Some(folder.path()));
        Self { certificate, registry, client }
    }

    fn name(&self) -> String {
        format!("{}:{}", Certificate::NAME, self.registry.port())
    }
}

/// Plans at `home` through the proxy that alone knows where `registry.test` is.
fn plan_through(project: &Project, home: &Home, tunnel: &Tunnel) -> Output {
    let proxy = format!("http://127.0.0.1:{}", tunnel.port());
    let program = project.anyarch_at(home).env("HTTPS_PROXY", proxy).env("NO_PROXY", "").args(["plan"]);
    program.redact(tunnel.port().to_string(), "[PROXY]").run()
}

#[test]
fn certificates_of_a_registry_are_named_in_the_configuration() {
    let (strict, tunnel) = (Strict::start(), Tunnel::start(None));
    let (name, home) = (strict.name(), Home::new());
    let mut project = project(&format!("base = \"{name}/base:1\"\n"));
    fs::copy(strict.certificate.authority(), project.path().join("ca.pem")).unwrap();
    fs::copy(&strict.client.0, project.path().join("me.pem")).unwrap();
    fs::copy(&strict.client.1, project.path().join("me.key")).unwrap();
    let refused = plan_through(&project, &home, &tunnel);
    refused.assert_code(6).assert_stdout("");
    let trusted = format!(
        "error: the base `{name}/base:1` cannot be read\n  because: the certificate of the registry `{name}` is not trusted\n"
    );
    assert!(refused.stderr.starts_with(&trusted), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("hint: or in anyarch.toml: registry.\"{name}\".ca = \"ca.pem\"\n")));

    let table = format!("base = \"{name}/base:1\"\n[registry.\"{name}\"]\nca = \"ca.pem\"\n");
    project = project.file("anyarch.toml", &table);
    let unknown = plan_through(&project, &home, &tunnel);
    unknown.assert_code(6).assert_stdout("");
    // What the registry says of it may come after the connection is closed: the advice is the same.
    let advice = format!(
        "hint: in anyarch.toml: registry.\"{name}\".client_certificate = \"client.pem\"\n\
         hint: and its key: registry.\"{name}\".client_key = \"client.key\"\n"
    );
    assert!(unknown.stderr.ends_with(&advice), "{}", unknown.stderr);

    project =
        project.file("anyarch.toml", format!("{table}client_certificate = \"me.pem\"\nclient_key = \"me.key\"\n"));
    plan_through(&project, &home, &tunnel).assert_success();
    assert!(tunnel.seen().iter().all(|line| *line == format!("CONNECT {name}")), "{:?}", tunnel.seen());

    // The key of another certificate.
    let other = Certificate::make();
    let (_, key) = other.client();
    fs::copy(key, project.path().join("me.key")).unwrap();
    let error = plan_through(&project, &home, &tunnel);
    error.assert_code(6).assert_stdout("");
    let words =
        "  because: the certificates in `[CWD]/me.pem` cannot be read\n  because: it and its key cannot be used: ";
    assert!(error.redacted_stderr().contains(words), "{}", error.redacted_stderr());
}

#[test]
fn certificates_are_found_where_docker_and_podman_have_them() {
    let (strict, tunnel) = (Strict::start(), Tunnel::start(None));
    let (name, home) = (strict.name(), Home::new());
    let project = project(&format!("base = \"{name}/base:1\"\n"));
    let folder = home.path().join(".config/containers/certs.d").join(&name);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(strict.certificate.authority(), folder.join("ca.crt")).unwrap();
    fs::copy(&strict.client.0, folder.join("client.cert")).unwrap();
    fs::copy(&strict.client.1, folder.join("client.key")).unwrap();
    plan_through(&project, &home, &tunnel).assert_success();

    fs::write(folder.join("ca.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let error = plan_through(&project, &home, &tunnel);
    error.assert_code(6).assert_stdout("");
    let words = format!(
        "because: the certificates in `[HOME]/.config/containers/certs.d/{name}/ca.crt` cannot be read\n  because: what it holds is not a certificate\n"
    );
    assert!(error.redacted_stderr().contains(&words), "{}", error.redacted_stderr());
}

#[test]
fn a_proxy_is_used_with_its_login_and_named_without_it() {
    let registry = Registry::start(&Options::default());
    small_base::push(&format!("{}/base:1", registry.host()), "the base", None);
    let name = format!("registry.test:{}", registry.port());
    let project = project(&format!("base = \"{name}/base:1\"\n[registry.\"{name}\"]\nplain_http = true\n"));
    let tunnel = Tunnel::start(Some(("me", "hunter2")));
    let through = |variable: &str, proxy: &str| {
        let mut program = project.anyarch().args(["plan"]);
        for other in
            ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "all_proxy", "no_proxy"]
        {
            program = program.env_remove(other);
        }
        program
            .env(variable, proxy)
            .redact(registry.port().to_string(), "[REGISTRY]")
            .redact(tunnel.port().to_string(), "[PROXY]")
            .run()
    };
    let proxy = |login: &str| format!("http://{login}127.0.0.1:{}", tunnel.port());
    through("HTTP_PROXY", &proxy("me:hunter2@")).assert_success();
    through("ALL_PROXY", &proxy("me:hunter2@")).assert_success();
    assert!(tunnel.seen().contains(&format!("GET http://{name}/v2/")), "{:?}", tunnel.seen());
    through("ALL_PROXY", &format!("socks5h://127.0.0.1:{}", tunnel.port())).assert_success();
    assert!(tunnel.seen().contains(&format!("SOCKS {name}")), "{:?}", tunnel.seen());
    let before = tunnel.seen().len();

    let refused = through("HTTP_PROXY", &proxy("me:wrong-word@"));
    let words = "
        error: the base `registry.test:[REGISTRY]/base:1` cannot be read
          because: the proxy `http://127.0.0.1:[PROXY]`, through which the registry `registry.test:[REGISTRY]` is reached, asks for a login or refuses ours

        hint: give it a login: export HTTP_PROXY=http://USER:PASSWORD@127.0.0.1:[PROXY]
        ";
    refused.assert_code(6).assert_stderr(words);
    assert_eq!(tunnel.seen().len(), before + 1, "a refusal is not tried again");

    let dead = through("HTTP_PROXY", "http://me:hunter2@127.0.0.1:1");
    dead.assert_code(6);
    assert!(
        dead.redacted_stderr().contains(
            "because: the registry `registry.test:[REGISTRY]` cannot be reached through the proxy `http://127.0.0.1:[PORT]`\n"
        ),
        "{}",
        dead.redacted_stderr()
    );
    assert!(!dead.stderr.contains("hunter2") && !refused.stderr.contains("wrong-word"));
    assert!(dead.stderr.ends_with("hint: or go without it: export NO_PROXY=registry.test\n"), "{}", dead.stderr);

    through("HTTPS_PROXY", "ftp://me:hunter2@proxy").assert_code(6).assert_stderr(
        "
        error: registries cannot be spoken to
          because: the variable `HTTPS_PROXY` does not name a proxy

        hint: export HTTPS_PROXY=http://proxy.example.com:3128
        ",
    );
}

#[test]
fn a_tunnel_that_is_refused_names_the_proxy() {
    let tunnel = Tunnel::start(Some(("me", "hunter2")));
    let project = project("base = \"registry.test:1/base:1\"\n");
    plan_through(&project, &Home::new(), &tunnel).assert_code(6).assert_stderr(
        "
        error: the base `registry.test:1/base:1` cannot be read
          because: the proxy `http://127.0.0.1:[PROXY]`, through which the registry `registry.test:1` is reached, asks for a login or refuses ours

        hint: give it a login: export HTTPS_PROXY=http://USER:PASSWORD@127.0.0.1:[PROXY]
        ",
    );
    assert_eq!(tunnel.seen(), ["CONNECT registry.test:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_with_its_ways_out_wherever_it_is_met() {
    let limit = || Answer::status(429).with("Retry-After", "3600");
    let tokens = Server::start(move |_| limit());
    let realm = format!("Bearer realm=\"http://{}/token\"", tokens.host());
    let layer = Descriptor::of(MEDIA_TYPE_LAYER, b"content");
    for (stage, limited) in
        [("ping", "/v2/"), ("token", ""), ("manifest", "/v2/app/manifests/"), ("blob", "/v2/app/blobs/")]
    {
        let realm = realm.clone();
        let server = Server::start(move |request| match request.target.as_str() {
            target if target == limited || limited.len() > 4 && target.starts_with(limited) => limit(),
            "/v2/" if limited.is_empty() => Answer::status(401).with("WWW-Authenticate", realm.clone()),
            _ => Answer::status(200),
        });
        let host = server.host();
        let party = Party::anonymous();
        let app: Repository = format!("{host}/app").parse().unwrap();
        let error = if stage == "blob" {
            party.client.fetch_blob(&app, &layer, &|_| ()).await.unwrap_err()
        } else {
            party.client.resolve(&app.with_tag("1").unwrap()).await.unwrap_err()
        };
        let begin = match stage {
            "ping" => format!("the registry `{host}`"),
            "token" => format!("the token server `http://{}` of the registry `{host}`", tokens.host()),
            "manifest" => format!("reading the manifest `1` of `{host}/app` failed: the registry"),
            _ => format!("reading the blob `{}` of `{host}/app` failed: the registry", layer.digest),
        };
        // Before anything is asked for, a registry does not know who we are, nor what we want.
        let ways_out = if stage == "ping" {
            String::new()
        } else {
            format!(
                ", or log in for a higher limit: anyarch login {host}\n\
                 hint: or read from a mirror, in anyarch.toml:\n\
                 hint: [registry.\"{host}\"]\n\
                 hint: mirrors = [\"https://mirror.example.com\"]"
            )
        };
        assert_eq!(
            words(&error),
            format!(
                "{begin} answered 429 Too Many Requests and asks to wait 3600 s\n\
                 hint: `{host}` limits requests: wait{ways_out}"
            ),
            "{stage}"
        );
    }
}
