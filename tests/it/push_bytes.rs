//! What a push moves, byte by byte, and how often it asks: what changed and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::layout::{self, Image, Tree};
use crate::support::process;
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::proxy::{Fault, On, Proxy, Reply, Request};
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

const PLATFORMS: &[&str] = &["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "linux/ppc64le", "linux/s390x"];

/// A program that needs nothing but Go's runtime.
fn project() -> Project {
    saying(Project::new().file("go.mod", "module example.com/hello\n\ngo 1.21\n"), "hello")
}

fn saying(project: Project, word: &str) -> Project {
    project.file("main.go", format!("package main\n\nfunc main() {{ println({word:?}) }}\n"))
}

/// Puts a base into a registry: a layer that all platforms share, and one of each, none of which gzip makes small.
fn push_base(host: &str, platforms: &[&str], size: u32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let layer = |seed: u32| {
        let mut tree = Tree::default();
        let numbers = (0..size / 4).scan(seed, |state, _| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some(*state >> 8)
        });
        tree.file(&format!("data{seed}"), 0o644, numbers.flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
        tree
    };
    let images: Vec<Image> = (1..)
        .zip(platforms)
        .map(|(seed, platform)| Image {
            platform: platform.parse().unwrap(),
            layers: vec![layer(0), layer(seed)],
            config: json!({}),
        })
        .collect();
    layout::write(folder.path(), "base", &images);
    let reference = format!("{host}/base:1");
    let from = format!("oci:{}:base", folder.path().display());
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--all", "--dest-tls-verify=false", &from]).arg(format!("docker://{reference}"));
    process::succeed(&mut skopeo);
    reference
}

fn push(project: &Project, home: &Home, platforms: &[&str], arguments: &[&str]) -> Output {
    let program = project.anyarch_at(home).args(["build", "--push", "--platform", &platforms.join(",")]);
    let output = program.args(arguments).run();
    output.assert_success();
    output
}

/// Every document and blob of an image with its size, by digest: of the index, the manifests, configs and layers.
fn parts(repository: &str, reference: &str) -> BTreeMap<String, u64> {
    let mut parts = BTreeMap::new();
    let size = |descriptor: &Value| descriptor["size"].as_u64().expect("a descriptor has a size");
    let index = Source::Registry(reference.to_owned()).raw();
    for entry in index["manifests"].as_array().expect("it is an index") {
        let digest = entry["digest"].as_str().expect("a descriptor has a digest");
        parts.insert(digest.to_owned(), size(entry));
        let manifest = Source::Registry(format!("{repository}@{digest}")).raw();
        for blob in manifest["layers"].as_array().expect("it is a manifest").iter().chain([&manifest["config"]]) {
            parts.insert(blob["digest"].as_str().expect("a descriptor has a digest").to_owned(), size(blob));
        }
    }
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false"]).arg(format!("docker://{reference}"));
    let raw = process::succeed(&mut skopeo);
    parts.insert(anyarch::blob::Digest::of(&raw).to_string(), raw.len() as u64);
    parts
}

fn sent(requests: &[Request]) -> u64 {
    requests.iter().map(|request| request.sent).sum()
}

fn lines(requests: &[Request]) -> Vec<String> {
    requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

#[test]
fn after_a_change_of_one_line_what_changed_goes_up_and_no_byte_more() {
    let (ours, theirs) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    let (target, source) = (Proxy::before(&ours), Proxy::before(&theirs));
    for proxy in [&target, &source] {
        let base = push_base(proxy.host(), PLATFORMS, 300_000);
        let (project, home) = (project(), Home::new());
        let repository = format!("{}/app{}", target.host(), proxy.host().rsplit(':').next().unwrap());
        let tag = format!("{repository}:1");
        let pushed = push(&project, &home, PLATFORMS, &["--base", &base, "-t", &tag]);
        let before = parts(&repository, pushed.stdout.trim_end());

        let project = saying(project, "goodbye");
        target.take();
        source.take();
        let pushed = push(&project, &home, PLATFORMS, &["--base", &base, "-t", &tag]);
        let (requests, asked) = (target.take(), source.take());
        let after = parts(&repository, pushed.stdout.trim_end());
        let changed: BTreeMap<&String, &u64> =
            after.iter().filter(|(digest, _)| !before.contains_key(*digest)).collect();
        assert_eq!(
            changed.len(),
            3 * PLATFORMS.len() + 1,
            "a layer, a config and a manifest a platform, and the index"
        );
        assert_eq!(sent(&requests), changed.values().copied().sum::<u64>(), "{requests:#?}");
        let kept = |request: &&Request| before.keys().any(|digest| request.path.contains(digest.as_str()));
        assert_eq!(requests.iter().find(kept), None, "a layer of the base was asked for");
        assert!(!lines(&asked).iter().any(|line| line.contains("/blobs/")), "the base was read: {asked:#?}");
        // From a cache that knows nothing, more is asked, and no byte more is sent.
        let project = saying(project, "again");
        let requests = {
            target.take();
            push(&project, &Home::new(), PLATFORMS, &["--base", &base, "-t", &tag]);
            target.take()
        };
        let last = parts(&repository, &tag);
        let new = last.iter().filter(|(digest, _)| !after.contains_key(*digest));
        assert_eq!(sent(&requests), new.map(|(_, size)| size).sum::<u64>(), "{requests:#?}");
    }
}

#[test]
fn where_nothing_changed_each_tag_and_each_platform_is_looked_at_once() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let (project, home, platforms) = (project(), Home::new(), PLATFORMS);
    let tag = |name: &str| format!("{}/app:{name}", proxy.host());
    let (one, two) = (tag("one"), tag("two"));
    push(&project, &home, platforms, &["-t", &one]);
    let index = Source::Registry(one.clone()).raw();
    let manifests = index["manifests"].as_array().expect("it is an index").iter();
    let names = manifests.map(|entry| entry["digest"].as_str().expect("a descriptor has a digest"));
    let expected: BTreeSet<String> =
        names.chain(["one"]).map(|name| format!("HEAD /v2/app/manifests/{name}")).collect();
    proxy.take();
    push(&project, &home, platforms, &["-t", &one]);
    let requests = lines(&proxy.take());
    assert_eq!(requests.len(), 1 + platforms.len(), "{requests:#?}");
    assert_eq!(BTreeSet::from_iter(requests), expected);
    // A tag that does not point there yet is moved, by the bytes of the index alone.
    push(&project, &home, platforms, &["-t", &one, "-t", &two]);
    let mut requests = proxy.take();
    requests.sort_by_key(|request| request.method == "PUT");
    assert_eq!(lines(&requests)[8..], ["PUT /v2/app/manifests/two"]);
    assert_eq!(requests.len(), 9, "{requests:#?}");

    // The last tag was moved by somebody else, and a cache that knows nothing asks for each platform.
    push(
        &saying(Project::new().file("go.mod", "module example.com/hello\n\ngo 1.21\n"), "other"),
        &Home::new(),
        platforms,
        &["-t", &two],
    );
    proxy.take();
    push(&project, &Home::new(), platforms, &["-t", &one, "-t", &two]);
    let requests = proxy.take();
    let count = |method: &str| requests.iter().filter(|request| request.method == method).count();
    assert_eq!((count("HEAD"), count("PUT"), count("POST")), (8, 1, 0), "{requests:#?}");
}

#[test]
fn a_second_repository_of_a_registry_is_given_everything_by_the_first() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let (project, home, platforms) = (project(), Home::new(), &PLATFORMS[..2]);
    let base = push_base(&registry.host(), platforms, 100_000);
    let to = |name: &str| {
        proxy.take();
        push(&project, &home, platforms, &["--base", &base, "-t", &format!("{}/{name}:1", proxy.host())]);
        proxy.take()
    };
    let uploads = |requests: &[Request]| requests.iter().filter(|request| request.uploads()).count();
    let mounts = |requests: &[Request], from: &str| {
        let from = format!("from={from}");
        requests.iter().filter(|request| request.path.ends_with(&from) && request.status == 201).count()
    };
    // The base is at the registry under another name, so that nobody knows that it could be mounted: three layers of it,
    // two layers and two configs of ours.
    assert_eq!(uploads(&to("one")), 7);
    let second = to("two");
    assert_eq!((uploads(&second), mounts(&second, "one")), (0, 7), "{second:#?}");
    // A registry that does not mount is sent the blob, and what was believed of the other repositories is forgotten.
    proxy.fault(On::mount(), Fault::ForgetMount);
    let third = to("three");
    assert_eq!((uploads(&third), mounts(&third, "two")), (7, 0), "{third:#?}");
    let begun = third.iter().filter(|request| request.method == "POST").count();
    assert_eq!(begun, 7, "an upload was begun in vain: {third:#?}");
    proxy.heal();
    let fourth = to("four");
    assert_eq!((uploads(&fourth), mounts(&fourth, "three")), (0, 7), "{fourth:#?}");
}

