//! What must hold between the values of a configuration file, and what a value that is no template can be held to at
//! once. A template is held to the same rules by whoever renders it.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::error::ConfigError;
use super::file::{ConfigFile, FileEntry, ImageKeys};
use super::place::Source;
use super::program::{ProgramFile, WrittenKey};
use super::template::is_template;
use super::value_error::ValueError;
use super::values::{ImageName, absolute, destination, file_destination};
use crate::annotation::AnnotationKey;
use crate::toolchain::Language;

/// Holds a whole file to the rules.
///
/// # Errors
/// The first rule that is broken, with its place.
pub(super) fn file(file: &ConfigFile) -> Result<(), ConfigError> {
    let source = &file.source;
    image_keys(source, &file.image_keys())?;
    images(file)?;
    literal(source, "toolchain_row", file.toolchain_row.as_ref(), not_empty)?;
    file.registry.check(source)?;
    for entry in &file.program {
        program(source, entry)?;
    }
    if let (Some(output), Some(push)) = (&file.output, file.push.as_ref().filter(|push| *push.get_ref())) {
        return Err(ConfigError::Together {
            key: "output",
            place: source.place_of(output),
            other: "push",
            other_place: source.place_of(push),
        });
    }
    if let (Some(one_image), Some(image)) = (&file.one_image, file.image.first()) {
        return Err(ConfigError::Together {
            key: "one_image",
            place: source.place_of(one_image),
            other: "image",
            other_place: source.place_of(image),
        });
    }
    destinations(file)
}

/// Holds what is said of one image to the rules.
fn image_keys(source: &Source, keys: &ImageKeys) -> Result<(), ConfigError> {
    if let Some(platforms) = keys.platforms.as_ref().filter(|platforms| platforms.get_ref().is_empty()) {
        return Err(ConfigError::bad_value(source, "platforms", platforms, &ValueError::Empty));
    }
    let texts =
        [("base", &keys.base), ("repository", &keys.repository), ("user", &keys.user), ("workdir", &keys.workdir)];
    for (key, value) in texts {
        literal(source, key, value.as_ref(), not_empty)?;
    }
    literal(source, "workdir", keys.workdir.as_ref(), absolute)?;
    for base in keys.bases.0.values() {
        literal(source, "bases", Some(base), not_empty)?;
    }
    for volume in keys.volumes.iter().flat_map(|volumes| volumes.get_ref().iter()) {
        literal(source, "volumes", Some(volume), absolute)?;
    }
    for tag in keys.tags.iter().flat_map(|tags| tags.get_ref().iter()) {
        literal(source, "tags", Some(tag), not_empty)?;
    }
    for (key, value) in &keys.annotations.0 {
        key.parse::<AnnotationKey>()
            .map_err(|error| ConfigError::bad_value(source, "annotations", value, &ValueError::Annotation(error)))?;
    }
    for entry in &keys.file {
        let FileEntry { source: from, destination: to, .. } = entry.get_ref();
        literal(source, "source", Some(from), not_empty)?;
        literal(source, "destination", Some(to), file_destination)?;
    }
    Ok(())
}

/// Holds the `[[image]]` tables to the rules, each with its own keys and those of the whole file.
fn images(file: &ConfigFile) -> Result<(), ConfigError> {
    let source = &file.source;
    let mut names: BTreeMap<&str, &Spanned<ImageName>> = BTreeMap::new();
    for entry in &file.image {
        let image = entry.get_ref();
        let name = &image.name.get_ref().0;
        if let Some(first) = names.insert(name, &image.name) {
            return Err(ConfigError::ImageTwice {
                name: name.clone(),
                place: source.place_of(&image.name),
                first: source.place_of(first),
            });
        }
        let keys = image.over(&file.image_keys());
        image_keys(source, &keys)?;
        let mut programs = BTreeSet::new();
        for program in image.programs.iter().flat_map(|programs| programs.get_ref().iter()) {
            if !programs.insert(&program.get_ref().0) {
                let error = ValueError::NameTwice { name: program.get_ref().0.clone() };
                return Err(ConfigError::bad_value(source, "programs", program, &error));
            }
        }
        let no_program = image.programs.as_ref().is_some_and(|programs| programs.get_ref().is_empty());
        if no_program && keys.file.is_empty() {
            return Err(ConfigError::EmptyImage { name: name.clone(), place: source.place_of(entry) });
        }
    }
    Ok(())
}

/// Applies a rule to a value that is no template.
fn literal(
    source: &Source,
    key: &'static str,
    value: Option<&Spanned<String>>,
    rule: fn(&str) -> Result<(), ValueError>,
) -> Result<(), ConfigError> {
    match value.filter(|value| !is_template(value.get_ref())) {
        Some(value) => rule(value.get_ref()).map_err(|error| ConfigError::bad_value(source, key, value, &error)),
        None => Ok(()),
    }
}

