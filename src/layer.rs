//! Entries become a layer: a tar whose every byte is ours to say, compressed and hashed in one pass.
//!
//! The same entries give the same bytes on every machine: entries sorted by path, headers filled here, a fixed gzip
//! header, and one pinned DEFLATE implementation (zlib-rs), which is part of every digest.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use tar::{Builder, EntryType, Header};

use crate::blob::{Digest, Hashed, Hasher, canonical_json};
use crate::hint::Hint;
use crate::layer_entry::{Contents, Entry, EntryKind};

/// Part of the key under which a finished layer is remembered: raised whenever the same entries would give other bytes.
const FORMAT: &str = "zlib-rs 0.6, level 3, tar 1";

const LEVEL: u32 = 3;

/// A file whose contents are somewhere else; opens them.
pub type Open<'open> = dyn Fn(&Path) -> io::Result<Box<dyn Read>> + 'open;

/// The same; gives the digest of its contents.
pub type Look<'look> = dyn Fn(&Path) -> Result<Digest, LayerError> + 'look;

/// Why a layer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file that goes into the layer cannot be read.
    #[error("`{path}` cannot be read into a layer")]
    Read {
        /// the file
        path: PathBuf,
        /// why
        #[source]
        source: io::Error,
    },
    /// A file that is not any more what it was when it was looked at.
    #[error("`{path}` was changed while it was read into a layer")]
    Changed {
        /// the file
        path: PathBuf,
    },
    /// The blob cannot be written.
    #[error("a layer cannot be written")]
    Write(#[source] io::Error),
}

impl Hint for LayerError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Changed { .. } => vec!["build again once nothing else writes to it: anyarch build".to_owned()],
            Self::Read { .. } | Self::Write(_) => Vec::new(),
        }
    }
}

/// What a finished layer is called: the digest of what is inside, and the size of that in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncompressed {
    /// digest of the uncompressed tar, as the config's `rootfs.diff_ids` names it
    pub diff_id: Digest,
    /// its length in bytes
    pub size: u64,
}

struct Tee<W> {
    hasher: Hasher,
    inner: W,
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What a layer is made of: entries, and what was in their files when these were looked at. A layer is written only of
/// what the key was made of.
#[derive(Debug)]
pub struct Recipe<'entries> {
    key: Digest,
    mtime: u64,
    /// in the order of the layer; the digest is that of a file which is somewhere else
    entries: Vec<(&'entries Entry, Option<Digest>)>,
}

impl<'entries> Recipe<'entries> {
    /// Looks at the files of `entries`. `mtime` is in seconds since the epoch and will stand in every header.
    ///
    /// # Errors
    /// When a file cannot be looked at.
    pub fn of(entries: &'entries [Entry], mtime: u64, look: &Look<'_>) -> Result<Self, LayerError> {
        let (mut described, mut known) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for entry in sorted(entries) {
            let mut elsewhere = None;
            let what = match &entry.kind {
                EntryKind::Directory => "directory".to_owned(),
                EntryKind::Symlink(target) => format!("symlink {target}"),
                EntryKind::File(Contents::Bytes(bytes)) => Digest::of(bytes).to_string(),
                EntryKind::File(Contents::Path { path, size }) => {
                    let digest = *elsewhere.insert(look(path)?);
                    format!("{digest} {size}")
                }
            };
            described.push((&entry.path, entry.mode, entry.uid, entry.gid, what));
            known.push((entry, elsewhere));
        }
        let key = Digest::of(&canonical_json(&(FORMAT, mtime, described)));
        Ok(Self { key, mtime, entries: known })
    }

    /// The recipe in brief: equal keys mean equal layers, so a finished one can be found again.
    #[must_use]
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// Writes the entries as a gzip-compressed tar to `blob`.
    ///
    /// Owner and group names are left empty: only numbers are looked at by runtimes. Returns what the config has to say
    /// about the layer.
    ///
    /// # Errors
    /// When a file cannot be read, is not what it was when it was looked at, or the blob cannot be written: what was
    /// written is no layer then.
    pub fn write(&self, open: &Open<'_>, blob: impl Write) -> Result<Uncompressed, LayerError> {
        let gzip = GzBuilder::new().mtime(0).operating_system(255).write(blob, Compression::new(LEVEL));
        let mut tar = Builder::new(Tee { hasher: Hasher::default(), inner: gzip });
        for (entry, expected) in &self.entries {
            append(&mut tar, entry, self.mtime, *expected, open)?;
        }
        let Tee { hasher, inner } = tar.into_inner().map_err(LayerError::Write)?;
        inner.finish().and_then(|mut blob| blob.flush()).map_err(LayerError::Write)?;
        let (diff_id, size) = hasher.finish();
        Ok(Uncompressed { diff_id, size })
    }
}

fn sorted(entries: &[Entry]) -> Vec<&Entry> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|left, right| left.path.cmp(&right.path));
    sorted
}

