//! PATH arguments and `[[program]]` tables become programs: which language, which package, called what.

use std::path::{Path, PathBuf};

use fs_err as fs;

use toml::Spanned;

use crate::cargo::{Binary, Choice, Features};
use crate::config::template::is_template;
use crate::config::{self, ConfigError, ConfigFile, ImageFile, ProgramFile};
use crate::exec::Children;
use crate::golang::{self, GoError, GoPackage};
use crate::host;
use crate::platform::{Architecture, Platform};
use crate::toolchain::{Language, Tool, Toolchains};

use super::c_survey;
use super::error::{Error, quoted};
use super::flags::Flags;
use super::locate::{Location, Marker, as_typed, holds_c, locate, marker_in, without_pattern};
use super::rust::{Workspaces, features_of};

/// What a program is, on every platform.
#[derive(Clone, Debug)]
pub enum Kind {
    /// a Go main package
    Go(GoPackage),
    /// a binary of a Cargo package
    Rust(Binary),
    /// the C of a folder
    C(PathBuf),
    /// what a command makes in a folder
    Command(PathBuf),
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

/// The programs of a run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// each of them, in order
    pub programs: Vec<Program>,
    /// true when they are all that the configuration file names, rather than a choice by the command line
    pub configured: bool,
    /// true when the command line names none of them: the images are then those of the configuration file
    pub whole_project: bool,
}

/// Finds programs.
pub struct Detector<'run> {
    /// starts `go list` and `cargo metadata`
    pub children: &'run Children,
    /// cargo's answers
    pub workspaces: &'run mut Workspaces,
    /// the folder we are in
    pub directory: &'run Path,
    /// the rows that say how `go` and `cargo` are installed
    pub toolchains: &'run Toolchains,
}