/// Holds a value to having something in it.
///
/// # Errors
/// [`ValueError::Empty`].
pub fn not_empty(text: &str) -> Result<(), ValueError> {
    if text.is_empty() { Err(ValueError::Empty) } else { Ok(()) }
}

fn program(source: &Source, entry: &Spanned<ProgramFile>) -> Result<(), ConfigError> {
    let program = entry.get_ref();
    literal(source, "destination", program.destination.as_ref(), destination)?;
    let texts = [
        ("package", &program.package),
        ("bin", &program.bin),
        ("profile", &program.profile),
        ("toolchain", &program.toolchain),
        ("path", &program.path),
    ];
    for (key, value) in texts {
        literal(source, key, value.as_ref(), not_empty)?;
    }
    if let (Some(bin), Some(bins)) = (&program.bin, program.bins.as_ref().filter(|bins| *bins.get_ref())) {
        return Err(ConfigError::Together {
            key: "bin",
            place: source.place_of(bin),
            other: "bins",
            other_place: source.place_of(bins),
        });
    }
    for settings in [program.settings()].into_iter().chain(program.platform.0.values().map(|it| it.get_ref().clone())) {
        let Some(command) = &settings.command else { continue };
        match command.get_ref().first() {
            Some(word) => literal(source, "command", Some(word), not_empty)?,
            None => return Err(ConfigError::bad_value(source, "command", command, &ValueError::Empty)),
        }
    }
    match &program.language {
        Some(language) => language_keys(source, entry, language.get_ref().0),
        None => Ok(()),
    }
}

/// Holds a program to the keys that its language has. [`load`](super::load) does so where the file names the language;
/// whoever finds it out otherwise calls this.
///
/// # Errors
/// When a key is written that belongs to another language, or a prebuilt program lacks its `path`.
pub fn language_keys(source: &Source, entry: &Spanned<ProgramFile>, language: Language) -> Result<(), ConfigError> {
    let program = entry.get_ref();
    let mut written: Vec<WrittenKey> = program.written();
    written.extend(program.platform.0.values().flat_map(|special| special.get_ref().written()));
    let misplaced =
        written.into_iter().filter(|key| !key.languages.contains(&language)).min_by_key(|key| key.span.start);
    if let Some(WrittenKey { key, span, languages }) = misplaced {
        return Err(ConfigError::OtherLanguage { key, place: source.place(span.start), language, languages });
    }
    let has_path =
        program.path.is_some() || program.platform.0.values().any(|special| special.get_ref().path.is_some());
    let has_command =
        program.command.is_some() || program.platform.0.values().any(|special| special.get_ref().command.is_some());
    if language == Language::Command && !has_command {
        return Err(ConfigError::MissingKey {
            table: "program".into(),
            place: source.place(entry.span().start),
            key: "command".into(),
        });
    }
    if language == Language::Prebuilt && !has_path {
        return Err(ConfigError::MissingKey {
            table: "program".into(),
            place: source.place(entry.span().start),
            key: "path".into(),
        });
    }
    Ok(())
}

/// Two sources for one path of the image are an error. Programs are held to it only where they share an image; where
/// there are several images, which programs share one is known only once all are found.
fn destinations(file: &ConfigFile) -> Result<(), ConfigError> {
    let source = &file.source;
    for image in &file.image {
        distinct(source, files(&image.get_ref().over(&file.image_keys())), true)?;
    }
    let programs = file.program.iter().filter_map(|entry| {
        let program = entry.get_ref();
        match (&program.destination, &program.name) {
            (Some(to), _) => Some((to.get_ref().clone(), to.span().start, true)),
            (None, Some(name)) => Some((default_destination(&name.get_ref().0), name.span().start, true)),
            (None, None) => None,
        }
    });
    let programs = programs.filter(|_| file.image.is_empty());
    let one_image = file.one_image.as_ref().is_none_or(|one_image| *one_image.get_ref());
    distinct(source, files(&file.image_keys()).into_iter().chain(programs), one_image)
}

/// Where the files of an image go: path, offset in the text, and that they are no programs.
fn files(keys: &ImageKeys) -> Vec<(String, usize, bool)> {
    let entries = keys.file.iter().map(|entry| &entry.get_ref().destination);
    entries.map(|to| (to.get_ref().clone(), to.span().start, false)).collect()
}

fn distinct(
    source: &Source,
    destinations: impl IntoIterator<Item = (String, usize, bool)>,
    one_image: bool,
) -> Result<(), ConfigError> {
    let mut taken: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    for (destination, offset, is_program) in destinations {
        match taken.get(&destination) {
            Some((first, first_is_program)) if one_image || !(is_program && *first_is_program) => {
                return Err(ConfigError::DestinationTwice {
                    destination,
                    place: source.place(offset.max(*first)),
                    first: source.place(offset.min(*first)),
                });
            }
            _ => {
                taken.insert(destination, (offset, is_program));
            }
        }
    }
    Ok(())
}

/// Where a program goes that names no destination.
#[must_use]
pub fn default_destination(name: &str) -> String {
    format!("/usr/local/bin/{name}")
}
