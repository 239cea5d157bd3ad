//! `index:KEY` and `manifest[linux/arm64]:KEY`, as buildx spells them, become the annotations of each document that is
//! published. A key without a prefix is one of the index and of every manifest.
//!
//! As in buildx, the first `:` of a key ends the prefix: a key that holds one itself is written with a prefix.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hint::Hint;
use crate::platform::{Platform, PlatformError};

/// What an annotation is written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// the index
    Index,
    /// every manifest, or that of one platform
    Manifest(Option<Platform>),
    /// every manifest's descriptor in the index, or that of one platform
    Descriptor(Option<Platform>),
}

/// A key as it is written: where it goes, and what it is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnotationKey {
    /// where it goes; the index and every manifest when nothing was said
    pub targets: Vec<Target>,
    /// what it is called
    pub name: String,
    /// how closely it says where it goes: 0 without a prefix, 2 with a platform
    precision: u8,
}

/// Why a text is no key of an annotation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// A prefix that is none.
    #[error("`{prefix}` in the annotation `{text}` is nothing that anyarch annotates")]
    Target {
        /// what was given
        text: String,
        /// the prefix, or one of several
        prefix: String,
    },
    /// A platform for what there is one of.
    #[error("`{prefix}` in the annotation `{text}` names a platform, and there is one index for all")]
    IndexPlatform {
        /// what was given
        text: String,
        /// the prefix
        prefix: String,
    },
    /// A platform that is none.
    #[error("`{prefix}` in the annotation `{text}`: {source}")]
    Platform {
        /// what was given
        text: String,
        /// the prefix
        prefix: String,
        /// why
        source: PlatformError,
    },
    /// No key, or a prefix alone.
    #[error("the annotation `{text}` has no key")]
    NoKey {
        /// what was given
        text: String,
    },
}

impl Hint for AnnotationError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Target { text, prefix } => {
                let known = "known prefixes: index, manifest, manifest-descriptor, manifest[linux/arm64]";
                let mut hints = vec![known.to_owned()];
                // What stands before the first colon may have been meant as part of the key.
                if text.starts_with(&format!("{prefix}:")) {
                    hints.push(format!("a key that holds a colon: index,manifest:{text}"));
                }
                hints
            }
            Self::IndexPlatform { text, prefix } => vec![text.replacen(prefix.as_str(), "index", 1)],
            Self::Platform { source, .. } => {
                source.hints().iter().map(|hint| hint.replace("--platform ", "")).collect()
            }
            Self::NoKey { .. } => vec!["index:org.opencontainers.image.title".to_owned()],
        }
    }
}

impl FromStr for AnnotationKey {
    type Err = AnnotationError;

    fn from_str(text: &str) -> Result<Self, AnnotationError> {
        let Some((prefixes, name)) = text.split_once(':') else {
            let targets = vec![Target::Index, Target::Manifest(None)];
            let name = Some(text).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| AnnotationError::NoKey { text: text.to_owned() })?;
            return Ok(Self { targets, name: name.to_owned(), precision: 0 });
        };
        if name.is_empty() {
            return Err(AnnotationError::NoKey { text: text.to_owned() });
        }
        let targets =
            prefixes.split(',').map(|prefix| target(text, prefix)).collect::<Result<Vec<_>, AnnotationError>>()?;
        let one_platform = |target: &Target| matches!(target, Target::Manifest(Some(_)) | Target::Descriptor(Some(_)));
        let precision = if targets.iter().any(one_platform) { 2 } else { 1 };
        Ok(Self { targets, name: name.to_owned(), precision })
    }
}

fn target(text: &str, prefix: &str) -> Result<Target, AnnotationError> {
    let given = || (text.to_owned(), prefix.to_owned());
    let (kind, platform) = match prefix.strip_suffix(']').and_then(|prefix| prefix.split_once('[')) {
        Some((kind, platform)) => (kind, Some(platform)),
        None => (prefix, None),
    };
    let platform = platform.map(str::parse).transpose().map_err(|source| {
        let (text, prefix) = given();
        AnnotationError::Platform { text, prefix, source }
    })?;
    let (text, prefix) = given();
    match (kind, platform) {
        ("index", None) => Ok(Target::Index),
        ("index", Some(_)) => Err(AnnotationError::IndexPlatform { text, prefix }),
        ("manifest", platform) => Ok(Target::Manifest(platform)),
        ("manifest-descriptor", platform) => Ok(Target::Descriptor(platform)),
        _ => Err(AnnotationError::Target { text, prefix }),
    }
}

