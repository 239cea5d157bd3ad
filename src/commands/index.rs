//! `anyarch index create`: images that exist under one index, and at the end where it is, as `build` says it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fs_err as fs;
use serde_json::json;

use super::build::{metadata, report};
use crate::cli::{Index, IndexCreate};
use crate::exit::Exit;
use crate::manifest_tool::{self, Source, SpecError};
use crate::reference::Reference;
use crate::run::destination;
use crate::run::error::Error;
use crate::run::index_create::{Request, prepare, results};
use crate::ui::{Ui, seconds, traffic};

/// Runs the command.
#[must_use]
pub fn run(command: Index) -> Exit {
    let ui = Arc::new(Ui::new(false));
    let Index::Create(arguments) = command;
    match create(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn create(ui: &Arc<Ui>, arguments: IndexCreate) -> Result<(), Error> {
    let start = Instant::now();
    let limit = super::cache_limit()?;
    let session = super::session(ui, false)?;
    let (dry_run, as_json) = (arguments.dry_run, arguments.json);
    let metadata_file = arguments.metadata_file.clone();
    if let Some(file) = &metadata_file {
        destination::parent(&session.directory, file)?;
    }
    let results = arguments.from_results.clone();
    let request = request(&session.directory, arguments)?;
    if !dry_run && request.tags.is_empty() && results.is_none() {
        return Err(Error::NoIndexName);
    }
    let work = async {
        let prepared = match &results {
            Some(folder) => results::prepare(&session, &request, folder).await?,
            None => vec![prepare(&session, &request).await?],
        };
        let (mut bytes, mut published) = (Vec::new(), Vec::new());
        let several = prepared.len() > 1;
        for prepared in prepared {
            if dry_run {
                bytes.extend(prepared.index.bytes);
                // One is printed as it is; several are a line each.
                bytes.extend(several.then_some(b'\n'));
            } else {
                published.push(prepared.publish(&session).await?);
            }
        }
        Ok((bytes, published))
    };
    let (bytes, published) = super::carry_out(ui, &session, work)?;
    if dry_run {
        ui.bytes(&bytes);
        return Ok(());
    }
    if let Some(file) = &metadata_file {
        super::write(&session.directory.join(file), &metadata::of(&published))?;
    }
    for image in &published {
        report::summary(ui, image, &session.directory);
    }
    let moved = session.moved.by_registry();
    for (registry, of_registry) in &moved {
        ui.line(&format!("{registry}: {}", traffic(of_registry)));
    }
    ui.line(&format!("done in {}", seconds(start.elapsed())));
    if as_json {
        let mut values: Vec<_> = published.iter().map(report::as_value).collect();
        // One image is what it is; several are as `build` has them.
        let mut value = if values.len() == 1 { values.remove(0) } else { json!({"images": values}) };
        value["moved"] = json!(moved);
        ui.data(&value.to_string());
    } else {
        for line in report::lines(&published, &session.directory) {
            ui.data(&line);
        }
    }
    super::cache::keep_within(ui, &session.store, limit);
    Ok(())
}

/// What was typed, with what a file or a template says of it.
fn request(directory: &Path, arguments: IndexCreate) -> Result<Request, Error> {
    let mut request = Request {
        sources: arguments.sources.into_iter().map(|image| Source { image, platform: None }).collect(),
        tags: arguments.tag,
        append: arguments.append,
        platforms: arguments.platform,
        annotations: arguments.annotation,
        insecure_registries: arguments.insecure_registry,
        push_jobs: arguments.push_jobs.map(std::num::NonZeroUsize::get),
    };
    if let Some(file) = &arguments.from_spec {
        of_file(&directory.join(file), file, &mut request)?;
    }
    if let Some(template) = &arguments.template {
        let wrong = |source: SpecError| Error::Spec { place: "`--template`".to_owned(), source };
        // They are what the template is filled with, and each source has just that one.
        let platforms = std::mem::take(&mut request.platforms);
        request.sources = manifest_tool::fill(template, &platforms).map_err(wrong)?;
    }
    Ok(request)
}

/// Takes over what a file of manifest-tool says; flags win.
fn of_file(path: &Path, file: &Path, request: &mut Request) -> Result<(), Error> {
    let place = || format!("`{}`", file.display());
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    let spec = manifest_tool::read(&text).map_err(|source| Error::Spec { place: place(), source })?;
    let annotations = spec.annotations.iter().map(|(key, value)| format!("index:{key}={value}"));
    request.annotations.splice(0..0, annotations);
    request.sources = spec.sources;
    let Some(image) = spec.image.filter(|_| request.tags.is_empty()) else { return Ok(()) };
    let wrong = |source| Error::Reference { origin: file.display().to_string(), source };
    let first: Reference = image.parse().map_err(wrong)?;
    request.tags.push(image);
    for tag in &spec.tags {
        request.tags.push(first.repository.with_tag(tag).map_err(wrong)?.to_string());
    }
    Ok(())
}
