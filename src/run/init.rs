//! A project without a configuration becomes the proposal of one. Nothing that the project names is run: the go command
//! and cargo are asked what is there, with everything off by which a project could choose what runs, and build files of
//! C are read as text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use ignore::WalkBuilder;

use crate::cargo::{self, CargoError, Workspace};
use crate::config;
use crate::golang::{self, GoError};
use crate::host;
use crate::platform::{Architecture, Platform};
use crate::proposal::build_files::is_aside;
use crate::proposal::{self, Candidate, Kind};
use crate::toolchain::{Tool, Toolchains};

use super::c_survey;
use super::error::{self, Error};
use super::locate::{Marker, holds_c, holds_only_c, locate, marker_in};
use super::rows;
use super::session::Session;

/// Folders that hold what others wrote, or what builds made.
const PASSED_OVER: [&str; 9] =
    ["build", "dist", "node_modules", "out", "subprojects", "target", "testdata", "third_party", "vendor"];
/// How far below the root programs are looked for.
const DEPTH: usize = 2;

/// A configuration that nobody has written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// where it belongs
    pub path: PathBuf,
    /// its text
    pub text: String,
    /// the programs that it names, each with its language
    pub programs: Vec<(String, &'static str)>,
    /// true when somebody has to check values that are marked
    pub has_guesses: bool,
}

/// Looks at the project that `path` is in.
///
/// # Errors
/// When it has a configuration, or holds no program.
pub fn propose(session: &Session, path: &str) -> Result<Proposal, Error> {
    let root = match locate(&session.directory, path) {
        Ok(location) => location.root,
        // A folder of several projects has no marker of its own.
        Err(Error::NoProject { path }) => path,
        Err(other) => return Err(other),
    };
    let file = config::path_in(&root);
    if file.symlink_metadata().is_ok() {
        return Err(Error::ConfigurationExists { path: shown(session, &file) });
    }
    let toolchains = rows::toolchains(session, &[], None)?;
    let mut surveyor = Surveyor { session, toolchains, root: &root, remarks: Vec::new(), workspaces: Vec::new() };
    let found = surveyor.project()?;
    if found.is_empty() {
        return Err(Error::NothingToPropose { path: shown(session, &root), remarks: surveyor.remarks });
    }
    let candidates = settled(found);
    let wanted = || candidates.iter().map(|(candidate, _)| candidate).filter(|candidate| candidate.wanted);
    Ok(Proposal {
        text: proposal::text(&candidates, &surveyor.remarks),
        programs: wanted().map(|candidate| (candidate.name.clone(), candidate.kind.language())).collect(),
        has_guesses: wanted().any(proposal::has_guess),
        path: file,
    })
}

/// Writes it, unless there is one by now.
///
/// # Errors
/// When there is one, or it cannot be written.
pub fn write(session: &Session, proposal: &Proposal) -> Result<(), Error> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let path = &proposal.path;
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => Error::ConfigurationExists { path: shown(session, path) },
        _ => Error::Write { path: shown(session, path), source },
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    // A temporary file is its owner's alone unless it is told otherwise; this one gets what any new file gets.
    let everyone = std::fs::Permissions::from_mode(0o666);
    let mut fresh = tempfile::Builder::new().permissions(everyone).tempfile_in(folder).map_err(failed)?;
    fresh.write_all(proposal.text.as_bytes()).map_err(failed)?;
    fresh.persist_noclobber(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A path below the folder that we are in is shown as such.
#[must_use]
pub fn shown(session: &Session, path: &Path) -> PathBuf {
    let here = fs::canonicalize(&session.directory).unwrap_or_else(|_| session.directory.clone());
    match path.strip_prefix(here) {
        Ok(below) if below.as_os_str().is_empty() => ".".into(),
        Ok(below) => below.to_owned(),
        Err(_) => path.to_owned(),
    }
}

/// A path as a word of a shell.
#[must_use]
pub fn quoted(path: &Path) -> String {
    error::quoted(&path.display().to_string())
}

/// A candidate with the name that it has when none is written.
#[derive(Clone, Debug)]
struct Found {
    candidate: Candidate,
    default_name: String,
}

fn settled(found: Vec<Found>) -> Vec<(Candidate, String)> {
    let key = |candidate: &Candidate| (candidate.package.clone(), format!("{:?}", candidate.kind));
    let defaults: BTreeMap<_, String> =
        found.iter().map(|found| (key(&found.candidate), found.default_name.clone())).collect();
    let candidates = proposal::settled(found.into_iter().map(|found| found.candidate).collect());
    let default_of = |candidate: &Candidate| defaults.get(&key(candidate)).cloned().unwrap_or_default();
    candidates.into_iter().map(|candidate| (candidate.clone(), default_of(&candidate))).collect()
}

struct Surveyor<'run> {
    session: &'run Session,
    toolchains: Toolchains,
    root: &'run Path,
    remarks: Vec<String>,
    workspaces: Vec<Workspace>,
}

