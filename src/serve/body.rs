//! The body of an answer, sent piece by piece, and who is told when it ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::root::Opened;
use super::{Said, Say};

/// How much of a file is read at once, in bytes; as much may wait for each connection.
const PIECE: u64 = 128 << 10;

/// The body of an answer.
pub(super) struct Body {
    kind: Kind,
    told: Option<Told>,
}

enum Kind {
    Bytes(Bytes),
    File(Part),
}

/// Part of a file on its way.
struct Part {
    content: Opened,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// What is said at the end of an answer.
pub(super) struct Told {
    pub(super) say: Say,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) begun: Instant,
    pub(super) sent: u64,
}

impl Body {
    /// A body of those bytes.
    pub(super) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Bytes(bytes.into()), told: None }
    }

    /// A body of part of a file: from the byte `at` to the one before `end`.
    pub(super) fn file(content: Opened, at: u64, end: u64) -> Self {
        Self { kind: Kind::File(Part { content, at, end, reading: None }), told: None }
    }

    /// The same body; when it was sent, or nobody wants it any more, that is told.
    pub(super) fn telling(self, told: Option<Told>) -> Self {
        Self { told, ..self }
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> u64 {
        match &self.kind {
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::File(part) => part.end - part.at,
        }
    }
}

impl Part {
    /// Reads the next piece on a thread that may wait for the disk.
    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let (content, at, wanted) = (&self.content, self.at, PIECE.min(self.end - self.at));
        let reading = self.reading.get_or_insert_with(|| {
            let content = content.clone();
            spawn_blocking(move || read(&content, at, wanted))
        });
        let read = ready!(Pin::new(reading).poll(task));
        self.reading = None;
        let read = read.map_err(io::Error::other).and_then(|read| read);
        if let Ok(bytes) = &read {
            self.at += bytes.len() as u64;
        }
        Poll::Ready(Some(read))
    }
}

/// What is promised to the client has to come, or the connection ends: a file that was cut short is an error.
fn read(content: &Opened, at: u64, wanted: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(wanted).unwrap_or_default()];
    let length = content.read_at(at, &mut buffer)?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(length);
    Ok(buffer.into())
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = match &mut self.kind {
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                (!bytes.is_empty()).then_some(Ok(bytes))
            }
            Kind::File(part) => ready!(part.poll_next(task)),
        };
        if let (Some(Ok(bytes)), Some(told)) = (&next, &mut self.told) {
            told.sent += bytes.len() as u64;
        }
        Poll::Ready(next.map(|next| next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        (self.say)(Said::Answered {
            method: std::mem::take(&mut self.method),
            path: std::mem::take(&mut self.path),
            status: self.status,
            sent: self.sent,
            elapsed: self.begun.elapsed(),
        });
    }
}
