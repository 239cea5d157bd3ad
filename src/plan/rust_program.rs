//! What a Rust program is on one platform, and what it asks of a toolchain.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cargo::{Binary, CargoJob, Features, UserFlags};
use crate::invocation::Word;
use crate::platform::Platform;
use crate::sysroot::Sysroot;
use crate::toolchain::{Language, Libc, Request};

/// A Rust program with all that its settings and its workspace say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RustProgram {
    /// the program
    pub binary: Binary,
    /// the workspace's folder
    pub workspace_root: PathBuf,
    /// cargo's target folder
    pub target_directory: PathBuf,
    /// true when the configuration sets `build.build-dir`
    pub has_own_build_directory: bool,
    /// other folders of sources
    pub sources: Vec<(PathBuf, String)>,
    /// the features
    pub features: Features,
    /// the profile
    pub profile: String,
    /// overrides `strip` of the profile
    pub strip: Option<bool>,
    /// the libc that was asked for
    pub libc: Option<Libc>,
    /// the toolchain row that was asked for
    pub row: Option<String>,
    /// the dependency whose C has to be compiled, if there is one
    pub c: Option<String>,
    /// the user's Rust flags for the target
    pub flags: UserFlags,
    /// headers and libraries of the platform
    pub sysroot: Option<Sysroot>,
    /// the toolchain that compiles the standard library too
    pub build_std: Option<String>,
    /// variables for the compiler
    pub env: BTreeMap<String, Word>,
}

impl RustProgram {
    /// What it asks of a toolchain.
    #[must_use]
    pub fn request(&self, platform: Platform) -> Request {
        // The precompiled standard library brings the start files of musl; one that is compiled here needs a C compiler's.
        let c = self.c.is_some() || self.build_std.is_some();
        Request {
            language: Language::Rust,
            platform,
            libc: self.libc.or_else(|| self.sysroot.as_ref().and_then(Sysroot::libc)),
            c,
            row: self.row.clone(),
            sysroot: self.sysroot.as_ref().is_some_and(|sysroot| sysroot.serves(self.libc)),
        }
    }

    /// True when one call of cargo can build both.
    #[must_use]
    pub fn shares_call_with(&self, other: &Self) -> bool {
        self.workspace_root == other.workspace_root
            && self.features == other.features
            && self.profile == other.profile
            && self.strip == other.strip
            && self.build_std == other.build_std
            && self.env == other.env
    }

    /// A call of cargo without any program or target yet.
    #[must_use]
    pub fn job(&self) -> CargoJob {
        CargoJob {
            directory: self.workspace_root.clone(),
            workspace_root: self.workspace_root.clone(),
            target_directory: self.target_directory.clone(),
            has_own_build_directory: self.has_own_build_directory,
            sources: self.sources.clone(),
            binaries: Vec::new(),
            features: self.features.clone(),
            profile: self.profile.clone(),
            strip: self.strip,
            build_std: self.build_std.clone(),
            folder: None,
            targets: Vec::new(),
        }
    }

    /// The folder that cargo names after the profile.
    #[must_use]
    pub fn profile_folder(&self) -> &str {
        if self.profile == "dev" { "debug" } else { &self.profile }
    }
}
