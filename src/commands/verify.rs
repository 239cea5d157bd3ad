//! `anyarch verify`: whether an image would start, as a table or as JSON, and what to do where it would not.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base_name::BaseName;
use crate::cli::Verify as Arguments;
use crate::exit::Exit;
use crate::hint::Hint as _;
use crate::run::error::Error;
use crate::run::smoke::Outcome;
use crate::run::verify::{Request, Verified, verify};
use crate::ui::{Ui, seconds};
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
        smoke: super::smoke(arguments.smoke),
    };
    let work = verify(&session, &request);
    let (name, platforms) = super::carry_out(ui, &session, work)?;
    if arguments.json {
        ui.data(&as_value(&name, &platforms).to_string());
    } else {
        ui.table(["PLATFORM", "ENTRYPOINT", "FORMAT", "LIBC", "VERDICT"], platforms.iter().map(row));
        findings(ui, &platforms);
    }
    let fails = platforms.iter().filter(|platform| verdict(platform) == Verdict::Fails);
    let fails: Vec<_> = fails.map(|platform| platform.platform).collect();
    if fails.is_empty() { Ok(()) } else { Err(Error::DoesNotStart { image: name.to_string(), platforms: fails }) }
}

/// What was found out, and how the start went: the worse of both.
fn verdict(verified: &Verified) -> Verdict {
    match verified.smoke {
        Some(Outcome::Failed(_)) => Verdict::Fails,
        Some(Outcome::Passed { .. } | Outcome::NotRun) | None => verified.judgement.verdict(),
    }
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
        verdict(verified).to_string(),
    ]
}

fn findings(ui: &Ui, platforms: &[Verified]) {
    for verified in platforms {
        for problem in &verified.judgement.problems {
            ui.finding(&verified.platform.to_string(), problem.verdict(), problem, &problem.hints());
        }
        match &verified.smoke {
            Some(Outcome::Passed { elapsed }) => {
                let text = format!("it was started, and ended well after {}", seconds(*elapsed));
                ui.finding(&verified.platform.to_string(), Verdict::Ok, &text, &[]);
            }
            Some(Outcome::Failed(start)) => {
                let text = format!("`{}` {}", start.command, start.ending);
                ui.finding(&verified.platform.to_string(), Verdict::Fails, &text, &start.ways_out);
                if !start.output.is_empty() {
                    ui.quoted(&verified.platform.to_string(), &start.output);
                }
            }
            Some(Outcome::NotRun) | None => {}
        }
    }
}

fn as_value(name: &BaseName, platforms: &[Verified]) -> Value {
    let worst = platforms.iter().map(verdict).max().unwrap_or(Verdict::Unknown);
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
                "verdict": verdict(verified).to_string(),
                "smoke": start_as_value(verified.smoke.as_ref()),
                "layers": verified.layers.1,
                "layers_read": verified.layers.0,
                "findings": findings,
            })
        })
        .collect();
    json!({"image": name.to_string(), "verdict": worst.to_string(), "platforms": platforms})
}

/// How a start went; null where none was asked for.
fn start_as_value(smoke: Option<&Outcome>) -> Value {
    match smoke {
        None => Value::Null,
        Some(Outcome::NotRun) => json!({"verdict": Verdict::Unknown.to_string()}),
        Some(Outcome::Passed { elapsed }) => {
            json!({"verdict": Verdict::Ok.to_string(), "seconds": elapsed.as_secs_f64()})
        }
        Some(Outcome::Failed(start)) => json!({
            "verdict": Verdict::Fails.to_string(), "command": start.command, "text": start.ending, "output": start.output,
        }),
    }
}
