//! What was added to the base of an image: the entries of our layers, with the places that they have among those of other
//! platforms.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::Entry;

use super::Bundle;
use super::place::BUFFER;
use crate::blob::Descriptor;
use crate::platform::Platform;
use crate::store::Store;

/// Why files of several platforms cannot be in one folder.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is there for {first} and for {second}, which would need folders of their own", path.display())]
pub struct Collision {
    /// the place, in the image
    path: PathBuf,
    /// the platform that has it
    first: Platform,
    /// the platform that wants it, too
    second: Platform,
}

/// Takes each entry with its path below the output.
pub(super) type Take<'take> = dyn FnMut(&Path, &mut Entry<'_, &mut dyn Read>) -> io::Result<()> + 'take;

/// Hands every entry of our layers to `take`; folders that are there already are passed over. With `split`, each platform
/// has a folder of its own (`linux_arm_v7`); when nothing was said, where there are several.
///
/// # Errors
/// When a layer is not whole, two platforms have one file, or `take` fails.
pub(super) fn each(bundle: &Bundle, store: &Store, split: Option<bool>, take: &mut Take<'_>) -> io::Result<()> {
    let split = split.unwrap_or(bundle.images.len() > 1);
    let mut taken: BTreeMap<PathBuf, (Platform, bool)> = BTreeMap::new();
    for image in &bundle.images {
        let folder = if split { PathBuf::from(image.platform.as_folder()) } else { PathBuf::new() };
        for layer in image.own_layers() {
            let mut placed = |path: &Path, entry: &mut Entry<'_, &mut dyn Read>| {
                let is_folder = entry.header().entry_type().is_dir();
                let path = folder.join(path);
                match taken.insert(path.clone(), (image.platform, is_folder)) {
                    Some((_, true)) if is_folder => Ok(()),
                    Some((first, _)) if first != image.platform => {
                        Err(io::Error::other(Collision { path, first, second: image.platform }))
                    }
                    _ => take(&path, entry),
                }
            };
            read(layer, store, &mut placed)?;
        }
    }
    Ok(())
}

fn read(layer: &Descriptor, store: &Store, take: &mut Take<'_>) -> io::Result<()> {
    let mut blob = BufReader::with_capacity(BUFFER, store.open_blob(layer).map_err(io::Error::other)?);
    let mut tar: Box<dyn Read + '_> = Box::new(GzDecoder::new(&mut blob));
    let taken = entries(&mut tar, take).and_then(|()| io::copy(&mut tar, &mut io::sink()));
    drop(tar);
    // The end of the blob says whether it is whole, which explains whatever else went wrong better than that does.
    io::copy(&mut blob, &mut io::sink())?;
    taken.map(drop)
}

fn entries(tar: &mut dyn Read, take: &mut Take<'_>) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        // We write no others, and what was not written by us is not unpacked on this machine.
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(io::Error::other(format!("a layer holds `{}`", path.display())));
        }
        take(&path, &mut entry)?;
    }
    Ok(())
}
