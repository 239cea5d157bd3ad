//! What the command line says is what happens: which programs, which platforms, where they go, and what stdout holds.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::process;
use crate::support::project::Project;
use crate::support::publish::GO_PLATFORMS;
use crate::support::read_back::Image;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

/// A Go module with the programs `one` and `two`, each saying its name.
fn two_programs() -> Project {
    let main = |name: &str| format!("package main\n\nfunc main() {{ println(\"{name}\") }}\n");
    Project::new()
        .file("go.mod", "module example.com/pair\n\ngo 1.21\n")
        .file("cmd/one/main.go", main("one"))
        .file("cmd/two/main.go", main("two"))
}

/// A Rust workspace of a library and of the packages `server` (programs `server` and `admin`) and `client`.
fn workspace() -> Project {
    let manifest = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    let main = "fn main() {}\n";
    let project = Project::new()
        .file("Cargo.toml", "[workspace]\nmembers = [\"client\", \"server\", \"shared\"]\nresolver = \"2\"\n")
        .file("client/Cargo.toml", manifest("client"))
        .file("client/src/main.rs", main)
        .file("server/Cargo.toml", manifest("server"))
        .file("server/src/main.rs", main)
        .file("server/src/bin/admin.rs", main)
        .file("shared/Cargo.toml", manifest("shared"))
        .file("shared/src/lib.rs", "");
    process::succeed(Command::new("cargo").args(["generate-lockfile", "--quiet"]).current_dir(project.path()));
    project
}

/// The programs of each image of a plan.
fn planned(project: &Project, arguments: &[&str]) -> Vec<Vec<String>> {
    let plan = project.anyarch().args(["plan", "--json"]).args(arguments).run().json();
    let images = plan["plan"]["images"].as_array().unwrap();
    let names = |image: &Value| {
        let programs = image["units"][0]["programs"].as_array().unwrap();
        programs.iter().map(|program| program["name"].as_str().unwrap().to_owned()).collect()
    };
    images.iter().map(names).collect()
}

#[test]
fn paths_choose_go_programs() {
    let project = two_programs();
    for (arguments, images) in [
        (&["./cmd/one"][..], &[&["one"][..]][..]),
        (&["cmd/two/"], &[&["two"]]),
        (&["./cmd/two", "./cmd/one"], &[&["two"], &["one"]]),
        (&["./cmd/..."], &[&["one"], &["two"]]),
        (&["./..."], &[&["one"], &["two"]]),
        (&["--one-image", "./cmd/..."], &[&["one", "two"]]),
    ] {
        assert_eq!(planned(&project, arguments), images, "{arguments:?}");
    }
}

#[test]
fn paths_and_flags_choose_rust_programs() {
    let project = workspace();
    for (arguments, images) in [
        (&["client"][..], &[&["client"][..]][..]),
        (&["server", "--bin", "admin"], &[&["admin"]]),
        (&["--package", "client"], &[&["client"]]),
        (&["--package", "server", "--bins"], &[&["admin"], &["server"]]),
        (&["--bins"], &[&["client"], &["admin"], &["server"]]),
        (&["--bin", "server", "--bin", "client", "--one-image"], &[&["server", "client"]]),
    ] {
        let mut found = planned(&project, arguments);
        let mut images: Vec<Vec<&str>> = images.iter().map(|image| image.to_vec()).collect();
        if arguments.contains(&"--bins") {
            // In cargo's own order, whatever that is.
            found.sort();
            images.sort();
        }
        assert_eq!(found, images, "{arguments:?}");
    }
}

