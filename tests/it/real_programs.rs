//! Open-source programs of others, with all their dependencies, as their package registries have them: built, pushed,
//! pulled by digest, and started on each platform, over a base with a glibc and over `static`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::bases::{self, Release};
use crate::support::process;
use crate::support::project::Project;
use crate::support::publish::{self, GO_PLATFORMS, push};
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

/// A well-known registry client in Go: one command of a module with several.
const GO_PROGRAM: (&str, &str, &str) = ("github.com/google/go-containerregistry", "v0.22.1", "./cmd/crane");
/// A well-known searcher in Rust; its allocator on 64-bit musl is C.
const RUST_PROGRAM: (&str, &str) = ("ripgrep", "15.2.0");
/// A well-known hex viewer in Rust, small enough to be built for every target that has a glibc.
const SMALL_RUST_PROGRAM: (&str, &str) = ("hexyl", "0.17.0");

#[test]
#[ignore = "full: real"]
fn a_go_program_starts_on_every_platform_over_static_and_over_debian() {
    let registry = Registry::start(&Options::default());
    let project = go_program(GO_PROGRAM);
    let debian = bases::push(Release::Trixie, &registry.host(), "debian");
    for (name, base) in [("crane-static", "static"), ("crane-debian", &*debian)] {
        let image = push(&project, &registry, name, base, &[GO_PROGRAM.2], GO_PLATFORMS);
        let Source::Registry(reference) = &image else { panic!("the image was pushed") };
        let (repository, digest) = reference.split_once('@').expect("the reference has a digest");
        for platform in GO_PLATFORMS {
            // The program asks the registry that it came from for its own image.
            let ended = image.unpack(platform).start(&["digest", &format!("{repository}:real")]);
            assert_eq!((ended.code, ended.stdout.trim_end()), (0, digest), "{name} {platform}: {}", ended.stderr);
        }
        publish::assert_podman_reads(&image, "linux/s390x");
    }
}

#[test]
#[ignore = "full: real"]
fn a_rust_program_starts_on_every_platform_over_static() {
    let registry = Registry::start(&Options::default());
    let project = rust_program(RUST_PROGRAM);
    let platforms = publish::rust_platforms(|row| row.with_static_libc);
    let image = push(&project, &registry, "rg-static", "static", &[], &platforms);
    assert_it_searches(&image, &platforms);
    publish::assert_podman_reads(&image, "linux/arm64");
}

#[test]
#[ignore = "full: real"]
fn a_rust_program_with_a_glibc_starts_on_every_platform_of_debian() {
    let registry = Registry::start(&Options::default());
    let project = rust_program(SMALL_RUST_PROGRAM)
        .file("anyarch.toml", "[[program]]\npackage = \"hexyl\"\nlanguage = \"rust\"\nlibc = \"gnu.2.36\"\n");
    let debian = bases::push(Release::Trixie, &registry.host(), "debian");
    let platforms = publish::rust_platforms(|row| row.with_glibc);
    let image = push(&project, &registry, "hexyl-debian", &debian, &[], &platforms);
    for platform in &platforms {
        let ended = image.unpack(platform).start(&["--plain", "--length=4", "/etc/passwd"]);
        assert_eq!((ended.code, ended.stdout.trim()), (0, "72 6f 6f 74"), "{platform}: {}", ended.stderr);
    }
    // The point of this base: its loader is what starts the program.
    let root = image.unpack("linux/amd64");
    let dynamic = process::text(Command::new("readelf").arg("-lW").arg(root.root().join("usr/local/bin/hexyl")));
    assert!(dynamic.contains("/lib64/ld-linux-x86-64.so.2"), "{dynamic}");
}

/// Holds each platform's program to finding a line in a file of its own image.
fn assert_it_searches(image: &Source, platforms: &[&str]) {
    for platform in platforms {
        let ended = image.unpack(platform).start(&["--only-matching", "^root:", "/etc/passwd"]);
        assert_eq!((ended.code, &*ended.stdout), (0, "root:\n"), "{platform}: {}", ended.stderr);
    }
}

/// A Go program's source, writable, from the module proxy.
fn go_program((module, version, _): (&str, &str, &str)) -> Project {
    let answer = process::succeed(
        Command::new("go").args(["mod", "download", "-json", &format!("{module}@{version}")]).current_dir("/"),
    );
    let answer: Value = serde_json::from_slice(&answer).expect("go mod download -json writes JSON");
    let project = Project::copy_of(Path::new(answer["Dir"].as_str().expect("a downloaded module has a folder")));
    make_writable(project.path());
    process::succeed(Command::new("go").args(["mod", "download"]).current_dir(project.path()));
    project
}

/// A Rust program's source, writable, from crates.io: cargo vendors it as the dependency of a package of ours.
fn rust_program((name, version): (&str, &str)) -> Project {
    let manifest =
        format!("[package]\nname = \"probe\"\nedition = \"2021\"\n[dependencies]\n{name} = \"={version}\"\n");
    let probe = Project::new().file("Cargo.toml", manifest).file("src/lib.rs", "");
    let mut vendor = Command::new("cargo");
    process::succeed(vendor.args(["vendor", "--versioned-dirs", "vendored"]).current_dir(probe.path()));
    let project = Project::copy_of(&probe.path().join(format!("vendored/{name}-{version}")));
    make_writable(project.path());
    process::succeed(Command::new("cargo").args(["fetch", "--locked"]).current_dir(project.path()));
    project
}

/// What package managers keep is read-only, and so is a copy of it; git and builds want to write.
fn make_writable(folder: &Path) {
    process::succeed(Command::new("chmod").args(["-R", "u+w"]).arg(folder));
    assert!(!fs::metadata(folder).expect("the copy is there").permissions().readonly());
}
