//! `anyarch verify`: whether an image would start, as a table or as JSON, and what to do where it would not.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base_name::BaseName;
use crate::cli::Verify as Arguments;
use crate::exit::Exit;
use crate::hint::Hint as _;
use crate::run::error::Error;
use crate::run::verify::{Request, Verified, verify};
use crate::ui::Ui;
use crate::verify::Verdict;

/// The longest command that the table shows.
const COMMAND: usize = 60;

/// Runs the command.
#[must_use]
pub fn run(arguments: Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match verified(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn verified(ui: &Arc<Ui>, arguments: Arguments) -> Result<(), Error> {
    let session = super::session(ui, arguments.offline)?;
    let request = Request {
        image: arguments.image,
        platforms: arguments.platform,
        insecure_registries: arguments.insecure_registry,
    };
    let work = verify(&session, &request);
    let (name, platforms) = super::carry_out(ui, &session, work)?;
    if arguments.json {
        ui.data(&as_value(&name, &platforms).to_string());
    } else {
        ui.table(["PLATFORM", "ENTRYPOINT", "FORMAT", "LIBC", "VERDICT"], platforms.iter().map(row));
        findings(ui, &platforms);
    }
    let fails = platforms.iter().filter(|platform| platform.judgement.verdict() == Verdict::Fails);
    let fails: Vec<_> = fails.map(|platform| platform.platform).collect();
    if fails.is_empty() { Ok(()) } else { Err(Error::DoesNotStart { image: name.to_string(), platforms: fails }) }
}

fn row(verified: &Verified) -> [String; 5] {
    let judgement = &verified.judgement;
    let nothing = || "-".to_owned();
    let command = judgement.words.join(" ").escape_debug().to_string();
    let command = match command.chars().count() {
        0 => nothing(),
        1..=COMMAND => command,
        _ => command.chars().take(COMMAND).chain("...".chars()).collect(),
    };
    [
        verified.platform.to_string(),
        command,
        judgement.format.map_or_else(nothing, |format| format.to_string()),
        judgement.libc.clone().unwrap_or_else(nothing),
        judgement.verdict().to_string(),
    ]
}

fn findings(ui: &Ui, platforms: &[Verified]) {
    for verified in platforms {
        for problem in &verified.judgement.problems {
            ui.finding(&verified.platform.to_string(), problem.verdict(), problem, &problem.hints());
        }
    }
}

fn as_value(name: &BaseName, platforms: &[Verified]) -> Value {
    let verdict = platforms.iter().map(|platform| platform.judgement.verdict()).max().unwrap_or(Verdict::Unknown);
    let platforms: Vec<Value> = platforms
        .iter()
        .map(|verified| {
            let judgement = &verified.judgement;
            let findings: Vec<Value> = judgement
                .problems
                .iter()
                .map(|problem| {
                    json!({
                        "verdict": problem.verdict().to_string(), "text": problem.to_string(), "hints": problem.hints(),
                    })
                })
                .collect();
            json!({
                "platform": verified.platform,
                "manifest": verified.manifest,
                "command": judgement.words,
                "program": judgement.program,
                "format": judgement.format.map(|format| format.to_string()),
                "libc": judgement.libc,
                "verdict": judgement.verdict().to_string(),
                "layers": verified.layers.1,
                "layers_read": verified.layers.0,
                "findings": findings,
            })
        })
        .collect();
    json!({"image": name.to_string(), "verdict": verdict.to_string(), "platforms": platforms})
}
