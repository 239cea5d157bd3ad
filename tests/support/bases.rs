//! Base images with a glibc, made of Debian's own packages: one index a release, a manifest for each of its platforms.
//!
//! They are made once and kept in the target folder, in a folder named for [`FORMAT`]: raise it when what is written
//! here changes. Documentation, locales and character set converters are left out; all else is as Debian made it, on a
//! merged `/usr`: `bin`, `sbin`, `lib` and `lib64` are links, as in Debian's own images.

mod packages;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::layout::{self, Image, Tree};
use super::process;

pub use packages::{fetch_packages, fetch_source, mirror_in, unpack};

/// Raise it when what a base holds changes, so that none that was kept is used again.
const FORMAT: u32 = 2;

/// The tag under which each base stands in its layout.
pub const TAG: &str = "base";

/// A Debian release that serves as a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Debian 11, glibc 2.31
    Bullseye,
    /// Debian 12, glibc 2.36
    Bookworm,
    /// Debian 13, glibc 2.41
    Trixie,
}

/// What Debian calls an architecture, and the platform that it is.
const ARCHITECTURES: &[(&str, &str)] = &[
    ("amd64", "linux/amd64"),
    ("arm64", "linux/arm64"),
    ("armhf", "linux/arm/v7"),
    ("armel", "linux/arm/v5"),
    ("i386", "linux/386"),
    ("ppc64el", "linux/ppc64le"),
    ("s390x", "linux/s390x"),
    ("riscv64", "linux/riscv64"),
];

impl Release {
    /// The name in a package source.
    pub fn codename(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Bullseye => "11",
            Self::Bookworm => "12",
            Self::Trixie => "13",
        }
    }

    /// The architectures that the release is published for, as (Debian's name, platform).
    fn architectures(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let published = move |name: &str| match self {
            Self::Bullseye => matches!(name, "amd64" | "arm64" | "armhf" | "i386"),
            Self::Bookworm => name != "riscv64",
            Self::Trixie => true,
        };
        ARCHITECTURES.iter().copied().filter(move |(name, _)| published(name))
    }

    /// The platforms of the base, in the order in which its index lists them.
    pub fn platforms(self) -> Vec<&'static str> {
        self.architectures().map(|(_, platform)| platform).collect()
    }
}

/// The image layout of a release's base, made when it is not there yet; its index has the tag [`TAG`].
///
/// # Panics
/// When the packages cannot be had: the message holds what apt said.
pub fn debian(release: Release) -> PathBuf {
    let bases = super::target().join("test-bases");
    fs::create_dir_all(&bases).expect("a folder in the target folder can be made");
    let done = bases.join(format!("{}-{FORMAT}", release.codename()));
    // Tests run as threads and, under other runners, as processes: the first one makes the base, the others wait.
    let lock = File::create(bases.join(format!("{}.lock", release.codename()))).expect("a lock file can be made");
    lock.lock().expect("a lock file can be locked");
    if !done.exists() {
        let work = tempfile::tempdir_in(&bases).expect("a folder in the target folder can be made");
        let packages = packages::download(release, work.path());
        let images: Vec<Image> = release.architectures().map(|found| image(release, found, &packages)).collect();
        let layout = work.path().join("layout");
        layout::write(&layout, TAG, &images);
        fs::rename(&layout, &done).expect("a finished base can be moved to its place");
    }
    done
}

/// Copies a release's base, all its platforms, to `repository` of the registry at `host`, plain http; returns the reference
/// `HOST/REPOSITORY:CODENAME`.
pub fn push(release: Release, host: &str, repository: &str) -> String {
    let reference = format!("{host}/{repository}:{}", release.codename());
    let source = format!("oci:{}:{TAG}", debian(release).display());
    process::succeed(
        Command::new("skopeo")
            .args(["copy", "--quiet", "--all", "--dest-tls-verify=false", &source])
            .arg(format!("docker://{reference}")),
    );
    reference
}

fn image(release: Release, (debian, platform): (&str, &str), packages: &Path) -> Image {
    let unpack = |tree: &mut Tree, package: &str| packages::unpack(tree, packages, package, debian);
    let mut system = Tree::default();
    for package in ["libc6", "libgcc-s1", "busybox-static"] {
        unpack(&mut system, package);
    }
    write_system(&mut system, release);
    let mut libraries = Tree::default();
    for package in ["libstdc++6", "zlib1g"].iter().chain(packages::of_release(release)) {
        unpack(&mut libraries, package);
    }
    Image {
        platform: platform.parse().expect("the table holds platforms"),
        layers: vec![system, libraries],
        config: json!({
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
            "Cmd": ["/bin/sh"],
            "Labels": {"org.opencontainers.image.version": release.version()},
        }),
    }
}

/// What the package `base-files` and the system's installer would write.
fn write_system(tree: &mut Tree, release: Release) {
    for (path, mode) in [
        ("dev", 0o755),
        ("etc", 0o755),
        ("home", 0o755),
        ("proc", 0o555),
        ("root", 0o700),
        ("run", 0o755),
        ("sys", 0o555),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("usr/bin", 0o755),
        ("usr/lib", 0o755),
        ("usr/local", 0o755),
        ("usr/local/bin", 0o755),
        ("usr/sbin", 0o755),
        ("var", 0o755),
        ("var/tmp", 0o1777),
    ] {
        tree.directory(path, mode);
    }
    for name in packages::MERGED {
        if tree.0.contains_key(&format!("usr/{name}")) {
            tree.link(name, &format!("usr/{name}"));
        }
    }
    for applet in ["sh", "cat", "echo", "env", "false", "id", "ls", "pwd", "readlink", "sleep", "stat", "true", "uname"]
    {
        tree.link(&format!("usr/bin/{applet}"), "busybox");
    }
    tree.file(
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    );
    tree.file("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n");
    tree.file("etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files dns\n");
    let (version, codename) = (release.version(), release.codename());
    tree.file("etc/debian_version", 0o644, format!("{version}\n"));
    let os_release = format!(
        "PRETTY_NAME=\"Debian GNU/Linux {version} ({codename})\"\nNAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"{version}\"\n"
    );
    tree.file("usr/lib/os-release", 0o644, os_release);
    tree.link("etc/os-release", "../usr/lib/os-release");
}
