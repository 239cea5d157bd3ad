//! `libc = "auto"`: what a base's layers say decides what a program is linked against, and it starts there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyarch::toolchain::{Language, Libc, OverGlibc, Request, Toolchains};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bases::{self, Release};
use crate::support::layout::{self, Image, Tree};
use crate::support::made::base;
use crate::support::process;
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::registry::{Options, Registry};
use crate::support::shims::Shims;
use crate::support::start::Source;

/// Says which glibc it was compiled for, and which one it runs on.
const C: &str = r#"#include <stdio.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif
int main(void) {
#ifdef __GLIBC__
    printf("for %d.%d on %s\n", __GLIBC__, __GLIBC_MINOR__, gnu_get_libc_version());
#else
    puts("for musl");
#endif
    return 0;
}
"#;

/// The same as a Go program.
const CGO: &str = r#"package main

/*
#include <stdio.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
static int minor(void) { return __GLIBC_MINOR__; }
static const char *here(void) { return gnu_get_libc_version(); }
#else
static int minor(void) { return 0; }
static const char *here(void) { return "musl"; }
#endif
*/
import "C"

import "fmt"

func main() { fmt.Printf("for 2.%d on %s\n", int(C.minor()), C.GoString(C.here())) }
"#;

/// A thread, a file and an address: each is a symbol of glibc that moved from release to release.
const RUST: &str = r#"
use std::net::ToSocketAddrs;

fn main() {
    let users = std::thread::spawn(|| std::fs::read_to_string("/etc/passwd").map(|text| text.lines().count()));
    let address = ("127.0.0.1", 80).to_socket_addrs().unwrap().next().unwrap();
    let libc = if cfg!(target_env = "gnu") { "gnu" } else { "musl" };
    println!("{libc} {address} {}", users.join().unwrap().unwrap() > 0);
}
"#;

const C_TABLE: &str = "[[program]]\nname = \"app\"\nlanguage = \"c\"\n";
const GO_TABLE: &str = "[[program]]\nname = \"app\"\nlanguage = \"go\"\ncgo = true\n";
const RUST_TABLE: &str = "[[program]]\nname = \"app\"\nlanguage = \"rust\"\n";

fn c_project(more: &str) -> Project {
    Project::new().file("app.c", C).file("anyarch.toml", format!("{C_TABLE}{more}"))
}

fn rust_project(more: &str) -> Project {
    let lock = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n";
    Project::new()
        .file("Cargo.toml", "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n")
        .file("Cargo.lock", lock)
        .file("src/main.rs", RUST)
        .file("anyarch.toml", format!("{RUST_TABLE}{more}"))
}

/// A base in a folder: of each platform its layers.
fn layout(images: Vec<(&str, Vec<Tree>)>) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let image = |(platform, layers): (&str, Vec<Tree>)| {
        let config = json!({"Env": ["PATH=/usr/bin:/bin"]});
        Image { platform: platform.parse().unwrap(), layers, config }
    };
    layout::write(folder.path(), "base", &images.into_iter().map(image).collect::<Vec<_>>());
    let name = format!("oci:{}", folder.path().display());
    (folder, name)
}

/// A layer with one file.
fn mark(path: &str) -> Tree {
    let mut tree = Tree::default();
    tree.file(path, 0o644, "");
    tree
}

/// The lines of a plan about libcs, without the folder of the base.
fn libcs(output: &Output, base: &str) -> Vec<String> {
    output.assert_success();
    let lines = output.stdout.lines().filter(|line| line.contains("libc = "));
    lines.map(|line| line.replace(&format!("(base {base} "), "(base BASE ")).collect()
}

const NOTE: &str = "note: how programs with the libc of their base are built is left open where that was not read yet: \
                    --resolve reads it\n";

