//! What `anyarch.toml` says really is in the image: read back with skopeo, umoci and tar, and started.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::layout::{self, Tree};
use crate::support::process;
use crate::support::project::Project;
use crate::support::read_back::Image;
use crate::support::start::Source;

const PLATFORMS: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/arm/v7"];

const CONFIGURATION: &str = r#"
platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
base = "oci:base"
tags = ["registry.example.com/shop:{{version}}"]
output = "type=oci,dest=out,tar=false"
entrypoint = ["/usr/local/bin/app", "--serve"]
cmd = ["--verbose"]
env = { MODE = "production", TOKEN = "{{env.SHOP_TOKEN}}" }
user = "1000:1000"
workdir = "/srv"
ports = [8080, "53/udp"]
volumes = ["/data"]
stop_signal = "SIGINT"
created = "commit"

[labels]
org.opencontainers.image.version = "{{version}}"

[annotations]
"org.opencontainers.image.revision" = "{{git.short_commit}}"

[[program]]
package = "./cmd/app"
name = "app"
language = "go"
destination = "/usr/local/bin/app"
ldflags = ["-s", "-w", "-X main.version={{git.describe}}"]

[[program]]
name = "helper"
language = "prebuilt"
path = "dist/helper_{{platform.os}}_{{platform.arch}}/helper"
[program.platform."linux/arm/v7"]
path = "dist/helper_linux_arm_7/helper"

[[file]]
source = "etc/app.conf"
destination = "/etc/app.conf"
mode = "0640"
owner = "65532:65532"

[[file]]
source = "etc/run"
destination = "/etc/app.d/{{image.name}}/run"
"#;

/// A program in Go, a helper that something else built, two files, a base of three platforms; committed and tagged.
fn shop() -> Project {
    let main =
        "package main\n\nimport \"fmt\"\n\nvar version = \"none\"\n\nfunc main() { fmt.Println(\"app\", version) }\n";
    let helper = "package main\n\nimport (\n\t\"fmt\"\n\t\"runtime\"\n)\n\nfunc main() { fmt.Println(\"helper\", runtime.GOARCH) }\n";
    let project = Project::new()
        .file("go.mod", "module example.com/shop\n\ngo 1.21\n")
        .file("cmd/app/main.go", main)
        .file("tools/helper/main.go", helper)
        .file("etc/app.conf", "port = 8080\n")
        .file("etc/run", "#!/bin/sh\n")
        .file("anyarch.toml", CONFIGURATION)
        .file(".gitignore", "/base\n/dist\n/out\n");
    process::succeed(Command::new("chmod").arg("755").arg(project.path().join("etc/run")));
    let project = project.commit();
    project.git(&["tag", "v1.2.0"]);
    for (architecture, folder) in [("amd64", "amd64"), ("arm64", "arm64"), ("arm", "arm_7")] {
        let mut go = Command::new("go");
        go.args(["build", "-buildvcs=false", "-o", &format!("dist/helper_linux_{folder}/helper"), "./tools/helper"]);
        go.envs([("GOOS", "linux"), ("GOARCH", architecture), ("GOARM", "7"), ("CGO_ENABLED", "0")]);
        process::succeed(go.current_dir(project.path()));
    }
    base(&project);
    project
}

fn base(project: &Project) {
    let mut tree = Tree::default();
    for folder in ["data", "etc", "srv", "usr", "usr/local", "usr/local/bin"] {
        tree.directory(folder, 0o755);
    }
    let config = json!({
        "Env": ["PATH=/usr/local/bin:/bin", "MODE=test"],
        "Cmd": ["/bin/sh"],
        "Labels": {"maintainer": "base@example.com"},
        "ExposedPorts": {"22/tcp": {}},
        "Healthcheck": {"Test": ["NONE"]},
    });
    let images = PLATFORMS.map(|platform| layout::Image {
        platform: platform.parse().unwrap(),
        layers: vec![tree.clone()],
        config: config.clone(),
    });
    layout::write(&project.path().join("base"), "latest", &images);
}

