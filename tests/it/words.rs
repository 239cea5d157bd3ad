//! What people read when platforms or bases are wrong: the exact words, the exit code, and nothing
//! on stdout.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::layout::{self, Image, Tree};
use crate::support::project::{Project, refused};

/// Writes a base of two platforms into `folder` of the project, under `tag`.
fn base(project: &Project, folder: &str, tag: &str, config: &Value) {
    let image = |platform: &str| {
        let mut tree = Tree::default();
        tree.directory("etc", 0o755);
        tree.file("etc/motd", 0o644, platform);
        Image { platform: platform.parse().unwrap(), layers: vec![tree], config: config.clone() }
    };
    layout::write(&project.path().join(folder), tag, &["linux/amd64", "linux/arm64"].map(image));
}

fn hello_with_base() -> Project {
    let project = Project::hello_go();
    base(&project, "base", "latest", &json!({}));
    project
}

#[test]
fn a_platform_that_is_none() {
    let project = Project::hello_go();
    for (platform, words) in [
        (
            "linux/amd46",
            "
            error: `linux/amd46` is not a platform: the architecture `amd46` is unknown

            hint: --platform linux/amd64
            ",
        ),
        (
            "plan9/amd64",
            "
            error: `plan9/amd64` is not a platform: the operating system `plan9` is unknown

            hint: --platform linux/amd64
            ",
        ),
        (
            "linux/amd64,",
            "
            error: `` is not a platform: it should read os/arch or os/arch/variant

            hint: --platform linux/amd64,linux/arm64,linux/arm/v7
            ",
        ),
        (
            "linux/arm64,linux/arm64/v8",
            "
            error: the platform linux/arm64 is asked for twice

            hint: name each platform once; linux/arm64 and linux/arm64/v8 are the same
            ",
        ),
        (
            "linux/amd64,windows/amd64",
            "
            error: cannot build for windows/amd64: go has no toolchain for windows/amd64

            hint: --platform linux/amd64
            hint: --skip-missing
            ",
        ),
    ] {
        refused(&project, &["--platform", platform], 2, words);
    }
}

#[test]
fn a_platform_that_the_base_lacks() {
    let project = hello_with_base();
    let arguments = ["--base", "oci:base", "--platform", "linux/386,linux/arm64,linux/s390x"];
    refused(
        &project,
        &arguments,
        2,
        "
        error: cannot build for 2 platforms:
          linux/386: the base `oci:base` lacks it; it offers linux/amd64, linux/arm64
          linux/s390x: the base `oci:base` lacks it; it offers linux/amd64, linux/arm64

        hint: --platform linux/arm64
        hint: --skip-missing
        ",
    );
    refused(
        &project,
        &["--base", "oci:base", "--platform", "linux/386", "--skip-missing"],
        2,
        "
        error: no platform is left to build `hello` for
          linux/386: the base `oci:base` lacks it; it offers linux/amd64, linux/arm64

        hint: --platform linux/amd64,linux/arm64
        ",
    );
    let output = project.anyarch().args(["build"]).args(arguments).args(["--skip-missing"]).run();
    output.assert_success().assert_stdout("oci:.anyarch/out/hello:latest\n").assert_stderr(
        "
        note: left out linux/386 of `hello`: the base `oci:base` lacks it; it offers linux/amd64, linux/arm64
        note: left out linux/s390x of `hello`: the base `oci:base` lacks it; it offers linux/amd64, linux/arm64
        linux/arm64      hello                compiled [TIME]
        linux/arm64      hello                packed   [TIME] [SIZE]
        linux/arm64      hello                verified [TIME]

        hello [DIGEST]
          linux/arm64      [DIGEST] [SIZE]
        written to oci:.anyarch/out/hello:latest
        run it:  skopeo copy oci:.anyarch/out/hello:latest docker-daemon:hello:latest && docker run --rm hello:latest
                 skopeo copy oci:.anyarch/out/hello:latest containers-storage:hello:latest && podman run --rm hello:latest
        push it: skopeo copy --all oci:.anyarch/out/hello:latest docker://REGISTRY/hello:latest
        done in [TIME]
        ",
    );
}

#[test]
fn a_lower_variant_of_the_base_is_said_and_can_be_ruled_out() {
    let project = hello_with_base();
    let arguments = ["--base", "oci:base", "--platform", "linux/amd64/v3"];
    let output = project.anyarch().args(["plan"]).args(arguments).run();
    output.assert_success().assert_stderr(
        "note: the base `oci:base` has no linux/amd64/v3; its linux/amd64 is the nearest lower variant\n",
    );
    refused(
        &project,
        &["--base", "oci:base", "--platform", "linux/amd64/v3", "--strict-platform"],
        2,
        "
        error: cannot build for linux/amd64/v3: the base `oci:base` lacks it; it offers linux/amd64, linux/arm64

        hint: --platform linux/amd64,linux/arm64
        ",
    );
}

