//! Runs a small program that is told something on stdin and answers on stdout: within a time, and within a length.
//!
//! It stays in our process group, unlike compilers: it may ask the user something at the terminal, which only the
//! group in the foreground may.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::{Finished, command};
use crate::invocation::Invocation;

/// How long the pipes of a program that ended may stay open.
const AFTERMATH: Duration = Duration::from_millis(200);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// The program could not be started.
    #[error("it cannot be started")]
    Start(#[source] io::Error),
    /// It took too long, and was killed.
    #[error("it did not answer within {} s", after.as_secs_f64())]
    Slow {
        /// how long was waited
        after: Duration,
    },
    /// It said too much, and was killed.
    #[error("its answer is longer than {limit} bytes")]
    Long {
        /// the most that is read, in bytes
        limit: usize,
    },
    /// Its answer cannot be read.
    #[error("its answer cannot be read")]
    Broken(#[source] io::Error),
}

/// Runs `call`, tells it `told`, and returns how it ended and what it said: at most `longest` bytes on stdout and on
/// stderr, within `patience`. It is killed when it takes longer, says more, or nobody waits any more.
///
/// # Errors
/// When it cannot be started, or gives no answer of that kind. A program that fails is not an error here.
pub async fn converse(
    call: &Invocation,
    told: &[u8],
    patience: Duration,
    longest: usize,
) -> Result<Finished, ConversationError> {
    let mut command = tokio::process::Command::from(command(call));
    let piped = std::process::Stdio::piped;
    command.stdin(piped()).stdout(piped()).stderr(piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(ConversationError::Start)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let tell = async move {
        if let Some(mut stdin) = stdin {
            // Who has heard enough, or ends at once, hangs up; its own words tell more than ours would.
            let _ = stdin.write_all(told).await;
        }
        Ok(())
    };
    let conversation = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = {
            let talk =
                async { tokio::try_join!(tell, read(stdout, longest, &mut out), read(stderr, longest, &mut err)) };
            tokio::pin!(talk);
            tokio::select! {
                said = &mut talk => {
                    said?;
                    child.wait().await
                }
                status = child.wait() => {
                    // What it left running may hold its pipes for ever, and has nothing to add.
                    if let Ok(said) = tokio::time::timeout(AFTERMATH, &mut talk).await {
                        said?;
                    }
                    status
                }
            }
        };
        Ok(Finished { status: status.map_err(ConversationError::Broken)?, stdout: out, stderr: err })
    };
    let over = tokio::time::timeout(patience, conversation).await;
    let result = over.unwrap_or(Err(ConversationError::Slow { after: patience }));
    if result.is_err() {
        // It may be gone already.
        let _ = child.kill().await;
    }
    result
}

/// Reads to the end; what came is in `bytes` also when nobody waits for the end.
async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    longest: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), ConversationError> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    while pipe.read_buf(bytes).await.map_err(ConversationError::Broken)? > 0 {
        if bytes.len() > longest {
            return Err(ConversationError::Long { limit: longest });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn ask(script: &str, told: &[u8]) -> Result<Finished, ConversationError> {
        let call = Invocation::new("sh", "/").args(["-c", script]);
        converse(&call, told, Duration::from_millis(1500), 1000).await
    }

    #[tokio::test]
    async fn what_is_told_is_heard_and_what_is_said_comes_back() {
        let finished = ask("read word; echo \"$word!\"; echo oops >&2; exit 3", b"hello").await.unwrap();
        assert_eq!((finished.stdout.as_slice(), finished.stderr.as_slice()), (&b"hello!\n"[..], &b"oops\n"[..]));
        assert_eq!(finished.ending(), "exit code 3");
        // More than a pipe holds, to one that does not listen.
        let deaf = ask("exec <&-; echo no", &vec![b'x'; 1 << 20]).await.unwrap();
        assert_eq!(deaf.stdout, b"no\n");
        // One that leaves somebody behind who holds its pipes.
        let begin = Instant::now();
        let left = ask("sleep 20 & echo yes; echo oops >&2", b"").await.unwrap();
        assert_eq!((left.stdout.as_slice(), left.stderr.as_slice()), (&b"yes\n"[..], &b"oops\n"[..]));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn who_does_not_end_is_killed() {
        let begin = Instant::now();
        for (script, expected) in [
            ("exec sleep 100", "it did not answer within 1.5 s"),
            ("exec yes", "its answer is longer than 1000 bytes"),
            ("exec yes >&2", "its answer is longer than 1000 bytes"),
        ] {
            assert_eq!(ask(script, b"").await.unwrap_err().to_string(), expected, "{script}");
        }
        assert!(begin.elapsed() < Duration::from_mins(1));
        let missing = converse(&Invocation::new("no-such-program", "/"), b"", Duration::from_secs(1), 1).await;
        assert!(matches!(missing, Err(ConversationError::Start(error)) if error.kind() == io::ErrorKind::NotFound));
    }
}
