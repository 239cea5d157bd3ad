//! The walk over a layer: what is looked into, and what is kept of it.

use std::io::{self, Cursor, Read, Seek};

use tar::EntryType;

use super::archive::{Archive, Member, damaged, failed};
use super::error::ListingError;
use super::loader::{self, LOADER_SIZE, Loader};
use super::{Binary, Contents, Entry, File, Kind, Listing, unpack};
use crate::elf::{ElfError, ElfFacts, FileKind, Linkage, Symbols};

/// `PATH_MAX` of Linux.
const LONGEST_PATH: usize = 4096;
/// How much of a file is looked at to see what it is; a script's first line is no longer for the kernel (`BINPRM_BUF_SIZE`).
pub(super) const BEGINNING: usize = 512;
const SCRIPT_LINE: usize = 256;
/// Binaries up to this size are taken into memory to be read, larger ones are put aside.
const IN_MEMORY: u64 = 8 << 20;
/// Binaries above this size are not read; the largest known are some gigabytes.
const LARGEST_BINARY: u64 = 8 << 30;
/// Files that are kept whole are some kilobytes; `ld.so.cache` of a large system is some hundred.
const KEPT_SIZE: u64 = 2 << 20;
/// What Go says of a build that matters for where it runs; the rest may be long, and is nobody's business.
const GO_SETTINGS: &[&str] =
    &["GO386", "GOAMD64", "GOARCH", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64", "GOOS", "GOPPC64", "GORISCV64"];

/// Bytes that can be read from any place.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// Puts what it is given aside, and gives it back so that it can be read from any place.
pub type Spool<'edge> = dyn Fn(&mut dyn Read) -> io::Result<Box<dyn ReadSeek>> + 'edge;

/// How much of a layer is believed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// entries
    pub entries: usize,
    /// bytes of the tar
    pub stream: u64,
    /// bytes of all paths, targets of links and names in binaries
    pub paths: usize,
    /// bytes of all files that are kept whole
    pub kept: u64,
    /// dynamic symbols of all binaries
    pub symbols: usize,
}

impl Limits {
    /// The limits for a blob of `size` bytes: the largest layers known are a tenth of these, and gzip packs zeros 1 to
    /// 1000, all else 1 to 20 or less.
    #[must_use]
    pub fn of(size: u64) -> Self {
        Self {
            entries: 1_000_000,
            stream: size.saturating_mul(200).saturating_add(4 << 30),
            paths: 64 << 20,
            kept: 32 << 20,
            symbols: 8_000_000,
        }
    }
}

impl Listing {
    /// Lists a layer's blob: a tar, alone or in gzip or zstd. What follows the tar's end is left unread.
    ///
    /// Files above some megabytes go through `spool`, one at a time.
    ///
    /// # Errors
    /// When the blob cannot be read, is no such tar, or has more of something than `limits` allow.
    pub fn read(blob: impl Read, limits: &Limits, spool: &Spool<'_>) -> Result<Self, ListingError> {
        let mut archive = Archive::new(unpack::unpacked(blob, limits.stream)?);
        let mut reader = Reader::new(limits, spool);
        let mut listing = Self::default();
        while let Some(member) = archive.next()? {
            if listing.len() == limits.entries {
                return Err(ListingError::TooMuch { what: format!("more than {} entries", limits.entries) });
            }
            if let Some(entry) = reader.entry(&member, &mut archive)? {
                listing.push(entry);
            }
        }
        Ok(listing)
    }
}

pub(super) struct Reader<'listing> {
    /// what is left of each limit
    left: Limits,
    limits: &'listing Limits,
    spool: &'listing Spool<'listing>,
}

impl<'listing> Reader<'listing> {
    pub(super) fn new(limits: &'listing Limits, spool: &'listing Spool<'listing>) -> Self {
        Self { left: *limits, limits, spool }
    }