impl AnnotationKey {
    /// True when it was said that it goes to manifests.
    #[must_use]
    pub fn names_manifests(&self) -> bool {
        self.precision > 0 && self.targets.iter().any(|target| matches!(target, Target::Manifest(_)))
    }
}

impl fmt::Display for AnnotationKey {
    /// As it would be written.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.precision == 0 {
            return formatter.write_str(&self.name);
        }
        for (position, target) in self.targets.iter().enumerate() {
            formatter.write_str(if position == 0 { "" } else { "," })?;
            match target {
                Target::Index => formatter.write_str("index")?,
                Target::Manifest(None) => formatter.write_str("manifest")?,
                Target::Manifest(Some(platform)) => write!(formatter, "manifest[{platform}]")?,
                Target::Descriptor(None) => formatter.write_str("manifest-descriptor")?,
                Target::Descriptor(Some(platform)) => write!(formatter, "manifest-descriptor[{platform}]")?,
            }
        }
        write!(formatter, ":{}", self.name)
    }
}

/// Annotations by name.
pub type Named = BTreeMap<String, String>;

/// The annotations of an image, by what they are written on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// of the index
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    index: Named,
    /// of every manifest
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    manifest: Named,
    /// of every manifest's descriptor in the index
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    descriptor: Named,
    /// of the manifests of single platforms, over those of every one
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    manifest_of: BTreeMap<Platform, Named>,
    /// of the descriptors of single platforms, over those of every one
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    descriptor_of: BTreeMap<Platform, Named>,
    /// those that were asked for the index alone, or for descriptors
    #[serde(skip)]
    index_only: Vec<String>,
}

impl Annotations {
    /// Lays annotations that were written together over these: among themselves, the one that says more closely where it
    /// goes wins; each of them wins over what was there.
    pub fn lay_over(&mut self, mut written: Vec<(AnnotationKey, String)>) {
        written.sort_by_key(|(key, _)| key.precision);
        for (key, value) in written {
            self.set(&key, &value);
        }
    }

    fn set(&mut self, key: &AnnotationKey, value: &str) {
        let entry = || (key.name.clone(), value.to_owned());
        for target in &key.targets {
            match target {
                Target::Index => self.index.extend([entry()]),
                Target::Manifest(platform) => {
                    set_one(&mut self.manifest, &mut self.manifest_of, *platform, entry());
                }
                Target::Descriptor(platform) => {
                    set_one(&mut self.descriptor, &mut self.descriptor_of, *platform, entry());
                }
            }
        }
        if !key.targets.iter().any(|target| matches!(target, Target::Manifest(_))) {
            self.index_only.push(key.to_string());
        }
    }

    /// Those of the index.
    #[must_use]
    pub fn of_index(&self) -> &Named {
        &self.index
    }

    /// Those of a platform's manifest.
    #[must_use]
    pub fn of_manifest(&self, platform: Platform) -> Named {
        merged(&self.manifest, self.manifest_of.get(&platform))
    }

    /// Those of the descriptor by which the index names a platform's manifest.
    #[must_use]
    pub fn of_descriptor(&self, platform: Platform) -> Named {
        merged(&self.descriptor, self.descriptor_of.get(&platform))
    }

    /// Those of the descriptor of an image for a platform that need not be one that we know.
    #[must_use]
    pub fn of_named_descriptor(&self, platform: Option<Platform>) -> Named {
        platform.map_or_else(|| self.descriptor.clone(), |platform| self.of_descriptor(platform))
    }

    /// The platforms whose descriptors have annotations of their own.
    pub fn described_platforms(&self) -> impl Iterator<Item = Platform> {
        self.descriptor_of.keys().copied()
    }

    /// One that has no place where there is no index, as it was written.
    #[must_use]
    pub fn only_in_index(&self) -> Option<&str> {
        self.index_only.first().map(String::as_str)
    }
}

