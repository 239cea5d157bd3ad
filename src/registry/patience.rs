//! How long a server may take: what is silent, and what drips, is given up.

use std::time::Duration;

/// How long a server may take. The times are those in which we wait for it, not those in which it waits for us.
#[derive(Debug, Clone)]
pub struct Patience {
    /// how long it may take until a registry first answers at all
    pub greeting: Duration,
    /// how long nothing may arrive
    pub silence: Duration,
    /// how long a document (a manifest, a token) may take, and how long it may take until one is sent to us at all
    pub document: Duration,
    /// the fewest bytes of a blob in `window`, as curl's `--speed-limit` and `--speed-time` have it
    pub least: u64,
    /// how long fewer may come
    pub window: Duration,
}

impl Default for Patience {
    /// A blob at less than 1 KiB/s for a minute is given up: 10 MB would take three hours.
    fn default() -> Self {
        Self {
            greeting: crate::http::READ_TIMEOUT,
            silence: crate::http::READ_TIMEOUT,
            document: Duration::from_mins(1),
            least: 60 * 1024,
            window: Duration::from_mins(1),
        }
    }
}

impl Patience {
    /// The patience with a mirror, for another place stands behind it.
    pub(super) fn hasty(&self) -> Self {
        let at_most = |own: Duration, seconds| own.min(Duration::from_secs(seconds));
        Self {
            greeting: at_most(self.greeting, 5),
            silence: at_most(self.silence, 10),
            document: at_most(self.document, 20),
            ..self.clone()
        }
    }
}

/// Bytes and waiting in the window that is open now.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    received: u64,
}

impl Pace {
    /// Takes in that `bytes` came after waiting so long; false when that is too slow.
    pub(super) fn keep(&mut self, patience: &Patience, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.received = self.received.saturating_add(bytes);
        if self.waited < patience.window {
            return true;
        }
        let fast = self.received >= patience.least;
        *self = Self::default();
        fast
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_window_with_too_few_bytes_is_too_slow() {
        let patience = Patience { least: 100, window: Duration::from_secs(10), ..Patience::default() };
        for (pieces, expected) in [
            (vec![(5, 1), (4, 1)], vec![true, true]),
            (vec![(5, 1), (5, 98)], vec![true, false]),
            (vec![(5, 1), (5, 99)], vec![true, true]),
            (vec![(10, 100), (9, 0), (1, 0)], vec![true, true, false]),
            (vec![(0, 1_000_000), (30, 1)], vec![true, true]),
            (vec![(30, 1)], vec![false]),
        ] {
            let mut pace = Pace::default();
            let told: Vec<bool> = pieces
                .iter()
                .map(|(waited, bytes)| pace.keep(&patience, Duration::from_secs(*waited), *bytes))
                .collect();
            assert_eq!(told, expected, "{pieces:?}");
        }
    }
}
