//! `anyarch logout`: has a login forgotten.

use std::sync::Arc;

use super::login::{namespace, waiting};
use crate::cli::Logout;
use crate::exit::Exit;
use crate::invocation::quote;
use crate::registry::Kept;
use crate::run::error::Error;
use crate::run::event::{Event, Watch as _};
use crate::ui::Ui;

/// Runs the command.
#[must_use]
pub fn run(arguments: &Logout) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match log_out(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn log_out(ui: &Arc<Ui>, arguments: &Logout) -> Result<(), Error> {
    let namespace = namespace(arguments.registry.as_deref())?;
    let session = super::session(ui, false)?;
    let forget = async { Ok(session.credentials.forget_login(&namespace, waiting(ui)).await?) };
    let forgotten = super::carry_out(ui, &session, forget)?;
    for kept in &forgotten.from {
        let from = match kept {
            Kept::File(file) => file.display().to_string(),
            Kept::Helper { program } => program.clone(),
        };
        ui.line(&format!("logged out: {namespace}, forgotten by {from}"));
    }
    if forgotten.from.is_empty() {
        ui.event(Event::Note(format!("there is no login for `{namespace}`")));
    }
    for file in &forgotten.elsewhere {
        ui.event(Event::Note(format!("another program keeps a login for `{namespace}` in `{}`", file.display())));
    }
    for path in &forgotten.paths {
        ui.event(Event::Note(format!("`{path}` keeps a login of its own; anyarch logout {}", quote(path))));
    }
    Ok(())
}
