//! Several images of one `anyarch.toml`: what each holds and is called, which are built, and that what they share is
//! compiled once.

use serde_json::{Value, json};

use crate::support::program::Output;
use crate::support::project::Project;
use crate::support::read_back::Image;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

const CONFIGURATION: &str = r#"
platforms = ["linux/amd64", "linux/arm64"]
repository = "registry.example.com/shop"
env = { MODE = "production", IMAGE = "{{image.name}}" }
labels = { title = "the {{image.name}} of the shop" }
ports = [8080]

[[program]]
package = "./cmd/server"

[[program]]
package = "./cmd/migrate"

[[file]]
source = "etc/shop.conf"
destination = "/etc/shop.conf"

[[image]]
name = "shop"
cmd = ["--serve"]
[image.env]
MODE = "server"
[image.annotations]
"index:kind" = "server"

[[image]]
name = "tool"
programs = "migrate"
platforms = "linux/arm64"
tags = "registry.example.com/tool:1"
base = "scratch"
user = "1000"
created = 1000000000
ports = []

[[image]]
name = "assets"
programs = []
[[image.file]]
source = "web"
destination = "/srv/web"
"#;

/// Two Go programs, a file for all images, a folder for one.
fn shop() -> Project {
    let main = |name: &str| format!("package main\n\nfunc main() {{ println(\"{name}\") }}\n");
    Project::new()
        .file("go.mod", "module example.com/shop\n\ngo 1.21\n")
        .file("cmd/server/main.go", main("server"))
        .file("cmd/migrate/main.go", main("migrate"))
        .file("etc/shop.conf", "port = 8080\n")
        .file("web/index.html", "<p>shop</p>\n")
        .file("anyarch.toml", CONFIGURATION)
}

fn plan(project: &Project, arguments: &[&str]) -> Value {
    project.anyarch().args(["plan", "--json"]).args(arguments).run().json()
}

fn names(plan: &Value) -> Vec<&str> {
    plan["plan"]["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect()
}

#[test]
fn each_image_holds_what_its_table_says_over_what_the_file_says() {
    let project = shop();
    let output = project.anyarch().args(["build"]).run();
    let places = "
        oci:.anyarch/out/shop:latest
        oci:.anyarch/out/tool:1
        oci:.anyarch/out/assets:latest
        ";
    output.assert_success().assert_stdout(places);
    let out = project.path().join(".anyarch/out");
    let read = |name: &str, tag: &str| Image::read(&format!("oci:{}:{tag}", out.join(name).display()), "linux/arm64");
    let platforms = |name: &str| Source::Layout(out.join(name)).platforms();
    assert_eq!(platforms("shop"), ["linux/amd64", "linux/arm64"]);
    assert_eq!(platforms("tool"), ["linux/arm64"]);

    let shop = read("shop", "latest");
    let config = &shop.config["config"];
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/server"]));
    assert_eq!(config["Cmd"], json!(["--serve"]));
    assert_eq!(config["Labels"], json!({"title": "the shop of the shop"}));
    assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}}));
    let env: Vec<&str> = config["Env"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(env.ends_with(&["IMAGE=shop", "MODE=server"]), "{env:?}");
    assert_eq!(Source::Layout(out.join("shop")).raw()["annotations"], json!({"kind": "server"}));
    let holds = |image: &Image, from: usize| -> Vec<String> {
        let lines = image.layers[from..].iter().flatten().filter(|line| !line.starts_with('d'));
        lines.map(|line| line.split_whitespace().last().unwrap().to_owned()).collect()
    };
    assert_eq!(holds(&shop, 1), ["etc/shop.conf", "usr/local/bin/server", "usr/local/bin/migrate"]);

    let tool = read("tool", "1");
    assert_eq!(tool.config["config"]["Entrypoint"], json!(["/usr/local/bin/migrate"]));
    assert_eq!(tool.config["config"]["Env"], json!(["IMAGE=tool", "MODE=production"]));
    assert_eq!(tool.config["config"]["User"], "1000");
    assert!(tool.config["config"]["ExposedPorts"].is_null());
    assert_eq!(
        (tool.config["created"].as_str(), shop.config["created"].as_str()),
        (Some("2001-09-09T01:46:40Z"), Some("1970-01-01T00:00:00Z"))
    );
    assert_eq!(holds(&tool, 0), ["etc/shop.conf", "usr/local/bin/migrate"]);

    let assets = read("assets", "latest");
    assert_eq!(holds(&assets, 1), ["etc/shop.conf", "srv/web/index.html"]);
    assert!(assets.config["config"]["Entrypoint"].is_null());
}

