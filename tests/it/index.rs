//! `anyarch index create`: images that exist under one index, and what other programs read of it.

use std::fs;
use std::process::Command;

use anyarch::blob::{Digest, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_INDEX};
use serde_json::{Value, json};

use crate::support::process;
use crate::support::program::Home;
use crate::support::raw_layout::{DOCKER, OCI, RawLayout, platform, with_platform};
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

const SLSA: &str = "https://slsa.dev/provenance/v0.2";

/// A registry with an image a platform, each in its own repository, as one machine a platform pushes them.
struct Pushed {
    home: Home,
    registry: Registry,
    layout: RawLayout,
    /// `HOST/amd64:1` and so on, with what they are
    images: Vec<(String, Value)>,
}

fn pushed(platforms: &[&str]) -> Pushed {
    let (registry, layout) = (Registry::start(&Options::default()), RawLayout::new());
    let push = |text: &&str| {
        let image = layout.image(OCI, &platform(text), text);
        layout.tags(&[("1", &image)]);
        let name = text.trim_start_matches("linux/").replace('/', "");
        (layout.push("1", &registry, &format!("{name}:1")), image)
    };
    let images = platforms.iter().map(push).collect();
    Pushed { home: Home::new(), registry, layout, images }
}

impl Pushed {
    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    fn create(&self, arguments: &[&str]) -> crate::support::program::Output {
        let host = self.registry.host();
        self.home
            .anyarch()
            .redact(host, "HOST")
            .cwd(self.layout.folder())
            .args(["index", "create"])
            .args(arguments)
            .run()
    }

    fn raw(&self, name: &str) -> Value {
        Source::Registry(self.name(name)).raw()
    }
}

/// Reads a platform of an image by skopeo, whose `dir:` has every blob: the digest of the manifest.
fn skopeo_reads(source: &str, platform: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let platform: anyarch::platform::Platform = platform.parse().unwrap();
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["--override-os=linux", &format!("--override-arch={}", platform.architecture())]);
    if let Some(variant) = platform.variant() {
        skopeo.arg(format!("--override-variant={variant}"));
    }
    skopeo.args(["copy", "--quiet", "--src-tls-verify=false", source]);
    process::succeed(skopeo.arg(format!("dir:{}", folder.path().display())));
    Digest::of(&fs::read(folder.path().join("manifest.json")).unwrap()).to_string()
}

#[test]
fn images_of_several_repositories_are_mounted_under_one_index() {
    let pushed = pushed(&["linux/amd64", "linux/arm64", "linux/arm/v7"]);
    let (one, two) = (pushed.name("team/app:1.0"), pushed.name("team/app:latest"));
    let before = (pushed.registry.count("PUT"), pushed.registry.count("PATCH"));
    let sources: Vec<&str> = pushed.images.iter().map(|(name, _)| name.as_str()).collect();
    let metadata = pushed.layout.folder().join("metadata.json");
    let arguments = [&["-t", &one, "-t", &two, "--metadata-file", "metadata.json"], sources.as_slice()].concat();
    let output = pushed.create(&arguments);
    output.assert_success().assert_stdout("HOST/team/app@[DIGEST]\n").assert_stderr(
        "

        app [DIGEST]
          linux/amd64      [DIGEST] [SIZE]
          linux/arm64      [DIGEST] [SIZE]
          linux/arm/v7     [DIGEST] [SIZE]
        pushed HOST/team/app:1.0
        pushed HOST/team/app:latest
        run it:  docker run --rm HOST/team/app@[DIGEST]
        HOST: mounted 6 blobs
        done in [TIME]
        ",
    );
    // Three manifests and two tags.
    assert_eq!((pushed.registry.count("PUT") - before.0, pushed.registry.count("PATCH") - before.1), (5, 0));
    let raw = pushed.raw("team/app:1.0");
    assert_eq!(raw["mediaType"], MEDIA_TYPE_INDEX);
    for ((_, image), (entry, text)) in pushed.images.iter().zip(raw["manifests"].as_array().unwrap().iter().zip([
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
    ])) {
        assert_eq!(*entry, with_platform(image, &platform(text)));
        assert_eq!(skopeo_reads(&format!("docker://{one}"), text), image["digest"].as_str().unwrap());
    }
    let said: Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
    assert_eq!(
        (&said["containerimage.digest"], &said["image.name"]),
        (&json!(output.stdout.trim_end().split_once('@').unwrap().1), &json!(format!("{one},{two}")))
    );
    assert_eq!(said["containerimage.descriptor"]["mediaType"], MEDIA_TYPE_INDEX);
    // Nothing changed, nothing is pushed.
    let before = pushed.registry.count("PUT");
    let again = pushed.create(&arguments);
    assert_eq!(again.stdout, output.stdout);
    assert_eq!(pushed.registry.count("PUT"), before);
    let said = pushed.create(&[&["--json", "-t", &one], sources.as_slice()].concat()).json();
    assert_eq!(
        (&said["digest"], said["platforms"].as_array().unwrap().len()),
        (&json!(output.stdout.trim_end().split_once('@').unwrap().1), 3)
    );
}

