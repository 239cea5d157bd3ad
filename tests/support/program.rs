//! Runs the program under test as its users do, in an environment that holds nothing of theirs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use super::process;

/// How long one run may take: a cold build of several Rust targets on two busy cores.
const LIMIT: Duration = Duration::from_mins(15);

/// Variables that pass from the test run to the program: where downloads come from, and how to get there.
const KEPT: &[&str] = &[
    "ALL_PROXY",
    "CARGO_HTTP_CAINFO",
    "CARGO_NET_GIT_FETCH_WITH_CLI",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "RUSTUP_AUTO_INSTALL",
    "RUSTUP_DIST_SERVER",
    "RUSTUP_UPDATE_ROOT",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// What `go env` answers that concerns where modules come from and where they are kept.
const GO: &[&str] =
    &["GOCACHE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPATH", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"];

/// A home folder with a cache of its own: what one user's runs share.
pub struct Home(TempDir);

impl Home {
    /// An empty home.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The cache folder (`ANYARCH_CACHE_DIR`) of the programs of this home.
    pub fn cache(&self) -> PathBuf {
        self.path().join("anyarch-cache")
    }

    /// The program, at home here.
    pub fn anyarch(&self) -> Program<'_> {
        Program::new(Place::Given(self))
    }
}

/// The program, in a home that nothing else uses.
pub fn anyarch() -> Program<'static> {
    Program::new(Place::Own(Home::new()))
}

enum Place<'home> {
    Own(Home),
    Given(&'home Home),
}

/// A call of the program under test, to be filled in and run.
pub struct Program<'home> {
    place: Place<'home>,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, Option<OsString>>,
    folder: Option<PathBuf>,
    umask: Option<u32>,
    stdin: Option<String>,
    redactions: Vec<(String, String)>,
}

impl<'home> Program<'home> {
    fn new(place: Place<'home>) -> Self {
        let mut program = Self {
            place,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            folder: None,
            umask: None,
            stdin: None,
            redactions: Vec::new(),
        };
        for (name, value) in environment() {
            program = program.env(name, value);
        }
        let (home, cache) = (program.home().path().to_owned(), program.home().cache());
        program
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("ANYARCH_CACHE_DIR", cache)
            .redact(home.to_string_lossy(), "[HOME]")
    }

    fn home(&self) -> &Home {
        match &self.place {
            Place::Own(home) => home,
            Place::Given(home) => home,
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable, over any that would be there.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Takes a variable away.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Runs in `folder`, which reads `[CWD]` in redacted output.
    pub fn cwd(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self.redact(folder.as_ref().to_string_lossy(), "[CWD]")
    }

    /// Runs with a file mode mask other than the test run's own.
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = Some(mask);
        self
    }

    /// Lets it read `text` from stdin, which is empty otherwise.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// Replaces `text` in redacted output.
    pub fn redact(mut self, text: impl Into<String>, by: impl Into<String>) -> Self {
        self.redactions.push((text.into(), by.into()));
        self
    }

    /// The call as a value of the standard library: for tests that start it and go on themselves.
    pub fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_anyarch");
        let mut command = match self.umask {
            None => Command::new(program),
            Some(mask) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("umask {mask:03o}; exec \"$@\""), "sh", program]);
                shell
            }
        };
        command.args(&self.arguments).env_clear();
        command.envs(self.environment.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
        command.current_dir(self.folder.as_deref().unwrap_or(self.home().path()));
        command
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn run(mut self) -> Output {
        let mut command = self.command();
        let line = process::line(&command);
        let stdin = self.stdin.take().map_or_else(Stdio::null, |text| {
            let mut file = tempfile::tempfile().expect("a temporary file can be made");
            file.write_all(text.as_bytes()).and_then(|()| file.rewind()).expect("it can be written");
            file.into()
        });
        let ended = process::told(&mut command, stdin, LIMIT);
        let target = super::target();
        self.redactions.push((super::repository().to_string_lossy().into_owned(), "[REPOSITORY]".into()));
        self.redactions.push((target.to_string_lossy().into_owned(), "[TARGET]".into()));
        // The longest first: one folder may lie in another.
        self.redactions.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Output {
            status: ended.code,
            stdout: ended.stdout,
            stderr: ended.stderr,
            bytes: ended.bytes,
            line,
            redactions: self.redactions,
        }
    }
}

/// What the program gets besides what belongs to its home: the same for every test.
fn environment() -> &'static BTreeMap<String, OsString> {
    static ENVIRONMENT: OnceLock<BTreeMap<String, OsString>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut variables: BTreeMap<String, OsString> = BTreeMap::new();
        let mut set = |name: &str, value: OsString| drop(variables.insert(name.to_owned(), value));
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                set(name, value);
            }
        }
        // Nothing is downloaded or compiled twice: what Go, cargo, rustup and zig keep for the user serves the tests too.
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into()));
        let kept_in = |name: &str, folder: PathBuf| std::env::var_os(name).unwrap_or_else(|| folder.into_os_string());
        set("CARGO_HOME", kept_in("CARGO_HOME", home.join(".cargo")));
        set("RUSTUP_HOME", kept_in("RUSTUP_HOME", home.join(".rustup")));
        set("ZIG_GLOBAL_CACHE_DIR", kept_in("ZIG_GLOBAL_CACHE_DIR", super::target().join("tools/zig-cache")));
        for (name, value) in go_environment() {
            set(&name, value.into());
        }
        for (name, value) in [
            // The user's own Go settings may hide what the tests are to show: `-buildvcs=false` does.
            ("GOENV", "off"),
            ("GIT_AUTHOR_NAME", "Test"),
            ("GIT_AUTHOR_EMAIL", "test@example.com"),
            ("GIT_COMMITTER_NAME", "Test"),
            ("GIT_COMMITTER_EMAIL", "test@example.com"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("LC_ALL", "C.UTF-8"),
            ("NO_COLOR", "1"),
            ("TERM", "dumb"),
            ("TZ", "UTC"),
        ] {
            set(name, value.into());
        }
        variables
    })
}

