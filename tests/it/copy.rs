//! `anyarch copy`: what arrives, what moves for it, and what stands in its way.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::odd::{self, Odd};
use crate::support::program::{Home, Output};
use crate::support::proxy::{Fault, On, Proxy, Reply, Request};
use crate::support::registry::{Options, Registry};

/// Bytes of each layer.
const LAYER: usize = 2_000;
/// The parts of the image `v1`.
const MANIFESTS: usize = 12;

fn copy(home: &Home, arguments: &[&str]) -> Output {
    home.anyarch().args(["copy"]).args(arguments).run()
}

/// Copies, and holds stdout to the one line of it.
fn copied(home: &Home, source: &str, destination: &str, line: &str) {
    let output = copy(home, &[source, destination]);
    assert_eq!(output.assert_success().stdout, format!("{line}\n"));
}

/// What was asked, without the order in which it was.
fn asked(requests: &[Request]) -> Vec<String> {
    let mut lines: Vec<String> =
        requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    lines.sort();
    lines
}

fn count(requests: &[Request], which: impl Fn(&Request) -> bool) -> usize {
    requests.iter().filter(|request| which(request)).count()
}

#[test]
fn every_shape_of_image_passes_through_every_kind_of_place() {
    let (odd, home) = (Odd::new(1, LAYER), Home::new());
    let (one, two) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    let folder = tempfile::tempdir().unwrap();
    let (layout, archive) = (folder.path().join("layout"), folder.path().join("image.tar"));
    for tag in ["v1", "docker", "nested", "one", "chart"] {
        let digest = odd::named(odd.path(), tag);
        let (first, second) = (format!("{}/odd", one.host()), format!("{}/deep/er/odd", two.host()));
        let named = |repository: &str| format!("{repository}:{tag}");
        let by_digest = |repository: &str| format!("{repository}@{digest}");
        copied(&home, &odd.name(tag), &named(&first), &by_digest(&first));
        copied(&home, &named(&first), &named(&second), &by_digest(&second));
        let (in_archive, in_layout) =
            (format!("oci-archive:{}:{tag}", archive.display()), format!("oci:{}:{tag}", layout.display()));
        copied(&home, &by_digest(&second), &in_archive, &in_archive);
        copied(&home, &in_archive, &in_layout, &in_layout);
        assert_eq!(odd::named(&layout, tag), digest);
        odd::assert_same(odd.path(), &layout, &digest);
    }
    let words = copy(&home, &[&odd.name("docker"), &format!("oci:{}:docker", layout.display())]);
    let note = "note: [DIGEST] has docker's own media types, which skopeo and umoci do not read in a layout; in a registry they do\n";
    assert!(words.redacted_stderr().starts_with(note), "{}", words.stderr);
    // Beside the others, each is still what it was.
    assert_eq!(odd::named(&layout, "v1"), odd::named(odd.path(), "v1"));
}

