//! A folder with a `go.mod` becomes a list of main packages and the `go build` calls that compile them.

mod cgo;
mod survey;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use cgo::{
    Cgo, Compiler, GoVariables, compiler, list_c_invocation, named, read_c_packages, read_variables,
    variables_invocation,
};

use crate::hint::Hint;
use crate::invocation::{Invocation, Word};

pub use survey::{Survey, Surveyed, read_survey, survey_invocation};

/// A main package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GoPackage {
    /// `example.com/hello/cmd/app`
    pub import_path: String,
    /// its folder
    pub directory: PathBuf,
    /// the path of its module
    pub module: String,
    /// the folder of its module's go.mod
    pub module_directory: PathBuf,
}

/// What a Go program's configuration says beyond its package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoSettings {
    /// build tags
    pub tags: Vec<Word>,
    /// flags of the linker
    pub ldflags: Vec<Word>,
    /// flags of the compiler
    pub gcflags: Vec<Word>,
    /// false turns off the stamp of the commit
    pub buildvcs: Option<bool>,
    /// true leaves the symbol table and debug information out
    pub strip: bool,
    /// environment on top of the toolchain's
    pub env: BTreeMap<String, Word>,
    /// how C is compiled, where that was asked for
    pub cgo: Option<Cgo>,
    /// the toolchain row that was asked for; with cgo it names the row of C
    pub row: Option<String>,
}

/// Why there is no program to build.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// `go list` failed.
    #[error("`{line}` failed in `{directory}`:\n{output}")]
    List {
        /// the call
        line: String,
        /// where
        directory: PathBuf,
        /// what it said
        output: String,
    },
    /// `go list` printed something else than packages.
    #[error("the output of `go list` in `{directory}` cannot be read")]
    Json {
        /// where
        directory: PathBuf,
        /// why
        #[source]
        source: serde_json::Error,
    },
    /// A package that Go itself finds fault with.
    #[error("`{import_path}` cannot be built: {message}")]
    Package {
        /// the package
        import_path: String,
        /// what Go says
        message: String,
    },
    /// A main package that only cgo can compile.
    #[error("`{import_path}` is a main package whose files all import C, and cgo is off")]
    NeedsCgo {
        /// the package
        import_path: String,
    },
    /// `go env` failed, or said something else.
    #[error("`{line}` failed: {output}")]
    Variables {
        /// the call
        line: String,
        /// what it said
        output: String,
    },
    /// No main package where one was looked for.
    #[error("`{path}` holds no main package")]
    NoMain {
        /// what was given
        path: String,
    },
    /// Several, and no choice.
    #[error("`{path}` holds {} main packages: {}", choices.len(), choices.join(", "))]
    SeveralMains {
        /// what was given
        path: String,
        /// each as a path to give
        choices: Vec<String>,
    },
}

