//! What a build system says it makes becomes the one executable that is a program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::hint::Hint;

/// An executable that a build system makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// the target's name
    pub name: String,
    /// the file, relative to the build folder; in full where it is outside
    pub output: String,
    /// where it is installed, without the leading slash
    pub installed: Option<String>,
    /// false when the project only builds it when asked to
    pub by_default: bool,
}

/// Why a project is not one program.
#[derive(Debug, thiserror::Error)]
pub enum ExecutableError {
    /// It makes none.
    #[error("the project in `{folder}` makes no executable")]
    None {
        /// the folder
        folder: String,
    },
    /// It makes several.
    #[error("the project in `{folder}` makes {} executables: {}", names.len(), names.join(", "))]
    Several {
        /// the folder
        folder: String,
        /// their targets
        names: Vec<String>,
    },
    /// The one that was asked for is not among them.
    #[error("the project in `{folder}` makes no executable `{target}`; there are {}", names.join(", "))]
    Unknown {
        /// the folder
        folder: String,
        /// what was asked for
        target: String,
        /// the targets
        names: Vec<String>,
    },
    /// It is made in a place that is not the build folder's, where each platform would replace the one before.
    #[error("the project in `{folder}` makes `{target}` outside of its build folder, at `{output}`")]
    Outside {
        /// the folder
        folder: String,
        /// the target
        target: String,
        /// where
        output: String,
    },
    /// It is not among what is installed.
    #[error("the project in `{folder}` does not install `{target}`")]
    NotInstalled {
        /// the folder
        folder: String,
        /// the target
        target: String,
    },
}

impl Hint for ExecutableError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::None { .. } => vec!["output = \"path/of/the/binary\"".to_owned()],
            Self::Several { names, .. } | Self::Unknown { names, .. } => {
                names.iter().map(|name| format!("[[program]] language = \"c\", target = \"{name}\"")).collect()
            }
            Self::Outside { .. } => vec!["set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)".to_owned()],
            Self::NotInstalled { .. } => vec!["install = false".to_owned()],
        }
    }
}

/// The executable of `target`; without a target the only one that is built by default.
///
/// # Errors
/// When there is none, or several and no choice, or it is not where a build folder's own files are.
pub fn choose<'executables>(
    folder: &str,
    executables: &'executables [Executable],
    target: Option<&str>,
) -> Result<&'executables Executable, ExecutableError> {
    let folder = folder.to_owned();
    let names = |of: &[&Executable]| {
        let names: BTreeSet<String> = of.iter().map(|executable| executable.name.clone()).collect();
        names.into_iter().collect::<Vec<_>>()
    };
    let all: Vec<&Executable> = executables.iter().collect();
    let by_default: Vec<&Executable> = executables.iter().filter(|executable| executable.by_default).collect();
    let chosen = match (target, by_default.as_slice()) {
        (_, _) if all.is_empty() => return Err(ExecutableError::None { folder }),
        (Some(target), _) => *all.iter().find(|executable| executable.name == target).ok_or_else(|| {
            ExecutableError::Unknown { folder: folder.clone(), target: target.to_owned(), names: names(&all) }
        })?,
        (None, [only]) => *only,
        (None, []) => return Err(ExecutableError::Several { folder, names: names(&all) }),
        (None, several) => return Err(ExecutableError::Several { folder, names: names(several) }),
    };
    if Path::new(&chosen.output).is_absolute() {
        let (target, output) = (chosen.name.clone(), chosen.output.clone());
        return Err(ExecutableError::Outside { folder, target, output });
    }
    Ok(chosen)
}

#[derive(Deserialize)]
struct Index {
    reply: BTreeMap<String, BTreeMap<String, ReplyFile>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyFile {
    json_file: String,
}

#[derive(Deserialize)]
struct Codemodel {
    configurations: Vec<Configuration>,
}

#[derive(Deserialize)]
struct Configuration {
    name: String,
    targets: Vec<ReplyFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    artifacts: Vec<PathOf>,
    install: Option<Install>,
    name_on_disk: Option<String>,
}

#[derive(Deserialize)]
struct Install {
    prefix: PathOf,
    destinations: Vec<PathOf>,
}

#[derive(Deserialize)]
struct PathOf {
    path: String,
}

/// The executables of a `CMake` project that was configured, by its reply to our query (cmake-file-api(7)). `read` gives a
/// file of the reply folder; `index` is the name of the newest index there; `makefile` is `CMakeFiles/Makefile2`, where
/// the generator writes one: nothing else says what is left out of `all`.
///
/// # Errors
/// When the reply is not one.
pub fn read_reply(
    read: &dyn Fn(&str) -> std::io::Result<String>,
    index: &str,
    configuration: &str,
    makefile: Option<&str>,
) -> std::io::Result<Vec<Executable>> {
    let index: Index = serde_json::from_str(&read(index)?)?;
    let codemodel = index.reply.get("client-anyarch").and_then(|client| client.get("codemodel-v2"));
    let codemodel = codemodel.ok_or(std::io::ErrorKind::NotFound)?;
    let codemodel: Codemodel = serde_json::from_str(&read(&codemodel.json_file)?)?;
    let known = codemodel.configurations.iter().find(|known| known.name.eq_ignore_ascii_case(configuration));
    let targets = known.or(codemodel.configurations.first()).map(|known| known.targets.as_slice()).unwrap_or_default();
    let in_all = makefile.map(built_by_all);
    let mut executables = Vec::new();
    for target in targets {
        let target: Target = serde_json::from_str(&read(&target.json_file)?)?;
        let Some(artifact) = target.artifacts.first().filter(|_| target.kind == "EXECUTABLE") else { continue };
        let installed = target.install.iter().find_map(|install| {
            let folder = Path::new(&install.prefix.path).join(&install.destinations.first()?.path);
            let file = folder.join(target.name_on_disk.as_ref()?);
            Some(file.display().to_string().trim_start_matches('/').to_owned())
        });
        executables.push(Executable {
            output: artifact.path.clone(),
            installed,
            by_default: in_all.as_ref().is_none_or(|names| names.contains(&target.name)),
            name: target.name,
        });
    }
    Ok(executables)
}

/// The targets that `all` of a Makefile of `CMake`'s leads to by folders: `all: sub/all`, `sub/all: sub/CMakeFiles/app.dir/all`.
fn built_by_all(makefile: &str) -> BTreeSet<String> {
    let rules = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(target, _)| !target.contains([' ', '\t', '=', '#', '$']));
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (target, rest) in rules {
        needs.entry(target).or_default().extend(rest.split_whitespace());
    }
    let (mut seen, mut waiting) = (BTreeSet::new(), vec!["all"]);
    while let Some(target) = waiting.pop() {
        // What a target of `all` needs is built too, and is no more asked for by that.
        if seen.insert(target) && !target.ends_with(".dir/all") {
            waiting.extend(needs.get(target).into_iter().flatten());
        }
    }
    let name = |target: &str| Some(target.strip_suffix(".dir/all")?.rsplit_once("CMakeFiles/")?.1.to_owned());
    seen.into_iter().filter_map(name).collect()
}
