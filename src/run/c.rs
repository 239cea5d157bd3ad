//! A folder of C, and what the configuration says of it, become a [`CProgram`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::c_program::{
    BuildSystem, CProgram, CSettings, Executable, ExecutableError, PlainError, choose, is_source, options_of,
    sources_of,
};
use crate::config::ProgramSettings;
use crate::hint::Hint;
use crate::invocation::Word;

use super::error::quoted;

/// Why a folder is no C program.
#[derive(Debug, thiserror::Error)]
pub enum CProjectError {
    /// Its C files are not one program.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// A build system that does not tell what it makes.
    #[error("`{folder}` is built by {}, which does not tell what it makes: {missing} has to be said", build_words(*.build))]
    Unsaid {
        /// the folder
        folder: String,
        /// how it is built
        build: BuildSystem,
        /// the key that is missing
        missing: &'static str,
    },
    /// What it makes is not one program.
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    /// It cannot be configured, so nobody says what it makes.
    #[error("`{line}` ended with {ending} in `{}`:\n{output}", folder.display())]
    Configure {
        /// the call
        line: String,
        /// the project
        folder: PathBuf,
        /// how it ended
        ending: String,
        /// all that it said
        output: String,
    },
    /// A configure script that has yet to be generated.
    #[error("`{folder}` has a configure.ac and no configure script")]
    NoScript {
        /// the folder
        folder: String,
    },
    /// A key that one call of the compiler has no use for.
    #[error("`{key}` is for a build system, and the C in `{folder}` is built by one call of the compiler")]
    NotPlain {
        /// the folder
        folder: String,
        /// the key
        key: &'static str,
    },
    /// A place that is not in the build folder.
    #[error("`output = \"{output}\"` should be a path below {below}, without `.` and `..`")]
    Output {
        /// the path
        output: String,
        /// what it is relative to
        below: &'static str,
    },
    /// Nothing that builds C.
    #[error("there is no C in `{folder}`: no *.c, CMakeLists.txt, meson.build, configure or Makefile")]
    Nothing {
        /// the folder
        folder: String,
    },
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// the file
        path: PathBuf,
        /// why
        #[source]
        source: std::io::Error,
    },
}

fn build_words(build: BuildSystem) -> &'static str {
    match build {
        BuildSystem::Plain => "one call of the compiler",
        BuildSystem::Cmake => "CMake",
        BuildSystem::Make => "a Makefile",
        BuildSystem::Configure => "a configure script",
        BuildSystem::Meson => "Meson",
    }
}

impl Hint for CProjectError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Plain(error) => error.hints(),
            Self::Executable(error) => error.hints(),
            Self::NoScript { folder } => vec![format!("cd {} && autoreconf -fi", quoted(folder))],
            Self::NotPlain { .. } => {
                vec!["build = \"make\"".to_owned(), "cflags = [\"-DNAME=1\"], for the compiler".to_owned()]
            }
            Self::Output { output, .. } => {
                let parts = output.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
                vec![format!("output = \"{}\"", parts.collect::<Vec<_>>().join("/"))]
            }
            Self::Unsaid { folder, .. } => vec![format!("anyarch init {}", quoted(folder))],
            Self::Nothing { .. } => vec!["package = \"./src\"".to_owned()],
            Self::Configure { .. } | Self::Read { .. } => Vec::new(),
        }
    }
}

/// How the C of a folder is built, by what lies in it.
#[must_use]
pub fn build_system(folder: &Path) -> Option<BuildSystem> {
    let has = |names: &[&str]| names.iter().any(|name| folder.join(name).is_file());
    [
        (BuildSystem::Cmake, &["CMakeLists.txt"][..]),
        (BuildSystem::Meson, &["meson.build"]),
        (BuildSystem::Configure, &["configure", "configure.ac"]),
        (BuildSystem::Make, &["GNUmakefile", "makefile", "Makefile"]),
    ]
    .into_iter()
    .find(|(_, names)| has(names))
    .map(|(build, _)| build)
    .or_else(|| sources(folder).is_ok_and(|sources| !sources.is_empty()).then_some(BuildSystem::Plain))
}

