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

#[derive(Debug, Default, Clone, Copy)]
struct PartSize {
    /// `None` as long as nothing was refused
    size: Option<u64>,
    /// of a part that is not the last
    least: u64,
}

impl PartSizes {
    /// The size of a part in bytes; `None` where blobs go up whole.
    pub(super) fn of(&self, registry: &str) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(registry).and_then(|part| part.size)
    }

    /// Parts are to have at least that size, if there are to be parts: it is no wish for them.
    pub(super) fn at_least(&self, registry: &str, least: u64) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = sizes.entry(registry.to_owned()).or_default();
        part.least = part.least.max(least);
        part.size = part.size.map(|size| size.max(part.least));
    }

    /// The registry did not take so many bytes at once; false when there is nothing smaller to try.
    pub(super) fn refused(&self, registry: &str, bytes: u64) -> bool {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = sizes.entry(registry.to_owned()).or_default();
        let least = part.least.max(SMALLEST);
        if bytes <= least {
            return false;
        }
        let half = bytes.div_ceil(2).min(USUAL).max(least);
        // Another upload may have found out more meanwhile.
        part.size = Some(part.size.map_or(half, |size| size.min(half)));
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
    fn parts_are_no_smaller_than_they_may_be() {
        let sizes = PartSizes::default();
        sizes.at_least("a", 100 << 20);
        assert_eq!(sizes.of("a"), None, "whole, until that is refused");
        assert!(sizes.refused("a", 1 << 30));
        assert_eq!(sizes.of("a"), Some(100 << 20));
        assert!(!sizes.refused("a", 100 << 20), "it cannot have both");
        assert!(sizes.refused("b", 1 << 20));
        sizes.at_least("b", 1);
        assert_eq!(sizes.of("b"), Some(1 << 19));
        sizes.at_least("b", 1 << 20);
        assert_eq!(sizes.of("b"), Some(1 << 20));
    }
}