#[test]
fn indexes_are_flattened_and_what_is_said_about_images_goes_with_them() {
    let (from, to) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    let (layout, home) = (RawLayout::new(), Home::new());
    let entry = |text: &str| with_platform(&layout.image(OCI, &platform(text), text), &platform(text));
    let push = |texts: &[&str], name: &str| {
        let mut entries: Vec<Value> = texts.iter().map(|text| entry(text)).collect();
        entries[0]["new.field"] = json!({"of": "somebody"});
        entries.extend(entries.clone().iter().map(|image| layout.attestation(image, SLSA)));
        layout.tags(&[("1", &layout.index(MEDIA_TYPE_INDEX, &entries, &Value::Null))]);
        (layout.push("1", &from, name), entries)
    };
    let (one, of_one) = push(&["linux/amd64", "linux/arm64"], "one:1");
    let (two, of_two) = push(&["linux/s390x"], "two:1");
    let made = format!("{}/app:1", to.host());
    let create = |arguments: &[&str]| home.anyarch().args(["index", "create"]).args(arguments).run();
    create(&["-t", &made, &one, &two]).assert_success();
    let raw = Source::Registry(made.clone()).raw();
    assert_eq!(raw["manifests"], json!([of_one.clone(), of_two.clone()].concat()));
    for entry in raw["manifests"].as_array().unwrap() {
        // Manifests and blobs of what is said are there, too.
        let digest = entry["digest"].as_str().unwrap();
        let copied = tempfile::tempdir().unwrap();
        process::succeed(
            Command::new("skopeo")
                .args(["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{}/app@{digest}", to.host())])
                .arg(format!("oci:{}:x", copied.path().display())),
        );
    }
    // One index alone stays what it is, whatever it is called now.
    let stable = format!("{}/app:stable", to.host());
    let output = create(&["-t", &stable, &one]);
    output.assert_success();
    let original = process::succeed(Command::new("skopeo").args([
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{one}"),
    ]));
    assert!(output.stdout.ends_with(&format!("@{}\n", Digest::of(&original))), "{}", output.stdout);
    // Of one platform all that is about it.
    create(&["-t", &stable, "--platform", "linux/arm64", &one]).assert_success();
    assert_eq!(Source::Registry(stable).raw()["manifests"], json!([of_one[1], of_one[3]]));
}

