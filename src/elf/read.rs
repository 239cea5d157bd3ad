//! A file that can be read and sought becomes [`ElfFacts`], by headers and tables alone.

use std::io::{Read, Seek, SeekFrom};

use object::elf::{self, FileHeader32, FileHeader64};
use object::pod::{self, Pod};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endian as _, Endianness};

use super::arm_attributes::ArmAttributes;
use super::dynamic::Dynamic;
use super::error::{ElfError, damaged};
use super::not_elf::{BEGINNING, FileKind};
use super::symbols::{self, Symbols};
use super::{ByteOrder, Class, ElfFacts, Linkage, go_build, properties};

/// What the kernel allows for all program headers together, `load_elf_phdrs` in Linux's `fs/binfmt_elf.c`.
const PROGRAM_HEADERS_SIZE: u64 = 65_536;
/// Linked programs have some dozens of sections; this bounds what a header can make us allocate to 4 MB.
const SECTIONS: u64 = 65_536;
/// Section names of linked programs take some hundred bytes.
const SECTION_NAMES_SIZE: u64 = 1 << 20;
/// `PATH_MAX`, which the kernel holds the loader's path to.
const INTERPRETER_SIZE: u64 = 4096;
/// A dynamic section has some dozens of entries of 16 bytes.
const DYNAMIC_SIZE: u64 = 1 << 20;
/// Attributes take some dozens of bytes.
const ATTRIBUTES_SIZE: u64 = 1 << 16;
/// The longest library or version name that is believed.
const NAME_SIZE: u64 = 4096;

/// Text from a file that nobody vouches for, safe to print on a terminal.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// Bytes by their offset, each read held to the file's length and to a bound that its caller knows.
pub(super) struct Source<R> {
    reader: R,
    length: u64,
}

impl<R: Read + Seek> Source<R> {
    fn new(mut reader: R) -> Result<Self, ElfError> {
        let length = reader.seek(SeekFrom::End(0)).map_err(|source| ElfError::Unreadable { source })?;
        Ok(Self { reader, length })
    }

    /// The `size` bytes at `offset`; `what` is the complaint when `size` is above `most` or the file ends before.
    pub(super) fn bytes(&mut self, offset: u64, size: u64, most: u64, what: &'static str) -> Result<Vec<u8>, ElfError> {
        let inside = offset.checked_add(size).is_some_and(|end| end <= self.length);
        let size = usize::try_from(size).ok().filter(|_| inside && size <= most).ok_or_else(|| damaged(what))?;
        let mut bytes = vec![0; size];
        let read = self.reader.seek(SeekFrom::Start(offset)).and_then(|_| self.reader.read_exact(&mut bytes));
        read.map_err(|source| ElfError::Unreadable { source })?;
        Ok(bytes)
    }

    /// At most `most` bytes at `offset`, fewer where the file ends.
    pub(super) fn up_to(&mut self, offset: u64, most: u64) -> Result<Vec<u8>, ElfError> {
        self.bytes(offset, self.length.saturating_sub(offset).min(most), most, "a table lies beyond its end")
    }

    /// The structure at `offset`.
    pub(super) fn structure<T: Pod>(&mut self, offset: u64, what: &'static str) -> Result<T, ElfError> {
        let size = size_of::<T>() as u64;
        let bytes = self.bytes(offset, size, size, what)?;
        pod::from_bytes::<T>(&bytes).map(|(value, _)| *value).map_err(|()| damaged(what))
    }

    /// The NUL-terminated name at `offset`.
    pub(super) fn name(&mut self, offset: u64, what: &'static str) -> Result<String, ElfError> {
        let bytes = self.up_to(offset, NAME_SIZE)?;
        let end = bytes.iter().position(|byte| *byte == 0).ok_or_else(|| damaged(what))?;
        Ok(printable(&bytes[..end]))
    }
}

/// A program header without its class.
pub(super) struct Segment {
    kind: elf::ProgramType,
    pub(super) flags: elf::ProgramFlags,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
}

