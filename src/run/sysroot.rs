//! `sysroot` of a program becomes a folder with headers and libraries.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use fs_err as fs;

use crate::blob::{Digest, Hasher};
use crate::config::sysroot::DebianWish;
use crate::debian_archive::{Archive, DEFAULT_MIRROR, DebianError, Event as ArchiveEvent, MIRROR_VARIABLE, Options};
use crate::platform::Platform;
use crate::sysroot::{Sysroot, glibc_version};
use crate::toolchain::Toolchains;

use super::error::Error;
use super::event::{Event, TransferEnd};
use super::session::Session;
use super::transfer::Transfer;

/// Sysroots of Debian packages, each made once a run.
pub struct DebianSysroots {
    session: Session,
    archives: BTreeMap<String, Archive>,
    made: BTreeMap<(String, String, String, Vec<String>), Sysroot>,
}

impl DebianSysroots {
    /// Nothing is asked for yet.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session, archives: BTreeMap::new(), made: BTreeMap::new() }
    }

    /// The sysroot of a wish on one platform.
    ///
    /// # Errors
    /// When Debian has no such platform, or the packages cannot be had.
    pub async fn get(
        &mut self,
        wish: &DebianWish,
        platform: Platform,
        toolchains: &Toolchains,
        place: &str,
    ) -> Result<Sysroot, Error> {
        let row = toolchains.platform(platform);
        let architecture = row.and_then(|row| row.debian.clone());
        let architecture = architecture.ok_or_else(|| Error::NoDebian { platform, place: place.to_owned() })?;
        let release = wish.debian.get_ref().clone();
        let mut packages: Vec<String> = wish.packages.get_ref().iter().map(|name| name.get_ref().clone()).collect();
        packages.sort();
        packages.dedup();
        // Whoever runs the build knows the nearest mirror; the project only knows that there is one.
        let mirror = std::env::var(MIRROR_VARIABLE).ok().filter(|mirror| !mirror.is_empty());
        let mirror = mirror.or_else(|| wish.mirror.as_ref().map(|mirror| mirror.get_ref().clone()));
        let mirror = mirror.unwrap_or_else(|| DEFAULT_MIRROR.to_owned());
        let key = (mirror, release, architecture, packages);
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let wrong = |source: DebianError| Error::Debian { place: place.to_owned(), source: Box::new(source) };
        let archive = self.archive(&key.0).map_err(wrong)?;
        let watcher = Watcher { session: self.session.clone(), transfers: Mutex::default() };
        let events = |event| watcher.tell(event);
        let (_, release, architecture, packages) = &key;
        let made = archive.sysroot(release, architecture, packages, &events).await.map_err(wrong)?;
        let sysroot = Sysroot {
            libc_headers: made.libc_headers().to_vec(),
            folder: made.folder,
            triplet: Some(made.triplet),
            glibc: Some(made.glibc),
            packages: made.packages,
        };
        self.made.insert(key, sysroot.clone());
        Ok(sysroot)
    }

    #[expect(clippy::disallowed_methods, reason = "how old an index is says the clock; no image depends on it")]
    fn archive(&mut self, mirror: &str) -> Result<Archive, DebianError> {
        if let Some(known) = self.archives.get(mirror) {
            return Ok(known.clone());
        }
        let options = Options::new(self.session.store.clone(), SystemTime::now());
        let archive = Archive::new(Options { mirror: mirror.to_owned(), offline: self.session.offline, ..options })?;
        self.archives.insert(mirror.to_owned(), archive.clone());
        Ok(archive)
    }
}

/// Tells who watches the run what an archive does.
struct Watcher {
    session: Session,
    transfers: Mutex<BTreeMap<(String, String), Transfer>>,
}

impl Watcher {
    fn tell(&self, event: ArchiveEvent) {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ArchiveEvent::Downloading { release, architecture, done, total } => {
                let what = format!("sysroot {release}/{architecture}");
                let transfer = transfers
                    .entry((release, architecture))
                    .or_insert_with(|| Transfer::start(&self.session, what, total));
                transfer.moved(done);
            }
            ArchiveEvent::Unpacking { release, architecture } => {
                if let Some(transfer) = transfers.remove(&(release, architecture)) {
                    transfer.end(TransferEnd::Done);
                }
            }
            ArchiveEvent::KeptIndex { release, age, reason } => {
                let hours = age.as_secs() / 3600;
                let note = format!("the index of {release} is {hours} h old: {reason}");
                self.session.watch.event(Event::Note(note));
            }
            ArchiveEvent::OlderIndex { release, mirror } => {
                let note = format!("the mirror `{mirror}` has an older {release} than was used before, which is kept");
                self.session.watch.event(Event::Note(note));
            }
        }
    }
}

