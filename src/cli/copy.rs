//! `anyarch copy`.

use std::num::NonZeroUsize;

use clap::Args;

/// `anyarch copy`
#[derive(Debug, Args)]
pub struct Copy {
    /// The image: a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or a path such as image.tar
    #[arg(value_name = "SRC", required_unless_present = "all_bases")]
    pub source: Option<String>,
    /// Where it goes: a reference; `oci:DIR[:TAG]`, beside the images that are there; `oci-archive:FILE[:TAG]`; one platform
    /// to `docker-archive:FILE[:NAME]`
    #[arg(value_name = "DST", required_unless_present = "all_bases")]
    pub destination: Option<String>,
    /// Copy these platforms alone, with commas between: one as the manifest that it is, several in a new index with what
    /// is said about them; all, and everything else that the image has, when left out
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Copy every base in a registry that the project in this folder names below PREFIX (mirror.lan:5000/bases), and print
    /// the lines for anyarch.toml, or your own registries.toml, that have builds read them there
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["source", "destination", "platform"])]
    pub all_bases: Option<String>,
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
