//! What every HTTP client of ours has in common, and what the failure of a connection means.

pub mod retry;

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

/// How long a connection, TLS included, may take to stand.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long nothing may arrive.
pub const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// How we call ourselves.
pub const USER_AGENT: &str = concat!("anyarch/", env!("CARGO_PKG_VERSION"));

/// Makes sure that there is a TLS provider. The first one that is installed stays; by whom does not matter.
pub fn provide_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client to be: our name, our patience with connections, and no word about where we come from.
pub fn builder() -> reqwest::ClientBuilder {
    provide_tls();
    reqwest::Client::builder().user_agent(USER_AGENT).referer(false).connect_timeout(CONNECT_TIMEOUT)
}

/// Walks through everything that led to an error, looking also into `io::Error`s, whose `source` leaves out the error
/// they were made of.
#[must_use]
pub fn find<'error, T: StdError + 'static>(error: &'error reqwest::Error) -> Option<&'error T> {
    let mut next: Option<&'error (dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// True when nobody listens, or there is no way there: where somebody did a moment ago, somebody may soon.
#[must_use]
pub fn is_absent(error: &reqwest::Error) -> bool {
    find::<io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
        )
    })
}

/// True for a connection that stood, or nearly so, and was cut: it may stand the next time.
#[must_use]
pub fn is_reset(error: &reqwest::Error) -> bool {
    if error.is_timeout() {
        return true;
    }
    if find::<rustls::Error>(error).is_some() {
        return false;
    }
    match find::<io::Error>(error) {
        Some(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::TimedOut
                | io::ErrorKind::UnexpectedEof
        ),
        // hyper's own words for a connection that closed before the answer.
        None => !error.is_connect() && !error.is_builder(),
    }
}