impl Detector<'_> {
    /// The programs of the PATH arguments; without any, those of the configuration file or of the folder we are in.
    ///
    /// # Errors
    /// When there is none, or several and no choice.
    pub fn programs(&mut self, location: &Location, file: &ConfigFile, flags: &Flags) -> Result<Programs, Error> {
        let whole_project = flags.paths.is_empty()
            || (flags.paths.len() == 1 && location.start == location.root && !flags.paths[0].ends_with("..."));
        let chooses = !flags.bins.is_empty() || flags.all_bins || flags.package.is_some();
        let whole_project = whole_project && !chooses;
        let takes_none = |image: &Spanned<ImageFile>| {
            image.get_ref().programs.as_ref().is_some_and(|names| names.get_ref().is_empty())
        };
        if whole_project && !file.image.is_empty() && file.image.iter().all(takes_none) {
            return Ok(Programs { programs: Vec::new(), configured: true, whole_project });
        }
        if whole_project && !file.program.is_empty() {
            let mut programs = Vec::new();
            for position in 0..file.program.len() {
                programs.extend(self.programs_of_table(location, file, position)?);
            }
            return Ok(Programs { programs, configured: true, whole_project });
        }
        if location.marker.is_none() && file.program.is_empty() && config::path_in(&location.root).is_file() {
            return Err(Error::NothingNamed { file: file.source.path().to_owned() });
        }
        let paths = if flags.paths.is_empty() { vec![".".to_owned()] } else { flags.paths.clone() };
        let cgo = file.program.iter().any(|table| table.get_ref().uses_cgo());
        let mut programs = Vec::new();
        for path in &paths {
            let other = locate(self.directory, path)?.root;
            if other != location.root && config::path_in(&other).is_file() {
                return Err(Error::OtherProject { path: path.into(), file: config::path_in(&other) });
            }
            programs.extend(self.programs_at(path, flags, cgo)?);
        }
        self.adopt_tables(location, file, &mut programs)?;
        Ok(Programs { programs, configured: false, whole_project })
    }

    /// A program that was named by its path keeps the settings that the configuration file has for it.
    /// A folder of C is as many programs as it has tables.
    fn adopt_tables(
        &mut self,
        location: &Location,
        file: &ConfigFile,
        programs: &mut Vec<Program>,
    ) -> Result<(), Error> {
        for position in 0..file.program.len() {
            for known in self.programs_of_table(location, file, position)? {
                let same = |program: &Program| match (&program.kind, &known.kind) {
                    (Kind::Go(one), Kind::Go(other)) => one == other,
                    (Kind::Rust(one), Kind::Rust(other)) => one == other,
                    (Kind::C(one), Kind::C(other)) => one == other,
                    _ => false,
                };
                let Some(place) = programs.iter().position(same) else { continue };
                let is_c = matches!(known.kind, Kind::C(_));
                match programs[place].table {
                    Some(_) if is_c => programs.push(known),
                    _ => programs[place] = known,
                }
            }
        }
        Ok(())
    }

    /// Without the tool there is nobody to ask what a project holds, and the error has to say how to get it.
    fn require(&self, tool: &str, folder: &Path) -> Result<Option<Tool>, Error> {
        let tool = self.toolchains.tool(tool, Platform::linux(Architecture::Amd64));
        tool.iter().try_for_each(|tool| host::require_reader(tool, folder, &[]))?;
        Ok(tool)
    }

    fn programs_at(&mut self, path: &str, flags: &Flags, cgo: bool) -> Result<Vec<Program>, Error> {
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
                    return Err(Error::RustFlag { path: folder, flag });
                }
                let packages = self.go_packages(&location.start, path, self.directory, cgo)?;
                Ok(packages.into_iter().map(|package| named(package.name(), Kind::Go(package.clone()))).collect())
            }
            Some(Marker::C(folder)) => Ok(vec![named(&c_survey::name_of(&folder), Kind::C(folder))]),
            Some(Marker::Cargo(_)) => {
                let choice = Choice {
                    package: flags.package.clone(),
                    bins: flags.bins.clone(),
                    all_bins: flags.all_bins,
                    features: Features::default(),
                };
                self.require("cargo", &location.start)?;
                let binaries = self.workspaces.binaries(&location.start, &choice)?;
                Ok(binaries.into_iter().map(|binary| named(&binary.name.clone(), Kind::Rust(binary))).collect())
            }
        }
    }

    /// The main packages that a PATH names: the folder's own, all below it for `...`, else the only one below it.
    /// Choices are shown as they would be typed in `from`.
    fn go_packages(&self, folder: &Path, path: &str, from: &Path, cgo: bool) -> Result<Vec<GoPackage>, Error> {
        let (_, pattern) = without_pattern(path);
        if pattern {
            return self.some(folder, "./...", path, cgo);
        }
        if holds_go_files(folder) {
            let own = self.go_list(folder, ".", cgo)?;
            if !own.is_empty() {
                return Ok(own);
            }
        }
        let below = self.some(folder, "./...", path, cgo)?;
        if below.len() == 1 {
            return Ok(below);
        }
        let choices = below.iter().map(|package| quoted(&as_typed(from, &package.directory))).collect();
        Err(GoError::SeveralMains { path: path.to_owned(), choices }.into())
    }

    /// The main packages that a pattern means; none is an error, which names those that only cgo can compile.
    fn some(&self, folder: &Path, pattern: &str, path: &str, cgo: bool) -> Result<Vec<GoPackage>, Error> {
        let packages = self.go_list(folder, pattern, cgo)?;
        if !packages.is_empty() {
            return Ok(packages);
        }
        let with_c = if cgo { Vec::new() } else { self.go_list(folder, pattern, true)? };
        Err(match with_c.into_iter().next() {
            Some(package) => GoError::NeedsCgo { import_path: package.import_path },
            None => GoError::NoMain { path: path.to_owned() },
        }
        .into())
    }

    fn go_list(&self, folder: &Path, pattern: &str, cgo: bool) -> Result<Vec<GoPackage>, Error> {
        match self.list_once(folder, pattern, cgo) {
            // Without its files that import C, a package may have none left.
            Err(error @ Error::Go(GoError::Package { .. })) if !cgo => match self.list_once(folder, pattern, true) {
                Ok(found) => match found.into_iter().next() {
                    Some(package) => Err(GoError::NeedsCgo { import_path: package.import_path }.into()),
                    None => Err(error),
                },
                Err(_) => Err(error),
            },
            other => other,
        }
    }

    fn list_once(&self, folder: &Path, pattern: &str, cgo: bool) -> Result<Vec<GoPackage>, Error> {
        let go = self.require("go", folder)?;
        let mut call = golang::list_invocation(folder, &[pattern.to_owned()], cgo);
        if let Some(go) = &go {
            host::call_downloaded(go, &mut call);
        }
        let finished = self.children.ask(&call)?;
        if !finished.status.success() {
            let output = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
            return Err(GoError::List { line: call.to_line(), directory: folder.to_owned(), output }.into());
        }
        Ok(golang::read_list(folder, &finished.stdout)?)
    }

    fn programs_of_table(
        &mut self,
        location: &Location,
        file: &ConfigFile,
        position: usize,
    ) -> Result<Vec<Program>, Error> {
        self.read_table(location, file, position).map_err(|error| match error {
            Error::Go(_) | Error::Cargo(_) => {
                Error::OfTable { place: file.source.place_of(&file.program[position]), source: Box::new(error) }
            }
            other => other,
        })
    }

    fn read_table(&mut self, location: &Location, file: &ConfigFile, position: usize) -> Result<Vec<Program>, Error> {
        let entry = &file.program[position];
        let table = entry.get_ref();
        let package = table.package.as_ref().map(|package| package.get_ref().as_str());
        let root = &location.root;
        let folder = package.map(|package| root.join(package)).filter(|folder| folder.is_dir());
        let language = language_of(entry, root, folder.as_deref(), file)?;
        config::check::language_keys(&file.source, entry, language)?;
        let given = table.name.as_ref().map(|name| name.get_ref().0.clone());
        let program = |name: &str, kind| Program {
            name: given.clone().unwrap_or_else(|| name.to_owned()),
            kind,
            table: Some(position),
        };
        match language {
            Language::Prebuilt => {
                let name = match given.clone() {
                    Some(name) => name,
                    None => prebuilt_name(table).ok_or_else(|| nameless(entry, file))?,
                };
                Ok(vec![program(&name, Kind::Prebuilt)])
            }
            Language::C => {
                let folder = fs::canonicalize(folder.as_deref().unwrap_or(root))
                    .map_err(|_| Error::NoPath { path: package.unwrap_or(".").into() })?;
                Ok(vec![program(&c_name(table, &folder), Kind::C(folder))])
            }
            Language::Command => {
                let name = given.clone().ok_or_else(|| nameless(entry, file))?;
                Ok(vec![program(&name, Kind::Command(folder.unwrap_or_else(|| root.clone())))])
            }
            Language::Go => {
                let cgo = table.uses_cgo();
                let packages = match (&folder, package) {
                    (Some(folder), Some(package)) => self.go_packages(folder, package, root, cgo)?,
                    (None, Some(package)) => self.some(root, package, package, cgo)?,
                    (_, None) => self.go_packages(root, ".", root, cgo)?,
                };
                Ok(packages.into_iter().map(|package| program(package.name(), Kind::Go(package.clone()))).collect())
            }
            Language::Rust => {
                let name = package.filter(|_| folder.is_none()).map(str::to_owned);
                let choice = Choice {
                    package: name,
                    bins: table.bin.iter().map(|bin| bin.get_ref().clone()).collect(),
                    all_bins: table.bins.as_ref().is_some_and(|bins| *bins.get_ref()),
                    features: features_of(&table.settings()),
                };
                self.require("cargo", root)?;
                let binaries = self.workspaces.binaries(folder.as_deref().unwrap_or(root), &choice)?;
                Ok(binaries.into_iter().map(|binary| program(&binary.name.clone(), Kind::Rust(binary))).collect())
            }
        }
    }
}

