//! A `.deb` file becomes files in a sysroot (<https://manpages.debian.org/stable/dpkg-dev/deb.5.en.html>): no path and no
//! link leads out of it, no file is a device or runs as another user, and nothing of the package is run.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use fs_err as fs;
use fs_err::os::unix::fs::{OpenOptionsExt as _, symlink};
use lzma_rust2::XzReader;
use tar::EntryType;

use super::{DebianError, XZ_MEMORY};
use crate::debian::{Place, link_target, place};

/// Unpacks the file `path`, the package `package`, into the folder `root`.
pub(super) fn unpack(path: &Path, package: &str, root: &Path) -> Result<(), DebianError> {
    let broken = |source| DebianError::Package { package: package.to_owned(), source };
    let root = fs::canonicalize(root).map_err(|source| DebianError::Disk { path: root.to_owned(), source })?;
    let file = fs::File::open(path).map_err(|source| DebianError::Disk { path: path.to_owned(), source })?;
    let mut archive = ar::Archive::new(io::BufReader::with_capacity(1 << 16, file));
    while let Some(member) = archive.next_entry() {
        let member = member.map_err(broken)?;
        let name = String::from_utf8_lossy(member.header().identifier()).trim_end_matches('/').to_owned();
        let files: Box<dyn Read + '_> = match name.strip_prefix("data.tar") {
            None => continue,
            Some("") => Box::new(member),
            Some(".gz") => Box::new(GzDecoder::new(member)),
            Some(".xz") => Box::new(XzReader::new_mem_limit(member, true, XZ_MEMORY)),
            Some(_) => return Err(DebianError::Compression { package: package.to_owned(), member: name }),
        };
        return Unpacking { package, root: &root }.files(files);
    }
    Err(broken(io::Error::new(io::ErrorKind::InvalidData, "it has no `data.tar`")))
}

/// Lets everyone read what a temporary folder would keep to its owner.
pub(super) fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

struct Unpacking<'unpacking> {
    package: &'unpacking str,
    root: &'unpacking Path,
}

impl Unpacking<'_> {
    fn files(&self, files: Box<dyn Read + '_>) -> Result<(), DebianError> {
        let mut archive = tar::Archive::new(files);
        for entry in archive.entries().map_err(|source| self.broken(source))? {
            let mut entry = entry.map_err(|source| self.broken(source))?;
            let path = self.text(&entry.path_bytes())?;
            let to = match place(self.package, &path) {
                Place::At(to) => to,
                Place::Nowhere => continue,
                Place::Outside => return Err(DebianError::Outside { package: self.package.to_owned(), path }),
            };
            match entry.header().entry_type() {
                EntryType::Directory => self.make_folder(&self.root.join(to))?,
                EntryType::Regular | EntryType::Continuous => {
                    let executable = entry.header().mode().map_err(|source| self.broken(source))? & 0o100 != 0;
                    self.write(&to, executable, &mut entry)?;
                }
                EntryType::Symlink => {
                    let target = self.text(&entry.link_name_bytes().unwrap_or_default())?;
                    self.link(&to, &link_target(self.package, &path, &target))?;
                }
                EntryType::Link => {
                    let target = self.text(&entry.link_name_bytes().unwrap_or_default())?;
                    self.hard_link(&to, &target)?;
                }
                // Devices and pipes: no compiler reads them.
                _ => {}
            }
        }
        Ok(())
    }

    fn broken(&self, source: io::Error) -> DebianError {
        DebianError::Package { package: self.package.to_owned(), source }
    }

    fn text(&self, bytes: &[u8]) -> Result<String, DebianError> {
        String::from_utf8(bytes.to_vec())
            .map_err(|error| self.broken(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Where an entry is written: its folder is made, and is inside the sysroot after all links; what was there goes.
    fn room(&self, to: &str) -> Result<PathBuf, DebianError> {
        let path = self.root.join(to);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(DebianError::Outside { package: self.package.to_owned(), path: to.to_owned() });
        };
        self.make_folder(parent)?;
        let disk = |source| DebianError::Disk { path: path.clone(), source };
        let real = fs::canonicalize(parent).map_err(disk)?;
        if !real.starts_with(self.root) {
            return Err(DebianError::Outside { package: self.package.to_owned(), path: to.to_owned() });
        }
        let path = real.join(name);
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_dir() => {
                Err(DebianError::Clash { package: self.package.to_owned(), path: to.to_owned() })
            }
            Ok(_) => fs::remove_file(&path).map(|()| path.clone()).map_err(disk),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
            Err(error) => Err(disk(error)),
        }
    }

    fn make_folder(&self, path: &Path) -> Result<(), DebianError> {
        fs::create_dir_all(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => DebianError::Clash {
                package: self.package.to_owned(),
                path: path.strip_prefix(self.root).unwrap_or(path).display().to_string(),
            },
            _ => DebianError::Disk { path: path.to_owned(), source },
        })
    }

    fn write(&self, to: &str, executable: bool, contents: &mut impl Read) -> Result<(), DebianError> {
        let path = self.room(to)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let disk = |source| DebianError::Disk { path: path.clone(), source };
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(disk)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            // What fails to be read and what fails to be written are different troubles.
            let length = contents.read(&mut buffer).map_err(|source| self.broken(source))?;
            if length == 0 {
                return Ok(());
            }
            io::Write::write_all(&mut file, &buffer[..length]).map_err(disk)?;
        }
    }

    /// Makes a relative link to `target`, a path below the sysroot's folder: it goes up to that folder, by as many steps
    /// as there are real folders above it, and down from there; so no link leads out.
    fn link(&self, to: &str, target: &str) -> Result<(), DebianError> {
        let path = self.room(to)?;
        let inside = path.strip_prefix(self.root).unwrap_or(&path);
        let own: Vec<_> = inside.parent().into_iter().flat_map(Path::components).collect();
        let target: Vec<_> = Path::new(target).components().collect();
        let same = own.iter().zip(&target).take_while(|(one, other)| one == other).count();
        let mut relative: PathBuf = own[same..].iter().map(|_| "..").collect();
        relative.extend(&target[same..]);
        if relative.as_os_str().is_empty() {
            relative.push(".");
        }
        symlink(relative, &path).map_err(|source| DebianError::Disk { path: path.clone(), source })
    }

    fn hard_link(&self, to: &str, target: &str) -> Result<(), DebianError> {
        let Place::At(target) = place(self.package, target) else {
            return Err(DebianError::Outside { package: self.package.to_owned(), path: target.to_owned() });
        };
        let path = self.room(to)?;
        let disk = |source| DebianError::Disk { path: path.clone(), source };
        let source = fs::canonicalize(self.root.join(&target)).map_err(disk)?;
        if !source.starts_with(self.root) {
            return Err(DebianError::Outside { package: self.package.to_owned(), path: target });
        }
        fs::hard_link(source, &path).map_err(disk)
    }
}
