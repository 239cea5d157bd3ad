//! Things in the cache that somebody wants to be rid of are removed: by whoever holds the store alone.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use super::eviction::{Entry, oldest};
use super::scratch::remove_folder;
use super::{Item, Kind, Store, StoreError};

/// What is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// of what builds stored by digest: what was not used for so long, and then the oldest beyond a size in bytes
    Old {
        /// longest time since the last use
        unused_for: Option<Duration>,
        /// most bytes that may stay
        at_most: Option<u64>,
    },
    /// all of these kinds
    Kinds(BTreeSet<Kind>),
}

impl Store {
    /// What of `items` the selection names, and what is of no use to anybody: unfinished things and records of what is
    /// gone. In the order of `items`.
    #[must_use]
    pub fn select(&self, items: Vec<Item>, selection: &Selection) -> Vec<Item> {
        let dangling: BTreeSet<_> = self.dangling_records().into_iter().collect();
        let chosen: BTreeSet<_> = match selection {
            Selection::Kinds(kinds) => {
                items.iter().filter(|item| kinds.contains(&item.kind)).map(|item| item.path.clone()).collect()
            }
            Selection::Old { unused_for, at_most } => {
                let limited = items.iter().filter(|item| item.kind.is_limited());
                let (gone, stays): (Vec<&Item>, Vec<&Item>) = limited.partition(|item| is_unused(item, *unused_for));
                let entries = stays.into_iter().filter_map(entry).collect();
                let beyond = oldest(entries, at_most.unwrap_or(u64::MAX), &|_| false);
                let gone = gone.into_iter().map(|item| item.path.clone());
                let mut chosen: BTreeSet<_> = gone.chain(beyond.into_iter().map(|entry| entry.path)).collect();
                let unfinished = items.iter().filter(|item| item.kind == Kind::Unfinished);
                chosen.extend(unfinished.map(|item| item.path.clone()));
                chosen.extend(dangling);
                chosen
            }
        };
        items.into_iter().filter(|item| chosen.contains(&item.path)).collect()
    }

    /// Removes things of this store, and the records of what is gone with them. Only for who opened it by
    /// [`Store::open_alone`].
    ///
    /// # Errors
    /// When something cannot be removed; what comes after it is still there.
    pub fn remove(&self, items: &[Item]) -> Result<(), StoreError> {
        let failed = |source| self.failed(source);
        for item in items {
            // A tool or a sysroot of which only a part is left would be taken for a whole one.
            if matches!(item.kind, Kind::Toolchain | Kind::Sysroot | Kind::Wrapper) {
                let aside = tempfile::Builder::new().prefix("removed-").tempdir_in(self.temporary()).map_err(failed)?;
                fs::rename(&item.path, aside.path().join("it")).map_err(failed)?;
                remove(&aside.keep()).map_err(failed)?;
            } else {
                remove(&item.path).map_err(failed)?;
            }
        }
        self.dangling_records().iter().try_for_each(|path| remove(path)).map_err(failed)
    }
}

/// Removes a file, a link or a folder; what is gone already is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => remove_folder(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// True when it was not used for so long; a use in the future was just now.
fn is_unused(item: &Item, longest: Option<Duration>) -> bool {
    let age = item.used.map(|used| used.elapsed().unwrap_or_default());
    longest.zip(age).is_some_and(|(longest, age)| age > longest)
}

fn entry(item: &Item) -> Option<Entry> {
    Some(Entry { path: item.path.clone(), digest: item.digest, size: item.size, used: item.used? })
}
