//! A store is kept within a size: what was not used for longest goes first, and never what this run used or another runs with.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use super::{Store, StoreError, usage};
use crate::blob::Digest;

/// How long after a look at the whole store the next is due.
const LOOK_AGAIN: Duration = Duration::from_hours(1);
/// A run that stored more bytes than this looks at once.
const MUCH: u64 = 100_000_000;
/// A file whose time is that of the last look.
const LOOKED: &str = "looked";

/// What had to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    /// how many files
    pub files: usize,
    /// how many bytes they had
    pub bytes: u64,
}

/// A blob or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// of a blob
    pub(super) digest: Option<Digest>,
    pub(super) size: u64,
    pub(super) used: SystemTime,
}

impl Store {
    /// Removes what was not used for longest until blobs and records have at most `limit` bytes. `None` when it is too
    /// early to look again, or others use the store: their runs do it at their end.
    ///
    /// # Errors
    /// When the store cannot be read, or something cannot be removed.
    pub fn keep_within(&self, limit: u64) -> Result<Option<Evicted>, StoreError> {
        let looked = self.root.join(LOOKED);
        let age = fs::metadata(&looked).and_then(|metadata| metadata.modified()).ok().map(|time| time.elapsed());
        // A time in the future is none.
        let fresh = matches!(age, Some(Ok(age)) if age < LOOK_AGAIN);
        if fresh && self.bytes_stored() <= MUCH {
            return Ok(None);
        }
        let evicted = self.hold.while_alone(|| -> std::io::Result<Evicted> {
            let evicted = self.evict(limit)?;
            fs::File::create(&looked)?;
            usage::touch(&looked);
            Ok(evicted)
        });
        evicted.and_then(Option::transpose).map_err(|source| self.failed(source))
    }

    fn evict(&self, limit: u64) -> std::io::Result<Evicted> {
        let mut evicted = Evicted::default();
        let mut remove = |entry: &Entry| -> std::io::Result<()> {
            super::prune::remove(&entry.path)?;
            evicted.files += 1;
            evicted.bytes += entry.size;
            Ok(())
        };
        let entries = self.entries()?;
        let oldest = oldest(entries, limit, &|entry| self.is_in_use(&entry.path));
        if oldest.is_empty() {
            return Ok(evicted);
        }
        oldest.iter().try_for_each(&mut remove)?;
        self.dangling_records()
            .iter()
            .filter_map(|path| entry(path.clone(), None))
            .try_for_each(|entry| remove(&entry))?;
        Ok(evicted)
    }

    /// Every blob and every record.
    pub(super) fn entries(&self) -> std::io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(self.blobs())? {
            let file = file?;
            let digest = file.file_name().to_str().and_then(|hex| format!("sha256:{hex}").parse().ok());
            entries.extend(entry(file.path(), digest));
        }
        for kind in fs::read_dir(self.records())? {
            // What is no folder holds no records.
            for file in fs::read_dir(kind?.path()).into_iter().flatten() {
                entries.extend(entry(file?.path(), None));
            }
        }
        Ok(entries)
    }
}

/// What is at `path`; `None` when it is gone, or no file.
fn entry(path: PathBuf, digest: Option<Digest>) -> Option<Entry> {
    let metadata = fs::symlink_metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
    Some(Entry { path, digest, size: metadata.len(), used: metadata.modified().ok()? })
}

/// The entries that have to go so that the others have at most `limit` bytes: those that were not used for longest.
pub(super) fn oldest(mut entries: Vec<Entry>, limit: u64, in_use: &dyn Fn(&Entry) -> bool) -> Vec<Entry> {
    let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
    entries.retain(|entry| !in_use(entry));
    entries.sort_by(|left, right| (left.used, &left.path).cmp(&(right.used, &right.path)));
    let mut oldest = Vec::new();
    for entry in entries {
        if total <= limit {
            break;
        }
        total -= entry.size;
        oldest.push(entry);
    }
    oldest
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn entry(name: &str, size: u64, used: u64) -> Entry {
        Entry { path: name.into(), digest: None, size, used: UNIX_EPOCH + Duration::from_secs(used) }
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let entries = || {
            vec![entry("new", 10, 9), entry("old", 10, 1), entry("used", 10, 0), entry("b", 10, 5), entry("a", 10, 5)]
        };
        for (limit, expected) in [
            (50, &[][..]),
            (49, &["old"]),
            (40, &["old"]),
            (39, &["old", "a"]),
            (29, &["old", "a", "b"]),
            (10, &["old", "a", "b", "new"]),
            (0, &["old", "a", "b", "new"]),
        ] {
            let oldest = oldest(entries(), limit, &|entry| entry.path.ends_with("used"));
            let names: Vec<String> = oldest.iter().map(|entry| entry.path.display().to_string()).collect();
            assert_eq!(names, expected, "{limit}");
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn age(path: &std::path::Path, hours: u64) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_hours(hours)).unwrap();
    }

    #[test]
    fn a_blob_goes_with_its_records_and_one_in_use_stays() {
        let (folder, store) = store();
        let [old, kept] = [&b"old"[..], b"kept"].map(|bytes| store.put("", bytes).unwrap());
        for (key, blob) in [(&b"1"[..], &old), (b"2", &kept)] {
            store.set_record(super::super::OWN_LAYER, &Digest::of(key), &(blob, "inside")).unwrap();
        }
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        for blob in [&old, &kept] {
            age(&store.blob_path(&blob.digest), 48);
        }
        assert!(store.has(&kept.digest, kept.size));
        let total: u64 = store.entries().unwrap().iter().map(|entry| entry.size).sum();
        let evicted = store.keep_within(total - 1).unwrap().unwrap();
        assert_eq!(evicted.files, 2);
        assert!(!store.has(&old.digest, old.size) && store.has(&kept.digest, kept.size));
        assert_eq!(store.records_of(super::super::OWN_LAYER).len(), 1);
        // Not even with no space at all.
        age(&folder.path().join(LOOKED), 2);
        store.keep_within(0).unwrap().unwrap();
        assert!(store.has(&kept.digest, kept.size));
    }

    #[test]
    fn it_is_looked_once_an_hour_and_never_while_others_use_the_store() {
        let (folder, store) = store();
        let other = Store::open(folder.path()).unwrap();
        assert_eq!(store.keep_within(0).unwrap(), None);
        drop(other);
        assert_eq!(store.keep_within(0).unwrap(), Some(Evicted::default()));
        assert_eq!(store.keep_within(0).unwrap(), None);
        store.usage.stored_for_tests(MUCH + 1);
        assert_eq!(store.keep_within(0).unwrap(), Some(Evicted::default()));
    }

    #[test]
    fn a_use_is_marked_on_disk() {
        let (folder, store) = store();
        let blob = store.put("", b"blob").unwrap();
        let path = store.blob_path(&blob.digest);
        age(&path, 48);
        let before = path.metadata().unwrap().modified().unwrap();
        // This run put it there, and has marked it.
        assert!(store.has(&blob.digest, blob.size));
        assert_eq!(path.metadata().unwrap().modified().unwrap(), before);
        assert!(Store::open(folder.path()).unwrap().has(&blob.digest, blob.size));
        assert!(path.metadata().unwrap().modified().unwrap() > before);
    }
}