#[test]
fn a_plan_says_what_was_chosen_and_why_and_what_it_does_not_know_yet() {
    let debian = base(Release::Bookworm, "linux/arm64");
    let bare = vec![mark("etc/motd")];
    let (_folder, name) = layout(vec![("linux/arm64", vec![debian, mark("etc/motd")]), ("linux/amd64", bare)]);
    let go = "[[program]]\nname = \"plain\"\nlanguage = \"go\"\npackage = \".\"\n";
    let project = c_project(go).file("go.mod", "module example.com/plain\n\ngo 1.21\n");
    let project = project.file("main.go", "package main\n\nfunc main() {}\n");
    let home = Home::new();
    let plan = |arguments: &[&str]| {
        let arguments = [&["plan", "--base", &name, "--platform", "linux/arm64,linux/amd64"], arguments].concat();
        project.anyarch_at(&home).args(arguments).run()
    };
    let first = plan(&[]);
    assert_eq!(libcs(&first, &name), ["# app linux/arm64, app linux/amd64: libc = auto (base BASE not read yet)"]);
    assert_eq!(first.stderr, NOTE);
    // All the rest is there.
    assert_eq!(first.stdout.matches("go build").count(), 2, "{}", first.stdout);
    let unread: Value = serde_json::from_str(&plan(&["--json"]).stdout).unwrap();
    let programs = &unread["plan"]["images"][0]["units"][0]["programs"];
    assert_eq!(programs[0]["libc"]["chosen"], Value::Null);
    assert_eq!((&programs[0]["toolchain"], &programs[0]["job"]), (&Value::Null, &Value::Null));
    assert!(programs[1].get("libc").is_none(), "Go without C has no libc: {}", programs[1]);

    let resolved = [
        "# app linux/arm64: libc = auto: gnu.2.36 (base BASE has glibc 2.36)",
        "# app linux/amd64: libc = auto: musl, static (base BASE has no libc)",
    ];
    let output = plan(&["--resolve"]);
    assert_eq!(libcs(&output, &name), resolved);
    assert_eq!(output.stderr, "");
    assert!(output.stdout.contains("aarch64-linux-gnu.2.36"), "{}", output.stdout);
    // Read once ever.
    assert_eq!(libcs(&plan(&[]), &name), resolved);
    let read: Value = serde_json::from_str(&plan(&["--json"]).stdout).unwrap();
    let libc = &read["plan"]["images"][0]["units"][0]["programs"][0]["libc"];
    let because = format!("base {name} has glibc 2.36");
    assert_eq!(*libc, json!({"asked": "auto", "chosen": "gnu.2.36", "static": false, "because": because}));
}

#[test]
fn bases_without_a_glibc_get_static_programs() {
    let glibc = base(Release::Bookworm, "linux/arm64");
    let mut removed = Tree::default();
    // The way to the loader, by a link of the merged /usr.
    removed.file(".wh.lib", 0o644, "");
    let (_folder, name) = layout(vec![("linux/arm64", vec![glibc, removed])]);
    let project = c_project("");
    for base in [&*name, "static", "scratch"] {
        let arguments = ["plan", "--resolve", "--base", base, "--platform", "linux/arm64"];
        let output = project.anyarch().args(arguments).run();
        let expected = "# app linux/arm64: libc = auto: musl, static (base BASE has no libc)";
        assert_eq!(libcs(&output, base), [expected], "{base}");
    }
    let (_folder, glibc) = layout(vec![("linux/arm64", vec![base(Release::Bookworm, "linux/arm64")])]);
    let said = c_project("ldflags = [\"-s\", \"-static\"]\n");
    let output = said.anyarch().args(["plan", "--base", &glibc, "--platform", "linux/arm64"]).run();
    assert_eq!(libcs(&output, &glibc), ["# app linux/arm64: libc = auto: musl, static (`ldflags` say so)"]);
    for (libc, lines) in [("static", 0), ("musl", 0), ("gnu.2.28", 0), ("auto", 1)] {
        let project = c_project(&format!("libc = \"{libc}\"\n"));
        let output = project.anyarch().args(["plan", "--base", &name, "--platform", "linux/arm64"]).run();
        assert_eq!(libcs(&output, &name).len(), lines, "{libc}");
    }
}

