//! A folder of the store for something that is never finished, and goes when nobody needs it any more.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{Store, StoreError};

/// A folder that nobody else may enter, and that is removed with all that is in it when the value is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Store {
    /// Makes a folder among the unfinished files of this run.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        self.unfinished_folder().map(Scratch).map_err(|error| self.failed(error))
    }
}

impl Scratch {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is swept by a later run.
        let _ = remove_folder(&self.0);
    }
}

/// Removes a folder and all that is in it, however deep and whatever its modes. What is deep is first put beside what is
/// flat: so neither paths nor the stack get longer, and no number of open folders is needed.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    let mut number = 0_u64;
    open(folder)?;
    loop {
        let mut left = false;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            left = true;
            open(&entry.path())?;
            for inner in fs::read_dir(entry.path())? {
                let inner = inner?;
                if !inner.file_type()?.is_dir() {
                    fs::remove_file(inner.path())?;
                    continue;
                }
                // Who moves a folder changes it.
                open(&inner.path())?;
                number += 1;
                let beside = folder.join(format!(".removed-{number}"));
                // The name may be taken, by something of the same name in what is removed.
                if fs::symlink_metadata(&beside).is_err() {
                    fs::rename(inner.path(), beside)?;
                }
            }
            // What did not get a place beside it has one in the next round.
            match fs::remove_dir(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => return Err(error),
                _ => {}
            }
        }
        if !left {
            return fs::remove_dir(folder);
        }
    }
}

/// Lets us into a folder of ours.
fn open(folder: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(folder)?.permissions().mode();
    if mode & 0o700 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_it_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let scratch = store.scratch().unwrap();
        let folder = scratch.path().to_owned();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let closed = folder.join("closed/inner");
        fs::create_dir_all(&closed).unwrap();
        fs::write(closed.join("file"), "text").unwrap();
        std::os::unix::fs::symlink("/", closed.join("link")).unwrap();
        fs::create_dir_all(folder.join(".removed-1/.removed-2/.removed-3")).unwrap();
        for closed in [closed, folder.join("closed")] {
            fs::set_permissions(closed, std::fs::Permissions::from_mode(0o000)).unwrap();
        }
        // Deeper than any path is long.
        let mut top = folder.join("deep");
        fs::create_dir(&top).unwrap();
        for _ in 0..3000 {
            let outer = folder.join("outer");
            fs::create_dir(&outer).unwrap();
            fs::rename(&top, outer.join("d")).unwrap();
            top = folder.join("deep");
            fs::rename(&outer, &top).unwrap();
        }
        drop(scratch);
        assert!(!folder.exists());
        assert_eq!(fs::read_dir(store.temporary()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_that_ends_takes_it_along() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let scratch = store.scratch().unwrap();
        fs::create_dir(scratch.path().join("inner")).unwrap();
        store.abandon();
        assert!(!scratch.path().exists());
        assert!(store.scratch().is_err());
    }
}
