//! `anyarch plan`: the whole plan before any compiler runs, as a table or as JSON.

use std::sync::Arc;

use serde_json::json;

use crate::cli::Plan as Arguments;
use crate::exit::Exit;
use crate::plan::{ChosenToolchain, Plan, PlannedProgram};
use crate::run::error::Error;
use crate::run::flags::Flags;
use crate::run::prepare;
use crate::ui::Ui;

/// Runs the command.
#[must_use]
pub fn run(arguments: Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match plan(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn plan(ui: &Arc<Ui>, arguments: Arguments) -> Result<(), Error> {
    let session = super::session(ui, arguments.request.offline)?;
    let as_json = arguments.request.json;
    let flags = Flags { resolve: arguments.resolve, ..super::flags(arguments.request, arguments.destination) };
    let work = prepare::prepare(&session, flags);
    let prepared = super::carry_out(ui, &session, work)?;
    if as_json {
        let references: Vec<Vec<String>> =
            prepared.references().iter().map(|names| names.iter().map(ToString::to_string).collect()).collect();
        ui.data(&json!({"plan": prepared.plan, "references": references}).to_string());
        return Ok(());
    }
    ui.table(["IMAGE", "PLATFORM", "PROGRAM", "TOOLCHAIN", "BASE", "JOB", "OUTPUT"], units(&prepared.plan));
    let libcs = libcs(&prepared.plan);
    if !libcs.is_empty() {
        ui.data("");
        for line in &libcs {
            ui.data(line);
        }
    }
    for (position, job) in prepared.plan.jobs.iter().enumerate() {
        ui.data("");
        for step in &job.steps {
            ui.data(&format!("# job {position}, in {}", step.invocation.cwd.display()));
            ui.data(&step.line);
        }
    }
    Ok(())
}

fn units(plan: &Plan) -> Vec<[String; 7]> {
    let mut rows = Vec::new();
    for image in &plan.images {
        for unit in &image.units {
            let digest = unit.base.digest.map_or_else(String::new, |digest| format!("@{digest}"));
            let nothing = || "-".to_owned();
            if unit.programs.is_empty() {
                // Files alone.
                let base = format!("{}{digest}", unit.base.name);
                rows.push([
                    image.name.clone(),
                    unit.platform.to_string(),
                    nothing(),
                    nothing(),
                    base,
                    nothing(),
                    nothing(),
                ]);
            }
            for program in &unit.programs {
                rows.push([
                    image.name.clone(),
                    unit.platform.to_string(),
                    format!("{} -> {}", program.name, program.destination),
                    toolchain(program),
                    format!("{}{digest}", unit.base.name),
                    program.job.map_or_else(|| "-".to_owned(), |job| job.to_string()),
                    Some(program.binary.display().to_string()).filter(|path| !path.is_empty()).unwrap_or_else(nothing),
                ]);
            }
        }
    }
    rows
}

/// What `libc = "auto"` came to, a line for all programs and platforms of which the same is to be said.
fn libcs(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for unit in plan.images.iter().flat_map(|image| &image.units) {
        for program in &unit.programs {
            let Some(libc) = &program.libc else { continue };
            let (shown, of) = (libc.shown(), format!("{} {}", program.name, unit.platform));
            match lines.iter_mut().find(|(known, _)| *known == shown) {
                Some((_, programs)) if programs.contains(&of) => {}
                Some((_, programs)) => programs.push(of),
                None => lines.push((shown, vec![of])),
            }
        }
    }
    lines.into_iter().map(|(shown, programs)| format!("# {}: {shown}", programs.join(", "))).collect()
}

fn toolchain(program: &PlannedProgram) -> String {
    let Some(chosen) = &program.toolchain else {
        // An undecided one has a line of its own below the table.
        return program.libc.as_ref().map_or_else(|| program.language.to_string(), |_| "-".to_owned());
    };
    let with_target = |chosen: &ChosenToolchain| {
        let target = chosen.target.as_ref().map_or_else(String::new, |target| format!(" {target}"));
        format!("{}{target}", chosen.name)
    };
    let c = chosen.c.as_ref().map_or_else(String::new, |c| format!(", C by {c}"));
    let compiler = chosen
        .compiler
        .as_ref()
        .map_or_else(String::new, |compiler| format!(" with {} ({})", with_target(compiler), compiler.origin));
    format!("{} ({}{c}){compiler}", with_target(chosen), chosen.origin)
}