#[test]
fn a_program_of_two_images_serves_the_bases_of_both() {
    let (_new, new) = layout(vec![("linux/arm64", vec![base(Release::Bookworm, "linux/arm64")])]);
    let (_bare, bare) = layout(vec![("linux/arm64", vec![mark("etc/motd")])]);
    let image =
        |name: &str, base: &str| format!("[[image]]\nname = \"{name}\"\nprograms = [\"app\"]\nbase = \"{base}\"\n");
    let project = c_project(&format!("{}{}", image("one", &new), image("two", &bare)));
    let output = project.anyarch().args(["plan", "--resolve", "--platform", "linux/arm64"]).run();
    assert_eq!(libcs(&output, &bare), ["# app linux/arm64: libc = auto: musl, static (base BASE has no libc)"]);
    let output = project.anyarch().args(["plan", "--resolve", "--platform", "linux/arm64", "--image", "one"]).run();
    assert_eq!(libcs(&output, &new), ["# app linux/arm64: libc = auto: gnu.2.36 (base BASE has glibc 2.36)"]);
}

/// A compiler that says it links against a glibc of that version.
fn gcc_of(version: &str) -> Shims {
    let shims = Shims::new();
    let library = shims.folder().join("libc.so.6");
    fs::write(&library, format!("GNU C Library (GNU libc) stable release version {version}.\n")).unwrap();
    let line = format!("test \"$1\" = -print-file-name=libc.so.6 && echo '{}'", library.display());
    shims.script("aarch64-linux-gnu-gcc", &line)
}

#[test]
fn a_gcc_is_taken_when_its_glibc_is_not_newer_than_the_base() {
    let (_folder, name) = layout(vec![("linux/arm64", vec![base(Release::Bookworm, "linux/arm64")])]);
    for project in [c_project("toolchain = \"gcc\"\n"), rust_project("toolchain = \"gcc\"\n")] {
        let home = Home::new();
        let plan = |version: &str| {
            let shims = gcc_of(version);
            let arguments = ["plan", "--resolve", "--base", &name, "--platform", "linux/arm64"];
            project.anyarch_at(&home).args(arguments).env("PATH", shims.path()).redact(&name, "BASE").run()
        };
        let fits = "# app linux/arm64: libc = auto: gnu (base BASE has glibc 2.36, and aarch64-linux-gnu-gcc links against 2.31)";
        assert_eq!(libcs(&plan("2.31"), &name), [fits]);
        plan("2.41").assert_code(2).assert_stdout("").assert_stderr(
            "
            error: cannot build for linux/arm64: `aarch64-linux-gnu-gcc` links against glibc 2.41, and the base `BASE` has glibc 2.36

            hint: toolchain = \"zig\"
            hint: libc = \"static\"
            hint: take a base with glibc 2.41 or newer
            ",
        );
    }
}

#[test]
fn what_is_needed_is_told_without_reading_where_it_does_not_depend_on_the_base() {
    let registry = Registry::start(&Options::default());
    let (_folder, name) = layout(vec![("linux/arm64", vec![base(Release::Bookworm, "linux/arm64")])]);
    let reference = format!("{}/debian:small", registry.host());
    let destination = format!("docker://{reference}");
    let mut copy = Command::new("skopeo");
    process::succeed(copy.args(["copy", "--quiet", "--all", "--dest-tls-verify=false", &name, &destination]));
    let needs = |project: &Project, home: &Home| -> (Vec<String>, usize) {
        let before = registry.requests().len();
        let project_base = format!("base = \"{reference}\"\nplatforms = [\"linux/arm64\"]\n");
        let config = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
        fs::write(project.path().join("anyarch.toml"), format!("{project_base}{config}")).unwrap();
        let output = project.anyarch_at(home).args(["toolchain", "check", "--json"]).run();
        let said: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
        let names = said["needs"].as_array().unwrap().iter().map(|need| need["name"].as_str().unwrap().to_owned());
        let blobs = registry.requests().split_off(before);
        (names.collect(), blobs.iter().filter(|line| line.contains("GET") && line.contains("/blobs/")).count())
    };
    // zig in any case; a config is a blob, too.
    assert_eq!(needs(&c_project(""), &Home::new()), (vec!["zig".to_owned()], 1));
    // The Rust target is another for each libc, and so is what links.
    let names = ["cargo", "zig", "aarch64-unknown-linux-gnu"].map(str::to_owned).to_vec();
    assert_eq!(needs(&rust_project(""), &Home::new()), (names, 2));
}

