//! What was added to the base as files in a folder. What else is in the folder stays.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;

use super::{Bundle, SinkError, added, unfinished};
use crate::store::Store;
use crate::wanted::Wanted;

/// What the owner of a folder may always do with it, or nobody could ever remove it.
const OWNER: u32 = 0o700;

/// Something that is no folder, or no file, where one is to be.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is {} in the way", path.display(), if *is_folder { "a folder that is" } else { "no folder and" })]
pub struct InTheWay {
    path: PathBuf,
    is_folder: bool,
}

/// Holds the place of the files to be free, or a folder.
///
/// # Errors
/// When something else is there.
pub fn check(folder: &Path) -> Result<(), SinkError> {
    match fs::metadata(folder) {
        Ok(metadata) if !metadata.is_dir() => Err(SinkError::NotAFolder { path: folder.to_owned() }),
        _ => Ok(()),
    }
}

/// Writes what `bundle` adds to its bases into `folder`, each file at once, as long as that is `wanted`.
///
/// # Errors
/// When something else is in the way, two platforms have one file, it cannot be written, or is no longer wanted: what was
/// in the folder is then as it was, unless the file system failed midway.
pub fn write(
    bundle: &Bundle,
    store: &Store,
    folder: &Path,
    split: Option<bool>,
    wanted: &Wanted,
) -> Result<(), SinkError> {
    check(folder)?;
    let put = || -> io::Result<()> {
        // What a link leads to is filled.
        let folder = &fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        fs::create_dir_all(unfinished::parent_of(folder))?;
        let fresh = unfinished::folder(folder)?;
        unpack(bundle, store, fresh.path(), split, wanted)?;
        fs::create_dir_all(folder)?;
        find_in_the_way(fresh.path(), folder)?;
        wanted.check()?;
        merge(fresh.path(), folder)
    };
    put().map_err(|source| SinkError::of(folder, source))
}

fn unpack(bundle: &Bundle, store: &Store, folder: &Path, split: Option<bool>, wanted: &Wanted) -> io::Result<()> {
    let mut folders: Vec<(PathBuf, u32)> = Vec::new();
    added::each(bundle, store, split, &mut |path, entry| {
        wanted.check()?;
        let path = folder.join(path);
        if entry.header().entry_type().is_dir() {
            folders.push((path.clone(), entry.header().mode()? | OWNER));
            return fs::create_dir_all(path);
        }
        fs::create_dir_all(unfinished::parent_of(&path))?;
        // Its own way to keep the time makes 1970 a second younger.
        entry.set_preserve_mtime(false);
        entry.unpack(&path)?;
        let header = entry.header();
        if header.entry_type().is_file() {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(header.mtime()?);
            fs::File::open(&path)?.file().set_modified(time)?;
        }
        Ok(())
    })?;
    for (path, mode) in folders {
        fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o777))?;
    }
    Ok(())
}

/// Looks for what keeps the files of `from` out of `to`, before any is moved.
fn find_in_the_way(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (target, is_folder) = (to.join(entry.file_name()), entry.file_type()?.is_dir());
        let there = match fs::symlink_metadata(&target) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // A link to a folder leads who knows where.
        if there.is_dir() != is_folder {
            return Err(io::Error::other(InTheWay { path: target, is_folder: there.is_dir() }));
        }
        if is_folder {
            find_in_the_way(&entry.path(), &target)?;
        }
    }
    Ok(())
}

fn merge(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() && target.is_dir() {
            merge(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), target)?;
        }
    }
    Ok(())
}
