//! A layer's blob becomes its tar, by what its first bytes say: the media type may lie, and runtimes look at the bytes too.

use std::io::{self, BufRead as _, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::error::ListingError;

const BUFFER: usize = 1 << 17;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Skippable frames of zstd begin so, but for the low half of their first byte.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
/// Where a tar says what it is.
const USTAR: std::ops::Range<usize> = 257..262;

/// The tar inside of a blob, and how many bytes of it may be read at most.
pub(crate) fn unpacked<'blob>(
    mut blob: impl Read + 'blob,
    most: u64,
) -> Result<Bounded<Box<dyn Read + 'blob>>, ListingError> {
    let mut beginning = vec![0; 512];
    let mut length = 0;
    while length < beginning.len() {
        match blob.read(&mut beginning[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ListingError::Read(error)),
        }
    }
    beginning.truncate(length);
    let is_gzip = beginning.starts_with(GZIP);
    let is_zstd = beginning.starts_with(ZSTD)
        || (beginning.get(1..4) == Some(ZSTD_SKIPPABLE) && beginning.first().is_some_and(|byte| byte & 0xf0 == 0x50));
    let is_tar = beginning.is_empty()
        || beginning.get(USTAR).is_some_and(|magic| magic == b"ustar" || beginning.iter().all(|byte| *byte == 0));
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(beginning).chain(blob));
    let tar: Box<dyn Read + 'blob> = if is_gzip {
        Box::new(MultiGzDecoder::new(whole))
    } else if is_zstd {
        Box::new(Zstd::Between(whole))
    } else if is_tar {
        Box::new(whole)
    } else {
        return Err(ListingError::Format);
    };
    Ok(Bounded { inner: tar, left: most })
}

/// Ends a stream by an error when it goes on for longer than it may.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
}

/// The error by which a stream that is too long ends.
#[derive(Debug, thiserror::Error)]
#[error("it goes on for longer than any layer does")]
pub(super) struct TooLong;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(TooLong))?;
        Ok(read)
    }
}

/// Reads frame after frame: `ruzstd` ends with the first, and a layer may be of many, with some that hold no data between.
enum Zstd<R: Read> {
    Between(BufReader<R>),
    Within(Box<StreamingDecoder<BufReader<R>, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            *self = match std::mem::replace(self, Self::Ended) {
                Self::Ended => return Ok(0),
                Self::Between(mut source) => {
                    let beginning = source.fill_buf()?;
                    if beginning.is_empty() {
                        return Ok(0);
                    }
                    if beginning.get(1..4) == Some(ZSTD_SKIPPABLE) {
                        skip(&mut source)?;
                        Self::Between(source)
                    } else {
                        Self::Within(Box::new(StreamingDecoder::new(source).map_err(io::Error::other)?))
                    }
                }
                Self::Within(mut decoder) => match decoder.read(buffer)? {
                    0 => Self::Between(decoder.into_inner()),
                    read => {
                        *self = Self::Within(decoder);
                        return Ok(read);
                    }
                },
            };
        }
    }
}

/// Passes over a frame that holds no data: four bytes, its length in four more, that many.
fn skip(source: &mut impl Read) -> io::Result<()> {
    let mut head = [0; 8];
    source.read_exact(&mut head)?;
    let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    let skipped = io::copy(&mut source.take(length), &mut io::sink())?;
    if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