/// One for every platform replaces those of single platforms: it was said later.
fn set_one(
    every: &mut Named,
    single: &mut BTreeMap<Platform, Named>,
    platform: Option<Platform>,
    (name, value): (String, String),
) {
    if let Some(platform) = platform {
        single.entry(platform).or_default().insert(name, value);
        return;
    }
    for of_one in single.values_mut() {
        of_one.remove(&name);
    }
    every.insert(name, value);
}

fn merged(every: &Named, single: Option<&Named>) -> Named {
    let mut merged = every.clone();
    merged.extend(single.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(layers: &[&[(&str, &str)]]) -> Annotations {
        let mut annotations = Annotations::default();
        for layer in layers {
            annotations
                .lay_over(layer.iter().map(|(key, value)| (key.parse().unwrap(), (*value).to_owned())).collect());
        }
        annotations
    }

    #[test]
    fn a_prefix_says_where_a_key_goes() {
        for (text, targets, name) in [
            ("a", &[Target::Index, Target::Manifest(None)][..], "a"),
            ("index:a", &[Target::Index], "a"),
            ("manifest:a", &[Target::Manifest(None)], "a"),
            ("index,manifest:a:b", &[Target::Index, Target::Manifest(None)], "a:b"),
            ("manifest-descriptor:a", &[Target::Descriptor(None)], "a"),
            ("manifest[linux/arm/v7]:a", &[Target::Manifest(Some("linux/arm/v7".parse().unwrap()))], "a"),
        ] {
            let key: AnnotationKey = text.parse().unwrap();
            assert_eq!((key.targets.as_slice(), key.name.as_str()), (targets, name), "{text}");
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_key_says_why() {
        let known = "known prefixes: index, manifest, manifest-descriptor, manifest[linux/arm64]";
        for (text, message, hints) in [
            (
                "index-descriptor:a",
                "`index-descriptor` in the annotation `index-descriptor:a` is nothing that anyarch annotates",
                &[known, "a key that holds a colon: index,manifest:index-descriptor:a"][..],
            ),
            ("index,x:a", "`x` in the annotation `index,x:a` is nothing that anyarch annotates", &[known]),
            (
                "index[linux/arm64]:a",
                "`index[linux/arm64]` in the annotation `index[linux/arm64]:a` names a platform, and there is one index \
                 for all",
                &["index:a"],
            ),
            (
                "manifest[linux/amd46]:a",
                "`manifest[linux/amd46]` in the annotation `manifest[linux/amd46]:a`: `linux/amd46` is not a platform: \
                 the architecture `amd46` is unknown",
                &["linux/amd64"],
            ),
            ("index:", "the annotation `index:` has no key", &["index:org.opencontainers.image.title"]),
            ("", "the annotation `` has no key", &["index:org.opencontainers.image.title"]),
        ] {
            let error = text.parse::<AnnotationKey>().unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.hints()),
                (message, hints.iter().map(ToString::to_string).collect())
            );
        }
    }

    #[test]
    fn the_closer_key_wins_and_what_comes_later_wins_over_that() {
        let (amd64, arm64): (Platform, Platform) = ("linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap());
        let file: &[(&str, &str)] =
            &[("manifest[linux/arm64]:a", "arm64"), ("index:a", "index"), ("a", "all"), ("manifest-descriptor:d", "d")];
        let annotations = laid(&[file]);
        assert_eq!(annotations.of_index()["a"], "index");
        assert_eq!(annotations.of_manifest(amd64)["a"], "all");
        assert_eq!(annotations.of_manifest(arm64)["a"], "arm64");
        assert_eq!(annotations.of_descriptor(amd64)["d"], "d");
        let annotations = laid(&[file, &[("a", "flag")]]);
        assert_eq!(annotations.of_index()["a"], "flag");
        assert_eq!(annotations.of_manifest(arm64)["a"], "flag");
        assert_eq!(laid(&[&[("a", "1"), ("manifest:b", "2")]]).only_in_index(), None);
        assert_eq!(annotations.only_in_index(), Some("index:a"));
    }
}
