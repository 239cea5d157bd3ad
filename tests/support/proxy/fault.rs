//! What can go wrong with a request, and with which ones it does.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

/// How long a held request waits for a test that forgot it.
const HELD: Duration = Duration::from_mins(2);

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// closed, as by a server that was stopped
    Close,
    /// reset, as by a machine that forgot it
    Reset,
}

/// Something that goes wrong. What names bytes means those of bodies, counted from 0.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request is read whole; the answer is this one, and the registry is not asked.
    Answer(Reply),
    /// The answer is this one, before the request's body is read; the registry is not asked.
    AnswerEarly(Reply),
    /// A request whose body is larger is answered 413 as soon as that shows.
    TooLarge(u64),
    /// The connection breaks when so many bytes of the request's body came; the registry gets them.
    CutRequest(u64, Cut),
    /// The connection breaks when so many bytes of the answer's body are sent: its length is announced as it is.
    CutAnswer(u64, Cut),
    /// The registry does what it is asked to, and the connection breaks before the answer.
    LoseAnswer(Cut),
    /// The answer's body has only so many bytes, and its length is announced so.
    Shorten(u64),
    /// That byte of the answer's body is another.
    Corrupt(u64),
    /// The answer lacks that header.
    DropHeader(&'static str),
    /// The answer has that header.
    SetHeader(&'static str, String),
    /// The request's body passes at so many bytes a second.
    SlowRequest(u64),
    /// The answer's body passes at so many bytes a second.
    SlowAnswer(u64),
    /// The answer comes so much later.
    Delay(Duration),
    /// The registry begins an upload (202) where it was asked for a mount.
    ForgetMount,
    /// The registry sees a request without its login, and answers as it does then: 401 with its challenge.
    ForgetLogin,
    /// The request waits at the gate when so many bytes of its body came.
    Hold(u64, Gate),
}

impl Fault {
    /// A refusal in the words of the distribution specification.
    pub fn status(status: u16) -> Self {
        Self::Answer(Reply::refusal(status, "UNKNOWN", "the test says so"))
    }

    /// A refusal that asks for a wait: seconds or a date.
    pub fn wait(status: u16, retry_after: &str) -> Self {
        Self::Answer(Reply::refusal(status, "TOOMANYREQUESTS", "slow down").with("Retry-After", retry_after))
    }

    /// An upload that the registry has forgotten.
    pub fn forget_upload() -> Self {
        Self::Answer(Reply::refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))
    }
}

/// An answer of the proxy's own.
#[derive(Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Without a body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// With the specification's list of errors.
    pub fn refusal(status: u16, code: &str, message: &str) -> Self {
        let body = json!({"errors": [{"code": code, "message": message}]}).to_string();
        Self { body: body.into_bytes(), ..Self::new(status).with("Content-Type", "application/json") }
    }

    /// With one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With that body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

/// Which requests a fault happens to.
#[derive(Debug, Clone)]
pub struct On {
    method: &'static str,
    path: String,
    without: Option<&'static str>,
    /// the least announced length of the body
    larger: u64,
    /// the first and the last, counted from 1 over those that fit
    times: (u64, u64),
}

impl On {
    /// Requests of that method (`*` is any) whose path with its query is `path`, in which `*` stands for any text; all of
    /// them, until one of the following says otherwise.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), without: None, larger: 0, times: (1, u64::MAX) }
    }

    /// HEAD of a blob.
    pub fn head_blob() -> Self {
        Self::new("HEAD", "/v2/*/blobs/sha256:*")
    }

    /// GET of a blob.
    pub fn get_blob() -> Self {
        Self::new("GET", "/v2/*/blobs/sha256:*")
    }

    /// POST that begins an upload.
    pub fn begin_upload() -> Self {
        Self { without: Some("mount="), ..Self::new("POST", "/v2/*/blobs/uploads/*") }
    }

    /// POST that asks for a mount.
    pub fn mount() -> Self {
        Self::new("POST", "/v2/*/blobs/uploads/*mount=*")
    }

    /// PUT of a blob.
    pub fn put_blob() -> Self {
        Self::new("PUT", "/v2/*/blobs/uploads/*")
    }

    /// HEAD of a tag.
    pub fn head_tag() -> Self {
        Self { without: Some("sha256:"), ..Self::new("HEAD", "/v2/*/manifests/*") }
    }

    /// PUT of a manifest by its digest.
    pub fn put_manifest() -> Self {
        Self::new("PUT", "/v2/*/manifests/sha256:*")
    }

    /// PUT of a tag.
    pub fn put_tag() -> Self {
        Self { without: Some("sha256:"), ..Self::new("PUT", "/v2/*/manifests/*") }
    }

    /// Only of paths that do not hold that text.
    pub fn without(mut self, text: &'static str) -> Self {
        self.without = Some(text);
        self
    }

    /// Only with a body that is announced to have at least so many bytes.
    pub fn larger(mut self, length: u64) -> Self {
        self.larger = length;
        self
    }

    /// Only the nth of them, from 1.
    pub fn nth(mut self, time: u64) -> Self {
        self.times = (time, time);
        self
    }

    /// Only the first so many.
    pub fn first(mut self, times: u64) -> Self {
        self.times = (1, times);
        self
    }

    /// True for such a request, whichever time it is.
    pub fn fits(&self, method: &str, path: &str, length: u64) -> bool {
        length >= self.larger
            && (self.method == "*" || self.method == method)
            && fits(&self.path, path)
            && self.without.is_none_or(|text| !path.contains(text))
    }

    pub(super) fn is_due(&self, time: u64) -> bool {
        (self.times.0..=self.times.1).contains(&time)
    }
}

/// True when `text` is `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

/// Where requests wait until the test lets them go on, or breaks them.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Debug, Default)]
struct Waiting {
    here: usize,
    decided: Option<bool>,
}

impl Gate {
    /// Waits until a request is held; false when none came in that time.
    pub fn wait(&self, limit: Duration) -> bool {
        let (waiting, change) = &*self.0;
        let waiting = waiting.lock().expect("no thread panics at the gate");
        let (waiting, _) =
            change.wait_timeout_while(waiting, limit, |waiting| waiting.here == 0).expect("no thread panics here");
        waiting.here > 0
    }

    /// Lets all go on, also those that come later.
    pub fn open(&self) {
        self.decide(true);
    }

    /// Breaks the connections of all, also of those that come later.
    pub fn refuse(&self) {
        self.decide(false);
    }

    fn decide(&self, pass: bool) {
        let (waiting, change) = &*self.0;
        waiting.lock().expect("no thread panics at the gate").decided = Some(pass);
        change.notify_all();
    }

    /// Holds a request; true when it may go on.
    pub(super) fn pass(&self) -> bool {
        let (waiting, change) = &*self.0;
        let mut waiting = waiting.lock().expect("no thread panics at the gate");
        waiting.here += 1;
        change.notify_all();
        let end = Instant::now() + HELD;
        while waiting.decided.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiting = change.wait_timeout(waiting, left).expect("no thread panics at the gate").0;
        }
        waiting.decided == Some(true)
    }
}
