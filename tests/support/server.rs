//! A tiny HTTP server whose answers a test decides on: for what no real registry does when it is asked to.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long a stalled answer stalls when the client does not hang up.
const LONGEST_STALL: Duration = Duration::from_mins(1);

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`
    pub method: String,
    /// path and query
    pub target: String,
    /// names in lower case
    pub headers: Vec<(String, String)>,
    /// by its `Content-Length`, or in chunks
    pub body: Vec<u8>,
}

impl Request {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter of the query, decoded.
    pub fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }
}

/// How the body of an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// where it should
    Whole,
    /// never
    Never,
    /// with the connection, after that many bytes
    Cut(usize),
    /// not as long as the client waits: after that many bytes nothing comes
    Stall(usize),
    /// where it should, a byte at a time
    Drip(Duration),
    /// before it begins: the connection closes without an answer
    Hangup,
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    end: End,
}

impl Answer {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), end: End::Whole }
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    /// No answer at all.
    pub fn hangup() -> Self {
        Self { end: End::Hangup, ..Self::status(200) }
    }

    /// 200 with a body that does not end.
    pub fn endless() -> Self {
        Self { end: End::Never, ..Self::status(200) }
    }

    /// With a body that does not end.
    pub fn without_end(mut self) -> Self {
        self.end = End::Never;
        self
    }

    /// With one more header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With that body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Its body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// With a connection that breaks after so many bytes of the body.
    pub fn cut(mut self, after: usize) -> Self {
        self.end = End::Cut(after);
        self
    }

    /// With nothing after so many bytes of the body, while the connection stands.
    pub fn stall(mut self, after: usize) -> Self {
        self.end = End::Stall(after);
        self
    }

    /// With a wait after every byte of the body.
    pub fn drip(mut self, wait: Duration) -> Self {
        self.end = End::Drip(wait);
        self
    }

    /// What of `body` the request asks for: 206 and the rest after `Range: bytes=N-`, else all.
    pub fn range(request: &Request, body: &[u8]) -> Self {
        let first = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let Some(first) = first.map(|first| first.parse::<usize>().expect("a range begins with a number")) else {
            return Self::ok(body);
        };
        Self::part(body, first, body.len())
    }

    /// 206 and the bytes from `first` to before `end` of `body`.
    pub fn part(body: &[u8], first: usize, end: usize) -> Self {
        let range = format!("bytes {first}-{}/{}", end - 1, body.len());
        Self { status: 206, ..Self::ok(&body[first..end]).with("Content-Range", range) }
    }

    /// Sends it.
    pub fn write(&self, request: &Request, mut stream: &TcpStream) -> io::Result<()> {
        if self.end == End::Hangup {
            return Ok(());
        }
        write!(stream, "HTTP/1.1 {} Status\r\nConnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        if self.end == End::Never {
            write!(stream, "Transfer-Encoding: chunked\r\n\r\n")?;
            let chunk = [b'x'; 0x1000];
            loop {
                write!(stream, "1000\r\n")?;
                stream.write_all(&chunk)?;
                write!(stream, "\r\n")?;
            }
        }
        write!(stream, "Content-Length: {}\r\n\r\n", self.body.len())?;
        if request.method == "HEAD" {
            return Ok(());
        }
        match self.end {
            End::Cut(after) => stream.write_all(&self.body[..after]),
            End::Stall(after) => {
                stream.write_all(&self.body[..after])?;
                stream.set_read_timeout(Some(LONGEST_STALL))?;
                // Whoever has waited enough hangs up.
                stream.read(&mut [0]).map(drop)
            }
            End::Drip(wait) => self.body.iter().try_for_each(|byte| {
                thread::sleep(wait);
                stream.write_all(&[*byte])
            }),
            _ => stream.write_all(&self.body),
        }
    }
}

/// A server on a free port of this machine; it answers until the tests end.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that answers by `decide`.
    pub fn start(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::raw(move |request, stream| decide(request).write(request, stream))
    }

    /// Starts a server that writes its answers, or whatever it likes, itself.
    pub fn raw(answer: impl Fn(&Request, &TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port is free"), answer)
    }

    /// The same where somebody else chose the port.
    pub fn on(
        listener: TcpListener,
        answer: impl Fn(&Request, &TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a listener has an address");
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    seen.lock().unwrap().push(request.clone());
                    // A client that has seen enough hangs up; that is its right.
                    let _ = answer(&request, &stream);
                });
            }
        });
        Self { address, requests }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Every request so far as `METHOD TARGET`.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    if request.header("transfer-encoding") == Some("chunked") {
        request.body = chunks(&mut reader)?;
        return Some(request);
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn chunks(reader: &mut impl io::BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let start = body.len();
        body.resize(start + length, 0);
        reader.read_exact(&mut body[start..]).ok()?;
        reader.read_line(&mut line).ok()?;
        if length == 0 {
            return Some(body);
        }
    }
}
