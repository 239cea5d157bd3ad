//! `anyarch.toml` as text becomes a [`ConfigFile`]: every key read, nothing guessed, each value with its place.
//! No reference, template or path is looked into here beyond what its text alone can tell.

use std::num::NonZeroU32;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::check;
use super::collections::{ByPlatform, Labels, OneOrMany, Variables};
use super::error::{ConfigError, from_toml};
use super::place::Source;
use super::program::ProgramFile;
use super::values::{Created, Mode, Owner, PlatformWish, Port, Signal};

/// All that a configuration file says. Where a doc comment says "template", the value is still to be rendered.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// the text itself, which turns spans into places
    #[serde(skip)]
    pub source: Source,

    /// what to build for: `--platform`
    pub platforms: Option<Spanned<OneOrMany<PlatformWish>>>,
    /// the base image of every platform: `--base`; a template
    pub base: Option<Spanned<String>>,
    /// the base image of single platforms; templates
    pub bases: ByPlatform<String>,
    /// references to publish under: `--tag`; templates
    pub tags: Option<Spanned<OneOrMany<String>>>,
    /// where images go that have no tag of their own; a template
    pub repository: Option<Spanned<String>>,
    /// where the image is written: `--output`; templates
    pub output: Option<Spanned<OneOrMany<String>>>,

    /// what the container runs; templates
    pub entrypoint: Option<Spanned<Vec<Spanned<String>>>>,
    /// the entrypoint's default arguments; templates
    pub cmd: Option<Spanned<Vec<Spanned<String>>>>,
    /// environment of the container; templates
    pub env: Variables,
    /// `uid`, `uid:gid`, or names that the base knows; a template
    pub user: Option<Spanned<String>>,
    /// an absolute path; a template
    pub workdir: Option<Spanned<String>>,
    /// labels of the image's config: `--label`; templates
    pub labels: Labels,
    /// annotations of index and manifests: `--annotation`; templates
    pub annotations: Labels,
    /// ports that the container listens on
    pub ports: Vec<Spanned<Port>>,
    /// absolute paths; templates
    pub volumes: Option<Spanned<OneOrMany<String>>>,
    /// the signal that stops the container
    pub stop_signal: Option<Spanned<Signal>>,
    /// the creation time that the image shows
    pub created: Option<Spanned<Created>>,

    /// how many compilers run at once: `--jobs`
    pub jobs: Option<Spanned<NonZeroU32>>,
    /// whether the image is pushed: `--push`
    pub push: Option<Spanned<bool>>,
    /// registries that are spoken to by plain http: `--insecure-registry`
    pub insecure_registries: Option<Spanned<OneOrMany<String>>>,
    /// whether only the exact platform of a base will do: `--strict-platform`
    pub strict_platform: Option<Spanned<bool>>,
    /// whether platforms that base or toolchains lack are left out: `--skip-missing`
    pub skip_missing: Option<Spanned<bool>>,
    /// whether all programs go into one image: `--one-image`
    pub one_image: Option<Spanned<bool>>,
    /// whether a single platform is published without an index: `--single-manifest`
    pub single_manifest: Option<Spanned<bool>>,
    /// whether a base with `OnBuild` is taken, its triggers unheeded: `--ignore-onbuild`
    pub ignore_onbuild: Option<Spanned<bool>>,

    /// the toolchain row that compiles whatever has a row of that name: `--toolchain-row`
    pub toolchain_row: Option<Spanned<String>>,

    /// the binaries, in the order of their layers
    pub program: Vec<Spanned<ProgramFile>>,
    /// single files of the project
    pub file: Vec<Spanned<FileEntry>>,
    /// rows over those of `toolchains/*.toml`, unread here
    pub toolchain: Vec<Spanned<toml::Table>>,
    /// rows over those of the platform table, unread here
    pub platform: Vec<Spanned<toml::Table>>,
}

/// `[[file]]`: one file of the project, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// relative to the project's root; a template
    pub source: Spanned<String>,
    /// absolute in the image; a template
    pub destination: Spanned<String>,
    /// 0644, or 0755 for an executable, when not given
    pub mode: Option<Spanned<Mode>>,
    /// 0:0 when not given
    pub owner: Option<Spanned<Owner>>,
}

/// Reads the text of a configuration file. `path` is what errors show; nothing is read from it.
///
/// # Errors
/// When the text is not TOML, has a key that is not known or belongs to another language, lacks a key, or has a value
/// that its key cannot take: the first such place, with line and column.
pub fn load(text: &str, path: &Path) -> Result<ConfigFile, ConfigError> {
    let source = Source::new(path, text);
    let document = toml::Deserializer::parse(text).map_err(|error| ConfigError::Syntax {
        place: source.place(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut file = ConfigFile::deserialize(document).map_err(|error| from_toml(&error, text, &source))?;
    file.source = source;
    check::file(&file)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
