//! What has to be known about this machine to call cargo: rustc, zig, folders, and which inherited variables must not
//! reach a child.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::CargoError;
use crate::invocation::Invocation;

/// The variable by which rustup is told which toolchain runs, whoever calls cargo or rustc.
pub(super) const TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";

/// What rustc says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rustc {
    /// the target that build scripts are compiled for
    pub host: String,
    /// its version, `1.95.0`
    pub release: String,
    /// the commit it was built from; distributions may leave it out
    pub commit: Option<String>,
    /// its folder
    pub sysroot: PathBuf,
}

impl Rustc {
    /// The two calls whose output [`Rustc::read`] takes, of the rustup toolchain called `toolchain` where one is named. `rustc` is the command that the configuration names, run in
    /// `directory` so that rustup gives the project's own toolchain.
    #[must_use]
    pub fn invocations(rustc: &[String], directory: &Path, toolchain: Option<&str>) -> [Invocation; 2] {
        let (program, args) = rustc.split_first().map_or(("rustc", [].as_slice()), |(first, rest)| (first, rest));
        let call = || {
            let call = Invocation::new(program, directory).args(args.iter().map(String::as_str));
            toolchain.into_iter().fold(call, |call, toolchain| call.env(TOOLCHAIN, toolchain))
        };
        [call().args(["-vV"]), call().args(["--print", "sysroot"])]
    }

    /// Reads what `rustc -vV` and `rustc --print sysroot` printed.
    ///
    /// # Errors
    /// When the host or the version is not in it.
    pub fn read(version: &str, sysroot: &str) -> Result<Self, CargoError> {
        let field = |name: &str| {
            let value = version.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.map(str::trim).filter(|value| !value.is_empty() && *value != "unknown").map(str::to_owned)
        };
        let lacks = |what| CargoError::Rustc { command: "rustc -vV".to_owned(), what };
        let sysroot = sysroot.trim();
        if sysroot.is_empty() {
            return Err(CargoError::Rustc { command: "rustc --print sysroot".to_owned(), what: "folder" });
        }
        Ok(Self {
            host: field("host").ok_or_else(|| lacks("host"))?,
            release: field("release").ok_or_else(|| lacks("release"))?,
            commit: field("commit-hash"),
            sysroot: PathBuf::from(sysroot),
        })
    }
}

/// The zig that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zig {
    /// an absolute path, then arguments (`-m ziglang`)
    pub command: Vec<String>,
    /// what `zig version` prints
    pub version: String,
    /// the folder of its own sources and headers (`lib_dir` of `zig env`)
    pub library: Option<PathBuf>,
    /// where cargo-zigbuild writes its wrapper scripts
    pub cache: PathBuf,
}

/// This machine, as far as cargo is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// the compiler
    pub rustc: Rustc,
    /// cargo's folder
    pub cargo_home: PathBuf,
    /// the program that is running, which is its own zig wrapper
    pub anyarch: PathBuf,
    /// zig, when a toolchain needs it
    pub zig: Option<Zig>,
    /// other compilers by the names of their toolchains: those that compile the standard library too
    pub nightlies: BTreeMap<String, Rustc>,
}

impl Machine {
    /// The same machine with the compiler of a toolchain in place of the usual one.
    #[must_use]
    pub fn with(&self, toolchain: Option<&str>) -> Self {
        let rustc = toolchain.and_then(|toolchain| self.nightlies.get(toolchain)).unwrap_or(&self.rustc).clone();
        Self { rustc, ..self.clone() }
    }
}

/// True for what cargo sets for one package when it compiles or runs it: inherited, it would look like the values of
/// the package that the child compiles. `CARGO` is the cargo that runs us, not the one that the plan names.
/// Source: "Environment Variables" in The Cargo Book.
#[must_use]
pub fn is_cargo_package_variable(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_LINKS",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_RUSTC_CURRENT_DIR",
        "CARGO_TARGET_TMPDIR",
        "OUT_DIR",
    ];
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_BIN_EXE_", "CARGO_FEATURE_", "CARGO_CFG_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The variables of an environment that no child may inherit: cargo's for one package, and `RUSTUP_TOOLCHAIN` where a
/// rustup proxy set it (it counts its own depth), because the child's folder may ask for another toolchain.
#[must_use]
pub fn inherited_variables_to_remove<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names: Vec<&str> = names.into_iter().collect();
    let by_proxy = names.contains(&"RUST_RECURSION_COUNT");
    let is_removed = |name: &&str| is_cargo_package_variable(name) || (by_proxy && *name == "RUSTUP_TOOLCHAIN");
    names.into_iter().filter(is_removed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
        commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860\ncommit-date: 2026-04-14\n\
        host: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";

    #[test]
    fn rustc_is_read() {
        let rustc = Rustc::read(VERSION, "/r/stable\n").unwrap();
        assert_eq!(rustc.host, "x86_64-unknown-linux-gnu");
        assert_eq!(rustc.release, "1.95.0");
        assert_eq!(rustc.commit.as_deref(), Some("59807616e1fa2540724bfbac14d7976d7e4a3860"));
        assert_eq!(rustc.sysroot, Path::new("/r/stable"));
        let of_a_distribution = VERSION.replace("59807616e1fa2540724bfbac14d7976d7e4a3860", "unknown");
        assert_eq!(Rustc::read(&of_a_distribution, "/usr").unwrap().commit, None);
        assert_eq!(Rustc::read("", "/usr").unwrap_err().to_string(), "`rustc -vV` does not say its host");
        assert_eq!(
            Rustc::read(VERSION, "").unwrap_err().to_string(),
            "`rustc --print sysroot` does not say its folder"
        );
    }

    #[test]
    fn rustc_is_called_through_its_wrapper() {
        let wrapped = ["/usr/bin/sccache".to_owned(), "rustc".to_owned()];
        let [version, sysroot] = Rustc::invocations(&wrapped, Path::new("/w"), None);
        assert_eq!(version.to_line(), "/usr/bin/sccache rustc -vV");
        assert_eq!(sysroot.to_line(), "/usr/bin/sccache rustc --print sysroot");
        assert_eq!(Rustc::invocations(&[], Path::new("/w"), None)[0].to_line(), "rustc -vV");
        let nightly = Rustc::invocations(&[], Path::new("/w"), Some("nightly"));
        assert_eq!(nightly[1].to_line(), "RUSTUP_TOOLCHAIN=nightly rustc --print sysroot");
    }

    #[test]
    fn variables_of_an_outer_cargo_are_removed() {
        let outer = [
            "PATH",
            "CARGO",
            "CARGO_HOME",
            "CARGO_PKG_NAME",
            "CARGO_MANIFEST_DIR",
            "CARGO_TARGET_DIR",
            "OUT_DIR",
            "CARGO_BIN_EXE_anyarch",
            "CARGO_TARGET_TMPDIR",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "RUSTUP_TOOLCHAIN",
        ];
        let removed = [
            "CARGO",
            "CARGO_PKG_NAME",
            "CARGO_MANIFEST_DIR",
            "OUT_DIR",
            "CARGO_BIN_EXE_anyarch",
            "CARGO_TARGET_TMPDIR",
        ];
        assert_eq!(inherited_variables_to_remove(outer), removed);
        let by_proxy = outer.into_iter().chain(["RUST_RECURSION_COUNT"]);
        assert_eq!(inherited_variables_to_remove(by_proxy), [removed.as_slice(), &["RUSTUP_TOOLCHAIN"]].concat());
    }
}
