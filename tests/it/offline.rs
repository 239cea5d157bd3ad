//! `--offline`: what was read once is used without a registry, and what is missing is told at once.

use crate::support::cache;
use crate::support::machine::Machine;
use crate::support::mirror::{self, Manners};
use crate::support::program::Home;
use crate::support::project::{Project, refused};
use crate::support::proxy::Proxy;
use crate::support::read_back::Image;
use crate::support::registry::{Options, Registry};
use crate::support::small_base;

#[test]
fn what_was_built_once_is_built_again_without_the_registry() {
    let registry = Registry::start(&Options::default());
    let base = format!("{}/team/base:1", registry.host());
    small_base::push(&base, "the base", None);
    let (project, home) = (Project::hello_go(), Home::new());
    let build =
        |arguments: &[&str]| project.anyarch_at(&home).args(["build", "--json", "--base", &base]).args(arguments).run();
    let online = build(&[]).json();
    drop(registry);
    let output = build(&["--offline"]);
    assert_eq!(output.json()["images"], online["images"]);
    let note = output.redacted_stderr().lines().find(|line| line.starts_with("note: ")).map(str::to_owned);
    let words = "note: offline: `127.0.0.1:[PORT]/team/base:1` is [DIGEST], as it was ";
    assert!(note.as_ref().is_some_and(|note| note.starts_with(words) && note.ends_with(" ago")), "{note:?}");
    project.anyarch_at(&home).args(["plan", "--offline", "--base", &base]).run().assert_success();
    build(&[]).assert_code(6);
}

#[test]
fn a_base_in_a_folder_needs_no_network() {
    // The folder's layers were never in the cache.
    let project = cache::site(b"hello");
    let output = project.anyarch().args(["build", "--offline"]).run();
    output.assert_success();
    let layout = project.path().join(".anyarch/out/site");
    assert_eq!(Image::read(&format!("oci:{}:latest", layout.display()), "linux/amd64").layers.len(), 2);
}

#[test]
fn what_is_missing_is_told_all_at_once() {
    let registry = Registry::start(&Options::default());
    let host = registry.host();
    for name in ["one", "two"] {
        small_base::push(&format!("{host}/{name}:1"), name, None);
    }
    let configuration = format!(
        "platforms = [\"linux/amd64\", \"linux/arm64\"]\nbase = \"{host}/one:1\"\n[bases]\n\"linux/arm64\" = \"{host}/two:1\"\n"
    );
    let project = Project::hello_go().file("anyarch.toml", configuration);
    let home = Home::new();
    let run = |command: &str, arguments: &[&str]| project.anyarch_at(&home).args([command]).args(arguments).run();
    let before = registry.requests().len();
    run("build", &["--offline", "--platform=linux/amd64,linux/arm64"]).assert_code(6).assert_stdout("").assert_stderr(
        "
        error: `--offline` asks no registry, and not everything is in the cache:
          the base `127.0.0.1:[PORT]/one:1`: what the tag means
          the base `127.0.0.1:[PORT]/two:1`: what the tag means

        hint: run it once with a network: anyarch build '--platform=linux/amd64,linux/arm64'
        ",
    );
    assert_eq!(registry.requests().len(), before, "nobody was asked");

    // A plan takes no layers, and so brings none.
    run("plan", &[]).assert_success();
    run("plan", &["--offline"]).assert_success();
    let output = run("build", &["--offline"]);
    output.assert_code(6).assert_stdout("");
    let words = output.redacted_stderr();
    let missing: Vec<&str> = words.lines().filter(|line| line.starts_with("  the base ")).collect();
    assert_eq!(missing.len(), 2, "{words}");
    for (line, (name, platform)) in missing.iter().zip([("one", "linux/amd64"), ("two", "linux/arm64")]) {
        let start = format!("  the base `127.0.0.1:[PORT]/{name}:1` for {platform}: its layer [DIGEST] of ");
        assert!(line.starts_with(&start) && line.ends_with(" bytes"), "{words}");
    }
    assert!(!project.path().join(".anyarch").exists(), "nothing was compiled");
    run("build", &[]).assert_success();
    run("build", &["--offline"]).assert_success();
}

#[test]
fn a_push_is_refused_before_anything_is_compiled() {
    let words = "
        error: `--offline` and a push exclude each other: nothing was compiled

        hint: write it, and push that with a network: -o type=oci,dest=image.tar
        ";
    let project = Project::hello_go();
    let plan = project.anyarch().args(["plan", "--offline", "--push", "-t", "localhost:1/app:1"]).run();
    plan.assert_success();
    for push in ["--push", "--output=type=registry"] {
        refused(&Project::hello_go(), &["--offline", "-t", "localhost:1/app:1", push], 2, words);
    }
}

#[test]
fn nothing_is_downloaded() {
    let mirror =
        mirror::Mirror::start(mirror::wheel(crate::support::machine::SAYS_ITS_VERSION, 10), Manners::default());
    let machine = Machine::new(mirror, |mirror| mirror.zig_row(None));
    let project = Project::new().file("main.c", "int main(void) { return 0; }\n");
    let output = machine
        .anyarch()
        .cwd(project.path())
        .args([
            "build",
            "--offline",
            "--install-missing",
            "--toolchain",
            &machine.rows.to_string_lossy(),
            "--platform",
            "linux/amd64",
        ])
        .run();
    output.assert_code(5).assert_stdout("").assert_stderr(
        "
        error: `zig 1.0` is missing, and `--offline` downloads nothing

        hint: get it once with a network: anyarch toolchain install
        ",
    );
}

#[test]
fn an_unchanged_base_costs_one_head() {
    let registry = Registry::start(&Options::default());
    small_base::push(&format!("{}/team/base:1", registry.host()), "the base", None);
    let proxy = Proxy::before(&registry);
    let (project, home, base) = (Project::hello_go(), Home::new(), format!("{}/team/base:1", proxy.host()));
    let build = || {
        project.anyarch_at(&home).args(["build", "--base", &base]).run().assert_success();
    };
    build();
    proxy.take();
    build();
    let asked: Vec<String> =
        proxy.take().into_iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(asked, ["HEAD /v2/team/base/manifests/1"], "Docker Hub counts GETs of manifests");
}
