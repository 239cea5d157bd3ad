//! A file that one of several processes holds at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;

/// How often a lock that another process has is tried.
pub const LOOK: Duration = Duration::from_millis(100);

/// Waits for the lock of the file `path`, which is made where it is missing; the lock goes with the value, at the latest
/// with this process. It is polled, so that whoever waits can be interrupted. `waiting` is called once, when another process
/// has it. The file stays: who removes it would take it from one who waits.
///
/// # Errors
/// When the file cannot be made or locked.
pub async fn lock(path: &Path, waiting: impl FnOnce()) -> io::Result<File> {
    let file = fs::File::create(path)?.into_parts().0;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                tokio::time::sleep(LOOK).await;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
