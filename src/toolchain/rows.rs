//! The text of `toolchains/*.toml` becomes rows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use target_lexicon::Triple;

use super::{Download, Language, Libc, ToolchainError};
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
    /// `-Ctarget-feature`
    pub features: Option<String>,
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
    /// `-march` of the GNU cross compiler
    pub march: Option<String>,
    /// zig targets
    pub zig: Option<ZigNames>,
    /// Debian's name of the architecture: where a sysroot's packages come from
    pub debian: Option<String>,
    /// why a toolchain, by its name, does not compile for it
    #[serde(default)]
    pub without: BTreeMap<String, String>,
    /// where the row comes from
    #[serde(skip)]
    pub origin: Origin,
}

impl PlatformRow {
    /// The oldest glibc that zig can name there.
    pub(super) fn oldest_glibc(&self) -> Option<Libc> {
        format!("gnu.{}", self.zig.as_ref()?.glibc.as_ref()?).parse().ok()
    }
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
    /// how each tool of C is called; the first word is one of `tools`, or a program
    #[serde(default)]
    pub commands: BTreeMap<String, Vec<String>>,
    /// flags of the C compiler that choose the target
    #[serde(default)]
    pub flags: Vec<String>,
    /// flags of the C linker by `musl`, `gnu` and `static-gnu`
    #[serde(default)]
    pub ldflags: BTreeMap<String, Vec<String>>,
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
    /// the newest glibc that it has, of one that has one of each version
    pub glibc: Option<String>,
    /// where it can be had without root
    pub download: Option<Download>,
    /// where the program is, or would be, that we downloaded
    #[serde(skip)]
    pub downloaded: Option<PathBuf>,
    /// where the row comes from
    #[serde(skip)]
    pub origin: Origin,
}

impl ToolRow {
    /// The newest glibc that it has, major and minor, where it says so.
    pub(super) fn newest_glibc(&self) -> Option<(u32, u32)> {
        match format!("gnu.{}", self.glibc.as_ref()?).parse() {
            Ok(Libc::Gnu(version)) => version,
            _ => None,
        }
    }
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
pub(super) struct Placeholders(BTreeMap<&'static str, String>);

impl Placeholders {
    pub(super) fn of(facts: &PlatformRow, triple: Option<&str>) -> Self {
        let mut values = BTreeMap::new();
        if let Some(triple) = triple {
            let underscored = triple.replace(['-', '.'], "_");
            values.insert("triple", triple.to_owned());
            values.insert("TRIPLE", underscored.to_uppercase());
            values.insert("triple_", underscored);
        }
        if let Some(gcc) = &facts.gcc {
            values.insert("gcc", gcc.clone());
            values.insert("gcc-", gcc.replace('_', "-"));
        }
        values.extend(facts.march.iter().map(|march| ("march", march.clone())));
        values.extend(facts.zig.iter().flat_map(|zig| &zig.cpu).map(|cpu| ("cpu", cpu.clone())));
        Self(values)
    }

    /// The same, with `{zig}` standing for a target as zig writes it.
    pub(super) fn with_zig(mut self, target: String) -> Self {
        self.0.insert("zig", target);
        self
    }

    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// The words, filled; a word that names what this platform does not have is left out.
    pub(super) fn fill_words(&self, words: &[String]) -> Vec<String> {
        let known = |word: &&String| {
            let named = word.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
            named.is_none_or(|(name, _)| self.0.contains_key(name))
        };
        words.iter().filter(known).map(|word| self.fill(word)).collect()
    }
}