#[test]
fn a_program_that_images_share_is_compiled_once() {
    let project = shop();
    let plan = plan(&project, &[]);
    let jobs: Vec<&Value> = plan["plan"]["jobs"].as_array().unwrap().iter().map(|job| &job["platforms"]).collect();
    assert_eq!(jobs, [&json!(["linux/amd64"]), &json!(["linux/arm64"])]);
    let images = &plan["plan"]["images"];
    let (shop, tool) = (&images[0]["units"][1], &images[1]["units"][0]);
    assert_eq!((&shop["platform"], &tool["platform"]), (&json!("linux/arm64"), &json!("linux/arm64")));
    assert_eq!(shop["programs"][1]["name"], "migrate");
    assert_eq!(shop["programs"][1], tool["programs"][0]);
    assert_eq!(images[2]["units"].as_array().unwrap().len(), 2, "{}", images[2]);
    let table = project.anyarch().args(["plan", "--image", "assets"]).run();
    table.assert_success().assert_stdout(
        "
        IMAGE   PLATFORM     PROGRAM  TOOLCHAIN  BASE    JOB  OUTPUT
        assets  linux/amd64  -        -          static  -    -
        assets  linux/arm64  -        -          static  -    -
        ",
    );
}

#[test]
fn a_rust_program_is_compiled_for_the_platforms_of_its_images_only() {
    let manifest = "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nedition = \"2021\"\n";
    let config = "[[program]]\nbins = true\n\
        [[image]]\nname = \"a\"\nprograms = [\"one\", \"two\"]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\
        [[image]]\nname = \"b\"\nprograms = [\"two\", \"three\"]\nplatforms = [\"linux/arm64\"]\n";
    let mut project = Project::new()
        .file("Cargo.toml", manifest)
        .file("Cargo.lock", "version = 3\n\n[[package]]\nname = \"shop\"\nversion = \"1.0.0\"\n")
        .file("anyarch.toml", config);
    for name in ["one", "two", "three"] {
        project = project.file(&format!("src/bin/{name}.rs"), "fn main() {}\n");
    }
    let plan = plan(&project, &[]);
    let jobs = plan["plan"]["jobs"].as_array().unwrap().iter().map(|job| {
        let outputs = job["outputs"].as_array().unwrap().iter();
        let outputs = outputs.map(|path| path.as_str().unwrap().split("/target/anyarch/").nth(1).unwrap().to_owned());
        outputs.collect::<Vec<_>>()
    });
    let (amd64, arm64) = ("x86_64-unknown-linux-musl/release", "aarch64-unknown-linux-musl/release");
    let both = ["one", "two"];
    let first = [arm64, amd64].into_iter().flat_map(|folder| both.map(|name| format!("{folder}/{name}")));
    assert_eq!(jobs.collect::<Vec<_>>(), [first.collect(), vec![format!("{arm64}/three")]]);
}

