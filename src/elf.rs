//! The bytes of a binary become [`ElfFacts`], and [`check`] says whether these fit a platform. Nothing is run.
//!
//! Reading takes headers and tables only, never whole sections of code or data, so its memory does not grow with
//! the binary; every size and count that a file claims is held to a bound before it is believed.
//!
//! Neither [`ElfError`] nor [`Mismatch`] knows the file's name: their texts are predicates (`is a shared library,
//! which cannot be started`) that read on after the name that the caller puts before them.

use serde::{Deserialize, Serialize};

mod arm_attributes;
mod check;
mod dynamic;
mod error;
mod go_build;
mod machines;
mod mismatch;
mod not_elf;
mod properties;
mod read;
mod symbols;
#[cfg(test)]
mod tests;

pub use arm_attributes::ArmAttributes;
pub use check::{Unpromised, check, check_code, check_start, unpromised};
pub use dynamic::RequiredVersion;
pub use error::ElfError;
pub use go_build::GoBuild;
pub use machines::{ArmFloat, Loaders, MACHINES, Machine, loaders};
pub use mismatch::Mismatch;
pub use not_elf::FileKind;
pub use symbols::{Name, Symbols, Wanted};

/// Word size of a binary, `EI_CLASS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// 32-bit
    Bits32,
    /// 64-bit
    Bits64,
}

/// Byte order of a binary, `EI_DATA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByteOrder {
    /// least significant byte first
    Little,
    /// most significant byte first
    Big,
}

/// How the kernel would start the file, from `e_type`, `PT_INTERP` and the dynamic section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Linkage {
    /// an executable at a fixed address without a loader
    Static,
    /// a position-independent executable without a loader
    StaticPie,
    /// an executable that names a loader
    Dynamic,
    /// a shared library (`.so`): nothing starts it
    SharedLibrary,
    /// an object file (`.o`), before linking
    ObjectFile,
    /// a core dump
    CoreDump,
    /// an `e_type` that Linux does not start
    Other(u16),
}

/// What a binary is, from its bytes alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// word size
    pub class: Class,
    /// byte order
    pub byte_order: ByteOrder,
    /// `e_machine`, see <https://www.sco.com/developers/gabi/latest/ch4.eheader.html>
    pub machine: u16,
    /// `EI_OSABI`: 0 and 3 are Linux
    pub os_abi: u8,
    /// `e_type`
    pub file_type: u16,
    /// `e_flags`, whose meaning depends on the machine
    pub flags: u32,
    /// `e_entry`: the address at which it starts, 0 for none
    pub entry: u64,
    /// how it is started
    pub linkage: Linkage,
    /// the loader that it asks for (`PT_INTERP`)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// the libraries that it asks for (`DT_NEEDED`), in its order
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// its own name as a library (`DT_SONAME`)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// where it and what it brings look for libraries (`DT_RPATH`), as written: `:` between folders, maybe `$ORIGIN`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpath: Option<String>,
    /// where it alone looks for libraries (`DT_RUNPATH`), as written; a loader that finds one has no eyes for `rpath`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runpath: Option<String>,
    /// true when its libraries are not to come from the loader's own folders (`DF_1_NODEFLIB`)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_default_folders: bool,
    /// true when all its functions are looked up before it starts, not at their first call
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub binds_now: bool,
    /// the symbol versions that it requires of its libraries, in its order
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<RequiredVersion>,
    /// the symbol versions that it offers as a library, in its order
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<String>,
    /// the x86-64 level that it says it needs, 1 to 4 (`GNU_PROPERTY_X86_ISA_1_NEEDED`); compilers say it rarely
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x86_level: Option<u8>,
    /// how it passes floating-point numbers on MIPS (`fp_abi` of `.MIPS.abiflags`): 3 is soft float, 0 is "any"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mips_float: Option<u8>,
    /// what `.ARM.attributes` says; `None` for other machines and for binaries without it, such as Go's own
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm_attributes: Option<ArmAttributes>,
    /// what Go wrote about the build; `None` for binaries that Go did not link
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go: Option<GoBuild>,
}

impl ElfFacts {
    /// True when it starts without a loader and without libraries from the image.
    #[must_use]
    pub fn is_static(&self) -> bool {
        matches!(self.linkage, Linkage::Static | Linkage::StaticPie) && self.needed.is_empty()
    }

    /// The highest required version that starts with `prefix` (`GLIBC_`) and goes on with numbers: `GLIBC_2.34`.
    ///
    /// Names such as `GLIBC_PRIVATE` or `GLIBC_ABI_DT_RELR` have no number; find them in [`ElfFacts::versions`].
    #[must_use]
    pub fn highest_version(&self, prefix: &str) -> Option<&str> {
        self.versions
            .iter()
            .filter_map(|required| {
                let numbers = required.version.strip_prefix(prefix)?;
                let numbers: Option<Vec<u32>> = numbers.split('.').map(|number| number.parse().ok()).collect();
                Some((numbers?, required.version.as_str()))
            })
            .max()
            .map(|(_, version)| version)
    }

    /// The bits of `e_flags`, `.ARM.attributes` and the class that name a calling convention, in words; `None` where
    /// the machine has only one or the binary does not say.
    #[must_use]
    pub fn abi(&self) -> Option<&'static str> {
        machines::abi(self)
    }

    /// How floating-point arguments are passed on ARM; `None` on other machines and where nothing says so.
    #[must_use]
    pub fn arm_float(&self) -> Option<ArmFloat> {
        machines::arm_float(self)
    }

    /// What it is, for a sentence: `an x86-64 binary`, `a 32-bit big-endian MIPS binary`.
    #[must_use]
    pub fn described(&self) -> String {
        machines::describe(self)
    }
}
