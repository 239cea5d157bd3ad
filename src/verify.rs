//! An image's config and tree against its platform: whether what it names would start, and if not, why and what to do.
//!
//! Nothing is run. What the kernel looks at, what the loader looks for and what the engine looks up is looked at, looked for
//! and looked up here in the same way and order, in the image's own files. What cannot be known is said to be unknown.

mod advice;
mod cache;
mod config;
mod libc;
mod link;
mod policy;
mod problem;
mod search;
mod start;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::elf::Linkage;
use crate::listing::{Binary, Contents, Loader};
use crate::platform::{Os, Platform};
use crate::tree::{Miss, Tree};

use link::{Linking, loader_fits};
use search::{Object, Search};
use start::{Started, Starter};
use user::{EXECUTE, User};

pub use advice::{Built, advice};
pub use config::{DEFAULT_PATH, StartConfig};
pub use libc::{ImageLibc, libc_of};
pub use policy::Policy;
pub use problem::Problem;
pub use start::{SCRIPTS, asked_of_env, interpreter_of};
pub use user::{Numbers, numbers};

/// An answer that depends on a layer which is not in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedsLower;

/// Whether an image starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// nothing keeps it from starting
    Ok,
    /// that cannot be said
    Unknown,
    /// it does not start
    Fails,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Fails => "fails",
        })
    }
}

/// What an image starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// a binary that needs no loader
    Static,
    /// the same, at any address
    StaticPie,
    /// a binary with a loader
    Dynamic,
    /// a script
    Script,
}

impl Format {
    fn of(binary: &Binary) -> Self {
        match binary.facts.linkage {
            Linkage::Dynamic => Self::Dynamic,
            Linkage::StaticPie => Self::StaticPie,
            _ => Self::Static,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Static => "static",
            Self::StaticPie => "static-pie",
            Self::Dynamic => "dynamic",
            Self::Script => "script",
        })
    }
}

/// What was found out about one platform of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// the words of the start: entrypoint and command
    pub words: Vec<String>,
    /// where the program that they name is
    pub program: Option<String>,
    /// what it is
    pub format: Option<Format>,
    /// the libc that its loader brings: `glibc 2.36`
    pub libc: Option<String>,
    /// what a person should know, in the order of a start
    pub problems: Vec<Problem>,
}

impl Judgement {
    /// The worst of what was found.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.problems.iter().map(Problem::verdict).max().unwrap_or(Verdict::Ok)
    }
}

/// Judges one platform of an image.
///
/// # Errors
/// When the tree lacks a layer that the answer depends on.
pub fn judge(platform: Platform, config: &StartConfig, tree: &Tree<'_>) -> Result<Judgement, NeedsLower> {
    let mut judgement = Judgement { words: config.words(), ..Judgement::default() };
    if platform.os() != Os::Linux {
        judgement.problems.push(Problem::OtherSystem);
        return Ok(judgement);
    }
    judgement.problems.extend(folder(config, tree)?);
    let user = match User::find(tree, &config.user)? {
        Ok(user) => user,
        Err(problem) => {
            judgement.problems.push(problem);
            return Ok(judgement);
        }
    };
    let starter = Starter { tree, platform, config, user: &user };
    let Started { binary, path, format, problems } = starter.start()?;
    (judgement.program, judgement.format) = (path, format);
    judgement.problems.extend(problems);
    if let Some((path, binary)) = binary.filter(|(_, binary)| binary.facts.linkage == Linkage::Dynamic)
        && judgement.verdict() != Verdict::Fails
    {
        let (libc, problems) = dynamic(&starter, path, binary)?;
        judgement.libc = libc;
        judgement.problems.extend(problems);
    }
    Ok(judgement)
}

/// Judges one platform of an image that is to start each of `programs`, absolute paths, beside what its config names.
///
/// # Errors
/// When the tree lacks a layer that the answer depends on.
pub fn judge_each(
    platform: Platform,
    config: &StartConfig,
    programs: &[String],
    tree: &Tree<'_>,
) -> Result<Judgement, NeedsLower> {
    let mut judgement = judge(platform, config, tree)?;
    for program in programs.iter().filter(|program| judgement.program.as_ref() != Some(*program)) {
        for problem in judge(platform, &config.starting(program), tree)?.problems {
            if !judgement.problems.contains(&problem) {
                judgement.problems.push(problem);
            }
        }
    }
    Ok(judgement)
}

/// Engines make a working folder that is not there; one that is something else ends the start.
fn folder(config: &StartConfig, tree: &Tree<'_>) -> Result<Option<Problem>, NeedsLower> {
    let folder = config.folder();
    if folder.is_empty() {
        return Ok(None);
    }
    Ok(match tree.find(&folder) {
        Ok(found) if found.node.is_folder() => None,
        Ok(_) | Err(Miss::NotAFolder | Miss::Circle) => Some(Problem::NoFolder { folder }),
        Err(Miss::Missing) => Some(Problem::FolderToMake { folder }),
        Err(Miss::NeedsLower) => return Err(NeedsLower),
    })
}