#[test]
fn several_programs_are_published_below_the_repository() {
    let (project, registry) = (two_programs(), Registry::start(&Options::default()));
    let repository = format!("{}/team", registry.host());
    let tags = ["-t", &format!("{repository}:1"), "-t", &format!("{repository}:latest")];
    let output = project.anyarch().args(["build", "./cmd/...", "--push"]).args(tags).run();
    output.assert_success();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, name) in lines.iter().zip(["one", "two"]) {
        assert!(line.starts_with(&format!("{repository}/{name}@sha256:")), "{line}");
        let by_tag = |tag: &str| Source::Registry(format!("{repository}/{name}:{tag}")).raw();
        let raw = Source::Registry((*line).to_owned()).raw();
        assert_eq!((by_tag("1"), by_tag("latest")), (raw.clone(), raw));
    }
    let output = project.anyarch().args(["build", "./cmd/...", "--push", "--one-image"]).args(tags).run();
    output.assert_success();
    assert_eq!(output.stdout.lines().count(), 1, "one line an image");
    let image = Image::read(&format!("docker://{repository}:1"), "linux/arm64");
    assert_eq!(image.config["config"]["Entrypoint"], json!(["/usr/local/bin/one"]));
    assert_eq!(image.config["history"].as_array().unwrap().len(), 3, "{}", image.config["history"]);
}

#[test]
fn the_base_is_named_by_its_reference_and_digest() {
    let (project, registry) = (Project::hello_go(), Registry::start(&Options::default()));
    let base = format!("{}/base:1", registry.host());
    let output = project.anyarch().args(["build", "-o", "type=registry", "-t", &base]).run();
    output.assert_success();
    let digest = output.stdout.trim().rsplit('@').next().unwrap().to_owned();
    let app = format!("{}/app:1", registry.host());
    project.anyarch().args(["build", "--base", &base, "--push", "-t", &app]).run().assert_success();
    let image = Image::read(&format!("docker://{app}"), "linux/amd64");
    assert_eq!(
        image.manifest["annotations"],
        json!({"org.opencontainers.image.base.name": base, "org.opencontainers.image.base.digest": digest})
    );
}

