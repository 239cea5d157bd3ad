//! The tests' fault proxy is held to what it promises: a fault that does not happen proves nothing.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::crane::CraneRegistry;
use crate::support::proxy::{Cut, Fault, Gate, On, Proxy, Reply, Request, Upstream};
use crate::support::registry::{Options, Registry};
use crate::support::server::{Answer, Server};

const CONTENT: &str = "0123456789";

/// A client that sees the bytes themselves.
struct Client(BufReader<TcpStream>);

impl Client {
    fn of(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.host().replace("localhost", "127.0.0.1")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.0.get_mut().write_all(text.replace('\n', "\r\n").as_bytes())
    }

    /// The head of an answer.
    fn head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.extend(byte);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// An answer and its body, as long as its head says.
    fn hear(&mut self) -> io::Result<(String, String)> {
        let head = self.head()?;
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((head, String::from_utf8(body).unwrap()))
    }

    /// All that comes until the connection ends.
    fn rest(&mut self) -> (String, Option<io::ErrorKind>) {
        let mut bytes = Vec::new();
        let ended = self.0.read_to_end(&mut bytes);
        (String::from_utf8_lossy(&bytes).into_owned(), ended.err().map(|error| error.kind()))
    }
}

fn header<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// A server whose every answer is the same text, and which says how long what it was sent was.
fn server() -> Server {
    Server::start(|request| {
        let answer = Answer::ok(CONTENT).with("Docker-Content-Digest", "sha256:0");
        match request.header("authorization") {
            Some("Basic bad") => Answer::status(401),
            _ => answer.with("X-Came", format!("{} {}", request.body.len(), request.target)),
        }
    })
}

