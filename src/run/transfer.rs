//! Bytes on their way, told to who watches.

use std::sync::atomic::{AtomicU64, Ordering};

use super::event::Event;
use super::session::Session;

/// Smaller blobs are not worth a bar.
const SHOWN_FROM: u64 = 1 << 20;

static TRANSFER: AtomicU64 = AtomicU64::new(0);

/// Tells of a transfer and of its end.
pub(super) struct Transfer {
    session: Session,
    id: u64,
    shown: bool,
}

impl Transfer {
    pub(super) fn start(session: &Session, what: String, size: u64) -> Self {
        let id = TRANSFER.fetch_add(1, Ordering::Relaxed);
        let shown = size >= SHOWN_FROM;
        if shown {
            session.watch.event(Event::TransferStarted { id, what, size });
        }
        Self { session: session.clone(), id, shown }
    }

    pub(super) fn moved(&self, bytes: u64) {
        if self.shown {
            self.session.watch.event(Event::Transferred { id: self.id, bytes });
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.shown {
            self.session.watch.event(Event::TransferEnded { id: self.id });
        }
    }
}