#[test]
fn what_is_there_is_not_sent_again() {
    let (odd, home) = (Odd::new(2, LAYER), Home::new());
    let (ours, theirs) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    let (source, target) = (Proxy::before(&theirs), Proxy::before(&ours));
    let from = format!("{}/odd:v1", source.host());
    let digest = odd::named(odd.path(), "v1");
    copy(&home, &[&odd.name("v1"), &from]).assert_success();
    let parts = odd::reachable(odd.path(), &digest).len();
    let blobs = parts - 1 - MANIFESTS;
    source.take();

    // From one registry to another: each blob is read once and sent once, and nothing of it stays here.
    let repository = format!("{}/team/odd", target.host());
    let line = format!("{repository}@{digest}");
    let fresh = Home::new();
    copied(&fresh, &from, &format!("{repository}:v1"), &line);
    let (read, sent) = (source.take(), target.take());
    assert_eq!(count(&read, |request| request.path.contains("/blobs/")), blobs, "{read:#?}");
    assert_eq!(count(&sent, Request::uploads), blobs, "{sent:#?}");
    assert_eq!(count(&sent, |request| request.pushed().is_some()), MANIFESTS + 1);
    assert_eq!(sent.last().and_then(Request::pushed), Some("v1"), "the tag comes last: {sent:#?}");
    let kept = fs::read_dir(fresh.cache().join("blobs/sha256")).unwrap().count();
    assert_eq!(kept, MANIFESTS + 1, "manifests alone are in the cache");

    // Again: the tags are looked at, and so is each manifest.
    copied(&fresh, &from, &format!("{repository}:v1"), &line);
    assert_eq!(asked(&source.take()), ["HEAD /v2/odd/manifests/v1"]);
    let heads = asked(&target.take());
    assert_eq!(heads.len(), MANIFESTS + 1, "{heads:#?}");
    assert!(heads.iter().all(|line| line.starts_with("HEAD /v2/team/odd/manifests/")), "{heads:#?}");

    // Who has never seen the image reads its index, and no manifest that is there.
    copied(&Home::new(), &from, &format!("{repository}:v1"), &line);
    let read = asked(&source.take());
    assert!(read.len() == 3 && read[0] == "GET /v2/", "{read:#?}");
    assert_eq!(read[1..], [format!("GET /v2/odd/manifests/{digest}"), "HEAD /v2/odd/manifests/v1".to_owned()]);
    assert_eq!(count(&target.take(), |request| request.method == "PUT"), 0);

    // Another tag of the same repository is one PUT.
    copied(&fresh, &format!("{repository}:v1"), &format!("{repository}:v2"), &line);
    let manifests = "/v2/team/odd/manifests";
    let expected = [format!("HEAD {manifests}/v1"), format!("HEAD {manifests}/v2"), format!("PUT {manifests}/v2")];
    assert_eq!(asked(&target.take()), expected);

    // Another repository of the same registry is given the blobs by it.
    let other = format!("{}/other", target.host());
    copied(&fresh, &format!("{repository}:v2"), &format!("{other}:v1"), &format!("{other}@{digest}"));
    let requests = target.take();
    let mounts = count(&requests, |request| request.path.contains("mount=") && request.status == 201);
    assert_eq!((mounts, count(&requests, Request::uploads)), (blobs, 0), "{requests:#?}");
    assert_eq!(count(&requests, |request| request.method == "GET"), 0, "{requests:#?}");
}

#[test]
fn what_vanished_at_the_destination_is_brought_again() {
    let (odd, home, registry) = (Odd::new(3, LAYER), Home::new(), Registry::start(&Options::default()));
    let proxy = Proxy::before(&registry);
    let (from, to) = (odd.name("v1"), format!("{}/odd:v1", proxy.host()));
    copy(&home, &[&from, &to]).assert_success();
    proxy.take();
    // The tag is gone, and the registry says that something is missing.
    proxy.fault(On::head_tag(), Fault::status(404));
    let unknown = Reply::refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    proxy.fault(On::put_tag().nth(1), Fault::Answer(unknown));
    copy(&home, &[&from, &to]).assert_success();
    let requests = proxy.take();
    let blobs = odd::reachable(odd.path(), &odd::named(odd.path(), "v1")).len() - 1 - MANIFESTS;
    let looks = count(&requests, |request| request.method == "HEAD" && request.path.contains("/blobs/"));
    assert_eq!(looks, blobs, "each was looked for: {requests:#?}");
    assert_eq!(count(&requests, |request| request.pushed() == Some("v1")), 2);
}

