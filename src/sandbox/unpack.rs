//! A layer becomes files below the root of this process, over those of the layers before it: whiteouts remove, links are
//! followed as the kernel follows them here, devices are left out. Rules:
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>; where it is silent, what containerd does.
//!
//! Everything belongs to us, whoever it belongs to in the layer: there is nobody else here. Nothing gets setuid.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use nix::sys::stat::Mode;
use nix::unistd;
use tar::EntryType;

use super::mounts::OURS;
use super::protocol::Failure;
use crate::listing::{Archive, Limits, ListingError, Member, damaged, failed, unpacked};

/// Bytes of all files of an image; the largest images known have a tenth.
const MOST: u64 = 128 << 30;
/// `PATH_MAX` of Linux.
const LONGEST_PATH: usize = 4096;

/// Unpacks layers, one over the other.
pub(super) struct Unpacker {
    /// the root; `/` but in tests
    root: PathBuf,
    left: u64,
    layers: usize,
    /// files that are stored as sparse ones, which are left out
    pub(super) sparse: Vec<PathBuf>,
}

/// Why a layer is not unpacked.
#[derive(Debug)]
enum Trouble {
    /// the layer is not as it should be
    Layer(ListingError),
    /// its place cannot be written to
    Write(io::Error),
}

impl From<ListingError> for Trouble {
    fn from(error: ListingError) -> Self {
        Self::Layer(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl Unpacker {
    /// Nothing is below `root` yet but mounts.
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), left: MOST, layers: 0, sparse: Vec::new() }
    }

    /// Unpacks the next layer: a tar, alone or in gzip or zstd, in a blob of so many bytes.
    pub(super) fn layer(&mut self, blob: impl Read, size: u64) -> Result<(), Failure> {
        let position = self.layers;
        self.layers += 1;
        let mut at = PathBuf::new();
        self.unpack(blob, size, &mut at).map_err(|trouble| match trouble {
            Trouble::Layer(error) => {
                let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                Failure::Layer { position, text: format!("{error}{reason}") }
            }
            Trouble::Write(error) => Failure::write(&Path::new("/").join(at), &error),
        })
    }

    /// Unpacks a layer; `at` is where that stands.
    fn unpack(&mut self, blob: impl Read, size: u64, at: &mut PathBuf) -> Result<(), Trouble> {
        let limits = Limits::of(size);
        let mut archive = Archive::new(unpacked(blob, limits.stream)?);
        let mut made = Made::default();
        let mut entries = 0;
        while let Some(member) = archive.next()? {
            entries += 1;
            if entries > limits.entries {
                return Err(ListingError::TooMuch { what: format!("more than {} entries", limits.entries) }.into());
            }
            *at = clean(&member.path)?;
            if !is_ours(at) {
                self.entry(at, &member, &mut archive, &mut made)?;
            }
        }
        Ok(())
    }

    /// The place of a path of the layer. Its folder is made; `None` when something that is there keeps it from being one.
    fn place(&self, path: &Path, made: &mut Made) -> Result<Option<PathBuf>, Trouble> {
        let mut at = self.root.clone();
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut below = PathBuf::new();
        for part in folder.components() {
            at.push(part);
            below.push(part);
            match fs::metadata(&at) {
                Ok(there) if there.is_dir() => continue,
                // A link to what is not there, or in a circle: no engine can put anything there.
                _ if at.is_symlink() => return Ok(None),
                // A folder takes the place of a file.
                Ok(_) => remove(&at)?,
                Err(_) => {}
            }
            fs::create_dir(&at)?;
            made.add(&below);
        }
        if let Some(name) = path.file_name() {
            at.push(name);
        }
        Ok(Some(at))
    }

