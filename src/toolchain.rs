//! Toolchain rows (`toolchains/*.toml`) become the answer to one question: which compiler, called how, makes a
//! program of this language for this platform and libc. Rows come as text; nothing is looked for on the machine.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use target_lexicon::Triple;

use crate::hint::Hint;
use crate::platform::{Architecture, Platform};

const BUILT_IN: [(&str, &str); 3] = [
    ("toolchains/platforms.toml", include_str!("../toolchains/platforms.toml")),
    ("toolchains/go.toml", include_str!("../toolchains/go.toml")),
    ("toolchains/rust.toml", include_str!("../toolchains/rust.toml")),
];

/// What a program is written in, or that something else has built it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// built by the go command
    Go,
    /// built by cargo
    Rust,
    /// a binary that is already there
    Prebuilt,
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Prebuilt => "prebuilt",
        })
    }
}

/// The C library of a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Libc {
    /// musl
    Musl,
    /// glibc, of a named version (`2.28`) or whichever the compiler links against
    Gnu(Option<String>),
}

impl Libc {
    fn name(&self) -> &'static str {
        match self {
            Self::Musl => "musl",
            Self::Gnu(_) => "gnu",
        }
    }
}

impl FromStr for Libc {
    type Err = LibcError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let version = |text: &str| {
            text.split_once('.')
                .is_some_and(|(major, minor)| major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok())
        };
        match text.split_once('.') {
            None if text == "musl" => Ok(Self::Musl),
            None if text == "gnu" => Ok(Self::Gnu(None)),
            Some(("gnu", rest)) if version(rest) => Ok(Self::Gnu(Some(rest.to_owned()))),
            _ => Err(LibcError(text.to_owned())),
        }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Musl => formatter.write_str("musl"),
            Self::Gnu(None) => formatter.write_str("gnu"),
            Self::Gnu(Some(version)) => write!(formatter, "gnu.{version}"),
        }
    }
}

/// A text that is not a libc.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a libc: it should read musl, gnu or gnu.2.28")]
pub struct LibcError(String);

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
    /// where the row comes from
    #[serde(skip)]
    pub origin: Origin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowsFile {
    #[serde(default)]
    platform: Vec<PlatformRow>,
    #[serde(default)]
    toolchain: Vec<ToolchainRow>,
    #[serde(default)]
    tool: Vec<ToolRow>,
}

/// All rows, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Toolchains {
    platforms: Vec<PlatformRow>,
    toolchains: Vec<ToolchainRow>,
    tools: Vec<ToolRow>,
}

/// What a program asks of its compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// the language
    pub language: Language,
    /// the platform
    pub platform: Platform,
    /// the libc that was asked for; `None` takes the one that gives a static binary
    pub libc: Option<Libc>,
    /// true when C has to be compiled too
    pub c: bool,
    /// the name of the row that was asked for
    pub row: Option<String>,
}

/// The answer: a row made concrete for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// the row's name
    pub name: String,
    /// where the row comes from
    pub origin: Origin,
    /// how cargo is run
    pub driver: Driver,
    /// the Rust target, if the language is Rust
    pub target: Option<String>,
    /// the libc; `None` for Go without cgo, which uses none
    pub libc: Option<Libc>,
    /// true when the binary will be static
    pub static_binary: bool,
    /// environment of the compiler
    pub env: BTreeMap<String, String>,
    /// Rust flags of ours
    pub rustflags: Vec<String>,
    /// tools that have to be on the machine
    pub tools: Vec<Tool>,
}

/// A [`ToolRow`] made concrete for one platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tool {
    /// its name
    pub name: String,
    /// ways to call it
    pub commands: Vec<Vec<String>>,
    /// arguments that make it print its version
    pub version: Vec<String>,
    /// the line that installs it, by package manager
    pub install: BTreeMap<String, String>,
}

