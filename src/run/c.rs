//! A folder of C, and what the configuration says of it, become a [`CProgram`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::c_program::{BuildSystem, CProgram, CSettings, PlainError, is_source, sources_of};
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
            Self::Unsaid { folder, .. } => vec![format!("anyarch init {}", quoted(folder))],
            Self::Nothing { .. } => vec!["package = \"./src\"".to_owned()],
            Self::Read { .. } => Vec::new(),
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

/// The program called `name` in `folder`.
///
/// # Errors
/// When the folder is not one program, or its build system does not tell what it makes.
pub fn program(name: &str, folder: &Path, settings: &ProgramSettings, words: Words) -> Result<CProgram, CProjectError> {
    let shown = || folder.display().to_string();
    let asked = settings.build.as_ref().map(|build| build.get_ref().0);
    let build = asked.or_else(|| build_system(folder)).ok_or_else(|| CProjectError::Nothing { folder: shown() })?;
    let target = settings.target.as_ref().map(|target| target.get_ref().clone());
    let sources = match build {
        BuildSystem::Plain => sources_of(&shown(), &sources(folder)?, target.as_deref())?.sources,
        BuildSystem::Cmake | BuildSystem::Make | BuildSystem::Configure | BuildSystem::Meson => Vec::new(),
    };
    let told = words.output.is_some() || build == BuildSystem::Plain;
    if !told {
        return Err(CProjectError::Unsaid { folder: shown(), build, missing: "`output`" });
    }
    Ok(CProgram {
        name: name.to_owned(),
        directory: folder.to_owned(),
        build,
        sources,
        target,
        args: words.args,
        output: words.output,
        install: settings.install.as_ref().is_some_and(|install| *install.get_ref()),
        settings: words.settings,
    })
}
