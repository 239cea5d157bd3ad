//! What was made from what, as JSON files. A record only saves work: one that is missing or damaged is none.
//!
//! A file is `{"digest":"sha256:...","value":...}`: a bit that a disk turned must not become part of an image, so the digest
//! is that of the value as it stands there. Some values are large, so none is ever held as text.

use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Store, StoreError};
use crate::blob::{Digest, Hasher};

/// Kinds of records that are worth nothing without the blob that they name first.
const OF_ONE_BLOB: &[&str] = &[OWN_LAYER, STATIC_LAYER, "debian-release"];
/// What went into a layer of ours -> its descriptor, what is inside, and whose it is.
pub const OWN_LAYER: &str = "own-layer";
/// What went into the layer of the base `static` -> its descriptor, and what is inside.
pub const STATIC_LAYER: &str = "layer";
/// The digest of something of a base -> what bases it is of.
pub const NAME: &str = "name";

/// What a file begins with, has between its digest and its value, and ends with.
const BEFORE_DIGEST: &[u8] = b"{\"digest\":\"";
const BEFORE_VALUE: &[u8] = b"\",\"value\":";
const END: &[u8] = b"}";
/// The length of a digest as text.
const DIGEST: usize = "sha256:".len() + 64;
const BUFFER: usize = 1 << 16;

impl Store {
    pub(super) fn records(&self) -> PathBuf {
        self.root().join("records")
    }

    fn record_path(&self, kind: &str, key: &Digest) -> PathBuf {
        self.records().join(kind).join(format!("{}.json", key.hex()))
    }

    /// Reads what was recorded under `key`; a missing, damaged or unreadable record is `None`.
    #[must_use]
    pub fn record<T: DeserializeOwned>(&self, kind: &str, key: &Digest) -> Option<T> {
        let path = self.record_path(kind, key);
        let value = open(&path)?;
        self.used(&path);
        Some(value)
    }

    /// Whether there is a record under `key`, damaged or not.
    #[must_use]
    pub fn has_record(&self, kind: &str, key: &Digest) -> bool {
        self.record_path(kind, key).is_file()
    }

    /// Records `value` under `key`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_record<T: Serialize>(&self, kind: &str, key: &Digest, value: &T) -> Result<(), StoreError> {
        let path = self.record_path(kind, key);
        let write = || -> io::Result<u64> {
            fs::create_dir_all(self.records().join(kind))?;
            let mut file = self.unfinished()?;
            let size = write(value, &mut file)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(size)
        };
        let size = write().map_err(|source| self.failed(source))?;
        self.stored(path, size);
        Ok(())
    }

    /// Remembers that what has the digest `digest` is of the base `name`: for people who look into the cache.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_name(&self, digest: &Digest, name: &str) -> Result<(), StoreError> {
        let mut names: Vec<String> = self.record(NAME, digest).unwrap_or_default();
        if names.iter().any(|known| known == name) {
            return Ok(());
        }
        names.push(name.to_owned());
        self.set_record(NAME, digest, &names)
    }

    /// Every record of a kind that can be read, with its key.
    pub(super) fn records_of(&self, kind: &str) -> Vec<(Digest, Value)> {
        let files = fs::read_dir(self.records().join(kind)).into_iter().flatten().flatten();
        files.filter_map(|file| Some((key_of(&file.path())?, open(&file.path())?))).collect()
    }

    /// The files of records that are worth nothing, because they cannot be read or what they are about is gone.
    pub(super) fn dangling_records(&self) -> Vec<PathBuf> {
        let mut dangling = Vec::new();
        for kind in OF_ONE_BLOB {
            for file in fs::read_dir(self.records().join(kind)).into_iter().flatten().flatten() {
                let blob = open(&file.path()).as_ref().and_then(first_digest);
                if blob.is_none_or(|blob| !self.blob_path(&blob).exists()) {
                    dangling.push(file.path());
                }
            }
        }
        dangling
    }
}

/// Writes a file's text; its length.
fn write(value: &impl Serialize, file: &mut (impl Write + io::Seek)) -> io::Result<u64> {
    // The digest is known when the value is written.
    file.write_all(&[BEFORE_DIGEST, &[b' '; DIGEST], BEFORE_VALUE].concat())?;
    let mut hashing = BufWriter::with_capacity(BUFFER, Hashing { inner: &mut *file, hasher: Hasher::default() });
    serde_json::to_writer(&mut hashing, value)?;
    let (digest, size) = hashing.into_inner().map_err(io::IntoInnerError::into_error)?.hasher.finish();
    file.write_all(END)?;
    file.seek(SeekFrom::Start(BEFORE_DIGEST.len() as u64))?;
    file.write_all(digest.to_string().as_bytes())?;
    Ok((BEFORE_DIGEST.len() + DIGEST + BEFORE_VALUE.len() + END.len()) as u64 + size)
}

/// Hashes what is written through it.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a file's value, if it is as it was written.
fn open<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut file = fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut head = [0; BEFORE_DIGEST.len() + DIGEST + BEFORE_VALUE.len()];
    file.read_exact(&mut head).ok()?;
    let digest = head.strip_prefix(BEFORE_DIGEST)?.strip_suffix(BEFORE_VALUE)?;
    let said: Digest = std::str::from_utf8(digest).ok()?.parse().ok()?;
    let length = size.checked_sub((head.len() + END.len()) as u64)?;
    let mut hasher = Hasher::default();
    io::copy(&mut (&mut file).take(length), &mut hasher).ok()?;
    if hasher.finish() != (said, length) {
        return None;
    }
    file.seek(SeekFrom::Start(head.len() as u64)).ok()?;
    serde_json::from_reader(BufReader::with_capacity(BUFFER, file.take(length))).ok()
}

fn key_of(path: &Path) -> Option<Digest> {
    format!("sha256:{}", path.file_stem()?.to_str()?).parse().ok()
}

/// The blob that a record of [`OF_ONE_BLOB`] names: its `digest`, or that of its first item.
fn first_digest(value: &Value) -> Option<Digest> {
    let named = value.get("digest").or_else(|| value.get(0)?.get("digest"))?;
    named.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_until_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = Digest::of(b"key");
        assert_eq!(store.record::<u32>("test", &key), None);
        store.set_record("test", &key, &7_u32).unwrap();
        assert_eq!(store.record::<u32>("test", &key), Some(7));
        let path = store.record_path("test", &key);
        let text = std::fs::read_to_string(&path).unwrap();
        for damaged in [text.replace('7', "6"), "{".to_owned(), String::new(), "7".to_owned()] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(store.record::<u32>("test", &key), None);
        }
    }

    #[test]
    fn a_record_without_its_blob_dangles() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let blob = store.put("", b"layer").unwrap();
        store.set_record(OWN_LAYER, &Digest::of(b"a"), &(&blob, "inside")).unwrap();
        store.set_record("debian-release", &Digest::of(b"b"), &serde_json::json!({"digest": blob.digest})).unwrap();
        store.set_record("debian-closure", &Digest::of(b"c"), &[1]).unwrap();
        assert_eq!(store.dangling_records(), [""; 0].map(PathBuf::from));
        std::fs::remove_file(store.blob_path(&blob.digest)).unwrap();
        assert_eq!(store.dangling_records().len(), 2);
    }

    #[test]
    fn names_are_gathered() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = Digest::of(b"index");
        for name in ["debian:12", "debian:bookworm", "debian:12"] {
            store.remember_name(&key, name).unwrap();
        }
        assert_eq!(store.records_of(NAME), [(key, serde_json::json!(["debian:12", "debian:bookworm"]))]);
    }
}
