//! What the two sides of a sandbox tell each other. Into it, through its stdin: a [`Spec`] as JSON behind its length, the bytes
//! of the emulator, the bytes of each layer. Out of it, on stdout: [`Message`]s, a line of JSON each. What the program says
//! comes on stderr.

use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::full_disk;

/// The longest spec, in bytes: an image's config, of which it is a part, may have 4 MiB.
const LONGEST_SPEC: u64 = 16 << 20;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// what is started; without it, only whether that would be possible is found out
    pub start: Option<Start>,
    /// the length of each layer's blob, lowest first
    pub layers: Vec<u64>,
    /// what runs the program, where this machine does not
    pub emulator: Option<EmulatorFile>,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// the program and its arguments
    pub words: Vec<String>,
    /// its environment, as the image has it
    pub env: Vec<(String, String)>,
    /// the image's `User`
    pub user: String,
    /// its working folder, absolute
    pub folder: String,
}

/// A static emulator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmulatorFile {
    /// its length in bytes
    pub size: u64,
    /// the processor that it plays
    pub cpu: Option<String>,
}

/// What happens in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// it stands; nothing is in it yet
    Ready,
    /// something in it is not as in a container
    Note(String),
    /// the program is about to start
    Starting {
        /// what the image's words name is a script
        script: bool,
    },
    /// the program did not start
    Failed(Failure),
    /// the program ended, or else the first process did
    Ended {
        /// its exit code
        code: Option<i32>,
        /// the signal that ended it
        signal: Option<i32>,
    },
}

/// Why a program did not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// this machine does not let us make a sandbox
    Forbidden {
        /// what was tried
        step: String,
        /// what the system said
        reason: String,
    },
    /// a layer is not as it should be
    Layer {
        /// its position
        position: usize,
        /// what is wrong with it, as a predicate
        text: String,
    },
    /// something cannot be written
    Write {
        /// where in the image
        path: String,
        /// what the system said
        reason: String,
        /// true when the disk is full
        full: bool,
    },
    /// the image's words do not start
    Start {
        /// why, as a clause
        text: String,
    },
    /// something else went wrong with the sandbox
    Broken {
        /// what was tried
        step: String,
        /// what the system said
        reason: String,
    },
}

impl Failure {
    /// What the system said of a path in the image that cannot be written.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has sandboxes"))]
    pub(super) fn write(path: &Path, error: &io::Error) -> Self {
        let reason = error.get_ref().and_then(std::error::Error::source).map(ToString::to_string);
        let reason = reason.unwrap_or_else(|| error.to_string());
        Self::Write { path: path.display().to_string(), reason, full: full_disk::is_full(error) }
    }
}

impl Message {
    /// Writes it as a line.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        out.write_all(&line)?;
        out.flush()
    }

    /// Reads a line; `None` when it is none of ours.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// Writes a spec with its length before it.
///
/// # Errors
/// When that is not possible.
pub fn write_frame(spec: &Spec, out: &mut impl Write) -> io::Result<()> {
    let bytes = serde_json::to_vec(spec)?;
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    out.write_all(&bytes)
}

/// Reads a spec with its length before it.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has sandboxes"))]
pub(super) fn read_frame(source: &mut impl Read) -> io::Result<Spec> {
    let mut length = [0; 8];
    source.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_SPEC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    source.take(length).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let start = Start {
            words: vec!["/app".to_owned(), "--version".to_owned()],
            env: vec![("PATH".to_owned(), "/bin".to_owned())],
            user: "app".to_owned(),
            folder: "/".to_owned(),
        };
        let emulator = EmulatorFile { size: 7, cpu: Some("max".to_owned()) };
        let spec = Spec { start: Some(start), layers: vec![1, 2], emulator: Some(emulator) };
        let mut bytes = Vec::new();
        write_frame(&spec, &mut bytes).unwrap();
        bytes.extend_from_slice(b"rest");
        let mut source = bytes.as_slice();
        assert_eq!((read_frame(&mut source).unwrap(), source), (spec, &b"rest"[..]));
        assert!(read_frame(&mut &u64::MAX.to_le_bytes()[..]).is_err());

        let message = Message::Failed(Failure::Start { text: "line\nbreak".to_owned() });
        let mut line = Vec::new();
        message.write(&mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert_eq!((line.lines().count(), Message::read(&line)), (1, Some(message)));
        assert_eq!(Message::read("hello"), None);
    }
}