#[test]
fn a_reference_that_is_said_for_several_images_is_said_of_each_by_name() {
    let project = shop();
    let references = |arguments: &[&str]| plan(&project, arguments)["references"].clone();
    assert_eq!(
        references(&[]),
        json!([
            ["registry.example.com/shop/shop"],
            ["registry.example.com/tool:1"],
            ["registry.example.com/shop/assets"]
        ])
    );
    // What the file says does not depend on what is built; what a flag says is for what it chose.
    assert_eq!(references(&["--image", "assets"]), json!([["registry.example.com/shop/assets"]]));
    assert_eq!(references(&["--image", "assets", "-t", "localhost/a:1"]), json!([["localhost/a:1"]]));
    let two = ["--image", "tool", "--image", "shop"];
    assert_eq!(
        references(&[&two[..], &["-t", "localhost/a:1"]].concat()),
        json!([["localhost/a/shop:1"], ["localhost/a/tool:1"]])
    );
    assert_eq!(
        references(&[&two[..], &["-t", "localhost/{{image.name}}:1"]].concat()),
        json!([["localhost/shop:1"], ["localhost/tool:1"]])
    );
}

#[test]
fn images_are_chosen_by_name() {
    let project = shop();
    assert_eq!(names(&plan(&project, &[])), ["shop", "tool", "assets"]);
    assert_eq!(names(&plan(&project, &["--image", "tool", "--image", "shop"])), ["shop", "tool"]);
    // Programs that are images themselves are chosen so, too.
    let plan = |project: &Project| plan(project, &["./cmd/...", "--image", "server"]);
    let project = project.file("anyarch.toml", "");
    assert_eq!(names(&plan(&project)), ["server"]);
    assert_eq!(plan(&project)["plan"]["jobs"].as_array().unwrap().len(), 2);
}

fn notes(output: &Output) -> Vec<String> {
    output.redacted_stderr().lines().map(str::to_owned).collect()
}

#[test]
fn a_path_that_names_programs_leaves_the_images_aside_and_says_so() {
    let output = shop().anyarch().args(["plan", "--json", "./cmd/migrate"]).run();
    assert_eq!(names(&output.json()), ["migrate"]);
    let note = "note: the images of anyarch.toml:18:1 and below are left aside: the command line names programs";
    assert_eq!(notes(&output), [note]);
}

#[test]
fn a_base_for_one_platform_that_outdoes_another_is_said() {
    let bases = "[bases]\n\"linux/arm64\" = \"scratch\"\n";
    let project = Project::hello_go().file("anyarch.toml", bases);
    let output = project.anyarch().args(["plan", "--json", "--base", "static"]).run();
    let note = "note: linux/arm64 of `hello` goes on `scratch`, as `bases` says in anyarch.toml:2:17, and not on what \
                `--base static` says";
    assert_eq!(notes(output.assert_success()), [note]);
    let output = project.anyarch().args(["plan", "--json", "--base", "static", "--platform", "linux/amd64"]).run();
    output.assert_success().assert_stderr("");
    let images =
        format!("{bases}[[image]]\nname = \"a\"\nbase = \"static\"\n[[image]]\nname = \"b\"\nbase = \"static\"\n");
    let project = project.file("anyarch.toml", images + "[image.bases]\n\"linux/arm64\" = \"scratch\"\n");
    let output = project.anyarch().args(["plan", "--json"]).run();
    let note = "note: linux/arm64 of `a` goes on `scratch`, as `bases` says in anyarch.toml:2:17, and not on what `base` \
                in anyarch.toml:5:8 says";
    assert_eq!(notes(output.assert_success()), [note]);
}

#[test]
fn images_are_pushed_each_under_its_name() {
    let registry = Registry::start(&Options::default());
    let project = shop();
    let host = registry.host();
    let arguments = ["build", "--push", "-t", &format!("{host}/shop:1"), "--image", "tool", "--image", "assets"];
    let output = project.anyarch().args(arguments).run();
    output.assert_success().assert_stdout(
        "
        127.0.0.1:[PORT]/shop/tool@[DIGEST]
        127.0.0.1:[PORT]/shop/assets@[DIGEST]
        ",
    );
    let image = Image::read(&format!("docker://{host}/shop/tool:1"), "linux/arm64");
    assert_eq!(image.config["config"]["Entrypoint"], json!(["/usr/local/bin/migrate"]));
}
