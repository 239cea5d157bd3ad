//! `anyarch copy`: an image to another place, and at the end what it is called there.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::cli::Copy as Arguments;
use crate::exit::Exit;
use crate::run::copy::{Copied, Request, copy};
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
    let request = Request {
        source: arguments.source,
        destination: arguments.destination,
        platforms: arguments.platform,
        preserve_digests: arguments.preserve_digests,
        insecure_registries: arguments.insecure_registry,
        push_jobs: arguments.push_jobs.map(NonZeroUsize::get),
    };
    let copied = super::carry_out(ui, &session, copy(&session, &request))?;
    summary(ui, &session, &[&copied], start);
    if arguments.json {
        ui.data(&as_value(&copied, &session).to_string());
    } else {
        ui.data(&copied.destination.line(&copied.top.digest));
    }
    super::cache::keep_within(ui, &session.store, limit);
    Ok(())
}

/// What a person wants to know at the end.
fn summary(ui: &Ui, session: &Session, copies: &[&Copied], start: Instant) {
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

fn as_value(copied: &Copied, session: &Session) -> serde_json::Value {
    json!({
        "source": copied.source.to_string(),
        "source_digest": copied.of,
        "destination": copied.destination.to_string(),
        "digest": copied.top.digest,
        "mediaType": copied.top.media_type,
        "moved": session.moved.by_registry(),
    })
}
