//! What a plan or the rows need is looked for on this machine, and what is missing is installed where that needs no root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::download::Downloader;
use crate::host::{self, HostError};
use crate::install::{InstallError, Installer, Progress, Told};
use crate::invocation::Step;
use crate::plan::Plan;
use crate::provision::{self, Need, Subject, Way};
use crate::toolchain::{Tool, Toolchains};

use super::error::Error;
use super::event::{Event, InstallStep};
use super::flags::Flags;
use super::prepare::{self, Prepared};
use super::rows;
use super::session::Session;

/// A need, whether it is met, and how it can be.
#[derive(Clone, Debug)]
pub struct Supply {
    /// the need
    pub need: Need,
    /// where it was found, with its version; `None` when it is missing
    pub found: Option<String>,
    /// how it can be had
    pub way: Way,
}

impl Supply {
    /// True when it is missing and we can get it.
    #[must_use]
    pub fn can_be_installed(&self) -> bool {
        self.found.is_none() && matches!(self.way, Way::Download { .. } | Way::Rustup)
    }

    /// What it is called, with the version that we would get.
    fn called(&self) -> String {
        match (&self.need.subject, &self.way) {
            (Subject::Tool(tool), Way::Download { version, .. }) => format!("`{} {version}`", tool.name),
            (Subject::Tool(tool), _) => format!("`{}`", tool.name),
            (Subject::RustTarget(target), _) => format!("the Rust target `{target}`"),
        }
    }
}

/// Where to look, and for whom to install.
pub struct Provider<'run> {
    /// what it stands on
    pub session: &'run Session,
    /// the rows of the run
    pub rows: &'run Toolchains,
    /// the project's folder, whose Rust toolchain counts
    pub directory: &'run Path,
}