#[test]
fn offline_names_the_layers_that_would_have_to_be_read() {
    let registry = Registry::start(&Options::default());
    let (_folder, name) = layout(vec![("linux/arm64", vec![base(Release::Bookworm, "linux/arm64")])]);
    let reference = format!("{}/debian:small", registry.host());
    let destination = format!("docker://{reference}");
    let mut copy = Command::new("skopeo");
    process::succeed(copy.args(["copy", "--quiet", "--all", "--dest-tls-verify=false", &name, &destination]));
    let (project, home) = (c_project(""), Home::new());
    let run = |command: &str, arguments: &[&str]| {
        let base = ["--base", &reference, "--platform", "linux/arm64"];
        project.anyarch_at(&home).args([command]).args(base).args(arguments).run()
    };
    run("plan", &[]).assert_success();
    for (command, arguments) in [("plan", &["--offline", "--resolve"][..]), ("build", &["--offline"])] {
        let output = run(command, arguments);
        output.assert_code(6).assert_stdout("");
        let words = output.redacted_stderr();
        let missing = "  the base `127.0.0.1:[PORT]/debian:small` for linux/arm64: its layer [DIGEST] of ";
        assert_eq!(words.matches(missing).count(), 1, "{words}");
        assert!(!project.path().join(".anyarch").exists(), "nothing was compiled");
    }
    let open = run("plan", &["--offline"]);
    assert_eq!(libcs(&open, &reference), ["# app linux/arm64: libc = auto (base BASE not read yet)"]);
    run("plan", &["--resolve"]).assert_success();
    drop(registry);
    let known = run("plan", &["--offline"]);
    assert_eq!(libcs(&known, &reference), ["# app linux/arm64: libc = auto: gnu.2.36 (base BASE has glibc 2.36)"]);
}

/// Platforms of both releases that foreign compilers of ours serve.
const PLATFORMS: &[&str] = &["linux/arm64", "linux/arm/v7", "linux/386"];

/// The program starts over each release, and was linked against its glibc by the loader there.
fn assert_starts(project: &Project, home: &Home, said: impl Fn(&str) -> String) {
    for (release, version) in [(Release::Bullseye, "2.31"), (Release::Bookworm, "2.36")] {
        let base = format!("oci:{}", bases::debian(release).display());
        let arguments =
            ["build", "--base", &base, "--platform", &PLATFORMS.join(","), "-o", "type=oci,dest=out,tar=false"];
        project.anyarch_at(home).args(arguments).run().assert_success();
        let source = Source::Layout(project.path().join("out"));
        for platform in PLATFORMS {
            let image = source.unpack(platform);
            let headers = program_headers(&image.root().join("usr/local/bin/app"));
            assert!(headers.contains("INTERP"), "{version} {platform}: {headers}");
            let ended = image.start(&[]);
            assert_eq!((ended.code, &*ended.stdout), (0, &*said(version)), "{version} {platform}: {}", ended.stderr);
        }
        fs::remove_dir_all(project.path().join("out")).unwrap();
    }
}

fn program_headers(program: &Path) -> String {
    process::text(Command::new("readelf").arg("-lW").arg(program))
}

#[test]
#[ignore = "full: auto"]
fn a_rust_program_starts_over_the_release_that_it_is_built_for() {
    assert_starts(&rust_project(""), &Home::new(), |_| "gnu 127.0.0.1:80 true\n".to_owned());
}

#[test]
#[ignore = "full: auto"]
fn a_c_program_starts_over_the_release_that_it_is_built_for() {
    assert_starts(&c_project(""), &Home::new(), |version| format!("for {version} on {version}\n"));
}