impl Surveyor<'_> {
    fn project(&mut self) -> Result<Vec<Found>, Error> {
        let root = self.root;
        let mut found = match marker_in(root) {
            Some(Marker::Go(_)) => self.go(root)?,
            Some(Marker::Cargo(_)) => self.rust(root)?,
            Some(Marker::Both(_)) => [self.go(root)?, self.rust(root)?].concat(),
            Some(Marker::C(_)) | None if holds_c(root) => self.c(root)?,
            Some(Marker::C(_)) | None => Vec::new(),
        };
        let below = self.below();
        // Makefiles lie in any folder: beside projects of Go and Rust, one says nothing of C.
        if marker_in(root).is_none() && c_survey::is_only_a_makefile(root) && !below.is_empty() {
            for found in &mut found {
                found.candidate.wanted = false;
            }
        }
        let beside = found.iter().any(|found| found.candidate.wanted);
        found.extend(below.into_iter().map(|mut found| {
            found.candidate.wanted &= !beside;
            found
        }));
        Ok(found)
    }

    /// What lies in folders below the root and is no part of what was found there. What cannot be read is a remark.
    fn below(&mut self) -> Vec<Found> {
        let is_passed_over = |name: &str| PASSED_OVER.contains(&name) || name.starts_with('_');
        let walk = WalkBuilder::new(self.root)
            .max_depth(Some(DEPTH))
            // Only the project's own files decide, so that the same project gives the same text everywhere.
            .git_global(false)
            .git_exclude(false)
            .require_git(false)
            .parents(false)
            .sort_by_file_name(Ord::cmp)
            .filter_entry(move |entry| entry.depth() == 0 || !is_passed_over(&entry.file_name().to_string_lossy()))
            .build();
        let folders: Vec<PathBuf> = walk
            .filter_map(Result::ok)
            .filter(|entry| entry.depth() > 0 && entry.file_type().is_some_and(|kind| kind.is_dir()))
            .map(ignore::DirEntry::into_path)
            .collect();
        let mut found = Vec::new();
        let mut of_c: Vec<PathBuf> = Vec::new();
        if marker_in(self.root).is_none() && holds_c(self.root) && !c_survey::is_only_a_makefile(self.root) {
            of_c.push(self.root.to_owned());
        }
        for folder in folders {
            let marker = marker_in(&folder);
            let in_workspace = |workspace: &Workspace| workspace.has_member(&folder.join("Cargo.toml"));
            let read = match marker {
                Some(Marker::Go(_)) => self.go(&folder),
                Some(Marker::Cargo(_) | Marker::Both(_)) if self.workspaces.iter().any(in_workspace) => continue,
                Some(Marker::Cargo(_)) => self.rust(&folder),
                Some(Marker::Both(_)) => self.go(&folder).and_then(|go| Ok([go, self.rust(&folder)?].concat())),
                Some(Marker::C(_)) | None => {
                    let aside = is_aside(&self.package(&folder));
                    if aside || of_c.iter().any(|known| folder.starts_with(known)) || !holds_only_c(&folder) {
                        continue;
                    }
                    of_c.push(folder.clone());
                    self.c(&folder)
                }
            };
            match read {
                Ok(programs) => found.extend(programs),
                Err(error) => {
                    let first = error.to_string().lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
                    self.remarks.push(format!("Left out: {}: {first}", self.package(&folder)));
                }
            }
        }
        found
    }

    /// A folder as the configuration writes it.
    fn package(&self, folder: &Path) -> String {
        match folder.strip_prefix(self.root) {
            Ok(below) if !below.as_os_str().is_empty() => format!("./{}", below.display()),
            _ => ".".to_owned(),
        }
    }

    fn require(&self, tool: &str, folder: &Path) -> Result<Option<Tool>, Error> {
        let tool = self.toolchains.tool(tool, Platform::linux(Architecture::Amd64));
        tool.iter().try_for_each(|tool| host::require_reader(tool, folder, &[]))?;
        Ok(tool)
    }

    fn go(&mut self, folder: &Path) -> Result<Vec<Found>, Error> {
        let go = self.require("go", folder)?;
        let mut call = golang::survey_invocation(folder);
        if let Some(go) = &go {
            host::call_downloaded(go, &mut call);
        }
        let finished = self.session.children.ask(&call)?;
        if !finished.status.success() {
            let output = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
            return Err(GoError::List { line: call.to_line(), directory: folder.to_owned(), output }.into());
        }
        let survey = golang::read_survey(folder, &finished.stdout)?;
        if let (true, Some((import_path, message))) = (survey.mains.is_empty(), survey.faults.first()) {
            let (import_path, message) = (import_path.clone(), message.clone());
            return Err(GoError::Package { import_path, message }.into());
        }
        if !survey.faults.is_empty() {
            let packages: Vec<&str> = survey.faults.iter().map(|(import_path, _)| import_path.as_str()).collect();
            self.remarks.push(format!("Go cannot read {}: whether C is in them is not known.", packages.join(", ")));
            self.remarks.push("What is only not downloaded yet comes by: go mod download".to_owned());
        }
        let main = |directory: &Path| directory == folder || directory.starts_with(folder.join("cmd"));
        let has_main = survey.mains.iter().any(|found| main(&found.package.directory));
        let wanted = |directory: &Path| {
            if has_main {
                main(directory)
            } else {
                !is_aside(&directory.strip_prefix(folder).unwrap_or(directory).to_string_lossy())
            }
        };
        Ok(survey
            .mains
            .into_iter()
            .map(|found| Found {
                default_name: found.package.name().to_owned(),
                candidate: Candidate {
                    name: found.package.name().to_owned(),
                    package: self.package(&found.package.directory),
                    wanted: wanted(&found.package.directory),
                    kind: Kind::Go { cgo: found.cgo },
                },
            })
            .collect())
    }

    fn rust(&mut self, folder: &Path) -> Result<Vec<Found>, Error> {
        self.require("cargo", folder)?;
        let finished =
            self.session.children.ask(&cargo::survey_invocation(&folder.join("Cargo.toml"), Path::new("/")))?;
        if !finished.status.success() {
            let output = String::from_utf8_lossy(&finished.stderr).into_owned();
            return Err(CargoError::Metadata { directory: folder.to_owned(), output }.into());
        }
        let workspace = Workspace::read(&String::from_utf8_lossy(&finished.stdout))?;
        let found = workspace.programs().into_iter().map(|program| {
            let binary = program.binary;
            let own = binary.manifest.parent().unwrap_or(folder);
            // The configuration takes a folder of that name for the package's own.
            let named_folder = self.root.join(&binary.package);
            let by_name = workspace.root() == self.root && (!named_folder.is_dir() || named_folder == own);
            let aside = is_aside(&self.package(own)) || is_aside(&binary.name);
            Found {
                default_name: binary.name.clone(),
                candidate: Candidate {
                    name: binary.name.clone(),
                    package: if by_name { binary.package.clone() } else { self.package(own) },
                    wanted: program.is_default && !aside,
                    kind: Kind::Rust {
                        bin: (!program.is_only || binary.name != binary.package).then_some(binary.name),
                        features: program.missing_features,
                    },
                },
            }
        });
        let found = found.collect();
        self.workspaces.push(workspace);
        Ok(found)
    }

    fn c(&mut self, folder: &Path) -> Result<Vec<Found>, Error> {
        let package = self.package(folder);
        let with_name = |candidate: Candidate| {
            let Kind::C { target, .. } = &candidate.kind else { unreachable!("what is found in C is C") };
            // What the next change of a build file could call otherwise is written down.
            let default_name = target.as_ref().map(|target| target.text.clone()).unwrap_or_default();
            Found { candidate, default_name }
        };
        Ok(c_survey::candidates(folder, &package)?.into_iter().map(with_name).collect())
    }
}
