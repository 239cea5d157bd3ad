//! The dynamic section becomes names: libraries, search path, and the symbol versions that are required of them.
//!
//! Read by way of program headers, as the loader does; section headers may be missing or lie.

use std::io::{Read, Seek};

use object::Endianness;
use object::elf;
use serde::{Deserialize, Serialize};

use super::ElfFacts;
use super::error::{ElfError, damaged};
use super::read::{Layout, Source};

/// Programs ask for some dozens of libraries; the bound is for files that lie.
const LIBRARIES: usize = 1024;
/// Programs require some dozens of versions of each.
const VERSIONS: usize = 2048;

/// One symbol version that a binary requires (`.gnu.version_r`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredVersion {
    /// the library that has to define it: `libc.so.6`
    pub library: String,
    /// its name: `GLIBC_2.34`
    pub version: String,
    /// true when the loader starts the program without it (`VER_FLG_WEAK`)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weak: bool,
}

/// Tags and values of the dynamic section.
#[derive(Default)]
pub(super) struct Dynamic {
    entries: Vec<(i64, u64)>,
}

impl Dynamic {
    pub(super) fn new(entries: Vec<(i64, u64)>) -> Self {
        Self { entries }
    }

    pub(super) fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.entries.iter().find(|(found, _)| *found == tag.0).map(|(_, value)| *value)
    }

    /// True when the linker marked it as a position-independent program.
    pub(super) fn is_pie(&self) -> bool {
        self.has_flag(elf::DT_FLAGS_1, elf::DF_1_PIE.0)
    }

    fn has_flag(&self, tag: elf::DynamicTag, flag: u64) -> bool {
        self.value(tag).is_some_and(|flags| flags & flag != 0)
    }

    /// Fills in what `facts` says about libraries.
    pub(super) fn read_names<R: Read + Seek>(
        &self,
        source: &mut Source<R>,
        layout: &Layout,
        facts: &mut ElfFacts,
    ) -> Result<(), ElfError> {
        facts.without_default_folders = self.has_flag(elf::DT_FLAGS_1, elf::DF_1_NODEFLIB.0);
        facts.binds_now = self.value(elf::DT_BIND_NOW).is_some()
            || self.has_flag(elf::DT_FLAGS, elf::DF_BIND_NOW.0)
            || self.has_flag(elf::DT_FLAGS_1, elf::DF_1_NOW.0);
        // Without a string table there are no names: static position-independent programs are such.
        let Some(address) = self.value(elf::DT_STRTAB) else { return Ok(()) };
        let strings = layout.offset_of(address);
        let name = |source: &mut Source<R>, start: u64| {
            let what = "a name of its dynamic section lies outside of it";
            let offset = strings.and_then(|strings| strings.checked_add(start)).ok_or_else(|| damaged(what))?;
            source.name(offset, what)
        };
        let needed = self.entries.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED.0);
        for (count, (_, start)) in needed.enumerate() {
            if count == LIBRARIES {
                return Err(damaged("it asks for more libraries than any program does"));
            }
            facts.needed.push(name(source, *start)?);
        }
        facts.soname = self.value(elf::DT_SONAME).map(|start| name(source, start)).transpose()?;
        facts.rpath = self.value(elf::DT_RPATH).map(|start| name(source, start)).transpose()?;
        facts.runpath = self.value(elf::DT_RUNPATH).map(|start| name(source, start)).transpose()?;
        if let Some(address) = self.value(elf::DT_VERNEED) {
            facts.versions = required_versions(source, layout, address, &name)?;
        }
        if let Some(address) = self.value(elf::DT_VERDEF) {
            facts.offers = offered_versions(source, layout, address, &name)?;
        }
        Ok(())
    }
}

/// The versions that are required, with the names of their libraries.
fn required_versions<R: Read + Seek>(
    source: &mut Source<R>,
    layout: &Layout,
    address: u64,
    name: &impl Fn(&mut Source<R>, u64) -> Result<String, ElfError>,
) -> Result<Vec<RequiredVersion>, ElfError> {
    let mut found = Vec::new();
    walk_required(source, layout, address, |library, version| {
        found.push((library, *version));
        Ok(())
    })?;
    let mut versions: Vec<RequiredVersion> = Vec::new();
    let mut known: Option<(u64, String)> = None;
    for (library, version) in found {
        let library_name = match known {
            Some((start, ref name)) if start == library => name.clone(),
            _ => name(source, library)?,
        };
        known = Some((library, library_name.clone()));
        versions.push(RequiredVersion {
            library: library_name,
            version: name(source, version.vna_name.get(layout.byte_order).into())?,
            weak: version.vna_flags.get(layout.byte_order).0 & elf::VER_FLG_WEAK.0 != 0,
        });
    }
    Ok(versions)
}

/// Walks the list of libraries, and each library's list of versions; hands on where the library's name is, and the version.
pub(super) fn walk_required<R: Read + Seek>(
    source: &mut Source<R>,
    layout: &Layout,
    address: u64,
    mut each: impl FnMut(u64, &elf::Vernaux<Endianness>) -> Result<(), ElfError>,
) -> Result<(), ElfError> {
    let what = "its table of required versions lies beyond its end";
    let step = |offset: u64, by: u32| offset.checked_add(u64::from(by)).ok_or_else(|| damaged(what));
    let mut offset = layout.offset_of(address).ok_or_else(|| damaged(what))?;
    let mut count = 0;
    for _ in 0..LIBRARIES {
        let library: elf::Verneed<Endianness> = source.structure(offset, what)?;
        let library_name = library.vn_file.get(layout.byte_order).into();
        let mut version_offset = step(offset, library.vn_aux.get(layout.byte_order))?;
        for _ in 0..library.vn_cnt.get(layout.byte_order) {
            count += 1;
            if count > VERSIONS {
                return Err(damaged("it requires more symbol versions than any program does"));
            }
            let version: elf::Vernaux<Endianness> = source.structure(version_offset, what)?;
            each(library_name, &version)?;
            version_offset = step(version_offset, version.vna_next.get(layout.byte_order))?;
        }
        match library.vn_next.get(layout.byte_order) {
            0 => return Ok(()),
            next => offset = step(offset, next)?,
        }
    }
    Err(damaged("its table of required versions does not end"))
}

/// Walks the list of versions that a library offers. The first names of each are taken, the others are its parents; the
/// library's own name is among them, marked as such.
fn offered_versions<R: Read + Seek>(
    source: &mut Source<R>,
    layout: &Layout,
    address: u64,
    name: &impl Fn(&mut Source<R>, u64) -> Result<String, ElfError>,
) -> Result<Vec<String>, ElfError> {
    let what = "its table of offered versions lies beyond its end";
    let step = |offset: u64, by: u32| offset.checked_add(u64::from(by)).ok_or_else(|| damaged(what));
    let mut offset = layout.offset_of(address).ok_or_else(|| damaged(what))?;
    let mut offered = Vec::new();
    for _ in 0..VERSIONS {
        let version: elf::Verdef<Endianness> = source.structure(offset, what)?;
        if version.vd_flags.get(layout.byte_order).0 & elf::VER_FLG_BASE.0 == 0 {
            let first: elf::Verdaux<Endianness> =
                source.structure(step(offset, version.vd_aux.get(layout.byte_order))?, what)?;
            offered.push(name(source, first.vda_name.get(layout.byte_order).into())?);
        }
        match version.vd_next.get(layout.byte_order) {
            0 => return Ok(offered),
            next => offset = step(offset, next)?,
        }
    }
    Err(damaged("it offers more symbol versions than any library does"))
}
