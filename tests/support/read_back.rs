//! Reads an image back as other programs do: skopeo copies one platform of it, tar lists its layers.

use std::fs;
use std::process::Command;

use anyarch::platform::Platform;
use serde_json::Value;

use super::process;

/// One platform's image.
pub struct Image {
    /// its manifest
    pub manifest: Value,
    /// its config, whole
    pub config: Value,
    /// what each of its layers holds, as `tar -tv` lists it without sizes and dates: mode, owner, path
    pub layers: Vec<Vec<String>>,
}

impl Image {
    /// Reads the image of `platform` that `source` (`oci:FOLDER:TAG`, `docker://...`) holds.
    ///
    /// # Panics
    /// When skopeo or tar cannot read it.
    pub fn read(source: &str, platform: &str) -> Self {
        let platform: Platform = platform.parse().expect("a test names a known platform");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--override-os", &platform.os().to_string()]);
        skopeo.args(["--override-arch", &platform.architecture().to_string()]);
        if let Some(variant) = platform.variant() {
            skopeo.args(["--override-variant", &variant.to_string()]);
        }
        skopeo.args(["copy", "--quiet", "--src-tls-verify=false", source]);
        process::succeed(skopeo.arg(format!("dir:{}", folder.path().display())));
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
            folder.path().join(digest.trim_start_matches("sha256:"))
        };
        let json = |path| -> Value {
            let bytes = fs::read(path).expect("skopeo wrote the document");
            serde_json::from_slice(&bytes).expect("a document of an image is JSON")
        };
        let manifest = json(folder.path().join("manifest.json"));
        let layers = manifest["layers"].as_array().expect("a manifest has layers");
        let list = |layer| {
            let mut tar = Command::new("tar");
            let text = process::text(
                tar.args(["--numeric-owner", "-tvzf"]).arg(blob(layer)).env("TZ", "UTC").env("LC_ALL", "C"),
            );
            let shortened = |line: &str| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                assert_eq!(fields[3..5], ["1970-01-01", "00:00"], "{line}");
                format!("{} {} {}", fields[0], fields[1], fields[5..].join(" "))
            };
            text.lines().map(shortened).collect()
        };
        let layers = layers.iter().map(list).collect();
        Self { config: json(blob(&manifest["config"])), manifest, layers }
    }
}
