//! Stands before a server and lets bytes through no faster than a test wants.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes that are let through at a time.
const PIECE: usize = 16 * 1024;

/// The slow way to a server; it ends with the value.
pub struct Slow {
    host: String,
    over: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Way {
    /// bytes a second, in each direction of each connection
    speed: u32,
    /// how many bytes a connection may carry to the server before it breaks
    breaks_after: Option<usize>,
    broken: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Slow {
    /// Before the server at `host` (`localhost:PORT`), with so many bytes a second; with `breaks_after`, the first
    /// connection that carries more than that to the server breaks.
    pub fn before(host: &str, speed: u32, breaks_after: Option<usize>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("a socket has an address").port();
        let upstream = host.replace("localhost", "127.0.0.1");
        let over = Arc::<AtomicBool>::default();
        let way = Way { speed, breaks_after, broken: Arc::default(), over: over.clone() };
        thread::spawn(move || {
            for connection in socket.incoming().map_while(Result::ok) {
                if way.over.load(Ordering::SeqCst) {
                    return;
                }
                let (way, upstream) = (way.clone(), upstream.clone());
                // Whoever goes away in the middle is a test that is over.
                thread::spawn(move || drop(way.pass(connection, &upstream)));
            }
        });
        Self { host: format!("localhost:{port}"), over }
    }

    /// `localhost:PORT`
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; it may be gone already.
        let _ = TcpStream::connect(self.host.replace("localhost", "127.0.0.1"));
    }
}

impl Way {
    fn pass(&self, client: TcpStream, upstream: &str) -> io::Result<()> {
        let server = TcpStream::connect(upstream)?;
        let (way, up) = (self.clone(), (client.try_clone()?, server.try_clone()?));
        let sending = thread::spawn(move || way.one_way(up.0, up.1, way.breaks_after));
        let received = self.one_way(server, client, None);
        // It ends with the connections.
        let _ = sending.join();
        received
    }

    /// Passes bytes on until there are no more, or the connections break.
    fn one_way(&self, mut from: TcpStream, mut to: TcpStream, breaks_after: Option<usize>) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let mut passed = 0;
        loop {
            let length = from.read(&mut piece)?;
            if length == 0 {
                return to.shutdown(Shutdown::Write);
            }
            passed += length;
            if breaks_after.is_some_and(|most| passed > most) && !self.broken.swap(true, Ordering::SeqCst) {
                from.shutdown(Shutdown::Both)?;
                return to.shutdown(Shutdown::Both);
            }
            to.write_all(&piece[..length])?;
            thread::sleep(Duration::from_secs(1) * u32::try_from(length).expect("a piece is small") / self.speed);
        }
    }
}
