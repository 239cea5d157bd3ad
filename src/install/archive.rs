//! A wheel or a module's zip becomes a folder with the modes that its programs need.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fs_err as fs;
use zip::ZipArchive;
use zip::read::ZipFile;

use super::{InstallError, Progress, Told};
use crate::toolchain::{Download, HostFile};

/// Bytes that are written at a time.
const CHUNK: usize = 1 << 16;

/// What is unpacked, and whereto.
pub(super) struct Job {
    pub(super) archive: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) download: Download,
    pub(super) file: HostFile,
    /// set when nobody waits any more
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) told: Told,
}

impl Job {
    /// Unpacks everything into a folder that holds nothing else, and makes sure that the program is in it.
    pub(super) fn run(&self) -> Result<(), InstallError> {
        let written = |source| InstallError::written(&self.folder, 0, source);
        if self.folder.exists() {
            // What a run that was killed left.
            fs::remove_dir_all(&self.folder).map_err(written)?;
        }
        fs::create_dir_all(&self.folder).map_err(written)?;
        let read = |source| InstallError::Read { path: self.archive.clone(), source };
        let mut archive = ZipArchive::new(io::BufReader::new(fs::File::open(&self.archive).map_err(read)?))
            .map_err(|error| self.broken(error))?;
        let mut size = 0;
        for index in 0..archive.len() {
            size += archive.by_index_raw(index).map_err(|error| self.broken(error))?.size();
        }
        (self.told)(Progress::Unpacking { size });
        let mut done = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| self.broken(error))?;
            self.entry(&mut entry, size, &mut done)?;
        }
        let program = self.folder.join(&self.download.program);
        let is_program =
            |path: &Path| fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
        if is_program(&program) {
            return Ok(());
        }
        Err(InstallError::NoProgram { file: self.file.file.clone(), program: self.download.program.clone() })
    }

    fn broken(&self, error: zip::result::ZipError) -> InstallError {
        InstallError::Archive { file: self.file.file.clone(), source: Box::new(error) }
    }

    fn entry<R: io::Read>(&self, entry: &mut ZipFile<'_, R>, size: u64, done: &mut u64) -> Result<(), InstallError> {
        let named = entry.name().ok().map(|name| PathBuf::from(&*name));
        let path = named.filter(|path| is_inside(path) && !entry.is_symlink());
        let place = path.as_deref().and_then(|path| self.download.place(&self.file, path));
        let (Some(place), false) = (place, entry.is_dir()) else {
            return match path {
                // A folder is made for what is in it.
                Some(_) if entry.is_dir() => Ok(()),
                _ => Err(InstallError::Entry {
                    file: self.file.file.clone(),
                    entry: String::from_utf8_lossy(entry.name_raw()).into_owned(),
                }),
            };
        };
        let target = self.folder.join(&place);
        let executable = self.download.is_executable(&place, entry.unix_mode());
        let written = |done: u64| move |source| InstallError::written(&self.folder, size.saturating_sub(done), source);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(written(*done))?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&target).map_err(written(*done))?;
        let mut buffer = vec![0; CHUNK];
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                return Err(InstallError::Interrupted);
            }
            // A file that does not have its checksum ends in an error of reading.
            let read = entry.read(&mut buffer).map_err(|error| self.broken(error.into()))?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).map_err(written(*done))?;
            *done += read as u64;
            (self.told)(Progress::Bytes(*done));
        }
        let mode = if executable { 0o755 } else { 0o644 };
        file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(written(*done))
    }
}

/// True for a path that stays where it is put.
fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_))) && path.components().next().is_some()
}
