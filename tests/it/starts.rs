//! If it builds, it starts: each platform's image is unpacked by another program and started as a container would be.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::support::bases::{self, Release};
use crate::support::project::Project;
use crate::support::start::{Source, Unpacked};

const PLATFORMS: &[&str] = &["linux/amd64", "linux/arm64", "linux/arm/v6", "linux/s390x"];
const ALL_PLATFORMS: &[&str] = &[
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
];

/// Builds `project` for `platforms` over `base` into the layout `out` of its folder.
fn layout(project: &Project, base: &str, platforms: &[&str]) -> Source {
    let platforms = platforms.join(",");
    let arguments = ["build", "--base", base, "--platform", &platforms, "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).run().assert_success();
    Source::Layout(project.path().join("out"))
}

#[track_caller]
fn assert_says_hello(image: &Unpacked, platform: &str) {
    let architecture = platform.split('/').nth(1).unwrap();
    let ended = image.start(&[]);
    let hello = format!("hello from linux/{architecture}\n");
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (0, &*hello, ""), "{platform}");
}

#[test]
fn a_go_program_starts_on_each_platform_without_a_base() {
    let project = Project::hello_go();
    let source = layout(&project, "static", PLATFORMS);
    assert_eq!(source.platforms(), PLATFORMS);
    for platform in PLATFORMS {
        let image = source.unpack(platform);
        assert_says_hello(&image, platform);
        let program = fs::metadata(image.root().join("usr/local/bin/hello")).unwrap();
        assert_eq!((program.permissions().mode() & 0o7777, program.uid(), program.gid()), (0o755, 0, 0));
    }
}

#[test]
#[ignore = "full: starts"]
fn a_go_program_starts_on_every_platform() {
    for base in ["static", "scratch"] {
        let project = Project::hello_go();
        let source = layout(&project, base, ALL_PLATFORMS);
        for platform in ALL_PLATFORMS {
            assert_says_hello(&source.unpack(platform), platform);
        }
    }
}

#[test]
fn a_base_with_a_merged_usr_keeps_its_shell_and_its_temporary_folder() {
    let debian = bases::debian(Release::Bookworm);
    // A dynamic arm/v6 program would not start on Debian's soft-float arm/v5; a static one does.
    let project = Project::hello_go();
    let source = layout(&project, &format!("oci:{}", debian.display()), PLATFORMS);
    for platform in PLATFORMS {
        let image = source.unpack(platform);
        assert_says_hello(&image, platform);
        assert_eq!(fs::read_link(image.root().join("bin")).unwrap(), Path::new("usr/bin"), "{platform}");
        assert_eq!(fs::metadata(image.root().join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777, "{platform}");
        let ended = image.run(&["/bin/sh", "-c", "test -w /tmp && echo still here: $LANG"]);
        assert_eq!((ended.code, &*ended.stdout), (0, "still here: C.UTF-8\n"), "{platform}: {}", ended.stderr);
        assert_eq!(image.config()["Labels"]["org.opencontainers.image.version"], "12");
        // The base's own `Cmd` would become arguments of a program that knows nothing of them.
        assert!(image.config()["Cmd"].is_null(), "{}", image.config());
    }
}

#[test]
fn an_archive_on_stdout_holds_the_image_alone() {
    let project = Project::hello_go();
    let output = project.anyarch().args(["build", "--platform", "linux/arm64", "-o", "type=oci,dest=-"]).run();
    output.assert_success();
    let archive = project.path().join("image.tar");
    fs::write(&archive, &output.bytes).unwrap();
    assert_says_hello(&Source::Archive(archive).unpack("linux/arm64"), "linux/arm64");
}
