//! The examples do what their READMEs say: built for every platform that can be built for here, pushed, pulled by digest,
//! and started, over a base with a glibc and over `static`.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::bases::{self, Release};
use crate::support::project::Project;
use crate::support::publish::{self, GO_PLATFORMS, push};
use crate::support::registry::{Options, Registry};
use crate::support::repository;
use crate::support::start::Unpacked;

fn example(name: &str) -> Project {
    Project::copy_of(&repository().join("examples").join(name))
}

/// The lines that a program of the image writes; it has to succeed.
#[track_caller]
fn lines(image: &Unpacked, words: &[&str]) -> Vec<String> {
    let ended = if words.is_empty() { image.start(&[]) } else { image.run(words) };
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    ended.stdout.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "full: examples"]
fn hello_go_starts_on_every_platform() {
    let registry = Registry::start(&Options::default());
    let debian = bases::push(Release::Trixie, &registry.host(), "debian");
    let project = example("hello-go");
    for (name, base) in [("go-static", "static"), ("go-debian", &*debian)] {
        let image = push(&project, &registry, name, base, &[], GO_PLATFORMS);
        for platform in GO_PLATFORMS {
            let (architecture, variant, bits) = match *platform {
                "linux/amd64" => ("amd64", "GOAMD64=v1", 64),
                "linux/arm64" => ("arm64", "GOARM64=v8.0", 64),
                "linux/arm/v7" => ("arm", "GOARM=7", 32),
                "linux/arm/v6" => ("arm", "GOARM=6", 32),
                "linux/386" => ("386", "GO386=sse2", 32),
                "linux/ppc64le" => ("ppc64le", "GOPPC64=power8", 64),
                "linux/s390x" => ("s390x", "none", 64),
                "linux/riscv64" => ("riscv64", "GORISCV64=rva20u64", 64),
                other => panic!("what hello-go says on {other} is not written here"),
            };
            let said = [
                "hello-go dev".to_owned(),
                format!("platform: linux/{architecture}"),
                format!("variant: {variant}"),
                format!("pointer: {bits} bit"),
            ];
            assert_eq!(lines(&image.unpack(platform), &[]), said, "{name} {platform}");
        }
        publish::assert_podman_reads(&image, "linux/ppc64le");
    }
}

#[test]
#[ignore = "full: examples"]
fn hello_rust_starts_with_its_c_on_every_platform() {
    let registry = Registry::start(&Options::default());
    let debian = bases::push(Release::Trixie, &registry.host(), "debian");
    let project = example("hello-rust");
    let with_static_libc = publish::rust_platforms(|row| row.with_static_libc);
    let with_glibc = publish::rust_platforms(|row| row.with_glibc);
    for (name, base, platforms) in [("rust-static", "static", with_static_libc), ("rust-debian", &*debian, with_glibc)]
    {
        let image = push(&project, &registry, name, base, &[], &platforms);
        for platform in &platforms {
            let said = lines(&image.unpack(platform), &[]);
            assert_eq!(said[0], "hello-rust 0.1.0", "{name} {platform}");
            // That of the base; on s390x Rust has a glibc alone.
            let is_gnu = base != "static" || *platform == "linux/s390x";
            assert_eq!(said[2], if is_gnu { "libc: gnu" } else { "libc: musl" }, "{name} {platform}");
            // The checksum that zlib's own documentation calls the check value of CRC-32.
            assert!(said[4].ends_with("crc32 of `123456789` is cbf43926"), "{name} {platform}: {}", said[4]);
        }
    }
}

#[test]
#[ignore = "full: examples"]
fn both_programs_of_one_image_start_and_find_their_file() {
    let registry = Registry::start(&Options::default());
    let platforms = publish::rust_platforms(|row| row.with_static_libc);
    let image = push(&example("both"), &registry, "both", "static", &[], &platforms);
    for platform in &platforms {
        let unpacked = image.unpack(platform);
        let file = std::fs::metadata(unpacked.root().join("etc/both.conf")).expect("the image has the file");
        assert_eq!(file.permissions().mode() & 0o7777, 0o644);
        let checksum = lines(&unpacked, &["/usr/local/bin/checksum", "/etc/both.conf"]);
        assert!(checksum[0].ends_with(" bbb726c5 /etc/both.conf"), "{platform}: {checksum:?}");
        // An emulated program cannot start another one: there, the server only shows its help.
        if platform.ends_with(std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64").as_str()) {
            let page = lines(&unpacked, &[]);
            assert_eq!(page.len(), 3, "{platform}: {page:?}");
            assert_eq!((&page[1], &*page[2]), (&checksum[0], "greeting = \"hello from a file\""));
        } else {
            lines(&unpacked, &["/usr/local/bin/server", "-help"]);
        }
    }
}

