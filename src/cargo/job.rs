//! Programs and targets become calls of cargo: one for all targets that can share it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::flags::{c_variables, capitals, in_order, rust_flags_variable, user_c_flags};
use super::library::pkg_config_variables;
use super::machine::TOOLCHAIN;
use super::{Binary, Features, Machine, Remap, UserFlags, Zig};
use crate::invocation::{Invocation, Word, quote};
use crate::platform::Platform;
use crate::sysroot::Sysroot;
use crate::toolchain::{Driver, Libc, Toolchain};

/// The first argument by which anyarch calls itself to run cargo with zig as compiler and linker.
pub const ZIGBUILD_COMMAND: &str = "__zigbuild";

/// A target to build for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// the platform
    pub platform: Platform,
    /// the Rust target
    pub triple: String,
    /// the row that was chosen
    pub toolchain: Toolchain,
    /// true when C is compiled for it
    pub c: bool,
    /// the user's Rust flags
    pub flags: UserFlags,
    /// headers and libraries of the platform
    pub sysroot: Option<Sysroot>,
}

impl Target {
    /// A target for what a toolchain row says; `None` when the row is not for Rust.
    #[must_use]
    pub fn new(platform: Platform, toolchain: Toolchain, c: bool, flags: UserFlags) -> Option<Self> {
        let triple = toolchain.target.clone()?;
        Some(Self { platform, triple, toolchain, c, flags, sysroot: None })
    }

    /// True when what is linked for both is linked alike.
    #[must_use]
    pub fn links_as(&self, other: &Self) -> bool {
        self.toolchain.name == other.toolchain.name
            && self.toolchain.libc == other.toolchain.libc
            && self.sysroot == other.sysroot
    }

    /// Platforms that differ in the processor alone have one triple, so they build in folders of their own.
    fn needs_folder(&self) -> bool {
        self.toolchain.shares_target
    }

    fn argument(&self) -> String {
        match &self.toolchain.libc {
            Some(Libc::Gnu(Some((major, minor)))) if self.toolchain.driver == Driver::Zigbuild => {
                format!("{}.{major}.{minor}", self.triple)
            }
            _ => self.triple.clone(),
        }
    }
}

/// Programs of one workspace, built with the same settings for some targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoJob {
    /// the folder that cargo runs in, whose configuration holds
    pub directory: PathBuf,
    /// the workspace's folder
    pub workspace_root: PathBuf,
    /// cargo's target folder; we build in `anyarch` below it
    pub target_directory: PathBuf,
    /// true when the configuration sets `build.build-dir`
    pub has_own_build_directory: bool,
    /// other folders of sources ([`Graph::source_folders`](super::Graph::source_folders))
    pub sources: Vec<(PathBuf, String)>,
    /// the programs
    pub binaries: Vec<Binary>,
    /// the features
    pub features: Features,
    /// `release` unless something else was asked for
    pub profile: String,
    /// overrides `strip` of the profile
    pub strip: Option<bool>,
    /// the toolchain that compiles the standard library too
    pub build_std: Option<String>,
    /// a folder below `anyarch`, where two platforms share a triple
    pub folder: Option<String>,
    /// the targets
    pub targets: Vec<Target>,
}

impl CargoJob {
    /// The calls that this takes, each with the targets that can share it: the same way to run cargo, the same folder,
    /// and Rust flags that can be told apart by target.
    #[must_use]
    pub fn split(mut self, machine: &Machine) -> Vec<Self> {
        let mut jobs: Vec<Self> = Vec::new();
        for target in std::mem::take(&mut self.targets) {
            let folder = target.needs_folder().then(|| target.platform.as_folder());
            let mut alone = Self { folder, targets: vec![target], ..self.clone() };
            if jobs.iter().any(|job| job.folder == alone.folder && job.has_triple_of(&alone)) {
                alone.folder = Some(alone.targets[0].platform.as_folder());
            }
            match jobs.iter_mut().find(|job| job.can_take(&alone, machine)) {
                Some(job) => job.targets.append(&mut alone.targets),
                None => jobs.push(alone),
            }
        }
        jobs
    }

