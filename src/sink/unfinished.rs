//! Where an image is written before it has its name: beside its place. What a run left there that was killed goes when
//! the next one writes to the same folder.
//!
//! The names say whose they are and what they are: `.anyarch-XXXXXX.unfinished`, a folder or a file; `.mode`, a file that
//! shows how open new files are; `.replaced`, the layout that was in the place before.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::store::ABANDONED;

const PREFIX: &str = ".anyarch-";
const UNFINISHED: &str = "unfinished";
const MODE: &str = "mode";
const REPLACED: &str = "replaced";
/// Letters and digits between the two.
const RANDOM: usize = 6;

/// Makes a folder beside `target`, and removes what was left there.
///
/// # Errors
/// When it cannot be made.
pub(super) fn folder(target: &Path) -> io::Result<TempDir> {
    let parent = swept(target);
    name(&format!(".{UNFINISHED}")).tempdir_in(parent)
}

/// Makes a file beside `target`, and removes what was left there.
///
/// # Errors
/// When it cannot be made.
pub(super) fn file(target: &Path) -> io::Result<NamedTempFile> {
    let parent = swept(target);
    name(&format!(".{UNFINISHED}")).tempfile_in(parent)
}

/// The same, as open to others as any file that the user makes.
///
/// # Errors
/// When it cannot be made.
pub(super) fn open_file(target: &Path) -> io::Result<NamedTempFile> {
    let parent = swept(target);
    // What the umask leaves of it.
    name(&format!(".{UNFINISHED}")).permissions(Permissions::from_mode(0o666)).tempfile_in(parent)
}

/// The name of the file that shows how open new files are, for that unfinished one.
pub(super) fn mode_of(unfinished: &Path) -> PathBuf {
    unfinished.with_extension(MODE)
}

/// The name of what gives way to that unfinished folder.
pub(super) fn replaced_by(unfinished: &Path) -> PathBuf {
    unfinished.with_extension(REPLACED)
}

/// The folder that something is in.
pub(super) fn parent_of(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn name(suffix: &str) -> Builder<'_, '_> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(suffix).rand_bytes(RANDOM);
    builder
}

/// Sweeps the folder that `target` is in. Nothing depends on it, so what cannot be removed stays.
fn swept(target: &Path) -> &Path {
    let parent = parent_of(target);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if path != target && is_left(&path) {
            let is_folder = path.is_dir() && !path.is_symlink();
            let _ = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
    parent
}

/// Whether something is ours, of no use, and of no run that still goes on.
fn is_left(path: &Path) -> bool {
    let Some((unfinished, extension)) = own(path) else { return false };
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let of_use = match extension {
        UNFINISHED if metadata.is_dir() => replaced_by(&unfinished).exists(),
        UNFINISHED | MODE => !metadata.is_file(),
        // Of two folders that were to be exchanged, the one that was in its place is the only one that anybody ever saw.
        _ => !metadata.is_dir() || unfinished.exists(),
    };
    !of_use && is_old(path)
}

/// The unfinished thing that a name of ours belongs to, and what the name stands for.
fn own(path: &Path) -> Option<(PathBuf, &str)> {
    let extension = path.extension().and_then(OsStr::to_str)?;
    let random = path.file_stem().and_then(OsStr::to_str)?.strip_prefix(PREFIX)?;
    let ours = random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let known = [UNFINISHED, MODE, REPLACED].contains(&extension);
    (ours && known).then(|| (path.with_extension(UNFINISHED), extension))
}

/// Whether nobody wrote to a file, or to the folders of a layout, for so long that nobody is at it any more.
fn is_old(path: &Path) -> bool {
    let written = |path: &Path| fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
    let places = [path.to_owned(), path.join("blobs"), path.join("blobs").join("sha256")];
    let last: Option<SystemTime> = places.iter().filter_map(|place| written(place)).max();
    last.and_then(|last| last.elapsed().ok()).is_some_and(|age| age > ABANDONED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a folder, or a file, that nobody wrote to for two days, or just now.
    fn leave(path: &Path, is_folder: bool, is_old: bool) {
        if is_folder {
            std::fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        } else {
            std::fs::write(path, "half of an ar").unwrap();
        }
        let places = if is_folder { vec!["blobs/sha256", "blobs", ""] } else { vec![""] };
        for place in places.into_iter().filter(|_| is_old) {
            let place = if place.is_empty() { path.to_owned() } else { path.join(place) };
            let opened = std::fs::File::open(place).unwrap();
            let now = opened.metadata().unwrap().modified().unwrap();
            opened.set_modified(now - 2 * ABANDONED).unwrap();
        }
    }

    #[test]
    fn what_a_killed_run_left_goes_and_everything_else_stays() {
        let place = tempfile::tempdir().unwrap();
        let old_ones = [
            (".anyarch-aB3xY9.unfinished", true, false),
            (".anyarch-bbbbbb.unfinished", false, false),
            (".anyarch-cccccc.mode", false, false),
            (".anyarch-dddddd.replaced", true, false),
            // Killed between the two steps of an exchange: one of them is the user's only layout.
            (".anyarch-eeeeee.unfinished", true, true),
            (".anyarch-eeeeee.replaced", true, true),
            (".anyarch-target.unfinished", true, true),
            (".anyarch-config", true, true),
            (".anyarch-1234567.unfinished", true, true),
            (".anyarch-12-456.unfinished", true, true),
            (".anyarch-123456.old", true, true),
            ("anyarch-123456.unfinished", true, true),
            (".anyarch-ffffff.replaced", false, true),
            (".anyarch-gggggg.mode", true, true),
        ];
        for (name, is_folder, _) in old_ones {
            leave(&place.path().join(name), is_folder, true);
        }
        let young = place.path().join(".anyarch-hhhhhh.unfinished");
        leave(&young, true, false);
        let fresh = folder(&place.path().join(".anyarch-target.unfinished")).unwrap();
        for (name, _, stays) in old_ones {
            assert_eq!(place.path().join(name).exists(), stays, "{name}");
        }
        assert!(young.exists());
        assert_eq!(own(fresh.path()), Some((fresh.path().to_owned(), UNFINISHED)));

        let left = place.path().join(".anyarch-iiiiii.unfinished");
        leave(&left, true, true);
        let other = file(&place.path().join("out.tar")).unwrap();
        assert!(!left.exists());
        assert_eq!(own(other.path()), Some((other.path().to_owned(), UNFINISHED)));
    }

    #[test]
    fn a_layout_that_is_still_written_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(".anyarch-aaaaaa.unfinished");
        leave(&path, true, true);
        std::fs::write(path.join("blobs/sha256/layer"), "").unwrap();
        assert!(!is_left(&path));
    }

    #[test]
    fn a_link_that_has_such_a_name_leads_nobody_astray() {
        let place = tempfile::tempdir().unwrap();
        let (mine, link) = (place.path().join("mine"), place.path().join(".anyarch-aaaaaa.unfinished"));
        leave(&mine, true, true);
        std::os::unix::fs::symlink(&mine, &link).unwrap();
        assert!(!is_left(&link));
        swept(&place.path().join("out"));
        assert!(mine.join("blobs").exists() && link.is_symlink());
    }
}
