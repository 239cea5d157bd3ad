//! How many files may be open at once: those of connections, and those that are kept open so that a pull that runs while its
//! layout is replaced ends well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections at once; whoever comes then waits.
pub(super) const MOST_CONNECTIONS: usize = 256;
/// How many open files we ask the system for, where it limits them.
const WANTED: u64 = 8192;
/// What the program needs besides connections and layouts.
const RESERVED: usize = 64;

/// Raises the limit of open files as far as it is useful and allowed, and tells how many a process may keep open beside those
/// that answers need.
#[must_use]
pub fn make_room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let (current, most) = (limit.current.unwrap_or(WANTED), limit.maximum.unwrap_or(WANTED));
    let wanted = WANTED.min(most);
    let raised = wanted > current
        && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).is_ok();
    let current = usize::try_from(if raised { wanted } else { current }).unwrap_or(usize::MAX);
    // A connection is a socket and one file.
    current.saturating_sub(2 * MOST_CONNECTIONS + RESERVED)
}

/// The files that may still be kept open.
#[derive(Debug)]
pub(super) struct Budget(AtomicUsize);

/// One file of a budget, given back when it is closed.
#[derive(Debug)]
pub(super) struct Permit(Arc<Budget>);

impl Budget {
    pub(super) fn new(files: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(files)))
    }

    /// One file more, unless there are as many as there may be.
    pub(super) fn take(self: &Arc<Self>) -> Option<Permit> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok().then(|| Permit(self.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_makes_room() {
        let budget = Budget::new(2);
        let (one, two) = (budget.take(), budget.take());
        assert!(one.is_some() && two.is_some() && budget.take().is_none());
        drop(one);
        assert!(budget.take().is_some());
    }
}