fn append(
    tar: &mut Builder<impl Write>,
    entry: &Entry,
    mtime: u64,
    expected: Option<Digest>,
    open: &Open<'_>,
) -> Result<(), LayerError> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.gid);
    header.set_mtime(mtime);
    header.set_size(0);
    match &entry.kind {
        EntryKind::Directory => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, format!("{}/", entry.path), io::empty()).map_err(LayerError::Write)
        }
        EntryKind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, &entry.path, target).map_err(LayerError::Write)
        }
        EntryKind::File(Contents::Bytes(bytes)) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, &entry.path, bytes.as_ref()).map_err(LayerError::Write)
        }
        EntryKind::File(Contents::Path { path, size }) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(*size);
            let read = |source| LayerError::Read { path: path.clone(), source };
            let mut file = Hashed::new(open(path).map_err(read)?);
            tar.append_data(&mut header, &entry.path, (&mut file).take(*size)).map_err(LayerError::Write)?;
            // A file that grew has more.
            io::copy(&mut file, &mut io::sink()).map_err(read)?;
            let (digest, length) = file.finish();
            if length != *size || Some(digest) != expected {
                return Err(LayerError::Changed { path: path.clone() });
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn file(path: &str, bytes: &'static [u8]) -> Entry {
        Entry {
            path: path.into(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            kind: EntryKind::File(Contents::Bytes(Cow::Borrowed(bytes))),
        }
    }

    fn nothing(_: &Path) -> io::Result<Box<dyn Read>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn no_files(path: &Path) -> Result<Digest, LayerError> {
        Err(LayerError::Read { path: path.to_owned(), source: io::ErrorKind::NotFound.into() })
    }

    fn layer(entries: &[Entry]) -> Vec<u8> {
        let mut blob = Vec::new();
        Recipe::of(entries, 0, &no_files).unwrap().write(&nothing, &mut blob).unwrap();
        blob
    }

    #[test]
    fn the_order_of_entries_makes_no_difference() {
        let forward = layer(&[file("b", b"2"), file("a", b"1")]);
        assert_eq!(forward, layer(&[file("a", b"1"), file("b", b"2")]));
        // ID1 ID2 CM FLG, MTIME 0, XFL, OS 255 (unknown): RFC 1952, 2.3
        assert_eq!(forward[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        assert_eq!(forward[9], 255);
    }

    #[test]
    fn headers_hold_what_was_asked_for_and_nothing_of_this_machine() {
        let long = format!("usr/{}/program", "a-long-folder-name/".repeat(12).trim_end_matches('/'));
        let link = Entry {
            path: "usr/link".into(),
            mode: 0o777,
            uid: 0,
            gid: 0,
            kind: EntryKind::Symlink("../bin/app".into()),
        };
        let folder = Entry { path: "tmp".into(), mode: 0o1777, uid: 0, gid: 0, kind: EntryKind::Directory };
        let blob = layer(&[file(&long, b"x"), link, folder]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(blob.as_slice()));
        let found: Vec<(String, u32, u64, u64, Option<String>)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let link = entry.link_name().unwrap().map(|link| link.display().to_string());
                assert_eq!((header.username().unwrap(), header.groupname().unwrap()), (Some(""), Some("")));
                (
                    entry.path().unwrap().display().to_string(),
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.mtime().unwrap(),
                    link,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("tmp/".into(), 0o1777, 0, 0, None),
                (long, 0o755, 0, 0, None),
                ("usr/link".into(), 0o777, 0, 0, Some("../bin/app".into())),
            ]
        );
    }

    #[test]
    fn a_file_that_changes_on_the_way_is_an_error() {
        let entry = |size| Entry {
            path: "app".into(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            kind: EntryKind::File(Contents::Path { path: "/src/app".into(), size }),
        };
        let look = |_: &Path| Ok(Digest::of(b"12345"));
        for (announced, read, fits) in
            [(5, "12345", true), (4, "12345", false), (6, "12345", false), (5, "54321", false), (5, "123456", false)]
        {
            let open = |_: &Path| -> io::Result<Box<dyn Read>> { Ok(Box::new(read.as_bytes())) };
            let written = Recipe::of(&[entry(announced)], 0, &look).unwrap().write(&open, io::sink());
            match written {
                Ok(_) => assert!(fits, "{announced} {read}"),
                Err(error) => {
                    assert!(!fits, "{announced} {read}: {error}");
                    assert_eq!(error.to_string(), "`/src/app` was changed while it was read into a layer");
                    assert_eq!(error.hints(), ["build again once nothing else writes to it: anyarch build"]);
                }
            }
        }
    }

    #[test]
    fn the_key_follows_everything_that_is_in_the_layer() {
        let key = |entries: &[Entry], mtime| *Recipe::of(entries, mtime, &no_files).unwrap().key();
        let keys: std::collections::BTreeSet<Digest> = [
            key(&[file("a", b"1")], 0),
            key(&[file("a", b"1")], 1),
            key(&[file("b", b"1")], 0),
            key(&[file("a", b"2")], 0),
            key(&[Entry { mode: 0o644, ..file("a", b"1") }], 0),
        ]
        .into();
        assert_eq!(keys.len(), 5);
    }
}
