//! A Meson project becomes a cross file and the calls that set it up, build it and install it, out of its own folder.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::workplace::{self, PREFIX, Parts};
use super::{CProgram, Executable, Recipe, Setup, Site, cmake, machine};
use crate::invocation::{Invocation, Joins, Step};

/// What is there once a build folder is set up.
const SET_UP: &str = ".anyarch-set-up";

/// How a Meson project is built.
pub(super) fn recipe(program: &CProgram, site: &Site<'_>) -> Recipe {
    let build = site.build_folder();
    let folder = build.display().to_string();
    let cross = site.folder.join("cross.ini");
    let variables = workplace::variables(program, site);
    let call = || workplace::call(site, "meson", &program.directory, &variables);

    let mut setup = call().args(["setup".to_owned(), "--cross-file".to_owned(), cross.display().to_string()]);
    // Subprojects would be downloaded into the project, which is read only.
    setup = setup.args(["--buildtype=release", "--wrap-mode=nodownload"]).args([format!("--prefix={PREFIX}")]);
    if site.toolchain.static_binary {
        setup = setup.args(["-Ddefault_library=static", "-Dprefer_static=true"]);
    }
    setup = setup.args(program.args.iter().cloned()).args([folder.clone(), ".".to_owned()]);

    let mut compile = call().args(["compile".to_owned(), "-C".to_owned(), folder.clone()]);
    if let Some(target) = program.target.as_ref().filter(|_| !program.install) {
        compile = compile.args([target]);
    }
    let mut steps =
        vec![Step::new(setup, Joins::Alone).once(build.join(SET_UP)), Step::new(compile, Joins::LastArgument)];
    if program.install {
        let destination = workplace::installed_folder(site).display().to_string();
        let install = call().args(["install".to_owned(), "-C".to_owned(), folder, "--no-rebuild".to_owned()]);
        steps.push(Step::new(install.args(["--destdir".to_owned(), destination]), Joins::Alone));
    }
    let files = vec![Setup::File { path: cross, text: cross_file(program, site), executable: false }];
    let inside = cmake::absent(program, &build).into_iter().collect();
    workplace::recipe(program, site, Parts { files, inside, steps, tools: &["meson", "ninja"] })
}

/// What Meson has to be told of the platform, see <https://mesonbuild.com/Machine-files.html>. A program that is not
/// named here is not looked for on this machine.
fn cross_file(program: &CProgram, site: &Site<'_>) -> String {
    let mut text = String::from("# Written by anyarch, and written again when anything here changes.\n[binaries]\n");
    let names = site.tool_paths();
    let mut set = |name: &str, value: &str| {
        // A text can be written to.
        let _ = writeln!(text, "{name} = {value}");
    };
    for (name, tool) in [("c", "cc"), ("cpp", "c++"), ("ar", "ar"), ("ranlib", "ranlib"), ("strip", "strip")] {
        if let Some(path) = names.get(tool) {
            set(name, &quote(&path.display().to_string()));
        }
    }
    // The name since Meson 1.3, and the one before.
    set("pkg-config", "'pkg-config'");
    set("pkgconfig", "'pkg-config'");
    set("\n[host_machine]\nsystem", "'linux'");
    set("cpu_family", &quote(machine::family(site.platform)));
    set("cpu", &quote(machine::processor(site.platform)));
    set("endian", &quote(machine::endian(site.platform)));
    // What was built is never started, whatever this machine could start.
    set("\n[properties]\nneeds_exe_wrapper", "true");
    match &program.settings.sysroot {
        Some(sysroot) => {
            let folders: Vec<String> =
                sysroot.package_folders().iter().map(|folder| quote(&folder.display().to_string())).collect();
            set("sys_root", &quote(&sysroot.folder.display().to_string()));
            set("pkg_config_libdir", &format!("[{}]", folders.join(", ")));
        }
        None => set("pkg_config_libdir", &quote(&site.scripts_folder().join("no-packages").display().to_string())),
    }
    text
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The call that reads the project's description again, in a folder that is set up.
#[must_use]
pub fn set_up_again(set_up: &Invocation) -> Invocation {
    let mut again = set_up.clone();
    // Behind `setup`.
    again.args.insert(1, "--reconfigure".into());
    again
}

/// The call that tells what is built, after the set-up.
#[must_use]
pub fn targets_call(set_up: &Invocation, build: &Path) -> Invocation {
    let args = ["introspect".into(), "--targets".into(), build.display().to_string().into()];
    Invocation { args: args.to_vec(), ..set_up.clone() }
}

#[derive(Deserialize)]
struct Target {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    filename: Vec<String>,
    #[serde(default)]
    install_filename: Vec<String>,
    #[serde(default)]
    build_by_default: bool,
    subproject: Option<String>,
}

/// The executables in what `meson introspect --targets` printed.
///
/// # Errors
/// When it is not what Meson prints.
pub fn read_targets(printed: &[u8], build: &Path) -> Result<Vec<Executable>, serde_json::Error> {
    let targets: Vec<Target> = serde_json::from_slice(printed)?;
    let executable = |target: Target| {
        let file = target.filename.first()?;
        let output =
            Path::new(file).strip_prefix(build).map_or_else(|_| file.clone(), |path| path.display().to_string());
        let installed = target.install_filename.first().map(|path| path.trim_start_matches('/').to_owned());
        Some(Executable {
            output,
            installed,
            // Those of a subproject are not what the project is about.
            by_default: target.build_by_default && target.subproject.is_none(),
            name: target.name,
        })
    };
    Ok(targets.into_iter().filter(|target| target.kind == "executable").filter_map(executable).collect())
}
