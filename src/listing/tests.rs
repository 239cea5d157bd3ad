//! Tars made by hand, right and wrong, against [`Listing::read`].

use std::io::{Cursor, Read, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::*;
use crate::hint::Hint as _;

fn spool(reader: &mut dyn Read) -> std::io::Result<Box<dyn ReadSeek>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(Box::new(Cursor::new(bytes)))
}

fn list(blob: &[u8]) -> Result<Listing, ListingError> {
    Listing::read(blob, &Limits::of(blob.len() as u64), &spool)
}

/// A member with a header of GNU's.
fn member(kind: EntryType, path: &str, link: &str, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(7);
    header.set_gid(8);
    header.set_size(data.len() as u64);
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(path: &str, data: &[u8]) -> Vec<u8> {
    member(EntryType::Regular, path, "", data)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let records = records.iter().map(|(key, value)| {
        let rest = format!(" {key}={value}\n");
        let length = (1..5).find(|digits| format!("{}", rest.len() + digits).len() == *digits).unwrap() + rest.len();
        format!("{length}{rest}")
    });
    member(EntryType::XHeader, "pax", "", records.collect::<String>().as_bytes())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Entries as `LETTER PATH ...`.
fn lines(listing: &Listing) -> Vec<String> {
    let line = |entry: Listed<'_>| match entry.kind {
        Kind::Folder => format!("d {}", entry.path()),
        Kind::File(file) => format!("f {} {}", entry.path(), file.size),
        Kind::Symlink(target) => format!("l {} {target}", entry.path()),
        Kind::HardLink(target) => format!("h {} {target}", entry.path()),
        Kind::Other => format!("o {}", entry.path()),
        Kind::Whiteout => format!("w {}", entry.path()),
        Kind::Opaque => format!("q {}", entry.path()),
    };
    listing.entries().map(line).collect()
}

#[test]
fn every_kind_of_member_is_an_entry() {
    let long = "long/".repeat(60) + "name";
    let tar = [
        member(EntryType::Directory, "./", "", b""),
        member(EntryType::Directory, "./etc/", "", b""),
        file("./etc/passwd", b"root:x:0:0\n"),
        file("/usr//bin/./x/../y", b"#!/bin/sh -e\r\nexit\n"),
        member(EntryType::Symlink, "lib", "usr/lib", b""),
        member(EntryType::Link, "other", "./etc/passwd", b""),
        member(EntryType::Char, "dev/null", "", b""),
        file("etc/.wh.shadow", b""),
        file("opt/.wh..wh..opq", b""),
        file(".wh..wh.plnk", b""),
        file(".wh.root", b""),
        member(EntryType::GNULongName, "././@LongLink", "", format!("{long}\0").as_bytes()),
        file("cut", b"12345"),
        pax(&[("path", "from/pax"), ("uid", "3000000000"), ("SCHILY.xattr.user.x", "y"), ("size", "3")]),
        file("short", b"abc"),
        member(EntryType::XGlobalHeader, "global", "", b"13 path=wrong\n"),
        pax(&[("GNU.sparse.name", "sparse/file"), ("GNU.sparse.major", "1")]),
        file("GNUSparseFile.0/file", b"\x7fELF"),
        member(EntryType::Regular, "old/", "", b""),
    ]
    .concat();
    for blob in [tar.clone(), gzip(&tar), zstd(&tar), [gzip(&tar[..700]), gzip(&tar[700..])].concat()] {
        let listing = list(&blob).unwrap();
        assert_eq!(
            lines(&listing),
            [
                "d ".to_owned(),
                "d etc".into(),
                "f etc/passwd 11".into(),
                "f usr/bin/y 19".into(),
                "l lib usr/lib".into(),
                "h other etc/passwd".into(),
                "o dev/null".into(),
                "w etc/shadow".into(),
                "q opt".into(),
                "w root".into(),
                format!("f {long} 5"),
                "f from/pax 3".into(),
                "f sparse/file 4".into(),
                "d old".into(),
            ]
        );
        let entries: Vec<Listed<'_>> = listing.entries().collect();
        assert_eq!((entries[2].uid, entries[2].gid, entries[2].mode), (7, 8, 0o644));
        assert_eq!(entries[11].uid, 3_000_000_000);
        let contents = |index: usize| match entries[index].kind {
            Kind::File(file) => file.contents.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(contents(2), Contents::Kept(b"root:x:0:0\n".to_vec()));
        assert_eq!(contents(3), Contents::Script("/bin/sh -e\r".to_owned()));
        assert_eq!(contents(10), Contents::Unread);
        assert!(matches!(contents(12), Contents::NotRead(_)));
        let json = serde_json::to_vec(&listing).unwrap();
        assert_eq!(serde_json::from_slice::<Listing>(&json).unwrap(), listing);
    }
}

/// What the fuzz target begins with, byte for byte as it is built here.
#[test]
fn seeds_of_the_fuzz_target_are_up_to_date() {
    use base64::Engine as _;
    let tar = [
        member(EntryType::Directory, "lib/", "", b""),
        file("lib/ld.so", include_bytes!("../../fuzz/seeds/elf/amd64")),
        file("a", include_bytes!("../../fuzz/seeds/elf/amd64")),
        member(EntryType::Symlink, "b", "../lib/./ld.so", b""),
        member(EntryType::Link, "c", "a", b""),
        pax(&[("path", "etc/passwd"), ("uid", "3000000000")]),
        file("short", b"a:x:7:8::/:\n"),
        file("etc/.wh.group", b""),
        file("d/.wh..wh..opq", b""),
        member(EntryType::GNULongName, "././@LongLink", "", b"bin/run\0"),
        file("cut", b"#!/bin/env a\n"),
        file("etc/ld.so.cache", b"glibc-ld.so.cache1.1\x01\0\0\0"),
    ]
    .concat();
    let packed = base64::engine::general_purpose::STANDARD.encode(&tar);
    let committed = include_bytes!("../../fuzz/seeds/layer/tar");
    assert!(tar == committed, "hint: echo {packed} | base64 -d > fuzz/seeds/layer/tar");
    // Compressors write other bytes from version to version.
    let seeds: [(&str, Vec<u8>, &[u8]); 2] = [
        ("gzip", gzip(&tar), include_bytes!("../../fuzz/seeds/layer/gzip")),
        ("zstd", zstd(&tar), include_bytes!("../../fuzz/seeds/layer/zstd")),
    ];
    for (name, built, committed) in seeds {
        let packed = base64::engine::general_purpose::STANDARD.encode(&built);
        let is_current = list(committed).is_ok_and(|listing| listing == list(&tar).unwrap());
        assert!(is_current, "hint: echo {packed} | base64 -d > fuzz/seeds/layer/{name}");
    }
}

#[test]
fn frames_without_data_are_passed_over() {
    let tar = file("a", b"1");
    let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
    for blob in [
        [skipped.clone(), zstd(&tar)].concat(),
        [zstd(&tar[..512]), skipped.clone(), zstd(&tar[512..]), skipped].concat(),
    ] {
        assert_eq!(lines(&list(&blob).unwrap()), ["f a 1"]);
    }
}

#[test]
fn what_lies_is_refused_with_a_reason() {
    let mut wrong_sum = file("a", b"");
    wrong_sum[0] = b'b';
    let mut huge = Header::new_gnu();
    huge.set_entry_type(EntryType::GNULongName);
    huge.set_size(1 << 40);
    huge.set_cksum();
    let mut sparse = Header::new_gnu();
    sparse.set_entry_type(EntryType::GNUSparse);
    sparse.set_size(0);
    sparse.as_gnu_mut().unwrap().set_is_extended(true);
    sparse.set_cksum();
    let long = pax(&[("path", &"x".repeat(5000))]);
    for (blob, words) in [
        (b"not a layer at all".to_vec(), "is neither a tar nor a tar in gzip or zstd"),
        (wrong_sum, "is damaged: the checksum of a header is wrong"),
        (file("../etc/passwd", b""), "holds the path `../etc/passwd`, which leads out of the image"),
        (file("a/../../b", b""), "holds the path `a/../../b`, which leads out of the image"),
        (member(EntryType::Link, "a", "/../b", b""), "holds the path `/../b`, which leads out of the image"),
        (huge.as_bytes().to_vec(), "has a name or attributes of 1099511627776 bytes, more than anyarch reads"),
        (sparse.as_bytes().to_vec(), "is damaged: it ends too early"),
        ([long, file("a", b"")].concat(), "has a path of 5000 bytes, more than anyarch reads"),
        (
            [member(EntryType::XHeader, "p", "", b"999 path=x\n"), file("a", b"")].concat(),
            "is damaged: a record of extended attributes cannot be read",
        ),
    ] {
        let error = list(&blob).unwrap_err();
        assert_eq!(error.to_string(), words);
        let _ = error.hints();
    }
}

#[test]
fn bombs_end_early() {
    let zeros = [file("zeros", &vec![0; 8 << 20]), file("passwd", b"x")].concat();
    let limits = Limits { stream: 1 << 20, ..Limits::of(0) };
    for bomb in [gzip(&zeros), zstd(&zeros)] {
        assert!(bomb.len() < 1 << 17, "{}", bomb.len());
        let error = Listing::read(&*bomb, &limits, &spool).unwrap_err();
        assert_eq!(error.to_string(), "has a tar that is too large for what it is packed in, more than anyarch reads");
    }
    // A frame that says it needs 3.75 TiB to look back into.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x03, 0x00, 0x10, 0x00];
    assert_eq!(list(&window).unwrap_err().to_string(), "cannot be read");
    let many: Vec<u8> = (0..20).flat_map(|number| file(&format!("file{number}"), b"")).collect();
    let limits = Limits { entries: 19, ..Limits::of(0) };
    let error = Listing::read(&*many, &limits, &spool).unwrap_err();
    assert_eq!(error.to_string(), "has more than 19 entries, more than anyarch reads");
    let limits = Limits { paths: 40, ..Limits::of(0) };
    let error = Listing::read(&*many, &limits, &spool).unwrap_err();
    assert_eq!(error.to_string(), "has paths of more than 40 bytes, more than anyarch reads");
    // A binary's names may share their text, and are counted one by one.
    let program = file("a", include_bytes!("../../fuzz/seeds/elf/amd64"));
    assert!(Listing::read(&*program, &Limits { paths: 400, ..Limits::of(0) }, &spool).is_ok());
    let error = Listing::read(&*program, &Limits { paths: 40, ..Limits::of(0) }, &spool).unwrap_err();
    assert_eq!(error.to_string(), "has paths of more than 40 bytes, more than anyarch reads");
    // What may not be kept is not kept, and the rest is there.
    let limits = Limits { kept: 0, ..Limits::of(0) };
    let listing = Listing::read(&*file("passwd", b"root"), &limits, &spool).unwrap();
    let kinds: Vec<&Kind> = listing.entries().map(|entry| entry.kind).collect();
    assert!(matches!(kinds[0], Kind::File(File { size: 4, contents: Contents::Unread })));
}

#[test]
fn no_damage_makes_it_panic() {
    let tar = [
        pax(&[("path", "a/b"), ("size", "4")]),
        file("x", b"\x7fELF"),
        member(EntryType::GNULongName, "l", "", b"long\0"),
        file("y", b"#!/bin/sh"),
        member(EntryType::Link, "h", "a/b", b""),
        file("d/.wh.x", b""),
    ]
    .concat();
    for length in 0..tar.len() {
        let _ = list(&tar[..length]);
    }
    for position in 0..tar.len() {
        for value in [0, b'7', b' ', 0xff] {
            let mut damaged = tar.clone();
            damaged[position] = value;
            let _ = list(&damaged);
        }
    }
    for packed in [gzip(&tar), zstd(&tar)] {
        for position in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[position] ^= 0x55;
            let _ = list(&damaged);
            let _ = list(&packed[..position]);
        }
    }
}

/// A layer of ours is listed from its files, as it would be from itself.
#[test]
fn what_goes_into_a_layer_is_listed_as_what_is_in_it() {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use crate::layer::Recipe;
    use crate::layer_entry::{self, EntryKind};

    // ELF64, little endian, EXEC for x86-64, with one segment of a page that is loaded: itself.
    let mut program = vec![0; 4096];
    for (at, bytes) in [
        (0, b"\x7fELF\x02\x01\x01".as_slice()),
        (16, &[2, 0, 62, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0, 64]),
        (52, &[64, 0, 56, 0, 1, 0, 64]),
        (64, &[1, 0, 0, 0, 5]),
        (80, &[0, 0, 0x40]),
        (96, &[0, 0x10]),
        (104, &[0, 0x10]),
    ] {
        program[at..at + bytes.len()].copy_from_slice(bytes);
    }
    let files: BTreeMap<&Path, Vec<u8>> = [
        ("/in/program", program),
        ("/in/script", b"#!/bin/sh -e\necho\n".to_vec()),
        ("/in/text", b"hello".to_vec()),
        ("/in/cut", b"\x7fELF\x02\x01".to_vec()),
    ]
    .map(|(path, bytes)| (Path::new(path), bytes))
    .into();
    let file = |path: &str, mode: u32, from: &str| {
        let size = files[Path::new(from)].len() as u64;
        let kind = EntryKind::File(layer_entry::Contents::Path { path: PathBuf::from(from), size });
        layer_entry::Entry { path: path.to_owned(), mode, uid: 1, gid: 2, kind }
    };
    let other = |path: &str, kind: EntryKind| {
        let (path, mode) = (path.to_owned(), if matches!(kind, EntryKind::Symlink(_)) { 0o777 } else { 0o755 });
        layer_entry::Entry { path, mode, uid: 0, gid: 0, kind }
    };
    let passwd = b"root:x:0:0::/:\n".to_vec();
    let entries = [
        other("etc", EntryKind::Directory),
        other("etc/passwd", EntryKind::File(layer_entry::Contents::Bytes(passwd.into()))),
        other("link", EntryKind::Symlink("etc".to_owned())),
        file("program", 0o755, "/in/program"),
        file("script", 0o755, "/in/script"),
        file("text", 0o644, "/in/text"),
        file("text.sh", 0o755, "/in/text"),
        file("cut", 0o755, "/in/cut"),
    ];
    let recipe = Recipe::of(&entries, 0, &|path| Ok(crate::blob::Digest::of(&files[path]))).unwrap();
    let mut layer = Vec::new();
    recipe.write(&|path| Ok(Box::new(std::io::Cursor::new(files[path].clone()))), &mut layer).unwrap();
    let limits = Limits::of(layer.len() as u64);
    let read = Listing::read(layer.as_slice(), &limits, &spool).unwrap();
    let open = |path: &Path| -> std::io::Result<Box<dyn ReadSeek>> { Ok(Box::new(Cursor::new(files[path].clone()))) };
    let made = Listing::of_entries(&entries, &limits, &open).unwrap();
    let by_path = |listing: &Listing| {
        let entries =
            listing.entries().map(|entry| (entry.path(), (entry.mode, entry.uid, entry.gid, entry.kind.clone())));
        entries.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(by_path(&made), by_path(&read));
    let kinds = |kind: fn(&Contents) -> bool| {
        let files = made.entries().filter_map(|entry| match entry.kind {
            Kind::File(file) => Some(&file.contents),
            _ => None,
        });
        files.filter(|contents| kind(contents)).count()
    };
    assert_eq!(kinds(|contents| matches!(contents, Contents::Elf(_))), 1);
    assert_eq!(kinds(|contents| matches!(contents, Contents::Script(_) | Contents::Kept(_))), 2);
    assert_eq!(kinds(|contents| matches!(contents, Contents::NotStartable(_) | Contents::Unreadable(_))), 2);
    let short = |_: &Path| -> std::io::Result<Box<dyn ReadSeek>> { Ok(Box::new(Cursor::new(Vec::new()))) };
    let error = Listing::of_entries(&entries, &limits, &short).unwrap_err();
    assert_eq!(error.to_string(), "is damaged: it ends within a file");
}
