//! What a project installed becomes layer entries: every file and link, modes and owners made the same everywhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use fs_err as fs;

use crate::elf::{ElfFacts, Linkage};
use crate::layer_entry::{Contents, Entry, EntryKind, is_whiteout};
use crate::plan::PlannedProgram;
use crate::platform::Platform;

use super::error::Error;
use super::pack;
use super::unchanged::Unchanged;

/// The entries of the tree that `program` installed below `root`. Of folders only the empty ones are among them: the
/// others come with what they hold.
///
/// # Errors
/// When something there cannot be in an image, or is no binary for the platform.
pub(super) fn entries(
    program: &PlannedProgram,
    root: &Path,
    platform: Platform,
    files: &mut Unchanged,
) -> Result<Vec<Entry>, Error> {
    let entries = entries_below(root)?;
    for entry in &entries {
        if let EntryKind::File(Contents::Path { path, .. }) = &entry.kind {
            check(program, &entry.path, path, platform, files)?;
        }
    }
    Ok(entries)
}

/// The same, whatever the binaries are for.
fn entries_below(root: &Path) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    walk(root, root, &mut entries)?;
    match entries.iter().find(|entry| is_whiteout(&entry.path)) {
        Some(entry) => Err(Error::InstalledWhiteout { path: entry.path.clone() }),
        None => Ok(entries),
    }
}

fn walk(root: &Path, folder: &Path, entries: &mut Vec<Entry>) -> Result<(), Error> {
    let unreadable = |path: &Path, source| Error::Read { path: path.to_owned(), source };
    let mut is_empty = true;
    for entry in fs::read_dir(folder).map_err(|source| unreadable(folder, source))? {
        is_empty = false;
        let path = entry.map_err(|source| unreadable(folder, source))?.path();
        let metadata = fs::symlink_metadata(&path).map_err(|source| unreadable(&path, source))?;
        if metadata.is_dir() {
            walk(root, &path, entries)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).map_err(|source| unreadable(&path, source))?;
            let name = name_in(root, &path)?;
            if !stays_inside(Path::new(&name), &target) || target.starts_with(root) {
                return Err(Error::InstalledLink { path: name, target });
            }
            let target = target.to_str().ok_or_else(|| Error::InstalledName { path: path.clone() })?.to_owned();
            entries.push(Entry { path: name, mode: 0o777, uid: 0, gid: 0, kind: EntryKind::Symlink(target) });
        } else if metadata.is_file() {
            let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            let kind = EntryKind::File(Contents::Path { path: path.clone(), size: metadata.len() });
            entries.push(Entry { path: name_in(root, &path)?, mode, uid: 0, gid: 0, kind });
        } else {
            return Err(Error::InstalledKind { path: name_in(root, &path)? });
        }
    }
    if is_empty && folder != root {
        let path = name_in(root, folder)?;
        entries.push(Entry { path, mode: 0o755, uid: 0, gid: 0, kind: EntryKind::Directory });
    }
    Ok(())
}

/// The place in the image, which is text.
fn name_in(root: &Path, path: &Path) -> Result<String, Error> {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.to_str().map(str::to_owned).ok_or_else(|| Error::InstalledName { path: path.to_owned() })
}

/// Whether a link does not climb over the root of the image.
fn stays_inside(link: &Path, target: &Path) -> bool {
    let start = if target.is_absolute() { 0 } else { link.components().count().saturating_sub(1) };
    let mut depth = start;
    target.components().all(|part| match part {
        Component::ParentDir => depth.checked_sub(1).map(|above| depth = above).is_some(),
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::RootDir | Component::CurDir | Component::Prefix(_) => true,
    })
}

/// Holds each binary that can be started to the platform.
fn check(
    program: &PlannedProgram,
    name: &str,
    path: &Path,
    platform: Platform,
    files: &mut Unchanged,
) -> Result<(), Error> {
    let file = files.open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    // What is no ELF is a script, a header, a manual.
    let Ok(facts) = ElfFacts::read(file) else { return Ok(()) };
    if !matches!(facts.linkage, Linkage::Static | Linkage::StaticPie | Linkage::Dynamic) {
        return Ok(());
    }
    pack::fits(program, format!("/{name}"), path, &facts, platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_places_in_the_image() {
        for (link, target, inside) in [
            ("usr/lib/a.so", "a.so.1", true),
            ("usr/lib/a.so", "../share/x", true),
            ("usr/lib/a.so", "../../../x", false),
            ("usr/lib/a.so", "/usr/lib/b", true),
            ("usr/lib/a.so", "/../x", false),
            ("a", "..", false),
            ("usr/a", "..", true),
            ("usr/a", "b/../../../x", false),
        ] {
            assert_eq!(stays_inside(Path::new(link), Path::new(target)), inside, "{link} -> {target}");
        }
    }

    #[test]
    fn files_links_and_empty_folders_become_entries() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("usr/share/empty")).unwrap();
        fs::write(root.join("usr/tool"), "#!/bin/sh\n").unwrap();
        fs::write(root.join("usr/notes"), "text").unwrap();
        fs::set_permissions(root.join("usr/tool"), std::fs::Permissions::from_mode(0o4711)).unwrap();
        fs::set_permissions(root.join("usr/notes"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("tool", root.join("usr/link")).unwrap();
        let mut found = Vec::new();
        walk(root, root, &mut found).unwrap();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        let shown: Vec<_> = found.iter().map(|entry| (entry.path.as_str(), entry.mode)).collect();
        assert_eq!(shown, [("usr/link", 0o777), ("usr/notes", 0o644), ("usr/share/empty", 0o755), ("usr/tool", 0o755)]);
        fs::create_dir(root.join("usr/.wh.lib")).unwrap();
        let error = entries_below(root).unwrap_err();
        assert!(error.to_string().starts_with("`/usr/.wh.lib` was installed and would delete "), "{error}");
        std::os::unix::fs::symlink(root.join("usr/tool"), root.join("usr/wrong")).unwrap();
        let error = walk(root, root, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("`usr/wrong` was installed as a link to "), "{error}");
    }
}