    /// The folder that cargo builds in; a program is in `TRIPLE/PROFILE/NAME` below it.
    #[must_use]
    pub fn build_directory(&self) -> PathBuf {
        let directory = self.target_directory.join("anyarch");
        // Two compilers would take each other's programs for their own.
        let directory = self.build_std.iter().fold(directory, |directory, toolchain| directory.join(toolchain));
        self.folder.iter().fold(directory, |directory, folder| directory.join(folder))
    }

    /// The call of cargo. `environment` is what it will inherit: flags of the user's are taken from it.
    #[must_use]
    pub fn invocation(&self, machine: &Machine, environment: &dyn Fn(&str) -> Option<String>) -> Invocation {
        let zig = machine.zig.as_ref().filter(|_| self.driver() == Driver::Zigbuild);
        let mut call = match zig {
            Some(zig) => self.zig_call(machine, zig),
            None => Invocation::new("cargo", &self.directory).args(["build"]),
        };
        if let Some(toolchain) = &self.build_std {
            call = call.args(["-Zbuild-std=std,panic_unwind"]).env(TOOLCHAIN, toolchain.as_str());
        }
        call.args.extend(self.args().into_iter().map(Word::from));
        self.set_profile(&mut call);
        self.set_rust_flags(machine, &mut call);
        for target in &self.targets {
            let set = target.toolchain.env.iter().map(|(name, value)| (name.clone(), Word::from(value.clone())));
            call.env.extend(set);
            self.set_c_flags(target, machine, environment, &mut call);
            set_sysroot(target, &mut call);
            set_for_host(target, machine, environment, &mut call);
        }
        call
    }

    fn driver(&self) -> Driver {
        self.targets.first().map(|target| target.toolchain.driver).unwrap_or_default()
    }

    fn has_triple_of(&self, other: &Self) -> bool {
        self.targets.iter().any(|target| other.targets.iter().any(|other| other.triple == target.triple))
    }

    fn can_take(&self, other: &Self, machine: &Machine) -> bool {
        let encoded = |job: &Self| {
            let told_apart = job.targets.iter().all(|target| job.target_flags(target, machine).is_some());
            (!told_apart).then(|| job.encoded_flags(machine))
        };
        self.driver() == other.driver()
            && self.folder == other.folder
            && !self.has_triple_of(other)
            && encoded(self) == encoded(other)
    }

    fn args(&self) -> Vec<String> {
        let mut args: Vec<String> =
            ["--locked", "--keep-going", "--message-format=json-render-diagnostics"].map(str::to_owned).into();
        args.extend(["--profile".to_owned(), self.profile.clone()]);
        let mut packages: Vec<String> =
            self.binaries.iter().map(|binary| format!("{}@{}", binary.package, binary.version)).collect();
        let mut names: Vec<String> = self.binaries.iter().map(|binary| binary.name.clone()).collect();
        let mut targets: Vec<String> = self.targets.iter().map(Target::argument).collect();
        for (flag, values) in [("--package", &mut packages), ("--bin", &mut names), ("--target", &mut targets)] {
            values.sort();
            values.dedup();
            args.extend(values.drain(..).flat_map(|value| [flag.to_owned(), value]));
        }
        args.extend(self.features.args());
        args.extend(["--target-dir".to_owned(), self.build_directory().display().to_string()]);
        args
    }

    fn zig_call(&self, machine: &Machine, zig: &Zig) -> Invocation {
        let (program, args) = zig.command.split_first().map_or(("", [].as_slice()), |(program, args)| (program, args));
        let mut call = Invocation::new(&machine.anyarch.display().to_string(), &self.directory)
            .args([ZIGBUILD_COMMAND])
            .env("CARGO_ZIGBUILD_CACHE_DIR", zig.cache.display().to_string())
            .env("CARGO_ZIGBUILD_ZIG_COMMAND", program)
            .env("CARGO_ZIGBUILD_ZIG_COMMAND_ARGS", args.join(" "))
            .env("CARGO_ZIGBUILD_ZIG_VERSION", zig.version.as_str())
            .env("CARGO_ZIGBUILD_RUSTC_VERSION", machine.rustc.release.as_str());
        // cargo-zigbuild steps back where one of these is set, and then the plan would not tell the compiler.
        for target in &self.targets {
            let with_underscores = target.triple.replace(['-', '.'], "_");
            for tool in ["CC", "CXX", "AR", "RANLIB", "CMAKE_TOOLCHAIN_FILE"] {
                call.env_remove.insert(format!("{tool}_{}", target.triple));
                call.env_remove.insert(format!("{tool}_{with_underscores}"));
            }
            call.env_remove.insert(format!("CARGO_TARGET_{}_LINKER", capitals(&target.triple)));
        }
        call
    }

