//! Which repositories of a registry were seen to have which blob, kept from run to run: from there a blob may be mounted.
//!
//! It says only where something was, so it is never a reason not to ask: a registry that does not mount a blob from where
//! it should be makes us forget that place, and gets the blob.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::blob::Digest;
use crate::reference::Repository;
use crate::store::Store;

/// The kind of its records in the store, one a registry.
const KIND: &str = "whereabouts";
/// The most blobs of one registry that are remembered; those seen last stay.
const MOST_BLOBS: usize = 4096;
/// The most repositories that are remembered of one blob.
const MOST_REPOSITORIES: usize = 4;

/// Where blobs are.
#[derive(Default)]
pub(super) struct Whereabouts(Mutex<BTreeMap<String, OfRegistry>>);

/// What is known of one registry.
struct OfRegistry {
    record: Record,
    /// since the record was written last
    changes: Vec<Change>,
}

/// Blobs with the paths of their repositories, both in the order in which they were seen, the last one first.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record(Vec<(Digest, Vec<String>)>);

#[derive(Debug, Clone)]
struct Change {
    digest: Digest,
    path: String,
    there: bool,
}

impl Record {
    fn of(&self, digest: &Digest) -> &[String] {
        self.0.iter().find(|(known, _)| known == digest).map_or(&[], |(_, paths)| paths)
    }

    fn apply(&mut self, change: &Change) {
        let position = self.0.iter().position(|(known, _)| *known == change.digest);
        let mut paths = position.map(|position| self.0.remove(position).1).unwrap_or_default();
        paths.retain(|path| *path != change.path);
        if change.there {
            paths.insert(0, change.path.clone());
            paths.truncate(MOST_REPOSITORIES);
        }
        if !paths.is_empty() {
            let position = if change.there { 0 } else { position.unwrap_or_default() };
            self.0.insert(position, (change.digest, paths));
            self.0.truncate(MOST_BLOBS);
        }
    }
}

fn key(registry: &str) -> Digest {
    Digest::of(registry.as_bytes())
}

impl Whereabouts {
    /// Repositories that had the blob, and can be mounted from for `repository`; the one seen last comes first.
    pub(super) fn sources(&self, store: &Store, repository: &Repository, digest: &Digest) -> Vec<Repository> {
        self.with(store, &repository.registry, |known| {
            let others = known.record.of(digest).iter().filter(|path| **path != repository.path);
            others.map(|path| Repository { path: path.clone(), ..repository.clone() }).collect()
        })
    }

    /// Takes in that `repository` has the blob, or that it has not.
    pub(super) fn saw(&self, store: &Store, repository: &Repository, digest: &Digest, there: bool) {
        self.with(store, &repository.registry, |known| {
            // Said again in one run, it would only make the journal longer.
            if there && known.record.of(digest).first() == Some(&repository.path) {
                return;
            }
            let change = Change { digest: *digest, path: repository.path.clone(), there };
            known.record.apply(&change);
            known.changes.push(change);
        });
    }

    /// Writes what was seen over what other processes have written meanwhile. It only saves requests, so what cannot be
    /// written is not.
    pub(super) fn keep(&self, store: &Store) {
        let mut registries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (registry, known) in registries.iter_mut().filter(|(_, known)| !known.changes.is_empty()) {
            let mut record: Record = store.record(KIND, &key(registry)).unwrap_or_default();
            known.changes.drain(..).for_each(|change| record.apply(&change));
            let _ = store.set_record(KIND, &key(registry), &record);
            known.record = record;
        }
    }

    fn with<T>(&self, store: &Store, registry: &str, act: impl FnOnce(&mut OfRegistry) -> T) -> T {
        let mut registries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = registries.entry(registry.to_owned()).or_insert_with(|| {
            let record = store.record(KIND, &key(registry)).unwrap_or_default();
            OfRegistry { record, changes: Vec::new() }
        });
        act(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(path: &str) -> Repository {
        format!("registry.example/{path}").parse().unwrap()
    }

    fn paths(known: &Whereabouts, store: &Store, target: &str, digest: &Digest) -> Vec<String> {
        known.sources(store, &repository(target), digest).into_iter().map(|source| source.path).collect()
    }

    #[test]
    fn what_was_seen_last_comes_first_and_is_kept_for_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (known, digest) = (Whereabouts::default(), Digest::of(b"layer"));
        for path in ["one", "two", "three", "two", "four", "five"] {
            known.saw(&store, &repository(path), &digest, true);
        }
        assert_eq!(paths(&known, &store, "six", &digest), ["five", "four", "two", "three"]);
        assert_eq!(paths(&known, &store, "four", &digest), ["five", "two", "three"]);
        known.saw(&store, &repository("five"), &digest, false);
        // Another process has seen something meanwhile.
        let (other, theirs) = (Whereabouts::default(), Digest::of(b"theirs"));
        other.saw(&store, &repository("one"), &theirs, true);
        other.keep(&store);
        known.keep(&store);
        for known in [known, Whereabouts::default()] {
            assert_eq!(paths(&known, &store, "six", &digest), ["four", "two", "three"]);
            assert_eq!(paths(&known, &store, "six", &theirs), ["one"]);
            assert_eq!(paths(&known, &store, "six", &Digest::of(b"other")), [""; 0]);
        }
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut record = Record::default();
        for number in 0..=MOST_BLOBS {
            let digest = Digest::of(&number.to_le_bytes());
            record.apply(&Change { digest, path: "one".to_owned(), there: true });
        }
        assert_eq!(record.0.len(), MOST_BLOBS);
        assert!(record.of(&Digest::of(&0_usize.to_le_bytes())).is_empty(), "the oldest goes");
        let last = Digest::of(&MOST_BLOBS.to_le_bytes());
        assert_eq!(record.of(&last), ["one"]);
        record.apply(&Change { digest: last, path: "one".to_owned(), there: false });
        assert!(record.of(&last).is_empty());
        assert_eq!(record.0.len(), MOST_BLOBS - 1);
    }
}
