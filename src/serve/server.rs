//! The socket: who may connect, how many, how slowly, and how it ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::answer::answer;
use super::error::ServeError;
use super::limits::MOST_CONNECTIONS;
use super::patience::Patient;
use super::shelf::Shelf;
use super::{Said, Say};

/// How long answers that are being sent at the end may take.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long a client may take to say what it wants; as long may a connection be idle.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may take nothing of an answer: it may be passing it on to somewhere slow.
const STALLED: Duration = Duration::from_mins(2);
/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 32 << 10;
/// The most header lines of a request.
const MOST_HEADERS: usize = 100;
/// How often layouts are looked at when nobody asks for them.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// How long we wait when the system has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// A socket that is listened on.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens; whoever connects from now on waits until [`Self::run`] answers.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that the system chose where it was to choose one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `end`; then whatever is being sent has [`GRACE`] to end. `verbose` says each request.
    ///
    /// # Errors
    /// When the runtime does not take the socket.
    pub async fn run(
        self,
        layouts: Arc<Shelf>,
        say: Say,
        verbose: bool,
        end: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let Self { listener, address } = self;
        let listener = TcpListener::from_std(listener).map_err(|source| ServeError::Listen { address, source })?;
        let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let connections = GracefulShutdown::new();
        let mut clock = interval(LOOKED_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let told = verbose.then(|| say.clone());
        let mut end = std::pin::pin!(end);
        let mut refused = false;
        loop {
            tokio::select! {
                biased;
                () = &mut end => break,
                _ = clock.tick() => {
                    let layouts = layouts.clone();
                    // Nobody waits for it.
                    drop(spawn_blocking(move || drop(layouts.refresh())));
                }
                accepted = accept(&listener, &seats) => match accepted {
                    Ok((stream, seat)) => {
                        refused = false;
                        converse(stream, seat, &layouts, told.clone(), &connections);
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut refused, true) {
                            say(Said::Note(format!("a connection could not be accepted: {error}")));
                        }
                        sleep(NO_ROOM).await;
                    }
                }
            }
        }
        drop(listener);
        // Those that are still there then are cut.
        let _ = timeout(GRACE, connections.shutdown()).await;
        Ok(())
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, seats: &Arc<Semaphore>) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let seat = seats.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    Ok((listener.accept().await?.0, seat))
}

/// Answers on a connection, as a task of its own.
fn converse(
    stream: TcpStream,
    seat: OwnedSemaphorePermit,
    shelf: &Arc<Shelf>,
    told: Option<Say>,
    connections: &GracefulShutdown,
) {
    // Small answers should not wait for more to come.
    let _ = stream.set_nodelay(true);
    let shelf = shelf.clone();
    let service = service_fn(move |request| {
        let (shelf, told) = (shelf.clone(), told.clone());
        async move { Ok::<_, Infallible>(answer(&shelf, told, &request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
    // Who has said all there is to say may still listen; and scripts look for `Docker-Content-Digest` as docker writes it.
    http.half_close(true).title_case_headers(true);
    let connection = http.serve_connection(TokioIo::new(Patient::new(stream, STALLED)), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // However it ended: the client knows, and nobody else is concerned.
        let _ = connection.await;
        drop(seat);
    });
}