fn out(project: &Project, tag: &str) -> String {
    format!("oci:{}:{tag}", project.path().join("out").display())
}

#[test]
fn all_that_the_file_says_is_in_the_image() {
    let project = shop();
    let output = project.anyarch().args(["build"]).env("SHOP_TOKEN", "hunter2").run();
    output.assert_success().assert_stdout("oci:out:1.2.0\n");
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    let commit = project.git(&["rev-parse", "HEAD"])[..7].to_owned();
    let source = Source::Layout(project.path().join("out"));
    assert_eq!(source.platforms(), PLATFORMS);
    assert_eq!(source.raw()["annotations"], json!({"org.opencontainers.image.revision": commit}));
    for platform in PLATFORMS {
        let image = Image::read(&out(&project, "1.2.0"), platform);
        assert_eq!(
            image.config["config"],
            json!({
                "Cmd": ["--verbose"],
                "Entrypoint": ["/usr/local/bin/app", "--serve"],
                "Env": ["PATH=/usr/local/bin:/bin", "MODE=production", "TOKEN=hunter2"],
                "ExposedPorts": {"22/tcp": {}, "53/udp": {}, "8080/tcp": {}},
                "Healthcheck": {"Test": ["NONE"]},
                "Labels": {"maintainer": "base@example.com", "org.opencontainers.image.version": "1.2.0"},
                "StopSignal": "SIGINT",
                "User": "1000:1000",
                "Volumes": {"/data": {}},
                "WorkingDir": "/srv",
            }),
            "{platform}"
        );
        assert_eq!(image.config["created"], "2024-01-01T00:00:00Z", "the commit's time");
        assert_eq!(image.config["variant"], if platform == "linux/arm/v7" { json!("v7") } else { Value::Null });
        let annotations = image.manifest["annotations"].as_object().unwrap();
        assert_eq!(annotations["org.opencontainers.image.revision"], json!(commit));
        assert!(annotations["org.opencontainers.image.base.digest"].as_str().unwrap().starts_with("sha256:"));
        holds_the_layers(&image);
        let unpacked = source.unpack(platform);
        let app = unpacked.run(&["app"]);
        assert_eq!((app.code, &*app.stdout), (0, "app v1.2.0\n"), "{platform}: {}", app.stderr);
        let architecture = platform.split('/').nth(1).unwrap();
        let helper = unpacked.run(&["helper"]);
        assert_eq!(
            (helper.code, helper.stdout),
            (0, format!("helper {architecture}\n")),
            "{platform}: {}",
            helper.stderr
        );
    }
}

/// After the base's: one layer of all files, then one a program, and a line of history each; no folder that the user did
/// not ask for, since it could replace a link or a mode of the base.
fn holds_the_layers(image: &Image) {
    assert_eq!(
        image.layers[1..],
        [
            vec!["-rw-r----- 65532/65532 etc/app.conf", "-rwxr-xr-x 0/0 etc/app.d/app/run"],
            vec!["-rwxr-xr-x 0/0 usr/local/bin/app"],
            vec!["-rwxr-xr-x 0/0 usr/local/bin/helper"],
        ]
    );
    let history = image.config["history"].as_array().unwrap();
    let made_by: Vec<&str> = history.iter().map(|entry| entry["created_by"].as_str().unwrap()).collect();
    assert_eq!(made_by, ["test base, layer 1", "anyarch files", "anyarch app", "anyarch helper"]);
}

