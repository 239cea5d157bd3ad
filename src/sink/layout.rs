//! An image as an OCI layout in a folder, put in place as a whole.

use std::io;
use std::path::Path;

use fs_err as fs;
use rayon::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use super::{Bundle, LAYOUT_VERSION, SinkError, unfinished};
use crate::blob::Descriptor;
use crate::reference::Reference;
use crate::store::{Store, VerifiedBlob};
use crate::wanted::Wanted;

/// Holds the place of a layout to be free, or to hold one: nothing else is ever replaced.
///
/// # Errors
/// When something else is there.
pub fn check(folder: &Path) -> Result<(), SinkError> {
    let not_empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if not_empty && !folder.join("oci-layout").is_file() || folder.is_file() {
        return Err(SinkError::NotALayout { path: folder.to_owned() });
    }
    Ok(())
}

/// Writes `bundle` as the layout `folder`, replacing the layout that is there, as long as that is `wanted`.
///
/// # Errors
/// When the folder is something else than a layout or cannot be written, or is no longer wanted; what was there is then
/// still there.
pub fn write(
    bundle: &Bundle,
    names: &[Reference],
    store: &Store,
    folder: &Path,
    wanted: &Wanted,
) -> Result<(), SinkError> {
    check(folder)?;
    fill_and_swap(bundle, names, store, folder, wanted).map_err(|source| SinkError::of(folder, source))
}

fn fill_and_swap(
    bundle: &Bundle,
    names: &[Reference],
    store: &Store,
    folder: &Path,
    wanted: &Wanted,
) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let folder = &fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    fs::create_dir_all(unfinished::parent_of(folder))?;
    let fresh = unfinished::folder(folder)?;
    open_to_others(fresh.path())?;
    let blobs = fresh.path().join("blobs").join("sha256");
    fs::create_dir_all(&blobs)?;
    for (descriptor, bytes) in bundle.documents() {
        fs::write(blobs.join(descriptor.digest.hex()), bytes)?;
    }
    let before = folder.join("blobs").join("sha256");
    bundle.layers().into_par_iter().try_for_each(|layer| put(layer, store, &before, &blobs, wanted))?;
    fs::write(fresh.path().join("oci-layout"), LAYOUT_VERSION)?;
    fs::write(fresh.path().join("index.json"), bundle.layout_index(names))?;
    wanted.check()?;
    swap(fresh, folder)
}

/// Puts a layer into the folder `blobs`, hashed on its way. One of the layout that is replaced, whose blobs are in `before`,
/// costs no copy if it is still whole; one of the store must not share its bytes with a folder that the user may write to.
fn put(layer: &Descriptor, store: &Store, before: &Path, blobs: &Path, wanted: &Wanted) -> io::Result<()> {
    let name = layer.digest.hex();
    let (before, target) = (before.join(&name), blobs.join(&name));
    let whole = VerifiedBlob::of_file(&before, layer).is_ok_and(|blob| {
        // What lies there may be a link: a hard link to one would be one, too.
        blob.is_some_and(|blob| !before.is_symlink() && blob.copy_to(&mut wanted.only(io::sink())).is_ok())
    });
    if whole && fs::hard_link(&before, &target).is_ok() {
        return Ok(());
    }
    let blob = store.open_blob(layer).map_err(io::Error::other)?;
    blob.copy_to(&mut wanted.only(fs::File::create_new(&target)?))
}

/// Puts `fresh` in the place of `folder`. At every moment there is a whole layout, the one or the other, where the file
/// system can exchange two folders at once.
fn swap(fresh: TempDir, folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        fs::rename(fresh.path(), folder)?;
        // It has another name now, and stays.
        let _ = fresh.keep();
        return Ok(());
    }
    match renameat_with(CWD, fresh.path(), CWD, folder, RenameFlags::EXCHANGE) {
        // What was there before is in the temporary folder now, and goes with it.
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => swap_in_two_steps(fresh, folder),
        Err(error) => Err(error.into()),
    }
}

fn swap_in_two_steps(fresh: TempDir, folder: &Path) -> io::Result<()> {
    let old = unfinished::replaced_by(fresh.path());
    fs::rename(folder, &old)?;
    if let Err(error) = fs::rename(fresh.path(), folder) {
        fs::rename(&old, folder)?;
        return Err(error);
    }
    let _ = fresh.keep();
    fs::remove_dir_all(&old)
}

/// A temporary folder is closed to others; a layout is as open as any folder that the user makes.
fn open_to_others(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir(folder.join("blobs"))?;
    let mode = fs::metadata(folder.join("blobs"))?.permissions().mode();
    fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wanted::Waiter;

    /// Writes an index of nothing, as long as the waiter lives.
    fn writer(store: &Store) -> (Waiter, impl Fn(&str, &Path) -> Result<(), SinkError>) {
        let waiter = Waiter::default();
        let (bundle, wanted) = (Bundle { images: Vec::new(), index: Some(b"{}".to_vec()) }, waiter.wanted());
        let name = |tag: &str| format!("app:{tag}").parse().unwrap();
        (waiter, move |tag: &str, folder: &Path| super::write(&bundle, &[name(tag)], store, folder, &wanted))
    }

    #[test]
    fn where_folders_cannot_be_exchanged_they_are_moved() {
        let folder = tempfile::tempdir().unwrap();
        let (target, fresh) = (folder.path().join("out"), tempfile::tempdir_in(folder.path()).unwrap());
        std::fs::create_dir(&target).unwrap();
        std::fs::write(target.join("old"), "").unwrap();
        std::fs::write(fresh.path().join("new"), "").unwrap();
        swap_in_two_steps(fresh, &target).unwrap();
        assert!(target.join("new").exists() && !target.join("old").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_layout_is_replaced_and_anything_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let target = folder.path().join("out");
        let (waiter, write) = writer(&store);
        write("a", &target).unwrap();
        write("b", &target).unwrap();
        assert!(std::fs::read_to_string(target.join("index.json")).unwrap().contains(r#"name":"b""#));
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["out", "store"]);

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write("c", &link).unwrap();
        assert!(std::fs::read_to_string(target.join("index.json")).unwrap().contains(r#"name":"c""#));
        assert!(link.is_symlink());

        let other = folder.path().join("mine");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("letter.txt"), "dear").unwrap();
        let error = write("a", &other).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is there already and is no OCI layout", other.display()));
        assert!(other.join("letter.txt").exists());

        // What nobody waits for any more leaves the old one, and nothing else.
        drop(waiter);
        write("d", &target).unwrap_err();
        assert!(std::fs::read_to_string(target.join("index.json")).unwrap().contains(r#"name":"c""#));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 4, "out, store, link and mine");
    }
}
