//! What was published becomes the file of `--metadata-file`, with buildx's keys:
//! <https://docs.docker.com/reference/cli/docker/buildx/build/#metadata-file>. Several images are as `buildx bake` has
//! several targets: an object each, by name.

use serde_json::{Map, Value, json};

use crate::run::publish::{Place, Published};

/// The file's text.
pub(in crate::commands) fn of(published: &[Published]) -> Vec<u8> {
    let value = match published {
        [only] => Value::Object(of_image(only)),
        several => several.iter().map(|image| (image.name.clone(), Value::Object(of_image(image)))).collect(),
    };
    let mut text = format!("{value:#}").into_bytes();
    text.push(b'\n');
    text
}

fn of_image(image: &Published) -> Map<String, Value> {
    let mut keys = Map::new();
    // Files alone have no digest.
    let is_image = |place: &Place| {
        !matches!(place, Place::Files { .. } | Place::FilesArchive { .. } | Place::Stdout { names: None })
    };
    if !image.places.iter().any(is_image) {
        return keys;
    }
    keys.insert("containerimage.digest".to_owned(), json!(image.top.digest));
    keys.insert("containerimage.descriptor".to_owned(), json!(image.top));
    if let Some(config) = image.config {
        keys.insert("containerimage.config.digest".to_owned(), json!(config));
    }
    let mut names: Vec<String> = Vec::new();
    for name in image.places.iter().flat_map(names_of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if !names.is_empty() {
        keys.insert("image.name".to_owned(), names.join(",").into());
    }
    keys
}

/// The full names of an image in one place.
fn names_of(place: &Place) -> Vec<String> {
    match place {
        Place::Registry { names, by_digest: true } => names.iter().map(|name| name.repository.to_string()).collect(),
        Place::Registry { names, .. }
        | Place::DockerArchive { names, .. }
        | Place::Daemon { names, .. }
        | Place::Stdout { names: Some(names) } => {
            names.iter().map(|name| format!("{}:{}", name.repository, name.tag_or_latest())).collect()
        }
        Place::Folder { .. }
        | Place::Archive { .. }
        | Place::Files { .. }
        | Place::FilesArchive { .. }
        | Place::Stdout { names: None } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::{Descriptor, MEDIA_TYPE_INDEX};

    fn image(name: &str, config: Option<&str>, places: Vec<Place>) -> Published {
        let config = config.map(|config| crate::blob::Digest::of(config.as_bytes()));
        let top = Descriptor::of(MEDIA_TYPE_INDEX, name.as_bytes());
        Published { name: name.to_owned(), top, config, platforms: Vec::new(), checked: Vec::new(), places }
    }

    fn read(published: &[Published]) -> Value {
        serde_json::from_slice(&of(published)).unwrap()
    }

    #[test]
    fn keys_are_buildx_s() {
        let names = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let pushed = Place::Registry { names: names(&["ghcr.io/me/app:1", "app"]), by_digest: false };
        let loaded = Place::Daemon { command: "docker", names: names(&["app"]) };
        let one = image("app", Some("config"), vec![pushed, loaded]);
        let expected = json!({
            "containerimage.digest": one.top.digest,
            "containerimage.descriptor": {"mediaType": MEDIA_TYPE_INDEX, "digest": one.top.digest, "size": 3},
            "containerimage.config.digest": one.config,
            "image.name": "ghcr.io/me/app:1,docker.io/library/app:latest",
        });
        assert_eq!(read(&[one]), expected);
        let parts = Place::Registry { names: names(&["ghcr.io/me/app"]), by_digest: true };
        assert_eq!(read(&[image("app", None, vec![parts])])["image.name"], "ghcr.io/me/app");
        let files = Place::Files { path: "out".into() };
        assert_eq!(read(&[image("app", None, vec![files.clone()])]), json!({}));
        let both = read(&[image("a", None, vec![files.clone()]), image("b", None, vec![files])]);
        assert_eq!(both, json!({"a": {}, "b": {}}));
    }
}