#[test]
fn all_and_host_are_platforms() {
    let project = Project::hello_go();
    let platforms = |arguments: &[&str]| -> Vec<String> {
        let plan = project.anyarch().args(["plan", "--json"]).args(arguments).run().json();
        let units = plan["plan"]["images"][0]["units"].as_array().unwrap();
        units.iter().map(|unit| unit["platform"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(platforms(&["--platform", "all"]), GO_PLATFORMS);
    project
        .anyarch()
        .args(["build", "--platform", "linux/s390x,linux/arm64", "-o", "type=oci,dest=base,tar=false"])
        .run()
        .assert_success();
    assert_eq!(platforms(&["--platform", "all", "--base", "oci:base"]), ["linux/arm64", "linux/s390x"]);
    let host = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        other => panic!("tests know no host {other}"),
    };
    assert_eq!(platforms(&["--platform", "host"]), [host]);
    assert_eq!(platforms(&[]), ["linux/amd64", "linux/arm64"]);
}

#[test]
fn a_single_manifest_has_no_index() {
    let project = Project::hello_go();
    let arguments = ["build", "--platform", "linux/arm64", "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).run().assert_success();
    let index = Source::Layout(project.path().join("out")).raw();
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    project.anyarch().args(arguments).args(["--single-manifest"]).run().assert_success();
    let manifest = Source::Layout(project.path().join("out")).raw();
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(index["manifests"][0]["platform"], json!({"os": "linux", "architecture": "arm64"}));
}

#[test]
fn a_build_tells_programs_what_it_made() {
    let project = Project::hello_go();
    let arguments = ["build", "-t", "registry.example.com/hello:1", "--json", "--iidfile", "digest"];
    let outputs = [
        (&[][..], json!({"type": "oci", "folder": project.path().join(".anyarch/out/hello"), "tag": "1"})),
        (&["-o", "type=oci,dest=image.tar"], json!({"type": "oci", "archive": "image.tar", "tag": "1"})),
        (&["-o", "type=oci,dest=image,tar=false"], json!({"type": "oci", "folder": "image", "tag": "1"})),
    ];
    for (output, layout) in outputs {
        let run = project.anyarch().args(arguments).args(output).run();
        let said = run.json();
        assert_eq!(run.stdout.lines().count(), 1, "one document: {}", run.stdout);
        let image = &said["images"][0];
        let digest = image["digest"].as_str().unwrap();
        assert_eq!(fs::read_to_string(project.path().join("digest")).unwrap(), digest);
        assert_eq!(image["outputs"], json!([layout]));
        assert_eq!(image["name"], "hello");
        assert_eq!(image["mediaType"], "application/vnd.oci.image.index.v1+json");
        let platforms = image["platforms"].as_array().unwrap();
        let names: Vec<&str> = platforms.iter().map(|entry| entry["platform"].as_str().unwrap()).collect();
        assert_eq!(names, ["linux/amd64", "linux/arm64"]);
        assert!(platforms.iter().all(|entry| entry["size"].as_u64().unwrap() > 500_000), "{platforms:?}");
        let source = match output {
            [] => Source::Layout(project.path().join(".anyarch/out/hello")),
            [_, spec] if spec.ends_with("tar") => Source::Archive(project.path().join("image.tar")),
            _ => Source::Layout(project.path().join("image")),
        };
        let entries = source.raw()["manifests"].as_array().unwrap().clone();
        let digests: Vec<&Value> = entries.iter().map(|entry| &entry["digest"]).collect();
        assert_eq!(digests, platforms.iter().map(|entry| &entry["digest"]).collect::<Vec<_>>());
    }
}

#[test]
fn a_plan_tells_programs_all_that_will_happen() {
    let project = Project::hello_go();
    let plan =
        project.anyarch().args(["plan", "--json", "-t", "localhost/hello:1", "--platform", "linux/arm/v7"]).run();
    let folder = project.path().join(".anyarch/build/linux_arm_v7/hello");
    assert_eq!(
        plan.json(),
        json!({
            "plan": {
                "images": [{
                    "name": "hello",
                    "settings": {
                        "entrypoint": ["/usr/local/bin/hello"], "cmd": null, "env": {}, "user": null, "workdir": null,
                        "labels": {}, "annotations": {}, "ports": [], "volumes": [], "stop_signal": null,
                        "ignore_onbuild": false,
                    },
                    "units": [{
                        "platform": "linux/arm/v7",
                        "base": {
                            "name": "static", "platform": "linux/arm/v7", "digest": null, "index": null, "note": null,
                        },
                        "programs": [{
                            "name": "hello", "destination": "/usr/local/bin/hello", "language": "go",
                            "toolchain": {
                                "name": "go", "origin": "toolchains/go.toml", "target": null, "libc": null, "c": null,
                                "static": true,
                            },
                            "binary": folder, "job": 0,
                        }],
                    }],
                }],
                "jobs": [{
                    "language": "go",
                    "platforms": ["linux/arm/v7"],
                    "steps": [{
                        "invocation": {
                            "program": "go",
                            "args": ["build", "-trimpath", "-o", folder, "."],
                            "env": {"CGO_ENABLED": "0", "GOARCH": "arm", "GOARM": "7", "GOOS": "linux"},
                            "env_remove": [],
                            "cwd": project.path(),
                        },
                        "line": format!(
                            "CGO_ENABLED=0 GOARCH=arm GOARM=7 GOOS=linux go build -trimpath -o {} .",
                            folder.display()
                        ),
                        "joins": "at-start",
                    }],
                    "outputs": [folder],
                }],
                "skipped": [],
            },
            "references": [["localhost/hello:1"]],
        })
    );
    assert!(!project.path().join(".anyarch").exists(), "a plan writes nothing");
}

#[test]
fn tables_stay_one_line_a_row_where_there_is_no_room() {
    let project = Project::hello_go();
    let output = project.anyarch().args(["plan"]).env("COLUMNS", "20").run();
    output.assert_success();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0].starts_with("IMAGE  PLATFORM     PROGRAM"), "{}", lines[0]);
    for (line, platform) in lines[1..3].iter().zip(["linux/amd64", "linux/arm64"]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..5], ["hello", platform, "hello", "->", "/usr/local/bin/hello"]);
        assert!(words.last().unwrap().ends_with("/hello"), "{line}");
    }
    assert_eq!(lines[3], "");
    assert!(lines.iter().all(|line| line.trim_end() == *line), "{}", output.stdout);
    let output = project.anyarch().args(["platforms"]).env("COLUMNS", "20").run();
    let rows: Vec<&str> = output.stdout.lines().collect();
    assert!(rows[0].starts_with("PLATFORM"), "{}", rows[0]);
    assert_eq!(rows.iter().filter(|row| row.starts_with("linux/")).count(), rows.len() - 1);
    let said = project.anyarch().args(["platforms", "--json"]).run().json();
    assert_eq!(said["platforms"].as_array().unwrap().len(), rows.len() - 1);
    assert_eq!(
        said["platforms"][0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["gcc", "go", "has", "platform", "rust", "zig"]
    );
}

