//! What `CMake`, make, configure and Meson have in common: their environment, the folder that they build in, and when what
//! an earlier build left there still counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment::{environment, user};
use super::{BuildSystem, CProgram, Recipe, Setup, Site, fixed_flags, scripts};
use crate::blob::{Digest, canonical_json};
use crate::invocation::{Invocation, Step, Word};

/// Where programs go below `DESTDIR`, unless the arguments say otherwise.
pub(super) const PREFIX: &str = "/usr/local";

/// Variables of the user's that would lead a build elsewhere: to a folder that is not ours, to other build types, to
/// more processes than there are tokens.
const NOT_FOR_BUILDS: [&str; 6] = [
    "CMAKE_BUILD_PARALLEL_LEVEL",
    "CMAKE_BUILD_TYPE",
    "CMAKE_GENERATOR",
    "CMAKE_TOOLCHAIN_FILE",
    "CONFIG_SITE",
    "DESTDIR",
];

/// The variables of a build. Unlike for a single call, what makes a binary static is left to the scripts, which know what is
/// linked: a shared library on the way to a program is not static.
pub(super) fn variables(program: &CProgram, site: &Site<'_>) -> BTreeMap<String, Word> {
    let settings = &program.settings;
    let mut variables = environment(settings, site);
    let mut set = |name: &str, flags: Vec<Word>| {
        if settings.env.contains_key(name) {
            return;
        }
        if flags.is_empty() {
            variables.remove(name);
        } else {
            variables.insert(name.to_owned(), Word::join(&flags, " "));
        }
    };
    // These two have build types, which say how much is optimized.
    let has_types = matches!(program.build, BuildSystem::Cmake | BuildSystem::Meson);
    if has_types {
        for name in ["CFLAGS", "CXXFLAGS"] {
            set(name, user(name, site).into_iter().chain(settings.cflags.clone()).collect());
        }
    }
    let libraries = || settings.libs.iter().map(|library| Word::from(format!("-l{library}")));
    let brings_libc = site.toolchain.brings_libc();
    let sysroot = settings.sysroot.iter().flat_map(|sysroot| sysroot.link_words(brings_libc)).map(Word::from);
    let strip = settings.strip.then(|| "-s".into());
    let mut flags: Vec<Word> = user("LDFLAGS", site).into_iter().chain(settings.ldflags.clone()).collect();
    flags.extend(sysroot.chain(strip));
    if program.build == BuildSystem::Meson {
        flags.extend(libraries());
    }
    set("LDFLAGS", flags);
    if !has_types && !settings.libs.is_empty() {
        for name in ["LIBS", "LDLIBS"] {
            set(name, user(name, site).into_iter().chain(libraries()).collect());
        }
    }
    variables
}

/// A call of `tool` in `folder` with these variables.
pub(super) fn call(site: &Site<'_>, tool: &str, folder: &Path, variables: &BTreeMap<String, Word>) -> Invocation {
    let mut call = Invocation::new(tool, folder);
    call.env.clone_from(variables);
    let stays = |name: &&str| (site.environment)(name).is_none() || variables.contains_key(*name);
    call.env_remove = NOT_FOR_BUILDS.into_iter().filter(|name| !stays(name)).map(str::to_owned).collect();
    call
}

/// True when the user's own flags say how much is optimized.
pub(super) fn optimizes(flags: Option<&Word>) -> bool {
    flags.is_some_and(|flags| flags.value().split_whitespace().any(|flag| flag.starts_with("-O")))
}

/// What a build system has that is its own.
pub(super) struct Parts {
    /// files that describe the platform
    pub files: Vec<Setup>,
    /// what has to be there once the folder is
    pub inside: Vec<Setup>,
    /// the calls, in order
    pub steps: Vec<Step>,
    /// build tools, by the names of their rows
    pub tools: &'static [&'static str],
}

/// The recipe of a build system: scripts, its own files, and a build folder that is emptied when anything changed that what
/// is in there was made with.
pub(super) fn recipe(program: &CProgram, site: &Site<'_>, parts: Parts) -> Recipe {
    let build = site.build_folder();
    let installed = program.install.then(|| installed_folder(site));
    let mut setup = scripts(&program.settings, site, &fixed_flags(program, site));
    setup.extend(parts.files);
    let sysroot = program.settings.sysroot.as_ref().map(|sysroot| &sysroot.packages);
    let key = format!("{} {sysroot:?}", key(&setup, &parts.steps));
    setup.push(Setup::KeyedFolder { path: build.clone(), key, programs: programs(site) });
    setup.extend(parts.inside);
    setup.extend(installed.iter().map(|path| Setup::EmptyFolder { path: path.clone() }));
    let root = installed.as_deref().unwrap_or(&build);
    Recipe {
        setup,
        steps: parts.steps,
        output: root.join(program.output.as_deref().unwrap_or(&program.name)),
        installed,
        tools: parts.tools.iter().map(|tool| (*tool).to_owned()).collect(),
    }
}

/// The folder that stands for the image's root when a project installs itself.
pub(super) fn installed_folder(site: &Site<'_>) -> PathBuf {
    site.folder.join("installed")
}

/// What tells one way of building from another: all that is called, with all variables but `PATH`, by which the same
/// tools may be found from different shells.
pub(crate) fn key(setup: &[Setup], steps: &[Step]) -> String {
    let described: Vec<_> = steps
        .iter()
        .map(|step| {
            let call = &step.invocation;
            let args: Vec<&str> = call.args.iter().map(Word::value).collect();
            let env: BTreeMap<&str, &str> = call
                .env
                .iter()
                .filter(|(name, _)| *name != "PATH")
                .map(|(name, word)| (name.as_str(), word.value()))
                .collect();
            (call.program.clone(), args, env)
        })
        .collect();
    Digest::of(&canonical_json(&(setup, described))).to_string()
}

/// The compiler's own files: another one at the same place makes other binaries.
pub(crate) fn programs(site: &Site<'_>) -> Vec<PathBuf> {
    let commands = site.toolchain.tools.iter().filter_map(|tool| (site.found)(tool));
    commands.filter_map(|command| command.into_iter().next()).map(PathBuf::from).collect()
}
