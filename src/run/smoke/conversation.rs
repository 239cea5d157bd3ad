//! A sandbox is given what it needs, and heard.

use std::io::{self, Read, Write};
use std::process::ChildStdin;
use std::time::{Duration, Instant};

use crate::blob::{Descriptor, Hashed};
use crate::exec::{Attended, OWN_PROGRAM};
use crate::invocation::Invocation;
use crate::sandbox::{COMMAND, Failure, Message};
use crate::store::{StoreError, VerifiedBlob};

use super::SandboxError;
use crate::run::error::Error;
use crate::run::session::Session;

/// The bytes of a layer.
pub enum LayerBytes {
    /// from the store, where they are held to their digest
    Stored(VerifiedBlob),
    /// from elsewhere
    Elsewhere(Box<dyn Read + Send>),
}

/// Why a sandbox did not get what it was to get.
pub(super) enum NotFed {
    /// a layer could not be read
    Layer(Box<Error>),
    /// it did not listen, for a reason that it tells itself
    Deaf,
}

impl NotFed {
    pub(super) fn layer(error: Error) -> Self {
        Self::Layer(Box::new(error))
    }
}

/// What a sandbox told.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) ready: bool,
    pub(super) notes: Vec<String>,
    pub(super) started: Option<Instant>,
    pub(super) script: bool,
    pub(super) failure: Option<Failure>,
    pub(super) ended: Option<(Option<i32>, Option<i32>)>,
    pub(super) elapsed: Duration,
}

impl Heard {
    /// Takes a line; how long the program has, once it starts.
    pub(super) fn take(&mut self, line: &str, limit: Duration) -> Option<Duration> {
        match Message::read(line)? {
            Message::Ready => self.ready = true,
            Message::Note(note) => self.notes.push(note),
            Message::Starting { script } => {
                self.script = script;
                self.started = Some(Instant::now());
                return Some(limit);
            }
            // Of several, the first says what happened.
            Message::Failed(failure) => self.failure = self.failure.take().or(Some(failure)),
            Message::Ended { code, signal } if self.ended.is_none() => {
                self.ended = Some((code, signal));
                self.elapsed = self.started.map(|started| started.elapsed()).unwrap_or_default();
            }
            Message::Ended { .. } => {}
        }
        None
    }
}

/// Runs a sandbox in a folder of its own to its end.
pub(super) fn run<T: Send>(
    session: &Session,
    limit: Duration,
    heard: &mut Heard,
    feed: impl FnOnce(&mut ChildStdin) -> T + Send,
) -> Result<Attended<T>, Error> {
    let scratch = session.store.scratch()?;
    let call = Invocation::new(OWN_PROGRAM, scratch.path()).args([COMMAND]);
    let attended = session.children.attend(&call, |mut stdin| feed(&mut stdin), &mut |line| heard.take(line, limit))?;
    Ok(attended)
}

/// Gives a sandbox the bytes of a layer, as many as were announced, and holds them to their digest.
pub(super) fn feed(layer: &Descriptor, bytes: LayerBytes, stdin: &mut ChildStdin) -> Result<(), NotFed> {
    let read = |source| NotFed::layer(Error::SmokeRead { layer: layer.digest, source });
    match bytes {
        LayerBytes::Stored(mut blob) => pump(&mut blob, stdin, |error| match StoreError::within(error) {
            Ok(error) => NotFed::layer(Error::Store(error)),
            Err(error) => read(error),
        }),
        LayerBytes::Elsewhere(bytes) => {
            let mut bytes = Hashed::new(bytes);
            pump(&mut bytes.by_ref().take(layer.size), stdin, read)?;
            let (digest, size) = bytes.finish();
            if (digest, size) == (layer.digest, layer.size) {
                return Ok(());
            }
            Err(NotFed::layer(SandboxError::Damaged { layer: layer.digest }.into()))
        }
    }
}

/// Copies, and tells who reads and who does not listen apart.
pub(super) fn pump(
    source: &mut impl Read,
    stdin: &mut impl Write,
    read: impl FnOnce(io::Error) -> NotFed,
) -> Result<(), NotFed> {
    let mut buffer = vec![0; 1 << 17];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => stdin.write_all(&buffer[..count]).map_err(|_| NotFed::Deaf)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_counts_and_the_clock_starts_with_the_program() {
        let mut heard = Heard::default();
        let limit = Duration::from_secs(7);
        for (line, expected) in [
            ("\"Ready\"", None),
            ("no message", None),
            ("{\"Starting\":{\"script\":true}}", Some(limit)),
            ("{\"Failed\":{\"Start\":{\"text\":\"first\"}}}", None),
            ("{\"Failed\":{\"Start\":{\"text\":\"second\"}}}", None),
            ("{\"Ended\":{\"code\":1,\"signal\":null}}", None),
        ] {
            assert_eq!(heard.take(line, limit), expected, "{line}");
        }
        assert!(heard.ready && heard.script && heard.started.is_some());
        assert_eq!(heard.failure, Some(Failure::Start { text: "first".to_owned() }));
        assert_eq!(heard.ended, Some((Some(1), None)));
    }
}
