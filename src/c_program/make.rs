//! A project with a Makefile becomes calls of make in a copy of it: the tools on the command line, where they win over what
//! the Makefile says, and flags in the environment, so that its `CFLAGS +=` goes on working.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::workplace::{self, Parts};
use super::{CProgram, Recipe, Setup, Site};
use crate::invocation::{Invocation, Joins, Step, Word};

/// The variables that a Makefile is told on the command line. `LD` is not one: too many say `LD = $(CC)`.
const TOOLS: [&str; 6] = ["CC", "CXX", "AR", "RANLIB", "STRIP", "CROSS_COMPILE"];

/// How a project with a Makefile is built.
pub(super) fn recipe(program: &CProgram, site: &Site<'_>) -> Recipe {
    let build = site.build_folder();
    let mut variables = workplace::variables(program, site);
    let tools: Vec<Word> = TOOLS
        .iter()
        .filter_map(|name| {
            let word = variables.remove(*name)?;
            Some(Word::hiding(format!("{name}={}", word.value()), format!("{name}={}", word.shown())))
        })
        .chain(program.args.iter().cloned())
        .collect();
    let call = || workplace::call(site, "make", &build, &variables);
    let mut steps = vec![Step::new(call().args(program.target.clone()).args(tools.clone()), Joins::Jobserver)];
    steps.extend(install(program, site, &variables, tools));
    let inside = vec![copy(program, site, false)];
    workplace::recipe(program, site, Parts { files: Vec::new(), inside, steps, tools: &["make"] })
}

/// `make install`, where the project is to install itself.
pub(super) fn install(
    program: &CProgram,
    site: &Site<'_>,
    variables: &BTreeMap<String, Word>,
    tools: Vec<Word>,
) -> Option<Step> {
    let destination = workplace::installed_folder(site).display().to_string();
    let call = |build: PathBuf| -> Invocation {
        workplace::call(site, "make", &build, variables)
            .args(["install".to_owned()])
            .args(tools)
            .args([format!("DESTDIR={destination}")])
    };
    program.install.then(|| Step::new(call(site.build_folder()), Joins::Jobserver))
}

/// The copy that is built in. What the project's own folder has at the place of the binary is not taken: a file of the same
/// age as its sources would not be made again.
pub(super) fn copy(program: &CProgram, site: &Site<'_>, ignored: bool) -> Setup {
    let without = program.output.clone().filter(|_| !program.install).map(PathBuf::from);
    Setup::Copy { from: program.directory.clone(), to: site.build_folder(), without, ignored }
}
