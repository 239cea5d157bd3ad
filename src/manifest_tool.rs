//! The two ways in which manifest-tool is told what goes into an index, a YAML file and a template, become sources.
//! <https://github.com/estesp/manifest-tool#createpush>

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::hint::Hint;
use crate::named_platform::NamedPlatform;
use crate::platform::{Platform, PlatformError};

/// A source of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// the image
    pub image: String,
    /// for which platform it is, if that is said
    pub platform: Option<NamedPlatform>,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// what the index is called
    pub image: Option<String>,
    /// other tags that it is to have
    pub tags: Vec<String>,
    /// what goes into it
    pub sources: Vec<Source>,
    /// its annotations
    pub annotations: BTreeMap<String, String>,
}

/// Why there are no sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not such a file.
    #[error("{0}")]
    Yaml(String),
    /// One of the two that make a platform.
    #[error("the platform of `{image}` names no {missing}")]
    HalfPlatform {
        /// the source
        image: String,
        /// `os` or `architecture`
        missing: &'static str,
    },
    /// No image.
    #[error("it names no image in `manifests`")]
    NoManifests,
    /// A template that is one source for all platforms.
    #[error("the template `{0}` has no ARCH: every platform would be the same image")]
    NoArchitecture(String),
    /// A template, and nothing to fill it with.
    #[error("the template `{0}` needs platforms")]
    NoPlatforms(String),
    /// Something that is no platform.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl Hint for SpecError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Yaml(_) | Self::NoManifests => vec![
                "manifests: [{image: \"registry.example.com/app:1.0-arm64\", platform: {os: linux, architecture: arm64}}]"
                    .into(),
            ],
            Self::HalfPlatform { .. } => vec!["platform: {os: linux, architecture: arm64}".into()],
            Self::NoArchitecture(template) => vec![format!("--template {template}-ARCH")],
            Self::NoPlatforms(template) => vec![format!("--template {template} --platform linux/amd64,linux/arm64")],
            Self::Platform(error) => error.hints(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    image: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    manifests: Vec<Manifest>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    image: String,
    #[serde(default)]
    platform: Fields,
}

/// By the names of the specification, or by those that manifest-tool reads.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    #[serde(rename = "os.version", alias = "osversion")]
    os_version: Option<String>,
    #[serde(default, rename = "os.features", alias = "osfeatures")]
    os_features: Vec<String>,
    #[serde(default)]
    features: Vec<String>,
}

/// Reads the file of `manifest-tool push from-spec`.
///
/// # Errors
/// When it is none, or names no image.
pub fn read(text: &str) -> Result<Spec, SpecError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| SpecError::Yaml(in_one_line(&error)))?;
    if file.manifests.is_empty() {
        return Err(SpecError::NoManifests);
    }
    let sources = file.manifests.into_iter().map(|manifest| {
        let Fields { os, architecture, variant, os_version, os_features, features } = manifest.platform;
        let missing = match (os.is_empty(), architecture.is_empty()) {
            // manifest-tool, too, then takes what the image says.
            (true, true) => return Ok(Source { image: manifest.image, platform: None }),
            (true, false) => Some("os"),
            (false, true) => Some("architecture"),
            (false, false) => None,
        };
        if let Some(missing) = missing {
            return Err(SpecError::HalfPlatform { image: manifest.image, missing });
        }
        let variant = variant.filter(|variant| !variant.is_empty());
        let platform = NamedPlatform { os, architecture, variant, os_version, os_features, features };
        Ok(Source { image: manifest.image, platform: Some(platform) })
    });
    let sources = sources.collect::<Result<_, SpecError>>()?;
    Ok(Spec { image: file.image, tags: file.tags, sources, annotations: file.annotations })
}

/// The words of an error without the lines of the file that it quotes.
fn in_one_line(error: &serde_saphyr::Error) -> String {
    let words = error.without_snippet().to_string();
    let words = words.lines().next().unwrap_or_default();
    words.strip_prefix("error: ").unwrap_or(words).to_owned()
}

