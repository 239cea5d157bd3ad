//! The files of an image layout: in a folder, or in a tar of one, which is read where it lies.

use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::blob::Digest;

/// How far a tar is walked for the place of a file; layouts have some dozens of files.
const MEMBERS: usize = 100_000;

/// The files of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Files {
    /// in this folder
    Folder(PathBuf),
    /// in this tar
    Archive(PathBuf),
}

impl Files {
    /// Opens the file at `path`, which is relative to the layout.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub(super) fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Folder(folder) => Ok(Box::new(BufReader::with_capacity(1 << 17, fs::File::open(folder.join(path))?))),
            Self::Archive(archive) => {
                let (start, size) = member(archive, path)?;
                let mut file = fs::File::open(archive)?;
                file.seek(SeekFrom::Start(start))?;
                Ok(Box::new(BufReader::with_capacity(1 << 17, file).take(size)))
            }
        }
    }

    /// Reads a small file, at most one byte more than `most`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn read(&self, path: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Where a blob is in a layout.
pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Where a member of an archive begins, and its length.
fn member(archive: &Path, wanted: &str) -> io::Result<(u64, u64)> {
    let mut found = None;
    members(&fs::File::open(archive)?, |path, start, size| {
        if path == wanted.as_bytes() {
            found = Some((start, size));
        }
        found.is_none()
    })?;
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("`{}` has no file `{wanted}`", archive.display()));
    found.ok_or_else(missing)
}

/// Walks the files of an archive, each with its path, where it begins, and its length in bytes, until `next` says that it
/// has seen enough.
///
/// # Errors
/// When the archive is none, or cannot be read.
pub(crate) fn members(archive: &fs::File, mut next: impl FnMut(&[u8], u64, u64) -> bool) -> io::Result<()> {
    let mut tar = tar::Archive::new(BufReader::new(archive));
    for entry in tar.entries_with_seek()?.take(MEMBERS) {
        let entry = entry?;
        let path = entry.path_bytes();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        if entry.header().entry_type().is_file() && !next(path, entry.raw_file_position(), entry.size()) {
            break;
        }
    }
    Ok(())
}
