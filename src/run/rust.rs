//! What cargo says about a project, asked once each: workspaces, dependency graphs, flags, rustc, zig.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use fs_err as fs;

use crate::c_program::Found;
use crate::cargo::{
    self, Binary, CargoError, Choice, CrateRow, Features, Graph, Machine, Rustc, UserFlags, Workspace, Zig,
};
use crate::cargo_flags::CargoConfig;
use crate::config::ProgramSettings;
use crate::config::values::BuildStd;
use crate::exec::Children;
use crate::invocation::{Invocation, Word};
use crate::plan::{Context, RustProgram};
use crate::platform::Platform;
use crate::sysroot::Sysroot;
use crate::toolchain::{Driver, Libc, Request, Tool, Toolchains};
use crate::{host, zigbuild};

use super::error::Error;

/// Cargo's answers.
pub struct Workspaces {
    children: Children,
    cache: PathBuf,
    read: BTreeMap<PathBuf, Rc<Workspace>>,
    graphs: BTreeMap<(String, String, Vec<String>), Rc<Graph>>,
    configs: BTreeMap<PathBuf, Rc<CargoConfig>>,
    rows: Vec<CrateRow>,
    /// the first workspace and, when a toolchain needs it, the row of zig
    used: Option<(PathBuf, Option<Tool>)>,
    /// toolchains that compile the standard library too
    nightlies: BTreeSet<String>,
}

/// What is said of a program beside what only cargo has to know.
pub struct Wishes {
    /// the toolchain row
    pub row: Option<String>,
    /// the libc; `None` for whichever gives a static binary
    pub libc: Option<Libc>,
    /// true while the libc is not known, nor the Rust target that goes with it
    pub is_open: bool,
    /// variables for the compiler
    pub env: BTreeMap<String, Word>,
    /// headers and libraries of the platform
    pub sysroot: Option<Sysroot>,
}

impl Workspaces {
    /// Nothing was asked yet. `cache` is our cache folder, where zig's wrappers go.
    ///
    /// # Errors
    /// Never in a build whose tests passed: our own rows cannot be read.
    pub fn new(children: Children, cache: &Path) -> Result<Self, Error> {
        Ok(Self {
            children,
            cache: cache.to_owned(),
            read: BTreeMap::new(),
            graphs: BTreeMap::new(),
            configs: BTreeMap::new(),
            rows: cargo::crate_rows().map_err(|source| Error::CrateRows(Box::new(source)))?,
            used: None,
            nightlies: BTreeSet::new(),
        })
    }

