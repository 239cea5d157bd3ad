//! Why there is no plan, and what would make one.

use std::path::PathBuf;

use super::Missing;
use crate::hint::Hint;
use crate::platform::Platform;
use crate::toolchain::ToolchainError;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Platforms that a base or the toolchains lack.
    #[error("{}", describe(.missing))]
    Platforms {
        /// each with its reason
        missing: Vec<Missing>,
        /// the platforms that can be built
        left: Vec<Platform>,
    },
    /// The same platform twice.
    #[error("the platform {0} is asked for twice")]
    Twice(Platform),
    /// No platform at all.
    #[error("no platform is left to build `{image}` for{}", reasons(.missing))]
    Nothing {
        /// the image
        image: String,
        /// its platforms that were left out
        missing: Vec<Missing>,
    },
    /// Two programs of one name.
    #[error("two programs are called `{name}`: {first} and {second}")]
    SameName {
        /// the name
        name: String,
        /// what one is built from
        first: String,
        /// what the other is built from
        second: String,
    },
    /// A program that two images share, with settings that differ from image to image.
    #[error("the program `{name}` would have to be built in two ways: its settings differ from image to image")]
    TwoWays {
        /// the name
        name: String,
    },
    /// Two commands that make one file.
    #[error("the command of `{name}` makes `{}` for {first} and for {second}", output.display())]
    SameOutput {
        /// the program
        name: String,
        /// the file
        output: PathBuf,
        /// one platform
        first: Platform,
        /// the other
        second: Platform,
    },
    /// Two things at one place in an image.
    #[error("the image `{image}` has two things at `{destination}`")]
    SameDestination {
        /// the image
        image: String,
        /// the path
        destination: String,
    },
    /// A toolchain that cannot be chosen.
    #[error(transparent)]
    Toolchain(ToolchainError),
}

fn describe(missing: &[Missing]) -> String {
    match missing {
        [only] => format!("cannot build for {}: {}", only.platform, only.reason),
        several => format!("cannot build for {} platforms:{}", several.len(), reasons(several)),
    }
}

fn reasons(missing: &[Missing]) -> String {
    let lines = missing.iter().map(|missing| format!("\n  {}: {}", missing.platform, missing.reason));
    lines.collect::<Vec<_>>().concat()
}

impl Hint for PlanError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Platforms { missing, left } => {
                let mut hints: Vec<String> = missing.iter().flat_map(|missing| missing.hints.clone()).collect();
                if !left.is_empty() {
                    // What is left of the wish says it better than all that there is.
                    hints.retain(|hint| !hint.starts_with("--platform "));
                    let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                    hints.push(format!("--platform {}", left.join(",")));
                    hints.push("--skip-missing".to_owned());
                }
                hints.dedup();
                hints
            }
            Self::Twice(_) => vec!["name each platform once; linux/arm64 and linux/arm64/v8 are the same".to_owned()],
            Self::Nothing { missing, .. } => {
                let mut hints: Vec<String> = missing.iter().flat_map(|missing| missing.hints.clone()).collect();
                hints.dedup();
                hints
            }
            Self::SameName { name, .. } => {
                vec![format!("give one another name in anyarch.toml: [[program]] name = \"{name}-2\"")]
            }
            Self::TwoWays { name } => {
                vec![format!(
                    "write a [[program]] for each image: name = \"{name}-2\", and `programs` in each [[image]]"
                )]
            }
            Self::SameOutput { name, first, second, .. } => {
                let same = (first.os(), first.architecture()) == (second.os(), second.architecture());
                let variant = if same { "_{{platform.variant}}" } else { "" };
                vec![format!("output = \"dist/{{{{platform.os}}}}_{{{{platform.arch}}}}{variant}/{name}\"")]
            }
            Self::SameDestination { .. } => vec!["set `destination` in anyarch.toml".to_owned()],
            Self::Toolchain(error) => error.hints(),
        }
    }
}
