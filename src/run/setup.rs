//! What a build has to find before its first call is put there: folders, scripts, copies of the project.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;

use crate::c_program::Setup;

use super::error::Error;

/// The list of what a copy holds, beside the copy: what left the project since then leaves the copy too.
const LIST: &str = "copied";

/// Puts everything there.
///
/// # Errors
/// When something cannot be read or written.
pub fn prepare(setup: &[Setup]) -> Result<(), Error> {
    for entry in setup {
        let (path, result) = match entry {
            Setup::Folder { path } => (path, fs::create_dir_all(path)),
            Setup::EmptyFolder { path } => (path, empty(path)),
            Setup::File { path, text, executable } => (path, write(path, text, *executable)),
            Setup::Copy { from, to } => (to, copy(from, to)),
        };
        result.map_err(|source| Error::Write { path: path.clone(), source })?;
    }
    Ok(())
}

fn empty(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(path)
}

/// Two programs of one platform may write the same script at once, so it appears whole.
fn write(path: &Path, text: &str, executable: bool) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = crate::store::beside(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    let mode = if executable { 0o755 } else { 0o644 };
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Copies what is new or changed, with its time, so that a Makefile builds only that again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let list = to.with_file_name(LIST);
    let before: BTreeSet<PathBuf> = fs::read_to_string(&list).unwrap_or_default().lines().map(PathBuf::from).collect();
    let mut files = BTreeSet::new();
    walk(from, Path::new(""), &mut files)?;
    for gone in before.difference(&files) {
        match fs::remove_file(to.join(gone)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for file in &files {
        copy_file(&from.join(file), &to.join(file))?;
    }
    let lines: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    write(&list, &lines.join("\n"), false)
}

/// Files and links below `root`, without what git and we keep there.
fn walk(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if below.as_os_str().is_empty() && [".git", ".anyarch"].iter().any(|own| path == Path::new(own)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let there = fs::symlink_metadata(from)?;
    let here = fs::symlink_metadata(to).ok();
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if there.is_symlink() {
        let target = fs::read_link(from)?;
        if fs::read_link(to).is_ok_and(|known| known == target) {
            return Ok(());
        }
        if here.is_some() {
            fs::remove_file(to)?;
        }
        return fs_err::os::unix::fs::symlink(target, to);
    }
    if !there.is_file() {
        return Ok(());
    }
    let modified = there.modified()?;
    let same = |here: &std::fs::Metadata| {
        here.is_file() && here.len() == there.len() && here.modified().is_ok_and(|time: SystemTime| time == modified)
    };
    if here.as_ref().is_some_and(same) {
        return Ok(());
    }
    if here.is_some() {
        fs::remove_file(to)?;
    }
    fs::copy(from, to)?;
    // The build may write where the project is read only.
    fs::set_permissions(to, std::fs::Permissions::from_mode(there.permissions().mode() | 0o600))?;
    fs::File::options().write(true).open(to)?.set_modified(modified)
}
