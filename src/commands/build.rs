//! `anyarch build`: the whole way, and at the end what was published, how large, how long, and how to run it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fs_err as fs;
use serde_json::json;

use crate::blob::Descriptor;
use crate::cli::Build;
use crate::exit::Exit;
use crate::run::error::Error;
use crate::run::flags::Flags;
use crate::run::publish::{Place, Published};
use crate::run::{destination, execute, prepare};
use crate::ui::{Ui, bytes, seconds, traffic};

/// Runs the command.
#[must_use]
pub fn run(arguments: Build) -> Exit {
    let ui = Arc::new(Ui::new(arguments.verbose));
    match build(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn build(ui: &Arc<Ui>, arguments: Build) -> Result<(), Error> {
    let start = Instant::now();
    let limit = super::cache_limit()?;
    let session = super::session(ui, arguments.request.offline)?;
    let as_json = arguments.request.json;
    let flags = super::flags(arguments.request, arguments.destination);
    let flags = Flags { carries_out: true, verify: arguments.verify, ..flags };
    if let Some(file) = &arguments.iidfile {
        destination::parent(&session.directory, file)?;
    }
    let work = async {
        let prepared = prepare::prepare(&session, flags).await?;
        execute::execute(&session, prepared).await
    };
    let published = super::carry_out(ui, &session, work)?;
    if let Some(file) = &arguments.iidfile {
        write_digests(&session.directory.join(file), &published)?;
    }
    for image in &published {
        summary(ui, image, &session.directory);
    }
    let moved = session.moved.by_registry();
    for (registry, of_registry) in &moved {
        ui.line(&format!("{registry}: {}", traffic(of_registry)));
    }
    ui.line(&format!("done in {}", seconds(start.elapsed())));
    if as_json {
        let images: Vec<_> = published.iter().map(as_value).collect();
        ui.data(&json!({"images": images, "moved": moved}).to_string());
    } else {
        published.iter().flat_map(|image| lines(image, &session.directory)).for_each(|line| ui.data(&line));
    }
    super::cache::keep_within(ui, &session.store, limit);
    Ok(())
}

fn write_digests(file: &Path, published: &[Published]) -> Result<(), Error> {
    let digests: Vec<String> = published.iter().map(|image| image.top.digest.to_string()).collect();
    let write = || -> std::io::Result<()> {
        let mut fresh = crate::store::beside(file)?;
        std::io::Write::write_all(&mut fresh, digests.join("\n").as_bytes())?;
        fresh.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| Error::Write { path: file.to_owned(), source })
}

fn platform_of(descriptor: &Descriptor) -> String {
    descriptor.platform.as_ref().map_or_else(String::new, |platform| {
        let variant = platform.variant.as_ref().map_or_else(String::new, |variant| format!("/{variant}"));
        format!("{}/{}{variant}", platform.os, platform.architecture)
    })
}

/// What a person wants to know at the end.
fn summary(ui: &Ui, image: &Published, directory: &Path) {
    ui.line("");
    ui.line(&format!("{} {}", image.name, image.top.digest));
    for (descriptor, size) in &image.platforms {
        ui.line(&format!("  {:<16} {} {}", platform_of(descriptor), descriptor.digest, bytes(*size)));
    }
    match &image.place {
        Place::Registry(references) => {
            for reference in references {
                let tag = reference.tag_or_latest();
                ui.line(&format!("pushed {}:{tag}", reference.repository));
            }
            if let Some(first) = references.first() {
                ui.line(&format!("run it:  docker run --rm {}@{}", first.repository, image.top.digest));
            }
        }
        Place::Folder { .. } | Place::Archive { .. } => {
            let (name, tag) = (&image.name, tag_of(&image.place));
            for place in lines(image, directory) {
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
        Place::Stdout => ui.line("written to stdout"),
    }
}

fn tag_of(place: &Place) -> &str {
    match place {
        Place::Folder { tag, .. } | Place::Archive { tag, .. } => tag,
        Place::Registry(_) | Place::Stdout => "latest",
    }
}

/// stdout for a pipeline: the reference by digest, or the layout.
fn lines(image: &Published, directory: &Path) -> Vec<String> {
    match &image.place {
        Place::Registry(references) => {
            let mut lines: Vec<String> = Vec::new();
            for reference in references {
                let line = format!("{}@{}", reference.repository, image.top.digest);
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            lines
        }
        Place::Folder { path, tag } => vec![format!("oci:{}:{tag}", shown(path, directory))],
        Place::Archive { path, tag } => vec![format!("oci-archive:{}:{tag}", shown(path, directory))],
        Place::Stdout => Vec::new(),
    }
}

/// A path as it would be typed from where we are.
fn shown(path: &Path, directory: &Path) -> String {
    let here = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

fn as_value(image: &Published) -> serde_json::Value {
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
    let mut value = json!({
        "name": image.name,
        "digest": image.top.digest,
        "mediaType": image.top.media_type,
        "platforms": platforms,
    });
    match &image.place {
        Place::Registry(references) => {
            let names: Vec<String> = references
                .iter()
                .map(|reference| format!("{}:{}", reference.repository, reference.tag_or_latest()))
                .collect();
            value["references"] = json!(names);
        }
        Place::Folder { path, tag } => value["layout"] = json!({"folder": path, "tag": tag}),
        Place::Archive { path, tag } => value["layout"] = json!({"archive": path, "tag": tag}),
        Place::Stdout => {}
    }
    value
}
