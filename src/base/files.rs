//! The files of an image layout: in a folder, in a tar of one or in an archive of docker's, which are read where they lie.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::docker::DockerFiles;
use crate::blob::Digest;

/// How much is read of a tar from one file's data to the next, in bytes: there are only headers and names.
const BETWEEN: u64 = 64 << 20;
/// How far a tar is walked for the place of a file; layouts have some dozens of files.
const MEMBERS: usize = 100_000;

/// The files of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Files {
    /// in this folder
    Folder(PathBuf),
    /// in this tar
    Archive(PathBuf),
    /// made up, over the members of a tar
    Docker(Arc<DockerFiles>),
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
                Ok(Box::new(section(archive, start, size)?))
            }
            Self::Docker(files) => files.open(path),
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

/// Opens `size` bytes of a file from `start` on.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn section(file: &Path, start: u64, size: u64) -> io::Result<Take<BufReader<fs::File>>> {
    let mut file = fs::File::open(file)?;
    file.seek(SeekFrom::Start(start))?;
    Ok(BufReader::with_capacity(1 << 17, file).take(size))
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// a file
    File {
        /// where its bytes begin
        start: u64,
        /// how many there are
        size: u64,
    },
    /// a link to a path beside it
    Symlink(String),
    /// a link to a path in the archive
    HardLink(String),
}

/// All files and links of an archive by their paths; of two at one path, the later one.
///
/// # Errors
/// When it is no archive, or cannot be read.
pub(super) fn all_members(archive: &Path) -> io::Result<BTreeMap<String, Member>> {
    let file = fs::File::open(archive)?;
    let mut tar = tar::Archive::new(BufReader::new(file));
    let mut members = BTreeMap::new();
    for entry in tar.entries_with_seek()?.take(MEMBERS) {
        let entry = entry?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.strip_prefix(b"./").unwrap_or(bytes)).into_owned();
        let target = || entry.link_name_bytes().map(|target| text(&target)).unwrap_or_default();
        let kind = entry.header().entry_type();
        let member = if kind.is_file() {
            Member::File { start: entry.raw_file_position(), size: entry.size() }
        } else if kind.is_symlink() {
            Member::Symlink(target())
        } else if kind.is_hard_link() {
            Member::HardLink(target())
        } else {
            continue;
        };
        members.insert(text(&entry.path_bytes()), member);
    }
    Ok(members)
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
    let mut tar = tar::Archive::new(BufReader::new(Walked { file: archive, left: BETWEEN }));
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

/// Ends a walk over an archive that goes on through a name: the `tar` crate takes names of any length into memory.
struct Walked<'archive> {
    file: &'archive fs::File,
    left: u64,
}

impl Read for Walked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let too_long = || io::Error::new(io::ErrorKind::InvalidData, "the name of a file in it is longer than any");
        self.left = self.left.checked_sub(read as u64).ok_or_else(too_long)?;
        Ok(read)
    }
}

impl io::Seek for Walked<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.left = BETWEEN;
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_terabyte_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tar");
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_cksum();
        std::fs::write(&path, header.as_bytes()).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
        let error = members(&fs::File::open(&path).unwrap(), |_, _, _| true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
}
