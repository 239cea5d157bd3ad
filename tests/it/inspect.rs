//! What people and programs read of `anyarch inspect`.

use std::fs;
use std::process::Command;

use anyarch::blob::{MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use serde_json::{Value, json};

use crate::support::process;
use crate::support::program::{Home, Output, anyarch};
use crate::support::raw_layout::{DOCKER, OCI, RawLayout, platform, with_platform};
use crate::support::registry::{Options, Registry};

const SLSA: &str = "https://slsa.dev/provenance/v0.2";

/// An index of two platforms, with an attestation, an artifact, and a name for what it is built on.
fn made(layout: &RawLayout) -> (Value, [Value; 2]) {
    let [amd64, arm] = ["linux/amd64", "linux/arm/v7"]
        .map(|text| with_platform(&layout.image(OCI, &platform(text), text), &platform(text)));
    let attestation = layout.attestation(&amd64, SLSA);
    let chart = json!({"schemaVersion": 2, "config": layout.blob("application/vnd.oci.empty.v1+json", b"{}"), "layers": [], "artifactType": "a/chart\u{7}"});
    let chart = layout.document(MEDIA_TYPE_MANIFEST, &chart);
    let annotations = json!({"org.opencontainers.image.base.name": "docker.io/library/debian:12"});
    let entries = [amd64.clone(), arm.clone(), attestation, chart];
    (layout.index(MEDIA_TYPE_INDEX, &entries, &annotations), [amd64, arm])
}

fn inspect(layout: &RawLayout, arguments: &[&str]) -> Output {
    let name = layout.name("1.0");
    anyarch().redact(layout.folder().to_string_lossy(), "DIR").args(["inspect", &name]).args(arguments).run()
}

#[test]
fn tables_for_people_with_attestations_as_such() {
    let layout = RawLayout::new();
    let (index, _) = made(&layout);
    layout.tags(&[("1.0", &index)]);
    let output = inspect(&layout, &[]);
    output.assert_success().assert_stderr("").assert_stdout(&format!(
        "
        Name:    oci:DIR:1.0
        Digest:  [DIGEST]
        Type:    {MEDIA_TYPE_INDEX}

        PLATFORM      DIGEST                                                                   SIZE   LAYERS  CREATED               BASE
        linux/amd64   [DIGEST]  [SIZE]  1       2024-05-06T07:08:09Z  docker.io/library/debian:12
        linux/arm/v7  [DIGEST]  [SIZE]  1       2024-05-06T07:08:09Z  docker.io/library/debian:12

        ATTESTS      DIGEST                                                                   SIZE   PREDICATES
        linux/amd64  [DIGEST]  [SIZE]  {SLSA}

        ARTIFACT      DIGEST                                                                   SIZE
        a/chart\\u{{7}}  [DIGEST]  [SIZE]
        "
    ));
    let one = inspect(&layout, &["--platform", "linux/arm"]);
    assert_eq!(one.stdout.lines().filter(|line| line.starts_with("linux/")).count(), 1, "{}", one.stdout);
    let nothing_about_it = !one.stdout.contains("ATTESTS") && !one.stdout.contains("ARTIFACT");
    assert!(nothing_about_it && one.stdout.contains("linux/arm/v7"), "{}", one.stdout);
}

#[test]
fn bytes_are_what_they_are_wherever_the_image_is() {
    let layout = RawLayout::new();
    let (index, [amd64, arm]) = made(&layout);
    layout.tags(&[("1.0", &index)]);
    let registry = Registry::start(&Options::default());
    let reference = layout.push("1.0", &registry, "app:1.0");
    let archive = layout.folder().join("image.tar");
    process::succeed(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(layout.folder()).args([
        "blobs",
        "oci-layout",
        "index.json",
    ]));
    let home = Home::new();
    let manifest: Value = serde_json::from_slice(&layout.bytes(&arm)).unwrap();
    for name in [layout.name("1.0"), reference, archive.display().to_string()] {
        let read = |arguments: &[&str]| {
            let output = home.anyarch().args(["inspect", &name]).args(arguments).run();
            output.assert_success();
            output.bytes
        };
        assert_eq!(read(&["--raw"]), layout.bytes(&index), "{name}");
        assert_eq!(read(&["--raw", "--platform", "linux/arm/v7"]), layout.bytes(&arm), "{name}");
        assert_eq!(read(&["--config", "--platform", "linux/arm"]), layout.bytes(&manifest["config"]), "{name}");
        let configs = read(&["--config"]);
        let configs: Vec<Value> =
            serde_json::Deserializer::from_slice(&configs).into_iter().map(Result::unwrap).collect();
        assert_eq!(configs.len(), 2, "{name}");
        let said: Value = serde_json::from_slice(&read(&["--json"])).unwrap();
        assert_eq!((&said["digest"], &said["mediaType"]), (&index["digest"], &index["mediaType"]));
        assert_eq!(said["images"][1]["config"], configs[1]);
        assert_eq!(
            said["attestations"],
            json!([{
                "digest": said["attestations"][0]["digest"], "mediaType": MEDIA_TYPE_MANIFEST, "annotations": {},
                "size": said["attestations"][0]["size"], "of": amd64["digest"], "platform": "linux/amd64", "predicates": [SLSA],
            }])
        );
        assert_eq!(said["artifacts"][0]["artifactType"], "a/chart\u{7}");
        // What a pull of it moves.
        let size: u64 =
            [&arm, &manifest["config"], &manifest["layers"][0]].map(|part| part["size"].as_u64().unwrap()).iter().sum();
        assert_eq!(said["images"][1]["size"], size);
        let base = json!({"name": "docker.io/library/debian:12", "digest": null});
        assert_eq!((&said["images"][0]["base"], said["annotations"].as_object().unwrap().len()), (&base, 1));
        let platforms =
            "{% for image in images %}{{ image.platform }} {{ image.config.config.Entrypoint | tojson }};{% endfor %}";
        assert_eq!(read(&["--format", platforms]), b"linux/amd64 [\"/app\"];linux/arm/v7 [\"/app\"];\n");
    }
}

#[test]
fn lone_manifests_and_indexes_in_indexes() {
    let layout = RawLayout::new();
    let lone = layout.image(DOCKER, &platform("linux/s390x"), "lone");
    let inner = layout.index(MEDIA_TYPE_INDEX, &[layout.image(OCI, &platform("linux/386"), "inner")], &Value::Null);
    let windows = json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"});
    let windows =
        with_platform(&layout.image(OCI, &json!({"os": "windows", "architecture": "amd64"}), "windows"), &windows);
    let wasm = layout.image(OCI, &json!({"os": "wasip1", "architecture": "wasm"}), "wasm");
    let outer = layout.index(MEDIA_TYPE_INDEX, &[inner, windows, wasm, lone.clone()], &Value::Null);
    let platforms = |top: &Value| {
        layout.tags(&[("1.0", top)]);
        let said = inspect(&layout, &["--json"]).json();
        let images = said["images"].as_array().unwrap().clone();
        images.iter().map(|image| image["platform"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(platforms(&lone), ["linux/s390x"]);
    assert_eq!(platforms(&outer), ["linux/386", "windows(10.0.20348.1)/amd64", "wasip1/wasm", "linux/s390x"]);
    assert_eq!(inspect(&layout, &["--raw"]).bytes, layout.bytes(&outer));
    let attestation = layout.attestation(&lone, SLSA);
    layout.tags(&[("1.0", &attestation)]);
    let said = inspect(&layout, &["--json"]).json();
    assert_eq!((said["images"].as_array().unwrap().len(), &said["attestations"][0]["predicates"]), (0, &json!([SLSA])));
}

#[test]
fn what_cannot_be_shown_is_said() {
    let layout = RawLayout::new();
    let (index, _) = made(&layout);
    layout.tags(&[("1.0", &index)]);
    for (arguments, code, words) in [
        (
            &["--format", "{{json .Manifest}}"][..],
            2,
            "
            error: the format `{{json .Manifest}}` names what is not there: `json` is undefined

            hint: not Go's templates, but those of anyarch.toml: --format '{{ digest }}'
            hint: --format '{% for image in images %}{{ image.platform }} {% endfor %}'
            hint: --format '{{ images | tojson }}'
            ",
        ),
        (
            &["--format", "{{ image }}"],
            2,
            "
            error: the format `{{ image }}` names what is not there: `image` is undefined

            hint: there is annotations, artifacts, attestations, digest, images, mediaType, name: --json shows all of it
            ",
        ),
        (
            &["--raw", "--platform", "linux/amd64,linux/arm"],
            2,
            "
            error: the image `oci:DIR:1.0` holds several manifests, and the bytes of one can be had at a time

            hint: --platform linux/amd64
            hint: --platform linux/arm/v7
            ",
        ),
        (
            &["--platform", "linux/s390x"],
            2,
            "
            error: the image `oci:DIR:1.0` has no linux/s390x

            hint: --platform linux/amd64
            hint: --platform linux/arm/v7
            ",
        ),
    ] {
        inspect(&layout, arguments).assert_code(code).assert_stdout("").assert_stderr(words);
    }
    let both = inspect(&layout, &["--raw", "--json"]);
    both.assert_code(2);
    assert!(both.stderr.contains("'--raw' cannot be used with '--json'"), "{}", both.stderr);
    fs::write(layout.folder().join("index.json"), "{}").unwrap();
    inspect(&layout, &[]).assert_code(6).assert_stderr(
        "
        error: the index [DIGEST] of the image `oci:DIR:1.0` cannot be read
          because: missing field `manifests` at line 1 column 2
        ",
    );
}
