//! Entries of a layer of ours become its [`Listing`], from the files that they are made of: nothing is unpacked for it.

use std::io::{self, Cursor, Read};
use std::path::Path;

use super::error::ListingError;
use super::read::{BEGINNING, Limits, ReadSeek, Reader, short_of};
use super::{Contents, Entry, File, Kind, Listing};
use crate::layer_entry::{self, EntryKind};

/// Opens a file that goes into a layer.
pub type Open<'edge> = dyn Fn(&Path) -> io::Result<Box<dyn ReadSeek>> + 'edge;

impl Listing {
    /// Lists what a layer of `entries` holds: the same as [`Self::read`] finds in the layer, in another order.
    ///
    /// # Errors
    /// When a file cannot be read, or there is more of something than `limits` allow.
    pub fn of_entries(entries: &[layer_entry::Entry], limits: &Limits, open: &Open<'_>) -> Result<Self, ListingError> {
        let aside = |_: &mut dyn Read| -> io::Result<Box<dyn ReadSeek>> { Err(io::ErrorKind::Unsupported.into()) };
        let mut reader = Reader::new(limits, &aside);
        let entries = entries.iter().map(|entry| {
            let EntryKind::File(contents) = &entry.kind else { return Ok(outlined(entry)) };
            let size = contents.size();
            let mut file: Box<dyn ReadSeek + '_> = match contents {
                layer_entry::Contents::Bytes(bytes) => Box::new(Cursor::new(bytes)),
                layer_entry::Contents::Path { path, .. } => open(path).map_err(ListingError::Read)?,
            };
            let mut beginning = Vec::new();
            (&mut file).take(BEGINNING as u64).read_to_end(&mut beginning).map_err(ListingError::Read)?;
            if beginning.len() as u64 != size.min(BEGINNING as u64) {
                return Err(short_of());
            }
            let contents = if beginning.starts_with(b"\x7fELF") {
                reader.binary_at(&entry.path, size, &mut file)?
            } else {
                reader.other(&entry.path, entry.mode, size, beginning, &mut file)?
            };
            Ok(of_kind(entry, Kind::File(File { size, contents })))
        });
        entries.collect()
    }

    /// The same with no file looked into: what is there before the files are.
    #[must_use]
    pub fn outline(entries: &[layer_entry::Entry]) -> Self {
        entries.iter().map(outlined).collect()
    }
}

fn of_kind(entry: &layer_entry::Entry, kind: Kind) -> Entry {
    let (uid, gid) = (entry.uid, entry.gid);
    Entry { path: entry.path.clone(), mode: entry.mode, uid, gid, kind }
}

fn outlined(entry: &layer_entry::Entry) -> Entry {
    let kind = match &entry.kind {
        EntryKind::Directory => Kind::Folder,
        EntryKind::Symlink(target) => Kind::Symlink(target.clone()),
        EntryKind::File(contents) => {
            let (size, why) = (contents.size(), "is not made yet".to_owned());
            Kind::File(File { size, contents: Contents::NotRead(why) })
        }
    };
    of_kind(entry, kind)
}