/// Why there is no compiler for a program.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// A file of rows that cannot be read.
    #[error("the toolchain rows of `{origin}` cannot be read")]
    Rows {
        /// the file
        origin: Origin,
        /// what is wrong, with line and column
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A row whose Rust target is for another architecture.
    #[error("the row of {platform} in `{origin}` names the Rust target `{triple}`, which is for {found}")]
    WrongTriple {
        /// the row's platform
        platform: Platform,
        /// the file
        origin: Origin,
        /// the target
        triple: String,
        /// what target-lexicon reads in it
        found: String,
    },
    /// A row that names a tool that has no row.
    #[error("the toolchain `{toolchain}` of `{origin}` needs the tool `{tool}`, which no row describes")]
    UnknownTool {
        /// the toolchain
        toolchain: String,
        /// the file
        origin: Origin,
        /// the tool
        tool: String,
    },
    /// No row for the language on the platform.
    #[error("{language} has no toolchain for {platform}")]
    NoPlatform {
        /// the language
        language: Language,
        /// the platform
        platform: Platform,
        /// the platforms it has
        known: Vec<Platform>,
    },
    /// There are rows, but none does what was asked.
    #[error("no {language} toolchain for {platform} {wish}")]
    NoRow {
        /// the language
        language: Language,
        /// the platform
        platform: Platform,
        /// what was asked for beyond that
        wish: String,
        /// settings that would do
        ways_out: Vec<String>,
    },
    /// The row that was asked for does not exist.
    #[error("{language} has no toolchain called `{row}`")]
    UnknownRow {
        /// the language
        language: Language,
        /// the name
        row: String,
        /// the names there are
        known: Vec<String>,
    },
}

impl Hint for ToolchainError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoPlatform { known, .. } => {
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                vec![format!("--platform {}", known.join(","))]
            }
            Self::NoRow { ways_out, .. } => ways_out.clone(),
            Self::UnknownRow { known, .. } => known.iter().map(|name| format!("toolchain = \"{name}\"")).collect(),
            Self::Rows { .. } | Self::WrongTriple { .. } | Self::UnknownTool { .. } => Vec::new(),
        }
    }
}

impl Toolchains {
    /// The rows that anyarch brings.
    ///
    /// # Errors
    /// Never in a build whose tests passed.
    pub fn built_in() -> Result<Self, ToolchainError> {
        let mut all = Self { platforms: Vec::new(), toolchains: Vec::new(), tools: Vec::new() };
        for (origin, text) in BUILT_IN {
            let rows = parse(origin, text)?;
            all.platforms.extend(rows.platform);
            all.toolchains.extend(rows.toolchain);
            all.tools.extend(rows.tool);
        }
        all.check()?;
        Ok(all)
    }

    /// Lays the rows of a user's file over these: a row with the same key replaces the one there, and new ones come first.
    ///
    /// # Errors
    /// When the text is not a file of rows, or a row contradicts itself.
    pub fn overlay(mut self, origin: &str, text: &str) -> Result<Self, ToolchainError> {
        let rows = parse(origin, text)?;
        replace(&mut self.platforms, rows.platform, |row| row.platform);
        replace(&mut self.toolchains, rows.toolchain, |row| (row.language, row.name.clone()));
        replace(&mut self.tools, rows.tool, |row| row.name.clone());
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), ToolchainError> {
        for row in &self.platforms {
            let names = row.rust.iter().flat_map(|rust| [&rust.musl, &rust.gnu]).flatten();
            for triple in names {
                if !triple_fits(triple, row.platform) {
                    let found = Triple::from_str(triple)
                        .map_or_else(|error| error.to_string(), |triple| triple.architecture.to_string());
                    let (platform, origin, triple) = (row.platform, row.origin.clone(), triple.clone());
                    return Err(ToolchainError::WrongTriple { platform, origin, triple, found });
                }
            }
        }
        for row in &self.toolchains {
            if let Some(tool) = row.tools.iter().find(|tool| !self.tools.iter().any(|row| row.name == **tool)) {
                let (toolchain, origin) = (row.name.clone(), row.origin.clone());
                return Err(ToolchainError::UnknownTool { toolchain, origin, tool: tool.clone() });
            }
        }
        Ok(())
    }

    /// The platform rows, in their order.
    #[must_use]
    pub fn platforms(&self) -> &[PlatformRow] {
        &self.platforms
    }

    /// The row of a platform.
    #[must_use]
    pub fn platform(&self, platform: Platform) -> Option<&PlatformRow> {
        self.platforms.iter().find(|row| row.platform == platform)
    }