#[test]
fn a_value_of_the_environment_never_shows_in_a_plan() {
    let project = shop();
    let config = CONFIGURATION.replace("-X main.version={{git.describe}}", "-X main.version={{env.SHOP_TOKEN}}");
    let config = config.replace(
        "language = \"go\"",
        "tags = [\"x_{{env.SHOP_TOKEN}}\"]\nenv = { GOEXPERIMENT_NOTE = \"{{env.SHOP_TOKEN}}\" }",
    );
    let project = project.file("anyarch.toml", config);
    for arguments in [&["plan"][..], &["plan", "--json"]] {
        let output = project.anyarch().args(arguments).env("SHOP_TOKEN", "hunter2").run();
        output.assert_success();
        assert!(!output.stdout.contains("hunter2") && !output.stderr.contains("hunter2"), "{}", output.stdout);
    }
    let output = project.anyarch().args(["plan", "--platform", "linux/arm64"]).env("SHOP_TOKEN", "hunter2").run();
    let line = output.stdout.lines().find(|line| line.contains(" go build ")).unwrap();
    assert!(line.contains("GOEXPERIMENT_NOTE=\"$SHOP_TOKEN\""), "{line}");
    assert!(line.contains("\"-tags=x_$SHOP_TOKEN\" \"-ldflags=-s -w -X main.version=$SHOP_TOKEN\""), "{line}");
    let plan = project.anyarch().args(["plan", "--json"]).env("SHOP_TOKEN", "hunter2").run().json();
    assert_eq!(plan["plan"]["images"][0]["settings"]["env"]["TOKEN"], "$SHOP_TOKEN");
}

#[test]
fn flags_win_over_the_file() {
    let project = shop();
    let arguments = ["build", "--platform", "linux/arm64", "--base", "scratch", "-t", "other:1", "--label"];
    let more = ["org.opencontainers.image.version=2", "--annotation", "a=b", "-o", "type=oci,dest=flag,tar=false"];
    let output = project.anyarch().args(arguments).args(more).env("SHOP_TOKEN", "x").run();
    output.assert_success().assert_stdout("oci:flag:1\n");
    let source = format!("oci:{}:1", project.path().join("flag").display());
    let image = Image::read(&source, "linux/arm64");
    assert_eq!(image.config["config"]["Labels"], json!({"org.opencontainers.image.version": "2"}));
    assert_eq!(image.manifest["annotations"]["a"], "b");
    // Nothing is below on scratch, so the parents are ours: each once, in the first layer that needs it.
    let folders = |layer: &[String]| {
        layer
            .iter()
            .filter(|line| line.starts_with('d'))
            .map(|line| line.split_whitespace().last().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let folders: Vec<Vec<String>> = image.layers.iter().map(|layer| folders(layer)).collect();
    assert_eq!(
        folders,
        [vec!["etc/", "etc/app.d/", "etc/app.d/app/"], vec!["usr/", "usr/local/", "usr/local/bin/"], vec![]]
    );
    assert!(!project.path().join("out").exists());
}

#[test]
fn the_file_is_found_from_within_and_from_without() {
    let project = shop();
    let inside = project.path().join("cmd/app");
    let outside = tempfile::tempdir().unwrap();
    let plan = |folder: &std::path::Path, path: &[&str]| {
        let output = project.anyarch().cwd(folder).args(["plan", "--json"]).args(path).env("SHOP_TOKEN", "x").run();
        let plan = output.json();
        let images = plan["plan"]["images"].as_array().unwrap().clone();
        let programs = images.iter().map(|image| {
            let programs = image["units"][0]["programs"].as_array().unwrap();
            programs.iter().map(|program| program["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        });
        programs.collect::<Vec<_>>()
    };
    let whole = [vec!["app".to_owned(), "helper".to_owned()]];
    assert_eq!(plan(project.path(), &[]), whole);
    assert_eq!(plan(project.path(), &["."]), whole);
    assert_eq!(plan(outside.path(), &[project.path().to_str().unwrap()]), whole);
    assert_eq!(plan(&inside, &["../.."]), whole);
    // A path that names one program takes that one, with its settings.
    assert_eq!(plan(project.path(), &["./cmd/app"]), [vec!["app".to_owned()]]);
    assert_eq!(plan(&inside, &["."]), [vec!["app".to_owned()]]);
}
