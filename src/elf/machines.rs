//! ELF facts of every architecture, in one table: what a binary's header says, and which loaders start it.
//!
//! Flags are judged by masks: gcc, Go and lld set different bits beside the ones that matter. Sources: the processor
//! supplements to the System V ABI, glibc's `shlib-versions` and `sysdeps/unix/sysv/linux/*/ldsodefs.h`, musl's
//! `arch/*/reloc.h`, and what the compilers write.

use object::elf;

use super::{ByteOrder, Class, ElfFacts};
use crate::platform::{Architecture, Os, Platform};

/// How ARM binaries pass floating-point arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArmFloat {
    /// in VFP registers, `eabihf`
    Hard,
    /// in core registers, `eabi`
    Soft,
}

/// The dynamic loaders of an architecture, as `PT_INTERP` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaders {
    /// glibc's
    pub glibc: &'static str,
    /// musl's
    pub musl: &'static str,
}

/// The bits of `e_flags` that a platform prescribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagRule {
    /// the bits that are looked at
    pub mask: u32,
    /// the values that they may have
    pub allowed: &'static [u32],
    /// what these values mean, for a sentence: `EABI version 5`
    pub meaning: &'static str,
}

/// What the header of a binary for an architecture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// the architecture
    pub architecture: Architecture,
    /// word size
    pub class: Class,
    /// byte order
    pub byte_order: ByteOrder,
    /// `e_machine`
    pub machine: u16,
    /// its name in a sentence
    pub name: &'static str,
    /// what `e_flags` must say
    pub flags: &'static [FlagRule],
    /// its loaders; ARM's for hard float
    pub loaders: Loaders,
}

/// ARM's loaders for soft float, which linux/arm/v5 has.
const ARM_SOFT_LOADERS: Loaders = Loaders { glibc: "/lib/ld-linux.so.3", musl: "/lib/ld-musl-arm.so.1" };

/// Release 6 (`0x90000000` and up) runs nothing that was made for the releases before it, and the other way round.
const MIPS_BEFORE_RELEASE_6: FlagRule = FlagRule {
    mask: elf::EF_MIPS_ARCH,
    allowed: &[
        elf::EF_MIPS_ARCH_1.0,
        elf::EF_MIPS_ARCH_2.0,
        elf::EF_MIPS_ARCH_3.0,
        elf::EF_MIPS_ARCH_4.0,
        elf::EF_MIPS_ARCH_5.0,
        elf::EF_MIPS_ARCH_32.0,
        elf::EF_MIPS_ARCH_64.0,
        elf::EF_MIPS_ARCH_32R2.0,
        elf::EF_MIPS_ARCH_64R2.0,
    ],
    meaning: "a MIPS release before 6",
};

/// `fp_abi` of code that computes floating-point numbers by itself.
const MIPS_SOFT_FLOAT: u8 = 3;

/// Set for n32, which has a loader and libraries of its own.
const MIPS_NOT_N32: FlagRule =
    FlagRule { mask: elf::EF_MIPS_ABI2.0, allowed: &[0], meaning: "the o32 or n64 ABI, not n32" };

