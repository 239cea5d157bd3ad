//! A base of one small layer a platform, for tests of what moves and from where, not of what is in it.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::layout::{self, Image, Tree};
use super::process;

/// The platforms that it has.
pub const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Copies the base, which holds the file `etc/mark` with that text, to `reference` by skopeo. `certificates` is a folder
/// with what TLS needs.
pub fn push(reference: &str, mark: &str, certificates: Option<&Path>) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut tree = Tree::default();
    tree.directory("etc", 0o755);
    tree.file("etc/mark", 0o644, mark);
    let image = |platform: &str| Image {
        platform: platform.parse().expect("the table holds platforms"),
        layers: vec![tree.clone()],
        config: json!({"Env": ["PATH=/bin"]}),
    };
    layout::write(folder.path(), "base", &PLATFORMS.map(image));
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--all", "--dest-tls-verify=false"]);
    if let Some(certificates) = certificates {
        skopeo.arg("--dest-cert-dir").arg(certificates);
    }
    skopeo.arg(format!("oci:{}:base", folder.path().display())).arg(format!("docker://{reference}"));
    process::succeed(&mut skopeo);
}
