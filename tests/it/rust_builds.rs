//! Rust by each linker: what it makes starts in its own image, static programs without a base, others over a glibc.

use std::path::Path;

use crate::support::bases::{self, Release};
use crate::support::project::Project;
use crate::support::start::Source;
use crate::support::{process, repository};

/// A program in Rust alone; it unwinds, starts a thread and knows what it was built for.
fn pure() -> Project {
    let main = r#"
use std::env::consts::{ARCH, OS};

fn main() {
    let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(41))).unwrap_err();
    let number = std::thread::spawn(move || caught.downcast_ref::<i32>().unwrap() + 1).join().unwrap();
    println!("platform: {OS}/{ARCH}\nnumber: {number}");
}
"#;
    let manifest =
        "[package]\nname = \"pure\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[profile.release]\nstrip = true\n";
    let lock = "version = 4\n\n[[package]]\nname = \"pure\"\nversion = \"1.0.0\"\n";
    Project::new().file("Cargo.toml", manifest).file("Cargo.lock", lock).file("src/main.rs", main)
}

/// The example whose dependency is C.
fn with_c() -> Project {
    Project::copy_of(&repository().join("examples/hello-rust"))
}

/// Says in the configuration how the only program is built.
fn configured(project: Project, lines: &str) -> Project {
    project.file("anyarch.toml", format!("[[program]]\npackage = \".\"\nlanguage = \"rust\"\n{lines}\n"))
}

/// What Rust calls the architecture of a platform.
fn architecture(platform: &str) -> &'static str {
    match platform {
        "linux/amd64" => "x86_64",
        "linux/arm64" => "aarch64",
        "linux/arm/v7" => "arm",
        "linux/386" => "x86",
        "linux/s390x" => "s390x",
        other => panic!("{other} is not among the platforms of these tests"),
    }
}

fn build(project: &Project, base: &str, platforms: &[&str]) -> Source {
    let platforms = platforms.join(",");
    let arguments = ["build", "--base", base, "--platform", &platforms, "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).run().assert_success();
    Source::Layout(project.path().join("out"))
}

/// Each platform's program starts, says where it is, and is linked as it should be.
#[track_caller]
fn assert_starts(image: &Source, name: &str, platforms: &[&str], says: &str, loader: bool) {
    for platform in platforms {
        let unpacked = image.unpack(platform);
        let ended = unpacked.start(&[]);
        let place = format!("platform: linux/{}\n", architecture(platform));
        assert_eq!(ended.code, 0, "{platform}: {ended:?}");
        assert!(ended.stdout.contains(&place) && ended.stdout.contains(says), "{platform}: {ended:?}");
        let program = unpacked.root().join("usr/local/bin").join(name);
        assert_eq!(has_loader(&program), loader, "{platform}: a loader is named, or none");
    }
}

fn has_loader(program: &Path) -> bool {
    let headers =
        process::text(std::process::Command::new("readelf").args(["--program-headers", "--wide"]).arg(program));
    headers.contains("INTERP")
}

fn debian() -> String {
    format!("oci:{}", bases::debian(Release::Bookworm).display())
}

#[test]
fn without_c_rust_links_by_itself() {
    let platforms = ["linux/amd64", "linux/arm64", "linux/386"];
    let project = pure();
    let image = build(&project, "static", &platforms);
    assert_starts(&image, "pure", &platforms, "number: 42\n", false);
}

#[test]
fn c_is_compiled_by_zig_for_each_platform() {
    let platforms = ["linux/amd64", "linux/arm64", "linux/386"];
    let project = with_c();
    let image = build(&project, "static", &platforms);
    assert_starts(&image, "hello-rust", &platforms, "is cbf43926\n", false);
    assert_starts(&image, "hello-rust", &platforms, "libc: musl\n", false);
}

#[test]
#[ignore = "full: rust"]
fn gcc_links_what_asks_for_it_over_debian() {
    // gcc links against this machine's glibc, which is that of bookworm or older wherever these tests run.
    let platforms = ["linux/arm64", "linux/arm/v7"];
    for (project, name, says) in [(pure(), "pure", "number: 42\n"), (with_c(), "hello-rust", "is cbf43926\n")] {
        let project = configured(project, "toolchain = \"gcc\"\nlibc = \"gnu\"");
        let image = build(&project, &debian(), &platforms);
        assert_starts(&image, name, &platforms, says, true);
    }
}

#[test]
#[ignore = "full: rust"]
fn zig_links_against_the_glibc_that_is_named() {
    let platforms = ["linux/arm64", "linux/arm/v7"];
    for (project, name, says) in [(pure(), "pure", "number: 42\n"), (with_c(), "hello-rust", "libc: gnu\n")] {
        let project = configured(project, "libc = \"gnu.2.28\"");
        let image = build(&project, &debian(), &platforms);
        assert_starts(&image, name, &platforms, says, true);
        for platform in platforms {
            let unpacked = image.unpack(platform);
            let newest = newest_glibc(&unpacked.root().join("usr/local/bin").join(name));
            assert!(newest <= (2, 28), "{platform} {name}: {newest:?}");
        }
    }
}

/// The newest glibc whose symbols the program asks for.
fn newest_glibc(program: &Path) -> (u32, u32) {
    let needs = process::text(std::process::Command::new("readelf").args(["--version-info", "--wide"]).arg(program));
    let versions = needs.split("Name: GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split_whitespace().next()?;
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    versions.max().expect("the program asks for symbols of glibc")
}

#[test]
#[ignore = "full: rust"]
fn s390x_is_static_with_a_glibc_by_gcc() {
    for (project, name, says) in [(pure(), "pure", "number: 42\n"), (with_c(), "hello-rust", "libc: gnu\n")] {
        let image = build(&project, "static", &["linux/s390x"]);
        assert_starts(&image, name, &["linux/s390x"], says, false);
    }
}

/// The block of stderr that quotes what a compiler said for `platforms`.
fn quoted<'text>(stderr: &'text str, platforms: &str) -> &'text str {
    let (_, rest) = stderr
        .split_once(&format!("--- {platforms}\n"))
        .unwrap_or_else(|| panic!("nothing is quoted for {platforms}: {stderr}"));
    rest.split_once("\n---\n").expect("a quotation ends").0
}

