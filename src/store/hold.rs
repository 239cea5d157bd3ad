//! Who uses a store, across processes: runs hold it together, and who removes things holds it alone.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use fs_err as fs;

use super::LOOK;
use super::lock::Attempt;

/// The file that is locked, in the store's folder.
pub(super) const FILE: &str = "lock";

/// A lock of a store, for as long as the value lives; `None` where it cannot be locked.
#[derive(Debug)]
pub(super) struct Hold(Option<File>);

/// Waits until nobody holds the store alone. A store that this user can only read, and one on a file system without
/// locks, is used without: nothing is ever removed from there either.
///
/// # Errors
/// When the file cannot be made or locked.
pub(super) fn together(path: &Path, waiting: impl FnOnce()) -> io::Result<Hold> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if is_closed(&error) => match fs::File::open(path) {
            Ok(file) => file,
            Err(_) => return Ok(Hold(None)),
        },
        Err(error) => return Err(error),
    };
    let file = file.into_parts().0;
    let locked = poll(|| file.try_lock_shared(), waiting)?;
    Ok(Hold(locked.then_some(file)))
}

/// Waits until nobody else holds the store.
///
/// # Errors
/// When the file cannot be made or locked, on a file system without locks above all.
pub(super) fn alone(path: &Path, waiting: impl FnOnce()) -> io::Result<Hold> {
    let file = open(path)?.into_parts().0;
    if poll(|| file.try_lock(), waiting)? {
        return Ok(Hold(Some(file)));
    }
    let reason = format!("nobody can be kept away from `{}`: its file system has no locks", path.display());
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}

impl Hold {
    /// Does `work` while nobody else holds the store; `None` when somebody does, who is not waited for.
    ///
    /// # Errors
    /// When the lock cannot be had for another reason.
    pub(super) fn while_alone<T>(&self, work: impl FnOnce() -> T) -> io::Result<Option<T>> {
        let Some(file) = &self.0 else { return Ok(None) };
        // A lock is not changed but left and taken: what the change of one does differs from system to system.
        file.unlock()?;
        let done = match Attempt::of(file.try_lock())? {
            Attempt::Had => {
                let done = work();
                file.unlock()?;
                Some(done)
            }
            Attempt::Taken | Attempt::NoLocks => None,
        };
        poll(|| file.try_lock_shared(), || ())?;
        Ok(done)
    }
}

/// Opens the file without emptying it, which would need space on some file systems.
fn open(path: &Path) -> io::Result<fs::File> {
    fs::File::options().read(true).write(true).create(true).truncate(false).open(path)
}

/// Tries until it succeeds; false on a file system without locks. Polled, so that who waits can say so first. A signal ends
/// the wait: it ends the program where none is listened to yet, as when a store is opened, and where one is, at the end of
/// a run, the listener does.
fn poll(lock: impl Fn() -> Result<(), TryLockError>, waiting: impl FnOnce()) -> io::Result<bool> {
    let mut waiting = Some(waiting);
    loop {
        match Attempt::of(lock())? {
            Attempt::Had => return Ok(true),
            Attempt::NoLocks => return Ok(false),
            Attempt::Taken => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                std::thread::sleep(LOOK);
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hold_it_together_or_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let first = together(&path, || panic!("nobody has it")).unwrap();
        let second = together(&path, || panic!("it is shared")).unwrap();
        assert_eq!(first.while_alone(|| ()).unwrap(), None);
        drop(second);
        assert_eq!(first.while_alone(|| 7).unwrap(), Some(7));
        // It is held together again.
        let file = open(&path).unwrap().into_parts().0;
        assert!(matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        let alone = alone(&path, || panic!("nobody has it")).unwrap();
        assert!(matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
        drop(alone);
        file.try_lock_shared().unwrap();
    }

    #[test]
    fn without_locks_nobody_waits() {
        let unsupported = || Err(TryLockError::Error(rustix::io::Errno::NOLCK.into()));
        assert!(!poll(unsupported, || panic!("there is nobody to wait for")).unwrap());
    }

    #[test]
    fn who_waits_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let held = together(&path, || ()).unwrap();
        let (sender, said) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || alone(&path, || sender.send(()).unwrap()).map(drop)
        });
        said.recv().unwrap();
        std::thread::sleep(3 * LOOK);
        drop(held);
        waiter.join().unwrap().unwrap();
        assert!(said.try_recv().is_err());
    }
}
