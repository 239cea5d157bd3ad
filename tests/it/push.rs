//! `build --push` to Debian's `docker-registry`: what moves, in which order, who can read it, and what a failure leaves.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyarch::blob::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::bases::{self, Release};
use crate::support::docker::Docker;
use crate::support::process;
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Request};
use crate::support::publish;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

const PLATFORMS: &[&str] = &["linux/amd64", "linux/arm64", "linux/arm/v7"];

fn push(project: &Project, home: &Home, base: &str, platforms: &[&str], tags: &[&str]) -> Output {
    let program = project.anyarch_at(home).args(["build", "--push", "--base", base]);
    let tags = tags.iter().flat_map(|tag| ["-t", tag]);
    program.args(["--platform", &platforms.join(",")]).args(tags).run()
}

/// The digest that a reference means now.
fn digest_of(reference: &str) -> String {
    inspected(reference, &[])
}

fn inspected(reference: &str, arguments: &[&str]) -> String {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false"]).args(arguments).arg(format!("docker://{reference}"));
    Digest::of(&process::succeed(&mut skopeo)).to_string()
}

/// What can be read of a manifest by its digest.
fn manifest(repository: &str, digest: &Value) -> Value {
    Source::Registry(format!("{repository}@{}", digest.as_str().expect("a digest is a text"))).raw()
}

/// Every layer of every platform of an index.
fn layers(reference: &str) -> BTreeSet<String> {
    let (repository, _) = reference.rsplit_once([':', '@']).expect("the reference has a tag");
    let repository = repository.trim_end_matches("@sha256");
    let index = Source::Registry(reference.to_owned()).raw();
    let manifests = index["manifests"].as_array().expect("it is an index");
    let layers = manifests.iter().flat_map(|entry| {
        let manifest = manifest(repository, &entry["digest"]);
        manifest["layers"].as_array().expect("a manifest has layers").clone()
    });
    layers.map(|layer| layer["digest"].as_str().expect("a layer has a digest").to_owned()).collect()
}

/// What manifests were pushed as, in the order of their requests.
fn pushed(requests: &[Request]) -> Vec<String> {
    requests.iter().filter_map(Request::pushed).map(str::to_owned).collect()
}

#[test]
fn a_push_moves_only_what_is_missing_and_starts_on_each_platform() {
    let registry = Registry::start(&Options::default());
    bases::push(Release::Bookworm, &registry.host(), "debian");
    let proxy = Proxy::before(&registry);
    let (project, home, repository) = (Project::hello_go(), Home::new(), format!("{}/team/hello", proxy.host()));
    let base = format!("{}/debian:{}", proxy.host(), Release::Bookworm.codename());
    let base_layers = layers(&base);
    proxy.take();

    let tags = [format!("{repository}:v1"), format!("{repository}:latest")];
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let output = push(&project, &home, &base, PLATFORMS, &tags);
    output.assert_success();
    let requests = proxy.take();
    let reference = output.stdout.trim_end();
    let digest = digest_of(tags[0]);
    assert_eq!(output.stdout, format!("{repository}@{digest}\n"), "stdout is the reference alone");
    assert_eq!(digest_of(tags[1]), digest);

    // Children first, then the index under the name of each tag.
    let index = Source::Registry(reference.to_owned()).raw();
    let children: BTreeSet<String> = index["manifests"]
        .as_array()
        .expect("it is an index")
        .iter()
        .map(|entry| entry["digest"].as_str().expect("an entry has a digest").to_owned())
        .collect();
    let order = pushed(&requests);
    assert_eq!(order[..3].iter().cloned().collect::<BTreeSet<_>>(), children);
    assert_eq!(order[3..], ["v1", "latest"]);
    let last_upload = requests.iter().rposition(Request::uploads).expect("something was uploaded");
    let first_manifest = requests.iter().position(|request| request.pushed().is_some()).expect("a manifest was pushed");
    assert!(last_upload < first_manifest, "a manifest was pushed before what it names: {requests:#?}");

    // Of the base, nothing went up or down: its layers were mounted, each once.
    let uploads: Vec<&Request> = requests.iter().filter(|request| request.uploads()).collect();
    assert_eq!(uploads.len(), 6, "a layer and a config a platform: {uploads:#?}");
    let mounts = requests.iter().filter(|request| request.path.contains("mount=") && request.status == 201).count();
    let image_layers = layers(reference);
    let shared: Vec<&String> = image_layers.intersection(&base_layers).collect();
    assert_eq!((shared.len(), mounts), (6, 6), "two layers a platform");
    for layer in shared {
        let hexadecimal = layer.trim_start_matches("sha256:");
        let moved = |request: &&Request| request.method == "GET" && request.path.contains(hexadecimal);
        assert_eq!(requests.iter().find(moved), None, "a layer of the base was downloaded");
        assert!(!uploads.iter().any(|upload| upload.path.contains(hexadecimal)), "a layer of the base was uploaded");
    }

    let image = Source::Registry(reference.to_owned());
    assert_eq!(image.platforms(), PLATFORMS);
    for platform in PLATFORMS {
        let unpacked = image.unpack(platform);
        let ended = unpacked.start(&[]);
        let architecture = platform.split('/').nth(1).unwrap();
        assert_eq!((ended.code, ended.stdout), (0, format!("hello from linux/{architecture}\n")), "{}", ended.stderr);
        assert_eq!(unpacked.run(&["/bin/sh", "-c", "echo $LANG"]).stdout, "C.UTF-8\n", "{platform}");
    }
    publish::assert_podman_reads(&image, "linux/arm64");

    // Nothing changed: the tags are looked at, so is the base's, and so is the manifest of each platform.
    proxy.take();
    let again = push(&project, &home, &base, PLATFORMS, &tags);
    assert_eq!(again.assert_success().stdout, output.stdout);
    let requests = proxy.take();
    let mut lines: Vec<String> =
        requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    lines.sort();
    let children: Vec<String> = lines.extract_if(.., |line| line.contains("sha256:")).collect();
    assert!(children.iter().all(|line| line.starts_with("HEAD /v2/team/hello/manifests/")), "{children:#?}");
    assert_eq!(children.len(), PLATFORMS.len());
    let manifests = |path: &str| format!("HEAD /v2/{path}");
    let base_tag = format!("debian/manifests/{}", Release::Bookworm.codename());
    let expected = [base_tag.as_str(), "team/hello/manifests/latest", "team/hello/manifests/v1"].map(manifests);
    assert_eq!(lines, expected);

    let json = project.anyarch_at(&home).args(["build", "--push", "--json", "--base", &base, "-t", tags[0]]);
    let json = json.args(["--platform", &PLATFORMS.join(",")]).run().json();
    assert_eq!(json["images"][0]["digest"], digest);
    assert_eq!(json["images"][0]["outputs"], json!([{"type": "registry", "references": [tags[0]]}]));
}