impl Hint for GoError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::List { output, .. } if output.contains("dubious ownership") || output.contains("VCS status") => {
                vec!["git config --global --add safe.directory \"$PWD\"".to_owned()]
            }
            Self::NeedsCgo { .. } => vec!["cgo = true for its [[program]] in anyarch.toml".to_owned()],
            Self::NoMain { path } => {
                vec![format!("name the folder of a main package: anyarch build {}/cmd/app", path.trim_end_matches('/'))]
            }
            Self::SeveralMains { choices, .. } => {
                let mut hints = vec![format!("one image of one program: anyarch build {}", choices[0])];
                hints.push(format!("one image a program: anyarch build {}", choices.join(" ")));
                hints.push(format!("all programs in one image: anyarch build --one-image {}", choices.join(" ")));
                hints
            }
            _ => Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(default)]
    dir: PathBuf,
    #[serde(default)]
    import_path: String,
    #[serde(default)]
    name: String,
    module: Option<ListedModule>,
    error: Option<ListedError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedModule {
    path: String,
    #[serde(default)]
    dir: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedError {
    err: String,
}

impl Listed {
    fn into_package(self) -> GoPackage {
        let module = self.module;
        GoPackage {
            module_directory: module.as_ref().map_or_else(|| self.dir.clone(), |module| module.dir.clone()),
            module: module.map_or_else(|| self.import_path.clone(), |module| module.path),
            import_path: self.import_path,
            directory: self.dir,
        }
    }
}

/// The call that lists the packages that `patterns` match in `directory`. No C compiler is looked for, with or without
/// cgo.
#[must_use]
pub fn list_invocation(directory: &Path, patterns: &[String], cgo: bool) -> Invocation {
    Invocation::new("go", directory)
        .args(["list", "-e", "-find", "-json=Dir,ImportPath,Name,Module,Error"])
        .args(patterns.iter().map(String::as_str))
        .env("CGO_ENABLED", if cgo { "1" } else { "0" })
        .env("GOOS", "linux")
}

/// Reads what [`list_invocation`] printed: the main packages, in Go's order.
///
/// # Errors
/// When it is not JSON, or a package that was named itself has an error.
pub fn read_list(directory: &Path, stdout: &[u8]) -> Result<Vec<GoPackage>, GoError> {
    let mut mains = Vec::new();
    for listed in serde_json::Deserializer::from_slice(stdout).into_iter::<Listed>() {
        let listed = listed.map_err(|source| GoError::Json { directory: directory.to_owned(), source })?;
        if let Some(error) = listed.error {
            return Err(GoError::Package { import_path: listed.import_path, message: error.err.trim().to_owned() });
        }
        if listed.name == "main" {
            mains.push(listed.into_package());
        }
    }
    Ok(mains)
}

fn is_major_version(element: &str) -> bool {
    element
        .strip_prefix('v')
        .is_some_and(|digits| digits.parse::<u32>().is_ok_and(|number| number >= 2) && !digits.starts_with('0'))
}

/// What `go build` calls a program: the last element of its import path that is not a major version.
fn last_element(path: &str) -> &str {
    let mut elements = path.rsplit('/');
    let last = elements.next().unwrap_or(path);
    if is_major_version(last) { elements.next().unwrap_or(last) } else { last }
}

impl GoPackage {
    /// What `go build` calls the program.
    #[must_use]
    pub fn default_name(&self) -> &str {
        last_element(&self.import_path)
    }

    /// The program's name in the image: Go's own, except that a folder called `cmd` says nothing, so the module's is taken.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.default_name() {
            "cmd" => last_element(&self.module),
            name => name,
        }
    }
}

/// The call that compiles `packages` into `output`: a file for one package, a folder (with a `/` at its end) for several.
#[must_use]
pub fn build_invocation(
    packages: &[&GoPackage],
    settings: &GoSettings,
    toolchain: &BTreeMap<String, String>,
    output: &str,
) -> Invocation {
    let directory = packages.first().map(|package| package.module_directory.clone()).unwrap_or_default();
    let mut call = Invocation::new("go", directory).args(["build", "-trimpath"]);
    if let Some(stamp) = settings.buildvcs {
        call = call.args([format!("-buildvcs={stamp}")]);
    }
    let ldflags = linker_flags(settings);
    let lists = [("-tags=", &settings.tags, ","), ("-ldflags=", &ldflags, " "), ("-gcflags=", &settings.gcflags, " ")];
    for (flag, words, separator) in lists {
        if !words.is_empty() {
            let joined = Word::join(words, separator);
            call = call.args([Word::hiding(format!("{flag}{}", joined.value()), format!("{flag}{}", joined.shown()))]);
        }
    }
    call = call.args(["-o", output]);
    // By path and not by import path: a main package outside GOPATH is always found so.
    call = call.args(packages.iter().map(|package| package_argument(package)));
    for (name, value) in toolchain {
        call = call.env(name, value.as_str());
    }
    call.env = call.env.into_iter().chain(settings.env.clone()).collect();
    call.env("GOOS", "linux")
}

fn linker_flags(settings: &GoSettings) -> Vec<Word> {
    let mut flags = settings.ldflags.clone();
    if settings.strip {
        flags.splice(0..0, ["-s".into(), "-w".into()]);
    }
    let Some(cgo) = &settings.cgo else { return flags };
    // A flag of ours replaces those of GOFLAGS, so they come along.
    if flags.is_empty() {
        flags.extend(cgo.user.go_ldflags());
    }
    // Go's own linker takes the loader of glibc, whatever the C was compiled for.
    if !flags.iter().any(|flag| flag.value().contains("-linkmode")) {
        flags.insert(0, "-linkmode=external".into());
    }
    flags
}

fn package_argument(package: &GoPackage) -> String {
    match package.directory.strip_prefix(&package.module_directory) {
        Ok(relative) if relative.as_os_str().is_empty() => ".".to_owned(),
        Ok(relative) => format!("./{}", relative.display()),
        Err(_) => package.import_path.clone(),
    }
}

