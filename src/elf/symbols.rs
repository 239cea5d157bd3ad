//! The dynamic symbol table becomes [`Symbols`]: what a file leaves to others, and what it has for others.
//!
//! How many symbols there are is said by the section headers; without these by a hash table, which knows only of those that
//! are defined and that come last. Sources: the generic ABI's "Hash Table" and "Symbol Table", and for `DT_GNU_HASH`
//! binutils' `bfd/elflink.c`.

use std::io::{Read, Seek};

use object::elf;
use object::pod;
use object::read::elf::{FileHeader, Sym as _};
use object::{Endian as _, Endianness};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::dynamic::Dynamic;
use super::error::{ElfError, damaged};
use super::read::{Layout, Source, printable};

/// The largest libraries have some hundred thousand dynamic symbols.
const SYMBOLS: u64 = 1 << 20;
/// Their names take some megabytes.
const STRINGS_SIZE: u64 = 64 << 20;
/// The names of all symbols together: names may begin within each other, so that a small table holds any number of long ones.
const NAMES_SIZE: usize = 64 << 20;
/// What is read of a hash table at once.
const HASH_SIZE: u64 = 16 << 20;

/// The name of a symbol, in eight bytes: the beginning of its SHA-256. A million names have two alike once in 37 million
/// libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub u64);

impl Name {
    /// Shortens a name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let digest = Sha256::digest(name);
        Self(digest.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }
}

/// The dynamic symbols of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// what it has for others: global and weak, in their default version; sorted
    #[serde(rename = "d", with = "names", default, skip_serializing_if = "Vec::is_empty")]
    pub defined: Vec<Name>,
    /// the functions and data that another file has to have and that no symbol version stands for; weak ones are left out
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<Wanted>,
    /// for each symbol version that it requires, one of the symbols that it is for
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<(String, String)>,
    /// true when it asks for libraries while it runs
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub opens_libraries: bool,
}

/// A symbol that another file has to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// its name
    #[serde(rename = "n")]
    pub name: String,
    /// true for data, which is looked up at the start; functions may wait until they are called
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub data: bool,
}

impl Symbols {
    /// How much is kept of it: one for each name of eight bytes, and as many for longer ones as they have of these.
    #[must_use]
    pub fn count(&self) -> usize {
        self.defined.len() + self.wanted.iter().map(|wanted| 1 + wanted.name.len() / 8).sum::<usize>()
    }

    /// Whether it has the symbol `name` for others.
    #[must_use]
    pub fn defines(&self, name: Name) -> bool {
        self.defined.binary_search(&name).is_ok()
    }

    /// A symbol that it wants in the version `version`.
    #[must_use]
    pub fn example(&self, version: &str) -> Option<&str> {
        self.examples.iter().find(|(known, _)| known == version).map(|(_, symbol)| symbol.as_str())
    }
}

/// Names in a record: eight bytes each, one after another, as base64.
mod names {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Name;

