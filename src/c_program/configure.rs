//! A project with a configure script becomes a call of it, and calls of make, in a copy of the project.

use super::workplace::{self, PREFIX, Parts};
use super::{CProgram, Recipe, Site, make};
use crate::invocation::{Joins, Step, Word};

/// What configure is told it runs on: the same on every machine, and never the same text as `--host`, so that it takes
/// everything for cross-compiled and starts nothing that it made, also where this machine could.
const BUILD: &str = "x86_64-pc-linux-gnu";
/// What is there once a copy is configured.
const CONFIGURED: &str = ".anyarch-configured";

/// How a project with a configure script is built. `args` are for configure; make builds `target`.
pub(super) fn recipe(program: &CProgram, site: &Site<'_>) -> Recipe {
    let build = site.build_folder();
    let mut variables = workplace::variables(program, site);
    if let Some(compiler) = site.compiler() {
        // The name that scripts use which are not autoconf's.
        variables.entry("CHOST".to_owned()).or_insert_with(|| compiler.prefix.clone().into());
    }
    let host = site.compiler().map(|compiler| compiler.host.as_str()).unwrap_or_default();
    let known = [("--build", BUILD), ("--host", host), ("--prefix", PREFIX)]
        .into_iter()
        .filter(|(option, _)| program.configure_options.iter().any(|known| known == option))
        .map(|(option, value)| Word::from(format!("{option}={value}")));
    let configure =
        workplace::call(site, "./configure", &build, &variables).args(known).args(program.args.iter().cloned());
    let build_call = workplace::call(site, "make", &build, &variables).args(program.target.clone());
    let mut steps =
        vec![Step::new(configure, Joins::Alone).once(build.join(CONFIGURED)), Step::new(build_call, Joins::Jobserver)];
    steps.extend(make::install(program, site, &variables, Vec::new()));
    let inside = vec![make::copy(program, site, true)];
    workplace::recipe(program, site, Parts { files: Vec::new(), inside, steps, tools: &["make"] })
}

/// The options of ours that a configure script knows, by its text: not every one is autoconf's.
#[must_use]
pub fn options_of(script: &str) -> Vec<String> {
    ["--build", "--host", "--prefix"].into_iter().filter(|option| has_word(script, option)).map(str::to_owned).collect()
}

/// Whether `option` stands in `text` as a whole word: `--host`, and neither `--host-cc` nor `---host`.
fn has_word(text: &str, option: &str) -> bool {
    let in_word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    text.match_indices(option).any(|(position, _)| {
        let (before, after) = (&text[..position], &text[position + option.len()..]);
        !before.ends_with(in_word) && !after.starts_with(in_word)
    })
}