#[test]
fn rows_of_a_users_file_come_first_and_say_where_they_are_from() {
    let rows = "[[toolchain]]\nname = \"go\"\nlanguage = \"go\"\ntools = [\"go\"]\nenv = { CGO_ENABLED = \"0\", GOEXPERIMENT = \"none\" }\n\n\
                [[platform]]\nplatform = \"linux/amd64\"\ndefault = [\"go\"]\ngo = { GOARCH = \"amd64\", GOAMD64 = \"v3\" }\n";
    let project = Project::hello_go().file("rows.toml", rows);
    let arguments = ["--toolchain", "rows.toml"];
    let output = project.anyarch().args(["plan", "--platform", "linux/amd64"]).args(arguments).run();
    output.assert_success();
    assert!(
        output.stdout.contains("go ([CWD]/rows.toml)") || output.redacted_stdout().contains("go ([CWD]/rows.toml)"),
        "{}",
        output.stdout
    );
    assert!(
        output.stdout.contains("\nCGO_ENABLED=0 GOAMD64=v3 GOARCH=amd64 GOEXPERIMENT=none GOOS=linux go build "),
        "{}",
        output.stdout
    );
    let listed = project.anyarch().args(["platforms"]).args(arguments).run();
    let row = listed.stdout.lines().find(|line| line.starts_with("linux/amd64 ")).unwrap();
    assert!(row.contains("GOAMD64=v3"), "{row}");
    let project = project.file("rows.toml", "[[toolchain]]\nname = 1\n");
    let output = project.anyarch().args(["plan"]).args(arguments).run();
    output.assert_code(5);
    let words = output.redacted_stderr();
    assert!(words.starts_with("error: the toolchain rows of `[CWD]/rows.toml` cannot be read\n  because: "), "{words}");
    assert!(words.contains("line 2, column 8"), "{words}");
}

#[test]
fn what_is_gos_and_cargos_own_is_left_to_them() {
    let project = Project::hello_go()
        .file("tagged.go", "//go:build special\n\npackage main\n\nfunc init() { println(\"special\") }\n");
    let arguments = ["build", "--platform", "host", "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).env("GOFLAGS", "-tags=special").run().assert_success();
    let source = Source::Layout(project.path().join("out"));
    let host = source.platforms().remove(0);
    assert_eq!(source.unpack(&host).start(&[]).stderr, "special\n");

    let project = workspace();
    let target = tempfile::tempdir().unwrap();
    let plan = project.anyarch().args(["plan", "--json", "client", "--platform", "linux/amd64"]);
    let plan = plan.env("CARGO_TARGET_DIR", target.path()).run().json();
    let binary = plan["plan"]["images"][0]["units"][0]["programs"][0]["binary"].as_str().unwrap();
    let expected = target.path().join("anyarch/x86_64-unknown-linux-musl/release/client");
    assert_eq!(binary, expected.to_str().unwrap());
}
