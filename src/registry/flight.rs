//! Lets one of many that want the same blob fetch it, while the others wait and then find it in the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::blob::Digest;

/// Who is at which blob.
#[derive(Default)]
pub(super) struct Flights {
    turns: Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Flights {
    /// Waits until nobody else is at `digest`; the turn lasts as long as what is returned.
    pub(super) async fn turn(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(digest).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::default();
                turns.insert(*digest, Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}
