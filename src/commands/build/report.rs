//! What was published becomes what people read at the end, lines for a pipeline, and JSON.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use crate::blob::Descriptor;
use crate::reference::{DOCKER_HUB, Reference};
use crate::run::publish::{Place, Published};
use crate::ui::{Ui, bytes};

fn platform_of(descriptor: &Descriptor) -> String {
    descriptor.platform.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// What a person wants to know at the end.
pub(in crate::commands) fn summary(ui: &Ui, image: &Published, directory: &Path) {
    ui.line("");
    ui.line(&format!("{} {}", image.name, image.top.digest));
    for (descriptor, size) in &image.platforms {
        ui.line(&format!("  {:<16} {} {}", platform_of(descriptor), descriptor.digest, bytes(*size)));
    }
    for place in &image.places {
        of_place(ui, image, place, directory);
    }
}

fn of_place(ui: &Ui, image: &Published, place: &Place, directory: &Path) {
    match place {
        Place::Registry { names, by_digest } => {
            for name in names {
                let place =
                    if *by_digest { format!("@{}", image.top.digest) } else { format!(":{}", name.tag_or_latest()) };
                ui.line(&format!("pushed {}{place}", name.repository));
            }
            if let Some(first) = names.first() {
                ui.line(&format!("run it:  docker run --rm {}@{}", first.repository, image.top.digest));
            }
        }
        Place::Folder { tag, .. } | Place::Archive { tag, .. } => {
            let name = &image.name;
            for place in lines_of(image, place, directory) {
                ui.line(&format!("written to {place}"));
                // Not `podman run oci:...`: podman makes a name of the path, and `.anyarch` is none.
                ui.line(&format!(
                    "run it:  skopeo copy {place} docker-daemon:{name}:{tag} && docker run --rm {name}:{tag}"
                ));
                ui.line(&format!(
                    "         skopeo copy {place} containers-storage:{name}:{tag} && podman run --rm {name}:{tag}"
                ));
                ui.line(&format!("push it: skopeo copy --all {place} docker://REGISTRY/{name}:{tag}"));
            }
        }
        Place::DockerArchive { path, names } => {
            let path = shown(path, directory);
            ui.line(&format!("written to docker-archive:{path}"));
            let name = names.first().map(familiar).unwrap_or_default();
            ui.line(&format!("run it:  docker load --input {path} && docker run --rm {name}"));
            ui.line(&format!("         podman load --input {path} && podman run --rm {name}"));
        }
        Place::Daemon { command, names } => {
            for name in names {
                ui.line(&format!("loaded into {command} as {}", familiar(name)));
            }
            if let Some(first) = names.first() {
                ui.line(&format!("run it:  {command} run --rm {}", familiar(first)));
            }
        }
        Place::Files { path } | Place::FilesArchive { path } => {
            ui.line(&format!("files written to {}", shown(path, directory)));
        }
        Place::Stdout { .. } => ui.line("written to stdout"),
    }
}

/// stdout for a pipeline: the reference by digest, the name, the layout, the files; nothing beside an archive.
pub(in crate::commands) fn lines(published: &[Published], directory: &Path) -> Vec<String> {
    let places = || published.iter().flat_map(|image| image.places.iter().map(move |place| (image, place)));
    if places().any(|(_, place)| matches!(place, Place::Stdout { .. })) {
        return Vec::new();
    }
    let mut lines: Vec<String> = Vec::new();
    for line in places().flat_map(|(image, place)| lines_of(image, place, directory)) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn lines_of(image: &Published, place: &Place, directory: &Path) -> Vec<String> {
    match place {
        Place::Registry { names, .. } => {
            names.iter().map(|name| format!("{}@{}", name.repository, image.top.digest)).collect()
        }
        Place::Folder { path, tag } => vec![format!("oci:{}:{tag}", shown(path, directory))],
        Place::Archive { path, tag } => vec![format!("oci-archive:{}:{tag}", shown(path, directory))],
        Place::DockerArchive { path, .. } => vec![format!("docker-archive:{}", shown(path, directory))],
        Place::Daemon { names, .. } => names.iter().map(familiar).collect(),
        Place::Files { path } | Place::FilesArchive { path } => vec![shown(path, directory)],
        Place::Stdout { .. } => Vec::new(),
    }
}

/// A name as docker shows it, with its tag.
pub(in crate::commands) fn familiar(name: &Reference) -> String {
    let (repository, tag) = (&name.repository, name.tag_or_latest());
    if repository.registry != DOCKER_HUB {
        return format!("{repository}:{tag}");
    }
    format!("{}:{tag}", repository.path.strip_prefix("library/").unwrap_or(&repository.path))
}

/// A path as it would be typed from where we are.
pub(super) fn shown(path: &Path, directory: &Path) -> String {
    let here = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// An image for a program, which finds each output by its type.
pub(in crate::commands) fn as_value(image: &Published) -> Value {
    let checked = image.checked.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let platforms: Vec<_> = image
        .platforms
        .iter()
        .zip(checked)
        .map(|((descriptor, size), checked)| {
            json!({
                "platform": platform_of(descriptor), "digest": descriptor.digest, "size": size, "start": checked,
            })
        })
        .collect();
    json!({
        "name": image.name,
        "digest": image.top.digest,
        "mediaType": image.top.media_type,
        "platforms": platforms,
        "outputs": image.places.iter().map(|place| place_value(image, place)).collect::<Vec<_>>(),
    })
}

fn place_value(image: &Published, place: &Place) -> Value {
    let tagged = |names: &[Reference]| -> Vec<String> {
        names.iter().map(|name| format!("{}:{}", name.repository, name.tag_or_latest())).collect()
    };
    match place {
        Place::Registry { names, by_digest: false } => json!({"type": "registry", "references": tagged(names)}),
        Place::Registry { names, by_digest: true } => {
            let references: Vec<String> =
                names.iter().map(|name| format!("{}@{}", name.repository, image.top.digest)).collect();
            json!({"type": "registry", "references": references})
        }
        Place::Folder { path, tag } => json!({"type": "oci", "folder": path, "tag": tag}),
        Place::Archive { path, tag } => json!({"type": "oci", "archive": path, "tag": tag}),
        Place::DockerArchive { path, names } => json!({"type": "docker", "archive": path, "names": tagged(names)}),
        Place::Daemon { command, names } => json!({"type": "docker", "loaded": command, "names": tagged(names)}),
        Place::Files { path } => json!({"type": "local", "folder": path}),
        Place::FilesArchive { path } => json!({"type": "tar", "archive": path}),
        Place::Stdout { .. } => json!({"type": "stdout"}),
    }
}
