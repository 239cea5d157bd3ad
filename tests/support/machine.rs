//! A machine that lacks some tools, and has a mirror on itself to download one from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::mirror::{Manners, Mirror};
use super::process;
use super::program::{Home, Program};
use super::shims::Shims;

/// A program of a tool that says its version.
pub const SAYS_ITS_VERSION: &str = "echo 1.0-fake";

/// A machine that lacks some tools, with a mirror that has one.
pub struct Machine {
    /// its only user
    pub home: Home,
    /// all that is on its PATH
    pub shims: Shims,
    /// what it downloads from
    pub mirror: Mirror,
    /// the file of rows that name the mirror's tool
    pub rows: PathBuf,
}

impl Machine {
    /// Without zig, with a wheel of it.
    pub fn without_zig(file: Vec<u8>, manners: Manners) -> Self {
        Self::new(Mirror::start(file, manners), |mirror| mirror.zig_row(None))
    }

    /// With the row that `row` makes for the mirror.
    pub fn new(mirror: Mirror, row: impl Fn(&Mirror) -> String) -> Self {
        let home = Home::new();
        let rows = home.path().join("rows.toml");
        fs::write(&rows, row(&mirror)).unwrap();
        Self {
            home,
            shims: Shims::new().without(&["go", "zig", "python-zig", "apt-get", "dnf", "apk", "brew"]),
            mirror,
            rows,
        }
    }

    /// The program, which asks the mirror.
    pub fn anyarch(&self) -> Program<'_> {
        let sysroot = process::text(Command::new("rustc").args(["--print", "sysroot"]));
        let place = self.mirror.folder(&self.home.cache(), "zig");
        self.home
            .anyarch()
            .env("PATH", self.shims.folder())
            .env("PIP_INDEX_URL", self.mirror.index())
            .env("GOPROXY", self.mirror.proxy())
            .redact(sysroot, "[SYSROOT]")
            .redact(place.to_string_lossy(), "[ZIG]")
            .redact(process::text(Command::new("cargo").arg("--version")), "[CARGO]")
    }

    /// `anyarch toolchain check` or `install` for Rust on one platform, which needs cargo, zig and a target that is there.
    pub fn toolchain(&self, verb: &str) -> Program<'_> {
        self.anyarch()
            .args(["toolchain", verb, "--language", "rust", "--platform", "linux/amd64", "--toolchain"])
            .args([&self.rows])
    }

    /// What is left in the cache of downloads and toolchains, locks aside.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for folder in ["downloads", "toolchains"] {
            for entry in fs::read_dir(self.home.cache().join(folder)).into_iter().flatten() {
                let name = entry.unwrap().file_name().to_string_lossy().into_owned();
                if Path::new(&name).extension().is_none_or(|extension| extension != "lock") {
                    left.push(format!("{folder}/{name}"));
                }
            }
        }
        left.sort();
        left
    }
}