/// A section header without its class; bytes that are not in the file do not count.
pub(super) struct Section {
    kind: elf::SectionType,
    name: u32,
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Where things are in the file.
pub(super) struct Layout {
    pub(super) byte_order: Endianness,
    segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    section_names: Vec<u8>,
}

impl Layout {
    pub(super) fn segment(&self, kind: elf::ProgramType) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// The segments that are loaded, in the file's order.
    pub(super) fn loaded(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD)
    }

    /// The section called `name`, if any is.
    pub(super) fn section(&self, name: &[u8]) -> Option<&Section> {
        self.sections.iter().find(|section| {
            let rest = usize::try_from(section.name).ok().and_then(|start| self.section_names.get(start..));
            rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.first() == Some(&0))
        })
    }

    /// Where the byte that is loaded at `address` is in the file.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.loaded().find_map(|segment| {
            let inside = address.checked_sub(segment.address).filter(|inside| *inside < segment.size)?;
            segment.offset.checked_add(inside)
        })
    }
}

impl ElfFacts {
    /// Reads the facts of a binary.
    ///
    /// Memory stays under some megabytes whatever the file's size and contents.
    ///
    /// # Errors
    /// When the file cannot be read, is no ELF file, or is not as its own headers say.
    pub fn read(reader: impl Read + Seek) -> Result<Self, ElfError> {
        let mut source = Source::new(reader)?;
        match class_of(&mut source)? {
            class @ Class::Bits32 => read_class::<FileHeader32<Endianness>, _>(&mut source, class),
            class @ Class::Bits64 => read_class::<FileHeader64<Endianness>, _>(&mut source, class),
        }
    }
}

fn class_of<R: Read + Seek>(source: &mut Source<R>) -> Result<Class, ElfError> {
    let beginning = source.up_to(0, BEGINNING as u64)?;
    if !beginning.starts_with(&elf::ELFMAG) {
        return Err(ElfError::NotElf(FileKind::of(&beginning)));
    }
    match beginning.get(4).copied().map(elf::FileClass) {
        Some(elf::ELFCLASS32) => Ok(Class::Bits32),
        Some(elf::ELFCLASS64) => Ok(Class::Bits64),
        _ => Err(damaged("its class is neither 32-bit nor 64-bit")),
    }
}

fn read_class<Elf, R>(source: &mut Source<R>, class: Class) -> Result<ElfFacts, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let header: Elf = source.structure(0, "it ends within its header")?;
    if !header.is_supported() {
        return Err(damaged("its header has an unknown byte order or version"));
    }
    let byte_order = header.endian().map_err(|_| damaged("its header has an unknown byte order"))?;
    let mut facts = ElfFacts {
        class,
        byte_order: if byte_order.is_big_endian() { ByteOrder::Big } else { ByteOrder::Little },
        machine: header.e_machine(byte_order).0,
        os_abi: header.e_ident().os_abi.0,
        file_type: header.e_type(byte_order).0,
        flags: header.e_flags(byte_order).0,
        entry: header.e_entry(byte_order).into(),
        linkage: Linkage::Other(header.e_type(byte_order).0),
        interpreter: None,
        needed: Vec::new(),
        soname: None,
        rpath: None,
        runpath: None,
        without_default_folders: false,
        binds_now: false,
        versions: Vec::new(),
        offers: Vec::new(),
        x86_level: None,
        mips_float: None,
        arm_attributes: None,
        go: None,
    };
    match header.e_type(byte_order) {
        elf::ET_REL => facts.linkage = Linkage::ObjectFile,
        elf::ET_CORE => facts.linkage = Linkage::CoreDump,
        elf::ET_EXEC | elf::ET_DYN => read_linked(source, &header, byte_order, &mut facts)?,
        // What no one starts has nothing more to say.
        _ => {}
    }
    Ok(facts)
}

