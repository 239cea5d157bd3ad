//! What containers find beside their image: /proc, a few devices, shared memory; and the step by which this machine's files
//! are out of sight.

use std::io;
use std::path::Path;

use fs_err as fs;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd;

use super::outside::{broken, forbidden_by};
use super::protocol::Failure;

/// The folders of an image that are not the image's.
pub(super) const OURS: [&str; 2] = ["proc", "dev"];
/// Where the emulator is, in a place that an image has nothing in.
pub(super) const EMULATOR: &str = "/dev/.emulator";
/// The emulator before the root is left, in the current folder.
pub(super) const EMULATOR_FILE: &str = "emulator";
/// The folder that becomes the root.
const ROOT: &str = "root";
/// Devices that every container has.
const DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];
/// Links in /dev that every container has.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Has an empty folder be the root, with the mounts of a container; false when /proc is not among them.
pub(super) fn enter(has_emulator: bool) -> Result<bool, Failure> {
    // What is mounted here from now on is nobody else's business.
    attach(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    make_folder(ROOT)?;
    if statvfs(ROOT).is_ok_and(|there| there.flags().contains(FsFlags::ST_NOEXEC)) {
        let folder = std::env::current_dir().unwrap_or_default();
        let reason = format!("`{}` is on a file system that is mounted noexec", folder.display());
        return Err(Failure::Forbidden { step: "programs in the cache".to_owned(), reason });
    }
    attach(Some(ROOT), ROOT, None, MsFlags::MS_BIND, None)?;
    let has_proc = mount_proc()?;
    mount_devices()?;
    if has_emulator {
        let place = format!("{ROOT}{EMULATOR}");
        make_file(&place)?;
        attach(Some(EMULATOR_FILE), &place, None, MsFlags::MS_BIND, None)?;
    }
    leave()?;
    Ok(has_proc)
}

/// The processes of the namespace. A container engine that hides parts of its own /proc has the kernel refuse us a whole one.
fn mount_proc() -> Result<bool, Failure> {
    let place = format!("{ROOT}/proc");
    make_folder(&place)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("proc"), place.as_str(), Some("proc"), flags, None::<&str>) {
        Ok(()) => Ok(true),
        Err(Errno::EPERM) => Ok(false),
        Err(error) => Err(forbidden_by("a mount of /proc", &io::Error::from(error))),
    }
}

fn mount_devices() -> Result<(), Failure> {
    let dev = format!("{ROOT}/dev");
    make_folder(&dev)?;
    attach(Some("tmpfs"), &dev, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755,size=64k"))?;
    for name in DEVICES {
        let (here, there) = (format!("/dev/{name}"), format!("{dev}/{name}"));
        if Path::new(&here).exists() {
            make_file(&there)?;
            attach(Some(&here), &there, None, MsFlags::MS_BIND, None)?;
        }
    }
    for (name, target) in LINKS {
        let link = format!("{dev}/{name}");
        std::os::unix::fs::symlink(target, &link).map_err(|error| broken("a link in /dev", &error))?;
    }
    let memory = format!("{dev}/shm");
    make_folder(&memory)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    attach(Some("tmpfs"), &memory, Some("tmpfs"), flags, Some("mode=1777,size=64m"))
}

/// Makes the new root the root, and lets go of the old one.
fn leave() -> Result<(), Failure> {
    let left = unistd::chdir(ROOT)
        // The old root comes to lie over the new one, https://man7.org/linux/man-pages/man2/pivot_root.2.html
        .and_then(|()| unistd::pivot_root(".", "."))
        .and_then(|()| umount2(".", MntFlags::MNT_DETACH))
        .and_then(|()| unistd::chdir("/"));
    left.map_err(|error| forbidden_by("another root", &io::Error::from(error)))
}

fn attach(
    source: Option<&str>,
    place: &str,
    kind: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<(), Failure> {
    let done = mount(source, place, kind, flags, options);
    let shown = place.strip_prefix(ROOT).filter(|place| !place.is_empty()).unwrap_or("/");
    done.map_err(|error| forbidden_by(&format!("a mount of {shown}"), &io::Error::from(error)))
}

fn make_folder(path: &str) -> Result<(), Failure> {
    fs::create_dir(path).map_err(|error| broken("a folder", &error))
}

fn make_file(path: &str) -> Result<(), Failure> {
    fs::File::create(path).map(drop).map_err(|error| broken("a place for a mount", &error))
}