    fn set_profile(&self, call: &mut Invocation) {
        if let Some(strip) = self.strip {
            let profile = self.profile.to_uppercase().replace('-', "_");
            call.env.insert(format!("CARGO_PROFILE_{profile}_STRIP"), strip.to_string().into());
        }
        // Units of an incremental build are cut differently, and so is the program.
        call.env.insert("CARGO_INCREMENTAL".to_owned(), "0".into());
        if self.has_own_build_directory {
            let directory = self.build_directory().display().to_string();
            call.env.insert("CARGO_BUILD_BUILD_DIR".to_owned(), directory.into());
        }
    }

    /// The folders of this machine that no binary may name, and what stands for them there.
    #[must_use]
    pub fn remaps(&self, machine: &Machine) -> Vec<Remap> {
        let mut remaps = vec![
            Remap::new(&self.workspace_root, "/src"),
            Remap::new(&self.build_directory(), "/target"),
            Remap::new(&machine.cargo_home, "/cargo"),
        ];
        remaps.extend(self.sources.iter().map(|(from, to)| Remap::new(from, to)));
        in_order(remaps)
    }

    /// Where the component rust-src is installed, rustc names the standard library's sources there and not by the
    /// name that is in the precompiled library, so the same program would differ between machines.
    fn rust_source(machine: &Machine) -> Option<String> {
        let commit = machine.rustc.commit.as_ref()?;
        let from = machine.rustc.sysroot.join("lib/rustlib/src/rust");
        Some(Remap::new(&from, &format!("/rustc/{commit}")).rust_flag())
    }

    fn our_flags(&self, target: &Target, machine: &Machine) -> Vec<String> {
        let remaps = self.remaps(machine);
        let sysroot = target.sysroot.iter().flat_map(|sysroot| sysroot.link_flags(target.toolchain.brings_libc()));
        let sysroot = sysroot.map(|flag| format!("-Clink-arg={flag}"));
        let ours = target.toolchain.rustflags.iter().cloned().chain(sysroot);
        ours.chain(remaps.iter().map(Remap::rust_flag)).chain(Self::rust_source(machine)).collect()
    }

    fn target_flags(&self, target: &Target, machine: &Machine) -> Option<Word> {
        target.flags.as_target_variable(&self.our_flags(target, machine))
    }

    fn encoded_flags(&self, machine: &Machine) -> Option<Word> {
        let target = self.targets.first()?;
        Some(target.flags.as_encoded_variable(&self.our_flags(target, machine)))
    }

    fn set_rust_flags(&self, machine: &Machine, call: &mut Invocation) {
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
            call.env_remove.insert(name.to_owned());
        }
        let by_target: Option<BTreeMap<String, Word>> = self
            .targets
            .iter()
            .map(|target| Some((rust_flags_variable(&target.triple), self.target_flags(target, machine)?)))
            .collect();
        if let Some(by_target) = by_target {
            call.env.extend(by_target);
        } else if let Some(encoded) = self.encoded_flags(machine) {
            call.env_remove.remove("CARGO_ENCODED_RUSTFLAGS");
            call.env.insert("CARGO_ENCODED_RUSTFLAGS".to_owned(), encoded);
        }
    }

    fn set_c_flags(
        &self,
        target: &Target,
        machine: &Machine,
        environment: &dyn Fn(&str) -> Option<String>,
        call: &mut Invocation,
    ) {
        if !target.c && target.sysroot.is_none() {
            return;
        }
        let zig = machine.zig.as_ref().filter(|_| target.toolchain.driver == Driver::Zigbuild);
        let library = zig.and_then(|zig| zig.library.as_deref()).map(|library| Remap::new(library, "/zig"));
        let sysroot = target.sysroot.iter().map(|sysroot| Remap::new(&sysroot.folder, "/sysroot"));
        let remaps = in_order(self.remaps(machine).into_iter().chain(library).chain(sysroot).collect());
        for name in ["CFLAGS", "CXXFLAGS"] {
            let user = user_c_flags(name, &target.triple, &machine.rustc.host, environment);
            let asks_for_debug =
                user.as_ref().is_some_and(|(_, value)| value.split_whitespace().any(|flag| flag.starts_with("-g")));
            // The wrapper of cargo-zigbuild passes -g, and debug information names zig's cache.
            let no_debug = (zig.is_some() && !asks_for_debug).then(|| "-g0".to_owned());
            let of_sysroot = |sysroot: &Sysroot| sysroot.c_flags(target.toolchain.brings_libc(), name == "CXXFLAGS");
            let sysroot = target.sysroot.iter().flat_map(of_sysroot);
            let ours: Vec<String> = remaps.iter().map(Remap::c_flag).chain(no_debug).chain(sysroot).collect();
            let [with_hyphens, with_underscores, ..] = c_variables(name, &target.triple, &machine.rustc.host);
            // A shell cannot set a name with hyphens, and it would win over the other.
            if with_hyphens != with_underscores {
                call.env_remove.insert(with_hyphens);
            }
            let shell_words = ours.iter().any(|flag| flag.contains(char::is_whitespace));
            if shell_words {
                call.env.insert("CC_SHELL_ESCAPED_FLAGS".to_owned(), "1".into());
            }
            call.env.insert(with_underscores, c_flags(user, &ours, shell_words, environment));
        }
    }
}

