//! A `CMake` project becomes a toolchain file and the calls that configure, build and install it, out of its own folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::workplace::{self, PREFIX, Parts};
use super::{CProgram, Recipe, Setup, Site, machine};
use crate::invocation::{Invocation, Joins, Step, Word};

/// Where a client asks `CMake` for what it knows of the project, below the build folder; see cmake-file-api(7).
const QUERY: &str = ".cmake/api/v1/query/client-anyarch/codemodel-v2";
/// Languages whose compilers a toolchain file can name by ours.
const LANGUAGES: [(&str, &str); 2] = [("C", "cc"), ("CXX", "c++")];

/// How a `CMake` project is built. The generator is Makefiles, whatever is installed, unless the arguments name one.
pub(super) fn recipe(program: &CProgram, site: &Site<'_>) -> Recipe {
    let build = site.build_folder();
    let variables = workplace::variables(program, site);
    let configuration = configuration(program);
    let args: Vec<&str> = program.args.iter().map(Word::value).collect();
    let generator = generator(&args);

    let configure = configure(program, site, &variables, generator.is_none());
    let ninja = generator.is_some_and(|generator| generator.starts_with("Ninja"));
    let mut call = workplace::call(site, "cmake", &program.directory, &variables).args([
        "--build".to_owned(),
        build.display().to_string(),
        "--config".to_owned(),
        configuration.clone(),
    ]);
    // What is installed is all that the project builds.
    if let Some(target) = program.target.as_ref().filter(|_| !program.install) {
        call = call.args(["--target", target]);
    }
    let joins = if ninja { Joins::LastArgument } else { Joins::Jobserver };
    let mut steps = vec![Step::new(configure, Joins::Alone), Step::new(call, joins)];
    if program.install {
        let destination = workplace::installed_folder(site).display().to_string();
        let variables = variables.into_iter().chain([("DESTDIR".to_owned(), destination.into())]).collect();
        let call = workplace::call(site, "cmake", &program.directory, &variables).args([
            "--install".to_owned(),
            build.display().to_string(),
            "--config".to_owned(),
            configuration,
        ]);
        steps.push(Step::new(call, Joins::Alone));
    }
    let mut inside = vec![Setup::File { path: build.join(QUERY), text: String::new(), executable: false }];
    inside.extend(absent(program, &build));
    let files =
        vec![Setup::File { path: toolchain_path(site), text: toolchain_file(program, site), executable: false }];
    let tools: &[&str] = if ninja { &["cmake", "ninja"] } else { &["cmake", "make"] };
    workplace::recipe(program, site, Parts { files, inside, steps, tools })
}

/// The call that configures. What the arguments say comes last, where it wins.
fn configure(program: &CProgram, site: &Site<'_>, variables: &BTreeMap<String, Word>, makefiles: bool) -> Invocation {
    let mut call = workplace::call(site, "cmake", &program.directory, variables).args([
        "-S".to_owned(),
        ".".to_owned(),
        "-B".to_owned(),
        site.build_folder().display().to_string(),
    ]);
    if makefiles {
        call = call.args(["-G", "Unix Makefiles"]);
    }
    call = call
        .args([format!("-DCMAKE_TOOLCHAIN_FILE={}", toolchain_path(site).display())])
        .args(["-DCMAKE_BUILD_TYPE=Release".to_owned(), format!("-DCMAKE_INSTALL_PREFIX={PREFIX}")])
        // Nothing starts from the build folder, whose path would be in the binary.
        .args(["-DCMAKE_SKIP_BUILD_RPATH=ON"]);
    if site.toolchain.static_binary {
        call = call.args(["-DBUILD_SHARED_LIBS=OFF"]);
    }
    let libraries: Vec<String> = program.settings.libs.iter().map(|library| format!("-l{library}")).collect();
    for (language, flags) in [("C", "CFLAGS"), ("CXX", "CXXFLAGS")] {
        // CMake puts those of a build type behind the user's, where they would win.
        if workplace::optimizes(variables.get(flags)) {
            call = call.args([format!("-DCMAKE_{language}_FLAGS_RELEASE=-DNDEBUG")]);
        }
        if !libraries.is_empty() {
            call = call.args([format!("-DCMAKE_{language}_STANDARD_LIBRARIES={}", libraries.join(" "))]);
        }
    }
    call.args(program.args.iter().cloned())
}

