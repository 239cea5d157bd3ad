//! One request and its answer, passed on with all that is to go wrong with them.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::fault::{Cut, Fault, Gate, Reply};
use super::http::{Body, Framing, Head, write_end, write_piece};
use super::{Entry, Open, Request, State};

/// Bytes that are passed on at a time.
const PIECE: usize = 1 << 16;
/// How long a client may go on to send what nobody reads any more.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one client until it, or a fault, ends the connection.
pub(super) fn serve(state: &State, client: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(PIECE, client.try_clone()?);
    while let Some(head) = Head::read(&mut reader)? {
        let _open = state.exchanges.open();
        match Exchange::new(state, client, head)?.run(&mut reader) {
            Ok(End::Next) => {}
            Ok(End::Cut(Cut::Reset)) => return SockRef::from(client).set_linger(Some(Duration::ZERO)),
            Ok(End::Cut(Cut::Close)) | Err(_) => break,
        }
    }
    client.shutdown(Shutdown::Both)
}

/// How an exchange ends.
enum End {
    /// the connection serves the next request
    Next,
    Cut(Cut),
}

/// How the passing of a request's body ends.
enum Relayed {
    Whole,
    Cut(Cut),
    TooLarge,
}

/// What goes wrong with a body on its way.
#[derive(Default)]
struct Way {
    cut: Option<(u64, Cut)>,
    hold: Option<(u64, Gate)>,
    limit: Option<u64>,
    shorten: Option<u64>,
    corrupt: Option<u64>,
    rate: Option<u64>,
}

/// All that goes wrong with a request.
#[derive(Default)]
struct Plan {
    request: Way,
    answer: Way,
    reply: Option<Reply>,
    early: bool,
    lose: Option<Cut>,
    drop: Vec<&'static str>,
    set: Vec<(&'static str, String)>,
    delay: Duration,
    forget_mount: bool,
    forget_login: bool,
}

impl Plan {
    fn of(faults: Vec<Fault>) -> Self {
        let mut plan = Self::default();
        for fault in faults {
            match fault {
                Fault::Answer(reply) => plan.reply = Some(reply),
                Fault::AnswerEarly(reply) => (plan.reply, plan.early) = (Some(reply), true),
                Fault::TooLarge(limit) => plan.request.limit = Some(limit),
                Fault::CutRequest(after, cut) => plan.request.cut = Some((after, cut)),
                Fault::CutAnswer(after, cut) => plan.answer.cut = Some((after, cut)),
                Fault::LoseAnswer(cut) => plan.lose = Some(cut),
                Fault::Shorten(to) => plan.answer.shorten = Some(to),
                Fault::Corrupt(at) => plan.answer.corrupt = Some(at),
                Fault::DropHeader(name) => plan.drop.push(name),
                Fault::SetHeader(name, value) => plan.set.push((name, value)),
                Fault::SlowRequest(rate) => plan.request.rate = Some(rate),
                Fault::SlowAnswer(rate) => plan.answer.rate = Some(rate),
                Fault::Delay(delay) => plan.delay = delay,
                Fault::ForgetMount => plan.forget_mount = true,
                Fault::ForgetLogin => plan.forget_login = true,
                Fault::Hold(after, gate) => plan.request.hold = Some((after, gate)),
            }
        }
        plan
    }
}

struct Exchange<'serve> {
    state: &'serve State,
    client: &'serve TcpStream,
    head: Head,
    framing: Framing,
    entry: Entry,
    plan: Plan,
}

impl<'serve> Exchange<'serve> {
    fn new(state: &'serve State, client: &'serve TcpStream, head: Head) -> io::Result<Self> {
        let (method, path) = (head.word(0).to_owned(), head.word(1).to_owned());
        let framing = head.framing()?.unwrap_or(Framing::Length(0));
        let length = if let Framing::Length(length) = framing { length } else { 0 };
        let faults = state.faults(&method, &path, length);
        let entry =
            state.enter(Request { method, path, length, sent: 0, received: 0, status: 0, faulty: !faults.is_empty() });
        Ok(Self { state, client, head, framing, entry, plan: Plan::of(faults) })
    }

    fn note(&self, change: impl FnOnce(&mut Request)) {
        change(&mut self.entry.lock().expect("no thread panics with a request"));
    }

