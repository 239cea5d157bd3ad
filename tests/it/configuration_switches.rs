//! Keys of `anyarch.toml` that say what flags say, too, are heard.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::layout::{self, Image, Tree};
use crate::support::process;
use crate::support::program::Output;
use crate::support::project::Project;
use crate::support::read_back;

/// A Go program over a base for amd64 alone, which has a build trigger.
fn project(config: &str) -> Project {
    let project = Project::hello_go().file("anyarch.toml", format!("base = \"oci:base\"\n{config}"));
    let mut tree = Tree::default();
    tree.file("motd", 0o644, "hello\n");
    let config = json!({"OnBuild": ["RUN make"]});
    let image = Image { platform: "linux/amd64".parse().unwrap(), layers: vec![tree], config };
    layout::write(&project.path().join("base"), "latest", &[image]);
    project
}

fn plan(config: &str) -> Output {
    project(config).anyarch().args(["plan", "--json"]).run()
}

fn error_of(output: &Output) -> &str {
    output.stderr.split_once("error: ").expect("the plan is refused").1.lines().next().unwrap()
}

#[test]
fn switches_of_the_file_are_those_of_the_command_line() {
    let base = "ignore_onbuild = true\n";
    let output = plan(&format!("{base}platforms = [\"linux/amd64\", \"linux/arm64\"]\nskip_missing = true\n"));
    assert_eq!(output.json()["plan"]["skipped"][0]["platform"], "linux/arm64");
    let output = plan(&format!("{base}platforms = [\"linux/amd64/v2\"]\n"));
    assert_eq!(output.json()["plan"]["images"][0]["units"][0]["base"]["platform"], "linux/amd64");
    let output = plan(&format!("{base}platforms = [\"linux/amd64/v2\"]\nstrict_platform = true\n"));
    assert!(error_of(output.assert_code(2)).ends_with(" lacks it; it offers linux/amd64"), "{}", output.stderr);
    let output = plan("platforms = [\"linux/amd64\"]\n");
    assert!(error_of(output.assert_code(2)).ends_with("cannot be used for linux/amd64"), "{}", output.stderr);
    let two = "platforms = [\"linux/amd64\", \"linux/amd64/v2\"]\n";
    let output = plan(&format!("{base}{two}single_manifest = true\n"));
    assert_eq!(error_of(output.assert_code(2)), "a single manifest is for one platform, and `hello` has 2");
    let output = plan(&format!("{base}{two}push = true\n"));
    assert_eq!(error_of(output.assert_code(2)), "pushing needs a name for the image, and there is none");
}

#[test]
fn settings_of_a_go_program_reach_its_compiler() {
    let config = "ignore_onbuild = true\nplatforms = [\"linux/amd64\"]\n\
        [[program]]\nname = \"renamed\"\ntags = [\"netgo\", \"osusergo\"]\ngcflags = \"all=-N -l\"\nbuildvcs = false\nstrip = true\n\
        env = { GODEBUG = \"asyncpreemptoff=1\" }\n[program.platform.\"linux/amd64\"]\nldflags = [\"-X\", \"main.a=b\"]\n";
    let plan = plan(config).json();
    let line = plan["plan"]["jobs"][0]["steps"][0]["line"].as_str().unwrap();
    let (head, tail) = line.split_once(" -o ").unwrap();
    assert_eq!(
        head,
        "CGO_ENABLED=0 GOAMD64=v1 GOARCH=amd64 GODEBUG='asyncpreemptoff=1' GOOS=linux go build -trimpath '-buildvcs=false' \
         '-tags=netgo,osusergo' '-ldflags=-s -w -X main.a=b' '-gcflags=all=-N -l'"
    );
    assert!(tail.ends_with("/.anyarch/build/linux_amd64/renamed ."), "{tail}");
}

#[test]
fn the_time_of_creation_is_what_the_file_says() {
    let config = "ignore_onbuild = true\nplatforms = [\"linux/amd64\"]\ncreated = \"2024-02-03T04:05:06+01:00\"\n";
    let project = project(&format!("{config}output = \"type=oci,dest=out,tar=false\"\n"));
    project.anyarch().args(["build"]).run().assert_success();
    let source = format!("oci:{}:latest", project.path().join("out").display());
    let image = read_back::Image::read(&source, "linux/amd64");
    assert_eq!(image.config["created"], "2024-02-03T03:05:06Z");
    assert!(image.config["config"]["OnBuild"].is_null(), "triggers are left out: {}", image.config);
}

#[test]
fn programs_of_the_file_share_an_image_unless_it_says_otherwise() {
    let main = "package main\n\nfunc main() {}\n";
    let project = Project::new()
        .file("go.mod", "module example.com/pair\n\ngo 1.21\n")
        .file("cmd/one/main.go", main)
        .file("cmd/two/main.go", main);
    let programs = "tags = \"registry.example.com/pair:{{ image.name }}\"\n[[program]]\npackage = \"./cmd/one\"\n[[program]]\npackage = \"./cmd/two\"\n";
    let references =
        |project: &Project| -> Value { project.anyarch().args(["plan", "--json"]).run().json()["references"].clone() };
    let project = project.file("anyarch.toml", programs);
    assert_eq!(references(&project), json!([["registry.example.com/pair:one"]]));
    let project = project.file("anyarch.toml", format!("one_image = false\n{programs}"));
    // A reference that names the image itself needs no name below it.
    assert_eq!(references(&project), json!([["registry.example.com/pair:one"], ["registry.example.com/pair:two"]]));
    let project =
        project.file("anyarch.toml", format!("one_image = false\n{}", programs.replace(":{{ image.name }}", ":1")));
    assert_eq!(references(&project), json!([["registry.example.com/pair/one:1"], ["registry.example.com/pair/two:1"]]));
}

#[test]
fn the_version_of_an_image_is_its_first_rust_programs() {
    let manifest = "[package]\nname = \"app\"\nversion = \"3.1.4\"\nedition = \"2021\"\n[features]\nextra = []\n[profile.small]\ninherits = \"release\"\n";
    let config = "tags = \"registry.example.com/app:{{version}}\"\nplatforms = [\"linux/amd64\"]\n\
        [[program]]\nfeatures = [\"extra\"]\nno_default_features = true\nprofile = \"small\"\nstrip = true\n";
    let project =
        Project::new().file("Cargo.toml", manifest).file("src/main.rs", "fn main() {}\n").file("anyarch.toml", config);
    process::succeed(Command::new("cargo").args(["generate-lockfile", "--quiet"]).current_dir(project.path()));
    let plan = project.anyarch().args(["plan", "--json"]).run().json();
    assert_eq!(plan["references"], json!([["registry.example.com/app:3.1.4"]]));
    let job = &plan["plan"]["jobs"][0];
    let line = job["steps"][0]["line"].as_str().unwrap();
    for words in
        ["CARGO_PROFILE_SMALL_STRIP=true", "--profile small", "--no-default-features", "--features extra", "--locked"]
    {
        assert!(line.contains(words), "`{words}` is not in {line}");
    }
    assert!(
        job["outputs"][0].as_str().unwrap().ends_with("/target/anyarch/x86_64-unknown-linux-musl/small/app"),
        "{job}"
    );
    // A tag at HEAD is nearer than the manifest.
    let project = project.file(".gitignore", "/target\n").commit();
    project.git(&["tag", "v4.0.0"]);
    let plan = project.anyarch().args(["plan", "--json"]).run().json();
    assert_eq!(plan["references"], json!([["registry.example.com/app:4.0.0"]]));
}