impl Provider<'_> {
    /// Looks for everything that is needed.
    #[must_use]
    pub fn look(&self, needs: Vec<Need>) -> Vec<Supply> {
        let rustup = which::which("rustup").is_ok();
        // No rustc is no Rust targets.
        let libraries = needs.iter().any(|need| matches!(need.subject, Subject::RustTarget(_)));
        let libraries = libraries.then(|| host::rust_libraries(&self.session.children, self.directory).ok()).flatten();
        let supply = |need: Need| {
            let (found, line) = match &need.subject {
                Subject::Tool(tool) => (found(tool), host::install_line(tool)),
                Subject::RustTarget(target) => (found_target(libraries.as_deref(), target), None),
            };
            let way = provision::way(&need.subject, host::machine(), rustup, line);
            Supply { need, found, way }
        };
        needs.into_iter().map(supply).collect()
    }

    /// Installs what is missing and can be had. Returns what rustup refused: it does not have every target everywhere.
    ///
    /// # Errors
    /// When something else fails.
    pub async fn install(&self, supplies: &[Supply]) -> Result<Vec<InstallError>, Error> {
        let wanted: Vec<String> =
            supplies.iter().filter(|supply| supply.can_be_installed()).map(Supply::called).collect();
        if self.session.offline && !wanted.is_empty() {
            return Err(Error::OfflineInstall { missing: wanted });
        }
        let Some(host) = host::machine() else { return Ok(Vec::new()) };
        let (store, children) = (self.session.store.clone(), self.session.children.clone());
        let installer = Installer { store, children, host, downloader: Downloader::default() };
        let mut refused = Vec::new();
        for supply in supplies.iter().filter(|supply| supply.can_be_installed()) {
            let result = match &supply.need.subject {
                Subject::Tool(tool) => self.install_tool(&installer, tool, &supply.way).await,
                Subject::RustTarget(target) => self.install_target(&installer, target).await,
            };
            self.session.watch.event(Event::InstallEnded);
            match result {
                Ok(()) => {}
                Err(InstallError::Target { target, line, said, .. }) => {
                    let others = provision::other_targets(self.rows, &target, &supply.need.platforms);
                    refused.push(InstallError::Target { target, line, said, others });
                }
                Err(InstallError::Exec(error)) => return Err(error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(refused)
    }

    fn told(&self, what: &str) -> Told {
        let (watch, what) = (self.session.watch.clone(), what.to_owned());
        Arc::new(move |progress| {
            let step = match progress {
                Progress::Waiting => InstallStep::Waiting,
                Progress::Downloading { host, at, size } => InstallStep::Downloading { host, at, size },
                Progress::Unpacking { size } => InstallStep::Unpacking { size },
                Progress::Calling => InstallStep::Rustup,
                Progress::Bytes(bytes) => return watch.event(Event::InstallMoved { bytes }),
            };
            watch.event(Event::Installing { what: what.clone(), step });
        })
    }

    async fn install_tool(&self, installer: &Installer, tool: &Tool, way: &Way) -> Result<(), InstallError> {
        let what = match way {
            Way::Download { version, .. } => format!("{} {version}", tool.name),
            _ => tool.name.clone(),
        };
        let start = Instant::now();
        let (program, fresh) = installer.tool(tool, &self.told(&what)).await?;
        if fresh {
            let (place, elapsed) = (program.display().to_string(), start.elapsed());
            self.session.watch.event(Event::Installed { what, place, elapsed });
        }
        Ok(())
    }

    async fn install_target(&self, installer: &Installer, target: &str) -> Result<(), InstallError> {
        let start = Instant::now();
        installer.target(self.directory, target, &self.told(target)).await?;
        let (what, elapsed) = (target.to_owned(), start.elapsed());
        self.session.watch.event(Event::Installed { what, place: "by rustup".to_owned(), elapsed });
        Ok(())
    }
}

fn found(tool: &Tool) -> Option<String> {
    let found = host::find_with_version(tool)?;
    Some(format!("{} ({})", found.command.join(" "), found.version))
}

fn found_target(libraries: Option<&Path>, target: &str) -> Option<String> {
    let folder = libraries.filter(|folder| host::has_target(folder, target))?;
    Some(folder.join(target).display().to_string())
}

/// Calls of tools that PATH lacks call what was downloaded.
pub fn call_downloaded(plan: &mut Plan) {
    for job in &mut plan.jobs {
        for step in &mut job.steps {
            job.tools.iter().for_each(|tool| host::call_downloaded(tool, &mut step.invocation));
            *step = Step::new(step.invocation.clone(), step.joins);
        }
    }
}

/// Makes a plan and gets what it needs: first who can read the project, then what the calls need.
///
/// # Errors
/// Whatever stands in the way of the plan; what cannot be had without root is left to who checks the machine.
pub async fn for_plan(session: &Session, flags: &Flags) -> Result<Prepared, Error> {
    let prepared = readable(session, flags).await?;
    let rows = rows::toolchains(session, &flags.toolchain_files, None)?;
    let provider = Provider { session, rows: &rows, directory: &prepared.settings.root };
    let supplies = provider.look(provision::needs_of_plan(&prepared.plan));
    let missing: Vec<&Supply> = supplies.iter().filter(|supply| supply.found.is_none()).collect();
    // Nothing large is downloaded for a build that cannot be.
    for supply in missing.iter().filter(|supply| !supply.can_be_installed()) {
        match &supply.need.subject {
            Subject::Tool(tool) => drop(host::require(tool, &supply.need.platforms, &supply.need.alternatives)?),
            Subject::RustTarget(target) => {
                let targets = BTreeSet::from([target.clone()]);
                host::require_targets(&session.children, &prepared.settings.root, &targets)?;
            }
        }
    }
    if missing.is_empty() {
        return Ok(prepared);
    }
    if let Some(refused) = provider.install(&supplies).await?.into_iter().next() {
        return Err(refused.into());
    }
    // The plan names what was found.
    prepare::draft(session, flags.clone()).await
}

/// Makes a plan, and gets the tools that only can read the project.
///
/// # Errors
/// Whatever stands in the way of the plan.
pub async fn readable(session: &Session, flags: &Flags) -> Result<Prepared, Error> {
    let mut installed = BTreeSet::new();
    loop {
        let (tool, folder, error): (Box<Tool>, PathBuf, Error) = match prepare::draft(session, flags.clone()).await {
            Err(Error::Host(HostError::Reader { tool, folder, ways_out })) => {
                (tool.clone(), folder.clone(), HostError::Reader { tool, folder, ways_out }.into())
            }
            other => return other,
        };
        if !installed.insert(tool.name.clone()) {
            return Err(error);
        }
        let rows = rows::toolchains(session, &flags.toolchain_files, None)?;
        let need = Need { subject: Subject::Tool(tool), platforms: Vec::new(), alternatives: Vec::new() };
        let provider = Provider { session, rows: &rows, directory: &folder };
        let supplies = provider.look(vec![need]);
        if !supplies.iter().any(Supply::can_be_installed) {
            return Err(error);
        }
        provider.install(&supplies).await?;
    }
}