#[test]
fn what_is_appended_takes_the_place_of_what_was_there() {
    let pushed = pushed(&["linux/amd64", "linux/arm64"]);
    let app = pushed.name("app:1");
    let append = |source: &str| pushed.create(&["--append", "-t", &app, source]);
    append(&pushed.images[0].0).assert_success().assert_stderr(
        "
        note: there is no `HOST/app:1` yet: it is made of the sources alone

        app [DIGEST]
          linux/amd64      [DIGEST] [SIZE]
        pushed HOST/app:1
        run it:  docker run --rm HOST/app@[DIGEST]
        HOST: mounted 2 blobs
        done in [TIME]
        ",
    );
    append(&pushed.images[1].0).assert_success();
    let both = pushed.raw("app:1");
    assert_eq!(both["manifests"].as_array().unwrap().len(), 2);
    // The same again changes nothing.
    append(&pushed.images[1].0).assert_success();
    assert_eq!(pushed.raw("app:1"), both);
    let newer = pushed.layout.image(OCI, &platform("linux/amd64"), "newer");
    pushed.layout.tags(&[("newer", &newer)]);
    let output = append(&pushed.layout.name("newer"));
    output.assert_success();
    let note = "note: linux/amd64: [DIGEST] takes the place of [DIGEST]\n";
    assert!(output.redacted_stderr().starts_with(note), "{}", output.stderr);
    let digests = |raw: &Value| {
        raw["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(digests(&pushed.raw("app:1")), [newer["digest"].clone(), pushed.images[1].1["digest"].clone()]);
    // An index that cannot be read is not taken for one that is not there.
    let closed = Registry::start(&Options { login: Some(("me", "secret")), ..Options::default() });
    pushed.create(&["--append", "-t", &format!("{}/app:1", closed.host()), &pushed.images[0].0]).assert_code(6);
}

#[test]
fn specs_and_templates_of_manifest_tool_name_the_sources() {
    let pushed = pushed(&["linux/amd64", "linux/arm64", "linux/arm/v7"]);
    let host = pushed.registry.host();
    let by_flags = pushed.create(&["--dry-run", &pushed.images[0].0, &pushed.images[2].0]);
    by_flags.assert_success();
    let template = format!("{host}/ARCHVARIANT:1");
    let by_template = pushed.create(&["--dry-run", "--template", &template, "--platform", "linux/amd64,linux/arm/v7"]);
    by_template.assert_success();
    assert_eq!(by_template.bytes, by_flags.bytes);
    let spec = format!(
        "image: {host}/app:1.0\ntags: ['1', latest]\nmanifests:\n\
         - image: {host}/amd64:1\n  platform: {{os: linux, architecture: amd64}}\n\
         - image: {host}/armv7:1\n  platform: {{os: linux, architecture: arm, variant: v7}}\n"
    );
    fs::write(pushed.layout.folder().join("spec.yaml"), spec).unwrap();
    let output = pushed.create(&["--from-spec", "spec.yaml"]);
    output.assert_success();
    let expected: Value = serde_json::from_slice(&by_flags.bytes).unwrap();
    for tag in ["1.0", "1", "latest"] {
        assert_eq!(pushed.raw(&format!("app:{tag}")), expected);
    }
    pushed.create(&["--from-spec", "spec.yaml", "-t", &format!("{host}/other:1")]).assert_success();
    assert_eq!(pushed.raw("other:1"), expected);
    assert!(pushed.create(&["--dry-run", &pushed.images[0].0]).stderr.is_empty());
}

#[test]
fn layouts_are_sources_and_places() {
    let pushed = pushed(&["linux/amd64"]);
    let arm64 = pushed.layout.image(DOCKER, &platform("linux/arm64"), "arm64");
    pushed.layout.tags(&[("arm64", &arm64)]);
    let output = pushed.create(&["-t", "oci:out:1.0", &pushed.images[0].0, "./image.tar"]);
    output.assert_code(6).assert_stdout("");
    let archive = ["-cf", "image.tar", "blobs", "oci-layout", "index.json"];
    process::succeed(Command::new("tar").args(archive).current_dir(pushed.layout.folder()));
    for tag in ["1.0", "2.0"] {
        let name = format!("oci:out:{tag}");
        let output = pushed.create(&["-t", &name, &pushed.images[0].0, "./image.tar"]);
        output.assert_success().assert_stdout(&format!("{name}\n"));
    }
    for tag in ["1.0", "2.0"] {
        let name = format!("oci:{}:{tag}", pushed.layout.folder().join("out").display());
        assert_eq!(skopeo_reads(&name, "linux/amd64"), pushed.images[0].1["digest"].as_str().unwrap());
        assert_eq!(skopeo_reads(&name, "linux/arm64"), arm64["digest"].as_str().unwrap());
        let raw = process::text(Command::new("skopeo").args(["inspect", "--raw", &name]));
        let raw: Value = serde_json::from_str(&raw).unwrap();
        // What a layout calls an image is for that layout alone.
        assert_eq!(raw["manifests"][1], with_platform(&arm64, &platform("linux/arm64")));
    }
}

#[test]
fn annotations_are_noted_and_dockers_own_images_make_dockers_list() {
    let (registry, layout, home) = (Registry::start(&Options::default()), RawLayout::new(), Home::new());
    let images = ["linux/amd64", "linux/arm64"].map(|text| layout.image(DOCKER, &platform(text), text));
    layout.tags(&[("amd64", &images[0]), ("arm64", &images[1])]);
    let app = format!("{}/app:1", registry.host());
    let create = |arguments: &[&str]| {
        let sources = [layout.name("amd64"), layout.name("arm64")];
        home.anyarch().args(["index", "create", "-t", &app]).args(sources).args(arguments).run().assert_success();
        Source::Registry(app.clone()).raw()
    };
    let list = create(&[]);
    assert_eq!((&list["mediaType"], &list["annotations"]), (&json!(MEDIA_TYPE_DOCKER_INDEX), &Value::Null));
    let annotations = ["a=1", "index:b=2", "manifest-descriptor[linux/arm64]:c=3"];
    let index = create(&annotations.iter().flat_map(|text| ["--annotation", text]).collect::<Vec<_>>());
    assert_eq!((&index["mediaType"], &index["annotations"]), (&json!(MEDIA_TYPE_INDEX), &json!({"a": "1", "b": "2"})));
    assert_eq!(index["manifests"][1]["annotations"], json!({"c": "3"}));
    for (text, image) in ["linux/amd64", "linux/arm64"].iter().zip(&images) {
        assert_eq!(skopeo_reads(&format!("docker://{app}"), text), image["digest"].as_str().unwrap());
    }
}
