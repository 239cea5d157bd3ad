//! An image as an OCI layout in a tar: to a file, or to whatever reads our stdout.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use rayon::prelude::*;
use tar::Builder;

use super::place::{self, BUFFER, append};
use super::{Bundle, LAYOUT_VERSION, SinkError};
use crate::blob::Descriptor;
use crate::reference::Reference;
use crate::store::Store;
use crate::wanted::Wanted;

/// Opens a layer; whoever reads it to its end has what its digest says, or an error.
pub(super) type Open<'source> = dyn Fn(&Descriptor) -> io::Result<Box<dyn Read>> + 'source;

/// Holds the place of an archive to be free, or to be a file.
///
/// # Errors
/// When it is a folder.
pub fn check(file: &Path) -> Result<(), SinkError> {
    if file.is_dir() { Err(SinkError::IsFolder { path: file.to_owned() }) } else { Ok(()) }
}

/// Writes `bundle` as the tar `file`, put in place once it is whole, as long as that is `wanted`.
///
/// # Errors
/// When it cannot be written, or is no longer wanted; what was there is then still there.
pub fn write(
    bundle: &Bundle,
    names: &[Reference],
    store: &Store,
    file: &Path,
    wanted: &Wanted,
) -> Result<(), SinkError> {
    place::file(file, wanted, |out| stream(bundle, names, store, out))
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
    place::before_stdout(|| bundle.layers().into_par_iter().try_for_each(read))
}

/// Writes `bundle` as a tar to stdout, as long as that is `wanted`.
///
/// # Errors
/// When a layer is not whole, stdout cannot be written, or nobody waits for it any more.
pub fn write_to_stdout(bundle: &Bundle, names: &[Reference], store: &Store, wanted: &Wanted) -> Result<(), SinkError> {
    place::stdout(wanted, |out| stream(bundle, names, store, out))
}

fn stream(bundle: &Bundle, names: &[Reference], store: &Store, out: &mut dyn Write) -> io::Result<()> {
    let index = bundle.layout_index(names);
    let heads = [("oci-layout", LAYOUT_VERSION), ("index.json", index.as_slice())];
    tar(&heads, bundle.documents().collect(), &bundle.layers(), &of_store(store), out)
}

/// Opens layers that are in the store.
pub(super) fn of_store(store: &Store) -> impl Fn(&Descriptor) -> io::Result<Box<dyn Read>> {
    |layer| {
        let blob = store.open_blob(layer).map_err(io::Error::other)?;
        Ok(Box::new(BufReader::with_capacity(BUFFER, blob)))
    }
}

/// Writes the files at a layout's root, small blobs, and layers as a tar: the same bytes for the same image.
pub(super) fn tar(
    heads: &[(&str, &[u8])],
    mut documents: Vec<(Descriptor, &[u8])>,
    layers: &[&Descriptor],
    open: &Open<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut tar = Builder::new(out);
    documents.sort_by_key(|(descriptor, _)| descriptor.digest);
    documents.dedup_by_key(|(descriptor, _)| descriptor.digest);
    for (name, bytes) in heads {
        append(&mut tar, name, bytes.len() as u64, *bytes)?;
    }
    for (descriptor, bytes) in documents {
        append(&mut tar, &super::blob_path(&descriptor.digest), descriptor.size, bytes)?;
    }
    for layer in layers {
        append(&mut tar, &super::blob_path(&layer.digest), layer.size, open(layer)?)?;
    }
    tar.finish()
}