#[test]
fn a_compiler_error_of_one_platform_stands_under_its_name_and_the_others_finish() {
    let broken = "#[cfg(target_arch = \"aarch64\")]\ncompile_error!(\"not for this one\");\n";
    let project = pure().file("src/broken.rs", broken);
    let main = std::fs::read_to_string(project.path().join("src/main.rs")).unwrap();
    let project = project.file("src/main.rs", format!("mod broken;\n{main}"));
    let output = project.anyarch().args(["build", "--platform", "linux/amd64,linux/arm64,linux/386"]).run();
    output.assert_code(4).assert_stdout("");
    let stderr = &output.stderr;
    assert_eq!(stderr.matches("error: not for this one").count(), 1, "{stderr}");
    assert!(quoted(stderr, "linux/arm64").contains("src/broken.rs:2"), "{stderr}");
    assert!(stderr.contains("error: pure for linux/arm64 was not built, so nothing was published\n"), "{stderr}");
    for platform in ["linux/amd64", "linux/386"] {
        let compiled = |line: &str| line.starts_with(&format!("{platform} ")) && line.contains("compiled");
        assert!(stderr.lines().any(compiled), "{platform} did not finish: {stderr}");
    }
    assert!(!project.path().join(".anyarch/out").exists(), "something was published");
}

#[test]
fn a_compiler_error_of_all_platforms_is_shown_once() {
    let project = pure().file("src/main.rs", "fn main() { nowhere() }\n");
    let output = project.anyarch().args(["build", "--platform", "linux/amd64,linux/arm64"]).run();
    output.assert_code(4).assert_stdout("");
    assert_eq!(output.stderr.matches("cannot find function `nowhere`").count(), 1, "{}", output.stderr);
    assert!(quoted(&output.stderr, "linux/amd64,linux/arm64").contains("src/main.rs:1:13"), "{}", output.stderr);
    let error = "error: pure for linux/amd64, linux/arm64 was not built, so nothing was published\n";
    assert!(output.stderr.contains(error), "{}", output.stderr);
}
