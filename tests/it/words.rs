//! What people read when platforms, bases, references or outputs are wrong: the exact words, the exit code, and nothing
//! on stdout.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::layout::{self, Image, Tree};
use crate::support::program::Output;
use crate::support::project::Project;

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

/// Builds, and holds the refusal to its code and its words, and to having left nothing.
#[track_caller]
fn refused(project: &Project, arguments: &[&str], code: i32, words: &str) -> Output {
    let output = project.anyarch().args(["build"]).args(arguments).run();
    output.assert_code(code).assert_stdout("").assert_stderr(words);
    assert!(!project.path().join(".anyarch").exists(), "a refused build leaves nothing");
    output
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

        hello [DIGEST]
          linux/arm64      [DIGEST] [SIZE]
        written to oci:[CWD]/.anyarch/out/hello:latest
        run it:  podman run --rm oci:[CWD]/.anyarch/out/hello:latest
        load it: skopeo copy oci:[CWD]/.anyarch/out/hello:latest docker-daemon:hello:latest
        push it: anyarch build -t REGISTRY/hello:latest --push
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
    base(&project, "other", "b", &json!({}));
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

#[test]
fn a_name_that_cannot_be_published_under() {
    let project = Project::hello_go();
    let digest = format!("app@sha256:{}", "0".repeat(64));
    for (tag, words) in [
        (
            "http://registry.example.com/app",
            "
            error: `http://registry.example.com/app` is not an image reference: it starts with the scheme `http://` (-t)

            hint: write it without the scheme: `registry.example.com/app`
            hint: a registry without TLS is allowed by `--insecure-registry registry.example.com`
            ",
        ),
        (
            "registry.example.com/App",
            "
            error: `App` in `registry.example.com/App` has upper-case letters: repository names are lower case (-t)

            hint: write `registry.example.com/app`
            ",
        ),
        (
            "app:.1",
            "
            error: `.1` in `app:.1` is not a tag: it should be at most 128 letters, digits, `_`, `.` and `-`, and not start with `.` or `-` (-t)
            ",
        ),
        (
            &digest,
            "
            error: `app@[DIGEST]` (-t) has a digest, and what is published gets its own

            hint: -t app
            ",
        ),
    ] {
        refused(&project, &["-t", tag], 2, words);
    }
}

#[test]
fn an_image_that_cannot_go_where_it_should() {
    let project = Project::hello_go();
    let outputs = "
        hint: -o type=oci,dest=image.tar
        hint: -o type=oci,dest=folder,tar=false
        hint: -o type=registry
        ";
    for (arguments, words) in [
        (
            &["--push"][..],
            "
            error: pushing needs a name for the image, and there is none

            hint: -t registry.example.com/app:latest --push
            ",
        ),
        (
            &["--single-manifest"],
            "
            error: `--single-manifest` is for one platform, and `hello` has 2

            hint: --platform linux/amd64 --single-manifest
            ",
        ),
        (
            &["-o", "type=docker,dest=a"],
            "`docker` in the output `type=docker,dest=a` is not a type that anyarch writes",
        ),
        (&["-o", "type=oci"], "the output `type=oci` names no dest"),
        (&["-o", "type=oci,dst=a"], "`dst` in the output `type=oci,dst=a` is not a key of its type"),
        (&["-o", "image.tar"], "`image.tar` in the output `image.tar` should read KEY=VALUE"),
        (
            &["-o", "type=oci,dest=-,tar=false"],
            "the output `type=oci,dest=-,tar=false` is a folder, and stdout takes a tar",
        ),
    ] {
        if words.starts_with('\n') {
            refused(&project, arguments, 2, words);
        } else {
            refused(&project, arguments, 2, &format!("\n        error: {words} (-o)\n{outputs}"));
        }
    }
}

#[test]
fn several_images_have_no_one_place() {
    let project = two_programs();
    for output in ["type=oci,dest=image.tar", "type=oci,dest=image,tar=false", "type=oci,dest=-"] {
        refused(
            &project,
            &["./cmd/...", "-o", output],
            2,
            "
            error: several images (one, two) cannot go to one place

            hint: --one-image
            hint: leave -o away: each image gets its own folder below .anyarch/out/
            ",
        );
    }
}

/// A Go module with the programs `one` and `two`.
fn two_programs() -> Project {
    let main = "package main\n\nfunc main() {}\n";
    Project::new()
        .file("go.mod", "module example.com/two\n\ngo 1.21\n")
        .file("cmd/one/main.go", main)
        .file("cmd/two/main.go", main)
}

#[test]
fn a_folder_that_names_no_program() {
    let project = two_programs().file("lib/lib.go", "package lib\n");
    for (path, words) in [
        (
            ".",
            "
            error: `.` holds 2 main packages: ./cmd/one, ./cmd/two

            hint: one image of one program: anyarch build ./cmd/one
            hint: one image a program: anyarch build ./cmd/one ./cmd/two
            hint: all programs in one image: anyarch build --one-image ./cmd/one ./cmd/two
            ",
        ),
        (
            "./lib",
            "
            error: `./lib` holds no main package

            hint: name the folder of a main package: anyarch build ./lib/cmd/app
            ",
        ),
        ("./cmd/three", "error: `./cmd/three` does not exist\n"),
    ] {
        refused(&project, &[path], 2, words);
    }
    refused(
        &Project::new(),
        &[],
        2,
        "
        error: there is no project in `[CWD]`: no go.mod, Cargo.toml or anyarch.toml there or above

        hint: name the folder of a project: anyarch build path/to/project
        ",
    );
    refused(&Project::hello_go(), &["--bin", "hello"], 2, "error: `[CWD]` is a Go project, and `--bin` is for Rust\n");
    refused(
        &Project::hello_go().file("Cargo.toml", "[package]\nname = \"hello\"\n"),
        &[],
        2,
        "
        error: `[CWD]` holds both a go.mod and a Cargo.toml

        hint: anyarch.toml: program = [{ language = \"go\" }]
        hint: anyarch.toml: program = [{ language = \"rust\" }]
        ",
    );
}

#[test]
fn a_flag_that_says_nothing() {
    let project = Project::hello_go();
    refused(
        &project,
        &["--label", "version"],
        2,
        "
        error: `--label version` should read --label KEY=VALUE

        hint: --label key=value
        ",
    );
    let output = project.anyarch().args(["build", "--platform", "linux/amd64"]).env("SOURCE_DATE_EPOCH", "today").run();
    output.assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `SOURCE_DATE_EPOCH` is `today`, which is no number of seconds

        hint: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) anyarch build
        ",
    );
}