#[test]
fn as_many_uploads_are_open_at_once_as_was_said() {
    let registry = Registry::start(&Options::default());
    let project = project().file("anyarch.toml", "push_jobs = 3\n");
    for (number, arguments) in [(1, vec!["--push-jobs", "1"]), (3, vec![]), (5, vec!["--push-jobs=5"])] {
        let proxy = Proxy::before(&registry);
        // So slow that all that may be open are.
        proxy.fault(On::put_blob(), Fault::Delay(Duration::from_millis(300)));
        let tag = format!("{}/app{number}:1", proxy.host());
        push(&project, &Home::new(), PLATFORMS, &[vec!["--base=scratch", "-t", &tag], arguments].concat());
        assert_eq!(proxy.most_uploads(), number);
    }
}

#[test]
fn a_blob_that_vanished_before_its_manifest_came_is_brought_again() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let (project, home) = (project(), Home::new());
    let tag = format!("{}/app:1", proxy.host());
    let unknown = || Reply::refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    proxy.fault(On::put_manifest().nth(1), Fault::Answer(unknown()));
    push(&project, &home, &PLATFORMS[..1], &["--base=scratch", "-t", &tag]);
    let requests = proxy.take();
    let heads = requests.iter().filter(|request| request.method == "HEAD" && request.path.contains("/blobs/")).count();
    assert_eq!(heads, 4, "both blobs were looked for again: {requests:#?}");
    assert_eq!(requests.iter().filter(|request| request.uploads()).count(), 2, "and both were there");

    // Once is enough.
    proxy.fault(On::put_tag(), Fault::Answer(unknown()));
    let output = project.anyarch_at(&home).args(["build", "--push", "--base=scratch", "-t", &tag, "--label=a=b"]).run();
    output.assert_code(6);
    let words = format!("pushing the manifest `1` to `{}/app` failed: the registry answered 400", proxy.host());
    assert!(output.stderr.contains(&words), "{}", output.stderr);
    assert_eq!(proxy.take().iter().filter(|request| request.pushed() == Some("1")).count(), 2);
}

#[test]
fn two_runs_that_push_the_same_at_once_both_end_well() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let (projects, home) = ([project(), project()], Home::new());
    let tag = format!("{}/app:1", proxy.host());
    let arguments = ["build", "--push", "--base=scratch", "--platform=linux/amd64,linux/arm64", "-t", &tag];
    // So slow that they meet.
    proxy.fault(On::put_blob(), Fault::Delay(Duration::from_millis(500)));
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let runs = projects.each_ref().map(|project| scope.spawn(|| project.anyarch_at(&home).args(arguments).run()));
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for output in &outputs {
        assert_eq!(output.assert_success().stdout, outputs[0].stdout);
    }
    assert_eq!(parts(&format!("{}/app", proxy.host()), &tag).len(), 7);
}
