//! A command of the project's that builds a binary: it is told what buildx tells a Dockerfile, and what the toolchain is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::c_program::{CSettings, Recipe, Setup, Site, environment, key, programs, scripts};
use crate::invocation::{Invocation, Joins, Step, Word};
use crate::platform::Platform;

/// What is run, as the configuration writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// a line for `sh`
    Line(Word),
    /// a program and its arguments, which no shell reads
    Words(Vec<Word>),
}

impl Command {
    /// For people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Line(line) => line.shown().to_owned(),
            Self::Words(words) => words.iter().map(Word::shown).collect::<Vec<_>>().join(" "),
        }
    }

    fn call(&self, directory: &Path) -> Invocation {
        match self {
            Self::Line(line) => Invocation::new("sh", directory).args([Word::from("-c"), line.clone()]),
            Self::Words(words) => {
                let (program, args) =
                    words.split_first().map_or(("", [].as_slice()), |(first, rest)| (first.value(), rest));
                Invocation::new(program, directory).args(args.iter().cloned())
            }
        }
    }
}

/// A program that a command builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandProgram {
    /// its name in the image
    pub name: String,
    /// the folder that the command runs in
    pub directory: PathBuf,
    /// the command
    pub command: Command,
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
    let mut call = program.command.call(&program.directory);
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
    // Where there is no compiler for C, there is none to be told of.
    call.env.extend(program.settings.env.clone());
    call.env.extend(environment(&program.settings, site));
    let mut setup = scripts(&program.settings, site, &[]);
    let steps = vec![Step::new(call, Joins::Jobserver)];
    setup.push(if program.output.is_some() {
        Setup::Folder { path: folder }
    } else {
        // What another command left there is not what this one makes.
        Setup::KeyedFolder { path: folder, key: key(&setup, &steps), programs: programs(site) }
    });
    Recipe { setup, steps, output, installed: None, tools: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::{Language, Request, Tool, Toolchain, Toolchains};

    fn recipe_for(platform: &str, command: Command, output: Option<&str>) -> Recipe {
        let platform: Platform = platform.parse().unwrap();
        let rows = Toolchains::built_in().unwrap();
        let settings = CSettings { env: [("MINE".to_owned(), "1".into())].into(), ..CSettings::default() };
        let request = Request { language: Language::Command, ..settings.request(platform) };
        let toolchain: Toolchain =
            rows.select(&settings.request(platform)).unwrap_or_else(|_| Toolchain::none(&request));
        let program = CommandProgram {
            name: "app".into(),
            directory: "/src".into(),
            command,
            output: output.map(PathBuf::from),
            settings,
            languages: rows.variables(platform, None),
            host: "linux/amd64".parse().unwrap(),
        };
        let found = |tool: &Tool| Some(vec![format!("/usr/bin/{}", tool.name)]);
        let environment = |_: &str| None;
        let folder = Path::new("/src/.anyarch/build/x/app");
        recipe(&program, &Site { platform, toolchain: &toolchain, folder, found: &found, environment: &environment })
    }

    fn variables(recipe: &Recipe, names: &[&str]) -> Vec<String> {
        let env = &recipe.steps[0].invocation.env;
        names.iter().filter_map(|name| env.get(*name).map(|value| format!("{name}={}", value.value()))).collect()
    }

    #[test]
    fn a_command_is_told_what_buildx_tells_and_what_the_toolchain_is() {
        let recipe = recipe_for("linux/arm/v6", Command::Line("make app && cp app \"$ANYARCH_OUTPUT\"".into()), None);
        let call = &recipe.steps[0].invocation;
        assert_eq!((call.program.as_str(), call.args[0].value()), ("sh", "-c"));
        assert_eq!(
            variables(
                &recipe,
                &[
                    "TARGETPLATFORM",
                    "TARGETOS",
                    "TARGETARCH",
                    "TARGETVARIANT",
                    "BUILDPLATFORM",
                    "BUILDOS",
                    "BUILDARCH",
                    "BUILDVARIANT",
                    "GOOS",
                    "GOARCH",
                    "GOARM",
                    "CARGO_BUILD_TARGET",
                    "CC",
                    "CXX",
                    "AR",
                    "CROSS_COMPILE",
                    "ANYARCH_OUTPUT",
                    "MINE",
                ]
            ),
            [
                "TARGETPLATFORM=linux/arm/v6",
                "TARGETOS=linux",
                "TARGETARCH=arm",
                "TARGETVARIANT=v6",
                "BUILDPLATFORM=linux/amd64",
                "BUILDOS=linux",
                "BUILDARCH=amd64",
                "BUILDVARIANT=",
                "GOOS=linux",
                "GOARCH=arm",
                "GOARM=6",
                "CARGO_BUILD_TARGET=arm-unknown-linux-musleabihf",
                "CC=arm-linux-musleabihf-cc",
                "CXX=arm-linux-musleabihf-c++",
                "AR=arm-linux-musleabihf-ar",
                "CROSS_COMPILE=arm-linux-musleabihf-",
                "ANYARCH_OUTPUT=/src/.anyarch/build/x/app/build/app",
                "MINE=1",
            ]
        );
        assert_eq!(recipe.output, Path::new("/src/.anyarch/build/x/app/build/app"));
        assert_eq!(recipe.steps[0].joins, Joins::Jobserver);
    }

    #[test]
    fn a_list_of_one_word_is_no_line_for_a_shell() {
        for (command, line) in [
            (Command::Line("make".into()), "sh -c make"),
            (Command::Words(vec!["make".into()]), "make"),
            (Command::Words(vec!["make".into(), "a b".into()]), "make 'a b'"),
        ] {
            let recipe = recipe_for("linux/arm64", command, Some("/src/dist/app"));
            assert!(recipe.steps[0].line.ends_with(&format!(" {line}")), "{}", recipe.steps[0].line);
            assert_eq!(variables(&recipe, &["ANYARCH_OUTPUT"]), ["ANYARCH_OUTPUT=/src/dist/app"]);
        }
    }

    #[test]
    fn a_platform_without_a_c_compiler_has_commands_all_the_same() {
        for (platform, expected) in [
            ("linux/ppc64", vec!["GOOS=linux", "GOARCH=ppc64", "MINE=1"]),
            ("windows/amd64", vec!["GOOS=windows", "GOARCH=amd64", "MINE=1"]),
        ] {
            let recipe = recipe_for(platform, Command::Line("true".into()), None);
            assert_eq!(variables(&recipe, &["GOOS", "GOARCH", "CC", "CROSS_COMPILE", "MINE"]), expected);
        }
    }
}
