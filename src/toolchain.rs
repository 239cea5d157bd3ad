//! Toolchain rows (`toolchains/*.toml`) become the answer to one question: which compiler, called how, makes a
//! program of this language for this platform and libc. Rows come as text; nothing is looked for on the machine.

mod c;
mod download;
mod error;
mod glibc;
mod libc;
mod rows;
mod select;
mod why;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use target_lexicon::Triple;

pub use c::CCompiler;
pub use download::{Download, DownloadKind, HostFile};
pub use error::ToolchainError;
pub use glibc::OverGlibc;
pub use libc::{Libc, LibcError, LibcWish};
pub use rows::{Driver, Origin, PlatformRow, RustNames, ToolRow, ToolchainRow, ZigNames};

use crate::platform::Platform;
use rows::{Placeholders, parse, triple_fits};

const BUILT_IN: [(&str, &str); 4] = [
    ("toolchains/platforms.toml", include_str!("../toolchains/platforms.toml")),
    ("toolchains/go.toml", include_str!("../toolchains/go.toml")),
    ("toolchains/rust.toml", include_str!("../toolchains/rust.toml")),
    ("toolchains/c.toml", include_str!("../toolchains/c.toml")),
];

/// Where a toolchain comes from that no row describes.
const FILE_OF_PROJECT: &str = "the project's own";

/// What a program is written in, or that something else has built it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// built by the go command
    Go,
    /// built by cargo
    Rust,
    /// C or C++
    C,
    /// built by a command of the project's
    Command,
    /// a binary that is already there
    Prebuilt,
}

impl Language {
    const KNOWN: [(Self, &'static str); 5] = [
        (Self::Go, "go"),
        (Self::Rust, "rust"),
        (Self::C, "c"),
        (Self::Command, "command"),
        (Self::Prebuilt, "prebuilt"),
    ];

    /// Every language, as rows and the configuration write it.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        Self::KNOWN.iter().map(|(_, name)| *name).collect()
    }

    /// The language whose compilers it uses: a command is told of those of C.
    #[must_use]
    pub fn compiled(self) -> Self {
        if self == Self::Command { Self::C } else { self }
    }

    /// The language that is written so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::KNOWN.iter().find(|(_, known)| *known == name).map(|(language, _)| *language)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::KNOWN.iter().find(|(language, _)| language == self).map_or("", |(_, name)| name);
        formatter.write_str(name)
    }
}

/// All rows, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Toolchains {
    platforms: Vec<PlatformRow>,
    compilers: Vec<ToolchainRow>,
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
    /// true when the libc is that of a sysroot, which every compiler can link against
    pub sysroot: bool,
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
    /// the C compiler, if the language is C
    pub c: Option<CCompiler>,
    /// the libc; `None` for Go without cgo, which uses none
    pub libc: Option<Libc>,
    /// true when the binary will be static
    pub static_binary: bool,
    /// environment of the compiler
    pub env: BTreeMap<String, String>,
    /// Rust flags of ours
    pub rustflags: Vec<String>,
    /// true when another platform has the same Rust target and differs in the processor alone
    pub shares_target: bool,
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
    /// where it can be had without root
    pub download: Option<Download>,
    /// where the program is, or would be, that we downloaded: the last of `commands`
    pub downloaded: Option<PathBuf>,
}

impl Toolchain {
    /// True for a compiler that has a libc of its own for every platform, and so needs none of a sysroot's.
    #[must_use]
    pub fn brings_libc(&self) -> bool {
        self.tools.iter().any(|tool| tool.name == "zig")
    }
}

impl Toolchain {
    /// None at all: a command builds for a platform that no compiler of ours knows.
    #[must_use]
    pub fn none(request: &Request) -> Self {
        Self {
            name: request.language.to_string(),
            origin: FILE_OF_PROJECT.to_owned(),
            driver: Driver::default(),
            target: None,
            c: None,
            libc: None,
            static_binary: false,
            env: BTreeMap::new(),
            rustflags: Vec::new(),
            shares_target: false,
            tools: Vec::new(),
        }
    }
}