    /// The platforms that `--platform all` means for a language; a prebuilt binary may be there for any of them.
    #[must_use]
    pub fn default_platforms(&self, language: Language) -> Vec<Platform> {
        self.platforms
            .iter()
            .filter(|row| match language {
                Language::Prebuilt => !row.default.is_empty(),
                _ => row.default.contains(&language),
            })
            .map(|row| row.platform)
            .collect()
    }

    /// The tools that a machine should have for a platform, by every toolchain that has names for it.
    pub fn rows(&self) -> impl Iterator<Item = &ToolchainRow> {
        self.toolchains.iter()
    }

    /// A tool for a platform, by name.
    #[must_use]
    pub fn tool(&self, name: &str, platform: Platform) -> Option<Tool> {
        let row = self.tools.iter().find(|row| row.name == name)?;
        let names = Placeholders::of(self.platform(platform)?, None);
        let fill = |words: &Vec<String>| words.iter().map(|word| names.fill(word)).collect();
        Some(Tool {
            name: row.name.clone(),
            commands: row.commands.iter().map(fill).collect(),
            version: row.version.clone(),
            install: row.install.iter().map(|(manager, line)| (manager.clone(), names.fill(line))).collect(),
        })
    }

    /// The first row that fits: what is installed plays no part, so the same project gives the same image everywhere.
    ///
    /// # Errors
    /// When no row fits; the error names those that would under other settings.
    pub fn select(&self, request: &Request) -> Result<Toolchain, ToolchainError> {
        let (language, platform) = (request.language, request.platform);
        let of_language: Vec<&ToolchainRow> = self.toolchains.iter().filter(|row| row.language == language).collect();
        let facts = self.platform(platform).filter(|facts| has_names(facts, language)).ok_or_else(|| {
            let known = self.platforms.iter().filter(|row| has_names(row, language)).map(|row| row.platform).collect();
            ToolchainError::NoPlatform { language, platform, known }
        })?;
        if let Some(row) = request.row.as_ref().filter(|name| !of_language.iter().any(|row| row.name == **name)) {
            let known = of_language.iter().map(|row| row.name.clone()).collect();
            return Err(ToolchainError::UnknownRow { language, row: row.clone(), known });
        }
        of_language
            .iter()
            .filter(|row| request.row.as_ref().is_none_or(|name| row.name == *name))
            .find_map(|row| self.concrete(row, facts, request))
            .ok_or_else(|| ToolchainError::NoRow {
                language,
                platform,
                wish: wish(request),
                ways_out: self.ways_out(&of_language, facts, request),
            })
    }

    /// The other rows that would serve the same request, by name.
    #[must_use]
    pub fn alternatives(&self, request: &Request, chosen: &str) -> Vec<String> {
        let Some(facts) = self.platform(request.platform) else { return Vec::new() };
        let rows = self.toolchains.iter().filter(|row| row.language == request.language && row.name != chosen);
        rows.filter(|row| self.concrete(row, facts, request).is_some()).map(|row| row.name.clone()).collect()
    }

    fn ways_out(&self, rows: &[&ToolchainRow], facts: &PlatformRow, request: &Request) -> Vec<String> {
        let mut ways = Vec::new();
        for libc in [request.libc.clone(), Some(Libc::Musl), Some(Libc::Gnu(None))] {
            for row in rows {
                let changed = Request { libc: libc.clone(), row: None, ..request.clone() };
                if self.concrete(row, facts, &changed).is_some() {
                    let libc = libc.as_ref().filter(|libc| Some(*libc) != request.libc.as_ref());
                    let libc = libc.map_or(String::new(), |libc| format!("libc = \"{libc}\", "));
                    ways.push(format!("{libc}toolchain = \"{}\"", row.name));
                }
            }
        }
        ways.dedup();
        ways
    }