#[test]
fn a_base_that_is_not_there_or_is_none() {
    let project = hello_with_base();
    base(&project, "other", "b", &json!({"User": "1"}));
    // Two images in one layout.
    let read = |folder: &str| -> Value {
        serde_json::from_slice(&fs::read(project.path().join(folder).join("index.json")).unwrap()).unwrap()
    };
    let (mut index, other) = (read("base"), read("other"));
    index["manifests"].as_array_mut().unwrap().extend(other["manifests"].as_array().unwrap().clone());
    let project = project.file("two/index.json", index.to_string());
    for (base, code, words) in [
        (
            "oci:nowhere",
            6,
            "
            error: there is no image layout for the base `oci:nowhere`: `nowhere/index.json` does not exist

            hint: skopeo copy --all docker://IMAGE oci:nowhere:latest
            ",
        ),
        (
            "oci:base:v1",
            6,
            "
            error: the layout of the base `oci:base:v1` has no image `v1`; it has latest

            hint: --base oci:base:latest
            ",
        ),
        (
            "oci:two",
            6,
            "
            error: the layout of the base `oci:two` holds 2 images: latest, b

            hint: --base oci:two:latest
            hint: --base oci:two:b
            ",
        ),
        (
            "oci:",
            2,
            "
            error: the base `oci:` (--base) cannot be used
              because: `oci:` names no folder

            hint: --base oci:path/to/layout
            ",
        ),
        (
            "Debian",
            2,
            "
            error: the base `Debian` (--base) cannot be used
              because: `library/Debian` in `Debian` has upper-case letters: repository names are lower case

            hint: write `debian`
            ",
        ),
    ] {
        refused(&project, &["--base", base], code, words);
    }
}

/// Replaces the blob that `entry` describes by other bytes.
fn damage(layout: &Path, entry: &Value) {
    let digest = entry["digest"].as_str().unwrap().trim_start_matches("sha256:");
    fs::write(layout.join("blobs/sha256").join(digest), "something else").unwrap();
}

fn document(layout: &Path, entry: &Value) -> Value {
    let digest = entry["digest"].as_str().unwrap().trim_start_matches("sha256:");
    serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(digest)).unwrap()).unwrap()
}

#[test]
fn a_base_whose_blobs_are_damaged() {
    let project = hello_with_base();
    let folder = project.path().join("base");
    let top: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let index = document(&folder, &top["manifests"][0]);
    let manifest = document(&folder, &index["manifests"][0]);
    let words = "
        error: the layout of the base `oci:base` is damaged: [DIGEST] is not what its name says

        hint: copy `oci:base` again
        ";
    // A layer is read while compilers run; what describes it, before.
    damage(&folder, &manifest["layers"][0]);
    let output = project.anyarch().args(["build", "--base", "oci:base", "--platform", "linux/amd64"]).run();
    output.assert_code(6).assert_stdout("");
    let (_, error) = output.stderr.split_once("error: ").unwrap();
    assert!(error.contains("is damaged: sha256:"), "{error}");
    assert!(!project.path().join(".anyarch/out").exists(), "nothing is published");
    fs::remove_dir_all(project.path().join(".anyarch")).unwrap();
    for entry in [&manifest["config"], &index["manifests"][0], &top["manifests"][0]] {
        damage(&folder, entry);
        refused(&project, &["--base", "oci:base", "--platform", "linux/amd64"], 6, words);
    }
}

#[test]
fn a_base_with_build_triggers() {
    let project = Project::hello_go();
    base(&project, "base", "latest", &json!({"OnBuild": ["COPY . /src", "RUN make"]}));
    refused(
        &project,
        &["--base", "oci:base", "--platform", "linux/amd64"],
        2,
        "
        error: the base `oci:base` cannot be used for linux/amd64
          because: it has build triggers (ONBUILD), which only a Dockerfile build runs: COPY . /src; RUN make

        hint: leave the triggers out: anyarch build --ignore-onbuild
        ",
    );
    let arguments = ["plan", "--base", "oci:base", "--platform", "linux/amd64", "--ignore-onbuild"];
    project
        .anyarch()
        .args(arguments)
        .run()
        .assert_success()
        .assert_stderr("note: the build triggers of the base `oci:base` are left out: COPY . /src; RUN make\n");
}
