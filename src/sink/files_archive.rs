//! What was added to the base as a tar: to a file, or to whatever reads our stdout.

use std::io::{self, Write};
use std::path::Path;

use tar::Builder;

use super::place;
use super::{Bundle, SinkError, added};
use crate::store::Store;
use crate::wanted::Wanted;

/// Writes what `bundle` adds to its bases as the tar `file`, put in place once it is whole, as long as that is `wanted`.
///
/// # Errors
/// When it cannot be written, two platforms have one file, or it is no longer wanted; what was there is then still there.
pub fn write(
    bundle: &Bundle,
    store: &Store,
    file: &Path,
    split: Option<bool>,
    wanted: &Wanted,
) -> Result<(), SinkError> {
    place::file(file, wanted, |out| stream(bundle, store, split, out))
}

/// Reads everything once, before [`write_to_stdout`], which cannot take back what is written.
///
/// # Errors
/// When a layer is not whole, two platforms have one file, or that is no longer `wanted`.
pub fn prove(bundle: &Bundle, store: &Store, split: Option<bool>, wanted: &Wanted) -> Result<(), SinkError> {
    place::before_stdout(|| stream(bundle, store, split, &mut wanted.only(io::sink())))
}

/// Writes what `bundle` adds to its bases as a tar to stdout, as long as that is `wanted`.
///
/// # Errors
/// When a layer is not whole, stdout cannot be written, or nobody waits for it any more.
pub fn write_to_stdout(bundle: &Bundle, store: &Store, split: Option<bool>, wanted: &Wanted) -> Result<(), SinkError> {
    place::stdout(wanted, |out| stream(bundle, store, split, out))
}

fn stream(bundle: &Bundle, store: &Store, split: Option<bool>, out: &mut dyn Write) -> io::Result<()> {
    let mut tar = Builder::new(out);
    added::each(bundle, store, split, &mut |path, entry| {
        let mut header = entry.header().clone();
        match entry.link_name()? {
            Some(target) => tar.append_link(&mut header, path, target),
            None if header.entry_type().is_dir() => tar.append_data(&mut header, path.join(""), io::empty()),
            None => tar.append_data(&mut header, path, entry),
        }
    })?;
    tar.finish()
}
