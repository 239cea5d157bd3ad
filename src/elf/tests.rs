//! ELF files made byte by byte, against [`ElfFacts::read`] and [`check`].

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use super::*;
use crate::hint::Hint as _;
use crate::platform::Platform;

const BASE: u64 = 0x1_0000;

/// A small ELF file: one loadable segment that holds everything, and what a test adds to it.
#[derive(Clone)]
struct Builder {
    class: Class,
    byte_order: ByteOrder,
    machine: u16,
    os_abi: u8,
    file_type: u16,
    flags: u32,
    entry: u64,
    interpreter: Option<&'static str>,
    /// tag and string
    strings: Vec<(u64, &'static str)>,
    /// `DT_FLAGS_1`
    flags_1: Option<u64>,
    versions: Vec<(&'static str, Vec<&'static str>)>,
    arm_attributes: Option<Vec<u8>>,
    go: Option<(&'static str, String)>,
    sections: bool,
}

impl Builder {
    /// A static executable as the table of machines describes it.
    fn of(platform: &str) -> Self {
        let platform: Platform = platform.parse().unwrap();
        let row = machines::machine(platform.architecture());
        Self {
            class: row.class,
            byte_order: row.byte_order,
            machine: row.machine,
            os_abi: 0,
            file_type: 2,
            flags: row.flags.iter().map(|rule| *rule.allowed.last().unwrap()).fold(0, |all, flags| all | flags),
            entry: BASE,
            interpreter: None,
            strings: Vec::new(),
            flags_1: None,
            versions: Vec::new(),
            arm_attributes: None,
            go: None,
            sections: true,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn go(self, settings: &str) -> Self {
        let lines: String = settings.split_whitespace().map(|setting| format!("build\t{setting}\n")).collect();
        self.with(|elf| elf.go = Some(("go1.26.1", format!("0123456789abcdefpath\tx\n{lines}fedcba9876543210"))))
    }

    fn arm(self, cpu_arch: u8, vfp_args: u8) -> Self {
        let tags = [6, cpu_arch, 28, vfp_args];
        let file = [&[1][..], &9_u32.to_le_bytes(), &tags].concat();
        let all = [&[b'A'][..], &19_u32.to_le_bytes(), b"aeabi\0", &file].concat();
        self.with(|elf| elf.arm_attributes = Some(all))
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        match self.byte_order {
            ByteOrder::Little => value.to_le_bytes()[..size].to_vec(),
            ByteOrder::Big => value.to_be_bytes()[8 - size..].to_vec(),
        }
    }

    /// Fields as (value, size); size 0 is the class's word.
    fn structure(&self, fields: &[(u64, usize)]) -> Vec<u8> {
        let word = if self.class == Class::Bits64 { 8 } else { 4 };
        fields.iter().flat_map(|(value, size)| self.number(*value, if *size == 0 { word } else { *size })).collect()
    }

    fn build(&self) -> Vec<u8> {
        let wide = self.class == Class::Bits64;
        let (header_size, each_segment, each_section) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let mut contents = Contents { bytes: vec![0; header_size + 3 * each_segment] };
        let mut segments = Vec::new();
        if let Some(interpreter) = self.interpreter {
            segments.push((3, 4, contents.add([interpreter.as_bytes(), b"\0"].concat())));
        }
        if let Some(dynamic) = self.dynamic(&mut contents) {
            segments.push((2, 6, dynamic));
        }
        let mut sections = vec![(0, 0, (0, 0))];
        let names = b"\0.ARM.attributes\0.go.buildinfo\0.shstrtab\0";
        if let Some(attributes) = &self.arm_attributes {
            sections.push((1, 0x7000_0003, contents.add(attributes.clone())));
        }
        if let Some((version, text)) = &self.go {
            sections.push((17, 1, contents.add(go_build_bytes(version, text))));
        }
        sections.push((31, 3, contents.add(names.to_vec())));
        let section_offset = contents.add(Vec::new()).0;
        for (name, kind, (offset, size)) in &sections {
            let words = [(0, 0), (BASE + offset, 0), (*offset, 0), (*size, 0)];
            let tail = [(0, 4), (0, 4), (1, 0), (0, 0)];
            contents.bytes.extend(self.structure(&[&[(*name, 4), (*kind, 4)][..], &words, &tail].concat()));
        }
        segments.push((1, 6, (0, contents.bytes.len() as u64)));
        let segment_bytes: Vec<u8> = segments.iter().flat_map(|segment| self.segment(*segment)).collect();
        contents.bytes[header_size..header_size + segment_bytes.len()].copy_from_slice(&segment_bytes);
        let (section_offset, section_count) =
            if self.sections { (section_offset, sections.len() as u64) } else { (0, 0) };
        let class = if wide { 2 } else { 1 };
        let order = if self.byte_order == ByteOrder::Little { 1 } else { 2 };
        let ident = [0x7f, b'E', b'L', b'F', class, order, 1, self.os_abi, 0, 0, 0, 0, 0, 0, 0, 0];
        let header = self.structure(&[
            (self.file_type.into(), 2),
            (self.machine.into(), 2),
            (1, 4),
            (self.entry, 0),
            (header_size as u64, 0),
            (section_offset, 0),
            (self.flags.into(), 4),
            (header_size as u64, 2),
            (each_segment as u64, 2),
            (segments.len() as u64, 2),
            (each_section, 2),
            (section_count, 2),
            (section_count.saturating_sub(1), 2),
        ]);
        contents.bytes[..16].copy_from_slice(&ident);
        contents.bytes[16..header_size].copy_from_slice(&header);
        contents.bytes
    }

    fn segment(&self, (kind, flags, (offset, size)): (u64, u64, (u64, u64))) -> Vec<u8> {
        let words = [(offset, 0), (BASE + offset, 0), (BASE + offset, 0), (size, 0), (size, 0)];
        match self.class {
            Class::Bits64 => self.structure(&[&[(kind, 4), (flags, 4)][..], &words, &[(16, 0)]].concat()),
            Class::Bits32 => self.structure(&[&[(kind, 4)][..], &words, &[(flags, 4), (16, 0)]].concat()),
        }
    }

    fn dynamic(&self, contents: &mut Contents) -> Option<(u64, u64)> {
        if self.strings.is_empty() && self.flags_1.is_none() && self.versions.is_empty() {
            return None;
        }
        let mut strings = vec![0];
        let mut string = |text: &str| {
            let start = strings.len() as u64;
            strings.extend(text.bytes().chain([0]));
            start
        };
        let mut entries: Vec<(u64, u64)> = self.strings.iter().map(|(tag, text)| (*tag, string(text))).collect();
        let mut table = Vec::new();
        for (index, (library, versions)) in self.versions.iter().enumerate() {
            let size = 16 * (1 + versions.len() as u64);
            let next = if index + 1 == self.versions.len() { 0 } else { size };
            let library = (1, 2, versions.len() as u64, string(library), next);
            table.extend(self.structure(&[(library.0, 2), (library.2, 2), (library.3, 4), (16, 4), (library.4, 4)]));
            for version in versions {
                table.extend(self.structure(&[(0, 4), (0, 2), (2, 2), (string(version), 4), (16, 4)]));
            }
        }
        if !table.is_empty() {
            entries.push((0x6fff_fffe, BASE + contents.add(table).0));
        }
        entries.push((5, BASE + contents.add(strings).0));
        entries.extend(self.flags_1.map(|flags| (0x6fff_fffb, flags)));
        entries.push((0, 0));
        let bytes = entries.iter().flat_map(|(tag, value)| self.structure(&[(*tag, 0), (*value, 0)])).collect();
        Some(contents.add(bytes))
    }

    fn facts(&self) -> ElfFacts {
        ElfFacts::read(Cursor::new(self.build())).unwrap()
    }

    fn check(&self, platform: &str) -> Result<(), Mismatch> {
        check(&self.facts(), platform.parse().unwrap())
    }
}

struct Contents {
    bytes: Vec<u8>,
}

impl Contents {
    /// Adds bytes at a multiple of 16; their offset and size.
    fn add(&mut self, bytes: Vec<u8>) -> (u64, u64) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let offset = self.bytes.len() as u64;
        self.bytes.extend(&bytes);
        (offset, bytes.len() as u64)
    }
}

fn go_build_bytes(version: &str, text: &str) -> Vec<u8> {
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    for string in [version, text] {
        let mut length = string.len();
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend(string.bytes());
    }
    bytes
}

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
        .go(&"GOOS=linux CGO_ENABLED=1 -x=123456789012345678901234567890123456789012345678901234567890123456789012345")
}

#[test]
fn every_fact_is_read_in_every_class_and_byte_order() {
    for platform in EVERY {
        let facts = rich(platform).facts();
        assert_eq!(facts.linkage, Linkage::Dynamic, "{platform}");
        assert_eq!(facts.interpreter.as_deref(), Some("/lib/ld.so"));
        assert_eq!(facts.needed, ["libm.so.6", "libc.so.6"]);
        assert_eq!(facts.soname.as_deref(), Some("self.so"));
        assert_eq!(facts.search_path.as_deref(), Some("$ORIGIN/../lib"));
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
fn a_binary_fits_its_own_architecture_and_no_other() {
    for built in EVERY {
        let elf = Builder::of(built);
        for platform in EVERY {
            let result = elf.check(platform);
            assert_eq!(result.is_ok(), built == platform, "{built} on {platform}: {result:?}");
        }
    }
}

#[test]
fn what_is_not_startable_is_said() {
    let elf = Builder::of("linux/amd64");
    let library = elf.clone().with(|elf| {
        elf.file_type = 3;
        elf.strings = vec![(1, "libc.so.6")];
    });
    for (elf, linkage, words) in [
        (elf.clone(), Linkage::Static, None),
        (elf.clone().with(|elf| elf.file_type = 3), Linkage::StaticPie, None),
        (library.clone().with(|elf| elf.interpreter = Some("/lib/ld.so")), Linkage::Dynamic, None),
        (
            elf.clone().with(|elf| {
                elf.file_type = 3;
                elf.flags_1 = Some(0x0800_0001);
            }),
            Linkage::StaticPie,
            None,
        ),
        (library.clone(), Linkage::SharedLibrary, Some("is a shared library, which nothing starts")),
        (
            library.with(|elf| elf.flags_1 = Some(0x0800_0000)),
            Linkage::StaticPie,
            Some("is a program that needs shared libraries and names no loader to bring them"),
        ),
        (
            elf.clone().with(|elf| elf.entry = 0),
            Linkage::Static,
            Some("is a program without an entry point, which crashes as it starts"),
        ),
        (
            elf.clone().with(|elf| elf.file_type = 1),
            Linkage::ObjectFile,
            Some("is an object file, which is not linked yet"),
        ),
        (elf.clone().with(|elf| elf.file_type = 4), Linkage::CoreDump, Some("is a core dump, not a program")),
        (
            elf.with(|elf| elf.file_type = 0xfe00),
            Linkage::Other(0xfe00),
            Some("is an ELF file of a type that Linux does not start"),
        ),
    ] {
        assert_eq!(elf.facts().linkage, linkage);
        assert_eq!(elf.check("linux/amd64").err().map(|error| error.to_string()).as_deref(), words);
    }
}

#[test]
fn mismatches_have_the_words_of_a_colleague() {
    let amd64 = Builder::of("linux/amd64");
    let flags = |platform: &str, flags: u32| Builder::of(platform).with(|elf| elf.flags = flags);
    for (elf, platform, words, hint) in [
        (
            amd64.clone(),
            "linux/arm64",
            "is an x86-64 binary, linux/arm64 needs AArch64",
            Some("publish it as what it is: --platform linux/amd64"),
        ),
        (
            Builder::of("linux/s390x"),
            "linux/386",
            "is an s390x binary, linux/386 needs 32-bit x86",
            Some("publish it as what it is: --platform linux/s390x"),
        ),
        (
            Builder::of("linux/mips"),
            "linux/mipsle",
            "is a 32-bit big-endian MIPS binary, linux/mipsle needs 32-bit little-endian MIPS",
            Some("publish it as what it is: --platform linux/mips"),
        ),
        (
            Builder::of("linux/386").with(|elf| elf.machine = 62),
            "linux/amd64",
            "is a 32-bit x86-64 binary (x32), linux/amd64 needs x86-64",
            None,
        ),
        (
            amd64.clone().with(|elf| elf.machine = 0x1234),
            "linux/amd64",
            "is a 64-bit little-endian binary for a machine that is not known here (ELF machine 4660), \
             linux/amd64 needs x86-64",
            None,
        ),
        (
            amd64.clone().with(|elf| elf.os_abi = 9),
            "linux/amd64",
            "is made for FreeBSD, linux/amd64 needs Linux",
            Some("build it for linux: GOOS=linux go build, or a Rust target with `linux` in its name"),
        ),
        (
            amd64.clone().with(|elf| elf.os_abi = 255),
            "linux/amd64",
            "is made for an operating system that is not known here (ELF OS ABI 255), linux/amd64 needs Linux",
            Some("build it for linux: GOOS=linux go build, or a Rust target with `linux` in its name"),
        ),
        (
            amd64.clone(),
            "windows/amd64",
            "is made for Linux, windows/amd64 needs a PE binary",
            Some("build it for windows: GOOS=windows go build, or a Rust target with `windows` in its name"),
        ),
        (
            flags("linux/riscv64", 1),
            "linux/riscv64",
            "uses the lp64 ABI (soft float), linux/riscv64 needs the lp64d ABI (double-precision float)",
            Some("build it for the lp64d ABI (double-precision float)"),
        ),
        (
            flags("linux/ppc64le", 1),
            "linux/ppc64le",
            "uses the ELFv1 ABI, linux/ppc64le needs the ELFv2 ABI",
            Some("build it for the ELFv2 ABI"),
        ),
        (
            flags("linux/loong64", 0x41),
            "linux/loong64",
            "uses the soft-float ABI, linux/loong64 needs the lp64d ABI (double-precision float)",
            Some("build it for the lp64d ABI (double-precision float)"),
        ),
        (
            flags("linux/mips64le", 0xa000_0000),
            "linux/mips64le",
            "uses MIPS release 6, linux/mips64le needs a MIPS release before 6",
            Some("build it for a MIPS release before 6"),
        ),
        (
            flags("linux/mipsle", 0x7000_0020),
            "linux/mipsle",
            "uses the n32 ABI, linux/mipsle needs the o32 or n64 ABI, not n32",
            Some("build it for the o32 or n64 ABI, not n32"),
        ),
        (
            flags("linux/arm/v7", 0x0400_0000),
            "linux/arm/v7",
            "uses an ABI before EABI version 5, linux/arm/v7 needs EABI version 5",
            Some("build it for EABI version 5"),
        ),
        (
            amd64.clone().go("GOOS=netbsd GOARCH=amd64"),
            "linux/amd64",
            "was built with GOOS=netbsd, linux/amd64 needs GOOS=linux",
            Some("GOOS=linux go build"),
        ),
        (
            amd64.clone().go("GOARCH=amd64 GOAMD64=v3"),
            "linux/amd64",
            "was built with GOAMD64=v3, linux/amd64 needs GOAMD64=v1",
            Some("GOAMD64=v1 go build"),
        ),
        (
            amd64.go("GOARCH=amd64 GOAMD64=v5"),
            "linux/amd64/v4",
            "was built with GOAMD64=v5, which is not a value of GOAMD64",
            Some("go help environment says which values GOAMD64 has"),
        ),
        (
            Builder::of("linux/arm64").go("GOARCH=arm64 GOARM64=v8.0,lse"),
            "linux/arm64",
            "was built with GOARM64=v8.0,lse, linux/arm64 needs GOARM64=v8.0",
            Some("GOARM64=v8.0 go build"),
        ),
    ] {
        let mismatch = elf.check(platform).unwrap_err();
        assert_eq!(mismatch.to_string(), words);
        assert_eq!(mismatch.hints().first().map(String::as_str), hint, "{words}");
    }
}

#[test]
fn gos_levels_fit_platforms_that_are_not_below() {
    for (setting, built, platforms) in [
        ("GOAMD64=v1", "linux/amd64", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"][..]),
        ("GOAMD64=v3", "linux/amd64", &["linux/amd64/v3", "linux/amd64/v4"]),
        ("GOARM64=v8.0", "linux/arm64", &["linux/arm64", "linux/arm64/v9"]),
        ("GOARM64=v8.0,crypto", "linux/arm64", &["linux/arm64"]),
        ("GOARM64=v8.2,lse", "linux/arm64", &["linux/arm64/v8.2", "linux/arm64/v9"]),
    ] {
        for platform in platforms {
            assert_eq!(Builder::of(built).go(setting).check(platform), Ok(()), "{setting} on {platform}");
        }
    }
}

/// Flags, `Tag_CPU_arch` and `Tag_ABI_VFP_args`, `GOARM`, loader: against linux/arm/v5, v6, v7, v8.
#[test]
fn an_arm_binary_fits_what_its_attributes_and_goarm_say() {
    const HARD: u32 = 0x0500_0400;
    const SOFT: u32 = 0x0500_0200;
    const GO: u32 = 0x0500_0002;
    let dynamic = Some("/lib/ld.so");
    for (flags, attributes, goarm, interpreter, fits) in [
        (HARD, Some((10, 1)), None, dynamic, [false, false, true, true]),
        (HARD, Some((7, 1)), None, dynamic, [false, true, true, true]),
        (HARD, Some((6, 1)), None, None, [false, true, true, true]),
        (HARD, Some((8, 1)), None, None, [false, false, true, true]),
        (HARD, Some((14, 1)), None, None, [false, false, false, true]),
        (HARD, Some((22, 1)), None, None, [false, false, false, false]),
        (HARD, Some((13, 1)), None, None, [false, false, false, false]),
        (HARD, Some((99, 1)), None, None, [false, false, false, false]),
        (HARD, Some((4, 1)), None, None, [false, true, true, true]),
        (SOFT, Some((4, 0)), None, None, [true, true, true, true]),
        (SOFT, Some((4, 0)), None, dynamic, [true, false, false, false]),
        (SOFT, Some((10, 0)), None, None, [false, false, true, true]),
        (SOFT, Some((4, 3)), None, None, [true, true, true, true]),
        (HARD, None, None, None, [false, false, true, true]),
        (SOFT, None, None, None, [false, false, true, true]),
        (GO, None, Some("5"), None, [true, true, true, true]),
        (GO, None, Some("6"), None, [false, true, true, true]),
        (GO, None, Some("7"), None, [false, false, true, true]),
        (GO, None, Some("5,hardfloat"), None, [false, true, true, true]),
        (GO, None, Some("6,softfloat"), None, [false, true, true, true]),
        (GO, None, Some("7,softfloat"), dynamic, [false, false, true, true]),
        (GO, None, Some("banana"), None, [false, false, false, false]),
        (GO, None, Some("v6"), None, [false, false, false, false]),
        (GO, None, Some("6,"), None, [false, false, false, false]),
        (GO, None, Some("4"), None, [false, false, false, false]),
        (GO, None, Some("8"), None, [false, false, false, false]),
        (HARD, Some((10, 1)), Some("6"), dynamic, [false, false, true, true]),
        (HARD, Some((6, 1)), Some("7"), dynamic, [false, false, true, true]),
    ] {
        let mut elf = Builder::of("linux/arm").with(|elf| {
            elf.flags = flags;
            elf.interpreter = interpreter;
        });
        if let Some((cpu_arch, vfp_args)) = attributes {
            elf = elf.arm(cpu_arch, vfp_args);
        }
        if let Some(goarm) = goarm {
            elf = elf.go(&format!("GOARCH=arm GOARM={goarm}"));
        }
        for (platform, fits) in ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm/v8"].iter().zip(fits) {
            let result = elf.check(platform);
            assert_eq!(
                result.is_ok(),
                fits,
                "{flags:#x} {attributes:?} {goarm:?} {interpreter:?} {platform}: {result:?}"
            );
        }
    }
}

#[test]
fn arm_mismatches_name_what_was_found_and_a_way_out() {
    let arm = Builder::of("linux/arm");
    for (elf, platform, words, hint) in [
        (
            arm.clone().arm(10, 1),
            "linux/arm/v6",
            "is made for ARMv7, linux/arm/v6 runs ARMv6 and older",
            "zig cc -target arm-linux-musleabihf -mcpu=arm1176jzf_s",
        ),
        (
            arm.clone().arm(6, 1),
            "linux/arm/v5",
            "uses the hard-float ABI, linux/arm/v5 needs the soft-float ABI",
            "build it for the soft-float ABI",
        ),
        (
            arm.clone().go("GOARM=7"),
            "linux/arm/v6",
            "is made for ARMv7 (GOARM=7), linux/arm/v6 runs ARMv6 and older",
            "GOARM=6 go build",
        ),
        (
            arm.clone().go("GOARM=banana"),
            "linux/arm/v7",
            "was built with GOARM=banana, which is not a value of GOARM",
            "GOARM=7 go build",
        ),
        (
            arm.clone().go("GOARM=5,hardfloat"),
            "linux/arm/v5",
            "was built with GOARM=5,hardfloat, linux/arm/v5 needs GOARM=5",
            "GOARM=5 go build",
        ),
        (
            arm.clone(),
            "linux/arm/v5",
            "does not say which ARM architecture it is made for, and linux/arm/v5 runs only what is made for ARMv5",
            "zig cc -target arm-linux-musleabi -mcpu=arm926ej_s",
        ),
        (
            arm.arm(7, 1),
            "linux/arm64",
            "is a 32-bit ARM binary, linux/arm64 needs AArch64",
            "publish it as what it is: --platform linux/arm/v6",
        ),
    ] {
        let mismatch = elf.check(platform).unwrap_err();
        assert_eq!(mismatch.to_string(), words);
        assert_eq!(mismatch.hints()[0], hint);
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
