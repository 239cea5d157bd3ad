//! `anyarch serve` as long as a test needs it, and a client that says whatever a test wants to say.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::process;
use super::program::Program;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A registry that runs as long as the value lives.
pub struct Served<'home> {
    child: Child,
    port: u16,
    said: [Said; 2],
    readers: Vec<JoinHandle<()>>,
    _program: Program<'home>,
}

#[derive(Clone, Default)]
struct Said(Arc<Mutex<String>>);

impl Said {
    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn collect(&self, pipe: impl std::io::Read + Send + 'static) -> JoinHandle<()> {
        let said = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let line = line.expect("the program writes text");
                let mut said = said.0.lock().unwrap_or_else(PoisonError::into_inner);
                said.push_str(&line);
                said.push('\n');
            }
        })
    }
}

impl<'home> Served<'home> {
    /// Starts `anyarch serve` on a free port, and waits until it says what it serves.
    #[track_caller]
    pub fn start(program: Program<'home>, arguments: &[&str]) -> Self {
        let program = program.args(["serve", "--addr", "127.0.0.1:0"]).args(arguments);
        let mut command = program.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let said = [Said::default(), Said::default()];
        let readers = vec![
            said[0].collect(child.stdout.take().expect("stdout is a pipe")),
            said[1].collect(child.stderr.take().expect("stderr is a pipe")),
        ];
        let mut served = Self { child, port: 0, said, readers, _program: program };
        let line = served.wait_for_line(|line| line.starts_with("serving "));
        let number: usize = line.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a number of images");
        let address = line.split(['/', ',']).find(|part| part.starts_with("127.0.0.1:")).expect("an address");
        served.port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let end = Instant::now() + LIMIT;
        while served.stdout().lines().count() < number && !served.stdout().starts_with('{') && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        served
    }

    /// Waits until it says a line on stderr, and returns it.
    #[track_caller]
    pub fn wait_for_line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(line) = self.stderr().lines().find(|line| wanted(line)) {
                return line.to_owned();
            }
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none() && Instant::now() < end, "it does not say it ({ended:?}):\n{}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stdout until now.
    pub fn stdout(&self) -> String {
        self.said[0].text()
    }

    /// What it wrote to stderr until now.
    pub fn stderr(&self) -> String {
        self.said[1].text()
    }

    /// Connects to it.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).and_then(|()| stream.set_write_timeout(Some(LIMIT))).expect("a timeout");
        stream
    }

    /// Sends those bytes and nothing more, and returns all that comes back until the connection ends.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // It may have heard enough before the end.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Sends a request, each header as `Name: value`.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let headers = headers.iter().fold(String::new(), |text, header| text + header + "\r\n");
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.host());
        let answer = self.raw(request.as_bytes());
        Answer::read(&answer).unwrap_or_else(|| panic!("{method} {path}: {}", String::from_utf8_lossy(&answer)))
    }

    /// Gets what is at a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.child.id()).expect("a process has a number");
        kill(Pid::from_raw(process), signal).expect("it runs");
    }

    /// Ends it by a signal: its exit code, stdout and stderr.
    #[track_caller]
    pub fn end(mut self, signal: Signal) -> (i32, String, String) {
        self.signal(signal);
        let end = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(Instant::now() < end, "it does not end\n{}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader ends");
        }
        (process::exit_code(status), self.stdout(), self.stderr())
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// its status
    pub status: u16,
    /// its headers, their names in lower case
    pub headers: BTreeMap<String, String>,
    /// its body
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer whose end is that of its connection.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers = lines.map(header).collect::<Option<_>>()?;
        Some(Self { status, headers, body: bytes[end + 4..].to_vec() })
    }

    /// A header's text, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }
}
