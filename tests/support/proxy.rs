//! Stands before a registry and tells what was asked of it.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::registry::Registry;

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `PUT`
    pub method: String,
    /// the path with the query
    pub path: String,
    /// the length of the body, where it was announced
    pub length: u64,
    /// the answer's status
    pub status: u16,
}

impl Request {
    /// True for a request that puts a blob, or a part of one, into the registry; a mount moves nothing.
    pub fn uploads(&self) -> bool {
        matches!(self.method.as_str(), "PUT" | "PATCH") && self.path.contains("/blobs/uploads/")
    }

    /// What a manifest was pushed as: a tag or a digest.
    pub fn pushed(&self) -> Option<&str> {
        self.path.rsplit_once("/manifests/").filter(|_| self.method == "PUT").map(|(_, reference)| reference)
    }
}

/// The proxy; it ends with the value.
pub struct Proxy {
    state: Arc<State>,
    host: String,
}

struct State {
    upstream: String,
    seen: Mutex<Vec<Request>>,
    over: AtomicBool,
}

impl Proxy {
    /// Before a registry.
    pub fn before(registry: &Registry) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("a socket has an address").port();
        let upstream = registry.host().replace("localhost", "127.0.0.1");
        let state = Arc::new(State { upstream, seen: Mutex::default(), over: AtomicBool::new(false) });
        let shared = state.clone();
        thread::spawn(move || {
            for connection in socket.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let (state, connection) = (shared.clone(), connection.expect("a connection is taken"));
                // Whoever goes away in the middle is a test that is over, or an interrupt that is tested.
                thread::spawn(move || drop(state.serve(connection)));
            }
        });
        Self { state, host: format!("localhost:{port}") }
    }

    /// `localhost:PORT`
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What was asked since this was called last.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.seen.lock().expect("no thread panics with the list"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; it may be gone already.
        let _ = TcpStream::connect(self.host.replace("localhost", "127.0.0.1"));
    }
}

impl State {
    /// Passes one request on: the connection is closed after it, so that none hides behind another.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let head = head(&mut reader)?;
        let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let header = |name: &str| {
            let named = head.iter().filter_map(|line| line.split_once(':'));
            named.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
        };
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let saw = |status| {
            let request = Request { method: method.to_owned(), path: path.to_owned(), length, status };
            self.seen.lock().expect("no thread panics with the list").push(request);
        };
        let mut server = TcpStream::connect(&self.upstream)?;
        let kept = |line: &&String| !line.to_ascii_lowercase().starts_with("connection:");
        let mut lines: Vec<&str> = head.iter().filter(kept).map(String::as_str).collect();
        lines.push("Connection: close");
        server.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())?;
        let (mut body, mut answer) = (server.try_clone()?, BufReader::new(server));
        let sending = thread::spawn(move || io::copy(&mut reader, &mut body));
        let head = self::head(&mut answer)?;
        let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        saw(status);
        client.write_all(format!("{}\r\n\r\n", head.join("\r\n")).as_bytes())?;
        io::copy(&mut answer, &mut client)?;
        client.shutdown(Shutdown::Both)?;
        // It ends with the connection.
        let _ = sending.join();
        Ok(())
    }
}

/// The first line and the headers.
fn head(reader: &mut impl io::BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in reader.take(1 << 16).lines() {
        let line = line?;
        if line.is_empty() {
            return Ok(lines);
        }
        lines.push(line);
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
