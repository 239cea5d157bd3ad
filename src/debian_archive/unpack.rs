//! Packages in the store become one folder, made beside its place and renamed, by one process at a time.

use std::fs::File;
use std::path::Path;

use fs_err as fs;

use super::{DebianError, RULES, Sysroot, blocking, glibc, package};
use crate::blob::{Descriptor, Digest};
use crate::debian::{Chosen, TOP_LINKS};
use crate::store::{self, Store};

/// The folder of the packages `chosen`, which are all in the store; unpacks them unless that was done before. Whoever
/// drops this while another process is at it waits no longer.
pub(super) async fn sysroot(
    store: &Store,
    release: &str,
    architecture: &str,
    chosen: Vec<Chosen>,
) -> Result<Sysroot, DebianError> {
    let names: Vec<String> = chosen.iter().map(|chosen| format!("{} {}", chosen.name, chosen.digest)).collect();
    let digest = Digest::of(format!("{RULES}\n{}", names.join("\n")).as_bytes());
    let name = format!("{release}-{architecture}-{}", &digest.hex()[..32]);
    let sysroots = store.root().join("sysroots");
    let folder = sysroots.join(&name);
    let lock = if folder.is_dir() { None } else { Some(lock(&sysroots, &name).await?) };
    let (store, release) = (store.clone(), release.to_owned());
    blocking(move || {
        // Held until all is there.
        if let Some(_lock) = lock {
            unpack(&store, &sysroots, &name, &chosen)?;
        }
        let no_libc = || DebianError::NoLibc { release: release.clone() };
        let glibc = glibc(&chosen).ok_or_else(no_libc)?;
        let triplet = triplet(&folder)?.ok_or_else(no_libc)?;
        let packages = chosen.into_iter().map(|chosen| (chosen.name, chosen.version)).collect();
        Ok(Sysroot { folder, packages, glibc, triplet, digest })
    })
    .await
}

/// Waits for the lock of the folder `name`, which goes with the value.
async fn lock(sysroots: &Path, name: &str) -> Result<File, DebianError> {
    let path = sysroots.join(format!("{name}.lock"));
    let disk = |source| DebianError::Disk { path: sysroots.join(name), source };
    fs::create_dir_all(sysroots).map_err(disk)?;
    store::lock(&path, || ()).await.map_err(disk)
}

/// Unpacks the packages into the folder `name`, unless whoever had the lock before did.
fn unpack(store: &Store, sysroots: &Path, name: &str, chosen: &[Chosen]) -> Result<(), DebianError> {
    let target = sysroots.join(name);
    let disk = |source| DebianError::Disk { path: target.clone(), source };
    if target.is_dir() {
        return Ok(());
    }
    let beside = format!(".{name}-");
    sweep(sysroots, &beside).map_err(disk)?;
    let work = tempfile::Builder::new().prefix(&beside).tempdir_in(sysroots).map_err(disk)?;
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
    Ok(())
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
