//! What a client has to say beside its results.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Is told, once each, what a person should know and what changes nothing.
#[derive(Clone, Default)]
pub struct Notes {
    tell: Option<Arc<dyn Fn(String) + Send + Sync>>,
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Notes {
    /// Hands every note to `tell`.
    pub fn new(tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Arc::new(tell)), told: Arc::default() }
    }

    /// Tells `note`, unless something was told about `subject` before.
    pub(super) fn once(&self, subject: &str, note: impl FnOnce() -> String) {
        let is_new = self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(subject.to_owned());
        if let Some(tell) = self.tell.as_ref().filter(|_| is_new) {
            tell(note());
        }
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Notes").finish_non_exhaustive()
    }
}
