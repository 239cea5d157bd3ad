//! What a person should know while registries are talked to, and that is no error.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Whom to tell; nobody by default.
#[derive(Clone, Default)]
pub struct Told {
    listener: Option<Arc<dyn Fn(String) + Send + Sync>>,
    /// what something was told about that is told about once
    subjects: Arc<Mutex<BTreeSet<String>>>,
}

impl Told {
    /// Tells `listener`, one sentence at a time.
    pub fn new(listener: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)), subjects: Arc::default() }
    }

    pub(super) fn tell(&self, note: String) {
        if let Some(listener) = &self.listener {
            listener(note);
        }
    }

    /// Tells a note, unless something was told about `subject` before.
    pub(super) fn once(&self, subject: &str, note: impl FnOnce() -> String) {
        if self.subjects.lock().unwrap_or_else(PoisonError::into_inner).insert(subject.to_owned()) {
            self.tell(note());
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.listener.is_some() { "Told(somebody)" } else { "Told(nobody)" })
    }
}
