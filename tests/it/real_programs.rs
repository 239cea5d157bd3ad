//! Open-source programs of others, with all their dependencies, as their package registries have them: built, pushed,
//! pulled by digest, and started on each platform, over a base with a glibc and over `static`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::bases::{self, Release};
use crate::support::process;
use crate::support::project::Project;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

/// Every platform that a Go program is built for.
const GO_PLATFORMS: &[&str] = &[
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/s390x",
    "linux/ppc64le",
    "linux/riscv64",
];

/// A platform of a Rust program: its static target, and its target with a glibc.
type Rust = (&'static str, &'static str, &'static str);
/// Every platform of a Rust program.
const RUST_PLATFORMS: &[Rust] = &[
    ("linux/amd64", "x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"),
    ("linux/arm64", "aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"),
    ("linux/arm/v7", "armv7-unknown-linux-musleabihf", "armv7-unknown-linux-gnueabihf"),
    ("linux/386", "i686-unknown-linux-musl", "i686-unknown-linux-gnu"),
    ("linux/s390x", "s390x-unknown-linux-gnu", "s390x-unknown-linux-gnu"),
    ("linux/ppc64le", "powerpc64le-unknown-linux-musl", "powerpc64le-unknown-linux-gnu"),
    ("linux/riscv64", "riscv64gc-unknown-linux-musl", "riscv64gc-unknown-linux-gnu"),
];

/// A well-known registry client in Go: one command of a module with several.
const GO_PROGRAM: (&str, &str, &str) = ("github.com/google/go-containerregistry", "v0.22.1", "./cmd/crane");
/// A well-known searcher in Rust; its allocator on 64-bit musl is C.
const RUST_PROGRAM: (&str, &str) = ("ripgrep", "15.2.0");

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
        assert_podman_reads(&image, "linux/s390x");
    }
}

#[test]
#[ignore = "full: real"]
fn a_rust_program_starts_on_every_platform_over_static() {
    let registry = Registry::start(&Options::default());
    let project = rust_program(RUST_PROGRAM);
    let platforms = platforms_with_standard_library(|(_, musl, _)| *musl);
    let image = push(&project, &registry, "rg-static", "static", &[], &platforms);
    assert_it_searches(&image, &platforms);
    assert_podman_reads(&image, "linux/arm64");
}

#[test]
#[ignore = "full: real"]
fn a_rust_program_with_a_glibc_starts_on_every_platform_of_debian() {
    let registry = Registry::start(&Options::default());
    let project = rust_program(RUST_PROGRAM)
        .file("anyarch.toml", "[[program]]\npackage = \"ripgrep\"\nlanguage = \"rust\"\nlibc = \"gnu.2.36\"\n");
    let debian = bases::push(Release::Trixie, &registry.host(), "debian");
    let platforms = platforms_with_standard_library(|(_, _, gnu)| *gnu);
    let image = push(&project, &registry, "rg-debian", &debian, &[], &platforms);
    assert_it_searches(&image, &platforms);
    // The point of this base: its loader is what starts the program.
    let root = image.unpack("linux/amd64");
    let dynamic = process::text(Command::new("readelf").arg("-lW").arg(root.root().join("usr/local/bin/rg")));
    assert!(dynamic.contains("/lib64/ld-linux-x86-64.so.2"), "{dynamic}");
}

/// Builds and pushes `packages` of a project for `platforms`; returns the image by the digest that was printed.
fn push(
    project: &Project,
    registry: &Registry,
    name: &str,
    base: &str,
    packages: &[&str],
    platforms: &[&str],
) -> Source {
    let repository = format!("{}/{name}", registry.host());
    let output = project
        .anyarch()
        .args(["build"])
        .args(packages)
        .args(["--base", base, "--platform", &platforms.join(","), "--push", "--tag", &format!("{repository}:real")])
        .run();
    output.assert_success();
    let reference = output.stdout.trim_end();
    let digest = reference.strip_prefix(&format!("{repository}@")).expect("stdout is repository@digest");
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "stdout is `{reference}`");
    let image = Source::Registry(reference.to_owned());
    assert_eq!(image.platforms(), platforms);
    image
}

/// Holds each platform's program to finding a line in a file of its own image.
fn assert_it_searches(image: &Source, platforms: &[&str]) {
    for platform in platforms {
        let ended = image.unpack(platform).start(&["--only-matching", "^root:", "/etc/passwd"]);
        assert_eq!((ended.code, &*ended.stdout), (0, "root:\n"), "{platform}: {}", ended.stderr);
    }
}

/// Holds podman, a second reader, to pulling a platform of the image by digest.
fn assert_podman_reads(image: &Source, platform: &str) {
    let Source::Registry(reference) = image else { panic!("the image was pushed") };
    let storage = tempfile::tempdir().expect("a temporary folder can be made");
    let podman = |arguments: &[&str]| {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(storage.path().join("root")).arg("--runroot").arg(storage.path().join("run"));
        podman.args(["--storage-driver=vfs", "--events-backend=none"]).args(arguments).arg(reference);
        process::text(&mut podman)
    };
    podman(&["pull", "--quiet", "--tls-verify=false", &format!("--platform={platform}")]);
    assert_eq!(podman(&["image", "inspect", "--format={{.Os}}/{{.Architecture}}"]), platform);
}

/// The platforms whose standard library rustup could be talked into; two of them always are there.
fn platforms_with_standard_library(target: impl Fn(&Rust) -> &'static str) -> Vec<&'static str> {
    let sysroot = process::text(Command::new("rustc").args(["--print", "sysroot"]));
    let libraries = Path::new(&sysroot).join("lib/rustlib");
    let found: Vec<&str> = RUST_PLATFORMS
        .iter()
        .filter(|row| libraries.join(target(row)).join("lib").exists())
        .map(|(platform, _, _)| *platform)
        .collect();
    assert!(
        found.starts_with(&["linux/amd64", "linux/arm64"]),
        "only {found:?}\nhint: scripts/install-test-tools rust"
    );
    found
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

/// A Rust program's source, writable, from crates.io: cargo unpacks it as the dependency of a package of ours.
fn rust_program((name, version): (&str, &str)) -> Project {
    let manifest =
        format!("[package]\nname = \"probe\"\nedition = \"2021\"\n[dependencies]\n{name} = \"={version}\"\n");
    let probe = Project::new().file("Cargo.toml", manifest).file("src/lib.rs", "");
    let metadata =
        process::succeed(Command::new("cargo").args(["metadata", "--format-version=1"]).current_dir(probe.path()));
    let metadata: Value = serde_json::from_slice(&metadata).expect("cargo metadata writes JSON");
    let packages = metadata["packages"].as_array().expect("metadata has packages");
    let package = packages.iter().find(|package| package["name"] == name).expect("the dependency is there");
    let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a package has a manifest"));
    let project = Project::copy_of(manifest.parent().expect("a manifest lies in a folder"));
    make_writable(project.path());
    process::succeed(Command::new("cargo").args(["fetch", "--locked"]).current_dir(project.path()));
    project
}

/// What package managers keep is read-only, and so is a copy of it; git and builds want to write.
fn make_writable(folder: &Path) {
    process::succeed(Command::new("chmod").args(["-R", "u+w"]).arg(folder));
    assert!(!fs::metadata(folder).expect("the copy is there").permissions().readonly());
}
