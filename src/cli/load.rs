//! `anyarch load`

use clap::Args;

/// `anyarch load`
#[derive(Debug, Args)]
pub struct Load {
    /// The image: a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or a path such as
    /// image.tar
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The platform; this machine's when left out
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// What it is called there; as it is called now when left out
    #[arg(short, long = "tag", value_name = "REF")]
    pub tag: Vec<String>,
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
