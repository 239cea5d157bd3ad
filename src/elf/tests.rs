//! ELF files made byte by byte, against [`ElfFacts::read`].

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use super::*;
use crate::hint::Hint as _;

mod builder;
mod fits;

use builder::Builder;

const EVERY: &[&str] = &[
    "linux/amd64",
    "linux/386",
    "linux/arm64",
    "linux/arm/v7",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
    "linux/loong64",
    "linux/ppc64",
    "linux/mips",
    "linux/mipsle",
    "linux/mips64",
    "linux/mips64le",
];

/// A dynamic binary with all that there is to find.
fn rich(platform: &str) -> Builder {
    Builder::of(platform)
        .with(|elf| {
            elf.file_type = 3;
            elf.interpreter = Some("/lib/ld.so");
            elf.strings = vec![(1, "libm.so.6"), (1, "libc.so.6"), (14, "self.so"), (29, "$ORIGIN/../lib")];
            elf.flags_1 = Some(0x0800_0000);
            elf.versions = vec![
                ("libm.so.6", vec!["GLIBC_2.29"]),
                ("libc.so.6", vec!["GLIBC_2.4", "GLIBC_2.34", "GLIBC_PRIVATE"]),
            ];
        })
        .go("GOOS=linux CGO_ENABLED=1 -x=123456789012345678901234567890123456789012345678901234567890123456789012345")
}

/// What the fuzz target begins with, byte for byte as it is built here.
#[test]
fn seeds_of_the_fuzz_target_are_up_to_date() {
    use base64::Engine as _;
    let seeds: [(&str, Builder, &[u8]); 4] = [
        ("amd64", rich("linux/amd64"), include_bytes!("../../fuzz/seeds/elf/amd64")),
        ("arm", rich("linux/arm/v7").arm(10, 1), include_bytes!("../../fuzz/seeds/elf/arm")),
        ("s390x", rich("linux/s390x"), include_bytes!("../../fuzz/seeds/elf/s390x")),
        ("mips", rich("linux/mips"), include_bytes!("../../fuzz/seeds/elf/mips")),
    ];
    for (name, builder, committed) in seeds {
        let built = builder.build();
        let packed = base64::engine::general_purpose::STANDARD.encode(&built);
        assert!(built == committed, "hint: echo {packed} | base64 -d > fuzz/seeds/elf/{name}");
    }
}

#[test]
fn every_fact_is_read_in_every_class_and_byte_order() {
    for platform in EVERY {
        let facts = rich(platform).facts();
        assert_eq!(facts.linkage, Linkage::Dynamic, "{platform}");
        assert_eq!(facts.interpreter.as_deref(), Some("/lib/ld.so"));
        assert_eq!(facts.needed, ["libm.so.6", "libc.so.6"]);
        assert_eq!(facts.soname.as_deref(), Some("self.so"));
        assert_eq!(facts.runpath.as_deref(), Some("$ORIGIN/../lib"));
        let versions: Vec<_> =
            facts.versions.iter().map(|version| format!("{} {}", version.library, version.version)).collect();
        assert_eq!(
            versions,
            ["libm.so.6 GLIBC_2.29", "libc.so.6 GLIBC_2.4", "libc.so.6 GLIBC_2.34", "libc.so.6 GLIBC_PRIVATE"]
        );
        assert_eq!(facts.highest_version("GLIBC_"), Some("GLIBC_2.34"), "by number, not by letter");
        assert_eq!(facts.highest_version("GLIBCXX_"), None);
        let go = facts.go.as_ref().unwrap();
        assert_eq!(go.version.as_deref(), Some("go1.26.1"));
        assert_eq!(go.setting("CGO_ENABLED"), Some("1"));
        assert!(!facts.is_static());
        assert_eq!(check(&facts, platform.parse().unwrap()), Ok(()));
    }
}

#[test]
fn folders_for_libraries_and_what_the_linker_asked_of_the_loader_are_read() {
    for platform in EVERY {
        let facts = rich(platform)
            .with(|elf| {
                elf.strings.push((15, "/opt/lib:$ORIGIN"));
                elf.flags_1 = Some(0x0800_0801);
            })
            .facts();
        assert_eq!(facts.rpath.as_deref(), Some("/opt/lib:$ORIGIN"), "{platform}");
        assert!(facts.without_default_folders && facts.binds_now, "{platform}");
        let plain = rich(platform).facts();
        assert!(!plain.without_default_folders && !plain.binds_now && plain.rpath.is_none(), "{platform}");
    }
}

#[test]
fn without_section_headers_go_is_still_found_in_the_data() {
    let elf = Builder::of("linux/arm").go("GOARM=7").with(|elf| elf.sections = false);
    assert_eq!(elf.facts().go.unwrap().setting("GOARM"), Some("7"));
    assert!(elf.check("linux/arm/v6").is_err());
}