/// One row an architecture.
pub const MACHINES: &[Machine] = &[
    Machine {
        architecture: Architecture::Amd64,
        class: Class::Bits64,
        byte_order: ByteOrder::Little,
        machine: elf::EM_X86_64.0,
        name: "x86-64",
        flags: &[],
        loaders: Loaders { glibc: "/lib64/ld-linux-x86-64.so.2", musl: "/lib/ld-musl-x86_64.so.1" },
    },
    Machine {
        architecture: Architecture::I386,
        class: Class::Bits32,
        byte_order: ByteOrder::Little,
        machine: elf::EM_386.0,
        name: "32-bit x86",
        flags: &[],
        loaders: Loaders { glibc: "/lib/ld-linux.so.2", musl: "/lib/ld-musl-i386.so.1" },
    },
    Machine {
        architecture: Architecture::Arm64,
        class: Class::Bits64,
        byte_order: ByteOrder::Little,
        machine: elf::EM_AARCH64.0,
        name: "AArch64",
        flags: &[],
        loaders: Loaders { glibc: "/lib/ld-linux-aarch64.so.1", musl: "/lib/ld-musl-aarch64.so.1" },
    },
    Machine {
        architecture: Architecture::Arm,
        class: Class::Bits32,
        byte_order: ByteOrder::Little,
        machine: elf::EM_ARM.0,
        name: "32-bit ARM",
        flags: &[FlagRule {
            mask: elf::EF_ARM_EABIMASK,
            allowed: &[elf::EF_ARM_EABI_VER5.0],
            meaning: "EABI version 5",
        }],
        loaders: Loaders { glibc: "/lib/ld-linux-armhf.so.3", musl: "/lib/ld-musl-armhf.so.1" },
    },
    Machine {
        architecture: Architecture::Ppc64le,
        class: Class::Bits64,
        byte_order: ByteOrder::Little,
        machine: elf::EM_PPC64.0,
        name: "64-bit little-endian PowerPC",
        // 0 is "not said"; 1 is ELFv1.
        flags: &[FlagRule { mask: elf::EF_PPC64_ABI, allowed: &[0, 2], meaning: "the ELFv2 ABI" }],
        loaders: Loaders { glibc: "/lib64/ld64.so.2", musl: "/lib/ld-musl-powerpc64le.so.1" },
    },
    Machine {
        architecture: Architecture::S390x,
        class: Class::Bits64,
        byte_order: ByteOrder::Big,
        machine: elf::EM_S390.0,
        name: "s390x",
        flags: &[],
        loaders: Loaders { glibc: "/lib/ld64.so.1", musl: "/lib/ld-musl-s390x.so.1" },
    },
    Machine {
        architecture: Architecture::Riscv64,
        class: Class::Bits64,
        byte_order: ByteOrder::Little,
        machine: elf::EM_RISCV.0,
        name: "64-bit RISC-V",
        flags: &[
            FlagRule {
                mask: elf::EF_RISCV_FLOAT_ABI,
                allowed: &[elf::EF_RISCV_FLOAT_ABI_DOUBLE.0],
                meaning: "the lp64d ABI (double-precision float)",
            },
            FlagRule { mask: elf::EF_RISCV_RVE.0, allowed: &[0], meaning: "all 32 registers, not RV64E" },
        ],
        loaders: Loaders { glibc: "/lib/ld-linux-riscv64-lp64d.so.1", musl: "/lib/ld-musl-riscv64.so.1" },
    },
    Machine {
        architecture: Architecture::Loong64,
        class: Class::Bits64,
        byte_order: ByteOrder::Little,
        machine: elf::EM_LOONGARCH.0,
        name: "64-bit LoongArch",
        flags: &[FlagRule {
            mask: elf::EF_LARCH_ABI_MODIFIER_MASK,
            allowed: &[elf::EF_LARCH_ABI_DOUBLE_FLOAT.0],
            meaning: "the lp64d ABI (double-precision float)",
        }],
        loaders: Loaders { glibc: "/lib64/ld-linux-loongarch-lp64d.so.1", musl: "/lib/ld-musl-loongarch64.so.1" },
    },
    Machine {
        architecture: Architecture::Ppc64,
        class: Class::Bits64,
        byte_order: ByteOrder::Big,
        machine: elf::EM_PPC64.0,
        name: "64-bit big-endian PowerPC",
        flags: &[],
        loaders: Loaders { glibc: "/lib64/ld64.so.1", musl: "/lib/ld-musl-powerpc64.so.1" },
    },
    Machine {
        architecture: Architecture::Mips64le,
        class: Class::Bits64,
        byte_order: ByteOrder::Little,
        machine: elf::EM_MIPS.0,
        name: "64-bit little-endian MIPS",
        flags: &[MIPS_BEFORE_RELEASE_6],
        loaders: Loaders { glibc: "/lib64/ld.so.1", musl: "/lib/ld-musl-mips64el.so.1" },
    },
    Machine {
        architecture: Architecture::Mips64,
        class: Class::Bits64,
        byte_order: ByteOrder::Big,
        machine: elf::EM_MIPS.0,
        name: "64-bit big-endian MIPS",
        flags: &[MIPS_BEFORE_RELEASE_6],
        loaders: Loaders { glibc: "/lib64/ld.so.1", musl: "/lib/ld-musl-mips64.so.1" },
    },
    Machine {
        architecture: Architecture::Mipsle,
        class: Class::Bits32,
        byte_order: ByteOrder::Little,
        machine: elf::EM_MIPS.0,
        name: "32-bit little-endian MIPS",
        flags: &[MIPS_BEFORE_RELEASE_6, MIPS_NOT_N32],
        loaders: Loaders { glibc: "/lib/ld.so.1", musl: "/lib/ld-musl-mipsel.so.1" },
    },
    Machine {
        architecture: Architecture::Mips,
        class: Class::Bits32,
        byte_order: ByteOrder::Big,
        machine: elf::EM_MIPS.0,
        name: "32-bit big-endian MIPS",
        flags: &[MIPS_BEFORE_RELEASE_6, MIPS_NOT_N32],
        loaders: Loaders { glibc: "/lib/ld.so.1", musl: "/lib/ld-musl-mips.so.1" },
    },
];

