//! The files of a layout, opened by their names: in a folder step by step and never by way of a link, in a tar where they lie.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::limits::Permit;
use super::source::Place;
use crate::base::files;

/// Where the files of a layout are looked for.
pub(super) enum Root {
    /// this folder, whatever it is called by now
    Folder(OwnedFd),
    /// this tar: the paths in it with where they begin and how long they are
    Archive(Arc<std::fs::File>, BTreeMap<Vec<u8>, (u64, u64)>),
}

/// Some content that is open: it stays what it is when its layout is replaced.
#[derive(Clone)]
pub(super) struct Opened {
    file: Arc<std::fs::File>,
    start: u64,
    /// its length in bytes
    pub(super) size: u64,
    /// what keeps the number of open files within its bounds
    _permit: Option<Arc<Permit>>,
}

impl Root {
    /// Opens a layout. A link that leads to it is followed: that is how its owner calls it.
    ///
    /// # Errors
    /// When it is not there, cannot be opened, or is no tar.
    pub(super) fn open(place: &Place) -> io::Result<Self> {
        match place {
            Place::Folder(folder) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Ok(Self::Folder(rustix::fs::open(folder, flags, Mode::empty())?))
            }
            Place::Archive(archive) => {
                let file = fs::File::open(archive)?;
                let (length, mut members) = (file.metadata()?.len(), BTreeMap::new());
                files::members(&file, |path, start, size| {
                    if start.checked_add(size).is_some_and(|end| end <= length) {
                        // As everywhere: the first of two members of one name.
                        members.entry(path.to_vec()).or_insert((start, size));
                    }
                    true
                })?;
                Ok(Self::Archive(Arc::new(file.into_parts().0), members))
            }
        }
    }

    /// Opens the file that these names lead to.
    ///
    /// # Errors
    /// When there is none, it is no file, or one of the names is that of a link.
    pub(super) fn find(&self, names: &[&str]) -> io::Result<Opened> {
        match self {
            Self::Folder(folder) => {
                let file = open_below(folder, names)?;
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
                }
                Ok(Opened { file: Arc::new(file), start: 0, size: metadata.len(), _permit: None })
            }
            Self::Archive(file, members) => {
                let found = members.get(names.join("/").as_bytes());
                let (start, size) = *found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
                Ok(Opened { file: file.clone(), start, size, _permit: None })
            }
        }
    }

    /// Whether each open content is a file of its own.
    pub(super) fn opens_files(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

/// Opens a file below a folder, each step on the way by itself: a name is never a path, and a link leads nowhere.
fn open_below(folder: &OwnedFd, names: &[&str]) -> io::Result<std::fs::File> {
    let Some((last, before)) = names.split_last() else { return Err(io::ErrorKind::NotFound.into()) };
    // What is no file must not make us wait for somebody who writes to it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut at: Option<OwnedFd> = None;
    let open = |at: &Option<OwnedFd>, name: &str, flags| {
        let opened = rustix::fs::openat(at.as_ref().unwrap_or(folder), name, flags, Mode::empty());
        opened.map_err(|error| match error {
            Errno::LOOP => io::Error::other("it is a link, and links in a layout are not followed"),
            error => error.into(),
        })
    };
    for name in before {
        at = Some(open(&at, name, flags | OFlags::DIRECTORY)?);
    }
    Ok(open(&at, last, flags)?.into())
}

impl Opened {
    /// The same, counted among the files that are kept open.
    pub(super) fn kept(self, permit: Permit) -> Self {
        Self { _permit: Some(Arc::new(permit)), ..self }
    }

    /// Reads what follows the first `at` bytes, as much of it as there is room for; nothing at the end, or where the file was
    /// cut short.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if at >= self.size {
            return Ok(0);
        }
        let left = usize::try_from(self.size - at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        self.file.read_at(&mut buffer[..length], self.start + at)
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// When it is longer than `most` bytes, or cannot be read to its end.
    pub(super) fn read(&self, most: u64) -> io::Result<Vec<u8>> {
        let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {most} bytes"));
        let size = usize::try_from(self.size).ok().filter(|_| self.size <= most).ok_or_else(too_long)?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, self.start)?;
        Ok(bytes)
    }
}

/// What changes whenever a layout does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp([i128; 5]);

impl Stamp {
    /// Looks at a layout.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn of(place: &Place) -> io::Result<Self> {
        let metadata = match place {
            Place::Folder(folder) => fs::symlink_metadata(folder.join(INDEX))?,
            Place::Archive(archive) => fs::metadata(archive)?,
        };
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Ok(Self([
            metadata.dev().into(),
            metadata.ino().into(),
            metadata.size().into(),
            time(metadata.mtime(), metadata.mtime_nsec()),
            time(metadata.ctime(), metadata.ctime_nsec()),
        ]))
    }
}

/// Where a layout says what it holds.
pub(super) const INDEX: &str = "index.json";

/// True for a folder that looks like a layout.
pub(super) fn is_layout(folder: &Path) -> bool {
    folder.join(INDEX).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_lead_to_files_of_the_folder_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, path) = (folder.path().join("layout"), |name: &str| folder.path().join("layout").join(name));
        std::fs::create_dir_all(path("blobs/sha256")).unwrap();
        std::fs::create_dir_all(path("blobs/folder")).unwrap();
        std::fs::write(path("blobs/sha256/a"), "abc").unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        symlink("../../../secret", path("blobs/sha256/out")).unwrap();
        symlink("a", path("blobs/sha256/in")).unwrap();
        symlink("sha256", path("blobs/linked")).unwrap();
        let link = folder.path().join("link");
        symlink(&layout, &link).unwrap();
        for place in [&layout, &link] {
            let root = Root::open(&Place::Folder(place.clone())).unwrap();
            assert_eq!(root.find(&["blobs", "sha256", "a"]).unwrap().read(9).unwrap(), b"abc");
            for names in [
                &["blobs", "sha256", "out"][..],
                &["blobs", "sha256", "in"],
                &["blobs", "linked", "a"],
                &["blobs", "sha256"],
                &["blobs", "folder"],
                &["blobs", "sha256", "none"],
                &[],
            ] {
                assert!(root.find(names).is_err(), "{names:?}");
            }
        }
        assert!(Root::open(&Place::Folder(path("blobs/sha256/a"))).is_err());
    }

    #[test]
    fn what_is_open_is_read_within_its_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar");
        let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
        for (name, content) in [("./index.json", "first"), ("blobs/sha256/a", "second"), ("index.json", "third")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
        let root = Root::open(&Place::Archive(path)).unwrap();
        let opened = root.find(&["index.json"]).unwrap();
        assert_eq!(opened.read(5).unwrap(), b"first");
        assert!(opened.read(4).is_err());
        let mut buffer = [0; 100];
        for (at, expected) in [(0, "first"), (3, "st"), (5, ""), (u64::MAX, "")] {
            let length = opened.read_at(at, &mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes(), "{at}");
        }
        assert_eq!(root.find(&["blobs", "sha256", "a"]).unwrap().read(9).unwrap(), b"second");
    }
}
