//! The text of `toolchains/*.toml` becomes rows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use target_lexicon::Triple;

use super::{Download, Language, ToolchainError};
use crate::platform::{Architecture, Platform};

/// Where a row comes from: a file of ours, or the user's.
pub type Origin = String;

/// The Rust side of a platform.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RustNames {
    /// target triple that links against musl
    pub musl: Option<String>,
    /// target triple that links against glibc
    pub gnu: Option<String>,
    /// the libc that gives a static binary: `musl` or `gnu`
    #[serde(rename = "static")]
    pub static_libc: String,
    /// `-Ctarget-cpu`
    pub cpu: Option<String>,
}

/// The zig side of a platform.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ZigNames {
    /// `-target` for musl
    pub musl: String,
    /// `-target` for glibc
    pub gnu: String,
    /// `-mcpu`
    pub cpu: Option<String>,
    /// the oldest glibc that zig can name there
    pub glibc: Option<String>,
}

/// What each compiler calls a platform.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PlatformRow {
    /// the platform
    pub platform: Platform,
    /// the languages whose `--platform all` includes it
    pub default: Vec<Language>,
    /// environment of the go command
    pub go: Option<BTreeMap<String, String>>,
    /// Rust targets
    pub rust: Option<RustNames>,
    /// prefix of the GNU cross compiler
    pub gcc: Option<String>,
    /// zig targets
    pub zig: Option<ZigNames>,
    /// where the row comes from
    #[serde(skip)]
    pub origin: Origin,
}

/// How cargo is run.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// as it is
    #[default]
    Cargo,
    /// through cargo-zigbuild
    Zigbuild,
}

/// A compiler of a language, for every platform whose row has the names it needs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ToolchainRow {
    /// `go`, `rust-lld`, `zig`, `gcc`
    pub name: String,
    /// the language it compiles
    pub language: Language,
    /// tools that have to be on the machine, by the names of [`ToolRow`]s
    pub tools: Vec<String>,
    /// what it links against
    #[serde(default)]
    pub libc: Vec<String>,
    /// what it links statically
    #[serde(rename = "static", default)]
    pub static_libc: Vec<String>,
    /// true when it also compiles the C inside crates
    #[serde(default)]
    pub c: bool,
    /// how cargo is run
    #[serde(default)]
    pub driver: Driver,
    /// environment; names and values may hold placeholders
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Rust flags by `musl`, `gnu` and `static-gnu`
    #[serde(default)]
    pub rustflags: BTreeMap<String, Vec<String>>,
    /// where the row comes from
    #[serde(skip)]
    pub origin: Origin,
}

/// A program that has to be on the machine, and how it gets there.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ToolRow {
    /// the name by which toolchain rows ask for it
    pub name: String,
    /// ways to call it, the first that is there wins; words may hold placeholders
    pub commands: Vec<Vec<String>>,
    /// arguments that make it print its version
    pub version: Vec<String>,
    /// the line that installs it, by package manager, `any` for the rest
    pub install: BTreeMap<String, String>,
    /// where it can be had without root
    pub download: Option<Download>,
    /// where the program is, or would be, that we downloaded
    #[serde(skip)]
    pub downloaded: Option<PathBuf>,
    /// where the row comes from
    #[serde(skip)]
    pub origin: Origin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowsFile {
    #[serde(default)]
    pub(super) platform: Vec<PlatformRow>,
    #[serde(default)]
    pub(super) toolchain: Vec<ToolchainRow>,
    #[serde(default)]
    pub(super) tool: Vec<ToolRow>,
}

pub(super) fn parse(origin: &str, text: &str) -> Result<RowsFile, ToolchainError> {
    let mut rows: RowsFile = toml::from_str(text)
        .map_err(|source| ToolchainError::Rows { origin: origin.to_owned(), source: Box::new(source) })?;
    rows.platform.iter_mut().for_each(|row| origin.clone_into(&mut row.origin));
    rows.toolchain.iter_mut().for_each(|row| origin.clone_into(&mut row.origin));
    rows.tool.iter_mut().for_each(|row| origin.clone_into(&mut row.origin));
    Ok(rows)
}

pub(super) fn triple_fits(triple: &str, platform: Platform) -> bool {
    use target_lexicon::Architecture as Lexicon;
    let Ok(triple) = Triple::from_str(triple) else { return false };
    match platform.architecture() {
        Architecture::Amd64 => triple.architecture == Lexicon::X86_64,
        Architecture::I386 => matches!(triple.architecture, Lexicon::X86_32(_)),
        Architecture::Arm => matches!(triple.architecture, Lexicon::Arm(_)),
        Architecture::Arm64 => matches!(triple.architecture, Lexicon::Aarch64(_)),
        Architecture::Ppc64 => triple.architecture == Lexicon::Powerpc64,
        Architecture::Ppc64le => triple.architecture == Lexicon::Powerpc64le,
        Architecture::S390x => triple.architecture == Lexicon::S390x,
        Architecture::Riscv64 => matches!(triple.architecture, Lexicon::Riscv64(_)),
        Architecture::Loong64 => triple.architecture == Lexicon::LoongArch64,
        Architecture::Mips | Architecture::Mipsle => matches!(triple.architecture, Lexicon::Mips32(_)),
        Architecture::Mips64 | Architecture::Mips64le => matches!(triple.architecture, Lexicon::Mips64(_)),
    }
}

/// What `{...}` in a row stands for on one platform.
pub(super) struct Placeholders<'facts> {
    triple: Option<&'facts str>,
    gcc: Option<&'facts str>,
}

impl<'facts> Placeholders<'facts> {
    pub(super) fn of(facts: &'facts PlatformRow, triple: Option<&'facts str>) -> Self {
        Self { triple, gcc: facts.gcc.as_deref() }
    }

    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        if let Some(triple) = self.triple {
            let underscored = triple.replace(['-', '.'], "_");
            filled = filled.replace("{triple}", triple);
            filled = filled.replace("{triple_}", &underscored);
            filled = filled.replace("{TRIPLE}", &underscored.to_uppercase());
        }
        if let Some(gcc) = self.gcc {
            filled = filled.replace("{gcc}", gcc);
            filled = filled.replace("{gcc-}", &gcc.replace('_', "-"));
        }
        filled
    }
}