fn toolchain_path(site: &Site<'_>) -> PathBuf {
    site.folder.join("toolchain.cmake")
}

/// A binary whose path was only said may be one that the project no longer makes: it has to be made anew to count.
pub(super) fn absent(program: &CProgram, build: &Path) -> Option<Setup> {
    let output = program.output.as_ref().filter(|_| program.target.is_none() && !program.install)?;
    Some(Setup::NoFile { path: build.join(output) })
}

/// The generator that the arguments name: `-G Ninja`, `-GNinja`.
fn generator<'arg>(args: &[&'arg str]) -> Option<&'arg str> {
    let position = args.iter().rposition(|arg| arg.starts_with("-G"))?;
    match args[position].strip_prefix("-G") {
        Some("") => args.get(position + 1).copied(),
        named => named,
    }
}

/// The build type: that of the arguments, else `Release`.
#[must_use]
pub(super) fn configuration(program: &CProgram) -> String {
    let of = |arg: &str| {
        let definition = arg.strip_prefix("-D").unwrap_or(arg);
        let (name, value) = definition.split_once('=')?;
        (name == "CMAKE_BUILD_TYPE" || name.starts_with("CMAKE_BUILD_TYPE:")).then(|| value.to_owned())
    };
    program.args.iter().rev().find_map(|arg| of(arg.value())).unwrap_or_else(|| "Release".to_owned())
}

/// What `CMake` has to be told of the platform; see cmake-toolchains(7).
fn toolchain_file(program: &CProgram, site: &Site<'_>) -> String {
    let mut text = String::from("# Written by anyarch, and written again when anything here changes.\n");
    let mut set = |name: &str, values: &[String]| {
        let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
        // A text can be written to.
        let _ = writeln!(text, "set({name} {})", values.join(" "));
    };
    let plain = |value: &str| vec![value.to_owned()];
    set("CMAKE_SYSTEM_NAME", &plain("Linux"));
    set("CMAKE_SYSTEM_PROCESSOR", &plain(machine::processor(site.platform)));
    let names: BTreeMap<&str, PathBuf> = site.tool_paths();
    for (language, tool) in LANGUAGES {
        set(
            &format!("CMAKE_{language}_COMPILER"),
            &names.get(tool).map(|path| path.display().to_string()).into_iter().collect::<Vec<_>>(),
        );
    }
    for (variable, tool) in [("CMAKE_AR", "ar"), ("CMAKE_RANLIB", "ranlib"), ("CMAKE_STRIP", "strip")] {
        if let Some(path) = names.get(tool) {
            set(variable, &[path.display().to_string()]);
        }
    }
    let sysroot = program.settings.sysroot.as_ref();
    // Where it is empty, CMake looks in the folders of this machine after all.
    let root = sysroot.map_or_else(|| site.scripts_folder().join("no-packages"), |sysroot| sysroot.folder.clone());
    // What the project itself brings is not of this machine.
    let roots = [root, program.directory.clone(), site.build_folder()];
    set("CMAKE_FIND_ROOT_PATH", &roots.map(|path| path.display().to_string()));
    set("CMAKE_FIND_ROOT_PATH_MODE_PROGRAM", &plain("NEVER"));
    for kind in ["LIBRARY", "INCLUDE", "PACKAGE"] {
        set(&format!("CMAKE_FIND_ROOT_PATH_MODE_{kind}"), &plain("ONLY"));
    }
    if let Some(triplet) = sysroot.and_then(|sysroot| sysroot.triplet.as_ref()) {
        set("CMAKE_LIBRARY_ARCHITECTURE", std::slice::from_ref(triplet));
        set("CMAKE_LIBRARY_PATH", &[format!("/usr/lib/{triplet}"), format!("/lib/{triplet}")]);
        set("CMAKE_INCLUDE_PATH", &[format!("/usr/include/{triplet}")]);
        set("CMAKE_PREFIX_PATH", &[format!("/usr/lib/{triplet}/cmake")]);
    }
    text
}

/// A text as one argument of a `CMake` command, see cmake-language(7).
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"))
}
