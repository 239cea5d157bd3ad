//! `anyarch copy`: an image to another place, and at the end what it is called there.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::Copy as Arguments;
use crate::exit::Exit;
use crate::run::copy::{Copied, Mirrored, Mirroring, Request, copy, mirror};
use crate::run::error::Error;
use crate::run::session::Session;
use crate::ui::{Ui, seconds, traffic};

/// Runs the command.
#[must_use]
pub fn run(arguments: Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match copied(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn copied(ui: &Arc<Ui>, arguments: Arguments) -> Result<(), Error> {
    let start = Instant::now();
    let limit = super::cache_limit()?;
    let session = super::session(ui, arguments.offline)?;
    match arguments.all_bases.clone() {
        Some(prefix) => bases_copied(ui, &session, prefix, arguments, start)?,
        None => image_copied(ui, &session, arguments, start)?,
    }
    super::cache::keep_within(ui, &session.store, limit);
    Ok(())
}

fn image_copied(ui: &Arc<Ui>, session: &Session, arguments: Arguments, start: Instant) -> Result<(), Error> {
    let request = Request {
        source: arguments.source.unwrap_or_default(),
        destination: arguments.destination.unwrap_or_default(),
        platforms: arguments.platform,
        preserve_digests: arguments.preserve_digests,
        insecure_registries: arguments.insecure_registry,
        push_jobs: arguments.push_jobs.map(NonZeroUsize::get),
    };
    let copied = super::carry_out(ui, session, copy(session, &request))?;
    summary(ui, session, std::slice::from_ref(&copied), start);
    if arguments.json {
        let mut value = as_value(&copied);
        value["moved"] = json!(session.moved.by_registry());
        ui.data(&value.to_string());
    } else {
        ui.data(&copied.destination.line(&copied.top.digest));
    }
    Ok(())
}

fn bases_copied(
    ui: &Arc<Ui>,
    session: &Session,
    prefix: String,
    arguments: Arguments,
    start: Instant,
) -> Result<(), Error> {
    let mirroring = Mirroring {
        prefix,
        insecure_registries: arguments.insecure_registry,
        push_jobs: arguments.push_jobs.map(NonZeroUsize::get),
    };
    let Mirrored { copies, tables } = super::carry_out(ui, session, mirror(session, &mirroring))?;
    summary(ui, session, &copies, start);
    if copies.is_empty() {
        ui.line("the project takes no base from a registry");
    }
    if arguments.json {
        let images: Vec<Value> = copies.iter().map(as_value).collect();
        let mirrors = tables.iter().filter_map(|(key, settings)| {
            let mirrors = settings.mirrors.as_ref()?.iter().map(ToString::to_string);
            Some((key.to_string(), json!(mirrors.collect::<Vec<_>>())))
        });
        let mirrors: serde_json::Map<String, Value> = mirrors.collect();
        ui.data(&json!({"images": images, "mirrors": mirrors, "moved": session.moved.by_registry()}).to_string());
        return Ok(());
    }
    for (key, settings) in &tables {
        ui.data(&format!("[registry.{}]", quoted(&key.to_string())));
        if let Some(mirrors) = &settings.mirrors {
            let mirrors: Vec<String> = mirrors.iter().map(|mirror| quoted(&mirror.to_string())).collect();
            ui.data(&format!("mirrors = [{}]", mirrors.join(", ")));
        }
        if settings.insecure == Some(true) {
            ui.data("insecure = true");
        }
    }
    Ok(())
}

/// A text as TOML has it; names of registries hold nothing that would have to be escaped.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// What a person wants to know at the end.
fn summary(ui: &Ui, session: &Session, copies: &[Copied], start: Instant) {
    for Copied { source, destination, top, of } in copies {
        ui.line(&format!("copied {source} to {destination}"));
        let other = of.filter(|of| *of != top.digest).map_or_else(String::new, |of| format!(", of {of}"));
        ui.line(&format!("  {}{other}", top.digest));
    }
    for (registry, of_registry) in &session.moved.by_registry() {
        ui.line(&format!("{registry}: {}", traffic(of_registry)));
    }
    ui.line(&format!("done in {}", seconds(start.elapsed())));
}

fn as_value(copied: &Copied) -> Value {
    json!({
        "source": copied.source.to_string(),
        "source_digest": copied.of,
        "destination": copied.destination.to_string(),
        "digest": copied.top.digest,
        "mediaType": copied.top.media_type,
    })
}
