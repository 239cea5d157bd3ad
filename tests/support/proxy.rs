//! Stands before a registry, tells what was asked of it and how many bytes moved, and does to chosen requests what
//! networks, gateways and registries do on their bad days.

mod exchange;
mod fault;
mod http;

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use fault::{Cut, Fault, Gate, On, Reply};

use super::crane::CraneRegistry;
use super::registry::Registry;

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `PUT`
    pub method: String,
    /// the path with the query
    pub path: String,
    /// the length of the body, where it was announced
    pub length: u64,
    /// how many bytes of its body came
    pub sent: u64,
    /// how many bytes of the answer's body were passed on
    pub received: u64,
    /// the answer's status; 0 when there was none
    pub status: u16,
    /// true when a fault was meant for it
    pub faulty: bool,
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

/// What can stand behind a proxy.
pub trait Upstream {
    /// `127.0.0.1:PORT`
    fn address(&self) -> String;
}

impl Upstream for Registry {
    fn address(&self) -> String {
        self.host()
    }
}

impl Upstream for CraneRegistry {
    fn address(&self) -> String {
        self.host()
    }
}

impl Upstream for super::server::Server {
    fn address(&self) -> String {
        self.host()
    }
}

/// The proxy; it ends with the value.
pub struct Proxy {
    state: Arc<State>,
    host: String,
}

/// A request in the list, filled in while it goes on.
type Entry = Arc<Mutex<Request>>;

struct State {
    upstream: Mutex<String>,
    seen: Mutex<Vec<Entry>>,
    rules: Mutex<Vec<Rule>>,
    connections: AtomicU64,
    uploads: Gauge,
    exchanges: Gauge,
    over: AtomicBool,
}

struct Rule {
    on: On,
    fault: Fault,
    /// how many requests fitted so far
    met: u64,
}

impl Proxy {
    /// Before a registry, or before its token server.
    pub fn before(upstream: &impl Upstream) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("a socket has an address").port();
        let state = Arc::new(State {
            upstream: Mutex::new(upstream.address().replace("localhost", "127.0.0.1")),
            seen: Mutex::default(),
            rules: Mutex::default(),
            connections: AtomicU64::new(0),
            uploads: Gauge::default(),
            exchanges: Gauge::default(),
            over: AtomicBool::new(false),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for connection in socket.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let (state, connection) = (shared.clone(), connection.expect("a connection is taken"));
                state.connections.fetch_add(1, Ordering::SeqCst);
                // Whoever goes away in the middle is a test that is over, or an interrupt that is tested.
                thread::spawn(move || drop(exchange::serve(&state, &connection)));
            }
        });
        Self { state, host: format!("localhost:{port}") }
    }

    /// `localhost:PORT`
    pub fn host(&self) -> &str {
        &self.host
    }

    /// From now on stands before another registry.
    pub fn stand_before(&self, upstream: &impl Upstream) {
        let address = upstream.address().replace("localhost", "127.0.0.1");
        *self.state.upstream.lock().expect("no thread panics with the address") = address;
    }

    /// Has a fault happen to the requests that fit, from now on. A request may meet several.
    pub fn fault(&self, on: On, fault: Fault) -> &Self {
        self.state.rules.lock().expect("no thread panics with the rules").push(Rule { on, fault, met: 0 });
        self
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.state.rules.lock().expect("no thread panics with the rules").clear();
    }

    /// What was asked since this was called last, in the order in which the requests came.
    pub fn take(&self) -> Vec<Request> {
        let taken = std::mem::take(&mut *self.state.seen.lock().expect("no thread panics with the list"));
        taken.iter().map(|entry| entry.lock().expect("no thread panics with a request").clone()).collect()
    }

    /// Waits until no request is under way: a client that was killed leaves some.
    ///
    /// # Panics
    /// When they do not end.
    pub fn settle(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.state.exchanges.now.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < end, "requests do not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many uploads were open at once so far, at most: from their head to the answer.
    pub fn most_uploads(&self) -> usize {
        self.state.uploads.most.load(Ordering::SeqCst)
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
    /// What is to go wrong with a request that just came.
    fn faults(&self, method: &str, path: &str, length: u64) -> Vec<Fault> {
        let mut rules = self.rules.lock().expect("no thread panics with the rules");
        let fitting = rules.iter_mut().filter(|rule| rule.on.fits(method, path, length));
        let due = fitting.filter_map(|rule| {
            rule.met += 1;
            rule.on.is_due(rule.met).then(|| rule.fault.clone())
        });
        due.collect()
    }

    fn enter(&self, request: Request) -> Entry {
        let entry = Arc::new(Mutex::new(request));
        self.seen.lock().expect("no thread panics with the list").push(entry.clone());
        entry
    }
}

/// How many of something there are at once.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One of them, as long as it lasts.
struct Open<'gauge>(&'gauge Gauge);

impl Gauge {
    fn open(&self) -> Open<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Open(self)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}
