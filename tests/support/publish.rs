//! Builds and pushes a project, and holds what was pushed to its digest and to other readers.

use std::path::Path;
use std::process::Command;

use super::process;
use super::project::Project;
use super::registry::Registry;
use super::start::Source;

/// Every platform that a Go program is built for.
pub const GO_PLATFORMS: &[&str] = &[
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/s390x",
    "linux/ppc64le",
    "linux/riscv64",
];

/// What Rust calls a platform.
pub struct RustPlatform {
    /// the platform
    pub platform: &'static str,
    /// the target of a static binary
    pub with_static_libc: &'static str,
    /// the target of a binary that links against a glibc
    pub with_glibc: &'static str,
}

/// Every platform of a Rust program.
const RUST_PLATFORMS: &[RustPlatform] = &[
    rust("linux/amd64", "x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"),
    rust("linux/arm64", "aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"),
    rust("linux/arm/v7", "armv7-unknown-linux-musleabihf", "armv7-unknown-linux-gnueabihf"),
    rust("linux/386", "i686-unknown-linux-musl", "i686-unknown-linux-gnu"),
    rust("linux/s390x", "s390x-unknown-linux-gnu", "s390x-unknown-linux-gnu"),
    rust("linux/ppc64le", "powerpc64le-unknown-linux-musl", "powerpc64le-unknown-linux-gnu"),
    rust("linux/riscv64", "riscv64gc-unknown-linux-musl", "riscv64gc-unknown-linux-gnu"),
];

const fn rust(platform: &'static str, with_static_libc: &'static str, with_glibc: &'static str) -> RustPlatform {
    RustPlatform { platform, with_static_libc, with_glibc }
}

/// Builds and pushes `packages` of a project for `platforms`; returns the image by the digest that was printed.
pub fn push(
    project: &Project,
    registry: &Registry,
    name: &str,
    base: &str,
    packages: &[&str],
    platforms: &[&str],
) -> Source {
    let repository = format!("{}/{name}", registry.host());
    let mut program = project.anyarch();
    // What is only started once need not be fast: a large program for seven targets then takes minutes less.
    for (setting, value) in [("OPT_LEVEL", "1"), ("DEBUG", "false"), ("LTO", "false"), ("CODEGEN_UNITS", "16")] {
        program = program.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    let output = program
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

/// Holds podman, a second reader, to pulling a platform of the image by digest.
pub fn assert_podman_reads(image: &Source, platform: &str) {
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
pub fn rust_platforms(target: impl Fn(&RustPlatform) -> &'static str) -> Vec<&'static str> {
    let sysroot = process::text(Command::new("rustc").args(["--print", "sysroot"]));
    let libraries = Path::new(&sysroot).join("lib/rustlib");
    let found: Vec<&str> = RUST_PLATFORMS
        .iter()
        .filter(|row| libraries.join(target(row)).join("lib").exists())
        .map(|row| row.platform)
        .collect();
    assert!(
        found.starts_with(&["linux/amd64", "linux/arm64"]),
        "only {found:?}\nhint: scripts/install-test-tools rust"
    );
    found
}