#[test]
fn answers_are_replaced_broken_and_bent() {
    let server = server();
    for (fault, seen, rest) in [
        (Fault::status(503), "503 {\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"the test says so\"}]}", None),
        (Fault::Shorten(4), "200 0123", None),
        (Fault::Corrupt(3), "200 0122456789", None),
        (Fault::CutAnswer(4, Cut::Close), "200 0123", None),
        (Fault::CutAnswer(0, Cut::Close), "200 ", None),
        (Fault::CutAnswer(0, Cut::Reset), "200 ", Some(io::ErrorKind::ConnectionReset)),
        (Fault::DropHeader("Content-Length"), "200 0123456789", None),
        (Fault::SetHeader("Content-Length", "2".to_owned()), "200 0123456789", None),
    ] {
        let proxy = Proxy::before(&server);
        proxy.fault(On::new("GET", "/*/sha256:*").nth(2), fault.clone());
        let mut client = Client::of(&proxy);
        client.say("GET /a/sha256:1 HTTP/1.1\n\n").unwrap();
        let (head, body) = client.hear().unwrap();
        assert_eq!((status(&head), &*body), ("200", CONTENT), "{fault:?}: the first passes");
        client.say("GET /a/sha256:1 HTTP/1.1\n\n").unwrap();
        let head = client.head().unwrap();
        // Ends what would go on; a connection that is broken already cannot be ended again.
        let _ = client.0.get_mut().shutdown(std::net::Shutdown::Write);
        let (body, broken) = client.rest();
        assert_eq!((format!("{} {body}", status(&head)), broken), (seen.to_owned(), rest), "{fault:?}");
        let faulty: Vec<bool> = proxy.take().iter().map(|request| request.faulty).collect();
        assert_eq!(faulty, [false, true], "{fault:?}");
    }
    let proxy = Proxy::before(&server);
    proxy.fault(On::head_tag(), Fault::DropHeader("Docker-Content-Digest"));
    let mut client = Client::of(&proxy);
    client.say("HEAD /v2/a/manifests/tag HTTP/1.1\n\n").unwrap();
    assert_eq!(header(&client.head().unwrap(), "docker-content-digest"), None);
    client.say("HEAD /v2/a/manifests/sha256:1 HTTP/1.1\n\n").unwrap();
    assert_eq!(header(&client.head().unwrap(), "docker-content-digest"), Some("sha256:0"));
    proxy.fault(On::new("*", "*"), Fault::LoseAnswer(Cut::Reset));
    client.say("GET /v2/ HTTP/1.1\n\n").unwrap();
    assert_eq!(client.rest(), (String::new(), Some(io::ErrorKind::ConnectionReset)));
    assert_eq!(server.lines().last().unwrap(), "GET /v2/", "the server was asked");
    proxy.heal();
    let mut client = Client::of(&proxy);
    client.say("GET /v2/ HTTP/1.1\n\n").unwrap();
    assert_eq!(client.hear().unwrap().1, CONTENT);
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn requests_are_cut_held_slowed_and_told_apart() {
    let server = server();
    let proxy = Proxy::before(&server);
    let put = "PUT /v2/a/blobs/uploads/1?digest=x HTTP/1.1\nContent-Length: 6\n\n";

    proxy.fault(On::put_blob().nth(1), Fault::CutRequest(4, Cut::Reset));
    let mut client = Client::of(&proxy);
    client.say(&format!("{put}abcdef")).unwrap();
    assert_eq!(client.rest(), (String::new(), Some(io::ErrorKind::ConnectionReset)));
    assert_eq!(server.requests().len(), 0, "a request that was not whole is none");

    // What is too large is answered before all of it is there.
    proxy.fault(On::put_blob().nth(1), Fault::TooLarge(5));
    let mut client = Client::of(&proxy);
    client.say(put).unwrap();
    assert_eq!(status(&client.hear().unwrap().0), "413");
    proxy.fault(On::put_blob().nth(1), Fault::AnswerEarly(Reply::new(403)));
    let mut client = Client::of(&proxy);
    client.say(put).unwrap();
    assert_eq!(status(&client.hear().unwrap().0), "403");

    let gate = Gate::default();
    proxy.fault(On::put_blob().nth(1), Fault::Hold(2, gate.clone()));
    let mut client = Client::of(&proxy);
    client.say(&format!("{put}abcdef")).unwrap();
    assert!(gate.wait(Duration::from_secs(20)));
    assert_eq!((server.requests().len(), proxy.most_uploads()), (0, 1));
    let mut second = Client::of(&proxy);
    second.say(&format!("{put}abcdef")).unwrap();
    assert_eq!(header(&second.hear().unwrap().0, "x-came"), Some("6 /v2/a/blobs/uploads/1?digest=x"));
    gate.open();
    assert_eq!(header(&client.hear().unwrap().0, "x-came"), Some("6 /v2/a/blobs/uploads/1?digest=x"));
    assert_eq!(proxy.most_uploads(), 2);

    let gate = Gate::default();
    gate.refuse();
    proxy.fault(On::put_blob().nth(1), Fault::Hold(0, gate));
    client.say(put).unwrap();
    assert_eq!(client.rest(), (String::new(), None));

    proxy.heal();
    let parts: Vec<(u64, u64, u16)> = proxy.take().iter().map(|seen| (seen.length, seen.sent, seen.status)).collect();
    assert_eq!(parts, [(6, 4, 0), (6, 0, 413), (6, 0, 403), (6, 6, 200), (6, 6, 200), (6, 0, 0)]);

    for (fault, least) in [
        (Fault::SlowRequest(30), 200),
        (Fault::SlowAnswer(50), 200),
        (Fault::Delay(Duration::from_millis(200)), 200),
        (Fault::SlowAnswer(1 << 30), 0),
    ] {
        proxy.heal();
        proxy.fault(On::new("PUT", "*"), fault.clone());
        let (mut client, start) = (Client::of(&proxy), Instant::now());
        client.say(&format!("{put}abcdef")).unwrap();
        assert_eq!(client.hear().unwrap().1, CONTENT);
        // The next answer comes when the pace of this one was kept to its end.
        client.say("GET / HTTP/1.1\n\n").unwrap();
        client.hear().unwrap();
        assert!(start.elapsed() >= Duration::from_millis(least), "{fault:?}");
    }
    proxy.heal();
    proxy.fault(On::mount(), Fault::ForgetMount).fault(On::mount(), Fault::ForgetLogin);
    proxy.fault(On::begin_upload(), Fault::status(500));
    let mut client = Client::of(&proxy);
    client.say("POST /v2/a/blobs/uploads/?mount=x&from=b HTTP/1.1\nAuthorization: Basic bad\n\n").unwrap();
    assert_eq!(header(&client.hear().unwrap().0, "x-came"), Some("0 /v2/a/blobs/uploads/"));
    client.say("POST /v2/a/blobs/uploads/ HTTP/1.1\nAuthorization: Basic bad\n\n").unwrap();
    assert_eq!(status(&client.hear().unwrap().0), "500");
}

/// Uploads a blob in chunks whose length nobody announced, and reads it back.
fn chunked(upstream: &impl Upstream) {
    let proxy = Proxy::before(upstream);
    let mut client = Client::of(&proxy);
    let host = format!("Host: {}", proxy.host());
    client.say(&format!("POST /v2/a/blobs/uploads/ HTTP/1.1\n{host}\n\n")).unwrap();
    let (head, _) = client.hear().unwrap();
    let place = |head: &str| {
        let location = header(head, "location").unwrap();
        location.trim_start_matches(&format!("http://{}", proxy.host())).to_owned()
    };
    let location = place(&head);
    client.say(&format!("PATCH {location} HTTP/1.1\n{host}\nTransfer-Encoding: chunked\n\n")).unwrap();
    // In pieces that do not end where the chunks do.
    for piece in ["4\n01", "23\n", "6", "\n456789\n0\n", "\n"] {
        client.say(piece).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    let (head, _) = client.hear().unwrap();
    assert_eq!(status(&head), "202", "{head}");
    let digest = anyarch::blob::Digest::of(CONTENT.as_bytes());
    let location = place(&head);
    let query = if location.contains('?') { '&' } else { '?' };
    client.say(&format!("PUT {location}{query}digest={digest} HTTP/1.1\n{host}\nContent-Length: 0\n\n")).unwrap();
    let (head, _) = client.hear().unwrap();
    assert_eq!(status(&head), "201", "{head}");
    client.say(&format!("GET /v2/a/blobs/{digest} HTTP/1.1\n{host}\n\n")).unwrap();
    assert_eq!(client.hear().unwrap().1, CONTENT);
    let requests = proxy.take();
    let moved: Vec<(&str, u64, u64)> =
        requests.iter().map(|it| (&*it.method, it.sent, if it.method == "GET" { it.received } else { 0 })).collect();
    assert_eq!(moved, [("POST", 0, 0), ("PATCH", 10, 0), ("PUT", 0, 0), ("GET", 0, 10)]);
    assert_eq!((proxy.connections(), requests.iter().filter(|request| Request::uploads(request)).count()), (1, 2));
}

#[test]
fn bytes_are_counted_as_they_pass() {
    chunked(&Registry::start(&Options::default()));
}

#[test]
#[ignore = "full: faults"]
fn bytes_are_counted_before_another_implementation_too() {
    chunked(&CraneRegistry::start());
}
