//! The section `.ARM.attributes` becomes [`ArmAttributes`]: which ARM architecture and float ABI the code was made for.
//!
//! Source: "Addenda to, and Errata in, the ABI for the Arm Architecture", section "Build Attributes",
//! <https://github.com/ARM-software/abi-aa/blob/main/addenda32/addenda32.rst>.

use object::Endianness;
use object::elf::FileHeader32;
use object::read::elf::AttributesSection;
use serde::{Deserialize, Serialize};

/// What the toolchain recorded for the whole file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmAttributes {
    /// `Tag_CPU_arch`: 4 is v5TE, 6 is v6, 10 is v7; absent means 0, before v4
    pub cpu_arch: u64,
    /// `Tag_FP_arch`: 0 is none, 1 and 2 are VFP v1 and v2, 3 and 4 v3, 5 and 6 v4, 7 and 8 that of ARM v8
    pub fp_arch: u64,
    /// `Tag_ABI_VFP_args`: 1 passes floats in VFP registers (hard float); absent means 0, in core registers
    pub vfp_args: u64,
}

const TAG_FILE: u8 = 1;
const TAG_CPU_RAW_NAME: u64 = 4;
const TAG_CPU_NAME: u64 = 5;
const TAG_CPU_ARCH: u64 = 6;
const TAG_FP_ARCH: u64 = 10;
const TAG_ABI_VFP_ARGS: u64 = 28;
const TAG_COMPATIBILITY: u64 = 32;

impl ArmAttributes {
    /// Reads the contents of the section.
    ///
    /// # Errors
    /// When the section is not as the ABI describes it.
    pub(super) fn parse(byte_order: Endianness, section: &[u8]) -> object::Result<Self> {
        let mut attributes = Self::default();
        let section = AttributesSection::<FileHeader32<Endianness>>::new(byte_order, section)?;
        for subsection in section.subsections()? {
            let subsection = subsection?;
            // Other vendors' tags have meanings of their own.
            if subsection.vendor() != b"aeabi" {
                continue;
            }
            for part in subsection.subsubsections() {
                let part = part?;
                if part.tag().0 == TAG_FILE {
                    attributes.read_tags(part.attributes())?;
                }
            }
        }
        Ok(attributes)
    }

    fn read_tags(&mut self, mut tags: object::read::elf::AttributeReader<'_>) -> object::Result<()> {
        while let Some(tag) = tags.read_tag()? {
            match tag {
                TAG_CPU_ARCH => self.cpu_arch = tags.read_integer()?,
                TAG_FP_ARCH => self.fp_arch = tags.read_integer()?,
                TAG_ABI_VFP_ARGS => self.vfp_args = tags.read_integer()?,
                TAG_CPU_RAW_NAME | TAG_CPU_NAME => drop(tags.read_string()?),
                TAG_COMPATIBILITY => {
                    tags.read_integer()?;
                    tags.read_string()?;
                }
                // From 32 on the rule for tags that a reader does not know: odd ones hold a string.
                33.. if tag % 2 == 1 => drop(tags.read_string()?),
                _ => drop(tags.read_integer()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section as the GNU assembler writes it: version, subsection `aeabi`, `Tag_File`, tags.
    fn section(tags: &[u8]) -> Vec<u8> {
        let file_length = u32::try_from(1 + 4 + tags.len()).unwrap();
        let length = 4 + 6 + file_length;
        let mut section = vec![b'A'];
        section.extend(length.to_le_bytes());
        section.extend(b"aeabi\0");
        section.push(TAG_FILE);
        section.extend(file_length.to_le_bytes());
        section.extend(tags);
        section
    }

    #[test]
    fn architecture_and_float_abi_are_found_among_the_other_tags() {
        for (tags, cpu_arch, fp_arch, vfp_args) in [
            (b"".as_slice(), 0, 0, 0),
            (b"\x06\x0a", 10, 0, 0),
            (b"\x05ARM1176JZF-S\0\x06\x07\x08\x01\x0a\x02\x1c\x01", 7, 2, 1),
            (b"\x04raw\0\x06\x04\x20\x01gnu\0\x1c\x03", 4, 0, 3),
            (b"\x412.09\0\x06\x06", 6, 0, 0),
            (b"\x42\x01\x06\x80\x01", 128, 0, 0),
        ] {
            let found = ArmAttributes::parse(Endianness::Little, &section(tags)).unwrap();
            assert_eq!(found, ArmAttributes { cpu_arch, fp_arch, vfp_args }, "{tags:02x?}");
        }
    }

    #[test]
    fn another_vendor_or_another_part_does_not_speak_for_the_file() {
        let mut other = section(b"\x06\x0a");
        other[5..10].copy_from_slice(b"other");
        assert_eq!(ArmAttributes::parse(Endianness::Little, &other).unwrap(), ArmAttributes::default());
    }

    #[test]
    fn a_section_that_ends_early_is_an_error() {
        for section in [section(b"\x06"), section(b"\x05name"), b"A\xff\xff\xff\xffaeabi\0".to_vec(), b"B".to_vec()] {
            assert!(ArmAttributes::parse(Endianness::Little, &section).is_err(), "{section:02x?}");
        }
    }
}