    fn concrete(&self, row: &ToolchainRow, facts: &PlatformRow, request: &Request) -> Option<Toolchain> {
        let tools = || row.tools.iter().filter_map(|tool| self.tool(tool, facts.platform)).collect();
        if request.language != Language::Rust {
            return Some(Toolchain {
                name: row.name.clone(),
                origin: row.origin.clone(),
                driver: row.driver,
                target: None,
                libc: None,
                static_binary: true,
                env: row.env.clone().into_iter().chain(facts.go.clone()?).collect(),
                rustflags: Vec::new(),
                tools: tools(),
            });
        }
        let rust = facts.rust.as_ref()?;
        let static_binary = request.libc.is_none() || request.libc == Some(Libc::Musl);
        let libc =
            request.libc.clone().unwrap_or(if rust.static_libc == "musl" { Libc::Musl } else { Libc::Gnu(None) });
        let target = match &libc {
            Libc::Musl => rust.musl.as_ref()?,
            Libc::Gnu(_) => rust.gnu.as_ref()?,
        };
        let links = if static_binary { &row.static_libc } else { &row.libc };
        let needs_zig = row.tools.iter().any(|tool| tool == "zig");
        let needs_gcc = row.tools.iter().any(|tool| tool == "gcc");
        let named_version = matches!(libc, Libc::Gnu(Some(_)));
        if !links.iter().any(|name| name == libc.name())
            || (request.c && !row.c)
            || (needs_zig && facts.zig.is_none())
            || (needs_gcc && facts.gcc.is_none())
            || (named_version && !needs_zig)
        {
            return None;
        }
        let flags = if static_binary && libc != Libc::Musl { "static-gnu" } else { libc.name() };
        let names = Placeholders::of(facts, Some(target));
        let cpu = rust.cpu.iter().map(|cpu| format!("-Ctarget-cpu={cpu}"));
        Some(Toolchain {
            name: row.name.clone(),
            origin: row.origin.clone(),
            driver: row.driver,
            target: Some(target.clone()),
            static_binary,
            env: row.env.iter().map(|(name, value)| (names.fill(name), names.fill(value))).collect(),
            rustflags: row.rustflags.get(flags).into_iter().flatten().cloned().chain(cpu).collect(),
            libc: Some(libc),
            tools: tools(),
        })
    }
}

fn has_names(facts: &PlatformRow, language: Language) -> bool {
    match language {
        Language::Go => facts.go.is_some(),
        Language::Rust => facts.rust.is_some(),
        Language::Prebuilt => true,
    }
}

fn wish(request: &Request) -> String {
    let mut wishes = Vec::new();
    if let Some(row) = &request.row {
        wishes.push(format!("is called `{row}`"));
    }
    if let Some(libc) = &request.libc {
        wishes.push(format!("links against {libc}"));
    }
    if request.c {
        wishes.push("compiles the C of its crates".to_owned());
    }
    if wishes.is_empty() { "fits".to_owned() } else { wishes.join(" and ") }
}

fn parse(origin: &str, text: &str) -> Result<RowsFile, ToolchainError> {
    let mut rows: RowsFile = toml::from_str(text)
        .map_err(|source| ToolchainError::Rows { origin: origin.to_owned(), source: Box::new(source) })?;
    rows.platform.iter_mut().for_each(|row| origin.clone_into(&mut row.origin));
    rows.toolchain.iter_mut().for_each(|row| origin.clone_into(&mut row.origin));
    rows.tool.iter_mut().for_each(|row| origin.clone_into(&mut row.origin));
    Ok(rows)
}

fn replace<Row, Key: PartialEq>(rows: &mut Vec<Row>, theirs: Vec<Row>, key: impl Fn(&Row) -> Key) {
    for (position, row) in theirs.into_iter().enumerate() {
        match rows.iter_mut().find(|ours| key(ours) == key(&row)) {
            Some(ours) => *ours = row,
            None => rows.insert(position.min(rows.len()), row),
        }
    }
}

fn triple_fits(triple: &str, platform: Platform) -> bool {
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
struct Placeholders<'facts> {
    triple: Option<&'facts str>,
    gcc: Option<&'facts str>,
}

impl<'facts> Placeholders<'facts> {
    fn of(facts: &'facts PlatformRow, triple: Option<&'facts str>) -> Self {
        Self { triple, gcc: facts.gcc.as_deref() }
    }