fn language_of(
    entry: &Spanned<ProgramFile>,
    root: &Path,
    folder: Option<&Path>,
    file: &ConfigFile,
) -> Result<Language, Error> {
    let table = entry.get_ref();
    if let Some(language) = &table.language {
        return Ok(language.get_ref().0);
    }
    let has_path = |settings: &config::ProgramSettings| settings.path.is_some();
    if has_path(&table.settings()) || table.platform.0.values().any(|settings| has_path(settings.get_ref())) {
        return Ok(Language::Prebuilt);
    }
    let start = folder.unwrap_or(root);
    let marker = start.ancestors().take_while(|ancestor| ancestor.starts_with(root)).find_map(marker_in);
    // Where the folder does not tell, a key that only one language has does.
    let telling = table.written().iter().map(|key| key.languages).find(|languages| languages.len() == 1);
    let looked_for = match (marker, telling) {
        (Some(Marker::Go(_)), _) => return Ok(Language::Go),
        (Some(Marker::Cargo(_)), _) => return Ok(Language::Rust),
        (Some(Marker::C(_)), _) => return Ok(Language::C),
        (_, Some([only])) => return Ok(*only),
        (Some(Marker::Both(folder)), _) => format!("`{}` holds both a go.mod and a Cargo.toml", folder.display()),
        (None, _) if holds_c(start) => return Ok(Language::C),
        (None, _) => format!("there is no go.mod, Cargo.toml or C in `{}`", start.display()),
    };
    Err(Error::NoLanguage { place: file.source.place_of(entry).to_string(), looked_for })
}

/// A C program without a name is called what its binary is, or its target (what make builds may be `all`); else what its
/// project says.
fn c_name(table: &ProgramFile, folder: &Path) -> String {
    let mut written = [&table.output, &table.target].into_iter().flatten();
    written.find_map(|value| file_name(value.get_ref())).unwrap_or_else(|| c_survey::name_of(folder))
}

/// A prebuilt binary without a name is called what its file is called, where that is one name for all platforms.
fn prebuilt_name(table: &ProgramFile) -> Option<String> {
    let settings = table.settings();
    let first =
        settings.path.or_else(|| table.platform.0.values().find_map(|settings| settings.get_ref().path.clone()));
    first.and_then(|path| file_name(path.get_ref()))
}

/// The last part of a path, unless a template makes it.
fn file_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or_default();
    (!name.is_empty() && !is_template(name) && !name.contains("}}")).then(|| name.to_owned())
}

fn nameless(entry: &Spanned<ProgramFile>, file: &ConfigFile) -> ConfigError {
    ConfigError::MissingKey { table: "program".into(), place: file.source.place_of(entry), key: "name".into() }
}

fn holds_go_files(folder: &Path) -> bool {
    let is_go = |name: std::ffi::OsString| Path::new(&name).extension().is_some_and(|extension| extension == "go");
    fs::read_dir(folder).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_go(entry.file_name()))))
}
