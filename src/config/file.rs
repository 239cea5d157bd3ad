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
use super::program::{Overlay, ProgramFile, replaces};
use super::registry::Registries;
use super::schema::{describe, table};
use super::values::{Created, ImageName, Mode, Owner, PlatformWish, PolicyName, Port, ProgramName, Signal};

/// A list of texts, each with its place.
type Texts = Vec<Spanned<String>>;

/// Makes the tables of an image and of the whole file of one list of keys, so that a key, its type and its meaning
/// stand in one place, for the reader and for the schema.
macro_rules! file {
    (
        image { $($(#[doc = $image_doc:literal])* $image_key:ident: $image_type:ty,)* }
        named { $($(#[doc = $named_doc:literal])* $named_key:ident: $named_type:ty,)* }
        whole { $($(#[doc = $whole_doc:literal])* $whole_key:ident: $whole_type:ty,)* }
    ) => {
        /// All that a configuration file says. Where a doc comment says "template", the value is still to be rendered.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct ConfigFile {
            /// the text itself, which turns spans into places
            #[serde(skip)]
            pub source: Source,
            $($(#[doc = $image_doc])* pub $image_key: $image_type,)*
            $($(#[doc = $whole_doc])* pub $whole_key: $whole_type,)*
        }

        /// `[[image]]`: one of several images. What it leaves out is as the whole file says.
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct ImageFile {
            $($(#[doc = $named_doc])* pub $named_key: $named_type,)*
            $(#[serde(default)] $(#[doc = $image_doc])* pub $image_key: $image_type,)*
        }

        /// What is said of one image.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct ImageKeys {
            $($(#[doc = $image_doc])* pub $image_key: $image_type,)*
        }

        impl ConfigFile {
            /// What the file says of every image.
            #[must_use]
            pub fn image_keys(&self) -> ImageKeys {
                ImageKeys { $($image_key: self.$image_key.clone(),)* }
            }
        }

        impl ImageFile {
            /// What holds for this image: its own keys, and where it says nothing those of the whole file. Tables are
            /// joined by name, files are added, anything else is replaced.
            #[must_use]
            pub fn over(&self, below: &ImageKeys) -> ImageKeys {
                let mut keys = ImageKeys { $($image_key: self.$image_key.over(&below.$image_key),)* };
                if self.repository.is_some() && self.tags.is_none() {
                    // References of the whole file do not outdo a repository of its own.
                    keys.tags = None;
                }
                keys
            }
        }

        describe! { ConfigFile, "", {
            $($image_key: $image_type = concat!($($image_doc),*),)*
            $($whole_key: $whole_type = concat!($($whole_doc),*),)*
        } }
        describe! { ImageFile, "one of several images; what it leaves out is as the whole file says", {
            $($named_key: $named_type = concat!($($named_doc),*),)*
            $($image_key: $image_type = concat!($($image_doc),*),)*
        } }
    };
}

file! {
    image {
        /// what to build for: `--platform`
        platforms: Option<Spanned<OneOrMany<PlatformWish>>>,
        /// the base image of every platform: `--base`; a template
        base: Option<Spanned<String>>,
        /// the base image of single platforms, over any other base; templates
        bases: ByPlatform<String>,
        /// references to publish under: `--tag`; templates
        tags: Option<Spanned<OneOrMany<String>>>,
        /// where images go that have no tag of their own; a template
        repository: Option<Spanned<String>>,

        /// what the container runs, the first program when not given; templates
        entrypoint: Option<Spanned<Texts>>,
        /// the entrypoint's default arguments; templates
        cmd: Option<Spanned<Texts>>,
        /// environment of the container; templates
        env: Variables,
        /// `uid`, `uid:gid`, or names that the base knows; a template
        user: Option<Spanned<String>>,
        /// an absolute path; a template
        workdir: Option<Spanned<String>>,
        /// labels of the image's config: `--label`; templates
        labels: Labels,
        /// annotations of index and manifests, `index:KEY` or `manifest:KEY` for one of both: `--annotation`; templates
        annotations: Labels,
        /// ports that the container listens on
        ports: Option<Spanned<Vec<Spanned<Port>>>>,
        /// absolute paths; templates
        volumes: Option<Spanned<OneOrMany<String>>>,
        /// the signal that stops the container
        stop_signal: Option<Spanned<Signal>>,
        /// the creation time that the image shows
        created: Option<Spanned<Created>>,
        /// files and folders of the project
        file: Vec<Spanned<FileEntry>>,
    }
    named {
        /// what it is called: `--image`, `image.name`, and the name of its folder in `.anyarch/out`
        name: Spanned<ImageName>,
        /// the programs in it, by name; all when not given
        programs: Option<Spanned<OneOrMany<ProgramName>>>,
    }
    whole {
        /// where the image is written: `--output`; templates
        output: Option<Spanned<OneOrMany<String>>>,
        /// how many compilers run at once: `--jobs`
        jobs: Option<Spanned<NonZeroU32>>,
        /// whether the image is pushed: `--push`
        push: Option<Spanned<bool>>,
        /// how many requests of a push may be open at once at each registry: `--push-jobs`
        push_jobs: Option<Spanned<NonZeroU32>>,
        /// what happens with an image that would not start: `strict` (when not given), `warn` or `off`: `--verify`
        verify: Option<Spanned<PolicyName>>,
        /// registries that are spoken to by plain http: `--insecure-registry`
        insecure_registries: Option<Spanned<OneOrMany<String>>>,
        /// whether only the exact platform of a base will do: `--strict-platform`
        strict_platform: Option<Spanned<bool>>,
        /// whether platforms that base or toolchains lack are left out: `--skip-missing`
        skip_missing: Option<Spanned<bool>>,
        /// whether all programs go into one image: `--one-image`
        one_image: Option<Spanned<bool>>,
        /// whether a single platform is published without an index: `--single-manifest`
        single_manifest: Option<Spanned<bool>>,
        /// whether a base with `OnBuild` is taken, its triggers unheeded: `--ignore-onbuild`
        ignore_onbuild: Option<Spanned<bool>>,
        /// the toolchain row that compiles whatever has a row of that name: `--toolchain-row`
        toolchain_row: Option<Spanned<String>>,

        /// where registries are read from and whom they trust, by registry or by what is below a path of one
        registry: Registries,
        /// the binaries, in the order of their layers
        program: Vec<Spanned<ProgramFile>>,
        /// the images, where there are several
        image: Vec<Spanned<ImageFile>>,
        /// rows over those of `toolchains/*.toml`, unread here
        toolchain: Vec<Spanned<toml::Table>>,
        /// rows over those of the platform table, unread here
        platform: Vec<Spanned<toml::Table>>,
    }
}

table! {
    /// `[[file]]`: a file or a folder of the project, and where it goes
    FileEntry {
        /// relative to the project's root, a file or a folder; of a folder what git tracks is taken; a template
        source: Spanned<String>,
        /// absolute in the image: the path of the file, or of the folder; a template
        destination: Spanned<String>,
        /// 0644, or 0755 for an executable, when not given
        mode: Option<Spanned<Mode>>,
        /// 0:0 when not given
        owner: Option<Spanned<Owner>>,
        /// true: of a folder everything is taken that `.anyarchignore` leaves, whether or not git tracks it
        ignored: Option<Spanned<bool>>,
    }
}

replaces!(OneOrMany<PlatformWish>, Vec<Spanned<Port>>, Signal, Created);

macro_rules! joins_by_name {
    ($($type:ident $(<$parameter:ty>)?),* $(,)?) => {$(
        impl Overlay for $type $(<$parameter>)? {
            fn over(&self, below: &Self) -> Self {
                let mut joined = below.0.clone();
                joined.extend(self.0.clone());
                Self(joined)
            }
        }
    )*};
}
joins_by_name!(Variables, Labels, ByPlatform<String>);

impl Overlay for Vec<Spanned<FileEntry>> {
    /// The whole file's come first; two for one destination are an error elsewhere.
    fn over(&self, below: &Self) -> Self {
        below.iter().chain(self).cloned().collect()
    }
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
