//! `anyarch inspect`

use clap::Args;

/// `anyarch inspect`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Inspect {
    /// The image: a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or a path
    /// such as image.tar
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Look at these platforms alone, with commas between; all that the image has when left out
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Print the index, or with --platform that platform's manifest, byte for byte
    #[arg(long, conflicts_with_all = ["config", "json", "format"])]
    pub raw: bool,
    /// Print the config of the image byte for byte; of several platforms each on its own line
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub config: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Print what a template makes of what --json prints, as '{{ digest }}' or '{{ images | tojson }}'
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,
    /// Speak http, or https without verification, to this registry
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// Ask no registry: what is not in the cache is an error
    #[arg(long)]
    pub offline: bool,
}
