//! A tar reaches its place: a file, which is put there once it is whole, or stdout.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use fs_err as fs;
use tar::{Builder, EntryType, Header};

use super::{SinkError, unfinished};
use crate::wanted::Wanted;

/// Layers are read, and archives are written, in pieces of this many bytes: stdout itself would cut them at each newline.
pub(super) const BUFFER: usize = 1 << 17;
/// What stdout is called in errors.
const STDOUT: &str = "stdout";

/// Puts what `write` writes in the place of `file` once it is whole, as long as that is `wanted`.
///
/// # Errors
/// When it cannot be written, or is no longer wanted; what was there is then still there.
pub(super) fn file(
    file: &Path,
    wanted: &Wanted,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), SinkError> {
    let put = || -> io::Result<()> {
        // As for a layout's folder.
        fs::create_dir_all(unfinished::parent_of(file))?;
        let mut fresh = unfinished::file(file)?;
        let mut out = BufWriter::with_capacity(BUFFER, wanted.only(fresh.as_file_mut()));
        write(&mut out)?;
        out.flush()?;
        drop(out);
        readable(fresh.path())?;
        wanted.check()?;
        fresh.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    put().map_err(|source| SinkError::of(file, source))
}

/// Lets `write` fill stdout, as long as that is `wanted`.
///
/// # Errors
/// When it cannot be written, or nobody waits for it any more.
pub(super) fn stdout(wanted: &Wanted, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), SinkError> {
    let mut stdout = BufWriter::with_capacity(BUFFER, wanted.only(io::stdout().lock()));
    write(&mut stdout).and_then(|()| stdout.flush()).map_err(on_stdout)
}

/// Lets `read` read all that is to fill stdout, which cannot take back what is written.
///
/// # Errors
/// What `read` fails with.
pub(super) fn before_stdout(read: impl FnOnce() -> io::Result<()>) -> Result<(), SinkError> {
    read().map_err(on_stdout)
}

fn on_stdout(source: io::Error) -> SinkError {
    SinkError::of(Path::new(STDOUT), source)
}

/// A temporary file is closed to others; an archive is as open as any file that the user makes.
fn readable(fresh: &Path) -> io::Result<()> {
    let probe = unfinished::mode_of(fresh);
    let permissions = fs::File::create_new(&probe)?.metadata()?.permissions();
    fs::remove_file(&probe)?;
    fs::set_permissions(fresh, permissions)
}

/// Adds a file of `size` bytes to a tar, with nothing of this machine.
pub(super) fn append(tar: &mut Builder<impl Write>, name: &str, size: u64, contents: impl io::Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, contents)
}
