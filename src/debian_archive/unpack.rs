//! Packages in the store become one folder, made beside its place and renamed, by one process at a time.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{DebianError, RULES, Sysroot, glibc, package};
use crate::blob::{Descriptor, Digest};
use crate::debian::{Chosen, TOP_LINKS};
use crate::store::Store;

/// The folder of the packages `chosen`, which are all in the store; unpacks them unless that was done before.
pub(super) fn sysroot(
    store: &Store,
    release: &str,
    architecture: &str,
    chosen: &[Chosen],
) -> Result<Sysroot, DebianError> {
    let names: Vec<String> = chosen.iter().map(|chosen| format!("{} {}", chosen.name, chosen.digest)).collect();
    let digest = Digest::of(format!("{RULES}\n{}", names.join("\n")).as_bytes());
    let name = format!("{release}-{architecture}-{}", &digest.hex()[..32]);
    let folder = folder(store, &name, chosen)?;
    let glibc = glibc(chosen).ok_or(DebianError::NoLibc { release: release.to_owned() })?;
    let triplet = triplet(&folder)?.ok_or(DebianError::NoLibc { release: release.to_owned() })?;
    let packages = chosen.iter().map(|chosen| (chosen.name.clone(), chosen.version.clone())).collect();
    Ok(Sysroot { folder, packages, glibc, triplet, digest })
}

fn folder(store: &Store, name: &str, chosen: &[Chosen]) -> Result<PathBuf, DebianError> {
    let sysroots = store.root().join("sysroots");
    let target = sysroots.join(name);
    let disk = |source| DebianError::Disk { path: target.clone(), source };
    if target.is_dir() {
        return Ok(target);
    }
    fs::create_dir_all(&sysroots).map_err(disk)?;
    let lock = fs::File::create(sysroots.join(format!("{name}.lock"))).map_err(disk)?;
    // Held until the file is closed, at the latest by the end of this process.
    lock.file().lock().map_err(disk)?;
    if target.is_dir() {
        return Ok(target);
    }
    let beside = format!(".{name}-");
    sweep(&sysroots, &beside).map_err(disk)?;
    let work = tempfile::Builder::new().prefix(&beside).tempdir_in(&sysroots).map_err(disk)?;
    let mut damaged = None;
    for chosen in chosen {
        if !store.verify(&Descriptor::new("", chosen.digest, chosen.size))? {
            damaged = Some(DebianError::Damaged { what: format!("package {}", chosen.name) });
        }
    }
    damaged.map_or(Ok(()), Err)?;
    for chosen in chosen {
        package::unpack(&store.blob_path(&chosen.digest), &chosen.name, work.path())?;
    }
    link_top(work.path()).map_err(disk)?;
    package::open_to_all(work.path()).map_err(disk)?;
    fs::rename(work.path(), &target).map_err(disk)?;
    // It is elsewhere now: nothing is left to remove.
    let _ = work.keep();
    Ok(target)
}

/// Removes what runs that were killed left unfinished: whoever holds the lock is the only one at work.
fn sweep(sysroots: &Path, prefix: &str) -> std::io::Result<()> {
    for entry in fs::read_dir(sysroots)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Linkers' scripts and loaders name `/lib`: it leads to where its files are.
fn link_top(root: &Path) -> std::io::Result<()> {
    for name in TOP_LINKS {
        let target = format!("usr/{name}");
        if root.join(&target).is_dir() {
            fs_err::os::unix::fs::symlink(target, root.join(name))?;
        }
    }
    Ok(())
}

/// The folder of libraries, found by what a linker needs first of it.
fn triplet(root: &Path) -> Result<Option<String>, DebianError> {
    let libraries = root.join("usr/lib");
    let disk = |source| DebianError::Disk { path: libraries.clone(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(&libraries).map_err(disk)? {
        let entry = entry.map_err(disk)?;
        if entry.path().join("libc.so").exists() && entry.path().join("crt1.o").exists() {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found.into_iter().next())
}
