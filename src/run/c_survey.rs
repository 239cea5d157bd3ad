//! The build files of a C project, as text, become the programs that they seem to make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use fs_err as fs;

use crate::c_program::{BuildSystem, PlainError, sources_of};
use crate::proposal::build_files::{self, Listed, Named};
use crate::proposal::{Candidate, Kind, Value};

use super::c::{CProjectError, build_system, sources};

/// How deep folders that build files name may lie: more are a circle.
const DEPTH: usize = 8;
/// How many folders are looked at.
const MOST_FOLDERS: usize = 1000;

/// True when nothing but a Makefile says that a folder holds C.
pub(super) fn is_only_a_makefile(folder: &Path) -> bool {
    build_system(folder) == Some(BuildSystem::Make) && sources(folder).is_ok_and(|sources| sources.is_empty())
}

/// The programs of `folder`, which the configuration calls `package`.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn candidates(folder: &Path, package: &str) -> Result<Vec<Candidate>, CProjectError> {
    let Some(build) = build_system(folder) else { return Ok(Vec::new()) };
    let made = match build {
        BuildSystem::Plain => return plain(folder, package),
        BuildSystem::Cmake => cmake(folder),
        BuildSystem::Meson => listed(folder, "meson.build", build_files::meson),
        BuildSystem::Configure => automake(folder),
        BuildSystem::Make => makefile(folder),
    };
    if made.programs.is_empty() {
        let name = made.name.clone().unwrap_or_else(|| folder_name(folder));
        let output = Value { guessed: Some(format!("{} does not say what is made", made.read)), text: name.clone() };
        let kind = Kind::C { build, target: None, output: Some(output) };
        return Ok(vec![Candidate { name, package: package.to_owned(), wanted: true, kind }]);
    }
    // One that is called as the project is what the project is for.
    let main = made.name.unwrap_or_else(|| folder_name(folder));
    let has_main = made.programs.iter().any(|(named, _)| named.file == main);
    let candidate = |(named, place): (Named, Place)| {
        let guessed = |text: String, reason: &str| Value { text, guessed: Some(reason.to_owned()) };
        let in_folder = match place.folder.as_str() {
            "" => named.target.clone(),
            folder => format!("{folder}/{}", named.target),
        };
        let (target, output) = match build {
            // CMake itself says where it puts a target.
            BuildSystem::Cmake => {
                (Some(guessed(named.target.clone(), &format!("add_executable in {}", place.file))), None)
            }
            BuildSystem::Make => {
                let reason = format!("a goal of {}", place.file);
                (Some(guessed(named.target.clone(), &reason)), Some(guessed(in_folder, "where that goal leaves it")))
            }
            _ => (None, Some(guessed(in_folder, &format!("named in {}", place.file)))),
        };
        Candidate {
            package: package.to_owned(),
            wanted: if has_main { named.file == main } else { !named.aside },
            name: named.file,
            kind: Kind::C { build, target, output },
        }
    };
    Ok(made.programs.into_iter().map(candidate).collect())
}

/// What a folder's program is called: by its project, so that it has one name in every checkout; by its folder where
/// nothing else tells.
pub(super) fn name_of(folder: &Path) -> String {
    let found = candidates(folder, ".").unwrap_or_default();
    let mut wanted = found.into_iter().filter(|candidate| candidate.wanted);
    match (wanted.next(), wanted.next()) {
        (Some(only), None) => only.name,
        _ => folder_name(folder),
    }
}

/// What a build system makes.
struct Made {
    programs: Vec<(Named, Place)>,
    /// what the project calls itself
    name: Option<String>,
    /// the file that was read, for people
    read: String,
}

