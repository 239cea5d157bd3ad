//! What a layout calls an image becomes a repository and a tag.

use serde_json::{Map, Value};

use crate::blob::REF_NAME;
use crate::reference::{DOCKER_HUB, Reference, is_tag};

/// The annotation in which containerd, docker and `BuildKit` write the whole name of an image, beside its tag.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// What stands before the names of Docker Hub's own images, which nobody writes.
const OFFICIAL: &str = "library/";

/// The name of an image here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// the repository: `hello`, `team/app`
    pub repository: String,
    /// the tag
    pub tag: String,
}

/// A name that is neither a tag nor a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// as it was written
    pub text: String,
}

/// What an entry of a layout's `index.json` is called; `None` when it has no name.
///
/// A whole reference (`example.com/team/app:1.0`) is its path and its tag, here as anywhere else; a tag alone is one of
/// `own`, the layout's own repository. Where a person gave the `repository`, all images of the layout are in it.
///
/// # Errors
/// When it is called something that cannot be asked for.
pub fn name_of(
    annotations: &Map<String, Value>,
    repository: Option<&str>,
    own: &str,
) -> Result<Option<ImageName>, Unnamed> {
    let text = |key: &str| annotations.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(name) = text(CONTAINERD_NAME).or_else(|| text(REF_NAME)) else { return Ok(None) };
    let named =
        |path: &str, tag: &str| ImageName { repository: repository.unwrap_or(path).to_owned(), tag: tag.into() };
    if text(CONTAINERD_NAME).is_none() && is_tag(name) {
        return Ok(Some(named(own, name)));
    }
    let reference: Reference = name.parse().map_err(|_| Unnamed { text: name.to_owned() })?;
    if reference.digest.is_some() && reference.tag.is_none() {
        return Ok(None);
    }
    let path = reference.repository.path.as_str();
    let short = path.strip_prefix(OFFICIAL).filter(|_| reference.repository.registry == DOCKER_HUB);
    Ok(Some(named(short.unwrap_or(path), reference.tag_or_latest())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_the_names_that_others_gave_them() {
        let digest = format!("example.com/app@sha256:{}", "0".repeat(64));
        for (containerd, name, given, expected) in [
            (None, Some("latest"), None, Some("own:latest")),
            (None, Some("v1.0"), Some("mine"), Some("mine:v1.0")),
            (None, Some("example.com/team/app:1.0"), None, Some("team/app:1.0")),
            (None, Some("example.com/team/app"), None, Some("team/app:latest")),
            (None, Some("example.com/team/app:1.0"), Some("mine"), Some("mine:1.0")),
            (None, Some("docker.io/library/hello:1"), None, Some("hello:1")),
            (None, Some("hello:1"), None, Some("hello:1")),
            (None, Some("localhost/hello:1"), None, Some("hello:1")),
            (None, Some("localhost:5000/library/hello:1"), None, Some("library/hello:1")),
            (Some("docker.io/library/hello:1"), Some("1"), None, Some("hello:1")),
            (Some("docker.io/library/hello:1"), Some("1"), Some("mine"), Some("mine:1")),
            (Some("ghcr.io/team/app:2"), None, None, Some("team/app:2")),
            (Some(""), Some("2"), None, Some("own:2")),
            (Some(&*digest), Some("2"), None, None),
            (None, None, None, None),
            (None, Some(""), Some("mine"), None),
        ] {
            let mut annotations = Map::new();
            for (key, value) in [(CONTAINERD_NAME, containerd), (REF_NAME, name)] {
                if let Some(value) = value {
                    annotations.insert(key.to_owned(), value.into());
                }
            }
            let found = name_of(&annotations, given, "own").unwrap();
            let found = found.map(|name| format!("{}:{}", name.repository, name.tag));
            assert_eq!(found.as_deref(), expected, "{containerd:?} {name:?} {given:?}");
        }
        for text in ["a b", "../x", "Example:1:2", "-x"] {
            let annotations = Map::from_iter([(REF_NAME.to_owned(), text.into())]);
            assert_eq!(name_of(&annotations, None, "own"), Err(Unnamed { text: text.to_owned() }));
        }
    }
}
