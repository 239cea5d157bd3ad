//! How much of a blob a registry takes at once, where it turned out to want parts; known for the rest of the run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The header by which a registry says the least size of a part that is not the last:
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>.
pub(super) const LEAST_HEADER: &str = "oci-chunk-min-length";
/// The size of parts where nothing else is known, in bytes: what fits under the limits of most proxies.
const USUAL: u64 = 16 * 1024 * 1024;
/// The smallest parts that are tried: smaller ones would be refused for another reason.
const SMALLEST: u64 = 64 * 1024;

/// The sizes of parts, by registry.
#[derive(Default)]
pub(super) struct PartSizes(Mutex<BTreeMap<String, PartSize>>);

#[derive(Debug, Clone, Copy)]
struct PartSize {
    size: u64,
    least: u64,
}

impl PartSizes {
    /// The size of a part in bytes; `None` where blobs go up whole.
    pub(super) fn of(&self, registry: &str) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(registry).map(|part| part.size)
    }

    /// The registry wants parts of at least that size.
    pub(super) fn asked_for(&self, registry: &str, least: u64) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = sizes.entry(registry.to_owned()).or_insert(PartSize { size: USUAL, least });
        part.least = part.least.max(least);
        part.size = part.size.max(part.least);
    }

    /// The registry did not take so many bytes at once; false when there is nothing smaller to try.
    pub(super) fn refused(&self, registry: &str, bytes: u64) -> bool {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sizes.get(registry).copied();
        let least = known.map_or(0, |part| part.least).max(SMALLEST);
        if bytes <= least {
            return false;
        }
        let half = bytes.div_ceil(2).min(USUAL).max(least);
        // Another upload may have found out more meanwhile.
        let size = known.map_or(half, |part| part.size.min(half));
        sizes.insert(registry.to_owned(), PartSize { size, least: known.map_or(0, |part| part.least) });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_halved_down_to_what_makes_sense() {
        let sizes = PartSizes::default();
        assert_eq!(sizes.of("a"), None);
        let mut refused = 1 << 30;
        let mut tried = Vec::new();
        while sizes.refused("a", refused) {
            refused = sizes.of("a").unwrap();
            tried.push(refused >> 10);
        }
        assert_eq!(tried, [16384, 8192, 4096, 2048, 1024, 512, 256, 128, 64]);
        assert_eq!(sizes.of("b"), None);
    }

    #[test]
    fn a_registry_gets_parts_of_the_size_that_it_asks_for() {
        let sizes = PartSizes::default();
        sizes.asked_for("a", 100 << 20);
        assert_eq!(sizes.of("a"), Some(100 << 20));
        assert!(!sizes.refused("a", 100 << 20), "it cannot have both");
        sizes.asked_for("b", 1);
        assert_eq!(sizes.of("b"), Some(USUAL));
        assert!(sizes.refused("b", USUAL));
        assert_eq!(sizes.of("b"), Some(USUAL / 2));
    }
}