impl Toolchains {
    /// The rows that anyarch brings.
    ///
    /// # Errors
    /// Never in a build whose tests passed.
    pub fn built_in() -> Result<Self, ToolchainError> {
        let mut all = Self { platforms: Vec::new(), compilers: Vec::new(), tools: Vec::new() };
        for (origin, text) in BUILT_IN {
            let rows = parse(origin, text)?;
            all.platforms.extend(rows.platform);
            all.compilers.extend(rows.toolchain);
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
        replace(&mut self.compilers, rows.toolchain, |row| (row.language, row.name.clone()));
        replace(&mut self.tools, rows.tool, |row| row.name.clone());
        self.check()?;
        Ok(self)
    }

    /// Adds to each tool that can be had without root, as the last way to call it, the program in the folder of `root`
    /// that it is unpacked to on `host`.
    #[must_use]
    pub fn with_downloads(mut self, root: &Path, host: Platform) -> Self {
        for row in &mut self.tools {
            row.downloaded = row.download.as_ref().and_then(|download| {
                let file = download.hosts.get(&host)?;
                Some(root.join(download.folder(&row.name, file)).join(&download.program))
            });
        }
        self
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
        for row in &self.tools {
            if let Some(fault) = row.download.as_ref().and_then(|download| download.fault(&row.name)) {
                return Err(ToolchainError::Download { tool: row.name.clone(), origin: row.origin.clone(), fault });
            }
        }
        for row in &self.compilers {
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
                Language::Prebuilt | Language::Command => !row.default.is_empty(),
                _ => row.default.contains(&language),
            })
            .map(|row| row.platform)
            .collect()
    }

    /// What Go and cargo are told of a platform by variables; `libc` is the one that was asked for.
    #[must_use]
    pub fn variables(&self, platform: Platform, libc: Option<Libc>) -> BTreeMap<String, String> {
        let facts = self.platform(platform);
        // Our names of platforms are Go's.
        let mut variables: BTreeMap<String, String> = [
            ("GOOS".to_owned(), platform.os().to_string()),
            ("GOARCH".to_owned(), platform.architecture().to_string()),
        ]
        .into();
        variables.extend(facts.and_then(|facts| facts.go.clone()).unwrap_or_default());
        let target = facts.and_then(|facts| facts.rust.as_ref()).and_then(|rust| match libc {
            Some(Libc::Musl) => rust.musl.clone(),
            None if rust.static_libc == "musl" => rust.musl.clone(),
            Some(Libc::Gnu(_)) | None => rust.gnu.clone(),
        });
        variables.extend(target.map(|target| ("CARGO_BUILD_TARGET".to_owned(), target)));
        variables
    }

    /// The tools that a machine should have for a platform, by every toolchain that has names for it.
    pub fn rows(&self) -> impl Iterator<Item = &ToolchainRow> {
        self.compilers.iter()
    }

    /// A tool for a platform, by name.
    #[must_use]
    pub fn tool(&self, name: &str, platform: Platform) -> Option<Tool> {
        let row = self.tools.iter().find(|row| row.name == name)?;
        let names = Placeholders::of(self.platform(platform)?, None);
        // What the user installed comes first: ours is there for who has none.
        let downloaded = row.downloaded.iter().map(|program| vec![program.display().to_string()]);
        Some(Tool {
            name: row.name.clone(),
            commands: row.commands.iter().map(|words| names.fill_words(words)).chain(downloaded).collect(),
            download: row.download.clone(),
            downloaded: row.downloaded.clone(),
            version: row.version.clone(),
            install: row.install.iter().map(|(manager, line)| (manager.clone(), names.fill(line))).collect(),
        })
    }
}

fn replace<Row, Key: PartialEq>(rows: &mut Vec<Row>, theirs: Vec<Row>, key: impl Fn(&Row) -> Key) {
    for (position, row) in theirs.into_iter().enumerate() {
        match rows.iter_mut().find(|ours| key(ours) == key(&row)) {
            Some(ours) => *ours = row,
            None => rows.insert(position.min(rows.len()), row),
        }
    }
}

#[cfg(test)]
mod tests;