/// Fills OS, ARCH and VARIANT of a template with the parts of each platform, as they were typed: `arm64v8` for
/// `linux/arm64/v8` and `ARCHVARIANT`.
///
/// # Errors
/// When there is no ARCH, or one of the texts is no platform.
pub fn fill(template: &str, platforms: &[String]) -> Result<Vec<Source>, SpecError> {
    if !template.contains("ARCH") {
        return Err(SpecError::NoArchitecture(template.to_owned()));
    }
    if platforms.is_empty() {
        return Err(SpecError::NoPlatforms(template.to_owned()));
    }
    let source = |text: &String| {
        let platform: Platform = text.parse()?;
        let mut parts: Vec<&str> = text.trim().split('/').collect();
        if parts.len() == 1 {
            parts.insert(0, "linux");
        }
        let variant = parts.get(2).copied().unwrap_or_default();
        let image = filled(template, &[("OS", parts[0]), ("ARCH", parts[1]), ("VARIANT", variant)]);
        Ok(Source { image, platform: Some(platform.into()) })
    };
    platforms.iter().map(source).collect()
}

/// Replaces words from the left to the right, so that nothing in a value is taken for a word.
fn filled(template: &str, words: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::new(), template);
    while let Some(first) = rest.chars().next() {
        if let Some((word, value)) = words.iter().find(|(word, _)| rest.starts_with(word)) {
            filled.push_str(value);
            rest = &rest[word.len()..];
        } else {
            filled.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_manifest_tool_are_read() {
        let text = "
image: registry.example.com/app:1.0
tags: ['1', latest, 2.0]
manifests:
  - image: registry.example.com/app:amd64
    platform: {architecture: amd64, os: linux, features: [sse]}
  -
    image: registry.example.com/app:windows
    platform:
      architecture: amd64
      os: windows
      os.version: 10.0.17763.6293
      os.features: [win32k]
  - image: registry.example.com/app:arm
    platform: {architecture: arm, os: linux, variant: v7, osversion: '6'}
  - image: registry.example.com/app:any
annotations: {k: v}
";
        let spec = read(text).unwrap();
        assert_eq!(spec.image.as_deref(), Some("registry.example.com/app:1.0"));
        assert_eq!(spec.tags, ["1", "latest", "2.0"]);
        let platforms: Vec<Option<String>> =
            spec.sources.iter().map(|source| source.platform.as_ref().map(ToString::to_string)).collect();
        let platform = |text: &str| Some(text.to_owned());
        assert_eq!(
            platforms,
            [platform("linux/amd64"), platform("windows(10.0.17763.6293)/amd64"), platform("linux(6)/arm/v7"), None]
        );
        assert_eq!(spec.sources[0].platform.as_ref().unwrap().features, ["sse"]);
        assert_eq!(spec.sources[1].platform.as_ref().unwrap().os_features, ["win32k"]);
        assert_eq!(spec.annotations["k"], "v");
    }

    #[test]
    fn what_is_no_such_file_says_where() {
        for (text, message) in [
            ("manifests: []", "it names no image in `manifests`"),
            ("image: a", "it names no image in `manifests`"),
            ("manifests: [{image: a, platform: {os: linux}}]", "the platform of `a` names no architecture"),
            ("manifests: [{image: a, platform: {architecture: arm}}]", "the platform of `a` names no os"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message);
        }
        for (text, part) in [
            ("manifests:\n  - image: a\n    platfrom: {}\n", "platfrom"),
            ("manifests:\n  - image: [a\n", "line 2"),
            ("manifests: 3", "line 1"),
            ("&a [*a, *b]", "line 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(matches!(&error, SpecError::Yaml(message) if message.contains(part)), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn templates_are_filled_as_platforms_were_typed() {
        let platforms = ["linux/amd64", "linux/arm64/v8", "linux/arm/v7", "s390x"].map(str::to_owned);
        let filled = fill("registry.example.com/OS/app:1.0-ARCHVARIANT", &platforms).unwrap();
        let images: Vec<&str> = filled.iter().map(|source| source.image.as_str()).collect();
        let of = |tag: &str| format!("registry.example.com/linux/app:1.0-{tag}");
        assert_eq!(images, ["amd64", "arm64v8", "armv7", "s390x"].map(of));
        assert_eq!(filled[1].platform.as_ref().unwrap().to_string(), "linux/arm64");
        for (template, platforms, message) in [
            ("app:1.0", &platforms[..], "the template `app:1.0` has no ARCH: every platform would be the same image"),
            ("app:ARCH", &[], "the template `app:ARCH` needs platforms"),
            ("app:ARCH", &["amd46".to_owned()], "`amd46` is not a platform: the architecture `amd46` is unknown"),
        ] {
            assert_eq!(fill(template, platforms).unwrap_err().to_string(), message);
        }
    }
}