/// Splits programs into those that one `go build` can compile: the same module and settings, no two with one file
/// name, and each called what Go calls it, since Go names the files when there are several. The answer holds positions in `programs`.
#[must_use]
pub fn batches(programs: &[(&str, &GoPackage, &GoSettings)]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for (position, (name, package, settings)) in programs.iter().enumerate() {
        let named_by_go = |position: usize| programs[position].0 == programs[position].1.default_name();
        let fits = |batch: &&mut Vec<usize>| {
            named_by_go(position)
                && batch.iter().all(|other| {
                    let (their_name, theirs, their_settings) = &programs[*other];
                    theirs.module_directory == package.module_directory
                        && their_settings == settings
                        && their_name != name
                        && named_by_go(*other)
                })
        };
        match batches.iter_mut().find(fits) {
            Some(batch) => batch.push(position),
            None => batches.push(vec![position]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(module: &str, import_path: &str) -> GoPackage {
        let relative = import_path.strip_prefix(module).unwrap_or("").trim_start_matches('/');
        GoPackage {
            import_path: import_path.to_owned(),
            directory: Path::new("/src").join(relative),
            module: module.to_owned(),
            module_directory: "/src".into(),
        }
    }

    #[test]
    fn programs_are_called_what_go_calls_them() {
        for (module, import_path, name) in [
            ("example.com/hello", "example.com/hello", "hello"),
            ("example.com/hello/v2", "example.com/hello/v2", "hello"),
            ("example.com/hello/v2", "example.com/hello/v2/cmd/app", "app"),
            ("example.com/manager", "example.com/manager/cmd", "manager"),
            ("example.com/manager/v3", "example.com/manager/v3/cmd", "manager"),
            ("hello", "hello", "hello"),
            ("example.com/v1", "example.com/v1", "v1"),
        ] {
            assert_eq!(package(module, import_path).name(), name, "{import_path}");
        }
    }

    #[test]
    fn a_build_prints_as_the_line_go_gets() {
        let app = package("example.com/m", "example.com/m/cmd/app");
        let settings = GoSettings {
            tags: vec!["netgo".into(), "osusergo".into()],
            ldflags: vec!["-X main.version=1.2".into()],
            strip: true,
            buildvcs: Some(false),
            ..GoSettings::default()
        };
        let toolchain = [("CGO_ENABLED", "0"), ("GOARCH", "arm"), ("GOARM", "6")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let call = build_invocation(&[&app], &settings, &toolchain.into(), "/src/.anyarch/build/linux_arm_v6/app");
        assert_eq!(
            call.to_line(),
            "CGO_ENABLED=0 GOARCH=arm GOARM=6 GOOS=linux go build -trimpath '-buildvcs=false' '-tags=netgo,osusergo' '-ldflags=-s -w -X main.version=1.2' -o /src/.anyarch/build/linux_arm_v6/app ./cmd/app"
        );
    }

    #[test]
    fn one_call_compiles_what_shares_settings() {
        let app = (package("m", "m/cmd/app"), GoSettings::default());
        let tool = (package("m", "m/cmd/tool"), GoSettings::default());
        let tagged = (package("m", "m/cmd/tagged"), GoSettings { tags: vec!["x".into()], ..GoSettings::default() });
        let twin = (package("m", "m/other/app"), GoSettings::default());
        let command = (package("m", "m/cmd"), GoSettings::default());
        let programs = [app, tool, tagged, twin, command];
        let named: Vec<_> = programs.iter().map(|(package, settings)| (package.name(), package, settings)).collect();
        let found: Vec<Vec<&str>> = batches(&named)
            .iter()
            .map(|batch| batch.iter().map(|position| programs[*position].0.import_path.as_str()).collect())
            .collect();
        assert_eq!(found, [vec!["m/cmd/app", "m/cmd/tool"], vec!["m/cmd/tagged"], vec!["m/other/app"], vec!["m/cmd"]]);
    }

    #[test]
    fn what_go_list_prints_becomes_main_packages() {
        let stdout = br#"
            {"Dir": "/src", "ImportPath": "m", "Name": "m", "Module": {"Path": "m", "Dir": "/src"}}
            {"Dir": "/src/cmd/app", "ImportPath": "m/cmd/app", "Name": "main", "Module": {"Path": "m", "Dir": "/src"}}
        "#;
        let mains = read_list(Path::new("/src"), stdout).unwrap();
        assert_eq!(
            mains,
            [package("m", "m/cmd/app")].map(|mut main| {
                main.module_directory = "/src".into();
                main
            })
        );
        let broken = br#"{"ImportPath": "m/x", "Error": {"Err": "no Go files in /src/x"}}"#;
        assert_eq!(
            read_list(Path::new("/src"), broken).unwrap_err().to_string(),
            "`m/x` cannot be built: no Go files in /src/x"
        );
    }
}
