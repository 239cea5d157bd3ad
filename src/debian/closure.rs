//! Names of packages become the packages that a sysroot is made of: these and all libraries and headers that they depend
//! on, each with where it lies and what it hashes to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::index::{Index, Package};
use super::relation::{Relation, group_text, groups};
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
    /// A relation that cannot be read.
    #[error("the relations of `{package}` hold `{text}`, which names no package")]
    Syntax {
        /// the package
        package: String,
        /// what it says
        text: String,
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
            Self::Syntax { .. } => Vec::new(),
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
        let (name, _) = index.packages.get_key_value(name).ok_or_else(|| walk.unknown(name))?;
        walk.named.insert(name);
        todo.push_back(&**name);
    }
    while let Some(name) = todo.pop_front() {
        let package = &index.packages[name];
        let Some(parts) = &package.parts else { continue };
        if walk.chosen.insert(name, package).is_some() {
            continue;
        }
        for group in read(name, &parts.depends)? {
            todo.push_back(walk.meet(name, &group)?);
        }
    }
    walk.check_conflicts()?;
    Ok(walk.chosen.into_iter().filter_map(|(name, package)| chosen(name, package)).collect())
}

fn read(name: &str, field: &str) -> Result<Vec<Vec<Relation>>, ClosureError> {
    groups(field).map_err(|text| ClosureError::Syntax { package: name.to_owned(), text })
}

fn chosen(name: &str, package: &Package) -> Option<Chosen> {
    let parts = package.parts.as_ref()?;
    Some(Chosen {
        name: name.to_owned(),
        version: package.version.to_string(),
        filename: parts.filename.to_string(),
        size: parts.size,
        digest: parts.digest,
    })
}

struct Walk<'index> {
    index: &'index Index,
    architecture: &'index str,
    named: BTreeSet<&'index str>,
    chosen: BTreeMap<&'index str, &'index Package>,
}

impl<'index> Walk<'index> {
    fn unknown(&self, name: &str) -> ClosureError {
        let providers: Vec<String> = Relation::parse(name)
            .map(|relation| self.providers(&relation).map(str::to_owned).collect())
            .unwrap_or_default();
        if !providers.is_empty() {
            return ClosureError::Virtual { name: name.to_owned(), providers };
        }
        let near = self.index.packages.keys().map(|known| (strsim::osa_distance(name, known), known));
        let like = near.min().filter(|(distance, _)| *distance <= 3.min(name.len() / 2));
        ClosureError::Unknown { name: name.to_owned(), like: like.map(|(_, known)| known.to_string()) }
    }

    /// The package that meets one group of alternatives.
    fn meet(&self, name: &str, group: &[Relation]) -> Result<&'index str, ClosureError> {
        let possible = || group.iter().filter(|relation| relation.is_for(self.architecture));
        let named = possible().find_map(|relation| {
            self.named.iter().copied().find(|name| is_met_by(relation, name, &self.index.packages[*name]))
        });
        named
            .or_else(|| possible().find_map(|relation| self.own(relation).or_else(|| self.providers(relation).next())))
            .ok_or_else(|| ClosureError::Unsatisfied { package: name.to_owned(), dependency: group_text(group) })
    }

    /// The package of that name, in a version that will do.
    fn own(&self, relation: &Relation) -> Option<&'index str> {
        let (name, package) = self.index.packages.get_key_value(&*relation.name)?;
        relation.allows(&package.version).then_some(name)
    }

    /// The other packages that provide that name.
    fn providers(&self, relation: &Relation) -> impl Iterator<Item = &'index str> {
        let others = self.index.packages.iter().filter(move |(name, _)| ***name != *relation.name);
        others.filter(move |(name, package)| is_met_by(relation, name, package)).map(|(name, _)| &**name)
    }

    fn check_conflicts(&self) -> Result<(), ClosureError> {
        for (name, package) in &self.chosen {
            let field = package.parts.as_ref().map_or("", |parts| &*parts.conflicts);
            for relation in read(name, field)?.iter().flatten().filter(|relation| relation.is_for(self.architecture)) {
                let mut others = self.chosen.iter().filter(|(other, _)| *other != name);
                if let Some((other, _)) = others.find(|(other, package)| is_met_by(relation, other, package)) {
                    return Err(ClosureError::Conflict {
                        package: (*name).to_owned(),
                        other: (*other).to_owned(),
                        relation: relation.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn is_met_by(relation: &Relation, name: &str, package: &Package) -> bool {
    relation.is_met_by(name, &package.version, &package.provides)
}

#[cfg(test)]
mod tests;