fn go_environment() -> BTreeMap<String, String> {
    if which::which("go").is_err() {
        return BTreeMap::new();
    }
    let answer = process::succeed(Command::new("go").args(["env", "-json"]).args(GO));
    serde_json::from_slice(&answer).expect("go env -json writes JSON")
}

/// What a run left behind.
#[derive(Debug)]
pub struct Output {
    /// the exit code; 128 and the signal's number when a signal ended it
    pub status: i32,
    /// what it wrote to stdout, as text
    pub stdout: String,
    /// what it wrote to stderr
    pub stderr: String,
    /// what it wrote to stdout, as it came: an archive
    pub bytes: Vec<u8>,
    line: String,
    redactions: Vec<(String, String)>,
}

impl Output {
    /// Holds the run to exit code 0.
    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        self.assert_code(0)
    }

    /// Holds the run to an exit code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.status, code,
            "`{}` should exit with {code}\n--- stdout\n{}--- stderr\n{}",
            self.line, self.stdout, self.stderr
        );
        self
    }

    /// Holds redacted stderr to `expected`, word for word. An `expected` that opens with a newline is taken without it and
    /// without the indentation that all its lines share.
    #[track_caller]
    pub fn assert_stderr(&self, expected: &str) -> &Self {
        self.assert_text("stderr", &self.redacted_stderr(), expected);
        self
    }

    /// Holds redacted stdout to `expected`, as [`Self::assert_stderr`] does.
    #[track_caller]
    pub fn assert_stdout(&self, expected: &str) -> &Self {
        self.assert_text("stdout", &self.redacted_stdout(), expected);
        self
    }

    #[track_caller]
    fn assert_text(&self, name: &str, actual: &str, expected: &str) {
        let expected = unindent(expected);
        assert!(
            actual == expected,
            "`{}` wrote other words to {name}\n--- expected\n{expected}--- actual\n{actual}--- exit code {}",
            self.line,
            self.status
        );
    }

    /// Stderr with folders, digests, ports, times and sizes replaced.
    pub fn redacted_stderr(&self) -> String {
        redact(&self.stderr, &self.redactions)
    }

    /// Stdout with folders, digests, ports, times and sizes replaced.
    pub fn redacted_stdout(&self) -> String {
        redact(&self.stdout, &self.redactions)
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        self.assert_success();
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("`{}` wrote no JSON: {error}\n{}", self.line, self.stdout))
    }
}

/// Takes the indentation that all lines share, and the newline that opens the text, away.
fn unindent(text: &str) -> String {
    let Some(text) = text.strip_prefix('\n') else { return text.to_owned() };
    let margin = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let shared = text.lines().filter(|line| !line.trim().is_empty()).map(margin).min().unwrap_or(0);
    let mut lines: Vec<&str> = text.split('\n').map(|line| line.get(shared..).unwrap_or_default()).collect();
    if let Some(last) = lines.last_mut() {
        // What stands before the closing quote.
        *last = last.trim_start_matches(' ');
    }
    lines.join("\n")
}

/// Replaces what differs from run to run: first what the call itself named, then digests (`[DIGEST]`), loopback ports
/// (`127.0.0.1:[PORT]`), times (`[TIME]`) and sizes (`[SIZE]`).
pub fn redact(text: &str, redactions: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in redactions {
        text = text.replace(from, to);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(letter) = rest.chars().next() {
        let in_word = out.chars().next_back().is_some_and(|last| last.is_ascii_alphanumeric() || last == '.');
        if let Some((length, replacement)) = variable(rest).filter(|_| !in_word) {
            out.push_str(replacement);
            rest = &rest[length..];
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

/// The length of the varying thing that `text` starts with, and what stands for it.
fn variable(text: &str) -> Option<(usize, &'static str)> {
    let run = |text: &str, of: fn(&char) -> bool| text.chars().take_while(of).count();
    if let Some(hex) = text.strip_prefix("sha256:") {
        return (run(hex, char::is_ascii_hexdigit) == 64).then_some((7 + 64, "[DIGEST]"));
    }
    for (host, replacement) in [("127.0.0.1:", "127.0.0.1:[PORT]"), ("localhost:", "localhost:[PORT]")] {
        if let Some(port) = text.strip_prefix(host) {
            let digits = run(port, char::is_ascii_digit);
            return (digits > 0).then_some((host.len() + digits, replacement));
        }
    }
    let mut length = run(text, char::is_ascii_digit);
    if length == 0 {
        return None;
    }
    if let Some(fraction) = text[length..].strip_prefix('.') {
        let digits = run(fraction, char::is_ascii_digit);
        if digits > 0 {
            length += 1 + digits;
        }
    }
    let unit = text[length..].strip_prefix(' ').unwrap_or(&text[length..]);
    let letters = run(unit, char::is_ascii_alphabetic);
    let replacement = match &unit[..letters] {
        "ms" | "s" | "min" => "[TIME]",
        "B" | "kB" | "KB" | "MB" | "GB" | "KiB" | "MiB" | "GiB" => "[SIZE]",
        _ => return None,
    };
    Some((text.len() - unit.len() + letters, replacement))
}
