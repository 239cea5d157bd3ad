//! A cache folder becomes a list of what is in it, with what can be known about each thing without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use serde_json::Value;

use super::eviction::Entry;
use super::record::NAME;
use super::{Kind, OWN_LAYER, STATIC_LAYER, Store, StoreError};
use crate::blob::Digest;

/// No document of an image is longer, in bytes: registries refuse longer ones.
const LONGEST_DOCUMENT: u64 = 4 << 20;
/// How deep indexes may hold indexes.
const DEEPEST_INDEX: usize = 3;

/// A thing in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// what it is
    pub kind: Kind,
    /// whose it is: the base and its platform, the program, the package, the tool and its version
    pub names: BTreeSet<String>,
    /// of a blob
    pub digest: Option<Digest>,
    /// where it is
    pub path: PathBuf,
    /// its size in bytes, with all that is in it
    pub size: u64,
    /// when it was last used; `None` when that is not known
    pub used: Option<SystemTime>,
}

impl Store {
    /// Lists all that is in the cache folder and is ours.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn inventory(&self) -> Result<Vec<Item>, StoreError> {
        let entries = self.entries().map_err(|source| self.failed(source))?;
        let mut known = Known::default();
        known.read_records(self);
        known.read_blobs(&entries);
        let mut items: Vec<Item> = entries.into_iter().map(|entry| known.item(entry)).collect();
        for (folder, kind) in [
            ("toolchains", Kind::Toolchain),
            ("sysroots", Kind::Sysroot),
            ("zigbuild", Kind::Wrapper),
            ("downloads", Kind::Download),
            ("partial", Kind::Download),
            ("tmp", Kind::Unfinished),
        ] {
            items.extend(things_in(&self.root().join(folder), kind).map_err(|source| self.failed(source))?);
        }
        items.sort_by(|left, right| (left.kind, &left.names, &left.path).cmp(&(right.kind, &right.names, &right.path)));
        Ok(items)
    }
}

/// What is directly in a folder; nothing when there is none.
fn things_in(folder: &Path, kind: Kind) -> io::Result<Vec<Item>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut items = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_folder = path.is_dir() && !path.is_symlink();
        // Locks are nobody's: they stay.
        if path.extension().is_some_and(|extension| extension == "lock") && !is_folder {
            continue;
        }
        let kind = if name.starts_with('.') { Kind::Unfinished } else { kind };
        // Who compiles with a folder leaves no mark in it.
        let used =
            if is_folder { None } else { fs::symlink_metadata(&path).and_then(|metadata| metadata.modified()).ok() };
        items.push(Item { kind, names: [name].into(), digest: None, size: size_of(&path), path, used });
    }
    Ok(items)
}

/// Bytes of all files at and below `path`. What goes away meanwhile, or cannot be read, does not count.
fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size_of(&entry.path())).sum()
}

/// What records and documents say of blobs.
#[derive(Default)]
struct Known {
    kinds: BTreeMap<Digest, Kind>,
    names: BTreeMap<Digest, BTreeSet<String>>,
}

impl Known {
    fn name(&mut self, digest: Digest, name: &str) {
        self.names.entry(digest).or_default().insert(name.to_owned());
    }

    fn read_records(&mut self, store: &Store) {
        for (digest, names) in store.records_of(NAME) {
            names.as_array().into_iter().flatten().filter_map(Value::as_str).for_each(|name| self.name(digest, name));
        }
        for kind in [OWN_LAYER, STATIC_LAYER] {
            for (_, record) in store.records_of(kind) {
                let Some(digest) = record.get(0).and_then(digest_of) else { continue };
                self.kinds.insert(digest, Kind::of_record(kind));
                let name = record.get(2).and_then(Value::as_str).unwrap_or("static");
                self.name(digest, name);
            }
        }
        for (_, packages) in store.records_of("debian-closure") {
            for package in packages.as_array().into_iter().flatten() {
                let file = package.get("filename").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
                if let (Some(digest), Some(file)) = (digest_of(package), file) {
                    self.kinds.insert(digest, Kind::Debian);
                    self.name(digest, file);
                }
            }
        }
    }

