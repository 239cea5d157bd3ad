//! PATH arguments and `[[program]]` tables become programs: which language, which package, called what.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::cargo::{Binary, Choice, Features};
use crate::config::values::Language as Written;
use crate::config::{self, ConfigFile, ProgramFile};
use crate::exec::Children;
use crate::golang::{self, GoError, GoPackage};

use super::error::Error;
use super::flags::Flags;
use super::rust::{Workspaces, features_of};

/// What a program is, on every platform.
#[derive(Clone, Debug)]
pub enum Kind {
    /// a Go main package
    Go(GoPackage),
    /// a binary of a Cargo package
    Rust(Binary),
    /// a binary that something else built
    Prebuilt,
}

/// A program that was asked for.
#[derive(Clone, Debug)]
pub struct Program {
    /// its name in the image
    pub name: String,
    /// what it is
    pub kind: Kind,
    /// its table in the configuration file, if it has one
    pub table: Option<usize>,
}

/// Where a project is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// the folder that was named
    pub start: PathBuf,
    /// the folder that holds the configuration file, else go.mod or Cargo.toml
    pub root: PathBuf,
    /// the nearest folder with a go.mod or a Cargo.toml
    pub marker: Option<Marker>,
}

/// What makes a folder a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// it holds a go.mod
    Go(PathBuf),
    /// it holds a Cargo.toml
    Cargo(PathBuf),
    /// it holds both
    Both(PathBuf),
}

/// Goes up from `path` (a folder, or Go's `./cmd/...`) to its project.
///
/// # Errors
/// When the folder does not exist, or no project is there or above.
pub fn locate(directory: &Path, path: &str) -> Result<Location, Error> {
    let start = directory.join(without_pattern(path).0);
    let start = fs::canonicalize(&start).map_err(|_| Error::NoPath { path: start })?;
    let start = if start.is_dir() { start } else { start.parent().map(Path::to_owned).unwrap_or_default() };
    let marker = start.ancestors().find_map(marker_in);
    let language_root = marker.as_ref().map(|marker| match marker {
        Marker::Go(folder) | Marker::Cargo(folder) | Marker::Both(folder) => folder.clone(),
    });
    // A configuration above the language's own root is another project's: that of whoever vendored this one.
    let configured = start
        .ancestors()
        .take_while(|folder| language_root.as_deref().is_none_or(|root| folder.starts_with(root)))
        .find(|folder| config::path_in(folder).is_file())
        .map(Path::to_owned);
    let workspace = match &marker {
        Some(Marker::Cargo(folder)) => workspace_above(folder),
        _ => None,
    };
    let configured = configured.or_else(|| workspace.clone().filter(|folder| config::path_in(folder).is_file()));
    let root = configured.or(workspace).or(language_root).ok_or_else(|| Error::NoProject { path: start.clone() })?;
    Ok(Location { start, root, marker })
}

fn marker_in(folder: &Path) -> Option<Marker> {
    match (folder.join("go.mod").is_file(), folder.join("Cargo.toml").is_file()) {
        (true, true) => Some(Marker::Both(folder.to_owned())),
        (true, false) => Some(Marker::Go(folder.to_owned())),
        (false, true) => Some(Marker::Cargo(folder.to_owned())),
        (false, false) => None,
    }
}

/// The nearest Cargo.toml above with a `[workspace]`. Whether the package is a member is for cargo to say.
fn workspace_above(package: &Path) -> Option<PathBuf> {
    let has_workspace = |folder: &&Path| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        text.lines().any(|line| line.trim_start().starts_with("[workspace"))
    };
    package.ancestors().find(has_workspace).map(Path::to_owned)
}

/// Splits Go's `...` off a path.
fn without_pattern(path: &str) -> (&str, bool) {
    match path.strip_suffix("...") {
        Some(folder) => (if folder.is_empty() { "." } else { folder }, true),
        None => (path, false),
    }
}

/// Finds programs.
pub struct Detector<'run> {
    /// starts `go list` and `cargo metadata`
    pub children: &'run Children,
    /// cargo's answers
    pub workspaces: &'run mut Workspaces,
    /// the folder we are in
    pub directory: &'run Path,
}