/// The user's C flags and ours. The crate `cc` cuts them at spaces, or as a shell does when it is told to.
fn c_flags(
    user: Option<(String, String)>,
    ours: &[String],
    shell_words: bool,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Word {
    let join = |flags: &mut dyn Iterator<Item = &str>| -> String {
        let flags: Vec<String> = flags.map(|flag| if shell_words { quote(flag) } else { flag.to_owned() }).collect();
        flags.join(" ")
    };
    let already_shell_words = environment("CC_SHELL_ESCAPED_FLAGS").is_some();
    let user = user.filter(|(_, value)| !value.trim().is_empty()).map(|(name, value)| {
        let value = if already_shell_words { value } else { join(&mut value.split_whitespace()) };
        Word::hiding(value, format!("${name}"))
    });
    let ours = Word::from(join(&mut ours.iter().map(String::as_str)));
    Word::join(&user.into_iter().chain([ours]).collect::<Vec<_>>(), " ")
}

/// pkg-config answers for the sysroot, as the crate `pkg-config` asks it, and bindgen reads its headers.
fn set_sysroot(target: &Target, call: &mut Invocation) {
    let Some(sysroot) = &target.sysroot else { return };
    let triple = target.triple.replace(['-', '.'], "_");
    let told = sysroot.pkg_config().into_iter().chain([
        ("PKG_CONFIG_PATH", String::new()),
        ("PKG_CONFIG_ALLOW_CROSS", "1".to_owned()),
        ("BINDGEN_EXTRA_CLANG_ARGS", quote(&format!("--sysroot={}", sysroot.folder.display()))),
    ]);
    for (name, value) in told {
        call.env.insert(format!("{name}_{triple}"), value.into());
    }
}

/// With the host's own triple as a target, what is set for the target would also hold for build scripts, and the
/// libraries of this machine would be found where no other machine has them.
fn set_for_host(
    target: &Target,
    machine: &Machine,
    environment: &dyn Fn(&str) -> Option<String>,
    call: &mut Invocation,
) {
    if target.triple != machine.rustc.host {
        return;
    }
    let has_sysroot = target.sysroot.is_some();
    if !has_sysroot && !pkg_config_variables(&target.triple).iter().any(|name| environment(name).is_some()) {
        call.env.insert(format!("PKG_CONFIG_{}", target.triple.replace(['-', '.'], "_")), "false".into());
    }
    if target.toolchain.driver == Driver::Cargo && target.toolchain.libc == Some(Libc::Musl) {
        // A musl linker for programs makes no proc macros. cargo-zigbuild sets the same three: the setting is unstable,
        // and this is how a stable cargo takes it.
        call.env.insert("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS".to_owned(), "nightly".into());
        call.env.insert("CARGO_UNSTABLE_TARGET_APPLIES_TO_HOST".to_owned(), "true".into());
        call.env.insert("CARGO_TARGET_APPLIES_TO_HOST".to_owned(), "false".into());
    }
}

#[cfg(test)]
mod tests;