/// What the C of the examples says of a platform: the size of a pointer, and the byte order.
fn c_says(platform: &str) -> (u32, &'static str) {
    let bits = if ["linux/arm/v7", "linux/arm/v6", "linux/386"].contains(&platform) { 32 } else { 64 };
    (bits, if platform == "linux/s390x" { "big endian" } else { "little endian" })
}

#[test]
#[ignore = "full: examples"]
fn hello_c_starts_on_every_platform() {
    let registry = Registry::start(&Options::default());
    let image = push(&example("hello-c"), &registry, "c-static", "static", &[], GO_PLATFORMS);
    for platform in GO_PLATFORMS {
        let machine = match *platform {
            // A program of 32 bits asks the kernel of the machine that it runs on.
            "linux/amd64" | "linux/386" => "x86_64",
            "linux/arm64" => "aarch64",
            // What the kernel says, or the emulator of the oldest processor that the platform promises.
            "linux/arm/v7" => "armv7l",
            "linux/arm/v6" => "armv6l",
            "linux/s390x" => "s390x",
            "linux/ppc64le" => "ppc64le",
            "linux/riscv64" => "riscv64",
            other => panic!("what hello-c says on {other} is not written here"),
        };
        assert_eq!(lines(&image.unpack(platform), &[]), [format!("hello from C on {machine}")], "{platform}");
    }
    publish::assert_podman_reads(&image, "linux/s390x");
}

#[test]
#[ignore = "full: examples"]
fn hello_cgo_starts_on_every_platform() {
    let registry = Registry::start(&Options::default());
    let image = push(&example("hello-cgo"), &registry, "cgo-static", "static", &[], GO_PLATFORMS);
    for platform in GO_PLATFORMS {
        let said = lines(&image.unpack(platform), &[]);
        let architecture = platform.trim_start_matches("linux/").split('/').next().unwrap();
        let (bits, _) = c_says(platform);
        let expected = [
            format!("hello-cgo on linux/{architecture}"),
            format!("pointer in C: {bits} bit"),
            "libc: musl".to_owned(),
            "sum of 1 to 100 in C: 5050".to_owned(),
        ];
        assert_eq!(said, expected, "{platform}");
    }
}

#[test]
#[ignore = "full: examples"]
fn three_languages_of_one_image_start_on_every_platform() {
    let registry = Registry::start(&Options::default());
    let platforms = publish::rust_platforms(|row| row.with_static_libc);
    let image = push(&example("mixed"), &registry, "mixed", "static", &[], &platforms);
    for platform in &platforms {
        let unpacked = image.unpack(platform);
        let (bits, order) = c_says(platform);
        let architecture = platform.trim_start_matches("linux/").split('/').next().unwrap();
        let front = format!("front: Go on linux/{architecture}");
        let machine = format!("machine: C with musl, {bits} bit, {order}, square root of 2 is 1.414214");
        assert_eq!(lines(&unpacked, &["/usr/local/bin/front", "-alone"]), [&*front], "{platform}");
        assert_eq!(lines(&unpacked, &["/usr/local/bin/machine"]), [&*machine], "{platform}");
        let checksum = lines(&unpacked, &["/usr/local/bin/checksum", "/etc/passwd"]);
        assert!(checksum[0].starts_with("checksum: Rust on linux/"), "{platform}: {checksum:?}");
        // An emulated program cannot start another one.
        if platform.ends_with(std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64").as_str()) {
            assert_eq!(lines(&unpacked, &[]), [&*front, &*checksum[0], &*machine], "{platform}");
        }
    }
}
