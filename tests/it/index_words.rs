//! What people read when images make no index: the exact words, the exit code, and nothing on stdout.

use std::fs;

use anyarch::blob::MEDIA_TYPE_INDEX;
use serde_json::{Value, json};

use crate::support::program::Home;
use crate::support::raw_layout::{OCI, RawLayout, platform, with_platform};
use crate::support::registry::{Options, Registry};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_refusal_has_its_words() {
    let (layout, home) = (RawLayout::new(), Home::new());
    let amd64 = layout.image(OCI, &platform("linux/amd64"), "amd64");
    let other = layout.image(OCI, &platform("linux/amd64"), "other");
    let nowhere = layout.image(OCI, &json!({}), "nowhere");
    let wrong = layout.index(MEDIA_TYPE_INDEX, &[with_platform(&amd64, &platform("linux/arm64"))], &Value::Null);
    let artifact = json!({"config": layout.blob("a/config", b"{}"), "layers": []});
    let artifact = layout.document(anyarch::blob::MEDIA_TYPE_MANIFEST, &artifact);
    layout.tags(&[
        ("amd64", &amd64),
        ("other", &other),
        ("nowhere", &nowhere),
        ("wrong", &wrong),
        ("artifact", &artifact),
    ]);
    fs::write(layout.folder().join("spec.yaml"), "manifests:\n  - image: a\n    platfrom: {}\n").unwrap();
    fs::write(layout.folder().join("half.yaml"), "manifests: [{image: a, platform: {os: linux}}]\n").unwrap();
    let made = "registry.example.com/app:1";
    let digest = format!("{made}@sha256:{}", "0".repeat(64));
    for (arguments, code, words) in [
        (
            &["-t", made, "oci:.:amd64", "oci:.:other"][..],
            2,
            "
            error: two images are for linux/amd64: [DIGEST] of `oci:.:amd64` and [DIGEST] of `oci:.:other`

            hint: leave `oci:.:other` out
            ",
        ),
        (
            &["-t", made, "oci:.:wrong"],
            2,
            "
            error: [DIGEST] of `oci:.:wrong` is said to be for linux/arm64, and it is for linux/amd64 by what else is said of it

            hint: look at it: anyarch inspect oci:.:wrong
            ",
        ),
        (
            &["-t", made, "--template", "oci:.:ARCH", "--platform", "linux/amd64,wasm"],
            2,
            "
            error: `--template` cannot be read: `wasm` is not a platform: the architecture `wasm` is unknown

            hint: --platform linux/arm
            ",
        ),
        (
            &["-t", made, "--template", "oci:.:amd64ARCH"],
            2,
            "
            error: `--template` cannot be read: the template `oci:.:amd64ARCH` needs platforms

            hint: --template oci:.:amd64ARCH --platform linux/amd64,linux/arm64
            ",
        ),
        (
            &["-t", made, "oci:.:nowhere"],
            2,
            "
            error: [DIGEST] of `oci:.:nowhere` is for no platform: neither an index nor its config names one

            hint: --from-spec FILE, with `platform: {os: linux, architecture: arm64}` for it in FILE
            ",
        ),
        (
            &["-t", made, "oci:.:artifact"],
            6,
            "
            error: the image `oci:.:artifact` holds no image for a platform
            ",
        ),
        (
            &["-t", made, "--platform", "linux/arm64", "oci:.:amd64"],
            2,
            "
            error: the image `oci:.:amd64` has no linux/arm64

            hint: --platform linux/amd64
            ",
        ),
        (
            &["-t", made],
            2,
            "
            error: an index is made of images, and none is named

            hint: -t registry.example.com/app:1.0 registry.example.com/app:1.0-amd64
            ",
        ),
        (
            &["oci:.:amd64"],
            2,
            "
            error: an index needs a name to be published by, and there is none

            hint: -t registry.example.com/app:1.0
            hint: only to look at it: --dry-run
            ",
        ),
        (
            &["--append", "--dry-run", "oci:.:amd64"],
            2,
            "
            error: `--append` adds to what `-t` names, and that is left out

            hint: --append -t registry.example.com/app:1.0
            ",
        ),
        (
            &["-t", "oci-archive:image.tar", "oci:.:amd64"],
            2,
            "
            error: `oci-archive:image.tar` is an archive of one image, and an index goes to a registry or into a layout

            hint: write a layout, and copy that: -t oci:DIR:1.0; then: anyarch copy oci:DIR:1.0 oci-archive:image.tar
            ",
        ),
        (
            &["-t", &digest, "oci:.:amd64"],
            2,
            "
            error: `registry.example.com/app:1@[DIGEST]` (-t) has a digest, and what is published gets its own

            hint: -t registry.example.com/app:1
            ",
        ),
        (
            &["-t", made, "--annotation", "manifest:a=b", "oci:.:amd64"],
            2,
            "
            error: the annotation `manifest:a=b` is for manifests, which stay as they are

            hint: --annotation index:a=VALUE
            hint: --annotation manifest-descriptor:a=VALUE
            ",
        ),
        (
            &["-t", made, "--annotation", "manifest-descriptor[linux/arm64]:a=b", "oci:.:amd64"],
            2,
            "
            error: there is no linux/arm64 in the index, whose descriptor is to be annotated

            hint: --annotation manifest-descriptor[linux/amd64]:KEY=VALUE
            ",
        ),
        (
            &["--from-spec", "spec.yaml"],
            2,
            "
            error: `spec.yaml` cannot be read: unknown field `platfrom`, expected one of image, platform at line 3, column 5

            hint: manifests: [{image: \"registry.example.com/app:1.0-arm64\", platform: {os: linux, architecture: arm64}}]
            ",
        ),
        (
            &["--from-spec", "half.yaml"],
            2,
            "
            error: `half.yaml` cannot be read: the platform of `a` names no architecture

            hint: platform: {os: linux, architecture: arm64}
            ",
        ),
    ] {
        let output = home.anyarch().cwd(layout.folder()).args(["index", "create"]).args(arguments).run();
        output.assert_code(code).assert_stdout("").assert_stderr(words);
    }
}

#[test]
fn a_source_that_is_not_there_moves_nothing() {
    let (layout, home, registry) = (RawLayout::new(), Home::new(), Registry::start(&Options::default()));
    layout.tags(&[("amd64", &layout.image(OCI, &platform("linux/amd64"), "amd64"))]);
    let (app, missing) = (format!("{}/app:1", registry.host()), format!("{}/none:1", registry.host()));
    let output = home.anyarch().args(["index", "create", "-t", &app, &layout.name("amd64"), &missing]).run();
    output.assert_code(6).assert_stdout("");
    assert_eq!((registry.count("PUT"), registry.count("POST")), (0, 0));
}
