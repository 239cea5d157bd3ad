//! Why a configuration file is not taken: serde's errors, which are strings, become ours, which know the key and the
//! place and advise what to write.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{Place, Source};
use super::value_error::{ValueError, unpack};
use crate::hint::Hint;
use crate::toolchain::Language;

/// Why a configuration file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not TOML.
    #[error("{place} is not TOML: {message}")]
    Syntax {
        /// where reading stopped
        place: Place,
        /// what the parser says
        message: String,
    },
    /// A key that its table does not have.
    #[error("unknown key `{key}` in {place}")]
    UnknownKey {
        /// as written
        key: String,
        /// of the key
        place: Place,
        /// the keys that the table has
        known: Vec<String>,
        /// true when the key is one of the whole file, and stands below a `[table]`
        of_whole_file: bool,
    },
    /// A value of another type.
    #[error("`{key}` in {place} should be {expected}, not {found}")]
    WrongType {
        /// the key, of the list where the value is an element of one
        key: String,
        /// of the value
        place: Place,
        /// what it should be
        expected: String,
        /// what is written
        found: String,
        /// what would do
        hints: Vec<String>,
    },
    /// A value of the right type that its key cannot take.
    #[error("`{key}` in {place}: {message}")]
    BadValue {
        /// the key, of the list where the value is an element of one
        key: String,
        /// of the value
        place: Place,
        /// why it is not taken
        message: String,
        /// what would do
        hints: Vec<String>,
    },
    /// A table lacks a key that it must have.
    #[error("`{table}` in {place} has no `{key}`")]
    MissingKey {
        /// the table
        table: String,
        /// of the table
        place: Place,
        /// what it lacks
        key: String,
    },
    /// A key of one language on a program of another.
    #[error("`{key}` in {place} is a key of {} programs, and this one's language is {language}", one_of(languages))]
    OtherLanguage {
        /// as written
        key: &'static str,
        /// of the value
        place: Place,
        /// the program's
        language: Language,
        /// those that have the key
        languages: &'static [Language],
    },
    /// Two keys of which only one can be.
    #[error("`{key}` in {place} and `{other}` in {other_place} exclude each other")]
    Together {
        /// one
        key: &'static str,
        /// where it is
        place: Place,
        /// the other
        other: &'static str,
        /// where that is
        other_place: Place,
    },
    /// A key of connections on a part of a registry.
    #[error("`{key}` in {place} is of a whole registry, and `{prefix}` is a part of one")]
    OfWholeRegistry {
        /// as written
        key: &'static str,
        /// of the value
        place: Place,
        /// the table's key
        prefix: String,
        /// the registry that it is a part of
        registry: String,
    },
    /// Two images of one name.
    #[error("two images are called `{name}`: {first} and {place}")]
    ImageTwice {
        /// the name
        name: String,
        /// of the second
        place: Place,
        /// of the first
        first: Place,
    },
    /// An image that nothing goes into.
    #[error("the image `{name}` in {place} has neither a program nor a file")]
    EmptyImage {
        /// its name
        name: String,
        /// of its table
        place: Place,
    },
    /// An image that names a program that there is not.
    #[error("the image `{image}` has no program `{program}` to take ({place})")]
    UnknownProgram {
        /// the image
        image: String,
        /// as written
        program: String,
        /// where
        place: Place,
        /// the programs that there are
        known: Vec<String>,
    },
    /// Two files or programs for one path of the image.
    #[error("two sources for `{destination}`: {first} and {place}")]
    DestinationTwice {
        /// the path in the image
        destination: String,
        /// of the second
        place: Place,
        /// of the first
        first: Place,
    },
}

fn one_of(languages: &[Language]) -> String {
    let names: Vec<String> = languages.iter().map(ToString::to_string).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

impl ConfigError {
    /// A value that `key` cannot take: also for what is known only once a template is rendered.
    #[must_use]
    pub fn bad_value<T>(source: &Source, key: &str, value: &Spanned<T>, error: &ValueError) -> Self {
        Self::BadValue {
            key: key.into(),
            place: source.place_of(value),
            message: error.to_string(),
            hints: error.hints(),
        }
    }
}

impl Hint for ConfigError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Syntax { .. } | Self::Together { .. } => Vec::new(),
            Self::UnknownKey { key, of_whole_file: true, .. } => {
                vec![format!("`{key}` is a key of the whole file: write it above the first [table]")]
            }
            Self::UnknownKey { key, known, .. } => match nearest(key, known) {
                Some(nearest) => vec![format!("did you mean `{nearest}`?")],
                None => vec![format!("known keys here: {}", known.join(", "))],
            },
            Self::WrongType { hints, .. } | Self::BadValue { hints, .. } => hints.clone(),
            Self::MissingKey { key, .. } => vec![format!("{key} = \"{}\"", example(key))],
            Self::OtherLanguage { key, language: Language::Prebuilt, .. } => {
                vec![format!("leave `{key}` out: a prebuilt program is taken as it is")]
            }
            Self::OtherLanguage { languages, .. } => {
                languages.iter().map(|language| format!("language = \"{language}\"")).collect()
            }
            Self::OfWholeRegistry { registry, .. } => vec![format!("[registry.\"{registry}\"]")],
            Self::ImageTwice { name, .. } => vec![format!("name = \"{name}-2\"")],
            Self::EmptyImage { .. } => {
                vec!["leave `programs` out: the image takes every program then".into()]
            }
            Self::UnknownProgram { program, known, .. } => match nearest(program, known) {
                Some(nearest) => vec![format!("did you mean `{nearest}`?")],
                None => vec![format!("known programs: {}", known.join(", "))],
            },
            Self::DestinationTwice { .. } => vec!["give one of them another `destination`".into()],
        }
    }
}

