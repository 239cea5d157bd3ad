//! `anyarch load`: one platform of an image goes into the running Docker or podman, and its name to stdout.

use std::sync::Arc;

use serde_json::json;

use crate::cli::Load as Arguments;
use crate::exit::Exit;
use crate::run::error::Error;
use crate::run::load::{Request, load};
use crate::ui::Ui;

use super::build::familiar;

/// Runs the command.
#[must_use]
pub fn run(arguments: Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match loaded(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn loaded(ui: &Arc<Ui>, arguments: Arguments) -> Result<(), Error> {
    let session = super::session(ui, arguments.offline)?;
    let request = Request {
        image: arguments.image,
        platform: arguments.platform,
        names: arguments.tag,
        insecure_registries: arguments.insecure_registry,
    };
    let work = load(&session, &request);
    let loaded = super::carry_out(ui, &session, work)?;
    let names: Vec<String> = match loaded.names.as_slice() {
        [] => loaded.said,
        names => names.iter().map(familiar).collect(),
    };
    for name in &names {
        ui.line(&format!("loaded {} into {} as {name}", loaded.platform, loaded.command));
    }
    if let Some(first) = names.first() {
        ui.line(&format!("run it:  {} run --rm {first}", loaded.command));
    }
    if arguments.json {
        let (platform, digest) = (loaded.platform, loaded.manifest);
        ui.data(&json!({"loaded": loaded.command, "platform": platform, "digest": digest, "names": names}).to_string());
    } else {
        for name in &names {
            ui.data(name);
        }
    }
    Ok(())
}
