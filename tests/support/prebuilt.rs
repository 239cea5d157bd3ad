//! A project whose program is there already, so that a test of pushes compiles nothing, and a small base for it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;
use tempfile::TempDir;

use super::layout::{self, Image, Tree};
use super::process;
use super::project::Project;

/// What the program and the base are for.
pub const PLATFORMS: &[&str] = &["linux/amd64", "linux/arm64"];

/// Bytes that no compressor makes smaller, other ones for each seed but 0: <https://www.jstatsoft.org/article/view/v008i14>.
pub struct Noise(u64);

impl Noise {
    /// The bytes of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // The lowest bits are the weakest.
        (self.next() >> 11) % end
    }

    /// The next bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}

/// A project with one static program for both platforms, which prints where it runs.
pub fn project() -> Project {
    let table = "[[program]]\nname = \"hello\"\nlanguage = \"prebuilt\"\npath = \"hello-{{platform.arch}}\"\n";
    let mut project = Project::new().file("anyarch.toml", table);
    for platform in PLATFORMS {
        let architecture = platform.trim_start_matches("linux/");
        let program = fs::read(programs().join(architecture)).expect("the program was built");
        project = project.file(&format!("hello-{architecture}"), program);
    }
    project
}

/// The programs, one a platform, built once.
fn programs() -> PathBuf {
    static PROGRAMS: OnceLock<TempDir> = OnceLock::new();
    let folder = PROGRAMS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let project = Project::hello_go();
        for platform in PLATFORMS {
            let architecture = platform.trim_start_matches("linux/");
            let mut compile = Command::new("go");
            compile.args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"]);
            compile.arg(folder.path().join(architecture)).current_dir(project.path());
            process::succeed(compile.env("CGO_ENABLED", "0").env("GOOS", "linux").env("GOARCH", architecture));
        }
        folder
    });
    folder.path().to_owned()
}

/// The digests of a base: what a fault is aimed at.
pub struct Base {
    /// the layout that holds it, under the tag `1`
    pub layout: TempDir,
    /// of the configs
    pub configs: Vec<String>,
    /// of the layers
    pub layers: Vec<String>,
}

impl Base {
    /// A base for both platforms: for each, two layers of so many bytes each.
    pub fn new(size: usize) -> Self {
        let layout = tempfile::tempdir().expect("a temporary folder can be made");
        let image = |(place, platform): (usize, &&str)| {
            let layer = |number: usize| {
                let mut tree = Tree::default();
                tree.file(&format!("layer-{number}"), 0o644, Noise::new((10 * place + number) as u64).bytes(size));
                tree
            };
            Image {
                platform: platform.parse().expect("the table holds platforms"),
                layers: vec![layer(1), layer(2)],
                config: json!({"Env": ["PATH=/usr/local/bin:/usr/bin"]}),
            }
        };
        let images: Vec<Image> = PLATFORMS.iter().enumerate().map(image).collect();
        layout::write(layout.path(), "1", &images);
        let mut base = Self { layout, configs: Vec::new(), layers: Vec::new() };
        for entry in fs::read_dir(base.layout.path().join("blobs/sha256")).expect("the layout has blobs") {
            let path = entry.expect("the layout has blobs").path();
            let digest = format!("sha256:{}", path.file_name().expect("a blob has a name").to_string_lossy());
            let bytes = fs::read(&path).expect("a blob can be read");
            match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Err(_) => base.layers.push(digest),
                Ok(json) if json.get("rootfs").is_some() => base.configs.push(digest),
                Ok(_) => {}
            }
        }
        base
    }

    /// Copies it, all platforms, to a reference, plain http.
    pub fn push(&self, reference: &str) {
        copy_layout(self.layout.path(), reference);
    }
}

/// Copies what a layout holds under the tag `1` to a reference, plain http.
pub fn copy_layout(layout: &std::path::Path, reference: &str) {
    let source = format!("oci:{}:1", layout.display());
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--all", "--dest-tls-verify=false", &source]);
    process::succeed(skopeo.arg(format!("docker://{reference}")));
}