/// A value for a key that must not be missing.
fn example(key: &str) -> &'static str {
    match key {
        "path" => "dist/{{platform.os}}_{{platform.arch}}/NAME",
        "source" => "etc/app.conf",
        "command" => "make app",
        "name" => "app",
        _ => "/etc/app.conf",
    }
}

/// The known word that is spelled most like `word`, if one is near: at most a third of the letters are different.
pub fn nearest<'a, T: AsRef<str>>(word: &str, known: &'a [T]) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|known| (strsim::osa_distance(word, known.as_ref()), known.as_ref()))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

/// What deserializing `text` failed with, in our words.
pub(super) fn from_toml(error: &toml::de::Error, text: &str, source: &Source) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    let place = source.place(span.start);
    let key = DeTable::parse(text)
        .ok()
        .and_then(|table| key_at(table.get_ref(), &span))
        .unwrap_or_else(|| source.path().display().to_string());
    let message = error.message();
    if let Some((unknown, known)) = unknown_field(message) {
        // `program` in an image is most likely the image's own `programs`.
        let meant_here = known.contains(&unknown) || known.contains(&format!("{unknown}s"));
        let of_whole_file = !meant_here && keys_of_file().contains(&unknown);
        return ConfigError::UnknownKey { key: unknown, place, known, of_whole_file };
    }
    if let Some(missing) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return ConfigError::MissingKey { table: key, place, key: missing.into() };
    }
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((unexpected, expected)) = mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        let written = source.written(&span);
        let (found, found_kind) = found(unexpected, written);
        let expected = in_words(expected);
        let hints = mismatch_hints(&key, expected, found_kind, written);
        return ConfigError::WrongType { key, place, expected: expected.into(), found, hints };
    }
    let (message, hints) = unpack(message);
    ConfigError::BadValue { key, place, message, hints }
}

/// Takes serde's "unknown field `x`, expected one of `a`, `b`" apart: the key and those that are known.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let (key, expected) = message.strip_prefix("unknown field `")?.rsplit_once("`, expected ")?;
    let known = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((key.into(), known))
}

/// The keys of the whole file, as serde itself names them when it meets one that cannot be.
fn keys_of_file() -> Vec<String> {
    let error = toml::from_str::<super::file::ConfigFile>("\"\" = 0")
        .map(|_| ())
        .map_err(|error| unknown_field(error.message()));
    error.err().flatten().map(|(_, known)| known).unwrap_or_default()
}

/// The name of the key whose name or value is at `span`: for an element of a list, the list's.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let here = key.span() == *span || value_is_at(value, span);
        if here { Some(key.get_ref().to_string()) } else { key_inside(value.get_ref(), span) }
    })
}

/// Whether a value, or an element of a list that is the value, is at `span`.
fn value_is_at(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    value.span() == *span
        || value.get_ref().as_array().is_some_and(|list| list.iter().any(|element| value_is_at(element, span)))
}

fn key_inside(value: &DeValue<'_>, span: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => key_at(table, span),
        DeValue::Array(list) => list.iter().find_map(|element| key_inside(element.get_ref(), span)),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    List,
    Table,
}

/// What is written instead: the text itself, or what it is when it can be long.
fn found(unexpected: &str, written: &str) -> (String, Kind) {
    match unexpected {
        "sequence" => ("a list".into(), Kind::List),
        // A date reaches serde as a map, but is written with a digit in front.
        "map" if !written.starts_with(|first: char| first.is_ascii_digit()) => ("a table".into(), Kind::Table),
        _ if written.is_empty() || written.contains('\n') => ("this".into(), Kind::Scalar),
        _ => (format!("`{written}`"), Kind::Scalar),
    }
}

/// serde's words for a type, in ours.
fn in_words(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The line that would have been right, where the wrong one tells.
fn mismatch_hints(key: &str, expected: &str, found: Kind, written: &str) -> Vec<String> {
    let text = written.trim_matches(['"', '\'']);
    let hint = match (expected, found) {
        ("a list", Kind::Table) => format!("[[{key}]]"),
        ("a list" | "a table", Kind::Scalar) if key == "platform" => format!("platforms = [\"{text}\"]"),
        ("a list", Kind::Scalar) => format!("{key} = [{written}]"),
        ("a string of octal digits", Kind::Scalar) => {
            format!("{key} = \"{:0>4}\"", text.strip_prefix("0o").unwrap_or(text))
        }
        ("a string" | "a string or a list of strings", Kind::Scalar) => format!("{key} = \"{text}\""),
        ("true or false", Kind::Scalar) if text == "true" || text == "false" => format!("{key} = {text}"),
        _ => return Vec::new(),
    };
    vec![hint]
}
