//! `anyarch init`: writes the configuration that a project may start from.

use std::sync::Arc;

use crate::cli::Init;
use crate::exit::Exit;
use crate::run::error::Error;
use crate::run::init;
use crate::ui::Ui;

/// Runs the command.
#[must_use]
pub fn run(arguments: &Init) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match write(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn write(ui: &Arc<Ui>, arguments: &Init) -> Result<(), Error> {
    let session = super::session(ui, false)?;
    let path = arguments.path.as_deref().unwrap_or(".");
    let proposal = init::propose(&session, path)?;
    init::write(&session, &proposal)?;
    let file = init::shown(&session, &proposal.path);
    let programs: Vec<String> =
        proposal.programs.iter().map(|(name, language)| format!("{name} ({language})")).collect();
    ui.line(&format!("{}: {}", if programs.len() == 1 { "program" } else { "programs" }, programs.join(", ")));
    if proposal.has_guesses {
        ui.line("check the values that are marked `check`: they were read from the text of build files");
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => format!(" {}", init::quoted(folder)),
        _ => String::new(),
    };
    ui.line(&format!("see what it does: anyarch plan{folder}"));
    ui.line(&format!("build it:         anyarch build{folder}"));
    ui.data(&file.display().to_string());
    Ok(())
}
