//! A project that is built in no time, what the cache holds of it, and how that is damaged or gets old.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyarch::blob::Digest;
use serde_json::Value;

use super::layout::{self, Tree};
use super::program::{Home, Output};
use super::project::Project;

/// Bytes that no compressor makes smaller, others for each `seed`.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    // xorshift64: https://www.jstatsoft.org/article/view/v008i14
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// A project of one image, of a file over a base in a layout: nothing is compiled.
pub fn site(content: &[u8]) -> Project {
    let table =
        "[[image]]\nname = \"site\"\nprograms = []\n[[image.file]]\nsource = \"page\"\ndestination = \"/srv/page\"\n";
    let project = Project::new()
        .file("anyarch.toml", format!("platforms = [\"linux/amd64\"]\nbase = \"oci:base\"\n{table}"))
        .file("page", content);
    let mut tree = Tree::default();
    tree.file("etc/base", 0o644, noise(7, 3000));
    let platform = "linux/amd64".parse().unwrap();
    let image = layout::Image { platform, layers: vec![tree], config: serde_json::json!({}) };
    layout::write(&project.path().join("base"), "latest", &[image]);
    project
}

/// Builds, which has to succeed.
#[track_caller]
pub fn build(project: &Project, home: &Home, arguments: &[&str]) -> Output {
    let output = project.anyarch_at(home).args(["build"]).args(arguments).run();
    output.assert_success();
    output
}

/// What a layout leads to.
pub fn index_of(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("index.json")).unwrap()
}

/// What `anyarch cache ls` knows of a kind.
#[track_caller]
pub fn listed(home: &Home, kind: &str) -> Vec<Value> {
    let list = home.anyarch().args(["cache", "ls", "--json"]).run().json();
    let entries = list["entries"].as_array().unwrap().clone();
    entries.into_iter().filter(|entry| entry["kind"] == kind).collect()
}

/// The path of the only thing of a kind.
#[track_caller]
pub fn only(home: &Home, kind: &str) -> PathBuf {
    let [entry] = listed(home, kind).try_into().unwrap_or_else(|found| panic!("one {kind}: {found:?}"));
    entry["path"].as_str().unwrap().into()
}

/// Turns a bit of a file.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A path's last part.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Makes a file older.
pub fn age(path: &Path, days: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_hours(24 * days)).unwrap();
}

/// Puts a blob that nothing is known of into the cache.
pub fn old_blob(home: &Home, content: &[u8], days: u64) -> PathBuf {
    let folder = home.cache().join("blobs/sha256");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(Digest::of(content).hex());
    fs::write(&path, content).unwrap();
    age(&path, days);
    path
}

/// Every blob of the cache is what its name says.
#[track_caller]
pub fn assert_whole(blobs: &Path) {
    for blob in fs::read_dir(blobs).unwrap() {
        let path = blob.unwrap().path();
        assert_eq!(Digest::of(&fs::read(&path).unwrap()).hex(), name(&path));
    }
}