    fn run(&self, reader: &mut BufReader<TcpStream>) -> io::Result<End> {
        let uploads = self.entry.lock().expect("no thread panics with a request").uploads();
        let open = uploads.then(|| self.state.uploads.open());
        if self.head.get("expect").is_some() {
            (&*self.client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let announced = if let Framing::Length(length) = self.framing { length } else { 0 };
        if self.plan.request.limit.is_some_and(|limit| announced > limit) {
            return self.refuse(reader, &too_large(), open);
        }
        match &self.plan.reply {
            Some(reply) if self.plan.early => self.refuse(reader, reply, open),
            Some(reply) => match self.relay(reader, None)? {
                Relayed::Whole => {
                    thread::sleep(self.plan.delay);
                    drop(open);
                    self.reply(reply, true)
                }
                Relayed::Cut(cut) => Ok(End::Cut(cut)),
                Relayed::TooLarge => self.refuse(reader, &too_large(), open),
            },
            None => self.pass(reader, open),
        }
    }

    /// Asks the registry.
    fn pass(&self, reader: &mut BufReader<TcpStream>, open: Option<Open>) -> io::Result<End> {
        if self.plan.request.hold.as_ref().is_some_and(|(after, gate)| *after == 0 && !gate.pass()) {
            return Ok(End::Cut(Cut::Close));
        }
        let upstream = self.state.upstream.lock().expect("no thread panics with the address").clone();
        let server = TcpStream::connect(upstream)?;
        server.set_nodelay(true)?;
        (&server).write_all(&self.forwarded().bytes())?;
        let (answered, relayed) = thread::scope(|scope| {
            let relaying = scope.spawn(|| self.relay(&mut *reader, Some(&server)));
            let answered = self.answer(&server, open);
            if !matches!(answered, Ok(End::Next)) {
                // Whoever still sends has nobody who listens.
                let _ = (server.shutdown(Shutdown::Both), self.client.shutdown(Shutdown::Read));
            }
            (answered, relaying.join().expect("passing a body on does not panic"))
        });
        match relayed {
            Ok(Relayed::Cut(cut)) => Ok(End::Cut(cut)),
            Ok(Relayed::TooLarge) => self.refuse(reader, &too_large(), None),
            // An answer that came before the body's end counts, whatever became of the rest.
            Ok(Relayed::Whole) | Err(_) => answered,
        }
    }

    /// The request's head as the registry sees it.
    fn forwarded(&self) -> Head {
        let mut head = self.head.clone();
        head.remove("expect");
        head.set("Connection", &"close");
        if self.plan.forget_login {
            head.remove("authorization");
        }
        if self.plan.forget_mount {
            let path = self.head.word(1);
            head.first = self.head.first.replacen(path, path.split('?').next().unwrap_or_default(), 1);
        }
        head
    }

    /// Passes the request's body on; what the registry does not take any more is read all the same.
    fn relay(&self, reader: &mut BufReader<TcpStream>, mut server: Option<&TcpStream>) -> io::Result<Relayed> {
        let broken = |server: Option<&TcpStream>| server.map(|server| server.shutdown(Shutdown::Both));
        let way = &self.plan.request;
        let mut held = way.hold.as_ref().is_none_or(|(after, _)| *after == 0 && server.is_some());
        let (mut body, mut buffer, mut passed) = (Body::new(reader, self.framing), vec![0; PIECE], 0_u64);
        let mut pace = Pace::new(way.rate);
        loop {
            if let Some((_, cut)) = way.cut.filter(|(after, _)| *after == passed) {
                broken(server);
                return Ok(Relayed::Cut(cut));
            }
            if let Some((after, gate)) = &way.hold
                && !held
                && *after == passed
            {
                held = true;
                if !gate.pass() {
                    broken(server);
                    return Ok(Relayed::Cut(Cut::Close));
                }
            }
            let stops = [way.cut.map(|(after, _)| after), way.hold.as_ref().map(|(after, _)| *after)];
            let count = match body.read(&mut buffer[..room(passed, &stops)]) {
                Ok(count) => count,
                Err(error) => {
                    broken(server);
                    return Err(error);
                }
            };
            passed += count as u64;
            self.note(|request| request.sent = passed);
            if way.limit.is_some_and(|limit| passed > limit) {
                broken(server);
                return Ok(Relayed::TooLarge);
            }
            let written = server.map(|server| match count {
                0 => write_end(server, self.framing),
                _ => write_piece(server, self.framing, &buffer[..count]),
            });
            if written.is_some_and(|written| written.is_err()) {
                server = None;
            }
            if count == 0 {
                return Ok(Relayed::Whole);
            }
            pace.wait(passed);
        }
    }

    /// Passes the registry's answer on.
    fn answer(&self, server: &TcpStream, open: Option<Open>) -> io::Result<End> {
        let mut reader = BufReader::with_capacity(PIECE, server);
        let mut head = loop {
            let head = Head::read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if !(100..200).contains(&head.status()) {
                break head;
            }
        };
        thread::sleep(self.plan.delay);
        // Before the client can know of the end.
        drop(open);
        if let Some(cut) = self.plan.lose {
            return Ok(End::Cut(cut));
        }
        let bodyless = self.head.word(0) == "HEAD" || matches!(head.status(), 204 | 304);
        let framing = |head: &Head| -> io::Result<Framing> {
            if bodyless { Ok(Framing::Length(0)) } else { Ok(head.framing()?.unwrap_or(Framing::UntilClose)) }
        };
        let came = framing(&head)?;
        head.remove("connection");
        head.remove("keep-alive");
        if let (Some(to), Framing::Length(length)) = (self.plan.answer.shorten, came) {
            head.set("Content-Length", &length.min(to));
        }
        self.plan.drop.iter().for_each(|name| head.remove(name));
        self.plan.set.iter().for_each(|(name, value)| head.set(name, value));
        let goes = framing(&head)?;
        if goes == Framing::UntilClose {
            head.set("Connection", &"close");
        }
        self.note(|request| request.status = head.status());
        let mut client = self.client;
        client.write_all(&head.bytes())?;
        let end = self.answer_body(&mut Body::new(&mut reader, came), goes)?;
        Ok(if goes == Framing::UntilClose { End::Cut(Cut::Close) } else { end })
    }

    fn answer_body(&self, body: &mut Body<BufReader<&TcpStream>>, framing: Framing) -> io::Result<End> {
        let way = &self.plan.answer;
        let (mut buffer, mut passed, mut pace) = (vec![0; PIECE], 0_u64, Pace::new(way.rate));
        loop {
            if let Some((_, cut)) = way.cut.filter(|(after, _)| *after == passed) {
                return Ok(End::Cut(cut));
            }
            let stops = [way.cut.map(|(after, _)| after), way.shorten];
            let count = match way.shorten {
                Some(to) if passed >= to => 0,
                _ => body.read(&mut buffer[..room(passed, &stops)])?,
            };
            if count == 0 {
                write_end(self.client, framing)?;
                return Ok(End::Next);
            }
            let corrupt = way.corrupt.and_then(|at| usize::try_from(at.checked_sub(passed)?).ok());
            if let Some(byte) = corrupt.and_then(|at| buffer[..count].get_mut(at)) {
                *byte ^= 1;
            }
            passed += count as u64;
            self.note(|request| request.received = passed);
            write_piece(self.client, framing, &buffer[..count])?;
            pace.wait(passed);
        }
    }

    /// Answers while the client still sends, and ends the connection so that the answer arrives.
    fn refuse(&self, reader: &mut BufReader<TcpStream>, reply: &Reply, open: Option<Open>) -> io::Result<End> {
        thread::sleep(self.plan.delay);
        drop(open);
        self.reply(reply, false)?;
        self.client.shutdown(Shutdown::Write)?;
        self.client.set_read_timeout(Some(LINGER))?;
        let (mut nowhere, end) = (vec![0; PIECE], Instant::now() + LINGER);
        while Instant::now() < end && reader.read(&mut nowhere)? > 0 {}
        Ok(End::Cut(Cut::Close))
    }

    fn reply(&self, reply: &Reply, kept: bool) -> io::Result<End> {
        let mut head = Head { first: format!("HTTP/1.1 {} Test", reply.status), headers: reply.headers.clone() };
        head.set("Content-Length", &reply.body.len());
        if !kept {
            head.set("Connection", &"close");
        }
        let body = if self.head.word(0) == "HEAD" { &[][..] } else { &reply.body };
        self.note(|request| (request.status, request.received) = (reply.status, body.len() as u64));
        let mut client = self.client;
        client.write_all(&[&head.bytes(), body].concat())?;
        Ok(End::Next)
    }
}

fn too_large() -> Reply {
    Reply::new(413).body("<html><body>413 Request Entity Too Large</body></html>")
}

/// How many bytes may be read before the next place where something happens.
fn room(passed: u64, stops: &[Option<u64>]) -> usize {
    let ahead = stops.iter().flatten().filter_map(|stop| stop.checked_sub(passed)).filter(|left| *left > 0);
    ahead.min().map_or(PIECE, |left| usize::try_from(left).map_or(PIECE, |left| left.min(PIECE)))
}

/// Holds a body to a rate.
struct Pace {
    rate: Option<u64>,
    start: Instant,
}

impl Pace {
    fn new(rate: Option<u64>) -> Self {
        Self { rate, start: Instant::now() }
    }

    fn wait(&mut self, passed: u64) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_micros(passed.saturating_mul(1_000_000) / rate);
        thread::sleep(due.saturating_sub(self.start.elapsed()));
    }
}
