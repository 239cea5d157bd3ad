//! `anyarch index`

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `anyarch index`
#[derive(Debug, Subcommand)]
pub enum Index {
    /// Put images that exist, wherever they are, under one index
    Create(IndexCreate),
}

/// `anyarch index create`
#[derive(Debug, Args)]
pub struct IndexCreate {
    /// Images or indexes: references, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or paths such as image.tar
    #[arg(value_name = "SRC", conflicts_with_all = ["from_spec", "template"])]
    pub sources: Vec<String>,
    /// Name the index, as registry.example.com/app:1.0 or oci:DIR:1.0; what it lacks of the sources is brought there
    #[arg(short, long = "tag", value_name = "REF")]
    pub tag: Vec<String>,
    /// Add the sources to what the first -t names now: each takes the place of the image that is there for its platform
    #[arg(long)]
    pub append: bool,
    /// Set an annotation of the index, or with manifest-descriptor:K=V and manifest-descriptor[linux/arm64]:K=V of its
    /// entries
    #[arg(long, value_name = "K=V")]
    pub annotation: Vec<String>,
    /// Put together what several machines pushed, whose results (anyarch build --push-by-digest) are in DIR, under the names
    /// that were given there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["sources", "from_spec", "template", "append", "annotation", "platform"])]
    pub from_results: Option<PathBuf>,
    /// Take the sources, and without -t the names, from a YAML file of manifest-tool
    #[arg(long, value_name = "FILE", conflicts_with = "template")]
    pub from_spec: Option<PathBuf>,
    /// Take a source for each --platform: OS, ARCH and VARIANT in 'registry.example.com/app:1.0-ARCHVARIANT' become its parts
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// Take these platforms alone of the sources, with commas between; all when left out
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Print the index on stdout, byte for byte, and write or push nothing
    #[arg(long, conflicts_with_all = ["json", "metadata_file"])]
    pub dry_run: bool,
    /// Write buildx's metadata of the published index to FILE
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// How many requests may be open at once at each registry; 4 when left out
    #[arg(long, value_name = "N")]
    pub push_jobs: Option<NonZeroUsize>,
    /// Speak http, or https without verification, to this registry
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}
