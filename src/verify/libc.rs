//! The tree of an image becomes its libc: which one it is, and of which version.

use std::fmt;

use crate::elf::{check_code, loaders};
use crate::listing::{Binary, Contents, Loader};
use crate::platform::Platform;
use crate::tree::{Miss, Tree};

use super::search::{Object, Outcome, Search};
use super::{NeedsLower, StartConfig};

/// The libc that dynamic programs of an image use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageLibc {
    /// there is no loader, so dynamic programs do not start at all
    None,
    /// musl, with its version where it says so: `1.2.5`
    Musl(Option<String>),
    /// glibc, with its version, major and minor; `None` where its loader is there and no `libc.so.6` that says its version
    Glibc(Option<(u32, u32)>),
}

impl fmt::Display for ImageLibc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("no libc"),
            Self::Musl(Some(version)) => write!(formatter, "musl {version}"),
            Self::Musl(None) => formatter.write_str("musl"),
            Self::Glibc(Some((major, minor))) => write!(formatter, "glibc {major}.{minor}"),
            Self::Glibc(None) => formatter.write_str("a glibc that does not say its version"),
        }
    }
}

/// Finds the libc of an image: by the loaders at the paths where programs of the platform look for one. Of two, it is the
/// one that the image's own shell uses, and without a shell glibc's.
///
/// # Errors
/// When the tree lacks a layer that the answer depends on.
pub fn libc_of(platform: Platform, config: &StartConfig, tree: &Tree<'_>) -> Result<ImageLibc, NeedsLower> {
    let Some(paths) = loaders(platform) else { return Ok(ImageLibc::None) };
    let glibc = loader(platform, paths.glibc, tree)?.filter(|(_, loader)| matches!(loader, Loader::Glibc { .. }));
    let musl = loader(platform, paths.musl, tree)?.and_then(|(_, loader)| match loader {
        Loader::Musl { version, .. } => Some(ImageLibc::Musl(version.clone())),
        Loader::Glibc { .. } => None,
    });
    let Some((binary, kind)) = glibc else { return Ok(musl.unwrap_or(ImageLibc::None)) };
    if let Some(musl) = musl
        && interpreter(tree, "/bin/sh")?.is_some_and(|interpreter| interpreter == paths.musl)
    {
        return Ok(musl);
    }
    let variable = config.variable("LD_LIBRARY_PATH").filter(|value| !value.is_empty());
    let search = Search::new(tree, platform, (paths.glibc, kind), &binary.facts, variable)?;
    let names = vec![paths.glibc.to_owned()];
    let any = Object { names, opened: paths.glibc.to_owned(), path: paths.glibc.to_owned(), binary, by: None };
    let version = match search.find("libc.so.6", 0, &[any])? {
        Outcome::Found { binary, .. } => binary.glibc.as_deref().and_then(numbers),
        Outcome::Nowhere { .. } | Outcome::Refused { .. } | Outcome::TooLong => None,
    };
    Ok(ImageLibc::Glibc(version))
}

fn elf<'listing>(tree: &Tree<'listing>, path: &str) -> Result<Option<&'listing Binary>, NeedsLower> {
    match tree.find(path) {
        Ok(found) => Ok(match found.node.file().map(|file| &file.contents) {
            Some(Contents::Elf(binary)) => Some(binary),
            _ => None,
        }),
        Err(Miss::NeedsLower) => Err(NeedsLower),
        Err(_) => Ok(None),
    }
}

/// The loader at `path`; one that the platform's CPU does not run is none.
fn loader<'listing>(
    platform: Platform,
    path: &str,
    tree: &Tree<'listing>,
) -> Result<Option<(&'listing Binary, &'listing Loader)>, NeedsLower> {
    let binary = elf(tree, path)?.filter(|binary| check_code(&binary.facts, platform).is_ok());
    Ok(binary.and_then(|binary| Some((binary, binary.loader.as_ref()?))))
}

fn interpreter<'listing>(tree: &Tree<'listing>, path: &str) -> Result<Option<&'listing str>, NeedsLower> {
    Ok(elf(tree, path)?.and_then(|binary| binary.facts.interpreter.as_deref()))
}

/// Major and minor of a version as glibc says it: `2.31`, or `2.39.9000` before a release.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
