//! A tar stream becomes its members, one after another, each with its data still in the stream.
//!
//! The `tar` crate knows the headers. Its own reader takes long names, PAX records and sparse maps of any length into memory,
//! so the walk is here: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html> and GNU tar's manual.

use std::io::{self, Read};

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::error::ListingError;
use super::unpack::TooLong;

const BLOCK: usize = 512;
/// Long names, and PAX records with extended attributes, take some kilobytes.
const EXTENSION: u64 = 1 << 20;
/// Where a header's own checksum is.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A member of the archive.
pub(crate) struct Member {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryType,
    pub(crate) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// of its data
    pub(crate) size: u64,
    /// its data leaves out the holes
    pub(crate) sparse: bool,
}

/// Walks a tar.
pub(crate) struct Archive<R> {
    reader: R,
    /// how much of the current member's data was not read yet
    left: u64,
    padding: u64,
}

/// What the members before say of the next one.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    sparse: bool,
    sparse_path: Option<Vec<u8>>,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, left: 0, padding: 0 }
    }

    /// The next member; `None` at the archive's end.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, ListingError> {
        let mut extensions = Extensions::default();
        loop {
            let skipped = self.left + self.padding;
            self.skip(skipped)?;
            (self.left, self.padding) = (0, 0);
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.entry_size().map_err(|_| damaged("the size of a member is no number"))?;
            let kind = header.entry_type();
            self.set_data(size);
            match kind {
                EntryType::GNULongName => extensions.path = Some(self.text()?),
                EntryType::GNULongLink => extensions.link = Some(self.text()?),
                EntryType::XHeader => extensions.read(&self.extension()?)?,
                // What would hold for all that follows is left aside by container engines.
                EntryType::XGlobalHeader => {}
                _ => return self.member(&header, kind, extensions).map(Some),
            }
        }
    }

    fn set_data(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn member(&mut self, header: &Header, kind: EntryType, given: Extensions) -> Result<Member, ListingError> {
        let number = |given: Option<u64>, own: io::Result<u64>, what: &'static str| match given {
            Some(number) => Ok(number),
            None => own.map_err(|_| damaged(what)),
        };
        let mut sparse = given.sparse;
        if kind == EntryType::GNUSparse {
            sparse = true;
            let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
            while more {
                let mut block = GnuExtSparseHeader::new();
                self.fill(block.as_mut_bytes())?;
                more = block.is_extended();
            }
        }
        if let Some(size) = given.size {
            self.set_data(size);
        }
        // Only files have data, whatever the size of a link or a folder says; archivers of old wrote such.
        if matches!(kind, EntryType::Link | EntryType::Symlink | EntryType::Directory) {
            self.set_data(0);
        }
        Ok(Member {
            path: given.sparse_path.or(given.path).unwrap_or_else(|| header.path_bytes().into_owned()),
            link: given.link.or_else(|| Some(header.link_name_bytes()?.into_owned())).unwrap_or_default(),
            kind,
            mode: header.mode().map_err(|_| damaged("the mode of a member is no number"))? & 0o7777,
            uid: number(given.uid, header.uid(), "the owner of a member is no number")?,
            gid: number(given.gid, header.gid(), "the group of a member is no number")?,
            size: self.left,
            sparse,
        })
    }

    fn header(&mut self) -> Result<Option<Header>, ListingError> {
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        let mut length = 0;
        while length < BLOCK {
            match self.reader.read(&mut bytes[length..]) {
                // Some writers leave the two empty blocks at the end out.
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(damaged("it ends within a header")),
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = bytes
            .iter()
            .enumerate()
            .map(|(position, byte)| if CHECKSUM.contains(&position) { u32::from(b' ') } else { u32::from(*byte) });
        let sum: u32 = sum.sum();
        match header.cksum() {
            Ok(said) if said == sum => Ok(Some(header)),
            _ => Err(damaged("the checksum of a header is wrong")),
        }
    }

    fn extension(&mut self) -> Result<Vec<u8>, ListingError> {
        if self.left > EXTENSION {
            return Err(ListingError::TooMuch { what: format!("a name or attributes of {} bytes", self.left) });
        }
        let mut bytes = Vec::new();
        let expected = self.left;
        io::Read::read_to_end(self, &mut bytes).map_err(failed)?;
        if bytes.len() as u64 == expected { Ok(bytes) } else { Err(damaged("it ends within a name")) }
    }

    fn text(&mut self) -> Result<Vec<u8>, ListingError> {
        let mut text = self.extension()?;
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        text.truncate(end);
        Ok(text)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ListingError> {
        self.reader.read_exact(buffer).map_err(failed)
    }

    fn skip(&mut self, length: u64) -> Result<(), ListingError> {
        let skipped = io::copy(&mut (&mut self.reader).take(length), &mut io::sink()).map_err(failed)?;
        if skipped == length { Ok(()) } else { Err(damaged("it ends within a member")) }
    }
}

/// The data of the current member.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Extensions {
    /// Reads PAX records: `LENGTH KEY=VALUE\n`, one after another.
    fn read(&mut self, mut records: &[u8]) -> Result<(), ListingError> {
        let wrong = || damaged("a record of extended attributes cannot be read");
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
            let length = std::str::from_utf8(&records[..space]).ok().and_then(|length| length.parse::<usize>().ok());
            let length = length.filter(|length| *length > space + 1 && *length <= records.len()).ok_or_else(wrong)?;
            let record = records[space + 1..length].strip_suffix(b"\n").ok_or_else(wrong)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let number = || std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(wrong);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number()?),
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                b"GNU.sparse.name" => self.sparse_path = Some(value.to_vec()),
                _ => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
            records = &records[length..];
        }
        Ok(())
    }
}

pub(crate) fn damaged(what: &'static str) -> ListingError {
    ListingError::Damaged { what }
}

/// A stream that broke, or that goes on for too long.
pub(crate) fn failed(error: io::Error) -> ListingError {
    if matches!(error.get_ref(), Some(inner) if inner.is::<TooLong>()) {
        return ListingError::TooMuch { what: "a tar that is too large for what it is packed in".to_owned() };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
        _ => ListingError::Read(error),
    }
}