/// Where a program is named.
#[derive(Clone, Debug)]
struct Place {
    /// the folder, relative to the project
    folder: String,
    /// the file, relative to the project
    file: String,
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// A build file may be in any encoding, or not there: what cannot be read names nothing.
fn text_of(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The path of `name` in `folder`, in the one spelling that it has; `None` when it leads out, or may.
fn inside(folder: &str, name: &str) -> Option<String> {
    let mut path = folder.to_owned();
    for part in Path::new(name).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => path = joined(&path, part.to_str()?),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Folders of a project that its build files name: each is looked at once.
struct Folders {
    /// those that are still to be looked at, with how deep they lie, the next one last
    open: Vec<(String, usize)>,
    seen: BTreeSet<String>,
}

impl Folders {
    /// The root alone.
    fn new() -> Self {
        Self { open: vec![(String::new(), 0)], seen: BTreeSet::from([String::new()]) }
    }

    /// Takes up what the build file of `folder` names; the first of it is next.
    fn add(&mut self, folder: &str, depth: usize, names: &[String]) {
        if depth == DEPTH {
            return;
        }
        let start = self.open.len();
        for path in names.iter().filter_map(|name| inside(folder, name)) {
            if self.seen.len() < MOST_FOLDERS && self.seen.insert(path.clone()) {
                self.open.push((path, depth + 1));
            }
        }
        self.open[start..].reverse();
    }
}

fn plain(folder: &Path, package: &str) -> Result<Vec<Candidate>, CProjectError> {
    let candidate = |name: &str, target: Option<String>| Candidate {
        name: name.to_owned(),
        package: package.to_owned(),
        wanted: true,
        kind: Kind::C {
            build: BuildSystem::Plain,
            target: target.map(|text| Value { text, guessed: None }),
            output: None,
        },
    };
    match sources_of(&folder.display().to_string(), &sources(folder)?, None) {
        Ok(plain) => Ok(vec![candidate(&plain.name, None)]),
        Err(PlainError::SeveralMains { mains, .. }) => Ok(mains
            .iter()
            .map(|main| main.rsplit_once('.').map_or(main.as_str(), |(stem, _)| stem))
            .map(|stem| candidate(stem, Some(stem.to_owned())))
            .collect()),
        Err(PlainError::NoMain { .. } | PlainError::NoTarget { .. }) => Ok(Vec::new()),
    }
}

fn cmake(folder: &Path) -> Made {
    let mut variables = BTreeMap::new();
    let mut made = Made { programs: Vec::new(), name: None, read: "CMakeLists.txt".to_owned() };
    let mut folders = Folders::new();
    while let Some((below, depth)) = folders.open.pop() {
        let file = joined(&below, "CMakeLists.txt");
        let listed = build_files::cmake(&text_of(&folder.join(&file)), &below, &variables);
        variables = listed.variables;
        made.programs.extend(
            listed.programs.into_iter().map(|named| (named, Place { folder: below.clone(), file: file.clone() })),
        );
        folders.add(&below, depth, &listed.folders);
    }
    made.name = variables.get("CMAKE_PROJECT_NAME").cloned();
    made
}

fn listed(folder: &Path, name: &str, read: fn(&str, &str) -> Listed) -> Made {
    let mut made = Made { programs: Vec::new(), name: None, read: name.to_owned() };
    let mut folders = Folders::new();
    while let Some((below, depth)) = folders.open.pop() {
        let file = joined(&below, name);
        let listed = read(&text_of(&folder.join(&file)), &below);
        made.programs.extend(
            listed.programs.into_iter().map(|named| (named, Place { folder: below.clone(), file: file.clone() })),
        );
        folders.add(&below, depth, &listed.folders);
    }
    made
}

/// Automake's programs, in the root and one folder below; else what the project calls itself.
fn automake(folder: &Path) -> Made {
    let mut folders: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| folder.join(name).join("Makefile.am").is_file())
        .collect();
    folders.push(String::new());
    folders.sort();
    let mut programs = Vec::new();
    let mut open: Vec<(String, String)> =
        folders.into_iter().rev().map(|below| (joined(&below, "Makefile.am"), below)).collect();
    let mut seen: Vec<String> = Vec::new();
    while let Some((file, below)) = open.pop() {
        if seen.contains(&file) {
            continue;
        }
        let (named, included) = build_files::automake(&text_of(&folder.join(&file)), &below);
        programs.extend(named.into_iter().map(|named| (named, Place { folder: below.clone(), file: file.clone() })));
        open.extend(included.iter().filter_map(|path| Some((inside("", path)?, below.clone()))));
        seen.push(file);
    }
    let configure = text_of(&folder.join("configure"));
    let value = configure.lines().find_map(|line| line.strip_prefix("PACKAGE_TARNAME="));
    let name = value.map(|value| value.trim_matches(['\'', '"']).to_owned()).filter(|name| !name.is_empty());
    let read = if folder.join("configure").is_file() { "configure" } else { "configure.ac" };
    Made { programs, name, read: read.to_owned() }
}

fn makefile(folder: &Path) -> Made {
    let name = ["GNUmakefile", "makefile", "Makefile"].into_iter().find(|name| folder.join(name).is_file());
    let name = name.unwrap_or("Makefile");
    let place = Place { folder: String::new(), file: name.to_owned() };
    let programs = build_files::make(&text_of(&folder.join(name)));
    let programs = programs.into_iter().map(|named| (named, place.clone())).collect();
    Made { programs, name: None, read: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_name_themselves_are_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("src")).unwrap();
        fs::create_dir(root.join("other")).unwrap();
        let many = |line: &str| line.repeat(50);
        let names = |made: Made| made.programs.into_iter().map(|(named, _)| named.file).collect::<Vec<_>>();

        fs::write(root.join("meson.build"), many("subdir('.')\nsubdir('./src/.')\nsubdir('src')\n")).unwrap();
        let below = format!("executable('app', 'a.c')\n{}", many("subdir('.')\nsubdir('../src')\n"));
        fs::write(root.join("src/meson.build"), below).unwrap();
        assert_eq!(names(listed(root, "meson.build", build_files::meson)), ["app"]);

        let above = many("add_subdirectory(.)\nadd_subdirectory(src/./)\nadd_subdirectory(other)\n");
        fs::write(root.join("CMakeLists.txt"), above).unwrap();
        fs::write(root.join("src/CMakeLists.txt"), "add_executable(app a.c)\nadd_subdirectory(../src)\n").unwrap();
        fs::write(root.join("other/CMakeLists.txt"), "add_executable(other a.c)\n").unwrap();
        assert_eq!(names(cmake(root)), ["app", "other"]);
    }

    #[test]
    fn no_more_folders_are_looked_at_than_a_project_has() {
        let mut folders = Folders::new();
        let names: Vec<String> = (0..5000).map(|number| format!("x{number}")).collect();
        folders.add("", 0, &names);
        assert_eq!((folders.open.len(), folders.open.last().unwrap().0.as_str()), (MOST_FOLDERS, "x0"));
    }

    #[test]
    fn a_path_has_one_spelling_and_stays_in_the_project() {
        for (folder, name, path) in [
            ("", ".", Some("")),
            ("", "./src//x/.", Some("src/x")),
            ("src", "x", Some("src/x")),
            ("src", "..", None),
            ("src", "x/../y", None),
            ("src", "/etc", None),
        ] {
            assert_eq!(inside(folder, name).as_deref(), path, "{name} in `{folder}`");
        }
    }
}
