//! A project whose program is there already, so that a test of pushes compiles nothing, and bases for it, small ones and
//! one as large as a test wants.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyarch::blob::{self, Descriptor, Digest, Hasher};
use flate2::{Compression, GzBuilder};
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
pub fn copy_layout(layout: &Path, reference: &str) {
    let source = format!("oci:{}:1", layout.display());
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--all", "--dest-tls-verify=false", &source]);
    process::succeed(skopeo.arg(format!("docker://{reference}")));
}

/// A base for linux/amd64 whose one layer is as large as a test wants, made without ever being in memory.
pub struct LargeBase {
    layout: TempDir,
    /// the layer
    pub layer: Descriptor,
}

impl LargeBase {
    /// Writes it; the layer is about that many bytes, which no compressor made smaller.
    pub fn new(size: u64) -> Self {
        let layout = tempfile::tempdir().expect("a temporary folder can be made");
        let (layer, diff_id) = write_layer(&layout.path().join("layer"), size);
        let blobs = layout.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("the layout's folder can be made");
        fs::rename(layout.path().join("layer"), blobs.join(layer.digest.hex())).expect("a file can be moved");
        let put = |media_type: &str, document: &serde_json::Value| {
            let bytes = blob::canonical_json(document);
            let descriptor = Descriptor::of(media_type, &bytes);
            fs::write(blobs.join(descriptor.digest.hex()), bytes).expect("a blob can be written");
            descriptor
        };
        let rootfs = json!({"type": "layers", "diff_ids": [diff_id]});
        let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs});
        let config = put(blob::MEDIA_TYPE_CONFIG, &config);
        let (version, kind) = (2, blob::MEDIA_TYPE_MANIFEST);
        let manifest = json!({"schemaVersion": version, "mediaType": kind, "config": config, "layers": [layer]});
        let mut manifest = put(kind, &manifest);
        manifest.annotations.insert("org.opencontainers.image.ref.name".into(), "1".into());
        let index = json!({"schemaVersion": version, "manifests": [manifest]});
        fs::write(layout.path().join("index.json"), blob::canonical_json(&index)).expect("index.json can be written");
        let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(layout.path().join("oci-layout"), version).expect("oci-layout can be written");
        Self { layout, layer }
    }

    /// The layout's folder, where the base has the tag `1`.
    pub fn layout(&self) -> &Path {
        self.layout.path()
    }
}

/// Writes a layer of one file; its descriptor and the digest of its tar.
fn write_layer(path: &Path, size: u64) -> (Descriptor, Digest) {
    let file = Hashed::new(File::create(path).expect("a file can be made"));
    // Stored, not squeezed: it would take minutes for nothing.
    let packed = GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::none());
    let mut tar = tar::Builder::new(Hashed::new(packed));
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    let content = Repeated { block: Noise::new(1).bytes(1 << 20), at: 0 };
    tar.append_data(&mut header, "large", content.take(size)).expect("a tar can be written");
    let tar = tar.into_inner().expect("a tar can be written");
    let (packed, (diff_id, _)) = (tar.inner, tar.hasher.finish());
    let file = packed.finish().expect("what was packed can be written");
    let (digest, size) = file.hasher.finish();
    (Descriptor::new(blob::MEDIA_TYPE_LAYER_GZIP, digest, size), diff_id)
}

/// A writer that knows the digest of what passed.
struct Hashed<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::default() }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The same block without end.
struct Repeated {
    block: Vec<u8>,
    at: usize,
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.block[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at = (self.at + count) % self.block.len();
        Ok(count)
    }
}
