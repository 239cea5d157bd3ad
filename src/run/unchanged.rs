//! Files that are read more than once on their way into a layer: what was checked is what is hashed, or it is an error.
//! Somebody else's build may write to them at any moment.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::blob::{Digest, Hasher};
use crate::layer::LayerError;

/// Reads whole binaries through a buffer of this many bytes.
pub(super) const BUFFER: usize = 1 << 17;

/// What a file system tells of a file without reading it; another after each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// seconds and nanoseconds
    modified: (i64, i64),
}

/// The files that were opened so far, as they were then.
#[derive(Debug, Default)]
pub(super) struct Unchanged(BTreeMap<PathBuf, Stamp>);

impl Unchanged {
    /// Opens a file, and notes which it is.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(&mut self, path: &Path) -> io::Result<fs::File> {
        let file = fs::File::open(path)?;
        let stamp = Stamp::of(&file)?;
        // Who looks twice is held to what was there at first.
        self.0.entry(path.to_owned()).or_insert(stamp);
        Ok(file)
    }

    /// Whether each file is as it was when it was opened for the first time.
    #[must_use]
    pub(super) fn holds(&self) -> bool {
        let same = |(path, stamp): (&PathBuf, &Stamp)| {
            fs::File::open(path).and_then(|file| Stamp::of(&file)).is_ok_and(|now| now == *stamp)
        };
        self.0.iter().all(same)
    }

    /// The digest of a file's contents.
    ///
    /// # Errors
    /// When it cannot be read, or is not as it was when it was opened for the first time.
    pub(super) fn digest(&self, path: &Path) -> Result<Digest, LayerError> {
        let hash = || -> io::Result<Option<Digest>> {
            let file = fs::File::open(path)?;
            let (stamp, mut hasher) = (Stamp::of(&file)?, Hasher::default());
            io::copy(&mut BufReader::with_capacity(BUFFER, &file), &mut hasher)?;
            let as_before = self.0.get(path).is_none_or(|known| *known == stamp) && Stamp::of(&file)? == stamp;
            Ok(as_before.then(|| hasher.finish().0))
        };
        let path = path.to_owned();
        match hash() {
            Ok(Some(digest)) => Ok(digest),
            Ok(None) => Err(LayerError::Changed { path }),
            Err(source) => Err(LayerError::Read { path, source }),
        }
    }
}

impl Stamp {
    fn of(file: &fs::File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), size: metadata.len(), modified })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Writes a file that was last written at that second.
    fn write(path: &Path, content: &str, second: u64) {
        std::fs::write(path, content).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(second)).unwrap();
    }

    #[test]
    fn what_was_checked_is_what_is_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app");
        let other = folder.path().join("other");
        let replace = |content: &str| {
            write(&other, content, 1);
            std::fs::rename(&other, &path).unwrap();
        };
        let cases: [(&str, &dyn Fn(), bool); 5] = [
            ("nothing", &|| (), true),
            ("another name", &|| std::fs::hard_link(&path, folder.path().join("link")).unwrap(), true),
            ("written anew", &|| write(&path, "two", 2), false),
            ("longer", &|| write(&path, "longer", 1), false),
            ("replaced by one of equal length and time", &|| replace("two"), false),
        ];
        for (name, act, fits) in cases {
            write(&path, "one", 1);
            let mut files = Unchanged::default();
            files.open(&path).unwrap();
            act();
            assert_eq!(files.holds(), fits, "{name}");
            match files.digest(&path) {
                Ok(digest) => assert!(fits && digest == Digest::of(b"one"), "{name}"),
                Err(error) => assert!(!fits && matches!(error, LayerError::Changed { .. }), "{name}: {error}"),
            }
        }
        let missing = Unchanged::default().digest(&folder.path().join("missing"));
        assert!(matches!(missing, Err(LayerError::Read { .. })));
    }
}
