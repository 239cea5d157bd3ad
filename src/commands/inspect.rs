//! `anyarch inspect`: what an image is made of, as tables, as JSON, as a template has it, or byte for byte.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::Inspect as Arguments;
use crate::exit::Exit;
use crate::formatted;
use crate::manifest::{Contents, Document, Role};
use crate::run::error::Error;
use crate::run::held::Held;
use crate::run::inspect::{Inspected, Request, inspect, raw};
use crate::ui::{Ui, bytes};

/// Says of a manifest or an index what it was built on:
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// What stands where there is nothing.
const NOTHING: &str = "-";

/// Runs the command.
#[must_use]
pub fn run(arguments: Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match inspected(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn inspected(ui: &Arc<Ui>, arguments: Arguments) -> Result<(), Error> {
    let session = super::session(ui, arguments.offline)?;
    let request = Request {
        image: arguments.image,
        platforms: arguments.platform,
        insecure_registries: arguments.insecure_registry,
    };
    if arguments.raw {
        let work = raw(&session, &request);
        ui.bytes(&super::carry_out(ui, &session, work)?);
        return Ok(());
    }
    let work = inspect(&session, &request);
    let inspected = super::carry_out(ui, &session, work)?;
    if arguments.config {
        configs(ui, &inspected.held);
    } else if arguments.json {
        ui.data(&as_value(&inspected).to_string());
    } else if let Some(template) = &arguments.format {
        ui.data(&formatted::render(template, &as_value(&inspected))?);
    } else {
        tables(ui, &inspected);
    }
    Ok(())
}

/// One config is as it is, several are a line each.
fn configs(ui: &Ui, held: &[Held]) {
    let configs: Vec<&[u8]> = held.iter().filter_map(|held| held.config.as_deref()).collect();
    match configs.as_slice() {
        [only] => ui.bytes(only),
        several => several.iter().for_each(|config| ui.bytes(&[config, b"\n".as_slice()].concat())),
    }
}

fn tables(ui: &Ui, inspected: &Inspected) {
    ui.data(&format!("Name:    {}", inspected.name));
    if let Some(top) = &inspected.top {
        ui.data(&format!("Digest:  {}", top.descriptor.digest));
        ui.data(&format!("Type:    {}", plain(&top.descriptor.media_type)));
    }
    let held = &inspected.held;
    let images = || held.iter().filter(|held| held.role == Role::Image);
    if images().next().is_some() {
        ui.data("");
        let header = ["PLATFORM", "DIGEST", "SIZE", "LAYERS", "CREATED", "BASE"];
        ui.table(header, images().map(|image| row(inspected, image)));
    }
    let attestations: Vec<[String; 4]> = held.iter().filter_map(|held| attestation_row(inspected, held)).collect();
    if !attestations.is_empty() {
        ui.data("");
        ui.table(["ATTESTS", "DIGEST", "SIZE", "PREDICATES"], attestations);
    }
    let artifacts: Vec<[String; 3]> = held
        .iter()
        .filter_map(|held| {
            let Role::Artifact { artifact_type } = &held.role else { return None };
            Some([plain(artifact_type), held.digest().to_string(), bytes(size(held))])
        })
        .collect();
    if !artifacts.is_empty() {
        ui.data("");
        ui.table(["ARTIFACT", "DIGEST", "SIZE"], artifacts);
    }
}

fn row(inspected: &Inspected, image: &Held) -> [String; 6] {
    let nothing = || NOTHING.to_owned();
    [
        image.platform().map_or_else(nothing, |platform| platform.to_string()),
        image.digest().to_string(),
        bytes(size(image)),
        layers(image).len().to_string(),
        field(image, "created").as_str().map_or_else(nothing, in_seconds),
        noted(inspected, image, BASE_NAME).map_or_else(nothing, plain),
    ]
}

fn attestation_row(inspected: &Inspected, held: &Held) -> Option<[String; 4]> {
    let Role::Attestation { predicates, .. } = &held.role else { return None };
    let nothing = || NOTHING.to_owned();
    let subject = attested(inspected, held).map(|(digest, platform)| platform.unwrap_or(digest));
    let predicates: Vec<String> = predicates.iter().map(|predicate| plain(predicate)).collect();
    let predicates = Some(predicates.join(", ")).filter(|text| !text.is_empty());
    Some([
        subject.unwrap_or_else(nothing),
        held.digest().to_string(),
        bytes(size(held)),
        predicates.unwrap_or_else(nothing),
    ])
}

/// Text that somebody else wrote, without what would move the cursor.
fn plain(text: &str) -> String {
    text.escape_debug().to_string()
}

/// A time without the parts of its seconds; whatever else somebody wrote there as it is.
fn in_seconds(text: &str) -> String {
    match (text.split_once('.'), text.ends_with('Z')) {
        (Some((seconds, _)), true) => plain(&format!("{seconds}Z")),
        _ => plain(text),
    }
}

/// What a pull of it moves; what its index says of the size of what was not read.
fn size(held: &Held) -> u64 {
    held.document.as_ref().map_or(held.entry.descriptor.size, Document::pull_size)
}

fn layers(held: &Held) -> &[crate::blob::Descriptor] {
    match held.document.as_ref().map(|document| &document.contents) {
        Some(Contents::Manifest { layers, .. }) => layers,
        _ => &[],
    }
}

fn config(held: &Held) -> Value {
    held.config.as_ref().and_then(|config| serde_json::from_slice(config).ok()).unwrap_or_default()
}

fn field(held: &Held, name: &str) -> Value {
    config(held).get(name).cloned().unwrap_or_default()
}

/// What is noted on the manifest, else on what names it, else on the index over all.
fn noted<'inspected>(inspected: &'inspected Inspected, held: &'inspected Held, key: &str) -> Option<&'inspected str> {
    let manifest = held.document.as_ref().map(|document| &document.annotations);
    let index = inspected.top.as_ref().map(|top| &top.annotations);
    let places = [manifest, Some(&held.entry.descriptor.annotations), index];
    places.into_iter().flatten().find_map(|annotations| annotations.get(key)).map(String::as_str)
}

/// The digest of what an attestation is about, and its platform if it is an image of this index.
fn attested(inspected: &Inspected, held: &Held) -> Option<(String, Option<String>)> {
    let Role::Attestation { of: Some(of), .. } = held.role else { return None };
    let image = inspected.held.iter().find(|held| held.digest() == of);
    Some((of.to_string(), image.and_then(Held::platform).map(|platform| platform.to_string())))
}

fn as_value(inspected: &Inspected) -> Value {
    let (mut images, mut attestations, mut artifacts) = (Vec::new(), Vec::new(), Vec::new());
    for held in &inspected.held {
        let mut value = json!({
            "digest": held.digest(),
            "mediaType": held.entry.descriptor.media_type,
            "size": size(held),
            "annotations": held.document.as_ref().map(|document| &document.annotations),
        });
        match &held.role {
            Role::Image => {
                value["platform"] = json!(held.platform().map(|platform| platform.to_string()));
                value["layers"] = json!(layers(held));
                value["created"] = field(held, "created");
                let base = noted(inspected, held, BASE_NAME);
                value["base"] =
                    json!(base.map(|name| json!({"name": name, "digest": noted(inspected, held, BASE_DIGEST)})));
                value["config"] = config(held);
                images.push(value);
            }
            Role::Attestation { predicates, .. } => {
                let (of, platform) = attested(inspected, held).unzip();
                value["of"] = json!(of);
                value["platform"] = json!(platform.flatten());
                value["predicates"] = json!(predicates);
                attestations.push(value);
            }
            Role::Artifact { artifact_type } => {
                value["artifactType"] = json!(artifact_type);
                artifacts.push(value);
            }
        }
    }
    let top = inspected.top.as_ref();
    json!({
        "name": inspected.name.to_string(),
        "digest": top.map(|top| top.descriptor.digest),
        "mediaType": top.map(|top| &top.descriptor.media_type),
        "annotations": top.map(|top| &top.annotations),
        "images": images,
        "attestations": attestations,
        "artifacts": artifacts,
    })
}
