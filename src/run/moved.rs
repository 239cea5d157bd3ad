//! Counts what a run moves between here and registries: each blob once a repository, however often it was tried and
//! in how many images it is.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::blob::{Descriptor, Digest};
use crate::reference::Repository;
use crate::registry::PushedHow;

/// What moved so far; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Moved(Arc<Mutex<Blobs>>);

#[derive(Debug, Default)]
struct Blobs {
    /// by registry, with their sizes
    fetched: BTreeMap<(String, Digest), u64>,
    /// by repository
    pushed: BTreeMap<(Repository, Digest), (PushedHow, u64)>,
}

/// What went to a registry, and what came from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// came from there, into the store or past it to another registry
    pub fetched: Count,
    /// went there
    pub pushed: Count,
    /// were taken there from other repositories of the same registry
    pub mounted: Count,
    /// were wanted there, and were there
    pub present: Count,
}

/// How many blobs there are, and how large they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// how many
    pub blobs: u64,
    /// the sum of their sizes
    pub bytes: u64,
}

impl AddAssign<u64> for Count {
    /// One more blob, of so many bytes.
    fn add_assign(&mut self, bytes: u64) {
        self.blobs += 1;
        self.bytes += bytes;
    }
}

impl Moved {
    /// A blob came from a repository.
    pub fn fetched(&self, repository: &Repository, blob: &Descriptor) {
        self.blobs().fetched.insert((repository.registry.clone(), blob.digest), blob.size);
    }

    /// A blob that was to be pushed is in a repository, and came to be there so.
    ///
    /// Of several ways of one blob the most laborious counts: what was sent is found there when it is wanted again.
    pub fn pushed(&self, repository: &Repository, blob: &Descriptor, how: PushedHow) {
        let mut blobs = self.blobs();
        let known = blobs.pushed.entry((repository.clone(), blob.digest)).or_insert((how, blob.size));
        if labour(how) > labour(known.0) {
            known.0 = how;
        }
    }

    /// What moved, by registry; one that was neither read nor pushed to is not there.
    #[must_use]
    pub fn by_registry(&self) -> BTreeMap<String, Traffic> {
        let blobs = self.blobs();
        let mut registries: BTreeMap<String, Traffic> = BTreeMap::new();
        for ((registry, _), bytes) in &blobs.fetched {
            registries.entry(registry.clone()).or_default().fetched += *bytes;
        }
        for ((repository, _), (how, bytes)) in &blobs.pushed {
            let traffic = registries.entry(repository.registry.clone()).or_default();
            *match how {
                PushedHow::Existed => &mut traffic.present,
                PushedHow::Mounted => &mut traffic.mounted,
                PushedHow::Uploaded => &mut traffic.pushed,
            } += *bytes;
        }
        registries
    }

    fn blobs(&self) -> MutexGuard<'_, Blobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn labour(how: PushedHow) -> u8 {
    match how {
        PushedHow::Existed => 0,
        PushedHow::Mounted => 1,
        PushedHow::Uploaded => 2,
    }
}

#[cfg(test)]
mod tests {
    use PushedHow::{Existed, Mounted, Uploaded};

    use super::*;

    fn blob(content: &str, size: u64) -> Descriptor {
        Descriptor::new("application/octet-stream", Digest::of(content.as_bytes()), size)
    }

    #[test]
    fn a_blob_counts_once_a_repository_by_its_most_laborious_way() {
        let repository = |text: &str| text.parse::<Repository>().unwrap();
        let (one, two, other) = (repository("a.example/one"), repository("a.example/two"), repository("b.example/one"));
        let (small, large) = (blob("small", 10), blob("large", 1_000));
        let moved = Moved::default();
        assert_eq!(moved.by_registry(), BTreeMap::new());
        for (repository, blob, how) in [
            (&one, &small, Existed),
            (&one, &large, Uploaded),
            (&one, &large, Existed),
            (&one, &large, Uploaded),
            (&two, &large, Existed),
            (&two, &large, Mounted),
            (&other, &small, Existed),
        ] {
            moved.clone().pushed(repository, blob, how);
        }
        moved.fetched(&other, &large);
        moved.fetched(&other, &large);
        let (none, small, large) = (Count::default(), Count { blobs: 1, bytes: 10 }, Count { blobs: 1, bytes: 1_000 });
        let expected = [
            ("a.example", Traffic { fetched: none, pushed: large, mounted: large, present: small }),
            ("b.example", Traffic { fetched: large, pushed: none, mounted: none, present: small }),
        ];
        assert_eq!(moved.by_registry(), expected.map(|(registry, traffic)| (registry.to_owned(), traffic)).into());
    }
}