#[test]
fn damage_is_an_error_that_says_where() {
    let whole = rich("linux/amd64").build();
    let changed = |position: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[position..position + bytes.len()].copy_from_slice(bytes);
        file
    };
    for (file, words) in [
        (whole[..4].to_vec(), "is a damaged ELF file: its class is neither 32-bit nor 64-bit"),
        (whole[..60].to_vec(), "is a damaged ELF file: it ends within its header"),
        (whole[..100].to_vec(), "is a damaged ELF file: its program headers lie beyond its end or are too many"),
        (whole[..whole.len() - 1].to_vec(), "is a damaged ELF file: it ends before its last segment does"),
        (changed(5, &[3]), "is a damaged ELF file: its header has an unknown byte order or version"),
        (changed(56, &[0, 0]), "is a damaged ELF file: it has no program headers, so there is nothing to load"),
        (changed(56, &[0xff, 0xff]), "is a damaged ELF file: its program headers lie beyond its end or are too many"),
        (changed(40, &[0xff; 8]), "is a damaged ELF file: it ends before its section headers, or they are too many"),
    ] {
        let error = ElfFacts::read(Cursor::new(file)).unwrap_err();
        assert_eq!(error.to_string(), words);
        assert!(!error.hints().is_empty());
    }
    let error = ElfFacts::read(Cursor::new(b"#!/bin/sh\n")).unwrap_err();
    assert_eq!(error.to_string(), "is a script for `/bin/sh`, not an ELF binary");
}

/// Every prefix, every flipped bit, and bytes of all ones over every place where a size or an offset may be.
#[test]
fn no_damage_makes_it_panic_or_allocate_much() {
    for platform in ["linux/amd64", "linux/arm", "linux/mips"] {
        let whole = rich(platform).arm(10, 1).build();
        for length in 0..whole.len() {
            let _ = ElfFacts::read(Cursor::new(&whole[..length])).map(|facts| check(&facts, platform.parse().unwrap()));
        }
        for position in 0..whole.len() {
            for change in (0..8).map(|bit| 1 << bit).chain([0xff]) {
                let mut file = whole.clone();
                let end = (position + if change == 0xff { 8 } else { 1 }).min(file.len());
                file[position..end].iter_mut().for_each(|byte| *byte ^= change);
                if let Ok(facts) = ElfFacts::read(Cursor::new(file)) {
                    for platform in EVERY {
                        let _ = check(&facts, platform.parse().unwrap()).map_err(|mismatch| mismatch.hints());
                    }
                }
            }
        }
    }
}

/// A file of 2 GB that exists only as its beginning; what is behind is zeros.
struct Large {
    beginning: Vec<u8>,
    position: u64,
    read: u64,
}

const LARGE: u64 = 2 << 30;

impl Read for Large {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(LARGE.saturating_sub(self.position)).unwrap();
        let size = buffer.len().min(left);
        for (byte, position) in buffer[..size].iter_mut().zip(self.position..) {
            *byte = usize::try_from(position).ok().and_then(|at| self.beginning.get(at)).copied().unwrap_or(0);
        }
        self.position += size as u64;
        self.read += size as u64;
        Ok(size)
    }
}

impl Seek for Large {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(0) => LARGE,
            _ => return Err(io::Error::from(io::ErrorKind::Unsupported)),
        };
        Ok(self.position)
    }
}

#[test]
fn of_a_binary_of_2_gb_only_some_kilobytes_are_read_whatever_its_headers_claim() {
    let whole = rich("linux/amd64").build();
    let mut large = Large { beginning: whole.clone(), position: 0, read: 0 };
    assert_eq!(ElfFacts::read(&mut large).unwrap(), rich("linux/amd64").facts());
    assert!(large.read < 1 << 20, "{} bytes were read", large.read);
    for position in (0..whole.len() - 8).step_by(4) {
        let mut beginning = whole.clone();
        beginning[position..position + 8].copy_from_slice(&0x4000_0000_u64.to_le_bytes());
        let mut large = Large { beginning, position: 0, read: 0 };
        let _ = ElfFacts::read(&mut large);
        assert!(large.read < 32 << 20, "{} bytes were read with a lie at {position}", large.read);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_called_damaged() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(4096)
        }
    }
    let error = ElfFacts::read(Broken).unwrap_err();
    assert_eq!(error.to_string(), "cannot be read");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is gone");
}

#[test]
fn names_of_symbols_that_begin_within_each_other_are_bounded() {
    // A library of `count` symbols, all of which have the same long name.
    let library = |count: u32| {
        let number = |value: u64| value.to_le_bytes();
        let (dynamic, hash, strings, symbols) = (176, 272, 288, 1296);
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([3, 0, 62, 0, 1, 0, 0, 0]);
        bytes.extend([number(0), number(64), number(0)].concat());
        bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        let end = u64::from(count) * 24 + symbols;
        for (kind, start, size) in [(1, 0, end), (2, dynamic, 96)] {
            bytes.extend([kind, 0, 0, 0, 6, 0, 0, 0]);
            bytes.extend([number(start), number(start), number(start), number(size), number(size), number(8)].concat());
        }
        for (tag, value) in [(5, strings), (10, 1002), (6, symbols), (4, hash), (0, 0), (0, 0)] {
            bytes.extend([number(tag), number(value)].concat());
        }
        bytes.extend([&1_u32.to_le_bytes()[..], &count.to_le_bytes(), &[0; 8]].concat());
        bytes.extend([&[0][..], &[b'a'; 1000], &[0; 7]].concat());
        let symbol = [&1_u32.to_le_bytes()[..], &[0x12, 0, 1, 0], &[0; 16]].concat();
        bytes.extend(symbol.repeat(count as usize));
        Cursor::new(bytes)
    };
    assert_eq!(Symbols::read(library(1000)).unwrap().defined.len(), 1);
    let error = Symbols::read(library(70_000)).unwrap_err();
    assert!(
        error.to_string().ends_with("the names of its dynamic symbols are longer than those of any library"),
        "{error}"
    );
}
