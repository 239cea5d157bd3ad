//! One run at a time builds in a project: what one puts into its own folder, another would empty.

use std::fs::File;
use std::path::Path;

use crate::store;

use super::error::Error;
use super::event::{Event, Watch};
use super::setup;

/// The file that is locked, in the project's `.anyarch`.
const FILE: &str = "build.lock";

/// Waits until no other run builds in the project that `own_folder` is of; the lock goes with the value.
///
/// # Errors
/// When the file cannot be made or locked.
pub(super) async fn lock(own_folder: &Path, watch: &dyn Watch) -> Result<File, Error> {
    setup::own_folder(own_folder)?;
    let path = own_folder.join(FILE);
    let waiting = || {
        let place = own_folder.display();
        watch.event(Event::Note(format!("another anyarch builds in `{place}`: waiting until it is done")));
    };
    store::lock(&path, waiting).await.map_err(|source| Error::Write { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::LOOK;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Watch for Notes {
        fn event(&self, event: Event) {
            if let Event::Note(note) = event {
                self.0.lock().unwrap().push(note);
            }
        }
    }

    #[tokio::test]
    async fn who_comes_second_waits_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let own_folder = folder.path().join(".anyarch");
        let notes = Notes::default();
        let first = lock(&own_folder, &notes).await.unwrap();
        assert!(notes.0.lock().unwrap().is_empty());
        assert!(tokio::time::timeout(LOOK * 4, lock(&own_folder, &notes)).await.is_err());
        let said = format!("another anyarch builds in `{}`: waiting until it is done", own_folder.display());
        assert_eq!(*notes.0.lock().unwrap(), [said]);
        drop(first);
        let second = tokio::time::timeout(LOOK * 100, lock(&own_folder, &notes)).await;
        assert!(second.unwrap().is_ok());
    }
}
