//! The file to which a login goes, while one process has it: read anew, changed in one place, and put back whole.

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::credential_file::CredentialFile;
use super::credentials::{CredentialError, malformed, parse};
use super::document::Document;
use crate::store;

/// The most links that are followed to the file itself, as many as Linux follows.
const MOST_LINKS: usize = 40;

/// The file, locked: two logins at once lose nothing. docker itself takes no lock.
pub(super) struct LoginFile {
    /// where a link leads, which is what is replaced
    target: PathBuf,
    /// the lock's own file beside it, which goes with us
    lock: PathBuf,
    _held: std::fs::File,
}

impl LoginFile {
    /// Locks `path`; its folder is made, for its owner alone, where it is missing. `waiting` is called when another
    /// process has the lock.
    pub(super) async fn open(path: &Path, waiting: impl Fn()) -> io::Result<Self> {
        let target = resolve(path)?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock = folder.join(name);
        loop {
            let held = store::lock(&lock, &waiting).await?;
            // Whoever had the lock before us took its file away: what we hold then is nameless, and locks nobody out.
            let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
            if fs::metadata(&lock)
                .is_ok_and(|named| held.metadata().is_ok_and(|held| identity(held) == identity(named)))
            {
                return Ok(Self { target, lock, _held: held });
            }
        }
    }

    /// What it says now; a file that is missing says nothing. `path` is what errors call it.
    pub(super) async fn read(&self, path: &Path) -> Result<(CredentialFile, Document), CredentialError> {
        let bytes = super::credentials::read(&self.target).await?.unwrap_or_default();
        let file = parse(path, &bytes)?;
        // Bytes that are JSON are UTF-8, and those that are nothing are.
        let document = Document::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| malformed(path, &error))?;
        Ok((file, document))
    }

    /// Puts the new text in the file's place, for its owner alone to read.
    pub(super) fn write(&self, document: &Document) -> io::Result<()> {
        let mut fresh = store::beside(&self.target)?;
        fresh.write_all(document.print().as_bytes())?;
        if let Ok(metadata) = fs::metadata(&self.target) {
            // Root may log in for another. Who may not give files away writes files of his own.
            let _ = std::os::unix::fs::fchown(fresh.as_file(), Some(metadata.uid()), Some(metadata.gid()));
        }
        fresh.as_file().sync_all()?;
        fresh.persist(&self.target).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Drop for LoginFile {
    fn drop(&mut self) {
        // While the lock is still held. One that stays does no harm.
        let _ = fs::remove_file(&self.lock);
    }
}

/// Where links lead, be there a file or not.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target)),
            // Not a link, or nothing yet.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("there are more than {MOST_LINKS} links before it")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[tokio::test]
    async fn a_link_stays_and_the_lock_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("second", path("first")).unwrap();
        symlink(path("new/config.json"), path("second")).unwrap();
        for (key, mode) in [("a", None), ("b", Some(0o644))] {
            let target = path("new/config.json");
            if let Some(mode) = mode {
                fs::set_permissions(&target, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            let file = LoginFile::open(&path("first"), || ()).await.unwrap();
            let (_, mut document) = file.read(&path("first")).await.unwrap();
            document.set_login(key, None);
            file.write(&document).unwrap();
            drop(file);
            assert!(fs::symlink_metadata(path("first")).unwrap().is_symlink());
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(path("new")).unwrap().permissions().mode() & 0o777, 0o700);
        let left: Vec<_> = fs::read_dir(path("new")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["config.json"]);
        assert_eq!(
            fs::read_to_string(path("new/config.json")).unwrap(),
            "{\n\t\"auths\": {\n\t\t\"a\": {},\n\t\t\"b\": {}\n\t}\n}"
        );
        symlink("ring", path("ring")).unwrap();
        assert!(LoginFile::open(&path("ring"), || ()).await.is_err());
    }
}