    pub(super) fn serialize<S: Serializer>(names: &[Name], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = names.iter().flat_map(|name| name.0.to_be_bytes()).collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Name>, D::Error> {
        let bytes = STANDARD_NO_PAD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let (names, rest) = bytes.as_chunks::<8>();
        if rest.is_empty() {
            Ok(names.iter().map(|name| Name(u64::from_be_bytes(*name))).collect())
        } else {
            Err(D::Error::custom("half of a name"))
        }
    }
}

/// Reads the symbols of a file whose dynamic section is known, and the size of whose table is as its section headers say.
pub(super) fn read<Elf, R>(
    source: &mut Source<R>,
    layout: &Layout,
    dynamic: &Dynamic,
    size: Option<u64>,
) -> Result<Symbols, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let what = "its table of dynamic symbols lies beyond its end";
    let at = |tag: elf::DynamicTag| dynamic.value(tag).and_then(|address| layout.offset_of(address));
    let (Some(table), Some(strings)) = (at(elf::DT_SYMTAB), at(elf::DT_STRTAB)) else { return Ok(Symbols::default()) };
    let each = size_of::<Elf::Sym>() as u64;
    let count = match size {
        Some(size) => size / each,
        None => count::<Elf, R>(source, layout, dynamic)?,
    };
    if count > SYMBOLS {
        return Err(damaged("it has more dynamic symbols than any library does"));
    }
    let bytes = source.bytes(table, count * each, SYMBOLS * each, what)?;
    let symbols = pod::slice_from_all_bytes::<Elf::Sym>(&bytes).map_err(|()| damaged(what))?;
    let size = dynamic.value(elf::DT_STRSZ).unwrap_or(0);
    let strings = source.bytes(strings, size, STRINGS_SIZE, "the names of its dynamic symbols lie beyond its end")?;
    let versions = match at(elf::DT_VERSYM) {
        Some(offset) => source.bytes(offset, count * 2, SYMBOLS * 2, what)?,
        None => Vec::new(),
    };
    let required = required(source, layout, dynamic, &strings)?;
    let mut found = Symbols::default();
    let mut left = NAMES_SIZE;
    // The first is empty by rule.
    for (index, symbol) in symbols.iter().enumerate().skip(1) {
        let version = versions.chunks_exact(2).nth(index).map_or(1, |pair| {
            let pair = [pair[0], pair[1]];
            if layout.byte_order.is_big_endian() { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        });
        let start = usize::try_from(symbol.st_name(layout.byte_order)).ok();
        let name = start.and_then(|start| strings.get(start..)).and_then(|rest| rest.split(|byte| *byte == 0).next());
        let name = name.ok_or_else(|| damaged("the name of a dynamic symbol lies outside of its table"))?;
        left = left
            .checked_sub(name.len())
            .ok_or_else(|| damaged("the names of its dynamic symbols are longer than those of any library"))?;
        found.add(name, symbol.st_info(), symbol.st_shndx(layout.byte_order), version, &required);
    }
    found.examples.sort();
    found.defined.sort_unstable();
    found.defined.dedup();
    Ok(found)
}

impl Symbols {
    fn add(
        &mut self,
        name: &[u8],
        info: elf::SymbolInfo,
        section: elf::SymbolSection,
        version: u16,
        required: &[(u16, String)],
    ) {
        const LOCAL: u16 = 0;
        const FIRST: u16 = 2;
        const HIDDEN: u16 = 0x8000;
        let (bind, kind) = (info.st_bind(), info.st_type());
        if name.is_empty() || bind == elf::STB_LOCAL {
            return;
        }
        if section != elf::SHN_UNDEF {
            // Versioned libraries also hold old versions of a symbol, which nothing new is bound to; what asks for no
            // version at all gets the first one (`do_lookup_x` in glibc's `elf/dl-lookup.c`).
            if version != LOCAL && (version & HIDDEN == 0 || version & !HIDDEN <= FIRST) {
                self.defined.push(Name::of(name));
            }
            return;
        }
        self.opens_libraries |= matches!(name, b"dlopen" | b"dlmopen");
        if bind == elf::STB_WEAK {
            return;
        }
        match required.iter().find(|(index, _)| *index == version & !HIDDEN) {
            Some((_, version)) => {
                if !self.examples.iter().any(|(known, _)| known == version) {
                    self.examples.push((version.clone(), printable(name)));
                }
            }
            None => {
                self.wanted
                    .push(Wanted { name: printable(name), data: matches!(kind, elf::STT_OBJECT | elf::STT_TLS) });
            }
        }
    }
}

/// The versions that the file requires, by the number that its symbols name them with.
fn required<R: Read + Seek>(
    source: &mut Source<R>,
    layout: &Layout,
    dynamic: &Dynamic,
    strings: &[u8],
) -> Result<Vec<(u16, String)>, ElfError> {
    let Some(address) = dynamic.value(elf::DT_VERNEED) else { return Ok(Vec::new()) };
    let mut required = Vec::new();
    super::dynamic::walk_required(source, layout, address, |_, version| {
        let start = usize::try_from(version.vna_name.get(layout.byte_order)).ok();
        let name = start.and_then(|start| strings.get(start..)).and_then(|rest| rest.split(|byte| *byte == 0).next());
        let name = name.ok_or_else(|| damaged("the name of a version lies outside of its table"))?;
        required.push((version.vna_other.get(layout.byte_order).0, printable(name)));
        Ok(())
    })?;
    Ok(required)
}

/// How many symbols there are by the hash tables: one more than the last that `DT_GNU_HASH` leads to, or the length of
/// the chains of `DT_HASH`.
fn count<Elf, R>(source: &mut Source<R>, layout: &Layout, dynamic: &Dynamic) -> Result<u64, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let what = "its hash table of symbols lies beyond its end or is too long";
    let at = |tag: elf::DynamicTag| dynamic.value(tag).and_then(|address| layout.offset_of(address));
    let Some(offset) = at(elf::DT_GNU_HASH) else {
        let Some(offset) = at(elf::DT_HASH) else { return Ok(0) };
        let header: elf::HashHeader<Endianness> = source.structure(offset, what)?;
        return Ok(header.chain_count.get(layout.byte_order).into());
    };
    let header: elf::GnuHashHeader<Endianness> = source.structure(offset, what)?;
    let word = size_of::<Elf::Word>() as u64;
    let field = |value: object::U32<Endianness>| u64::from(value.get(layout.byte_order));
    let (base, buckets) = (field(header.symbol_base), field(header.bucket_count));
    let bucket_offset = offset + 16 + field(header.bloom_count) * word;
    let bytes = source.bytes(bucket_offset, buckets * 4, HASH_SIZE, what)?;
    let read = |bytes: &[u8]| {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if layout.byte_order.is_big_endian() { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    let last = bytes.chunks_exact(4).map(read).max().map_or(0, u64::from);
    if last < base {
        // Nothing is defined; what is undefined comes before.
        return Ok(base);
    }
    let (mut index, mut chain) = (last, bucket_offset + buckets * 4 + (last - base) * 4);
    while index <= SYMBOLS {
        let bytes = source.up_to(chain, 1 << 12)?;
        if bytes.len() < 4 {
            return Err(damaged(what));
        }
        for word in bytes.chunks_exact(4) {
            index += 1;
            if read(word) & 1 != 0 {
                return Ok(index);
            }
        }
        chain += (bytes.len() as u64 / 4) * 4;
    }
    Err(damaged(what))
}
