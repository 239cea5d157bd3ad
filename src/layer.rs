//! Entries become a layer: a tar whose every byte is ours to say, compressed and hashed in one pass.
//!
//! The same entries give the same bytes on every machine: entries sorted by path, headers filled here, a fixed gzip
//! header, and one pinned DEFLATE implementation (zlib-rs), which is part of every digest.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use tar::{Builder, EntryType, Header};

use crate::blob::{Digest, Hasher, canonical_json};
use crate::layer_entry::{Contents, Entry, EntryKind};

/// Part of the key under which a finished layer is remembered: raised whenever the same entries would give other bytes.
const FORMAT: &str = "zlib-rs 0.6, level 3, tar 1";

const LEVEL: u32 = 3;

/// A file whose contents are somewhere else; opens them.
pub type Open<'open> = dyn Fn(&Path) -> io::Result<Box<dyn Read>> + 'open;

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
    /// A file that changed its length while it was read.
    #[error("`{path}` changed while it was read into a layer: {announced} bytes were announced, {read} came")]
    Changed {
        /// the file
        path: PathBuf,
        /// its length when it was looked at
        announced: u64,
        /// its length when it was read
        read: u64,
    },
    /// The blob cannot be written.
    #[error("a layer cannot be written")]
    Write(#[source] io::Error),
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

/// Counts what passes, so that a file which grew or shrank is noticed.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

/// Writes `entries` as a gzip-compressed tar to `blob`.
///
/// `mtime` is in seconds since the epoch and stands in every header. Owner and group names are left empty: only
/// numbers are looked at by runtimes. Returns what the config has to say about the layer.
///
/// # Errors
/// When a file cannot be read, changes its length on the way, or the blob cannot be written.
pub fn write(entries: &[Entry], mtime: u64, open: &Open<'_>, blob: impl Write) -> Result<Uncompressed, LayerError> {
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(blob, Compression::new(LEVEL));
    let mut tar = Builder::new(Tee { hasher: Hasher::default(), inner: gzip });
    for entry in sorted(entries) {
        append(&mut tar, entry, mtime, open)?;
    }
    let Tee { hasher, inner } = tar.into_inner().map_err(LayerError::Write)?;
    inner.finish().and_then(|mut blob| blob.flush()).map_err(LayerError::Write)?;
    let (diff_id, size) = hasher.finish();
    Ok(Uncompressed { diff_id, size })
}

fn sorted(entries: &[Entry]) -> Vec<&Entry> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|left, right| left.path.cmp(&right.path));
    sorted
}

fn append(tar: &mut Builder<impl Write>, entry: &Entry, mtime: u64, open: &Open<'_>) -> Result<(), LayerError> {
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
            append_file(tar, &mut header, &entry.path, path, *size, open)
        }
    }
}

fn append_file(
    tar: &mut Builder<impl Write>,
    header: &mut Header,
    name: &str,
    path: &Path,
    size: u64,
    open: &Open<'_>,
) -> Result<(), LayerError> {
    let read = |source| LayerError::Read { path: path.to_owned(), source };
    let mut file = Counted { inner: open(path).map_err(read)?, count: 0 };
    // One byte more than announced, so that a file that grew is seen.
    tar.append_data(header, name, (&mut file).take(size)).map_err(LayerError::Write)?;
    let rest = io::copy(&mut file.inner, &mut io::sink()).map_err(read)?;
    if file.count + rest != size {
        return Err(LayerError::Changed { path: path.to_owned(), announced: size, read: file.count + rest });
    }
    Ok(())
}

/// What a layer is made of, in brief: equal keys mean equal layers, so a finished one can be found again.
/// `contents` gives the digest of a file's contents.
///
/// # Errors
/// When a file cannot be read.
pub fn key(
    entries: &[Entry],
    mtime: u64,
    contents: &dyn Fn(&Path) -> io::Result<Digest>,
) -> Result<Digest, LayerError> {
    let mut described = Vec::with_capacity(entries.len());
    for entry in sorted(entries) {
        let what = match &entry.kind {
            EntryKind::Directory => "directory".to_owned(),
            EntryKind::Symlink(target) => format!("symlink {target}"),
            EntryKind::File(Contents::Bytes(bytes)) => Digest::of(bytes).to_string(),
            EntryKind::File(Contents::Path { path, size }) => {
                let digest = contents(path).map_err(|source| LayerError::Read { path: path.clone(), source })?;
                format!("{digest} {size}")
            }
        };
        described.push((&entry.path, entry.mode, entry.uid, entry.gid, what));
    }
    Ok(Digest::of(&canonical_json(&(FORMAT, mtime, described))))
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

    fn layer(entries: &[Entry]) -> Vec<u8> {
        let mut blob = Vec::new();
        write(entries, 0, &nothing, &mut blob).unwrap();
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
        let open = |_: &Path| -> io::Result<Box<dyn Read>> { Ok(Box::new(&b"12345"[..])) };
        for (announced, fits) in [(5, true), (4, false), (6, false)] {
            let written = write(&[entry(announced)], 0, &open, io::sink());
            assert_eq!(written.is_ok(), fits, "{announced}: {written:?}");
        }
    }

    #[test]
    fn the_key_follows_everything_that_is_in_the_layer() {
        let no_files = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let keys: std::collections::BTreeSet<Digest> = [
            key(&[file("a", b"1")], 0, &no_files),
            key(&[file("a", b"1")], 1, &no_files),
            key(&[file("b", b"1")], 0, &no_files),
            key(&[file("a", b"2")], 0, &no_files),
            key(&[Entry { mode: 0o644, ..file("a", b"1") }], 0, &no_files),
        ]
        .into_iter()
        .map(Result::unwrap)
        .collect();
        assert_eq!(keys.len(), 5);
    }
}