#[test]
fn platforms_are_chosen_with_what_is_said_about_them() {
    let (odd, home, folder) = (Odd::new(4, LAYER), Home::new(), tempfile::tempdir().unwrap());
    let layout = folder.path().join("layout");
    let to = |tag: &str| format!("oci:{}:{tag}", layout.display());
    let index = odd::named(odd.path(), "v1");
    let platforms = odd::platforms(odd.path(), &index);
    let from = odd.name("v1");

    // One is its own manifest, byte for byte.
    for (wanted, expected) in [("linux/arm64", 1), ("linux/arm/v7", 2)] {
        let output = copy(&home, &["--platform", wanted, &from, &to("one")]);
        let words =
            "note: what is said about [DIGEST] (attestations) stays behind: a manifest alone has no place for it";
        assert!(output.assert_success().redacted_stderr().starts_with(words), "{}", output.stderr);
        assert_eq!(odd::named(&layout, "one"), platforms[expected].1);
        odd::assert_same(odd.path(), &layout, &platforms[expected].1);
    }

    // Several are a new index, in the image's own order.
    let some = copy(&home, &["--platform", "linux/386,linux/amd64,linux/386", "--json", &from, &to("some")]).json();
    assert_eq!(some["source_digest"], index.as_str());
    let digest = odd::named(&layout, "some");
    assert_eq!(some["digest"], digest.as_str());
    let chosen = odd::platforms(&layout, &digest);
    assert_eq!(chosen, [platforms[0].clone(), platforms[3].clone()]);
    let bytes = fs::read(layout.join("blobs").join(digest.replacen(':', "/", 1))).unwrap();
    let made: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(made["manifests"].as_array().unwrap().len(), 4, "each has its attestation: {made}");
    assert_eq!(made["annotations"]["com.example.note"], "kept");
    odd::reachable(&layout, &digest);

    // All of them are the image itself.
    let all = odd::PLATFORMS.join(",");
    copy(&home, &["--platform", &all, "--preserve-digests", &from, &to("all")]).assert_success();
    assert_eq!(odd::named(&layout, "all"), index);
    copy(&home, &["--platform=all", "--preserve-digests", &from, &to("all")]).assert_success();
    // An archive for docker holds one, and gives it back as it was.
    let archive = format!("docker-archive:{}", folder.path().join("docker.tar").display());
    let line = format!("{archive}:docker.io/library/app:1");
    let output = copy(&home, &["--platform=linux/s390x", &from, &format!("{archive}:app:1")]);
    assert_eq!(output.assert_success().stdout, format!("{line}\n"));
    copy(&home, &[&archive, &to("back")]).assert_success();
    assert_eq!(odd::named(&layout, "back"), platforms[4].1);
    odd::assert_same(odd.path(), &layout, &platforms[4].1);
    // What has no index is what it is.
    copy(&home, &["--platform=linux/amd64", "--preserve-digests", &odd.name("one"), &to("alone")]).assert_success();
    assert_eq!(odd::named(&layout, "alone"), odd::named(odd.path(), "one"));
}

