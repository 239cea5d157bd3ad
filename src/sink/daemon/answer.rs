//! The stream of JSON values that a daemon answers a load with becomes its verdict.

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::upload::Pulse;
use super::{Daemon, DaemonError, root_cause};

/// The longest value of the stream that is read, in bytes.
const LONGEST: usize = 1 << 20;
/// The longest refusal that is shown, in characters.
const SHOWN: usize = 500;
/// How many names of one image are read.
const NAMES: usize = 100;
/// How the line begins that says that an image is there, with its name or its ID.
const LOADED: &str = "Loaded image";

/// One value of the stream.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    stream: Option<String>,
    error: Option<String>,
    message: Option<String>,
    #[serde(rename = "errorDetail")]
    detail: Option<Detail>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    message: Option<String>,
}

/// Why an answer is no good one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Broken(String),
    Refused(String),
    NotLoaded,
}

impl Refusal {
    pub(super) fn of(self, daemon: &Daemon) -> DaemonError {
        let place = daemon.to_string();
        match self {
            Self::Broken(reason) => DaemonError::Broken { place, reason },
            Self::Refused(reason) => DaemonError::Refused { place, reason },
            Self::NotLoaded => DaemonError::Answer { place },
        }
    }
}

impl Answer {
    /// Reads the answer to its end: what the image is called there.
    pub(super) async fn read(mut response: Response, pulse: &Pulse) -> Result<Vec<String>, Refusal> {
        let status = response.status();
        let mut lines = Lines::default();
        loop {
            let chunk = response.chunk().await.map_err(|error| Refusal::Broken(root_cause(&error)))?;
            let Some(chunk) = chunk else { return lines.end(status) };
            pulse.beat(0);
            lines.take(&chunk)?;
        }
    }

    /// Why it went wrong, in the daemon's words.
    fn refusal(self) -> Option<String> {
        let reason = self.detail.and_then(|detail| detail.message).or(self.error).or(self.message)?;
        Some(reason.trim().chars().filter(|letter| !letter.is_control()).take(SHOWN).collect())
    }
}

/// Values that come line by line.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
    loaded: Vec<String>,
}

impl Lines {
    fn take(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        self.rest.extend_from_slice(chunk);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(&line)?;
        }
        if self.rest.len() > LONGEST {
            return Err(Refusal::NotLoaded);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        // What is no value of ours is said to people, not to us.
        let answer: Answer = serde_json::from_slice(line).unwrap_or_default();
        let said = answer.stream.as_deref().filter(|stream| stream.starts_with(LOADED));
        let name = said.and_then(|said| said.split_once(": ")).map(|(_, name)| name.trim().to_owned());
        self.loaded.extend(name.filter(|_| self.loaded.len() < NAMES));
        answer.refusal().map_or(Ok(()), |reason| Err(Refusal::Refused(reason)))
    }

    fn end(mut self, status: StatusCode) -> Result<Vec<String>, Refusal> {
        let rest = std::mem::take(&mut self.rest);
        self.line(&rest)?;
        match (status.is_success(), self.loaded.is_empty()) {
            (true, false) => Ok(self.loaded),
            (true, true) => Err(Refusal::NotLoaded),
            (false, _) => Err(Refusal::Refused(format!("it answers `{status}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end() {
        let refused = |words: &str| Err(Refusal::Refused(words.to_owned()));
        for (status, chunks, verdict) in [
            (200, &["{\"stream\":\"Loaded image: app:1\\n\"}\r\n"][..], Ok(vec!["app:1".to_owned()])),
            (
                200,
                &["{\"status\":\"Loading\",\"id\":\"1\"}\n{\"stre", "am\":\"Loaded image ID: sha256:1\"}"],
                Ok(vec!["sha256:1".to_owned()]),
            ),
            (200, &[], Err(Refusal::NotLoaded)),
            (200, &["<html>"], Err(Refusal::NotLoaded)),
            (
                200,
                &[
                    "{\"stream\":\"Loaded image: a\"}\n{\"errorDetail\":{\"message\":\"no \\u001b[1mspace\"},\"error\":\"x\"}",
                ],
                refused("no [1mspace"),
            ),
            (500, &["{\"message\":\"invalid tar header\"}"], refused("invalid tar header")),
            (500, &["{\"cause\":\"c\",\"message\":\"m\",\"response\":500}"], refused("m")),
            (403, &["<html>"], refused("it answers `403 Forbidden`")),
        ] {
            let mut lines = Lines::default();
            let read = chunks.iter().try_for_each(|chunk| lines.take(chunk.as_bytes()));
            let read = read.and_then(|()| lines.end(StatusCode::from_u16(status).unwrap()));
            assert_eq!(read, verdict, "{chunks:?}");
        }
        assert_eq!(Lines::default().take(&vec![b'x'; LONGEST + 1]), Err(Refusal::NotLoaded));
    }
}