/// Machines that are met now and then and that no platform of ours has.
const OTHER_MACHINES: &[(u16, &str)] = &[
    (elf::EM_SPARC.0, "SPARC"),
    (elf::EM_68K.0, "Motorola 68000"),
    (elf::EM_PARISC.0, "PA-RISC"),
    (elf::EM_PPC.0, "32-bit PowerPC"),
    (elf::EM_SH.0, "SuperH"),
    (elf::EM_SPARCV9.0, "64-bit SPARC"),
    (elf::EM_IA_64.0, "Itanium"),
    (elf::EM_BPF.0, "BPF"),
    (elf::EM_ALPHA.0, "Alpha"),
];

/// The row of an architecture.
pub(super) fn machine(architecture: Architecture) -> &'static Machine {
    MACHINES.iter().find(|row| row.architecture == architecture).expect("a test holds the table to have every row")
}

/// The loaders that a binary for `platform` names; `None` where programs are not ELF files for Linux.
#[must_use]
pub fn loaders(platform: Platform) -> Option<Loaders> {
    if platform.os() != Os::Linux {
        return None;
    }
    let soft = platform.architecture() == Architecture::Arm && platform.level().is_some_and(|level| level.major < 6);
    Some(if soft { ARM_SOFT_LOADERS } else { machine(platform.architecture()).loaders })
}

/// The row that a binary's header fits.
pub(super) fn machine_of(facts: &ElfFacts) -> Option<&'static Machine> {
    MACHINES
        .iter()
        .find(|row| (row.machine, row.class, row.byte_order) == (facts.machine, facts.class, facts.byte_order))
}

pub(super) fn arm_float(facts: &ElfFacts) -> Option<ArmFloat> {
    if facts.machine != elf::EM_ARM.0 {
        return None;
    }
    let says = |flag: u32| facts.flags & flag != 0;
    // A value of 3 means that no function takes or returns a float, so both conventions are the same to it.
    match facts.arm_attributes.map(|attributes| attributes.vfp_args) {
        Some(1) => Some(ArmFloat::Hard),
        _ if says(elf::EF_ARM_ABI_FLOAT_HARD) => Some(ArmFloat::Hard),
        Some(0) => Some(ArmFloat::Soft),
        _ if says(elf::EF_ARM_ABI_FLOAT_SOFT) => Some(ArmFloat::Soft),
        _ => None,
    }
}

