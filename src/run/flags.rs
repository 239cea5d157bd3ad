//! What the command line said, before it is laid over the configuration file.

use std::path::PathBuf;

use crate::shard::Shard;
use crate::verify::Policy;

use super::smoke::Asked;

/// Flags as they were typed; empty where nothing was.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Flags {
    /// the PATH arguments
    pub paths: Vec<String>,
    /// `--platform`
    pub platforms: Vec<String>,
    /// `--base`
    pub base: Option<String>,
    /// `--bin`
    pub bins: Vec<String>,
    /// `--bins`
    pub all_bins: bool,
    /// `--package`
    pub package: Option<String>,
    /// `--shard`
    pub shard: Option<Shard>,
    /// `--image`
    pub images: Vec<String>,
    /// `--one-image`
    pub one_image: bool,
    /// `--label`
    pub labels: Vec<String>,
    /// `--annotation`
    pub annotations: Vec<String>,
    /// `--jobs`
    pub jobs: Option<usize>,
    /// `--push-jobs`
    pub push_jobs: Option<usize>,
    /// `--skip-missing`
    pub skip_missing: bool,
    /// `--strict-platform`
    pub strict_platform: bool,
    /// `--ignore-onbuild`
    pub ignore_onbuild: bool,
    /// `--toolchain`
    pub toolchain_files: Vec<PathBuf>,
    /// `--toolchain-row`
    pub toolchain_row: Option<String>,
    /// `--allow-project-toolchains`
    pub allow_project_toolchains: bool,
    /// true where the plan is carried out, which pushes, and takes the layers of bases
    pub carries_out: bool,
    /// true where bases are read whose libc has to be known: `--resolve`, and wherever the plan is carried out
    pub resolve: bool,
    /// the line that was typed, without `--offline`
    pub again: String,
    /// `--insecure-registry`
    pub insecure_registries: Vec<String>,
    /// `--tag`
    pub tags: Vec<String>,
    /// `--push`
    pub push: bool,
    /// `--push-by-digest`
    pub push_by_digest: bool,
    /// `--results`
    pub results: Option<PathBuf>,
    /// `--load`
    pub load: bool,
    /// `--output`
    pub outputs: Vec<String>,
    /// `--json`: stdout is taken
    pub json: bool,
    /// `--install-missing`
    pub install_missing: bool,
    /// `--verify`
    pub verify: Option<Policy>,
    /// `--single-manifest`
    pub single_manifest: bool,
    /// `--smoke`
    pub smoke: Option<Asked>,
}
