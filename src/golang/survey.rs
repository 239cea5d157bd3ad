//! All main packages of a module, each with the package below it that holds C, if one does: for a project that is only
//! looked at, so nothing that it names is run and nothing is downloaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{GoError, GoPackage, Listed};
use crate::invocation::Invocation;

/// A main package, and what compiling it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// the package
    pub package: GoPackage,
    /// the first package of those it is made of that holds C
    pub cgo: Option<String>,
}

/// What a module holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// its main packages, in Go's order
    pub mains: Vec<Surveyed>,
    /// packages that Go finds fault with, each with the fault
    pub faults: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedWithC {
    #[serde(flatten)]
    listed: Listed,
    #[serde(default)]
    standard: bool,
    #[serde(default)]
    dep_only: bool,
    #[serde(default)]
    cgo_files: Vec<String>,
    #[serde(default)]
    deps: Vec<String>,
}

/// The call that lists the packages of the module in `directory` and all that they are made of.
#[must_use]
pub fn survey_invocation(directory: &Path) -> Invocation {
    let call = Invocation::new("go", directory)
        .args(["list", "-e", "-deps", "-buildvcs=false"])
        .args(["-json=Dir,ImportPath,Name,Module,Error,Standard,DepOnly,CgoFiles,Deps", "./..."]);
    // A project may name a go of its own, which GOTOOLCHAIN would fetch and run; GOPROXY would have git clone.
    let fixed =
        [("GOTOOLCHAIN", "local"), ("GOPROXY", "off"), ("GOOS", "linux"), ("GOARCH", "amd64"), ("CGO_ENABLED", "1")];
    fixed.into_iter().fold(call, |call, (name, value)| call.env(name, value))
}

/// Reads what [`survey_invocation`] printed.
///
/// # Errors
/// When it is not JSON.
pub fn read_survey(directory: &Path, stdout: &[u8]) -> Result<Survey, GoError> {
    let mut survey = Survey::default();
    let mut with_c: BTreeMap<String, bool> = BTreeMap::new();
    let mut mains = Vec::new();
    for read in serde_json::Deserializer::from_slice(stdout).into_iter::<ListedWithC>() {
        let read = read.map_err(|source| GoError::Json { directory: directory.to_owned(), source })?;
        // The standard library does without its own C.
        with_c.insert(read.listed.import_path.clone(), !read.standard && !read.cgo_files.is_empty());
        if let Some(error) = &read.listed.error {
            survey.faults.push((read.listed.import_path.clone(), error.err.trim().to_owned()));
        }
        if read.listed.name == "main" && !read.dep_only && !read.standard && read.listed.dir != PathBuf::new() {
            mains.push(read);
        }
    }
    for main in mains {
        let own = std::iter::once(&main.listed.import_path);
        let cgo = own.chain(&main.deps).find(|path| with_c.get(*path).copied().unwrap_or(false)).cloned();
        survey.mains.push(Surveyed { package: main.listed.into_package(), cgo });
    }
    Ok(survey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_runs_nothing_of_the_project() {
        assert_eq!(
            survey_invocation(Path::new("/src")).to_line(),
            "CGO_ENABLED=1 GOARCH=amd64 GOOS=linux GOPROXY=off GOTOOLCHAIN=local go list -e -deps '-buildvcs=false' \
             '-json=Dir,ImportPath,Name,Module,Error,Standard,DepOnly,CgoFiles,Deps' ./..."
        );
    }

    #[test]
    fn a_main_package_knows_who_below_it_holds_c() {
        let module = r#""Module": {"Path": "m", "Dir": "/src"}"#;
        let stdout = format!(
            r#"{{"ImportPath": "runtime/cgo", "Name": "cgo", "Standard": true, "DepOnly": true, "CgoFiles": ["cgo.go"]}}
            {{"ImportPath": "x/db", "Dir": "/x", "Name": "db", "DepOnly": true, "CgoFiles": ["db.go"]}}
            {{"ImportPath": "x/gone", "Error": {{"Err": "no module\n"}}, "DepOnly": true}}
            {{"ImportPath": "x/run", "Dir": "/x/run", "Name": "main", "DepOnly": true}}
            {{"ImportPath": "m/cmd/app", "Dir": "/src/cmd/app", "Name": "main", "Deps": ["runtime/cgo", "x/db"], {module}}}
            {{"ImportPath": "m/cmd/plain", "Dir": "/src/cmd/plain", "Name": "main", "Deps": ["runtime/cgo"], {module}}}"#
        );
        let survey = read_survey(Path::new("/src"), stdout.as_bytes()).unwrap();
        let found: Vec<_> = survey.mains.iter().map(|main| (main.package.name(), main.cgo.as_deref())).collect();
        assert_eq!(found, [("app", Some("x/db")), ("plain", None)]);
        assert_eq!(survey.faults, [("x/gone".to_owned(), "no module".to_owned())]);
        assert!(read_survey(Path::new("/src"), b"go: oh").is_err());
    }
}
