//! A command of the project's that builds a binary: it is told what buildx tells a Dockerfile, and what the toolchain is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::c_program::{CSettings, Recipe, Setup, Site, environment, scripts};
use crate::invocation::{Invocation, Joins, Step, Word};
use crate::platform::Platform;

/// A program that a command builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandProgram {
    /// its name in the image
    pub name: String,
    /// the folder that the command runs in
    pub directory: PathBuf,
    /// the command: one word is a line for `sh`
    pub command: Vec<Word>,
    /// where the binary is, if the command decides that
    pub output: Option<PathBuf>,
    /// the C compiler that it is told of
    pub settings: CSettings,
    /// what Go and cargo are told of the platform
    pub languages: BTreeMap<String, String>,
    /// the platform of this machine
    pub host: Platform,
}

/// How `program` is built.
#[must_use]
pub fn recipe(program: &CommandProgram, site: &Site<'_>) -> Recipe {
    let folder = site.build_folder();
    let output = program.output.clone().unwrap_or_else(|| folder.join(&program.name));
    let (words, line);
    let (first, rest) = match program.command.as_slice() {
        [only] => {
            line = [Word::from("-c"), only.clone()];
            ("sh", line.as_slice())
        }
        several => {
            words = several.split_first();
            words.map_or(("true", [].as_slice()), |(first, rest)| (first.value(), rest))
        }
    };
    let mut call = Invocation::new(first, &program.directory).args(rest.iter().cloned());
    for (prefix, platform) in [("TARGET", site.platform), ("BUILD", program.host)] {
        let variant = platform.variant().map_or_else(String::new, |variant| variant.to_string());
        call = call
            .env(&format!("{prefix}PLATFORM"), platform.to_string())
            .env(&format!("{prefix}OS"), platform.os().to_string())
            .env(&format!("{prefix}ARCH"), platform.architecture().to_string())
            .env(&format!("{prefix}VARIANT"), variant);
    }
    for (name, value) in &program.languages {
        call = call.env(name, value.as_str());
    }
    call = call.env("ANYARCH_OUTPUT", output.display().to_string());
    call.env.extend(environment(&program.settings, site));
    let mut setup = vec![Setup::Folder { path: folder }];
    setup.extend(scripts(&program.settings, site, &[]));
    Recipe { setup, steps: vec![Step::new(call, Joins::Jobserver)], output, installed: None, tools: Vec::new() }
}
