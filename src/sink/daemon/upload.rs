//! An archive is written on a thread of its own, a little ahead of the daemon that reads it, and whoever waits sees whether
//! anything moves.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::blob::Descriptor;
use crate::sink::docker_archive::DockerImage;

/// Bytes that go at a time.
const CHUNK: usize = 256 * 1024;
/// How many chunks are written ahead of the daemon.
const AHEAD: usize = 4;

/// Opens a layer, on another thread; whoever reads it to its end has what its digest says, or an error.
pub type OpenLayer = Arc<dyn Fn(&Descriptor) -> io::Result<Box<dyn Read>> + Send + Sync>;

/// Tells how much went, and that something moved; clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<watch::Sender<u64>>);

impl Pulse {
    /// So many more bytes went, or something else moved.
    pub(super) fn beat(&self, bytes: u64) {
        self.0.send_modify(|sent| *sent += bytes);
    }

    /// Waits until nothing has moved for so long; `progress` is told how much went by then.
    pub(super) async fn until_silent(&self, limit: Duration, progress: &(dyn Fn(u64) + Sync)) {
        let mut moved = self.0.subscribe();
        while tokio::time::timeout(limit, moved.changed()).await.is_ok() {
            progress(*moved.borrow_and_update());
        }
    }
}

/// An archive on its way.
pub(super) struct Upload {
    /// its bytes
    pub(super) stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>,
    /// how the writing of it ended
    pub(super) written: JoinHandle<io::Result<()>>,
}

impl Upload {
    /// Starts to write; a stream that is dropped ends that.
    pub(super) fn start(image: DockerImage, open: OpenLayer, pulse: Pulse) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let written = tokio::task::spawn_blocking(move || {
            let mut chunks = Chunks { sender, chunk: BytesMut::with_capacity(CHUNK) };
            let written = image.stream(&*open, &mut chunks).and_then(|()| chunks.flush());
            if let Err(error) = &written {
                // The daemon must not take what there is for the whole; nobody may listen any more.
                let _ = chunks.sender.blocking_send(Err(io::Error::other(error.to_string())));
            }
            written
        });
        let stream = stream::unfold((receiver, pulse), |(mut receiver, pulse)| async move {
            let chunk: io::Result<Bytes> = receiver.recv().await?;
            pulse.beat(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
            Some((chunk, (receiver, pulse)))
        });
        Self { stream: Box::pin(stream), written }
    }
}

/// Whether writing ended because nobody reads any more.
pub(super) fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Hands on what is written in chunks.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    chunk: BytesMut,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK.saturating_sub(self.chunk.len()).min(bytes.len());
        self.chunk.extend_from_slice(&bytes[..room]);
        if self.chunk.len() >= CHUNK {
            self.flush()?;
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(CHUNK)).freeze();
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
