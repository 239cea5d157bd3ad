//! A line of CSV, whose fields are KEY=VALUE, becomes the values of the keys of an output.

use crate::annotation::AnnotationKey;

use super::Kind;
use super::error::OutputError;

/// How the key of an annotation begins; a dot and the annotation's own key end it.
const ANNOTATION: &str = "annotation";

/// The keys of an output that were not taken yet.
pub(super) struct Fields<'text> {
    /// what was given
    pub(super) text: &'text str,
    /// in the order in which they were given
    fields: Vec<(String, String)>,
}

impl<'text> Fields<'text> {
    /// Reads a line of CSV.
    ///
    /// # Errors
    /// When a quotation mark is where none may be, a field is no KEY=VALUE, or a key is there twice.
    pub(super) fn read(text: &'text str) -> Result<Self, OutputError> {
        let given = || text.to_owned();
        let mut fields: Vec<(String, String)> = Vec::new();
        for field in split(text).ok_or_else(|| OutputError::Quotes { text: given() })? {
            let (key, value) =
                field.split_once('=').ok_or_else(|| OutputError::Part { text: given(), part: field.clone() })?;
            let key = key.trim().to_owned();
            if fields.iter().any(|(known, _)| *known == key) {
                return Err(OutputError::Twice { text: given(), key });
            }
            fields.push((key, value.to_owned()));
        }
        Ok(Self { text, fields })
    }

    /// Takes the value of a key, if it is there.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let position = self.fields.iter().position(|(known, _)| known == key)?;
        Some(self.fields.remove(position).1)
    }

    /// Holds all keys to those of a type.
    ///
    /// # Errors
    /// When one is none of them.
    pub(super) fn only(&self, kind: Kind) -> Result<(), OutputError> {
        let is_known = |key: &str| match annotation(key) {
            Some(_) => kind.keys().contains(&"annotation."),
            None => kind.keys().contains(&key),
        };
        match self.fields.iter().find(|(key, _)| !is_known(key)) {
            None => Ok(()),
            Some((key, _)) => {
                let known = kind.keys().iter().map(|key| if key.ends_with('.') { "annotation.KEY" } else { key });
                Err(OutputError::Key {
                    text: self.text.to_owned(),
                    key: key.clone(),
                    kind: kind.name(),
                    known: known.collect(),
                })
            }
        }
    }

    /// Takes a switch, as Go's `ParseBool` reads it.
    ///
    /// # Errors
    /// When its value is neither true nor false.
    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, OutputError> {
        match self.take(key).as_deref() {
            None => Ok(None),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some(value) => Err(self.value(key, value, "true or false")),
        }
    }

    /// Takes a key that may have few values, all of which mean what is done anyway; the first is named.
    ///
    /// # Errors
    /// When its value is another.
    pub(super) fn one_of(&mut self, key: &str, values: &[&'static str]) -> Result<(), OutputError> {
        match self.take(key) {
            Some(value) if !values.contains(&value.as_str()) => {
                Err(self.value(key, &value, values.first().copied().unwrap_or_default()))
            }
            _ => Ok(()),
        }
    }

    /// Takes `name`: references with commas between.
    ///
    /// # Errors
    /// When one is empty.
    pub(super) fn names(&mut self) -> Result<Vec<String>, OutputError> {
        let Some(names) = self.take("name") else { return Ok(Vec::new()) };
        let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(OutputError::NoName { text: self.text.to_owned() });
        }
        Ok(names)
    }

    /// Takes all annotations.
    ///
    /// # Errors
    /// When the key of one says a place that has no annotations.
    pub(super) fn annotations(&mut self) -> Result<Vec<(AnnotationKey, String)>, OutputError> {
        let mut annotations = Vec::new();
        for (key, value) in std::mem::take(&mut self.fields) {
            let Some((place, name)) = annotation(&key) else { continue };
            let parsed = format!("{place}:{name}").parse();
            let wrong = |source| OutputError::Annotation {
                text: self.text.to_owned(),
                key: key.clone(),
                source: Box::new(source),
            };
            annotations.push((parsed.map_err(wrong)?, value));
        }
        Ok(annotations)
    }

    fn value(&self, key: &str, value: &str, expected: &'static str) -> OutputError {
        let (text, key, value) = (self.text.to_owned(), key.to_owned(), value.to_owned());
        OutputError::Value { text, key, value, expected }
    }
}

/// What is annotated, as `--annotation` says it, and the annotation's key: of `annotation.KEY` and
/// `annotation-index.KEY` and `annotation-manifest[linux/arm64].KEY`.
fn annotation(key: &str) -> Option<(String, &str)> {
    let rest = key.strip_prefix(ANNOTATION)?;
    // A platform has no dot but in its variant, which is in brackets.
    let end = rest.find(']').map_or(0, |end| end + 1);
    let dot = end + rest[end..].find('.')?;
    let (place, name) = (&rest[..dot], &rest[dot + 1..]);
    match place.strip_prefix('-') {
        Some(place) => Some((place.to_owned(), name)),
        None if place.is_empty() || place.starts_with('[') => Some((format!("manifest{place}"), name)),
        None => None,
    }
}

/// The fields of a line of CSV: <https://www.rfc-editor.org/rfc/rfc4180>. `None` where a quotation mark is in the midst
/// of a field, or one is missing.
fn split(text: &str) -> Option<Vec<String>> {
    let (mut fields, mut rest) = (Vec::new(), text);
    loop {
        let (field, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_field(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        if !rest.starts_with('"') && field.contains('"') {
            return None;
        }
        fields.push(field);
        if behind.is_empty() {
            return Some(fields);
        }
        rest = behind.strip_prefix(',')?;
    }
}

/// A field up to the quotation mark that ends it, and what is behind that.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let end = rest.find('"')?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(behind) => {
                field.push('"');
                rest = behind;
            }
            None => return Some((field, rest)),
        }
    }
}