fn read_linked<Elf, R>(
    source: &mut Source<R>,
    header: &Elf,
    byte_order: Endianness,
    facts: &mut ElfFacts,
) -> Result<(), ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let segments = read_segments(source, header, byte_order)?;
    let (sections, section_names) = read_sections(source, header, byte_order)?;
    let layout = Layout { byte_order, segments, sections, section_names };

    facts.interpreter = layout.segment(elf::PT_INTERP).map(|segment| read_interpreter(source, segment)).transpose()?;
    let dynamic = match layout.segment(elf::PT_DYNAMIC) {
        Some(segment) => Dynamic::new(read_dynamic::<Elf, R>(source, segment, byte_order)?),
        None => Dynamic::default(),
    };
    dynamic.read_names(source, &layout, facts)?;
    facts.linkage = linkage(header.e_type(byte_order), &dynamic, facts, layout.segment(elf::PT_DYNAMIC).is_some());

    if facts.machine == elf::EM_ARM.0 {
        let section = layout.sections.iter().find(|section| section.kind == elf::SHT_ARM_ATTRIBUTES);
        facts.arm_attributes = section.map(|section| read_attributes(source, section, byte_order)).transpose()?;
    }
    properties::read(source, &layout, facts)?;
    facts.go = go_build::read(source, &layout)?;
    Ok(())
}

impl Symbols {
    /// Reads the symbols that a program or a library leaves to others, and those that it has for others.
    ///
    /// # Errors
    /// When the file cannot be read, is no ELF file, or is not as its own headers say.
    pub fn read(reader: impl Read + Seek) -> Result<Self, ElfError> {
        let mut source = Source::new(reader)?;
        match class_of(&mut source)? {
            Class::Bits32 => read_symbols::<FileHeader32<Endianness>, _>(&mut source),
            Class::Bits64 => read_symbols::<FileHeader64<Endianness>, _>(&mut source),
        }
    }
}

fn read_symbols<Elf, R>(source: &mut Source<R>) -> Result<Symbols, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let header: Elf = source.structure(0, "it ends within its header")?;
    let byte_order = header.endian().map_err(|_| damaged("its header has an unknown byte order"))?;
    if !matches!(header.e_type(byte_order), elf::ET_EXEC | elf::ET_DYN) {
        return Ok(Symbols::default());
    }
    let segments = read_segments(source, &header, byte_order)?;
    let (sections, section_names) = read_sections(source, &header, byte_order)?;
    let layout = Layout { byte_order, segments, sections, section_names };
    let Some(segment) = layout.segment(elf::PT_DYNAMIC) else { return Ok(Symbols::default()) };
    let dynamic = Dynamic::new(read_dynamic::<Elf, R>(source, segment, byte_order)?);
    let table = layout.sections.iter().find(|section| section.kind == elf::SHT_DYNSYM);
    symbols::read::<Elf, R>(source, &layout, &dynamic, table.map(|table| table.size))
}

/// A position-independent file without a loader is a program only if its linker said so (`DF_1_PIE`), or if it has
/// nothing that a library has.
fn linkage(file_type: elf::FileType, dynamic: &Dynamic, facts: &ElfFacts, has_dynamic: bool) -> Linkage {
    if facts.interpreter.is_some() {
        Linkage::Dynamic
    } else if file_type == elf::ET_EXEC {
        Linkage::Static
    } else if dynamic.is_pie() || (!has_dynamic && facts.entry != 0) {
        Linkage::StaticPie
    } else {
        Linkage::SharedLibrary
    }
}

fn read_segments<Elf, R>(source: &mut Source<R>, header: &Elf, byte_order: Endianness) -> Result<Vec<Segment>, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let count = u64::from(header.e_phnum(byte_order));
    if count == 0 {
        return Err(damaged("it has no program headers, so there is nothing to load"));
    }
    let each = size_of::<Elf::ProgramHeader>();
    if usize::from(header.e_phentsize(byte_order)) != each {
        return Err(damaged("its program headers have an impossible size"));
    }
    let what = "its program headers lie beyond its end or are too many";
    let bytes = source.bytes(header.e_phoff(byte_order).into(), count * each as u64, PROGRAM_HEADERS_SIZE, what)?;
    let headers = pod::slice_from_all_bytes::<Elf::ProgramHeader>(&bytes).map_err(|()| damaged(what))?;
    let segments = headers.iter().map(|header| Segment {
        kind: header.p_type(byte_order),
        flags: header.p_flags(byte_order),
        offset: header.p_offset(byte_order).into(),
        address: header.p_vaddr(byte_order).into(),
        size: header.p_filesz(byte_order).into(),
    });
    let segments: Vec<Segment> = segments.collect();
    let cut_off = |segment: &Segment| segment.offset.checked_add(segment.size).is_none_or(|end| end > source.length);
    if segments.iter().any(|segment| segment.kind == elf::PT_LOAD && segment.size > 0 && cut_off(segment)) {
        return Err(damaged("it ends before its last segment does"));
    }
    Ok(segments)
}