/// Judges what the loader of a dynamic program would do; also the libc that it brings.
fn dynamic(
    starter: &Starter<'_, '_>,
    path: String,
    binary: &Binary,
) -> Result<(Option<String>, Vec<Problem>), NeedsLower> {
    let (tree, platform) = (starter.tree, starter.platform);
    let interpreter = binary.facts.interpreter.clone().unwrap_or_default();
    let program = path.clone();
    let found = match tree.find(&interpreter) {
        Ok(found) => found,
        Err(Miss::NeedsLower) => return Err(NeedsLower),
        Err(_) => {
            let other = other_libc(tree, platform, &interpreter)?;
            return Ok((None, vec![Problem::NoLoader { program, interpreter, other, platform }]));
        }
    };
    let wrong = |why: String| Problem::WrongLoader { program: program.clone(), interpreter: interpreter.clone(), why };
    let loader = match found.node.file().map(|file| &file.contents) {
        Some(Contents::Elf(loader)) => loader,
        Some(Contents::NotRead(why) | Contents::Unreadable(why)) => return Ok((None, vec![wrong(why.clone())])),
        _ => return Ok((None, vec![wrong("is no binary".to_owned())])),
    };
    if !loader_fits(&loader.facts, &binary.facts) {
        return Ok((None, vec![wrong(format!("is {}", loader.facts.described()))]));
    }
    if !starter.user.may(EXECUTE, found.node, tree)? {
        return Ok((None, vec![wrong(format!("cannot be executed: its mode is {:04o}", found.node.mode))]));
    }
    let Some(kind) = &loader.loader else {
        return Ok((None, vec![Problem::UnknownLoader { program, interpreter }]));
    };
    let variable = |name: &str| starter.config.variable(name).filter(|value| !value.is_empty());
    let search = Search::new(tree, platform, (&interpreter, kind), &binary.facts, variable("LD_LIBRARY_PATH"))?;
    let names = [Some(interpreter.clone()), loader.facts.soname.clone()].into_iter().flatten().collect();
    let linking = Linking {
        search: &search,
        platform,
        loader: Object { names, opened: interpreter, path: found.path, binary: loader, by: Some(0) },
        preloads: preloads(tree, variable("LD_PRELOAD"), kind)?,
        binds_now: variable("LD_BIND_NOW").is_some(),
        libc: Some(libc(kind, &[])),
    };
    let (objects, problems) =
        linking.load(Object { names: Vec::new(), opened: path.clone(), path, binary, by: None })?;
    Ok((Some(libc(kind, &objects)), problems))
}

/// What loaders load before all else, and what names it: `LD_PRELOAD`, and for glibc `/etc/ld.so.preload` after that
/// (`handle_preload_list` and `dl_main` in `elf/rtld.c`; `load_preload` in musl's `ldso/dynlink.c`).
fn preloads(
    tree: &Tree<'_>,
    variable: Option<&str>,
    loader: &Loader,
) -> Result<Vec<(String, &'static str)>, NeedsLower> {
    const FILE: &str = "/etc/ld.so.preload";
    let is_musl = matches!(loader, Loader::Musl { .. });
    let separates = |letter: char| letter == ':' || letter == ' ' || (is_musl && letter.is_ascii_whitespace());
    let named = variable.unwrap_or_default().split(separates).map(|name| (name.to_owned(), "LD_PRELOAD"));
    let mut preloads: Vec<(String, &str)> = named.collect();
    if !is_musl && let Some(bytes) = search::kept(tree, FILE)? {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        preloads.extend(lines.flat_map(|line| line.split([':', ' ', '\t'])).map(|name| (name.to_owned(), FILE)));
    }
    preloads.retain(|(name, _)| !name.is_empty());
    Ok(preloads)
}

/// The libc that a loader brings, with its version: musl's own, or that of the loaded `libc.so.6`.
fn libc(loader: &Loader, objects: &[Object<'_>]) -> String {
    match loader {
        Loader::Musl { version, .. } => {
            version.as_ref().map_or_else(|| "musl".to_owned(), |version| format!("musl {version}"))
        }
        Loader::Glibc { .. } => {
            let library = objects.iter().find(|object| object.names.iter().any(|name| name == "libc.so.6"));
            let version = library.and_then(|library| library.binary.glibc.clone());
            version.map_or_else(|| "glibc".to_owned(), |version| format!("glibc {version}"))
        }
    }
}

/// What an image has in the place of a loader that it lacks: `musl 1.2.5`, or `glibc`.
fn other_libc(tree: &Tree<'_>, platform: Platform, interpreter: &str) -> Result<Option<String>, NeedsLower> {
    let Some(loaders) = crate::elf::loaders(platform) else { return Ok(None) };
    for path in [loaders.glibc, loaders.musl].into_iter().filter(|path| *path != interpreter) {
        match tree.find(path) {
            Ok(found) => {
                if let Some(Contents::Elf(binary)) = found.node.file().map(|file| &file.contents) {
                    return Ok(binary.loader.as_ref().map(|loader| libc(loader, &[])));
                }
            }
            Err(Miss::NeedsLower) => return Err(NeedsLower),
            Err(_) => {}
        }
    }
    Ok(None)
}