    fn fill(&self, text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(language: Language, platform: &str) -> Request {
        Request { language, platform: platform.parse().unwrap(), libc: None, c: false, row: None }
    }

    #[test]
    fn the_first_row_that_fits_is_the_row() {
        let rows = Toolchains::built_in().unwrap();
        for (platform, libc, c, row, name, target, static_binary) in [
            ("linux/amd64", None, false, None, "rust-lld", "x86_64-unknown-linux-musl", true),
            ("linux/amd64", None, true, None, "zig", "x86_64-unknown-linux-musl", true),
            ("linux/arm64", Some("gnu"), false, None, "zig", "aarch64-unknown-linux-gnu", false),
            ("linux/arm64", Some("gnu.2.28"), true, None, "zig", "aarch64-unknown-linux-gnu", false),
            ("linux/arm64", Some("gnu"), true, Some("gcc"), "gcc", "aarch64-unknown-linux-gnu", false),
            ("linux/s390x", None, false, None, "gcc", "s390x-unknown-linux-gnu", true),
            ("linux/arm/v6", None, true, None, "zig", "arm-unknown-linux-musleabihf", true),
        ] {
            let request = Request {
                libc: libc.map(|libc| libc.parse().unwrap()),
                c,
                row: row.map(str::to_owned),
                ..request(Language::Rust, platform)
            };
            let chosen = rows.select(&request).unwrap();
            assert_eq!((chosen.name.as_str(), chosen.target.as_deref()), (name, Some(target)), "{request:?}");
            assert_eq!(chosen.static_binary, static_binary, "{request:?}");
        }
    }

    #[test]
    fn go_rows_carry_their_environment() {
        let rows = Toolchains::built_in().unwrap();
        let chosen = rows.select(&request(Language::Go, "linux/arm/v6")).unwrap();
        let env: Vec<String> = chosen.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["CGO_ENABLED=0", "GOARCH=arm", "GOARM=6"]);
    }

    #[test]
    fn what_no_row_does_is_said_with_those_that_would() {
        let rows = Toolchains::built_in().unwrap();
        let on_v6 = Request { row: Some("gcc".into()), ..request(Language::Rust, "linux/arm/v6") };
        let error = rows.select(&on_v6).unwrap_err();
        assert_eq!(error.to_string(), "no rust toolchain for linux/arm/v6 is called `gcc`");
        assert_eq!(error.hints()[0], "toolchain = \"rust-lld\"");
        let musl_by_gcc =
            Request { libc: Some(Libc::Musl), row: Some("gcc".into()), ..request(Language::Rust, "linux/amd64") };
        let error = rows.select(&musl_by_gcc).unwrap_err();
        assert_eq!(error.to_string(), "no rust toolchain for linux/amd64 is called `gcc` and links against musl");
        let unknown = Request { row: Some("tcc".into()), ..request(Language::Rust, "linux/amd64") };
        assert_eq!(rows.select(&unknown).unwrap_err().to_string(), "rust has no toolchain called `tcc`");
        let windows = request(Language::Go, "windows/amd64");
        assert_eq!(rows.select(&windows).unwrap_err().to_string(), "go has no toolchain for windows/amd64");
    }

    #[test]
    fn a_users_rows_replace_ours_one_by_one() {
        let text = r#"
            [[platform]]
            platform = "linux/mipsle"
            default = []
            go = { GOARCH = "mipsle", GOMIPS = "softfloat" }
            [[toolchain]]
            name = "go"
            language = "go"
            tools = ["go"]
            env = { CGO_ENABLED = "0", GOEXPERIMENT = "x" }
        "#;
        let rows = Toolchains::built_in().unwrap().overlay("mine.toml", text).unwrap();
        let chosen = rows.select(&request(Language::Go, "linux/mipsle")).unwrap();
        assert_eq!(chosen.origin, "mine.toml");
        assert_eq!(chosen.env["GOMIPS"], "softfloat");
        assert_eq!(chosen.env["GOEXPERIMENT"], "x");
        assert!(!rows.default_platforms(Language::Go).contains(&"linux/mipsle".parse().unwrap()));
    }

    #[test]
    fn rows_that_contradict_themselves_are_refused() {
        let wrong = "[[platform]]\nplatform = \"linux/arm64\"\ndefault = []\nrust = { musl = \"x86_64-unknown-linux-musl\", static = \"musl\" }";
        let error = Toolchains::built_in().unwrap().overlay("mine.toml", wrong).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the row of linux/arm64 in `mine.toml` names the Rust target `x86_64-unknown-linux-musl`, which is for x86_64"
        );
        let unknown = "[[toolchain]]\nname = \"tcc\"\nlanguage = \"rust\"\ntools = [\"tcc\"]";
        let error = Toolchains::built_in().unwrap().overlay("mine.toml", unknown).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the toolchain `tcc` of `mine.toml` needs the tool `tcc`, which no row describes"
        );
    }
}