    fn read_blobs(&mut self, entries: &[Entry]) {
        let mut documents: BTreeMap<Digest, Value> = BTreeMap::new();
        for entry in entries {
            let Some(digest) = entry.digest else { continue };
            let Ok(start) = start(&entry.path) else { continue };
            if start.first() == Some(&b'{') && entry.size <= LONGEST_DOCUMENT {
                let document = fs::read(&entry.path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                documents.extend(document.map(|document| (digest, document)));
            } else {
                self.kinds.entry(digest).or_insert_with(|| Kind::of_start(&start));
            }
        }
        for _ in 0..DEEPEST_INDEX {
            for (digest, document) in &documents {
                self.read_index(*digest, document);
            }
        }
        for (digest, document) in &documents {
            self.read_manifest(*digest, document, &documents);
        }
        for (digest, document) in &documents {
            if document.get("rootfs").is_some() {
                self.kinds.insert(*digest, Kind::Config);
                if !self.names.contains_key(digest) {
                    self.name(*digest, &platform_of(document).unwrap_or_default());
                }
            }
        }
    }

    /// Each manifest of an index has its names, and its own platform.
    fn read_index(&mut self, digest: Digest, document: &Value) {
        let Some(entries) = document.get("manifests").and_then(Value::as_array) else { return };
        self.kinds.insert(digest, Kind::Index);
        let names = self.names.get(&digest).cloned().unwrap_or_default();
        for entry in entries {
            let Some(child) = digest_of(entry) else { continue };
            let platform = entry.get("platform").and_then(platform_of);
            for name in &names {
                match &platform {
                    Some(platform) => self.name(child, &format!("{name} {platform}")),
                    None => self.name(child, name),
                }
            }
        }
    }

    /// Config and layers have the names of their manifest.
    fn read_manifest(&mut self, digest: Digest, document: &Value, documents: &BTreeMap<Digest, Value>) {
        let Some(layers) = document.get("layers").and_then(Value::as_array) else { return };
        self.kinds.insert(digest, Kind::Manifest);
        let config = document.get("config").and_then(digest_of);
        let platform = config.and_then(|config| documents.get(&config)).and_then(platform_of);
        let mut names = self.names.remove(&digest).unwrap_or_default();
        if let Some(platform) = platform {
            // A manifest that is in no index says nothing of its platform: its config does.
            names = names
                .into_iter()
                .map(|name| if name.contains(' ') { name } else { format!("{name} {platform}") })
                .collect();
        }
        for name in &names {
            layers.iter().filter_map(digest_of).chain(config).for_each(|part| self.name(part, name));
        }
        self.names.insert(digest, names);
        for layer in layers.iter().filter_map(digest_of) {
            // A layer of ours is known as such.
            self.kinds.entry(layer).or_insert(Kind::BaseLayer);
        }
    }

    fn item(&self, entry: Entry) -> Item {
        let Entry { path, digest, size, used } = entry;
        let (kind, names) = if let Some(digest) = digest {
            let kind = self.kinds.get(&digest).copied().unwrap_or(Kind::Blob);
            (kind, self.names.get(&digest).cloned().unwrap_or_default())
        } else {
            let of = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
            (Kind::Record, [of].into())
        };
        Item { kind, names, digest, path, size, used: Some(used) }
    }
}

fn digest_of(descriptor: &Value) -> Option<Digest> {
    descriptor.get("digest")?.as_str()?.parse().ok()
}

fn platform_of(document: &Value) -> Option<String> {
    let field = |name: &str| document.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    let variant = field("variant").map_or_else(String::new, |variant| format!("/{variant}"));
    Some(format!("{}/{}{variant}", field("os")?, field("architecture")?))
}

fn start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(8).read_to_end(&mut start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::blob::canonical_json;

    fn listed(store: &Store) -> Vec<(Kind, String, u64)> {
        let items = store.inventory().unwrap().into_iter().filter(|item| item.kind != Kind::Record);
        items.map(|item| (item.kind, item.names.into_iter().collect::<Vec<_>>().join("; "), item.size)).collect()
    }

    #[test]
    fn what_a_base_is_made_of_has_its_name_and_platform() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = store.put("", b"\x1f\x8blayer").unwrap();
        let config = json!({"os": "linux", "architecture": "arm", "variant": "v7", "rootfs": {}});
        let config = store.put("", &canonical_json(&config)).unwrap();
        let manifest = store.put("", &canonical_json(&json!({"config": config, "layers": [layer]}))).unwrap();
        let platform = json!({"os": "linux", "architecture": "arm", "variant": "v7"});
        let entry = json!({"digest": manifest.digest, "platform": platform});
        let index = store.put("", &canonical_json(&json!({"manifests": [entry]}))).unwrap();
        store.remember_name(&index.digest, "debian:12").unwrap();
        let own = store.put("", b"\x1f\x8bown").unwrap();
        store.set_record(OWN_LAYER, &Digest::of(b"own"), &(&own, "inside", "app linux/arm/v7")).unwrap();
        store.put("", b"!<arch>\n").unwrap();
        store.put("", b"?").unwrap();
        std::fs::create_dir_all(folder.path().join("toolchains/zig-1/lib")).unwrap();
        std::fs::write(folder.path().join("toolchains/zig-1/lib/a"), "abc").unwrap();
        std::fs::write(folder.path().join("toolchains/.zig-1.lock"), "").unwrap();
        std::fs::write(folder.path().join("tmp/x"), "half").unwrap();
        let of_base = "debian:12 linux/arm/v7".to_owned();
        assert_eq!(
            listed(&store),
            [
                (Kind::Index, "debian:12".to_owned(), index.size),
                (Kind::Manifest, of_base.clone(), manifest.size),
                (Kind::Config, of_base.clone(), config.size),
                (Kind::BaseLayer, of_base, 7),
                (Kind::OwnLayer, "app linux/arm/v7".to_owned(), 5),
                (Kind::Debian, String::new(), 8),
                (Kind::Blob, String::new(), 1),
                (Kind::Toolchain, "zig-1".to_owned(), 3),
                (Kind::Unfinished, "x".to_owned(), 4),
            ]
        );
    }

    #[test]
    fn a_lone_manifest_has_the_platform_of_its_config() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let config = json!({"os": "linux", "architecture": "s390x", "rootfs": {}});
        let config = store.put("", &canonical_json(&config)).unwrap();
        let manifest = store.put("", &canonical_json(&json!({"config": config, "layers": []}))).unwrap();
        store.remember_name(&manifest.digest, "r/x:1").unwrap();
        let name = "r/x:1 linux/s390x".to_owned();
        assert_eq!(listed(&store), [(Kind::Manifest, name.clone(), manifest.size), (Kind::Config, name, config.size)]);
    }
}
