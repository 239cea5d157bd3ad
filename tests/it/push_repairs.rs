//! A push beside what others do to the registry: what they deleted comes back, what they changed is found out, and a registry
//! that refuses is told of while compilers still work.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyarch::blob::Digest;
use anyarch::store::Store;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::prebuilt;
use crate::support::program::{Home, Output, Program};
use crate::support::project::Project;
use crate::support::proxy::{Fault, Gate, On, Proxy, Request};
use crate::support::registry::{Certificate, Options, Registry, TokenServer};
use crate::support::start::Source;

/// Asks a registry for something without a body; the status of its answer.
fn ask(registry: &Registry, method: &str, path: &str) -> u16 {
    let mut connection = TcpStream::connect(registry.host()).unwrap();
    let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
    let head =
        format!("{method} /v2/{path} HTTP/1.1\r\nHost: registry\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}

fn push<'home>(project: &Project, home: &'home Home, tag: &str) -> Program<'home> {
    project.anyarch_at(home).args(["build", "--push", "--base=scratch", "-t", tag])
}

fn both(project: &Project, home: &Home, tag: &str) -> Output {
    push(project, home, tag).args(["--platform", &prebuilt::PLATFORMS.join(",")]).run()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

fn lines(requests: &[Request]) -> Vec<String> {
    requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

#[test]
fn what_was_deleted_of_an_index_comes_back() {
    let registry = Registry::start(&Options { deletes: true, ..Options::default() });
    let proxy = Proxy::before(&registry);
    let (project, home) = (prebuilt::project(), Home::new());
    let tag = format!("{}/app:1", proxy.host());
    both(&project, &home, &tag).assert_success();
    let index = Source::Registry(tag.clone()).raw();
    let child = text(&index["manifests"][1]["digest"]);
    let manifest = Source::Registry(format!("{}/app@{child}", proxy.host())).raw();
    let path = format!("app/manifests/{child}");
    for with_blobs in [false, true] {
        assert_eq!(ask(&registry, "DELETE", &path), 202);
        // What a registry's garbage collector does next.
        let parts =
            [&manifest["config"], &manifest["layers"][0]].map(|blob| format!("app/blobs/{}", text(&blob["digest"])));
        for part in parts.iter().filter(|_| with_blobs) {
            assert_eq!(ask(&registry, "DELETE", part), 202);
        }
        both(&project, &home, &tag).assert_success();
        assert_eq!(ask(&registry, "HEAD", &path), 200, "{with_blobs}");
        for part in &parts {
            assert_eq!(ask(&registry, "HEAD", part), 200, "{with_blobs}");
        }
    }
    proxy.take();
    both(&project, &home, &tag).assert_success();
    assert_eq!(proxy.take().len(), 3, "one request a tag and one a platform");
}

#[test]
fn a_deleted_blob_of_a_single_manifest_comes_back() {
    let registry = Registry::start(&Options { deletes: true, ..Options::default() });
    let (project, home) = (prebuilt::project(), Home::new());
    let tag = |tag: &str| format!("{}/solo:{tag}", registry.host());
    let push = |tag: &str| push(&project, &home, tag).args(["--single-manifest", "--platform=linux/amd64"]).run();
    push(&tag("1")).assert_success();
    let layer = format!("solo/blobs/{}", text(&Source::Registry(tag("1")).raw()["layers"][0]["digest"]));
    assert_eq!(ask(&registry, "DELETE", &layer), 202);
    assert_eq!(ask(&registry, "HEAD", &layer), 404);
    push(&tag("2")).assert_success();
    assert_eq!(ask(&registry, "HEAD", &layer), 200);
    assert_eq!(ask(&registry, "HEAD", "solo/manifests/2"), 200);
}

#[test]
fn a_registry_that_does_not_like_head_is_pushed_to() {
    let registry = Registry::start(&Options::default());
    let (project, home) = (prebuilt::project(), Home::new());
    for status in [400, 403, 405, 501] {
        let proxy = Proxy::before(&registry);
        proxy.fault(On::new("HEAD", "/v2/*"), Fault::status(status));
        both(&project, &home, &format!("{}/app{status}:1", proxy.host())).assert_success();
        assert_eq!(ask(&registry, "HEAD", &format!("app{status}/manifests/1")), 200);
    }
}

#[test]
fn names_that_lead_to_one_place_are_refused() {
    let image = |name: &str, host: &str| {
        format!("[[image]]\nname = \"{name}\"\nprograms = [\"hello\"]\ntags = \"{host}/shop:1\"\n")
    };
    let config = format!(
        "base = \"scratch\"\nplatforms = [\"linux/amd64\"]\n[[program]]\nname = \"hello\"\nlanguage = \"prebuilt\"\n\
         path = \"hello-amd64\"\n{}{}[registry.\"one.example\"]\nlocation = \"two.example\"\n",
        image("web", "one.example"),
        image("job", "two.example")
    );
    let project = prebuilt::project().file("anyarch.toml", config);
    let output = project.anyarch().args(["build", "--push"]).run();
    output.assert_code(2).assert_stdout("");
    assert!(output.stderr.contains("error: `two.example/shop:1` names two images: `web` "), "{}", output.stderr);
}

#[test]
fn a_registry_that_cannot_be_reached_is_told_before_the_compilers_are_done() {
    let config = "[[program]]\nname = \"app\"\nlanguage = \"command\"\ncommand = \"touch started; sleep 60\"\n";
    let project = Project::new().file("anyarch.toml", config);
    let begin = Instant::now();
    let output = push(&project, &Home::new(), "127.0.0.1:1/app:1").args(["--platform=linux/amd64"]).run();
    output.assert_code(6).assert_stdout("");
    assert!(output.stderr.contains("127.0.0.1:1"), "{}", output.stderr);
    assert!(begin.elapsed() < Duration::from_secs(30), "the compiler was waited for: {:?}", begin.elapsed());
}

#[test]
fn an_image_goes_up_while_another_is_compiled() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let gate = Gate::default();
    proxy.fault(On::put_blob(), Fault::Hold(0, gate.clone()));
    // It ends by itself when the test is over early.
    let wait =
        "for n in $(seq 1200); do test -e go && cp hello-amd64 $ANYARCH_OUTPUT && exit; sleep 0.05; done; exit 1";
    let config = format!(
        "base = \"scratch\"\nplatforms = [\"linux/amd64\"]\ntags = [\"{}/{{{{image.name}}}}:1\"]\n\
         [[program]]\nname = \"quick\"\nlanguage = \"prebuilt\"\npath = \"hello-amd64\"\n\
         [[program]]\nname = \"slow\"\nlanguage = \"command\"\ncommand = {wait:?}\n\
         [[image]]\nname = \"first\"\nprograms = [\"quick\"]\n[[image]]\nname = \"second\"\nprograms = [\"slow\"]\n",
        proxy.host()
    );
    let project = prebuilt::project().file("anyarch.toml", config);
    let go = project.path().join("go");
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| project.anyarch().args(["build", "--push"]).run());
        let came = gate.wait(Duration::from_secs(50));
        let compiled = go.exists();
        fs::write(&go, "").unwrap();
        gate.open();
        let output = run.join().unwrap();
        assert!(came && !compiled, "nothing went up while the second was compiled");
        output
    });
    output.assert_success();
    let pushed: Vec<String> = proxy.take().iter().filter_map(Request::pushed).map(str::to_owned).collect();
    assert_eq!(pushed.iter().filter(|name| *name == "1").count(), 2, "both tags: {pushed:?}");
}