/// The C files of a folder, with their text.
///
/// # Errors
/// When one cannot be read.
pub fn sources(folder: &Path) -> Result<BTreeMap<String, String>, CProjectError> {
    let failed = |path: &Path, source| CProjectError::Read { path: path.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        let path = entry.map_err(|source| failed(folder, source))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if is_source(&name) && path.is_file() {
            let bytes = fs::read(&path).map_err(|source| failed(&path, source))?;
            files.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(files)
}

/// What has to be rendered before a program can be made of it.
pub struct Words {
    /// `args`
    pub args: Vec<Word>,
    /// `output`
    pub output: Option<String>,
    /// what it depends on beside its sources
    pub settings: CSettings,
}

/// How the C of a folder is built: as the settings say, else by what lies in it.
///
/// # Errors
/// When there is no C.
pub fn build_of(folder: &Path, settings: &ProgramSettings) -> Result<BuildSystem, CProjectError> {
    let asked = settings.build.as_ref().map(|build| build.get_ref().0);
    asked
        .or_else(|| build_system(folder))
        .ok_or_else(|| CProjectError::Nothing { folder: folder.display().to_string() })
}

/// What is known of a project before one of its programs is chosen.
///
/// # Errors
/// When the folder holds no C, or its build system lacks what it needs.
pub fn project(name: &str, folder: &Path, settings: &ProgramSettings, words: Words) -> Result<CProgram, CProjectError> {
    let shown = || folder.display().to_string();
    let build = build_of(folder, settings)?;
    let script = folder.join("configure");
    let configure_options = match build {
        BuildSystem::Configure if script.is_file() => {
            let text = fs::read(&script).map_err(|source| CProjectError::Read { path: script, source })?;
            options_of(&String::from_utf8_lossy(&text))
        }
        BuildSystem::Configure => return Err(CProjectError::NoScript { folder: shown() }),
        BuildSystem::Plain | BuildSystem::Cmake | BuildSystem::Make | BuildSystem::Meson => Vec::new(),
    };
    Ok(CProgram {
        name: name.to_owned(),
        directory: folder.to_owned(),
        build,
        sources: Vec::new(),
        target: settings.target.as_ref().map(|target| target.get_ref().clone()),
        args: words.args,
        output: words.output,
        install: settings.install.as_ref().is_some_and(|install| *install.get_ref()),
        configure_options,
        settings: words.settings,
    })
}

/// The program called `name` in `folder`. `executables` are those that its build system says it makes, where it was asked.
///
/// # Errors
/// When the folder is not one program, or its build system does not tell what it makes.
pub fn program(
    name: &str,
    folder: &Path,
    settings: &ProgramSettings,
    words: Words,
    executables: Option<&[Executable]>,
) -> Result<CProgram, CProjectError> {
    let shown = folder.display().to_string();
    let mut program = project(name, folder, settings, words)?;
    if program.build == BuildSystem::Plain {
        let keys =
            [("args", !program.args.is_empty()), ("output", program.output.is_some()), ("install", program.install)];
        if let Some((key, _)) = keys.into_iter().find(|(_, written)| *written) {
            return Err(CProjectError::NotPlain { folder: shown, key });
        }
        program.sources = sources_of(&shown, &sources(folder)?, program.target.as_deref())?.sources;
        return Ok(program);
    }
    program.output = match (program.output.take(), executables) {
        (Some(output), _) => Some(checked_output(&output, below(program.install))?),
        (None, Some(executables)) => {
            let chosen = choose(&shown, executables, program.target.as_deref())?;
            let output = place_of(&shown, chosen, program.install)?;
            program.target = Some(chosen.name.clone());
            Some(output)
        }
        (None, None) => {
            return Err(CProjectError::Unsaid { folder: shown, build: program.build, missing: "`output`" });
        }
    };
    Ok(program)
}

/// What a program that its project installs is below.
const INSTALLED: &str = "what is installed";

/// Where an executable is, below the build folder or below what is installed.
fn place_of(folder: &str, executable: &Executable, install: bool) -> Result<String, ExecutableError> {
    let target = executable.name.clone();
    match (&executable.installed, install) {
        (Some(installed), true) => Ok(installed.clone()),
        (None, true) => Err(ExecutableError::NotInstalled { folder: folder.to_owned(), target }),
        (_, false) => Ok(executable.output.clone()),
    }
}

/// What the `output` of a program is relative to.
fn below(install: bool) -> &'static str {
    if install { INSTALLED } else { "the build folder" }
}

/// A path that stays `below` its folder; what is installed may be written as the image has it.
///
/// # Errors
/// When it leads out of the folder.
pub(super) fn checked_output(output: &str, below: &'static str) -> Result<String, CProjectError> {
    let relative = if below == INSTALLED { output.trim_start_matches('/') } else { output };
    if relative.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(CProjectError::Output { output: output.to_owned(), below });
    }
    Ok(relative.to_owned())
}
