//! `anyarch toolchain`: what is needed, where it is, and what of the rest can be installed without root.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::cli::{Toolchain as Arguments, ToolchainCheck, ToolchainInstall, ToolchainScope};
use crate::exit::Exit;
use crate::hint::Hint as _;
use crate::host::{self, HostError};
use crate::install::InstallError;
use crate::platform::Platform;
use crate::provision::{self, Need, Subject, Way};
use crate::run::error::Error;
use crate::run::flags::Flags;
use crate::run::locate::locate;
use crate::run::prepare::Prepared;
use crate::run::provide::{self, Provider, Supply};
use crate::run::session::Session;
use crate::run::{prepare, rows};
use crate::toolchain::{Language, Toolchains};
use crate::ui::{Ui, bytes};

/// Runs the command.
#[must_use]
pub fn run(arguments: Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    let done = match arguments {
        Arguments::Check(arguments) => check(&ui, &arguments),
        Arguments::Install(arguments) => install(&ui, &arguments),
    };
    match done {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn check(ui: &Arc<Ui>, arguments: &ToolchainCheck) -> Result<(), Error> {
    let session = super::session(ui, false)?;
    let work = async {
        let wanted = Box::pin(wanted(&session, &arguments.scope, false)).await?;
        Ok(wanted.provider(&session).look(wanted.needs.clone()))
    };
    let supplies = super::carry_out(ui, &session, work)?;
    if arguments.json {
        ui.data(&json!({"needs": supplies.iter().map(as_value).collect::<Vec<_>>()}).to_string());
    } else {
        ui.table(["NEEDED", "FOR", "FOUND", "INSTALLED BY"], supplies.iter().map(row));
    }
    still_missing(&supplies, &[], &arguments.scope)
}

fn install(ui: &Arc<Ui>, arguments: &ToolchainInstall) -> Result<(), Error> {
    let session = super::session(ui, false)?;
    let work = async {
        let wanted = Box::pin(wanted(&session, &arguments.scope, true)).await?;
        let provider = wanted.provider(&session);
        let refused = provider.install(&provider.look(wanted.needs.clone())).await?;
        Ok((provider.look(wanted.needs.clone()), refused))
    };
    let (supplies, refused) = super::carry_out(ui, &session, work)?;
    ui.table(["NEEDED", "FOR", "FOUND", "INSTALLED BY"], supplies.iter().map(row));
    still_missing(&supplies, &refused, &arguments.scope)
}

/// What was asked about.
struct Wanted {
    needs: Vec<Need>,
    rows: Toolchains,
    directory: PathBuf,
}

impl Wanted {
    fn provider<'run>(&'run self, session: &'run Session) -> Provider<'run> {
        Provider { session, rows: &self.rows, directory: &self.directory }
    }
}

/// What the project in this folder needs; without one, or when a language was named, what the rows need.
async fn wanted(session: &Session, scope: &ToolchainScope, may_install: bool) -> Result<Wanted, Error> {
    let rows = rows::toolchains(session, &scope.toolchain, None)?;
    let of_project =
        scope.language.is_empty() && !matches!(locate(&session.directory, "."), Err(Error::NoProject { .. }));
    if !of_project {
        let platforms = platforms(&scope.platform, &rows)?;
        let needs = provision::needs_of_rows(&rows, platforms.as_deref(), &languages(&scope.language)?)?;
        return Ok(Wanted { needs, rows, directory: session.directory.clone() });
    }
    let flags = Flags {
        platforms: scope.platform.clone(),
        toolchain_files: scope.toolchain.clone(),
        allow_project_toolchains: scope.allow_project_toolchains,
        ..Flags::default()
    };
    match Box::pin(plan_of(session, flags, may_install)).await {
        Ok(prepared) => {
            let needs = provision::needs_of_plan(&prepared.plan);
            Ok(Wanted { needs, rows, directory: prepared.settings.root.clone() })
        }
        // Who cannot be read has no plan yet: what reads it is what is needed first.
        Err(Error::Host(HostError::Reader { tool, folder, .. })) => {
            let need = Need { subject: Subject::Tool(tool), platforms: Vec::new(), alternatives: Vec::new() };
            Ok(Wanted { needs: vec![need], rows, directory: folder })
        }
        Err(error) => Err(error),
    }
}

/// The plan of the project in this folder. Bases are read only where what is needed depends on what is in them.
async fn plan_of(session: &Session, flags: Flags, may_install: bool) -> Result<Prepared, Error> {
    let prepared = if may_install {
        provide::readable(session, &flags).await?
    } else {
        prepare::draft(session, flags.clone()).await?
    };
    if prepared.plan.undecided.iter().all(|undecided| undecided.whole) {
        return Ok(prepared);
    }
    prepare::draft(session, Flags { resolve: true, ..flags }).await
}

fn languages(names: &[String]) -> Result<Vec<Language>, Error> {
    let known = Language::names();
    if names.is_empty() {
        return Ok(known.into_iter().filter_map(Language::from_name).collect());
    }
    let parse = |name: &String| {
        Language::from_name(name).ok_or_else(|| Error::Language { text: name.clone(), known: known.clone() })
    };
    names.iter().map(parse).collect()
}

/// The platforms that were named; `None` when each language has its own.
fn platforms(texts: &[String], rows: &Toolchains) -> Result<Option<Vec<Platform>>, Error> {
    if texts.is_empty() || texts.iter().all(|text| text.trim() == "all") {
        return Ok(None);
    }
    let mut platforms = Vec::new();
    for text in texts {
        match text.trim() {
            "all" => {
                platforms.extend(rows.platforms().iter().filter(|row| !row.default.is_empty()).map(|row| row.platform));
            }
            "host" => platforms.push(host::platform()?),
            text => platforms.push(text.parse()?),
        }
    }
    Ok(Some(platforms))
}

fn row(supply: &Supply) -> [String; 4] {
    let platforms: Vec<String> = supply.need.platforms.iter().map(ToString::to_string).collect();
    let platforms = if platforms.is_empty() { "the project".to_owned() } else { platforms.join(",") };
    let (found, by) = match &supply.found {
        Some(found) => (found.clone(), "-".to_owned()),
        None => ("-".to_owned(), way(supply)),
    };
    [supply.need.subject.name(), platforms, found, by]
}

fn way(supply: &Supply) -> String {
    match &supply.way {
        Way::Download { version, size } => format!("anyarch toolchain install ({version}, {})", bytes(*size)),
        Way::Rustup => "anyarch toolchain install (rustup)".to_owned(),
        Way::Line(line) => line.clone(),
        Way::Unknown => "-".to_owned(),
    }
}

fn as_value(supply: &Supply) -> serde_json::Value {
    let install = match &supply.way {
        Way::Download { version, size } => json!({"by": "anyarch", "version": version, "size": size}),
        Way::Rustup => json!({"by": "rustup"}),
        Way::Line(line) => json!({"by": "line", "line": line}),
        Way::Unknown => serde_json::Value::Null,
    };
    let kind = match supply.need.subject {
        Subject::Tool(_) => "tool",
        Subject::RustTarget(_) => "rust-target",
    };
    json!({
        "name": supply.need.subject.name(),
        "kind": kind,
        "platforms": supply.need.platforms,
        "found": supply.found,
        "install": install,
    })
}

/// The line that installs what was asked about.
fn install_line(scope: &ToolchainScope) -> String {
    let files: Vec<String> = scope.toolchain.iter().map(|file| file.display().to_string()).collect();
    let mut words = vec!["anyarch".to_owned(), "toolchain".to_owned(), "install".to_owned()];
    for (flag, values) in [("--platform", &scope.platform), ("--language", &scope.language), ("--toolchain", &files)] {
        words.extend(values.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
    }
    if scope.allow_project_toolchains {
        words.push("--allow-project-toolchains".to_owned());
    }
    // The only failure is a NUL, which no argument holds.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

/// Something missing is an error with the lines that help: ours once, then each other's.
fn still_missing(supplies: &[Supply], refused: &[InstallError], scope: &ToolchainScope) -> Result<(), Error> {
    let missing: Vec<&Supply> = supplies.iter().filter(|supply| supply.found.is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut ways_out: Vec<String> = Vec::new();
    let is_refused = |supply: &Supply| {
        refused.iter().any(|error| matches!((error, &supply.need.subject), (InstallError::Target { target, .. }, Subject::RustTarget(name)) if target == name))
    };
    if missing.iter().any(|supply| supply.can_be_installed() && !is_refused(supply)) {
        ways_out.push(install_line(scope));
    }
    for error in refused {
        if let InstallError::Target { target, said, .. } = error {
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
            ways_out.push(format!("rustup does not have {target}: {last}"));
            ways_out.extend(error.hints().into_iter().map(|setting| format!("for {target}: {setting}")));
        }
    }
    ways_out.extend(missing.iter().filter_map(|supply| match &supply.way {
        Way::Line(line) => Some(line.clone()),
        _ => None,
    }));
    ways_out.dedup();
    Err(Error::StillMissing { missing: missing.iter().map(|supply| supply.need.subject.name()).collect(), ways_out })
}
