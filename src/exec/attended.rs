//! Runs a child that is fed on stdin, tells how it gets on in lines on stdout, and says on stderr what people are shown; from
//! a moment that it tells itself on, it has so much time.

use std::io::{self, Read};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Children, ExecError, read_lines};
use crate::invocation::Invocation;

/// How much of the beginning of what a child says is kept, in bytes.
const BEGINNING: usize = 4 << 10;
/// How much of the end.
const END: usize = 12 << 10;

/// What an attended child left behind.
#[derive(Debug)]
pub struct Attended<T> {
    /// how it ended
    pub status: ExitStatus,
    /// what feeding it came to
    pub fed: T,
    /// what it said on stderr: its beginning and its end when that is long
    pub said: String,
    /// true when its time was over and it was killed
    pub was_late: bool,
}

impl Children {
    /// Runs a call to its end: `tell` writes to its stdin, on a thread of its own, and `heard` takes each line of stdout. With
    /// the first time that `heard` returns, that is how much time the child has left; then it is killed with all of its
    /// process group.
    ///
    /// # Errors
    /// When it cannot be started or read, or we were interrupted. A child that fails is not an error here.
    pub fn attend<T: Send>(
        &self,
        call: &Invocation,
        tell: impl FnOnce(ChildStdin) -> T + Send,
        heard: &mut dyn FnMut(&str) -> Option<Duration>,
    ) -> Result<Attended<T>, ExecError> {
        use std::os::unix::process::CommandExt as _;

        let mut command = self.command(call);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = self.start(&mut command, call)?;
        let output = |source| ExecError::Output { program: call.program.clone(), source };
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let group = i32::try_from(child.id()).map(Pid::from_raw);
        let (over, ended) = mpsc::channel();
        let (fed, said, was_late, read) = thread::scope(|scope| {
            let fed = scope.spawn(move || stdin.map(tell));
            let said = scope.spawn(move || stderr.map_or_else(|| Ok(Excerpt::default()), Excerpt::read));
            let mut clock = None;
            let mut ended = Some(ended);
            let read = stdout.map_or(Ok(()), |pipe| {
                read_lines(pipe, &mut |line| {
                    if let Some((limit, ended)) = heard(line).and_then(|limit| Some((limit, ended.take()?))) {
                        clock = Some(scope.spawn(move || {
                            let is_late = ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
                            // Not waited for yet, it is still there to be signalled, alive or not.
                            if let (true, Ok(group)) = (is_late, group) {
                                let _ = killpg(group, Signal::SIGKILL);
                            }
                            is_late
                        }));
                    }
                })
            });
            // Nobody listens when there was no clock, or it has run out.
            let _: Result<(), mpsc::SendError<()>> = over.send(());
            let was_late = clock.is_some_and(|clock| clock.join().unwrap_or(false));
            (fed.join(), said.join(), was_late, read)
        });
        let status = child.wait();
        self.ended(&child);
        if self.stopped.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(ExecError::Interrupted);
        }
        let lost = || output(io::ErrorKind::BrokenPipe.into());
        read.map_err(output)?;
        let said = said.map_err(|_| lost())?.map_err(output)?;
        let fed = fed.ok().flatten().ok_or_else(lost)?;
        Ok(Attended { status: status.map_err(output)?, fed, said: said.to_string(), was_late })
    }
}

/// The beginning and the end of a long text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Excerpt {
    beginning: Vec<u8>,
    end: Vec<u8>,
    length: usize,
}

impl Excerpt {
    /// Reads to the end, whatever is kept.
    fn read(mut pipe: impl Read) -> io::Result<Self> {
        let mut excerpt = Self::default();
        let mut buffer = vec![0; 1 << 14];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return Ok(excerpt),
                Ok(count) => excerpt.add(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        let first = bytes.len().min(BEGINNING - self.beginning.len());
        self.beginning.extend_from_slice(&bytes[..first]);
        self.end.extend_from_slice(&bytes[first..]);
        let beyond = self.end.len().saturating_sub(END);
        self.end.drain(..beyond);
    }
}

impl std::fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let left_out = self.length - self.beginning.len() - self.end.len();
        if left_out == 0 {
            let whole = [self.beginning.as_slice(), &self.end].concat();
            return formatter.write_str(&String::from_utf8_lossy(&whole));
        }
        let (beginning, end) = (String::from_utf8_lossy(&self.beginning), String::from_utf8_lossy(&self.end));
        write!(formatter, "{beginning}\n[... {left_out} bytes ...]\n{end}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Instant;

    use super::*;

    fn attend(script: &str, limit: Duration) -> (Attended<bool>, Vec<String>) {
        let call = Invocation::new("sh", "/").args(["-c", script]);
        let mut lines = Vec::new();
        let mut heard = |line: &str| {
            lines.push(line.to_owned());
            (line == "go").then_some(limit)
        };
        let tell = |mut stdin: ChildStdin| stdin.write_all(&vec![b'x'; 1 << 20]).is_ok();
        let attended = Children::default().attend(&call, tell, &mut heard).unwrap();
        (attended, lines)
    }

    #[test]
    fn a_child_is_fed_and_heard() {
        let (attended, lines) = attend("wc -c; echo go; echo oops >&2; exit 3", Duration::from_mins(1));
        assert_eq!((attended.fed, attended.was_late, attended.status.code()), (true, false, Some(3)));
        assert_eq!((lines, &*attended.said), (vec!["1048576".to_owned(), "go".to_owned()], "oops\n"));
    }

    #[test]
    fn one_that_is_late_is_killed_with_what_it_started_and_one_that_does_not_listen_is_no_trouble() {
        let begin = Instant::now();
        let (attended, _) = attend("echo ready; echo go; sleep 100 & echo begun >&2; wait", Duration::from_millis(300));
        assert_eq!((attended.fed, attended.was_late, &*attended.said), (false, true, "begun\n"));
        assert!(begin.elapsed() < Duration::from_mins(1));
    }

    #[test]
    fn of_a_long_text_the_middle_is_left_out() {
        let text: Vec<u8> = (0..100_000).map(|number: u32| b'a' + u8::try_from(number % 26).unwrap()).collect();
        let excerpt = Excerpt::read(text.as_slice()).unwrap().to_string();
        let left_out = 100_000 - BEGINNING - END;
        let (beginning, end) = excerpt.split_once(&format!("\n[... {left_out} bytes ...]\n")).unwrap();
        assert_eq!((beginning.as_bytes(), end.as_bytes()), (&text[..BEGINNING], &text[100_000 - END..]));
        for length in [0, BEGINNING, BEGINNING + END] {
            assert_eq!(Excerpt::read(&text[..length]).unwrap().to_string().as_bytes(), &text[..length]);
        }
    }
}
