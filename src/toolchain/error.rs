//! Why there is no compiler for a program, and what would do instead.

use super::{Language, Origin};
use crate::hint::Hint;
use crate::platform::Platform;

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
    /// A row whose download cannot be.
    #[error("the download of the tool `{tool}` in `{origin}` cannot be used: {fault}")]
    Download {
        /// the tool
        tool: String,
        /// the file
        origin: Origin,
        /// what is wrong with it
        fault: String,
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
    #[error("no {language} toolchain for {platform} {wish}{why}")]
    NoRow {
        /// the language
        language: Language,
        /// the platform
        platform: Platform,
        /// what was asked for beyond that
        wish: String,
        /// why the row that was asked for does not, with `: ` before it; empty when none was
        why: String,
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
            Self::Rows { .. } | Self::WrongTriple { .. } | Self::UnknownTool { .. } | Self::Download { .. } => {
                Vec::new()
            }
        }
    }
}