    fn ask(&self, call: &Invocation) -> Result<Result<String, String>, Error> {
        let finished = self.children.ask(call)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if finished.status.success() { Ok(text(&finished.stdout)) } else { Err(text(&finished.stderr)) })
    }

    fn workspace(&mut self, directory: &Path) -> Result<Rc<Workspace>, Error> {
        if let Some(known) = self.read.get(directory) {
            return Ok(known.clone());
        }
        let call = cargo::workspace_invocation(directory);
        let json =
            self.ask(&call)?.map_err(|output| CargoError::from_failed_metadata(directory, directory, &output))?;
        let workspace = Rc::new(Workspace::read(&json)?);
        self.read.insert(directory.to_owned(), workspace.clone());
        Ok(workspace)
    }

    /// The programs that `choice` means in `directory`.
    ///
    /// # Errors
    /// When there is none, or several and no choice.
    pub fn binaries(&mut self, directory: &Path, choice: &Choice) -> Result<Vec<Binary>, Error> {
        let directory = fs::canonicalize(directory).map_err(|_| Error::NoPath { path: directory.to_owned() })?;
        Ok(self.workspace(&directory)?.binaries(&directory, choice)?)
    }

    fn graph(&mut self, root: &Path, binary: &Binary, triple: &str, features: &Features) -> Result<Rc<Graph>, Error> {
        let key = (binary.package_id.clone(), triple.to_owned(), features.args());
        if let Some(known) = self.graphs.get(&key) {
            return Ok(known.clone());
        }
        let call = cargo::graph_invocation(root, binary, triple, features);
        let json = self.ask(&call)?.map_err(|output| CargoError::from_failed_metadata(root, root, &output))?;
        let graph = Rc::new(Graph::read(&json)?);
        self.graphs.insert(key, graph.clone());
        Ok(graph)
    }

    fn config(&mut self, directory: &Path) -> Result<Rc<CargoConfig>, Error> {
        if let Some(known) = self.configs.get(directory) {
            return Ok(known.clone());
        }
        let config = Rc::new(CargoConfig::load(directory, std::env::vars_os())?);
        self.configs.insert(directory.to_owned(), config.clone());
        Ok(config)
    }

    /// A program on one platform, with what its workspace says.
    ///
    /// # Errors
    /// When cargo cannot resolve it, or it wants a C library that is not there.
    pub fn program(
        &mut self,
        toolchains: &Toolchains,
        binary: &Binary,
        platform: Platform,
        settings: &ProgramSettings,
        wishes: Wishes,
    ) -> Result<RustProgram, Error> {
        let folder = binary.manifest.parent().unwrap_or(Path::new("/")).to_owned();
        let workspace = self.workspace(&folder)?;
        let root = workspace.root().to_owned();
        let features = features_of(settings);
        let mut program = RustProgram {
            binary: binary.clone(),
            target_directory: workspace.target_directory().to_owned(),
            has_own_build_directory: workspace.has_own_build_directory(),
            workspace_root: root.clone(),
            sources: Vec::new(),
            features,
            profile: settings
                .profile
                .as_ref()
                .map_or_else(|| "release".to_owned(), |profile| profile.get_ref().clone()),
            strip: settings.strip.as_ref().map(|strip| *strip.get_ref()),
            libc: wishes.libc,
            row: wishes.row,
            c: None,
            flags: UserFlags::default(),
            sysroot: wishes.sysroot,
            build_std: settings.build_std.as_ref().and_then(|build_std| match build_std.get_ref() {
                BuildStd::By(toolchain) => Some(toolchain.clone()),
                BuildStd::No => None,
            }),
            env: wishes.env,
        };
        if wishes.is_open {
            return Ok(program);
        }
        self.nightlies.extend(program.build_std.clone());
        self.resolve(toolchains, &mut program, platform, settings.c.as_ref().map(|c| *c.get_ref()))?;
        Ok(program)
    }

    /// Fills in what depends on the target. Where no toolchain fits, that is for the plan to say.
    fn resolve(
        &mut self,
        toolchains: &Toolchains,
        program: &mut RustProgram,
        platform: Platform,
        c: Option<bool>,
    ) -> Result<(), Error> {
        let root = program.workspace_root.clone();
        let used = self.used.get_or_insert((root.clone(), None)).clone();
        let without_c = Request { c: false, ..program.request(platform) };
        let Some(triple) = toolchains.select(&without_c).ok().and_then(|toolchain| toolchain.target) else {
            return Ok(());
        };
        let graph = self.graph(&root, &program.binary, &triple, &program.features)?;
        program.sources = graph.source_folders();
        program.c = match c {
            Some(false) => None,
            Some(true) => Some("c = true".to_owned()),
            None => graph.c_dependency(&program.binary.package_id).map(|path| path.to_string()),
        };
        let is_set = |name: &str| std::env::var_os(name).is_some() || program.env.contains_key(name);
        if program.sysroot.is_none()
            && let Some(missing) = graph.missing_library(&program.binary.package_id, &triple, &self.rows, &is_set)
        {
            return Err(missing.into());
        }
        program.flags = self.config(&root)?.user_flags(&triple)?;
        if used.1.is_none()
            && let Ok(toolchain) = toolchains.select(&program.request(platform))
            && toolchain.driver == Driver::Zigbuild
        {
            self.used = Some((used.0, toolchain.tools.into_iter().find(|tool| tool.name == "zig")));
        }
        Ok(())
    }

    /// What a plan has to know of this machine.
    ///
    /// # Errors
    /// When rustc cannot be asked.
    pub fn context<'context>(
        &mut self,
        environment: &'context dyn Fn(&str) -> Option<String>,
        found: Found<'context>,
    ) -> Result<Context<'context>, Error> {
        let Some((root, zig)) = self.used.clone() else { return Ok(Context { machine: None, environment, found }) };
        let config = self.config(&root)?;
        let [version, sysroot] = Rustc::invocations(&config.rustc(), &root, None);
        let failed = |output: String| host::HostError::Sysroot { output: output.trim().to_owned() };
        let rustc = Rustc::read(&self.ask(&version)?.map_err(failed)?, &self.ask(&sysroot)?.map_err(failed)?)?;
        let nightlies = self
            .nightlies
            .iter()
            .map(|toolchain| Ok((toolchain.clone(), self.nightly(toolchain, &config.rustc(), &root)?)))
            .collect::<Result<_, Error>>()?;
        let anyarch = std::env::current_exe().map_err(|source| Error::Read { path: "anyarch".into(), source })?;
        let zig = zig.and_then(|tool| self.zig(&tool, &root));
        Ok(Context {
            machine: Some(Machine { rustc, cargo_home: config.cargo_home().to_owned(), anyarch, zig, nightlies }),
            environment,
            found,
        })
    }

    /// The compiler of a toolchain that has the sources of the standard library.
    fn nightly(&self, toolchain: &str, rustc: &[String], root: &Path) -> Result<Rustc, Error> {
        let [version, sysroot] = Rustc::invocations(rustc, root, Some(toolchain));
        let missing = |output: String| {
            let (toolchain, output) = (toolchain.to_owned(), output.trim().to_owned());
            host::HostError::Nightly { toolchain, output, rustup: which::which("rustup").is_ok() }
        };
        let rustc = Rustc::read(&self.ask(&version)?.map_err(missing)?, &self.ask(&sysroot)?.map_err(missing)?)?;
        // Without rustup nobody heeds the name of the toolchain.
        if !rustc.release.contains("nightly") {
            return Err(missing(format!("what answers is rustc {}", rustc.release)).into());
        }
        let folder = rustc.sysroot.join("lib/rustlib/src/rust/library/std");
        if !folder.is_dir() {
            return Err(host::HostError::RustSource { toolchain: toolchain.to_owned(), folder }.into());
        }
        Ok(rustc)
    }

    /// The zig that is there; when none is, the check of the machine says so.
    fn zig(&self, tool: &Tool, root: &Path) -> Option<Zig> {
        let found = host::find_with_version(tool)?;
        let (program, args) = found.command.split_first()?;
        let path = which::which(program).ok()?;
        let call = Invocation::new(program, root).args(args.iter().map(String::as_str)).args(["env"]);
        let said = self.ask(&call).ok()?.ok()?;
        let library = said.lines().find_map(|line| {
            let (_, value) = line.split_once("lib_dir")?;
            let (_, value) = value.split_once('=').or_else(|| value.split_once(':'))?;
            Some(PathBuf::from(value.trim().trim_matches([',', '"', ' '])))
        });
        let command: Vec<String> = [path.display().to_string()].into_iter().chain(args.iter().cloned()).collect();
        let anyarch = std::env::current_exe().ok()?;
        let cache = zigbuild::wrapper_directory(&self.cache, &anyarch, &command, &found.version);
        Some(Zig { command, version: found.version, library, cache })
    }
}

/// The features that a table asks for.
#[must_use]
pub fn features_of(settings: &ProgramSettings) -> Features {
    let names = settings.features.iter().flat_map(|list| list.get_ref().iter()).map(|name| name.get_ref().clone());
    let is = |value: &Option<toml::Spanned<bool>>| value.as_ref().is_some_and(|value| *value.get_ref());
    Features { names: names.collect(), all: is(&settings.all_features), no_default: is(&settings.no_default_features) }
}
