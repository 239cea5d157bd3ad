//! A layout in a folder that may hold other images: blobs and manifests are added one by one, each whole when it has its
//! name, and in the end `index.json` names the image. <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use super::{LAYOUT_VERSION, SinkError, layout, unfinished};
use crate::blob::{Descriptor, Digest, Hasher, MEDIA_TYPE_INDEX, REF_NAME};
use crate::store::{StoreError, VerifiedBlob};
use crate::wanted::Wanted;

/// A layout that images are added to.
#[derive(Debug)]
pub struct Collection {
    folder: PathBuf,
}

/// A blob on its way into a layout; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Incoming<'layout> {
    layout: &'layout Collection,
    file: NamedTempFile,
    hasher: Hasher,
}

impl Collection {
    /// The layout `folder`, made where there is none; it is one without images then.
    ///
    /// # Errors
    /// When it is something else than a layout, or cannot be made.
    pub fn open(folder: &Path) -> Result<Self, SinkError> {
        layout::check(folder)?;
        let layout = Self { folder: folder.to_owned() };
        layout.make().map_err(|source| layout.failed(source))?;
        Ok(layout)
    }

    fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let version = self.folder.join("oci-layout");
        if !version.is_file() {
            // The first file: what is cut off after it is a layout still.
            self.write(&version, LAYOUT_VERSION)?;
        }
        fs::create_dir_all(self.blobs())
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs").join("sha256")
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// What the file system said, as an error of this layout.
    #[must_use]
    pub fn failed(&self, source: io::Error) -> SinkError {
        SinkError::of(&self.folder, source)
    }

    /// True when it has that blob, whole: what is damaged counts as not there. As long as that is `wanted`.
    ///
    /// # Errors
    /// When nobody wants to know any more.
    pub fn has(&self, descriptor: &Descriptor, wanted: &Wanted) -> Result<bool, SinkError> {
        let there = VerifiedBlob::of_file(&self.blob(&descriptor.digest), descriptor);
        let whole = there.is_ok_and(|blob| blob.is_some_and(|blob| blob.copy_to(&mut wanted.only(io::sink())).is_ok()));
        wanted.check().map_err(|source| self.failed(source))?;
        Ok(whole)
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// When no file can be made in the layout.
    pub fn incoming(&self) -> Result<Incoming<'_>, SinkError> {
        let file = self.fresh().map_err(|source| self.failed(source))?;
        Ok(Incoming { layout: self, file, hasher: Hasher::default() })
    }

    /// Adds a manifest or an index, which are few bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), SinkError> {
        let path = self.blob(&descriptor.digest);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        self.write(&path, bytes).map_err(|source| self.failed(source))
    }

    /// Has the name `tag` stand for an index or a manifest that was added, and for nothing else.
    ///
    /// # Errors
    /// When the index of the layout is none, or cannot be written.
    pub fn name(&self, top: &Descriptor, tag: &str) -> Result<(), SinkError> {
        let path = self.folder.join("index.json");
        let failed = |source| self.failed(source);
        // Held until the index is written: others may add an image at the same time.
        let _lock = self.lock().map_err(failed)?;
        let broken = |source| SinkError::Index { path: path.clone(), source };
        let mut index: Map<String, Value> = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(broken)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => empty_index(),
            Err(error) => return Err(failed(error)),
        };
        let before = index.clone();
        let manifests = index.entry("manifests").or_insert_with(|| json!([]));
        let Some(manifests) = manifests.as_array_mut() else {
            return Err(broken(serde::de::Error::custom("`manifests` is no list")));
        };
        let mut entry = Descriptor::new(&top.media_type, top.digest, top.size);
        entry.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
        let is_named = |entry: &Value| entry["annotations"][REF_NAME] == tag;
        let place = manifests.iter().position(is_named).unwrap_or(manifests.len());
        manifests.retain(|entry| !is_named(entry));
        manifests.insert(place, json!(entry));
        if index == before {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&index).map_err(broken)?;
        self.write(&path, &bytes).map_err(failed)
    }

    /// Waits until nobody else changes the index; on a file system without locks nobody is waited for.
    fn lock(&self) -> io::Result<Option<std::fs::File>> {
        let folder = fs::File::open(&self.folder)?.into_parts().0;
        match folder.lock() {
            Ok(()) => Ok(Some(folder)),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.fresh()?;
        file.write_all(bytes)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// A file that gets its name once it is whole, as open as any that the user makes.
    fn fresh(&self) -> io::Result<NamedTempFile> {
        unfinished::open_file(&self.folder.join("index.json"))
    }
}

fn empty_index() -> Map<String, Value> {
    [("schemaVersion", json!(2)), ("mediaType", json!(MEDIA_TYPE_INDEX)), ("manifests", json!([]))]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

impl Incoming<'_> {
    /// True when all that was written is that blob.
    #[must_use]
    pub fn is(&self, descriptor: &Descriptor) -> bool {
        self.hasher.clone().finish() == (descriptor.digest, descriptor.size)
    }

    /// Puts it in its place, if it is what was announced.
    ///
    /// # Errors
    /// When it is not, or cannot be put there; nothing is kept then.
    pub fn finish_as(self, expected: &Descriptor) -> Result<(), SinkError> {
        let (actual, actual_size) = self.hasher.finish();
        if (actual, actual_size) != (expected.digest, expected.size) {
            let (expected, expected_size) = (expected.digest, expected.size);
            let source = StoreError::WrongDigest { expected, expected_size, actual, actual_size };
            return Err(SinkError::Blob { path: self.layout.folder.clone(), source });
        }
        let placed = self.file.persist(self.layout.blob(&expected.digest));
        placed.map(drop).map_err(|error| self.layout.failed(error.error))
    }
}

impl Write for Incoming<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