/// A folder that the project names, `text` being relative to `root`, as the sysroot of `platform`.
///
/// # Errors
/// When it holds no headers, or is laid out for other platforms.
pub fn of_folder(
    root: &Path,
    text: &str,
    place: &str,
    platform: Platform,
    toolchains: &Toolchains,
) -> Result<Sysroot, Error> {
    let missing = || Error::NoSysroot { place: place.to_owned(), path: text.into() };
    let folder = fs::canonicalize(root.join(text)).map_err(|_| missing())?;
    if !folder.join("usr/include").is_dir() {
        return Err(missing());
    }
    let found = triplets(&folder);
    let triplet = found.iter().find(|name| fits(name, found.len() == 1, platform, toolchains)).cloned();
    if triplet.is_none() && !found.is_empty() {
        return Err(Error::ForeignSysroot { place: place.to_owned(), path: text.into(), platform, found });
    }
    let read = |source| Error::Read { path: text.into(), source };
    // Compilers keep what they made by the names of folders, so what is in them has to have a name, too.
    let files = ("files".to_owned(), contents(&folder).map_err(read)?.to_string());
    let mut sysroot = Sysroot { triplet, folder, glibc: None, libc_headers: Vec::new(), packages: vec![files] };
    let libraries = sysroot.libraries().into_iter().map(|folder| folder.join("libc.so.6"));
    sysroot.glibc = libraries.filter_map(|library| fs::read(library).ok()).find_map(|bytes| glibc_version(&bytes));
    Ok(sysroot)
}

/// Tells what is in the folders of headers and libraries of a sysroot: every path with its bytes, or where it leads.
fn contents(folder: &Path) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    let mut open: Vec<PathBuf> = ["usr/include", "usr/lib", "lib"].map(|name| folder.join(name)).into();
    while let Some(path) = open.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let below = path.strip_prefix(folder).unwrap_or(&path);
        hasher.write_all(format!("{}\0", below.display()).as_bytes())?;
        if metadata.is_symlink() {
            hasher.write_all(format!("{}\0", fs::read_link(&path)?.display()).as_bytes())?;
        } else if metadata.is_dir() {
            let mut names: Vec<PathBuf> =
                fs::read_dir(&path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
            names.sort();
            open.extend(names);
        } else if metadata.is_file() {
            io::copy(&mut fs::File::open(&path)?, &mut hasher)?;
        }
    }
    Ok(hasher.finish().0)
}

/// Debian's names of the platforms that the sysroot is laid out for: the libraries of each are in a folder of its name. Those
/// of glibc come before those of musl.
fn triplets(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder.join("usr/lib")).into_iter().flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.contains("-linux-") && folder.join("usr/include").join(name).is_dir())
        .collect();
    names.sort();
    names
}

/// Whether the folder `name` is that of `platform`: compilers call it so, or the same with the architecture by another of its
/// names (`i386` for `i686`). Where no compiler has a name for the platform, the only folder there is its.
fn fits(name: &str, only: bool, platform: Platform, toolchains: &Toolchains) -> bool {
    let Some(row) = toolchains.platform(platform) else { return only };
    let zig = row.zig.iter().flat_map(|zig| [&zig.gnu, &zig.musl]);
    let called: Vec<&String> = row.gcc.iter().chain(zig).collect();
    let Some((architecture, rest)) = name.split_once('-') else { return false };
    let same = architecture.parse::<Platform>().is_ok_and(|named| named.architecture() == platform.architecture());
    let is_called = |known: &&String| known.split_once('-').is_some_and(|(_, known)| same && known == rest);
    if called.is_empty() { only } else { called.iter().any(|known| *known == name || is_called(known)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a glibc that matter here.
    fn libc(version: &str) -> String {
        format!("GNU C Library (Debian GLIBC {version}-9) stable release version {version}.\n")
    }

    #[test]
    fn a_platform_takes_its_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let there = [
            ("aarch64-linux-gnu", "2.36"),
            ("arm-linux-gnueabi", "2.28"),
            ("arm-linux-gnueabihf", "2.31"),
            ("i386-linux-gnu", "2.27"),
        ];
        for (name, version) in there {
            fs::create_dir_all(folder.path().join("s/usr/include").join(name)).unwrap();
            fs::create_dir_all(folder.path().join("s/usr/lib").join(name)).unwrap();
            fs::write(folder.path().join("s/usr/lib").join(name).join("libc.so.6"), libc(version)).unwrap();
        }
        let toolchains = Toolchains::built_in().unwrap();
        let read = |platform: &str| {
            let read = of_folder(folder.path(), "s", "here", platform.parse().unwrap(), &toolchains);
            read.map(|sysroot| (sysroot.triplet, sysroot.glibc)).map_err(|error| error.to_string())
        };
        for (platform, triplet, glibc) in [
            ("linux/arm64", "aarch64-linux-gnu", (2, 36)),
            ("linux/arm/v5", "arm-linux-gnueabi", (2, 28)),
            ("linux/arm/v6", "arm-linux-gnueabihf", (2, 31)),
            ("linux/arm/v7", "arm-linux-gnueabihf", (2, 31)),
            ("linux/386", "i386-linux-gnu", (2, 27)),
        ] {
            assert_eq!(read(platform), Ok((Some(triplet.to_owned()), Some(glibc))), "{platform}");
        }
        let names = there.map(|(name, _)| format!("`{name}`")).join(", ");
        let foreign = format!("the sysroot `s` in here is not for linux/amd64: it is laid out for {names}");
        assert_eq!(read("linux/amd64"), Err(foreign));
    }

    #[test]
    fn a_sysroot_of_one_platform_needs_no_folder_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("s/usr/include")).unwrap();
        fs::create_dir_all(folder.path().join("s/usr/lib")).unwrap();
        fs::write(folder.path().join("s/usr/lib/libc.so.6"), libc("2.17")).unwrap();
        let toolchains = Toolchains::built_in().unwrap();
        let read = of_folder(folder.path(), "s", "here", "linux/s390x".parse().unwrap(), &toolchains).unwrap();
        assert_eq!((read.triplet, read.glibc), (None, Some((2, 17))));
    }
}