impl Detector<'_> {
    /// The programs of the PATH arguments; without any, those of the configuration file or of the folder we are in.
    ///
    /// # Errors
    /// When there is none, or several and no choice.
    pub fn programs(&mut self, location: &Location, file: &ConfigFile, flags: &Flags) -> Result<Vec<Program>, Error> {
        let everything = flags.paths.is_empty()
            || (flags.paths.len() == 1 && location.start == location.root && !flags.paths[0].ends_with("..."));
        if everything && !file.program.is_empty() {
            let mut programs = Vec::new();
            for (position, table) in file.program.iter().enumerate() {
                let place = file.source.place_of(table).to_string();
                programs.extend(self.from_table(location, table.get_ref(), &place, position)?);
            }
            return Ok(programs);
        }
        let paths = if flags.paths.is_empty() { vec![".".to_owned()] } else { flags.paths.clone() };
        let mut programs = Vec::new();
        for path in &paths {
            programs.extend(self.from_path(path, flags)?);
        }
        self.adopt_tables(location, file, &mut programs)?;
        Ok(programs)
    }

    /// A program that was named by its path keeps the settings that the configuration file has for it.
    fn adopt_tables(&mut self, location: &Location, file: &ConfigFile, programs: &mut [Program]) -> Result<(), Error> {
        for (position, table) in file.program.iter().enumerate() {
            let place = file.source.place_of(table).to_string();
            for known in self.from_table(location, table.get_ref(), &place, position)? {
                let same = |program: &&mut Program| match (&program.kind, &known.kind) {
                    (Kind::Go(one), Kind::Go(other)) => one == other,
                    (Kind::Rust(one), Kind::Rust(other)) => one == other,
                    _ => false,
                };
                if let Some(program) = programs.iter_mut().find(same) {
                    *program = known;
                }
            }
        }
        Ok(())
    }

    fn from_path(&mut self, path: &str, flags: &Flags) -> Result<Vec<Program>, Error> {
        let location = locate(self.directory, path)?;
        let named = |name: &str, kind| Program { name: name.to_owned(), kind, table: None };
        match location.marker {
            None => Err(Error::NoProject { path: location.start }),
            Some(Marker::Both(folder)) => Err(Error::TwoLanguages { path: folder }),
            Some(Marker::Go(folder)) => {
                let rust_flag = [
                    (!flags.bins.is_empty(), "--bin"),
                    (flags.all_bins, "--bins"),
                    (flags.package.is_some(), "--package"),
                ];
                if let Some((_, flag)) = rust_flag.iter().find(|(given, _)| *given) {
                    return Err(Error::RustFlag { path: folder, found: "Go", flag });
                }
                let packages = self.go_packages(&location.start, path)?;
                Ok(packages.into_iter().map(|package| named(package.name(), Kind::Go(package.clone()))).collect())
            }
            Some(Marker::Cargo(_)) => {
                let choice = Choice {
                    package: flags.package.clone(),
                    bins: flags.bins.clone(),
                    all_bins: flags.all_bins,
                    features: Features::default(),
                };
                let binaries = self.workspaces.binaries(&location.start, &choice)?;
                Ok(binaries.into_iter().map(|binary| named(&binary.name.clone(), Kind::Rust(binary))).collect())
            }
        }
    }

    /// The main packages that a PATH names: the folder's own, all below it for `...`, else the only one below it.
    fn go_packages(&self, folder: &Path, path: &str) -> Result<Vec<GoPackage>, Error> {
        let (_, pattern) = without_pattern(path);
        let no_main = || GoError::NoMain { path: path.to_owned() };
        if pattern {
            let packages = self.go_list(folder, "./...")?;
            return if packages.is_empty() { Err(no_main().into()) } else { Ok(packages) };
        }
        if holds_go_files(folder) {
            let own = self.go_list(folder, ".")?;
            if !own.is_empty() {
                return Ok(own);
            }
        }
        let below = self.go_list(folder, "./...")?;
        match below.len() {
            0 => Err(no_main().into()),
            1 => Ok(below),
            _ => {
                let choices = below.iter().map(|package| self.as_argument(&package.directory)).collect();
                Err(GoError::SeveralMains { path: path.to_owned(), choices }.into())
            }
        }
    }

    fn go_list(&self, folder: &Path, pattern: &str) -> Result<Vec<GoPackage>, Error> {
        let call = golang::list_invocation(folder, &[pattern.to_owned()]);
        let finished = self.children.ask(&call)?;
        if !finished.status.success() {
            let output = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
            return Err(GoError::List { line: call.to_line(), directory: folder.to_owned(), output }.into());
        }
        Ok(golang::read_list(folder, &finished.stdout)?)
    }

    /// A folder as it would be typed from where we are.
    fn as_argument(&self, folder: &Path) -> String {
        let here = fs::canonicalize(self.directory).unwrap_or_else(|_| self.directory.to_owned());
        match folder.strip_prefix(here) {
            Ok(relative) if relative.as_os_str().is_empty() => ".".to_owned(),
            Ok(relative) => format!("./{}", relative.display()),
            Err(_) => folder.display().to_string(),
        }
    }

    fn from_table(
        &mut self,
        location: &Location,
        table: &ProgramFile,
        place: &str,
        position: usize,
    ) -> Result<Vec<Program>, Error> {
        let package = table.package.as_ref().map(|package| package.get_ref().as_str());
        let root = &location.root;
        let folder = package.map(|package| root.join(package)).filter(|folder| folder.is_dir());
        let language = self.language(table, root, folder.as_deref(), place)?;
        let given = table.name.as_ref().map(|name| name.get_ref().0.clone());
        let program = |name: &str, kind| Program {
            name: given.clone().unwrap_or_else(|| name.to_owned()),
            kind,
            table: Some(position),
        };
        match language {
            Written::Prebuilt => Ok(vec![program(&prebuilt_name(table), Kind::Prebuilt)]),
            Written::Go => {
                let packages = match (&folder, package) {
                    (Some(folder), Some(package)) => self.go_packages(folder, package)?,
                    (None, Some(package)) => {
                        let found = self.go_list(root, package)?;
                        if found.is_empty() { Err(GoError::NoMain { path: package.to_owned() })? } else { found }
                    }
                    (_, None) => self.go_packages(root, ".")?,
                };
                Ok(packages.into_iter().map(|package| program(package.name(), Kind::Go(package.clone()))).collect())
            }
            Written::Rust => {
                let name = package.filter(|_| folder.is_none()).map(str::to_owned);
                let choice = Choice {
                    package: name,
                    bins: table.bin.iter().map(|bin| bin.get_ref().clone()).collect(),
                    all_bins: table.bins.as_ref().is_some_and(|bins| *bins.get_ref()),
                    features: features_of(&table.settings()),
                };
                let binaries = self.workspaces.binaries(folder.as_deref().unwrap_or(root), &choice)?;
                Ok(binaries.into_iter().map(|binary| program(&binary.name.clone(), Kind::Rust(binary))).collect())
            }
        }
    }

    fn language(&self, table: &ProgramFile, root: &Path, folder: Option<&Path>, place: &str) -> Result<Written, Error> {
        if let Some(language) = &table.language {
            return Ok(*language.get_ref());
        }
        let has_path = |settings: &config::ProgramSettings| settings.path.is_some();
        if has_path(&table.settings()) || table.platform.0.values().any(|settings| has_path(settings.get_ref())) {
            return Ok(Written::Prebuilt);
        }
        if let [only] = table
            .written()
            .iter()
            .map(|key| key.languages)
            .filter(|languages| languages.len() == 1)
            .take(1)
            .collect::<Vec<_>>()
            .as_slice()
        {
            return Ok(only[0]);
        }
        let start = folder.unwrap_or(root);
        match start.ancestors().take_while(|ancestor| ancestor.starts_with(root)).find_map(marker_in) {
            Some(Marker::Go(_)) => Ok(Written::Go),
            Some(Marker::Cargo(_)) => Ok(Written::Rust),
            Some(Marker::Both(folder)) => {
                let looked_for = format!("`{}` holds both a go.mod and a Cargo.toml", folder.display());
                Err(Error::NoLanguage { place: place.to_owned(), looked_for })
            }
            None => {
                let looked_for = format!("looked for go.mod and Cargo.toml in `{}`", start.display());
                Err(Error::NoLanguage { place: place.to_owned(), looked_for })
            }
        }
    }
}

/// A prebuilt binary without a name is called what its file is called.
fn prebuilt_name(table: &ProgramFile) -> String {
    let settings = table.settings();
    let first =
        settings.path.or_else(|| table.platform.0.values().find_map(|settings| settings.get_ref().path.clone()));
    let path = first.map(|path| path.into_inner()).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn holds_go_files(folder: &Path) -> bool {
    let is_go = |name: std::ffi::OsString| Path::new(&name).extension().is_some_and(|extension| extension == "go");
    fs::read_dir(folder).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_go(entry.file_name()))))
}