/// Has the user of a home logged in to a registry as docker does it.
fn log_in(home: &Home, host: &str) {
    let folder = home.path().join(".docker");
    fs::create_dir_all(&folder).unwrap();
    let auths = json!({"auths": {host: {"auth": STANDARD.encode("me:hunter2")}}});
    fs::write(folder.join("config.json"), auths.to_string()).unwrap();
}

#[test]
fn a_registry_that_is_not_as_it_was_remembered_is_found_anew() {
    let tokens = TokenServer::start("me", "hunter2");
    let with_tokens = Registry::start(&Options { tokens: Some(&tokens), ..Options::default() });
    let open = Registry::start(&Options::default());
    let with_login = Registry::start(&Options { login: Some(("me", "hunter2")), ..Options::default() });
    let proxy = Proxy::before(&with_tokens);
    let (project, home) = (prebuilt::project(), Home::new());
    log_in(&home, proxy.host());
    let tag = format!("{}/app:1", proxy.host());
    both(&project, &home, &tag).assert_success();
    proxy.take();
    both(&project, &home, &tag).assert_success();
    assert_eq!(proxy.take().len(), 3, "the token server is remembered, too");

    // Its token server is gone, and now it wants a password.
    drop(tokens);
    proxy.stand_before(&with_login);
    both(&project, &home, &tag).assert_success();
    let requests = lines(&proxy.take());
    assert!(requests.contains(&"GET /v2/".to_owned()), "{requests:#?}");
    both(&project, &home, &tag).assert_success();
    assert_eq!(proxy.take().len(), 3, "that is remembered");

    // Now it wants nothing, and then a password again.
    proxy.stand_before(&open);
    both(&project, &home, &tag).assert_success();
    fs::remove_file(home.path().join(".docker/config.json")).unwrap();
    proxy.stand_before(&with_login);
    both(&project, &home, &tag).assert_code(6);
    log_in(&home, proxy.host());
    both(&project, &home, &tag).assert_success();
}

#[test]
fn a_registry_that_was_remembered_in_the_clear_and_wants_tls_now_is_found_anew() {
    let certificate = Certificate::make();
    let registry = Registry::start(&Options { certificate: Some(&certificate), ..Options::default() });
    let (project, home) = (prebuilt::project(), Home::new());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let memory = json!({"scheme": "Http", "closeness": "Loopback", "challenge": null});
    let record = json!({"found": now, "memory": memory});
    let key = Digest::of(registry.host().as_bytes());
    Store::open(home.cache()).unwrap().set_record("registry", &key, &record).unwrap();
    both(&project, &home, &format!("{}/app:1", registry.host())).assert_success();
    let found: Value = Store::open(home.cache()).unwrap().record("registry", &key).unwrap();
    assert_eq!(found["memory"]["scheme"], "UnverifiedHttps");
}