#[test]
fn what_one_repository_has_the_next_is_given_by_the_registry() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let (project, home) = (Project::hello_go(), Home::new());
    let (one, two) = (format!("{}/one", proxy.host()), format!("{}/two", proxy.host()));
    let tags = [format!("{one}:1"), format!("{two}:1"), format!("{two}:2")];
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let output = push(&project, &home, "static", &PLATFORMS[..2], &tags);
    output.assert_success();
    let requests = proxy.take();
    let digest = digest_of(tags[0]);
    assert_eq!(output.stdout, format!("{one}@{digest}\n{two}@{digest}\n"));
    assert_eq!((digest_of(tags[1]), digest_of(tags[2])), (digest.clone(), digest));
    let count = |repository: &str, which: &dyn Fn(&Request) -> bool| {
        let path = format!("/v2/{repository}/");
        requests.iter().filter(|request| request.path.starts_with(&path) && which(request)).count()
    };
    let mounted = |request: &Request| request.path.contains("mount=") && request.status == 201;
    // The layer of `static` is the same for both platforms and goes up once; to which of the two, whoever asks first says.
    assert_eq!(count("one", &Request::uploads) + count("two", &Request::uploads), 5, "{requests:#?}");
    for repository in ["one", "two"] {
        assert_eq!(count(repository, &Request::uploads) + count(repository, &mounted), 5, "{requests:#?}");
    }
}

#[test]
fn a_base_of_another_registry_goes_up_once_and_is_fetched_once() {
    let (ours, theirs) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    bases::push(Release::Bookworm, &theirs.host(), "debian");
    let (target, source) = (Proxy::before(&ours), Proxy::before(&theirs));
    let base = format!("{}/debian:{}", source.host(), Release::Bookworm.codename());
    let (project, home) = (Project::hello_go(), Home::new());
    for (repository, fetched, uploaded) in [("first", 2, 4), ("second", 0, 0)] {
        let tag = format!("{}/{repository}:1", target.host());
        source.take();
        push(&project, &home, &base, &["linux/amd64"], &[&tag]).assert_success();
        let layers = layers(&base);
        let is_layer =
            |request: &&Request| request.method == "GET" && layers.iter().any(|it| request.path.contains(it));
        assert_eq!(source.take().iter().filter(is_layer).count(), fetched, "{repository}");
        let uploads: Vec<Request> = target.take().into_iter().filter(Request::uploads).collect();
        // Two layers of the base, a layer and a config of ours; the second repository is given all of them.
        assert_eq!(uploads.len(), uploaded, "{repository}: {uploads:#?}");
        assert!(Source::Registry(tag).unpack("linux/amd64").root().join("usr/bin/busybox").exists());
    }
}

