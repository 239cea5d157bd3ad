//! Notes and tables of single machines become facts: the x86-64 level that a binary needs, the float ABI on MIPS.
//!
//! Sources: "Linux Extensions to gABI", section "Program Property", and the x86-64 psABI's `GNU_PROPERTY_X86_ISA_1_NEEDED`;
//! the "MIPS O32 ABI - FR0 and FR1 Interlinking" for `.MIPS.abiflags`.

use std::io::{Read, Seek};

use object::elf;

use super::error::{ElfError, damaged};
use super::read::{Layout, Source};
use super::{Class, ElfFacts};

/// Notes about properties take some dozens of bytes.
const PROPERTIES_SIZE: u64 = 1 << 16;
/// The size of `.MIPS.abiflags`, and where the float ABI is in it.
const MIPS_FLAGS_SIZE: u64 = 24;
const MIPS_FLOAT: usize = 7;

/// Fills in what only one machine has.
pub(super) fn read<R: Read + Seek>(
    source: &mut Source<R>,
    layout: &Layout,
    facts: &mut ElfFacts,
) -> Result<(), ElfError> {
    match elf::Machine(facts.machine) {
        elf::EM_X86_64 | elf::EM_386 => {
            if let Some(segment) = layout.segment(elf::PT_GNU_PROPERTY) {
                let what = "its note about properties lies beyond its end or is too long";
                let bytes = source.bytes(segment.offset, segment.size, PROPERTIES_SIZE, what)?;
                let align = if facts.class == Class::Bits64 { 8 } else { 4 };
                facts.x86_level = x86_level(&bytes, align);
            }
        }
        elf::EM_MIPS => {
            if let Some(segment) = layout.segment(elf::PT_MIPS_ABIFLAGS) {
                let what = "its table of MIPS flags lies beyond its end";
                let bytes = source.bytes(segment.offset, segment.size.min(MIPS_FLAGS_SIZE), MIPS_FLAGS_SIZE, what)?;
                let float = bytes.get(MIPS_FLOAT).copied();
                facts.mips_float = Some(float.ok_or_else(|| damaged("its table of MIPS flags is too short"))?);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The highest level among the bits that a note says are needed; `None` when no note says so. What is not as it should
/// be says nothing: the kernel does not look at it, and a loader leaves it aside.
fn x86_level(notes: &[u8], align: usize) -> Option<u8> {
    let mut rest = notes;
    while let [name_size, size, kind, ..] = words(rest)[..] {
        let name = rest.get(12..12 + name_size)?;
        let start = (12 + name_size).next_multiple_of(align);
        let properties = rest.get(start..start.checked_add(size)?)?;
        if name == b"GNU\0" && kind == elf::NT_GNU_PROPERTY_TYPE_0.0 as usize {
            return needed_bits(properties, align).filter(|bits| *bits != 0).map(|bits| {
                let highest = 7 - bits.leading_zeros().min(7);
                u8::try_from(highest + 1).unwrap_or(u8::MAX)
            });
        }
        rest = rest.get((start + size).next_multiple_of(align)..)?;
    }
    None
}

/// The last four bits of the property that says which levels are needed.
fn needed_bits(mut properties: &[u8], align: usize) -> Option<u8> {
    while let [kind, size, ..] = words(properties)[..] {
        let value = properties.get(8..8_usize.checked_add(size)?)?;
        if kind == elf::GNU_PROPERTY_X86_ISA_1_NEEDED.0 as usize {
            return value.first().map(|bits| bits & 0xf);
        }
        properties = properties.get((8 + size).next_multiple_of(align)..)?;
    }
    None
}

/// The leading words of four bytes, three at most; notes of x86 are little-endian.
fn words(bytes: &[u8]) -> Vec<usize> {
    let words = bytes.chunks_exact(4).take(3);
    words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(properties: &[(u32, u32)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in properties {
            body.extend([*kind, 4, *value, 0].iter().flat_map(|word| word.to_le_bytes()));
        }
        let size = u32::try_from(body.len()).unwrap();
        let mut bytes: Vec<u8> = [4, size, 5].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        bytes.extend(b"GNU\0");
        bytes.extend(body);
        bytes
    }

    #[test]
    fn the_level_is_the_highest_bit_of_what_is_needed() {
        const NEEDED: u32 = 0xc000_8002;
        for (properties, level) in [
            (&[(NEEDED, 1)][..], Some(1)),
            (&[(NEEDED, 0b11)], Some(2)),
            (&[(0xc001_0002, 15), (0xc000_0002, 3), (NEEDED, 0b111)], Some(3)),
            (&[(NEEDED, 8)], Some(4)),
            (&[(NEEDED, 0)], None),
            (&[(0xc001_0002, 15)], None),
            (&[], None),
        ] {
            assert_eq!(x86_level(&note(properties), 8), level, "{properties:x?}");
        }
    }

    #[test]
    fn a_note_that_lies_says_nothing() {
        let whole = note(&[(0xc000_8002, 8)]);
        for length in 0..whole.len() - 12 {
            assert_eq!(x86_level(&whole[..length], 8), None, "{length}");
        }
        for position in [0, 4, 20] {
            let mut lying = whole.clone();
            lying[position..position + 4].copy_from_slice(&[0xff; 4]);
            assert_eq!(x86_level(&lying, 8), None, "{position}");
        }
    }
}