    fn entry<R: Read>(&mut self, member: &Member, archive: &mut Archive<R>) -> Result<Option<Entry>, ListingError> {
        let path = self.path(&member.path)?;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let below = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let mut kind = match member.kind {
            EntryType::Directory => Kind::Folder,
            // Before there was a type for folders, a slash at the end of the name said it.
            EntryType::Regular if member.path.ends_with(b"/") => Kind::Folder,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                Kind::File(File { size: member.size, contents: Contents::Unread })
            }
            EntryType::Symlink => Kind::Symlink(self.counted(&member.link)?),
            EntryType::Link => Kind::HardLink(self.path(&member.link)?),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Other,
            // Volume names and the like are no files.
            _ => return Ok(None),
        };
        let mut place = path.clone();
        match name.strip_prefix(".wh.") {
            Some(".wh..opq") => (place, kind) = (folder.to_owned(), Kind::Opaque),
            // What AUFS kept for itself.
            Some(removed) if removed.starts_with(".wh.") => return Ok(None),
            Some(removed) if !removed.is_empty() => (place, kind) = (below(removed), Kind::Whiteout),
            _ => {}
        }
        if let Kind::File(file) = &mut kind {
            file.contents = self.contents(&path, member, archive)?;
        }
        Ok(Some(Entry { path: place, mode: member.mode, uid: member.uid, gid: member.gid, kind }))
    }

    /// Counts the bytes of names.
    fn names(&mut self, size: usize) -> Result<(), ListingError> {
        let too_much = || ListingError::TooMuch { what: format!("paths of more than {} bytes", self.limits.paths) };
        self.left.paths = self.left.paths.checked_sub(size).ok_or_else(too_much)?;
        Ok(())
    }

    /// A path, counted and held to the bound.
    fn counted(&mut self, text: &[u8]) -> Result<String, ListingError> {
        if text.len() > LONGEST_PATH {
            return Err(ListingError::TooMuch { what: format!("a path of {} bytes", text.len()) });
        }
        self.names(text.len())?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn path(&mut self, text: &[u8]) -> Result<String, ListingError> {
        let text = self.counted(text)?;
        clean(&text).ok_or(ListingError::Outside { path: text })
    }

    fn contents<R: Read>(
        &mut self,
        path: &str,
        member: &Member,
        archive: &mut Archive<R>,
    ) -> Result<Contents, ListingError> {
        if member.sparse {
            return Ok(Contents::NotRead("is stored as a sparse file, which is not looked into".to_owned()));
        }
        let mut beginning = Vec::new();
        archive.take(BEGINNING as u64).read_to_end(&mut beginning).map_err(failed)?;
        if beginning.len() as u64 != member.size.min(BEGINNING as u64) {
            return Err(short_of());
        }
        if beginning.starts_with(b"\x7fELF") {
            return self.binary(path, member.size, beginning, archive);
        }
        self.other(path, member.mode, member.size, beginning, archive)
    }

    /// What is in a file that is no binary and begins so; `rest` is what follows.
    pub(super) fn other(
        &mut self,
        path: &str,
        mode: u32,
        size: u64,
        mut beginning: Vec<u8>,
        rest: &mut impl Read,
    ) -> Result<Contents, ListingError> {
        if let Some(line) = beginning.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return Ok(Contents::Script(printable(&line[..line.len().min(SCRIPT_LINE)])));
        }
        if is_kept(path) && size <= KEPT_SIZE.min(self.left.kept) {
            self.left.kept -= size;
            rest.read_to_end(&mut beginning).map_err(failed)?;
            return Ok(Contents::Kept(beginning));
        }
        if mode & 0o111 != 0 {
            return Ok(Contents::NotStartable(FileKind::of(&beginning).to_string()));
        }
        Ok(Contents::Unread)
    }

    fn binary<R: Read>(
        &mut self,
        path: &str,
        size: u64,
        beginning: Vec<u8>,
        archive: &mut Archive<R>,
    ) -> Result<Contents, ListingError> {
        if size > LARGEST_BINARY {
            return self.binary_at(path, size, &mut io::empty());
        }
        let mut whole = Cursor::new(beginning).chain(archive);
        if size <= IN_MEMORY {
            let mut bytes = Vec::new();
            whole.read_to_end(&mut bytes).map_err(failed)?;
            self.binary_at(path, size, &mut Cursor::new(bytes))
        } else {
            let mut aside = (self.spool)(&mut whole).map_err(failed)?;
            self.binary_at(path, size, &mut aside)
        }
    }

    /// What is in a binary that can be read from any place.
    pub(super) fn binary_at(
        &mut self,
        path: &str,
        size: u64,
        bytes: &mut (impl Read + Seek),
    ) -> Result<Contents, ListingError> {
        if size > LARGEST_BINARY {
            return Ok(Contents::NotRead(format!("has {size} bytes, more than anyarch reads")));
        }
        match self.facts(path.rsplit('/').next().unwrap_or_default(), size, bytes) {
            Ok(binary) => {
                self.names(binary.names_size())?;
                Ok(Contents::Elf(Box::new(binary)))
            }
            Err(ElfError::Unreadable { source }) => Err(failed(source)),
            Err(error) => Ok(Contents::Unreadable(error.to_string())),
        }
    }

    fn facts(&mut self, name: &str, size: u64, bytes: &mut (impl Read + Seek)) -> Result<Binary, ElfError> {
        let mut facts = ElfFacts::read(&mut *bytes)?;
        if let Some(go) = &mut facts.go {
            go.settings.retain(|name, _| GO_SETTINGS.contains(&name.as_str()));
        }
        let unreadable = |source| ElfError::Unreadable { source };
        let (mut loader, mut glibc) = (None, None);
        if size <= LOADER_SIZE && (loader::may_be_one(name, &facts) || loader::is_glibc(&facts)) {
            bytes.rewind().map_err(unreadable)?;
            let mut all = Vec::new();
            bytes.read_to_end(&mut all).map_err(unreadable)?;
            glibc = loader::glibc_version(&facts, &all);
            loader = Loader::of(name, &facts, &all);
        }
        let linked = matches!(facts.linkage, Linkage::Dynamic | Linkage::SharedLibrary | Linkage::StaticPie);
        let symbols = if linked { Symbols::read(bytes).ok() } else { None };
        let symbols = symbols.filter(|symbols| match self.left.symbols.checked_sub(symbols.count()) {
            Some(left) => {
                self.left.symbols = left;
                true
            }
            None => false,
        });
        Ok(Binary { facts, symbols, glibc, loader })
    }
}

/// A file has fewer bytes than was said of it.
pub(super) fn short_of() -> ListingError {
    damaged("it ends within a file")
}

/// Files that say who users are and where libraries are, wherever links lead to them.
fn is_kept(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    matches!(name, "passwd" | "group" | "ld.so.cache" | "ld.so.conf" | "ld.so.preload")
        || path.contains("ld.so.conf.d/")
        || name.strip_prefix("ld-musl-").is_some_and(|rest| rest.split('.').nth(1) == Some("path"))
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // A carriage return is what is wrong with many a script.
    text.chars()
        .map(|c| if c.is_control() && !matches!(c, '\t' | '\r') { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// A path without `.`, `..` and slashes that mean nothing, as container engines clean it; `None` when it leads out.
fn clean(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
