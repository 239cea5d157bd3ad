//! What an operating system says when a disk is full, and the ways out of it: the same words wherever it happens.

use std::io;
use std::path::Path;

/// True when `error` says that no space, or none of this user's, is left.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Says that `place` cannot be written, and when it is so that its disk is full.
#[must_use]
pub fn cannot_be_written(place: &Path, error: &io::Error) -> String {
    let place = place.display();
    if is_full(error) { format!("the disk of `{place}` is full") } else { format!("`{place}` cannot be written") }
}

/// How space is made; empty when `error` is another.
#[must_use]
pub fn hints(error: &io::Error) -> Vec<String> {
    if !is_full(error) {
        return Vec::new();
    }
    vec![
        "make space: anyarch cache prune --max-size 1GB".to_owned(),
        "or keep the cache on another disk: ANYARCH_CACHE_DIR=/path anyarch build".to_owned(),
    ]
}
