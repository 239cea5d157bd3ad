//! Entries become a [`Listing`] that takes little memory: large layers have hundreds of thousands.
//!
//! Names lie one after another in one text, and a folder's once for all entries that follow each other in it.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Binary, Contents, Entry, Kind};

/// The entries of a layer in the order of its archive: a later entry for a path takes the place of an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// all names and folders; the limits of a listing keep it far below what 32 bits count
    texts: String,
    folders: Vec<Text>,
    rows: Vec<Row>,
}

/// A part of the text of all names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Text {
    start: u32,
    length: u32,
}

/// An entry as it lies in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// which of the folders
    folder: u32,
    name: Text,
    mode: u32,
    uid: u32,
    gid: u32,
    kind: Kind,
}

/// An [`Entry`] of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'listing> {
    /// the path of the folder that it is in; empty for the root
    pub folder: &'listing str,
    /// its name there; empty for the root itself
    pub name: &'listing str,
    /// permission bits with setuid, setgid and sticky
    pub mode: u32,
    /// owner
    pub uid: u32,
    /// owning group
    pub gid: u32,
    /// what it is
    pub kind: &'listing Kind,
}

impl Listed<'_> {
    /// Its path, as [`Entry`] has it.
    #[must_use]
    pub fn path(&self) -> String {
        if self.folder.is_empty() { self.name.to_owned() } else { format!("{}/{}", self.folder, self.name) }
    }
}

impl Listing {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let weight = |row: &Row| {
            let behind = match &row.kind {
                Kind::Symlink(target) | Kind::HardLink(target) => target.len(),
                Kind::File(file) => match &file.contents {
                    Contents::Kept(bytes) => bytes.len(),
                    Contents::Elf(binary) => {
                        size_of::<Binary>()
                            + binary.names_size()
                            + binary.symbols.as_ref().map_or(0, |symbols| symbols.count() * 8)
                    }
                    _ => 0,
                },
                _ => 0,
            };
            size_of::<Row>() + behind
        };
        self.texts.len() + self.rows.iter().map(weight).sum::<usize>()
    }

    /// The entries in their order.
    pub fn entries(&self) -> impl Iterator<Item = Listed<'_>> {
        self.rows.iter().map(|row| Listed {
            folder: self.folders.get(row.folder as usize).map_or("", |folder| self.text(*folder)),
            name: self.text(row.name),
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            kind: &row.kind,
        })
    }

    /// Adds an entry behind the others.
    pub fn push(&mut self, entry: Entry) {
        let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        if self.folders.last().is_none_or(|last| self.text(*last) != folder) {
            let folder = self.add(folder);
            self.folders.push(folder);
        }
        let name = self.add(name);
        // Linux has numbers of 32 bits for users and groups.
        let number = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
        self.rows.push(Row {
            folder: count(self.folders.len() - 1),
            name,
            mode: entry.mode,
            uid: number(entry.uid),
            gid: number(entry.gid),
            kind: entry.kind,
        });
    }

    fn add(&mut self, text: &str) -> Text {
        let start = count(self.texts.len());
        self.texts.push_str(text);
        Text { start, length: count(text.len()) }
    }

    fn text(&self, text: Text) -> &str {
        let (start, length) = (text.start as usize, text.length as usize);
        self.texts.get(start..start + length).unwrap_or_default()
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl FromIterator<Entry> for Listing {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut listing = Self::default();
        entries.into_iter().for_each(|entry| listing.push(entry));
        listing
    }
}

/// An entry as it is kept: path, mode, owner, group, and what it is.
impl Serialize for Listing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries().map(|row| (row.path(), row.mode, row.uid, row.gid, row.kind)))
    }
}

impl<'de> Deserialize<'de> for Listing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Rows)
    }
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Listing;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the entries of a layer")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Listing, A::Error> {
        let mut listing = Listing::default();
        while let Some((path, mode, uid, gid, kind)) = rows.next_element()? {
            listing.push(Entry { path, mode, uid, gid, kind });
        }
        Ok(listing)
    }
}
