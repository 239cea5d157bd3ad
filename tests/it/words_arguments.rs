//! What people read when references, outputs, paths or other arguments are wrong: the exact words, the exit code, and
//! nothing on stdout.

use crate::support::project::{Project, refused};

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
            error: a single manifest is for one platform, and `hello` has 2

            hint: --platform linux/amd64 --single-manifest
            ",
        ),
        (
            &["-o", "type=oci,tar=false"],
            "
            error: the output `type=oci,tar=false` names no dest (-o)

            hint: -o type=oci,dest=image.tar
            hint: -o type=oci,dest=folder,tar=false
            hint: -o type=docker,dest=image.tar
            hint: -o type=docker
            hint: -o type=local,dest=folder
            hint: -o type=tar,dest=files.tar
            hint: -o type=registry
            ",
        ),
        (
            &["-o", "type=oci,dst=a"],
            "
            error: `dst` in the output `type=oci,dst=a` is not a key of its type (-o)

            hint: keys of type=oci: dest, tar, name, compression, oci-mediatypes, annotation.KEY
            ",
        ),
        (
            &["-o", "type=oci,dest=-,tar=false"],
            "
            error: the output `type=oci,dest=-,tar=false` is a folder, and stdout takes a tar (-o)

            hint: -o type=oci,dest=-
            hint: -o type=tar,dest=-
            ",
        ),
        (
            &["-o", "type=image"],
            "
            error: the output `type=image` pushes nothing, and anyarch keeps no images of its own (-o)

            hint: -o type=image,push=true
            hint: into the running Docker or podman: -o type=docker
            ",
        ),
        (
            &["--platform", "linux/amd64,linux/arm64", "-o", "type=docker,dest=image.tar"],
            "
            error: docker and podman take one platform, and `hello` has 2

            hint: --platform [HOST]
            hint: for all of them: -o type=oci,dest=image.tar
            ",
        ),
        (
            &["-t", "registry.example.com/hello:1", "-o", "type=registry,push-by-digest=true"],
            "
            error: `registry.example.com/hello:1` (-t) has a tag, and a push by digest moves none

            hint: -t registry.example.com/hello
            ",
        ),
        (
            &["-o", "type=oci,dest=a.tar,annotation.a=b", "-o", "type=oci,dest=b.tar"],
            "
            error: the outputs `type=oci,dest=a.tar,annotation.a=b` and `type=oci,dest=b.tar` have different annotations, and one build makes one image

            hint: --annotation manifest:KEY=VALUE
            ",
        ),
        (
            &["-o", "type=oci,dest=a.tar", "-o", "type=docker,dest=a.tar"],
            "
            error: the outputs `type=oci,dest=a.tar` and `type=docker,dest=a.tar` have one place

            hint: give each a `dest` of its own
            ",
        ),
        (
            &["--json", "-o", "-"],
            "
            error: `--json` and an output on stdout exclude each other

            hint: write the archive to a file: -o type=oci,dest=image.tar
            ",
        ),
    ] {
        let host = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
        refused(&project, arguments, 2, &words.replace("[HOST]", host));
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
        error: there is no project in `[CWD]`: no go.mod, Cargo.toml or anyarch.toml there or above, and no C there

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

#[test]
fn a_folder_that_is_not_there_is_said_before_anything_is_compiled() {
    let project = Project::hello_go();
    refused(
        &project,
        &["--iidfile", "made/by/nobody"],
        2,
        "
        error: `made/by/nobody` cannot be written: the folder `made/by` does not exist

        hint: mkdir -p made/by
        ",
    );
}

#[test]
fn two_projects_are_two_runs() {
    let project = Project::new()
        .file("one/go.mod", "module example.com/one\n\ngo 1.21\n")
        .file("one/main.go", "package main\n\nfunc main() {}\n")
        .file("two/go.mod", "module example.com/two\n\ngo 1.21\n")
        .file("two/main.go", "package main\n\nfunc main() {}\n")
        .file("two/anyarch.toml", "base = \"scratch\"\n");
    refused(
        &project,
        &["one", "two"],
        2,
        "
        error: `two` is in another project, with a configuration of its own in `[CWD]/two/anyarch.toml`: one run builds one project

        hint: anyarch build two
        ",
    );
}