#[test]
fn a_layout_keeps_its_other_images_and_is_repaired() {
    let (odd, home, folder) = (Odd::new(5, LAYER), Home::new(), tempfile::tempdir().unwrap());
    let layout = folder.path().join("new/layout");
    let to = |tag: &str| format!("oci:{}:{tag}", layout.display());
    copied(&home, &odd.name("v1"), &to("a"), &to("a"));
    copied(&home, &odd.name("docker"), &to("b"), &to("b"));
    copied(&home, &odd.name("docker"), &to("a"), &to("a"));
    copied(&home, &odd.name("v1"), &format!("oci:{}", layout.display()), &to("latest"));
    let (v1, docker) = (odd::named(odd.path(), "v1"), odd::named(odd.path(), "docker"));
    assert_eq!(["a", "b", "latest"].map(|tag| odd::named(&layout, tag)), [docker.clone(), docker, v1.clone()]);
    let left: BTreeSet<String> = names(&layout);
    assert_eq!(left, ["blobs", "index.json", "oci-layout"].map(str::to_owned).into());

    // Nothing is written where nothing is new.
    let before = fs::metadata(layout.join("index.json")).unwrap().modified().unwrap();
    copied(&home, &odd.name("v1"), &to("latest"), &to("latest"));
    assert_eq!(fs::metadata(layout.join("index.json")).unwrap().modified().unwrap(), before);

    // A blob that a disk damaged is brought again.
    let some = odd::reachable(odd.path(), &v1).pop_last().unwrap();
    let path = layout.join("blobs").join(some.replacen(':', "/", 1));
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    copied(&home, &odd.name("v1"), &to("latest"), &to("latest"));
    odd::assert_same(odd.path(), &layout, &v1);

    // Several that write at once all have their place.
    let tags: Vec<String> = (0..8).map(|number| format!("at-once-{number}")).collect();
    std::thread::scope(|scope| {
        for tag in &tags {
            scope.spawn(|| copied(&home, &odd.name("one"), &to(tag), &to(tag)));
        }
    });
    assert!(tags.iter().all(|tag| odd::named(&layout, tag) == odd::named(odd.path(), "one")));
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_damaged_source_leaves_the_destination_as_it_was() {
    let (odd, home, folder) = (Odd::new(6, LAYER), Home::new(), tempfile::tempdir().unwrap());
    let registry = Registry::start(&Options::default());
    let layer = {
        let manifest = odd::platforms(odd.path(), &odd::named(odd.path(), "v1"))[4].1.clone();
        let bytes = fs::read(odd.path().join("blobs").join(manifest.replacen(':', "/", 1))).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        manifest["layers"][0]["digest"].as_str().unwrap().replacen(':', "/", 1)
    };
    let path = odd.path().join("blobs").join(layer);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (layout, archive) = (folder.path().join("layout"), folder.path().join("image.tar"));
    copied(&home, &odd.name("one"), &format!("oci:{}:v1", layout.display()), &format!("oci:{}:v1", layout.display()));
    for destination in [
        format!("oci:{}:v1", layout.display()),
        format!("oci-archive:{}", archive.display()),
        format!("{}/odd:v1", registry.host()),
    ] {
        let output = copy(&home, &[&odd.name("v1"), &destination]);
        assert!(output.status != 0 && output.stdout.is_empty(), "{destination}: {}", output.stderr);
        assert!(output.stderr.contains("sha256:"), "{destination}: {}", output.stderr);
    }
    assert_eq!(odd::named(&layout, "v1"), odd::named(odd.path(), "one"));
    assert_eq!(names(folder.path()), ["layout".to_owned()].into(), "half an archive is left");
    assert_eq!(registry.count("PUT /v2/odd/manifests/v1"), 0);
}

#[test]
fn what_cannot_be_copied_so_is_said() {
    let (odd, folder) = (Odd::new(7, LAYER), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    let (from, to) = (odd.name("v1"), folder.path().display().to_string());
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let home = Home::new();
        let program = home.anyarch().redact(odd.path().to_string_lossy(), "ODD").redact(&to, "DIR");
        program.args(["copy"]).args(arguments).run().assert_code(code).assert_stdout("").assert_stderr(words);
    };
    refused(
        &[&from, "./out"],
        2,
        "
        error: `./out` could be a layout or an archive, and the place of a copy says which

        hint: oci:./out
        hint: oci-archive:./out
        ",
    );
    refused(
        &[&from, &format!("oci:{to}")],
        2,
        "
        error: `DIR` is there already and is no OCI layout

        hint: choose another folder: oci:DIR-image
        ",
    );
    refused(
        &[&from, &format!("docker-archive:{to}")],
        2,
        "
        error: `DIR` is there already and is no file

        hint: name a file: docker-archive:DIR/image.tar
        hint: as a layout: oci:DIR
        ",
    );
    refused(
        &[&from, "docker-archive:app.tar:app:1"],
        2,
        "
        error: `oci:ODD:v1` has several platforms, and an archive for docker takes one

        hint: --platform linux/amd64
        hint: --platform linux/arm64
        hint: --platform linux/arm/v7
        hint: --platform linux/386
        hint: --platform linux/s390x
        hint: --platform linux/ppc64le
        ",
    );
    refused(
        &["--preserve-digests", "--platform=linux/arm64,linux/386", &from, "oci:out"],
        2,
        "
        error: some platforms of `oci:ODD:v1` are copied in an index of their own with a digest of its own, and `--preserve-digests` excludes that

        hint: copy all of them, digests are the same then: --platform all
        hint: copy them one by one: a platform alone keeps its digest
        ",
    );
    refused(
        &["--platform=linux/riscv64", &odd.name("docker"), "oci:out"],
        2,
        "
        error: the image `oci:ODD:docker` has no linux/riscv64

        hint: --platform linux/amd64
        hint: --platform linux/arm64
        ",
    );
    refused(
        &[&from, &format!("localhost:1/app@sha256:{}", "0".repeat(64))],
        2,
        "
        error: what is copied is [DIGEST], and the place of the copy is called [DIGEST]

        hint: name a tag, or this digest: @[DIGEST]
        ",
    );
    refused(
        &["--offline", &from, "localhost:1/app"],
        2,
        "
        error: `--offline` asks no registry, and a copy to one does

        hint: copy it into a layout, and that with a network: oci:DIR
        ",
    );
    refused(
        &[&from, "docker://localhost:1/app"],
        2,
        "
        error: `docker://localhost:[PORT]/app` names no image: `docker://localhost:[PORT]/app` is not an image reference: it starts with the scheme `docker://`

        hint: write it without the scheme: `localhost:[PORT]/app`
        ",
    );
}