    fn entry<R: Read>(
        &mut self,
        path: &Path,
        member: &Member,
        archive: &mut Archive<R>,
        made: &mut Made,
    ) -> Result<(), Trouble> {
        let Some(place) = self.place(path, made)? else { return Ok(()) };
        let name = path.file_name().unwrap_or_default().as_bytes();
        if let Some(removed) = name.strip_prefix(b".wh.") {
            let folder = path.parent().unwrap_or(Path::new(""));
            return match removed {
                b".wh..opq" => self.remove_below(&self.root.join(folder), folder, made),
                // What AUFS kept for itself, and what is no name.
                _ if removed.starts_with(b".wh.") || matches!(removed, b"" | b"." | b"..") => Ok(()),
                _ => {
                    let removed = OsStr::from_bytes(removed);
                    self.remove_lower(&place.with_file_name(removed), &folder.join(removed), made)
                }
            };
        }
        // Before there was a type for folders, a slash at the end of the name said it.
        let is_folder =
            member.kind == EntryType::Directory || (member.kind == EntryType::Regular && member.path.ends_with(b"/"));
        if is_folder {
            if !fs::symlink_metadata(&place).is_ok_and(|there| there.is_dir()) {
                remove(&place)?;
                fs::create_dir(&place)?;
            }
            made.add(path);
            return set_mode(&place, member.mode & 0o1777);
        }
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        match member.kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse if member.sparse => {
                self.sparse.push(Path::new("/").join(path));
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                remove(&place)?;
                self.file(&place, member, archive)?;
            }
            EntryType::Symlink => {
                if member.link.len() > LONGEST_PATH {
                    return Err(too_long(&member.link));
                }
                remove(&place)?;
                symlink(OsStr::from_bytes(&member.link), &place)?;
            }
            EntryType::Link => {
                let target = clean(&member.link)?;
                let there = self.root.join(&target);
                if is_ours(&target) || there == place || fs::symlink_metadata(&there).is_err() {
                    return Ok(());
                }
                remove(&place)?;
                fs::hard_link(&there, &place)?;
            }
            EntryType::Fifo => {
                remove(&place)?;
                unistd::mkfifo(&place, Mode::from_bits_truncate(member.mode & 0o777)).map_err(io::Error::from)?;
            }
            // No process without powers can make a device, and volume names and the like are no files.
            _ => return Ok(()),
        }
        made.add(path);
        Ok(())
    }

    fn file<R: Read>(&mut self, place: &Path, member: &Member, archive: &mut Archive<R>) -> Result<(), Trouble> {
        self.left = self.left.checked_sub(member.size).ok_or_else(|| ListingError::TooMuch {
            what: format!("files of more than {MOST} bytes together with the layers below it"),
        })?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(place)?;
        let mut buffer = vec![0; 1 << 16];
        let mut left = member.size;
        while left > 0 {
            match archive.read(&mut buffer) {
                Ok(0) => return Err(damaged("it ends within a file").into()),
                Ok(count) => {
                    left -= count as u64;
                    file.write_all(&buffer[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error).into()),
            }
        }
        set_mode(place, member.mode & 0o777)
    }

    /// Removes what layers below have in a folder.
    fn remove_below(&self, folder: &Path, path: &Path, made: &Made) -> Result<(), Trouble> {
        // Through a link it is another folder's.
        if !fs::symlink_metadata(folder).is_ok_and(|there| there.is_dir()) {
            return Ok(());
        }
        for name in names(folder) {
            let path = path.join(&name);
            if !is_ours(&path) {
                self.remove_lower(&folder.join(&name), &path, made)?;
            }
        }
        Ok(())
    }

    /// Removes what layers below have at a path: of a folder in which this layer has put something only the rest.
    fn remove_lower(&self, place: &Path, path: &Path, made: &Made) -> Result<(), Trouble> {
        if made.has_below(path) {
            return self.remove_below(place, path, made);
        }
        if made.has(path) { Ok(()) } else { remove(place) }
    }
}

/// What the current layer has put where.
#[derive(Default)]
struct Made(BTreeSet<PathBuf>);

impl Made {
    fn add(&mut self, path: &Path) {
        self.0.insert(path.to_owned());
    }

    fn has(&self, path: &Path) -> bool {
        self.0.contains(path)
    }

    /// In the order of paths, what is below one comes right after it.
    fn has_below(&self, path: &Path) -> bool {
        let after = (std::ops::Bound::Excluded(path.to_owned()), std::ops::Bound::Unbounded);
        self.0.range(after).next().is_some_and(|next| next.starts_with(path))
    }
}

/// The names in a folder, which is small enough for them; none where it cannot be read.
fn names(folder: &Path) -> Vec<OsString> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
}

/// Removes whatever is at a path.
fn remove(place: &Path) -> Result<(), Trouble> {
    let removed = match fs::symlink_metadata(place) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(_) => return Ok(()),
    };
    Ok(removed?)
}

fn set_mode(place: &Path, mode: u32) -> Result<(), Trouble> {
    Ok(fs::set_permissions(place, std::fs::Permissions::from_mode(mode))?)
}

/// Whether a path is in a folder of which what an image has there is never seen: engines mount over it, and so did we.
fn is_ours(path: &Path) -> bool {
    path.components().next().is_some_and(|first| OURS.iter().any(|ours| first.as_os_str() == *ours))
}

/// A path without `.`, `..` and slashes that mean nothing, relative to the root.
fn clean(bytes: &[u8]) -> Result<PathBuf, ListingError> {
    if bytes.len() > LONGEST_PATH {
        return Err(ListingError::TooMuch { what: format!("a path of {} bytes", bytes.len()) });
    }
    let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if !cleaned.pop() => {
                return Err(ListingError::Outside { path: path.display().to_string() });
            }
            Component::Normal(part) => cleaned.push(part),
            _ => {}
        }
    }
    Ok(cleaned)
}

fn too_long(link: &[u8]) -> Trouble {
    ListingError::TooMuch { what: format!("a link of {} bytes", link.len()) }.into()
}

#[cfg(test)]
mod tests;