#[test]
#[ignore = "full: auto"]
fn a_go_program_with_c_starts_over_the_release_that_it_is_built_for() {
    let project = Project::new()
        .file("go.mod", "module example.com/app\n\ngo 1.21\n")
        .file("main.go", CGO)
        .file("anyarch.toml", GO_TABLE);
    assert_starts(&project, &Home::new(), |version| format!("for {version} on {version}\n"));
}

/// gcc links against this machine's glibc, which is that of bookworm or older wherever these tests run.
#[test]
#[ignore = "full: auto"]
fn a_gcc_serves_the_release_that_it_is_not_too_new_for() {
    let project = c_project("toolchain = \"gcc\"\n");
    let home = Home::new();
    let build = |release: Release| {
        let base = format!("oci:{}", bases::debian(release).display());
        let arguments = ["build", "--base", &base, "--platform", "linux/arm64,linux/arm/v7"];
        project.anyarch_at(&home).args(arguments).args(["-o", "type=oci,dest=out,tar=false"]).run()
    };
    build(Release::Bookworm).assert_success();
    for platform in ["linux/arm64", "linux/arm/v7"] {
        let ended = Source::Layout(project.path().join("out")).unpack(platform).start(&[]);
        assert!(
            ended.code == 0 && ended.stdout.ends_with(" on 2.36\n"),
            "{platform}: {} {}",
            ended.stdout,
            ended.stderr
        );
    }
    let library = process::text(Command::new("aarch64-linux-gnu-gcc").arg("-print-file-name=libc.so.6"));
    let newer = !fs::read(library.trim()).unwrap().windows(20).any(|window| window == b"release version 2.31");
    build(Release::Bullseye).assert_code(if newer { 2 } else { 0 });
}

#[test]
#[ignore = "full: auto"]
fn a_program_over_musl_is_static_and_starts() {
    let work = tempfile::tempdir().unwrap();
    let packages = bases::fetch_packages(Release::Bookworm, &["arm64"], &["musl:arm64"], work.path());
    let mut musl = Tree::default();
    musl.link("lib", "usr/lib");
    bases::unpack(&mut musl, &packages, "musl", "arm64");
    let (_folder, name) = layout(vec![("linux/arm64", vec![musl])]);
    let (project, home) = (c_project(""), Home::new());
    let arguments = ["--base", &name, "--platform", "linux/arm64"];
    let plan = project.anyarch_at(&home).args(["plan", "--resolve"]).args(arguments).run();
    let [line] = libcs(&plan, &name).try_into().unwrap();
    assert!(line.starts_with("# app linux/arm64: libc = auto: musl, static (base BASE has musl 1."), "{line}");
    let build = project.anyarch_at(&home).args(["build", "-o", "type=oci,dest=out,tar=false"]).args(arguments).run();
    build.assert_success();
    let image = Source::Layout(project.path().join("out")).unpack("linux/arm64");
    assert!(!program_headers(&image.root().join("usr/local/bin/app")).contains("INTERP"));
    assert_eq!(image.start(&[]).stdout, "for musl\n");
}

#[test]
#[ignore = "full: auto"]
fn the_newest_glibc_of_the_row_is_that_of_the_zig_that_is_downloaded() {
    let rows = Toolchains::built_in().unwrap();
    let platform = "linux/arm64".parse().unwrap();
    let request = Request { language: Language::C, platform, libc: None, c: true, row: None, sysroot: false };
    let OverGlibc::Named { libc: Libc::Gnu(Some((major, minor))), newest: true } = rows.over_glibc(&request, (99, 0))
    else {
        panic!("zig has a newest glibc")
    };
    let zig = rows.tool("zig", platform).unwrap().download.unwrap().version;
    let installed = process::text(Command::new("zig").arg("version"));
    assert_eq!(installed, zig, "another zig than the one of the row\nhint: scripts/install-test-tools");
    let targets = process::text(Command::new("zig").arg("targets"));
    let (_, versions) = targets.split_once(".glibc = .{").expect("zig lists what it has");
    let last = versions.split('}').next().unwrap().split('"').rfind(|text| text.starts_with(char::is_numeric)).unwrap();
    assert_eq!(last, format!("{major}.{minor}.0"));
}
