//! Names of packages become the packages that a sysroot is made of: these and all libraries and headers that they depend
//! on, each with where it lies and what it hashes to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::index::{Index, Package, Parts};
use super::relation::{Relation, group_text};
use super::version::Version;
use crate::blob::Digest;
use crate::hint::Hint;

/// In every sysroot: the C library (its version is the sysroot's glibc), its headers and the kernel's, and the library
/// that unwinding needs.
pub const ALWAYS: &[&str] = &["libc6", "libc6-dev", "libgcc-s1", "linux-libc-dev"];

/// A package that is part of a sysroot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// its name
    pub name: String,
    /// its version, as the index writes it
    pub version: String,
    /// where it lies below the mirror's folder
    pub filename: String,
    /// in bytes
    pub size: u64,
    /// what its bytes hash to
    pub digest: Digest,
}

/// Why there is no such sysroot.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClosureError {
    /// No package has that name.
    #[error("there is no package `{name}`{}", like.as_ref().map(|like| format!("; `{like}` is similar")).unwrap_or_default())]
    Unknown {
        /// what was asked for
        name: String,
        /// the nearest name
        like: Option<String>,
    },
    /// Only others provide that name.
    #[error("`{name}` is no package of its own: it is provided by {}", in_backticks(providers))]
    Virtual {
        /// what was asked for
        name: String,
        /// who provides it
        providers: Vec<String>,
    },
    /// No package meets a dependency.
    #[error("`{package}` depends on `{dependency}`, which no package of the index is")]
    Unsatisfied {
        /// the package
        package: String,
        /// all alternatives
        dependency: String,
    },
    /// Two packages that cannot be together.
    #[error("`{package}` cannot be with `{other}`: it conflicts with `{relation}`")]
    Conflict {
        /// the package
        package: String,
        /// the other
        other: String,
        /// what it says
        relation: String,
    },
}

fn in_backticks(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Hint for ClosureError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unknown { like: Some(like), .. } => vec![format!("packages = [\"{like}\"]")],
            Self::Unknown { name, like: None } => {
                vec![format!("look for it at https://packages.debian.org/search?keywords={name}")]
            }
            Self::Virtual { providers, .. } => {
                providers.iter().take(3).map(|name| format!("packages = [\"{name}\"]")).collect()
            }
            Self::Unsatisfied { dependency, .. } => {
                let first = dependency.split([' ', ':']).next().unwrap_or_default();
                vec![format!("the mirror lacks `{first}`: try another mirror, or a release that has it")]
            }
            Self::Conflict { package, other, .. } => {
                vec![format!("name only one of `{package}` and `{other}` in `packages`")]
            }
        }
    }
}

/// The packages `named`, [`ALWAYS`], and what they depend on (`Pre-Depends` and `Depends`, not `Recommends`), by name.
///
/// Of alternatives one that was named counts, else the first that the index can meet; of several that provide a name, the
/// first by name. Dependencies on programs are checked and not followed ([`Index::read`] has the rule).
///
/// # Errors
/// When a name is unknown, a dependency cannot be met, or two of the packages exclude each other.
pub fn closure(index: &Index, architecture: &str, named: &[String]) -> Result<Vec<Chosen>, ClosureError> {
    let mut walk = Walk { index, architecture, named: BTreeSet::new(), chosen: BTreeMap::new() };
    let mut todo = VecDeque::new();
    let roots: BTreeSet<&str> = named.iter().map(String::as_str).chain(ALWAYS.iter().copied()).collect();
    for name in roots {
        let (name, package) = index.packages.get_key_value(name).ok_or_else(|| walk.unknown(name))?;
        walk.named.insert(name);
        todo.push_back((name.as_str(), package));
    }
    while let Some((name, package)) = todo.pop_front() {
        let Some(parts) = &package.parts else { continue };
        if walk.chosen.insert(name, (&package.version, parts)).is_some() {
            continue;
        }
        for group in &parts.depends {
            todo.push_back(walk.meet(name, group)?);
        }
    }
    walk.check_conflicts()?;
    Ok(walk.chosen.into_iter().map(|(name, (version, parts))| chosen(name, version, parts)).collect())
}

fn chosen(name: &str, version: &Version, parts: &Parts) -> Chosen {
    Chosen {
        name: name.to_owned(),
        version: version.to_string(),
        filename: parts.filename.clone(),
        size: parts.size,
        digest: parts.digest,
    }
}

struct Walk<'index> {
    index: &'index Index,
    architecture: &'index str,
    named: BTreeSet<&'index str>,
    chosen: BTreeMap<&'index str, (&'index Version, &'index Parts)>,
}

impl<'index> Walk<'index> {
    fn unknown(&self, name: &str) -> ClosureError {
        if let Some(providers) = self.index.providers.get(name) {
            return ClosureError::Virtual { name: name.to_owned(), providers: providers.clone() };
        }
        let near = self.index.packages.keys().map(|known| (strsim::osa_distance(name, known), known));
        let like = near.min().filter(|(distance, _)| *distance <= 3.min(name.len() / 2));
        ClosureError::Unknown { name: name.to_owned(), like: like.map(|(_, known)| known.clone()) }
    }

    /// The package that meets one group of alternatives.
    fn meet(&self, name: &str, group: &[Relation]) -> Result<(&'index str, &'index Package), ClosureError> {
        let possible = || group.iter().filter(|relation| relation.is_for(self.architecture));
        let by_name = possible().find_map(|relation| {
            self.candidates(relation).into_iter().find(|(candidate, _)| self.named.contains(candidate))
        });
        by_name
            .or_else(|| possible().find_map(|relation| self.candidates(relation).into_iter().next()))
            .ok_or_else(|| ClosureError::Unsatisfied { package: name.to_owned(), dependency: group_text(group) })
    }

    /// Everything that is what `relation` names: the package of that name first.
    fn candidates(&self, relation: &Relation) -> Vec<(&'index str, &'index Package)> {
        let providers = self.index.providers.get(&relation.name).into_iter().flatten();
        std::iter::once(&relation.name)
            .chain(providers)
            .filter_map(|name| self.index.packages.get_key_value(name))
            .filter(|(name, package)| package.is(name, relation))
            .map(|(name, package)| (name.as_str(), package))
            .collect()
    }

    fn check_conflicts(&self) -> Result<(), ClosureError> {
        for (name, (_, parts)) in &self.chosen {
            for relation in &parts.conflicts {
                let mut others = self.candidates(relation).into_iter();
                if let Some((other, _)) = others.find(|(other, _)| other != name && self.chosen.contains_key(other)) {
                    return Err(ClosureError::Conflict {
                        package: (*name).to_owned(),
                        other: other.to_owned(),
                        relation: relation.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
