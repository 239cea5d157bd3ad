//! What a person should know while registries are talked to, and that is no error.

use std::fmt;
use std::sync::Arc;

/// Whom to tell; nobody by default.
#[derive(Clone, Default)]
pub struct Told(Option<Arc<dyn Fn(String) + Send + Sync>>);

impl Told {
    /// Tells `listener`, one sentence at a time.
    pub fn new(listener: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(super) fn tell(&self, note: String) {
        if let Some(listener) = &self.0 {
            listener(note);
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Told(somebody)" } else { "Told(nobody)" })
    }
}
