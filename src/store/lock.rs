//! A file that one of several processes holds at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use rustix::io::Errno;

/// How often a lock that another process has is tried.
pub const LOOK: Duration = Duration::from_millis(100);

/// What came of an attempt to lock a file at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// it is locked now
    Had,
    /// another process has the lock
    Taken,
    /// the file system has no locks: some that come over a network have none
    NoLocks,
}

impl Attempt {
    /// Reads what an attempt ended with.
    ///
    /// # Errors
    /// When the lock cannot be had for a reason of its own.
    pub(super) fn of(tried: Result<(), TryLockError>) -> io::Result<Self> {
        match tried {
            Ok(()) => Ok(Self::Had),
            Err(TryLockError::WouldBlock) => Ok(Self::Taken),
            Err(TryLockError::Error(error)) if has_no_locks(&error) => Ok(Self::NoLocks),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Linux says one of these, by flock(2) and what file systems make of it.
fn has_no_locks(error: &io::Error) -> bool {
    let numbers = [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP];
    let number = error.raw_os_error();
    error.kind() == io::ErrorKind::Unsupported || numbers.iter().any(|known| Some(known.raw_os_error()) == number)
}

/// Waits for the lock of the file `path`, which is made where it is missing; the lock goes with the value, at the latest
/// with this process. It is polled, so that whoever waits can be interrupted. `waiting` is called once, when another process
/// has it. The file stays: who removes it would take it from one who waits. On a file system without locks nobody waits.
///
/// # Errors
/// When the file cannot be made or locked.
pub async fn lock(path: &Path, waiting: impl FnOnce()) -> io::Result<File> {
    let file = fs::File::create(path)?.into_parts().0;
    let mut waiting = Some(waiting);
    loop {
        match Attempt::of(file.try_lock())? {
            Attempt::Had | Attempt::NoLocks => return Ok(file),
            Attempt::Taken => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_told_from_one_that_fails() {
        let system = |error: Errno| TryLockError::Error(io::Error::from_raw_os_error(error.raw_os_error()));
        let library = |kind: io::ErrorKind| TryLockError::Error(kind.into());
        for (tried, expected) in [
            (Ok(()), Some(Attempt::Had)),
            (Err(TryLockError::WouldBlock), Some(Attempt::Taken)),
            (Err(system(Errno::NOLCK)), Some(Attempt::NoLocks)),
            (Err(system(Errno::NOSYS)), Some(Attempt::NoLocks)),
            (Err(system(Errno::NOTSUP)), Some(Attempt::NoLocks)),
            (Err(library(io::ErrorKind::Unsupported)), Some(Attempt::NoLocks)),
            (Err(system(Errno::IO)), None),
            (Err(system(Errno::BADF)), None),
            (Err(library(io::ErrorKind::PermissionDenied)), None),
        ] {
            let words = format!("{tried:?}");
            assert_eq!(Attempt::of(tried).ok(), expected, "{words}");
        }
    }
}
