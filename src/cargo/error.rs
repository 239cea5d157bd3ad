//! Why a Rust project gives no program, in words, with the lines that help.

use std::path::{Path, PathBuf};

use crate::hint::Hint;
use crate::invocation::quote;

/// What can go wrong between a `Cargo.toml` and a call of cargo.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// What cargo printed is not what it should be.
    #[error("what `{command}` printed cannot be read")]
    Output {
        /// the command
        command: String,
        /// what is wrong with it
        #[source]
        source: Box<serde_json::Error>,
    },
    /// What rustc printed about itself lacks something.
    #[error("`{command}` does not say its {what}")]
    Rustc {
        /// the command
        command: String,
        /// what was looked for
        what: &'static str,
    },
    /// `cargo metadata` failed.
    #[error("cargo cannot read the project in `{}`:\n{}", .directory.display(), .output.trim_end())]
    Metadata {
        /// the folder it ran in
        directory: PathBuf,
        /// what it wrote to standard error
        output: String,
    },
    /// There is no lock file, and we write none.
    #[error("`{}` does not exist: without it two builds can take different dependencies", .path.display())]
    NoLockFile {
        /// where it should be
        path: PathBuf,
    },
    /// The lock file does not fit the manifests any more, and we do not write it.
    #[error("`{}` no longer fits the Cargo.toml files", .path.display())]
    StaleLockFile {
        /// where it is
        path: PathBuf,
    },
    /// The package that was asked for is not a member.
    #[error("the workspace `{}` has no package `{name}`{}", .workspace.display(), did_you_mean(.nearest.as_ref()))]
    UnknownPackage {
        /// the name
        name: String,
        /// the workspace's folder
        workspace: PathBuf,
        /// the most similar name, if one is
        nearest: Option<String>,
        /// the packages that have programs
        known: Vec<String>,
    },
    /// The program that was asked for does not exist.
    #[error("in {} there is no program `{name}`{}", list(.packages), did_you_mean(.nearest.as_ref()))]
    UnknownBinary {
        /// the name
        name: String,
        /// the packages that were looked at
        packages: Vec<String>,
        /// the most similar name, if one is
        nearest: Option<String>,
        /// settings that would do
        ways_out: Vec<String>,
    },
    /// Several programs, and none was chosen.
    #[error("in {} there are {} programs: {}", list(.packages), .choices.len(), .choices.join(", "))]
    SeveralBinaries {
        /// the packages that were looked at
        packages: Vec<String>,
        /// the programs' names
        choices: Vec<String>,
        /// settings that choose
        ways_out: Vec<String>,
    },
    /// A library.
    #[error("in {} there is no program to build, only libraries", list(.packages))]
    NoBinary {
        /// the packages that were looked at
        packages: Vec<String>,
        /// settings that choose a program of another package
        ways_out: Vec<String>,
    },
    /// The program needs features that are off.
    #[error("the program `{name}` of the package `{package}` needs features that are off: {}", .missing.join(", "))]
    FeaturesOff {
        /// the program
        name: String,
        /// its package
        package: String,
        /// the features
        missing: Vec<String>,
    },
}

impl CargoError {
    /// Reads the reason out of what `cargo metadata` wrote to standard error when it failed.
    /// `workspace` is the root, where the lock file belongs.
    #[must_use]
    pub fn from_failed_metadata(directory: &Path, workspace: &Path, output: &str) -> Self {
        let path = workspace.join("Cargo.lock");
        // The words differ from version to version ("needs to be updated but --locked was passed", "cannot create the
        // lock file ... because --locked was passed"); the flag is in all of them.
        let about_lock = output.lines().any(|line| line.contains("lock file") && line.contains("--locked"));
        if !about_lock {
            return Self::Metadata { directory: directory.to_owned(), output: output.to_owned() };
        }
        if output.contains("cannot create the lock file") {
            return Self::NoLockFile { path };
        }
        Self::StaleLockFile { path }
    }
}

impl Hint for CargoError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoLockFile { path } => {
                vec![format!("cargo generate-lockfile --manifest-path {}", manifest_beside(path))]
            }
            Self::StaleLockFile { path } => {
                vec![format!("cargo update --workspace --manifest-path {}", manifest_beside(path))]
            }
            Self::UnknownPackage { known, .. } => known.iter().map(|name| format!("--package {name}")).collect(),
            Self::UnknownBinary { ways_out, .. }
            | Self::SeveralBinaries { ways_out, .. }
            | Self::NoBinary { ways_out, .. } => ways_out.clone(),
            Self::FeaturesOff { missing, .. } => {
                let names: Vec<String> = missing.iter().map(|name| format!("\"{name}\"")).collect();
                vec![format!("features = [{}]", names.join(", "))]
            }
            Self::Output { .. } | Self::Rustc { .. } | Self::Metadata { .. } => Vec::new(),
        }
    }
}

fn manifest_beside(lock_file: &Path) -> String {
    quote(&lock_file.with_file_name("Cargo.toml").display().to_string())
}

fn did_you_mean(nearest: Option<&String>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

fn list(packages: &[String]) -> String {
    let names: Vec<String> = packages.iter().map(|name| format!("`{name}`")).collect();
    let noun = if names.len() == 1 { "package" } else { "packages" };
    format!("the {noun} {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_words_about_the_lock_file_are_understood() {
        // The first two are of cargo 1.95, the third of older ones.
        let missing = "error: cannot create the lock file /w/Cargo.lock because --locked was passed to prevent this\n\
                       help: to generate the lock file without accessing the network, remove the --locked flag";
        let stale = "    Updating crates.io index\n\
                     error: cannot update the lock file /w/Cargo.lock because --locked was passed to prevent this";
        let older = "error: the lock file /w/Cargo.lock needs to be updated but --locked was passed to prevent this";
        let other = "error: unclosed table, expected `]`\n --> Cargo.toml:5:14\n";
        for (output, words, hint) in [
            (
                missing,
                "`/w/Cargo.lock` does not exist: without it two builds can take different dependencies",
                Some("cargo generate-lockfile --manifest-path /w/Cargo.toml"),
            ),
            (
                stale,
                "`/w/Cargo.lock` no longer fits the Cargo.toml files",
                Some("cargo update --workspace --manifest-path /w/Cargo.toml"),
            ),
            (
                older,
                "`/w/Cargo.lock` no longer fits the Cargo.toml files",
                Some("cargo update --workspace --manifest-path /w/Cargo.toml"),
            ),
            (
                other,
                "cargo cannot read the project in `/w/app`:\nerror: unclosed table, expected `]`\n --> Cargo.toml:5:14",
                None,
            ),
        ] {
            let error = CargoError::from_failed_metadata(Path::new("/w/app"), Path::new("/w"), output);
            assert_eq!(error.to_string(), words);
            assert_eq!(error.hints().first().map(String::as_str), hint);
        }
    }
}
