//! A builder of small ELF files, byte by byte.

use std::io::Cursor;

use crate::elf::{ByteOrder, Class, ElfFacts, Mismatch, check, machines};
use crate::hint::Hint as _;
use crate::platform::Platform;

const BASE: u64 = 0x1_0000;

/// A small ELF file: one loadable segment that holds everything, and what a test adds to it.
#[derive(Clone)]
pub(super) struct Builder {
    pub(super) class: Class,
    pub(super) byte_order: ByteOrder,
    pub(super) machine: u16,
    pub(super) os_abi: u8,
    pub(super) file_type: u16,
    pub(super) flags: u32,
    pub(super) entry: u64,
    pub(super) interpreter: Option<&'static str>,
    /// tag and string
    pub(super) strings: Vec<(u64, &'static str)>,
    /// `DT_FLAGS_1`
    pub(super) flags_1: Option<u64>,
    pub(super) versions: Vec<(&'static str, Vec<&'static str>)>,
    pub(super) arm_attributes: Option<Vec<u8>>,
    pub(super) go: Option<(&'static str, String)>,
    pub(super) sections: bool,
}

impl Builder {
    /// A static executable as the table of machines describes it.
    pub(super) fn of(platform: &str) -> Self {
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

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn go(self, settings: &str) -> Self {
        let lines: Vec<String> = settings.split_whitespace().map(|setting| format!("build\t{setting}\n")).collect();
        let lines = lines.concat();
        self.with(|elf| elf.go = Some(("go1.26.1", format!("0123456789abcdefpath\tx\n{lines}fedcba9876543210"))))
    }

    pub(super) fn arm(self, cpu_arch: u8, vfp_args: u8) -> Self {
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

    pub(super) fn build(&self) -> Vec<u8> {
        let wide = self.class == Class::Bits64;
        let (header_size, each_segment, each_section) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let mut contents = Contents { bytes: vec![0; header_size + 3 * each_segment] };
        let mut segments = Vec::new();
        if let Some(interpreter) = self.interpreter {
            segments.push((3, 4, contents.add(&[interpreter.as_bytes(), b"\0"].concat())));
        }
        if let Some(dynamic) = self.dynamic(&mut contents) {
            segments.push((2, 6, dynamic));
        }
        let mut sections = vec![(0, 0, (0, 0))];
        let names = b"\0.ARM.attributes\0.go.buildinfo\0.shstrtab\0";
        if let Some(attributes) = &self.arm_attributes {
            sections.push((1, 0x7000_0003, contents.add(attributes)));
        }
        if let Some((version, text)) = &self.go {
            sections.push((17, 1, contents.add(&go_build_bytes(version, text))));
        }
        sections.push((31, 3, contents.add(names)));
        let section_offset = contents.add(&[]).0;
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
            entries.push((0x6fff_fffe, BASE + contents.add(&table).0));
        }
        entries.push((5, BASE + contents.add(&strings).0));
        entries.extend(self.flags_1.map(|flags| (0x6fff_fffb, flags)));
        entries.push((0, 0));
        let bytes: Vec<u8> =
            entries.iter().flat_map(|(tag, value)| self.structure(&[(*tag, 0), (*value, 0)])).collect();
        Some(contents.add(&bytes))
    }

    pub(super) fn facts(&self) -> ElfFacts {
        ElfFacts::read(Cursor::new(self.build())).unwrap()
    }

    pub(super) fn assert_mismatch(&self, platform: &str, words: &str, hint: Option<&str>) {
        let mismatch = self.check(platform).unwrap_err();
        assert_eq!(mismatch.to_string(), words);
        assert_eq!(mismatch.hints().first().map(String::as_str), hint, "{words}");
    }

    pub(super) fn check(&self, platform: &str) -> Result<(), Mismatch> {
        check(&self.facts(), platform.parse().unwrap())
    }
}

struct Contents {
    bytes: Vec<u8>,
}

impl Contents {
    /// Adds bytes at a multiple of 16; their offset and size.
    fn add(&mut self, bytes: &[u8]) -> (u64, u64) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let offset = self.bytes.len() as u64;
        self.bytes.extend(bytes);
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
