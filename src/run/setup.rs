//! What a build has to find before its first call is put there: folders, scripts, copies of the project.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::c_program::Setup;
use crate::exec::Children;

use super::error::Error;
use super::source_copy::Copy;

/// What is put behind the name of a folder for the file that holds its key.
const KEY: &str = "key";

/// Puts everything there.
///
/// # Errors
/// When something cannot be read or written.
pub fn prepare(setup: &[Setup], children: &Children) -> Result<(), Error> {
    for entry in setup {
        let (path, result) = match entry {
            Setup::Folder { path } => (path, fs::create_dir_all(path)),
            Setup::EmptyFolder { path } => (path, empty(path)),
            Setup::KeyedFolder { path, key, programs } => (path, keyed(path, key, programs)),
            Setup::NoFile { path } => (path, absent(path)),
            Setup::File { path, text, executable } => (path, write(path, text, *executable)),
            Setup::Copy { from, to, without, ignored } => {
                let copy = Copy { from, to, without: without.as_deref(), ignored: *ignored };
                (to, copy.make(children))
            }
        };
        result.map_err(|source| Error::Write { path: path.clone(), source })?;
    }
    Ok(())
}

/// Makes the folder of ours in a project. It must never show in `git status`, or Go would stamp the build as modified: its
/// `.gitignore` comes first.
///
/// # Errors
/// When it cannot be written.
pub fn own_folder(folder: &Path) -> Result<(), Error> {
    let written = |source| Error::Write { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(written)?;
    let ignore = folder.join(".gitignore");
    if !ignore.is_file() {
        fs::write(&ignore, "*\n").map_err(written)?;
    }
    Ok(())
}

/// Makes a folder that holds nothing.
pub(super) fn empty(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(path)
}

fn absent(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Empties a folder that was made with another key, or by programs that have changed since.
fn keyed(path: &Path, key: &str, programs: &[PathBuf]) -> io::Result<()> {
    let file = path.with_extension(KEY);
    let mut text = format!("{key}\n");
    for program in programs {
        let found = fs::canonicalize(program).and_then(|found| Ok((fs::metadata(&found)?, found)));
        // One that is not there is said when it is called.
        if let Ok((metadata, found)) = found {
            let (size, time) = (metadata.len(), metadata.mtime());
            let line = format!("{} {size} {time}.{}\n", found.display(), metadata.mtime_nsec());
            text.push_str(&line);
        }
    }
    if path.is_dir() && fs::read_to_string(&file).is_ok_and(|known| known == text) {
        return Ok(());
    }
    // While it is being emptied it has no key.
    absent(&file)?;
    empty(path)?;
    write(&file, &text, false)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_emptied_when_its_key_or_a_program_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (build, compiler) = (folder.path().join("build"), folder.path().join("zig"));
        fs::write(&compiler, "1").unwrap();
        let prepare = |key: &str| {
            let entry = Setup::KeyedFolder { path: build.clone(), key: key.into(), programs: vec![compiler.clone()] };
            prepare(&[entry], &Children::default()).unwrap();
            let kept = build.join("main.o").exists();
            fs::write(build.join("main.o"), "").unwrap();
            kept
        };
        assert!(!prepare("a"));
        assert!(prepare("a"));
        assert!(!prepare("b"));
        assert!(prepare("b"));
        fs::write(&compiler, "another").unwrap();
        assert!(!prepare("b"));
    }
}
