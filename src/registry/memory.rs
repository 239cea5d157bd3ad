//! How an earlier run found a registry, so that the next one needs not ask: by which scheme, how close, and how it wants to
//! be logged in to.
//!
//! It chooses only among the ways that are allowed now, and counts for a day; what turns out otherwise is found anew.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::address::Closeness;
use super::challenge::Challenge;
use super::transport::Scheme;
use crate::blob::Digest;
use crate::store::Store;

/// The kind of its records in the store, one a registry.
const KIND: &str = "registry";
/// How long it counts, in seconds.
const COUNTS: u64 = 24 * 60 * 60;

/// How a registry was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) scheme: Scheme,
    pub(super) closeness: Closeness,
    pub(super) challenge: Option<Challenge>,
}

/// The same with the time, in seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Record {
    found: u64,
    memory: Memory,
}

#[expect(clippy::disallowed_methods, reason = "how a registry was found counts for a while, and is part of no image")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn key(registry: &str) -> Digest {
    Digest::of(registry.as_bytes())
}

impl Memory {
    /// What is remembered of `registry`, unless that is too long ago or was in the future.
    pub(super) fn read(store: &Store, registry: &str) -> Option<Self> {
        let record: Record = store.record(KIND, &key(registry))?;
        let age = now().checked_sub(record.found)?;
        (age < COUNTS).then_some(record.memory)
    }

    /// Keeps it for later runs. It only saves requests, so what cannot be written is not.
    pub(super) fn keep(self, store: &Store, registry: &str) {
        let _ = store.set_record(KIND, &key(registry), &Record { found: now(), memory: self });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_remembered_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let memory = Memory {
            scheme: Scheme::Http,
            closeness: Closeness::Loopback,
            challenge: Some(Challenge::Bearer { realm: "https://tokens.example".to_owned(), service: None }),
        };
        memory.clone().keep(&store, "one.example");
        assert_eq!(Memory::read(&store, "one.example"), Some(memory.clone()));
        assert_eq!(Memory::read(&store, "two.example"), None);
        for (found, counts) in [(now() - COUNTS + 60, true), (now() - COUNTS, false), (now() + 60, false)] {
            let record = Record { found, memory: memory.clone() };
            store.set_record(KIND, &key("one.example"), &record).unwrap();
            assert_eq!(Memory::read(&store, "one.example").is_some(), counts, "{found}");
        }
    }
}