pub(super) fn abi(facts: &ElfFacts) -> Option<&'static str> {
    let flags = elf::FileFlags(facts.flags);
    let wide = facts.class == Class::Bits64;
    match elf::Machine(facts.machine) {
        elf::EM_ARM => match (facts.flags & elf::EF_ARM_EABIMASK, arm_float(facts)) {
            (eabi, _) if eabi != elf::EF_ARM_EABI_VER5.0 => Some("an ABI before EABI version 5"),
            (_, Some(ArmFloat::Hard)) => Some("the hard-float ABI"),
            (_, Some(ArmFloat::Soft)) => Some("the soft-float ABI"),
            (_, None) => None,
        },
        elf::EM_RISCV if facts.flags & elf::EF_RISCV_RVE.0 != 0 => {
            Some(if wide { "the lp64e ABI" } else { "the ilp32e ABI" })
        }
        elf::EM_RISCV => Some(match (facts.flags & elf::EF_RISCV_FLOAT_ABI, wide) {
            (0, true) => "the lp64 ABI (soft float)",
            (2, true) => "the lp64f ABI (single-precision float)",
            (4, true) => "the lp64d ABI (double-precision float)",
            (_, true) => "the lp64q ABI (quad-precision float)",
            (0, false) => "the ilp32 ABI (soft float)",
            (2, false) => "the ilp32f ABI (single-precision float)",
            (4, false) => "the ilp32d ABI (double-precision float)",
            (_, false) => "the ilp32q ABI (quad-precision float)",
        }),
        elf::EM_LOONGARCH => match facts.flags & elf::EF_LARCH_ABI_MODIFIER_MASK {
            1 => Some("the soft-float ABI"),
            2 => Some("the single-precision float ABI"),
            3 => Some("the double-precision float ABI"),
            _ => None,
        },
        elf::EM_PPC64 => match facts.flags & elf::EF_PPC64_ABI {
            1 => Some("the ELFv1 ABI"),
            2 => Some("the ELFv2 ABI"),
            _ => None,
        },
        elf::EM_MIPS if matches!(flags.mips_arch(), elf::EF_MIPS_ARCH_32R6 | elf::EF_MIPS_ARCH_64R6) => {
            Some("MIPS release 6")
        }
        elf::EM_MIPS => {
            let soft = facts.mips_float == Some(MIPS_SOFT_FLOAT);
            Some(match (wide, facts.flags & elf::EF_MIPS_ABI2.0 != 0) {
                (true, _) if soft => "the n64 ABI (soft float)",
                (true, _) => "the n64 ABI",
                (false, true) => "the n32 ABI",
                (false, false) if soft => "the o32 ABI (soft float)",
                (false, false) => "the o32 ABI",
            })
        }
        _ => None,
    }
}

pub(super) fn describe(facts: &ElfFacts) -> String {
    let other = OTHER_MACHINES.iter().find(|(machine, _)| *machine == facts.machine).map(|(_, name)| *name);
    if let Some(name) = machine_of(facts).map(|row| row.name).or(other) {
        return format!("{} {name} binary", article(name));
    }
    let bits = if facts.class == Class::Bits64 { "64-bit" } else { "32-bit" };
    let order = if facts.byte_order == ByteOrder::Big { "big-endian" } else { "little-endian" };
    match elf::Machine(facts.machine) {
        elf::EM_X86_64 => "a 32-bit x86-64 binary (x32)".to_owned(),
        elf::EM_RISCV => format!("a {bits} {order} RISC-V binary"),
        elf::EM_ARM | elf::EM_AARCH64 => format!("a {bits} {order} ARM binary"),
        elf::EM_S390 => "a 31-bit s390 binary".to_owned(),
        elf::EM_LOONGARCH => format!("a {bits} {order} LoongArch binary"),
        machine => format!("a {bits} {order} binary for a machine that is not known here (ELF machine {machine})"),
    }
}

/// "an" before the names of ours that are spoken with a vowel first: `x86-64`, `AArch64`, `s390x`, `Alpha`.
fn article(name: &str) -> &'static str {
    if name.starts_with(['x', 'A', 's', 'I']) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_a_row_and_no_header_fits_two() {
        for text in [
            "amd64", "386", "arm", "arm64", "ppc64", "ppc64le", "s390x", "riscv64", "loong64", "mips", "mipsle",
            "mips64", "mips64le",
        ] {
            let platform: Platform = text.parse().unwrap();
            let row = machine(platform.architecture());
            let same = |other: &&Machine| {
                (other.machine, other.class, other.byte_order) == (row.machine, row.class, row.byte_order)
            };
            assert_eq!(MACHINES.iter().filter(same).count(), 1, "{text}");
        }
    }

    #[test]
    fn the_loader_follows_the_float_abi() {
        for (platform, glibc) in [
            ("linux/arm/v5", Some("/lib/ld-linux.so.3")),
            ("linux/arm/v6", Some("/lib/ld-linux-armhf.so.3")),
            ("linux/arm/v7", Some("/lib/ld-linux-armhf.so.3")),
            ("linux/amd64/v3", Some("/lib64/ld-linux-x86-64.so.2")),
            ("freebsd/amd64", None),
        ] {
            assert_eq!(loaders(platform.parse().unwrap()).map(|loaders| loaders.glibc), glibc, "{platform}");
        }
    }
}
