//! An image as an OCI layout in a tar: to a file, or to whatever reads our stdout.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use fs_err as fs;
use rayon::prelude::*;
use tar::{Builder, EntryType, Header};

use super::{Bundle, LAYOUT_VERSION, SinkError, unfinished};
use crate::blob::Descriptor;
use crate::store::Store;
use crate::wanted::Wanted;

/// Layers are read, and the archive is written, in pieces of this many bytes: stdout itself would cut it at each newline.
const BUFFER: usize = 1 << 17;
/// What stdout is called in errors.
const STDOUT: &str = "stdout";

/// Writes `bundle` as the tar `file`, put in place once it is whole, as long as that is `wanted`.
///
/// # Errors
/// When it cannot be written, or is no longer wanted; what was there is then still there.
pub fn write(bundle: &Bundle, tag: &str, store: &Store, file: &Path, wanted: &Wanted) -> Result<(), SinkError> {
    let put = || -> io::Result<()> {
        // As for a layout's folder.
        fs::create_dir_all(unfinished::parent_of(file))?;
        let mut fresh = unfinished::file(file)?;
        stream(bundle, tag, store, BufWriter::with_capacity(BUFFER, wanted.only(fresh.as_file_mut())))?;
        readable(fresh.path())?;
        wanted.check()?;
        fresh.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    put().map_err(|source| SinkError::of(file, source))
}

/// A temporary file is closed to others; an archive is as open as any file that the user makes.
fn readable(fresh: &Path) -> io::Result<()> {
    let probe = unfinished::mode_of(fresh);
    let permissions = fs::File::create_new(&probe)?.metadata()?.permissions();
    fs::remove_file(&probe)?;
    fs::set_permissions(fresh, permissions)
}

/// Reads every layer once, before [`write_to_stdout`], which cannot take back what is written.
///
/// # Errors
/// When a layer is not whole, or that is no longer `wanted`.
pub fn prove(bundle: &Bundle, store: &Store, wanted: &Wanted) -> Result<(), SinkError> {
    let read = |layer: &Descriptor| {
        let blob = store.open_blob(layer).map_err(io::Error::other)?;
        blob.copy_to(&mut wanted.only(io::sink()))
    };
    let proved = bundle.layers().into_par_iter().try_for_each(read);
    proved.map_err(|source| SinkError::of(Path::new(STDOUT), source))
}

/// Writes `bundle` as a tar to stdout, as long as that is `wanted`.
///
/// # Errors
/// When a layer is not whole, stdout cannot be written, or nobody waits for it any more.
pub fn write_to_stdout(bundle: &Bundle, tag: &str, store: &Store, wanted: &Wanted) -> Result<(), SinkError> {
    let place = Path::new(STDOUT);
    let stdout = BufWriter::with_capacity(BUFFER, wanted.only(io::stdout().lock()));
    stream(bundle, tag, store, stdout).map_err(|source| SinkError::of(place, source))
}

/// Writes `bundle` as a tar to `out`: the same bytes for the same image.
fn stream(bundle: &Bundle, tag: &str, store: &Store, out: impl Write) -> io::Result<()> {
    let mut tar = Builder::new(out);
    let mut documents: Vec<_> = bundle.documents().collect();
    documents.sort_by_key(|(descriptor, _)| descriptor.digest);
    documents.dedup_by_key(|(descriptor, _)| descriptor.digest);
    append(&mut tar, "oci-layout", LAYOUT_VERSION.len() as u64, LAYOUT_VERSION)?;
    let index = bundle.layout_index(tag);
    append(&mut tar, "index.json", index.len() as u64, index.as_slice())?;
    for (descriptor, bytes) in documents {
        append(&mut tar, &format!("blobs/sha256/{}", descriptor.digest.hex()), descriptor.size, bytes)?;
    }
    for layer in bundle.layers() {
        let blob = BufReader::with_capacity(BUFFER, store.open_blob(layer).map_err(io::Error::other)?);
        append(&mut tar, &format!("blobs/sha256/{}", layer.digest.hex()), layer.size, blob)?;
    }
    tar.into_inner()?.flush()
}

fn append(tar: &mut Builder<impl Write>, name: &str, size: u64, contents: impl io::Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, contents)
}