#[test]
fn the_login_of_dockers_configuration_is_used() {
    let registry = Registry::start(&Options { login: Some(("robot", "s3cret-word")), ..Options::default() });
    let proxy = Proxy::before(&registry);
    let (project, home) = (Project::hello_go(), Home::new());
    let tag = format!("{}/private:1", proxy.host());
    let build = |configuration: Option<&str>| {
        let mut program = project.anyarch_at(&home).args(["build", "--push", "--platform", "linux/amd64", "-t", &tag]);
        if let Some(login) = configuration {
            let folder = home.path().join("docker");
            fs::create_dir_all(&folder).unwrap();
            let login = STANDARD.encode(login);
            let text = format!(r#"{{"auths": {{"{}": {{"auth": "{login}"}}}}}}"#, proxy.host());
            fs::write(folder.join("config.json"), text).unwrap();
            program = program.env("DOCKER_CONFIG", folder);
        }
        program.run()
    };
    for configuration in [None, Some("robot:wrong-word")] {
        let output = build(configuration);
        output.assert_code(6).assert_stdout("");
        assert!(output.stderr.contains("401"), "{}", output.stderr);
        assert!(!output.stderr.contains("wrong-word"), "a password is shown: {}", output.stderr);
        assert!(!proxy.take().iter().any(|request| request.status < 400), "something was done without a login");
    }
    let output = build(Some("robot:s3cret-word"));
    output.assert_success();
    assert!(!output.stderr.contains("s3cret-word"), "a password is shown: {}", output.stderr);
    let digest = inspected(&tag, &["--creds=robot:s3cret-word"]);
    assert_eq!(output.stdout, format!("{}/private@{digest}\n", proxy.host()));
}

#[test]
fn when_one_platform_does_not_compile_the_tag_stays_where_it_was() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let (project, home, tag) = (Project::hello_go(), Home::new(), format!("{}/hello:stable", proxy.host()));
    push(&project, &home, "static", &PLATFORMS[..2], &[&tag]).assert_success();
    let before = digest_of(&tag);
    proxy.take();
    let project = project.file("arm_arm64.go", "package main\n\nvar _ int = \"no number\"\n");
    let output = push(&project, &home, "static", &PLATFORMS[..2], &[&tag]);
    output.assert_code(4).assert_stdout("");
    let stderr = &output.stderr;
    assert_eq!(stderr.matches("cannot use \"no number\"").count(), 1, "{stderr}");
    assert!(stderr.contains("--- linux/arm64\n"), "{stderr}");
    assert!(stderr.contains("error: hello for linux/arm64 was not built, so nothing was published\n"), "{stderr}");
    assert!(stderr.lines().any(|line| line.starts_with("linux/amd64 ") && line.contains("compiled")), "{stderr}");
    assert_eq!(pushed(&proxy.take()), [""; 0], "a manifest was pushed");
    assert_eq!(digest_of(&tag), before);
}

#[test]
#[ignore = "full: docker"]
fn dockerd_pulls_by_digest_and_starts_what_this_machine_can() {
    let (registry, docker) = (Registry::start(&Options::default()), Docker::start());
    let base = bases::push(Release::Bookworm, &registry.host(), "debian");
    let (project, home, tag) = (Project::hello_go(), Home::new(), format!("{}/hello:1", registry.host()));
    let output = push(&project, &home, &base, PLATFORMS, &[&tag]);
    let reference = output.assert_success().stdout.trim_end();
    for platform in PLATFORMS {
        process::succeed(&mut docker.command(&["pull", "--quiet", "--platform", platform, reference]));
        let format = "--format={{.Os}}/{{.Architecture}}{{with .Variant}}/{{.}}{{end}} {{.Config.Entrypoint}}";
        let found = process::text(&mut docker.command(&["image", "inspect", format, reference]));
        assert_eq!(found, format!("{platform} [/usr/local/bin/hello]"));
        let native = match std::env::consts::ARCH {
            "x86_64" => "linux/amd64",
            _ => "linux/arm64",
        };
        if *platform == native {
            let said = process::text(&mut docker.command(&["run", "--rm", "--network=none", reference]));
            assert_eq!(said, format!("hello from {platform}"));
        }
        // One digest stands for one platform at a time.
        process::succeed(&mut docker.command(&["image", "rm", "--force", reference]));
    }
}