/// The sections and their names. The kernel does not look at them, but a file that ends before them was cut off.
fn read_sections<Elf, R>(
    source: &mut Source<R>,
    header: &Elf,
    byte_order: Endianness,
) -> Result<(Vec<Section>, Vec<u8>), ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let offset: u64 = header.e_shoff(byte_order).into();
    // Programs without section headers are fine: packers and `strip --strip-section-headers` make them.
    if offset == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let what = "it ends before its section headers, or they are too many";
    let each = size_of::<Elf::SectionHeader>();
    if usize::from(header.e_shentsize(byte_order)) != each {
        return Err(damaged("its section headers have an impossible size"));
    }
    let count = match header.e_shnum(byte_order) {
        // More sections than fit into 16 bits: the count is in the first section header.
        0 => source.structure::<Elf::SectionHeader>(offset, what)?.sh_size(byte_order).into(),
        count => u64::from(count),
    };
    let size = count.checked_mul(each as u64).ok_or_else(|| damaged(what))?;
    let bytes = source.bytes(offset, size, SECTIONS * each as u64, what)?;
    let headers = pod::slice_from_all_bytes::<Elf::SectionHeader>(&bytes).map_err(|()| damaged(what))?;
    let sections: Vec<Section> = headers
        .iter()
        .map(|header| Section {
            kind: header.sh_type(byte_order),
            name: header.sh_name(byte_order),
            address: header.sh_addr(byte_order).into(),
            offset: header.sh_offset(byte_order).into(),
            size: header.file_range(byte_order).map_or(0, |(_, size)| size),
        })
        .collect();
    let index = match header.e_shstrndx(byte_order) {
        elf::SHN_XINDEX => headers.first().map_or(0, |first| first.sh_link(byte_order)),
        index => u32::from(index.0),
    };
    let names = match usize::try_from(index).ok().filter(|index| *index != 0).and_then(|index| sections.get(index)) {
        Some(names) => {
            source.bytes(names.offset, names.size, SECTION_NAMES_SIZE, "its section names lie beyond its end")?
        }
        None => Vec::new(),
    };
    Ok((sections, names))
}

fn read_interpreter<R: Read + Seek>(source: &mut Source<R>, segment: &Segment) -> Result<String, ElfError> {
    let what = "the loader that it names is no path";
    let bytes = source.bytes(segment.offset, segment.size, INTERPRETER_SIZE, what)?;
    // The kernel wants the path to end where its segment does.
    match bytes.strip_suffix(&[0]) {
        Some(path) if !path.is_empty() => Ok(printable(path.split(|byte| *byte == 0).next().unwrap_or_default())),
        _ => Err(damaged(what)),
    }
}

fn read_dynamic<Elf, R>(
    source: &mut Source<R>,
    segment: &Segment,
    byte_order: Endianness,
) -> Result<Vec<(i64, u64)>, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: Read + Seek,
{
    let what = "its dynamic section lies beyond its end or is too large";
    let bytes = source.bytes(segment.offset, segment.size, DYNAMIC_SIZE, what)?;
    let entries = pod::slice_from_all_bytes::<Elf::Dyn>(&bytes).map_err(|()| damaged(what))?;
    let entries = entries.iter().map(|entry| (entry.tag(byte_order).0, entry.val(byte_order)));
    Ok(entries.take_while(|(tag, _)| *tag != elf::DT_NULL.0).collect())
}

fn read_attributes<R: Read + Seek>(
    source: &mut Source<R>,
    section: &Section,
    byte_order: Endianness,
) -> Result<ArmAttributes, ElfError> {
    let what = "its section `.ARM.attributes` cannot be read";
    let bytes = source.bytes(section.offset, section.size, ATTRIBUTES_SIZE, what)?;
    ArmAttributes::parse(byte_order, &bytes).map_err(|_| damaged(what))
}
