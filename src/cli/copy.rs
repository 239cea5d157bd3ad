//! `anyarch copy`.

use std::num::NonZeroUsize;

use clap::Args;

/// `anyarch copy`
#[derive(Debug, Args)]
pub struct Copy {
    /// The image: a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or a path such as image.tar
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Where it goes: a reference, `oci:DIR[:TAG]`, beside the images that are there, or `oci-archive:FILE[:TAG]`
    #[arg(value_name = "DST")]
    pub destination: String,
    /// Copy these platforms alone, with commas between: one as the manifest that it is, several in a new index with what
    /// is said about them; all, and everything else that the image has, when left out
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Take it for an error when what arrives would have other digests than what is copied
    #[arg(long)]
    pub preserve_digests: bool,
    /// How many requests may be open at once at the destination; 4 when left out
    #[arg(long, value_name = "N")]
    pub push_jobs: Option<NonZeroUsize>,
    /// Speak http, or https without verification, to this registry
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// Ask no registry: what is not in the cache is an error
    #[arg(long)]
    pub offline: bool,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}
