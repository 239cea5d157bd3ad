//! Runs the other programs of a test (skopeo, umoci, apt, git) and fails loudly, with the whole command and its output.

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a program that may fail left behind.
#[derive(Debug)]
pub struct Ended {
    /// the exit code; 128 and the signal's number when a signal ended it, as a shell says it
    pub code: i32,
    /// what it wrote to stdout, as it came
    pub bytes: Vec<u8>,
    /// what it wrote to stdout, as text
    pub stdout: String,
    /// what it wrote to stderr
    pub stderr: String,
}

/// The program and its arguments as one line that can be pasted into a shell.
pub fn line(command: &Command) -> String {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    let quote = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,+%".contains(letter);
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Runs `command`, which has to succeed, and returns its stdout.
///
/// # Panics
/// When it cannot be started or fails: the message is the command line and all that the command wrote.
#[track_caller]
pub fn succeed(command: &mut Command) -> Vec<u8> {
    let output = output(command);
    assert!(
        output.status.success(),
        "`{}` failed ({})\n{}{}",
        line(command),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Like [`succeed`], for a command whose stdout is text; the trailing newline goes.
#[track_caller]
pub fn text(command: &mut Command) -> String {
    let bytes = succeed(command);
    String::from_utf8(bytes).expect("the output is UTF-8").trim_end().to_owned()
}

/// Runs `command` to its end, whatever that is.
///
/// # Panics
/// When the program cannot be started at all; the message says how a test machine gets it.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| not_started(command, &error))
}

#[track_caller]
fn not_started(command: &Command, error: &std::io::Error) -> ! {
    panic!("`{}` cannot be started: {error}\nhint: scripts/install-test-tools", line(command))
}

/// Runs `command` for at most `limit`.
///
/// # Panics
/// When it cannot be started, or has not ended in time: it is killed then, and what it wrote so far is shown.
#[track_caller]
pub fn within(command: &mut Command, limit: Duration) -> Ended {
    told(command, Stdio::null(), limit)
}

/// Like [`within`], for a program that reads `stdin`.
#[track_caller]
pub fn told(command: &mut Command, stdin: Stdio, limit: Duration) -> Ended {
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| not_started(command, &error));
    let stdout = reader(child.stdout.take().expect("stdout is a pipe"));
    let stderr = reader(child.stderr.take().expect("stderr is a pipe"));
    let status = wait(&mut child, limit);
    let bytes = stdout.join().expect("the reader ends");
    let stdout = String::from_utf8_lossy(&bytes).into_owned();
    let stderr = String::from_utf8_lossy(&stderr.join().expect("the reader ends")).into_owned();
    let Some(status) = status else {
        panic!("`{}` did not end within {} s\n{stdout}{stderr}", line(command), limit.as_secs())
    };
    Ended { code: exit_code(status), bytes, stdout, stderr }
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if Instant::now() >= end {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The exit code as a shell would put it.
pub fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// True when the tests are run by root.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of a process's own folder in /proc is its effective user.
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
