//! `anyarch build`: the whole way, and at the end what was published, how large, how long, and how to run it.

pub(super) mod metadata;
pub(super) mod report;

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::cli::Build;
use crate::exit::Exit;
use crate::run::error::Error;
use crate::run::flags::Flags;
use crate::run::publish::Published;
use crate::run::{destination, execute, prepare};
use crate::ui::{Ui, seconds, traffic};

pub(super) use report::familiar;

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
    let (verify, smoke, results) = (arguments.verify, super::smoke(arguments.smoke), arguments.results);
    let flags = Flags { carries_out: true, resolve: true, verify, smoke, results, ..flags };
    for file in arguments.iidfile.iter().chain(&arguments.metadata_file) {
        destination::parent(&session.directory, file)?;
    }
    let work = async {
        let prepared = prepare::prepare(&session, flags).await?;
        execute::execute(&session, prepared).await
    };
    let (published, result) = super::carry_out(ui, &session, work)?;
    if let Some(file) = &arguments.iidfile {
        super::write(&session.directory.join(file), digests(&published).as_bytes())?;
    }
    if let Some(file) = &arguments.metadata_file {
        super::write(&session.directory.join(file), &metadata::of(&published))?;
    }
    for image in &published {
        report::summary(ui, image, &session.directory);
    }
    if let Some(result) = &result {
        ui.line(&format!("result written to {}", report::shown(result, &session.directory)));
    }
    let moved = session.moved.by_registry();
    for (registry, of_registry) in &moved {
        ui.line(&format!("{registry}: {}", traffic(of_registry)));
    }
    ui.line(&format!("done in {}", seconds(start.elapsed())));
    if as_json {
        let images: Vec<_> = published.iter().map(report::as_value).collect();
        let mut value = json!({"images": images, "moved": moved});
        if let Some(result) = &result {
            value["result"] = json!(result);
        }
        ui.data(&value.to_string());
    } else {
        for line in report::lines(&published, &session.directory) {
            ui.data(&line);
        }
    }
    super::cache::keep_within(ui, &session.store, limit);
    Ok(())
}

fn digests(published: &[Published]) -> String {
    let digests: Vec<String> = published.iter().map(|image| image.top.digest.to_string()).collect();
    digests.join("\n")
}
