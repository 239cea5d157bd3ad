//! [`ElfFacts`] against a [`Platform`]: whether a kernel and a CPU of that platform start the binary.
//!
//! What the image has to hold beside it (loader, libraries, versions) is not looked at here.

use object::elf;

use super::machines::{self, Machine};
use super::mismatch::Mismatch;
use super::{ArmFloat, ElfFacts, GoBuild, Linkage};
use crate::platform::{Architecture, Os, Platform, Variant};

/// Checks that the kernel and the CPU of `platform` start the binary, and that it passes numbers as the libraries of the
/// platform's usual images do.
///
/// # Errors
/// The first thing that keeps it from starting.
pub fn check(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    check_start(facts, platform)?;
    // Soft float runs everywhere, but from v6 on the libraries of an image pass floats in registers.
    let hard_platform = platform.level().is_some_and(|level| level.major >= 6);
    if hard_platform && facts.arm_float() == Some(ArmFloat::Soft) && !facts.is_static() {
        return Err(float_mismatch(facts, "the hard-float ABI", platform));
    }
    Ok(())
}

/// Checks that the kernel and the CPU of `platform` start the binary, whatever else is in its image.
///
/// # Errors
/// The first thing that keeps it from starting.
pub fn check_start(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    startable(facts)?;
    check_code(facts, platform)
}

/// Checks that a CPU of `platform` runs the code of a program or of a library.
///
/// # Errors
/// The first thing that keeps it from running.
pub fn check_code(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    operating_system(facts, platform)?;
    machine(facts, platform)?;
    abi(facts, platform)?;
    match platform.architecture() {
        Architecture::Arm => {
            arm_float(facts, platform)?;
            arm_architecture(facts, platform)?;
            arm_numbers(facts, platform)?;
        }
        Architecture::Amd64 => x86_level(facts, platform)?,
        _ => {}
    }
    facts.go.as_ref().map_or(Ok(()), |go| go_settings(go, platform))
}

fn startable(facts: &ElfFacts) -> Result<(), Mismatch> {
    let what = match facts.linkage {
        Linkage::ObjectFile => "an object file, which is not linked yet",
        Linkage::SharedLibrary => "a shared library, which nothing starts",
        Linkage::CoreDump => "a core dump, not a program",
        Linkage::Other(_) => "an ELF file of a type that Linux does not start",
        Linkage::Static | Linkage::StaticPie | Linkage::Dynamic if facts.entry == 0 => {
            "a program without an entry point, which crashes as it starts"
        }
        Linkage::Static | Linkage::StaticPie if !facts.needed.is_empty() => {
            "a program that needs shared libraries and names no loader to bring them"
        }
        Linkage::Static | Linkage::StaticPie | Linkage::Dynamic => return Ok(()),
    };
    Err(Mismatch::NotStartable { what })
}

/// Linux starts binaries without a mark (`System V`) and with its own; other systems mark theirs.
fn operating_system(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    let mismatch = |found: String, needed: &'static str| Mismatch::OperatingSystem { found, needed, platform };
    let found = match elf::OsAbi(facts.os_abi) {
        elf::ELFOSABI_NONE | elf::ELFOSABI_GNU => "Linux".to_owned(),
        elf::ELFOSABI_FREEBSD => "FreeBSD".to_owned(),
        elf::ELFOSABI_NETBSD => "NetBSD".to_owned(),
        elf::ELFOSABI_OPENBSD => "OpenBSD".to_owned(),
        elf::ELFOSABI_SOLARIS => "Solaris".to_owned(),
        other => format!("an operating system that is not known here (ELF OS ABI {other})"),
    };
    match platform.os() {
        Os::Linux if found == "Linux" => Ok(()),
        Os::Linux => Err(mismatch(found, "Linux")),
        Os::Freebsd if found == "FreeBSD" => Ok(()),
        Os::Freebsd => Err(mismatch(found, "FreeBSD")),
        Os::Darwin => Err(mismatch(found, "a Mach-O binary")),
        Os::Windows => Err(mismatch(found, "a PE binary")),
    }
}

fn machine(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    let found = machines::machine_of(facts);
    if found.is_some_and(|row| row.architecture == platform.architecture()) {
        return Ok(());
    }
    Err(Mismatch::Machine {
        found: facts.described(),
        needed: machines::machine(platform.architecture()).name,
        platform,
        fits: found.map(|row| fitting(facts, row)),
        go: facts.go.is_some(),
    })
}

/// The lowest platform of ours that the binary fits, for a hint.
fn fitting(facts: &ElfFacts, row: &Machine) -> Platform {
    let lowest = Platform::linux(row.architecture);
    if row.architecture != Architecture::Arm {
        return lowest;
    }
    let level = arm_level(facts).ok().flatten().map_or(7, |level| level.major.clamp(5, 8));
    Platform::from_parts("linux", "arm", Some(&level.to_string())).unwrap_or(lowest)
}

fn abi(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    let rules = machines::machine(platform.architecture()).flags;
    match rules.iter().find(|rule| !rule.allowed.contains(&(facts.flags & rule.mask))) {
        None => Ok(()),
        Some(rule) => Err(Mismatch::Abi {
            found: facts.abi().map_or_else(|| format!("the ELF flags {:#x}", facts.flags), str::to_owned),
            needed: rule.meaning,
            platform,
        }),
    }
}

/// Hard float needs VFP registers, which v5 does not have.
fn arm_float(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    let soft_platform = platform.level().is_some_and(|level| level.major < 6);
    match facts.arm_float() {
        Some(ArmFloat::Hard) if soft_platform => Err(float_mismatch(facts, "the soft-float ABI", platform)),
        _ => Ok(()),
    }
}

fn float_mismatch(facts: &ElfFacts, needed: &'static str, platform: Platform) -> Mismatch {
    Mismatch::Abi { found: facts.abi().unwrap_or("another float ABI").to_owned(), needed, platform }
}

/// Values of `Tag_FP_arch` in words.
const ARM_NUMBERS: &[&str] =
    &["no FPU", "VFPv1", "VFPv2", "VFPv3", "VFPv3-D16", "VFPv4", "VFPv4-D16", "the FPU of ARMv8", "the FPU of ARMv8"];

/// The ARM926 and the ARM1176, which v5 and v6 mean, have VFP v2. A v7 may have VFP v4 or v3, and compilers for the one
/// rarely use what the other lacks: there it proves nothing.
fn arm_numbers(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    let Some(attributes) = facts.arm_attributes else { return Ok(()) };
    let highest = match platform.level().map_or(7, |level| level.major) {
        ..=6 => 2,
        7 => 6,
        _ => return Ok(()),
    };
    if attributes.fp_arch <= highest {
        return Ok(());
    }
    let known = usize::try_from(attributes.fp_arch).ok().and_then(|tag| ARM_NUMBERS.get(tag));
    let found = known.map_or_else(
        || format!("an FPU that is not known here (Tag_FP_arch {})", attributes.fp_arch),
        |name| (*name).to_owned(),
    );
    let needed = if highest == 2 { "VFPv2" } else { "VFPv4" }.to_owned();
    Err(Mismatch::ArmArchitecture { found, needed, platform, go: false })
}

/// A note above the platform is an error; one at or below it proves nothing, as compilers write it whatever they use.
fn x86_level(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    let highest = platform.level().map_or(1, |level| level.major);
    match facts.x86_level {
        Some(level) if level > highest => Err(Mismatch::X86Level { found: level, needed: highest, platform }),
        _ => Ok(()),
    }
}

/// What an ARM binary needs of the CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ArmLevel {
    /// the lowest `linux/arm/vN` that runs it
    major: u8,
    /// for a sentence: `ARMv6T2`
    name: String,
}

/// Values of `Tag_CPU_arch` and the variant of linux/arm that each needs. The v6 that people have is the ARM1176
/// (v6KZ), which lacks v6T2's instructions; the M profiles do not run Linux programs of this kind.
const ARM_ARCHITECTURES: &[(u64, Option<u8>, &str)] = &[
    (0, Some(5), "ARM before v4"),
    (1, Some(5), "ARMv4"),
    (2, Some(5), "ARMv4T"),
    (3, Some(5), "ARMv5T"),
    (4, Some(5), "ARMv5TE"),
    (5, Some(5), "ARMv5TEJ"),
    (6, Some(6), "ARMv6"),
    (7, Some(6), "ARMv6KZ"),
    (8, Some(7), "ARMv6T2"),
    (9, Some(6), "ARMv6K"),
    (10, Some(7), "ARMv7"),
    (11, None, "ARMv6-M"),
    (12, None, "ARMv6S-M"),
    (13, None, "ARMv7E-M"),
    (14, Some(8), "ARMv8-A"),
    (15, None, "ARMv8-R"),
    (16, None, "ARMv8-M (baseline)"),
    (17, None, "ARMv8-M (mainline)"),
    (18, Some(8), "ARMv8.1-A"),
    (19, Some(8), "ARMv8.2-A"),
    (20, Some(8), "ARMv8.3-A"),
    (21, None, "ARMv8.1-M (mainline)"),
    (22, Some(9), "ARMv9-A"),
];

/// The higher of what `.ARM.attributes` and Go's `GOARM` say; `None` when neither says anything.
fn arm_level(facts: &ElfFacts) -> Result<Option<ArmLevel>, String> {
    let attributes = match facts.arm_attributes {
        None => None,
        Some(attributes) => match ARM_ARCHITECTURES.iter().find(|(tag, ..)| *tag == attributes.cpu_arch) {
            Some((_, Some(major), name)) => Some(ArmLevel { major: *major, name: (*name).to_owned() }),
            Some((_, None, name)) => return Err((*name).to_owned()),
            None => return Err(format!("an ARM that is not known here (Tag_CPU_arch {})", attributes.cpu_arch)),
        },
    };
    let go = facts.go.as_ref().and_then(|go| go.setting("GOARM")).and_then(parse_goarm);
    let go = go.map(|(major, _)| ArmLevel { major, name: format!("ARMv{major} (GOARM={major})") });
    Ok(attributes.into_iter().chain(go).max_by_key(|level| level.major))
}

/// The architecture of a `GOARM`, and its float if written; `None` for what Go's documentation does not have.
fn parse_goarm(value: &str) -> Option<(u8, ArmFloat)> {
    let (major, float) = value.split_once(',').map_or((value, None), |(major, float)| (major, Some(float)));
    let major = match major {
        "5" => 5,
        "6" => 6,
        "7" => 7,
        _ => return None,
    };
    match float {
        Some("softfloat") => Some((major, ArmFloat::Soft)),
        Some("hardfloat") => Some((major, ArmFloat::Hard)),
        Some(_) => None,
        None => Some((major, if major == 5 { ArmFloat::Soft } else { ArmFloat::Hard })),
    }
}

fn arm_architecture(facts: &ElfFacts, platform: Platform) -> Result<(), Mismatch> {
    let go = facts.go.as_ref();
    let go_arm = match go.and_then(|go| go.setting("GOARM")) {
        Some(value) => Some(parse_goarm(value).ok_or_else(|| Mismatch::GoValue {
            name: "GOARM",
            value: value.to_owned(),
            platform,
        })?),
        None => None,
    };
    let highest = platform.level().map_or(7, |level| level.major);
    let needed = format!("ARMv{highest}");
    let too_new = |found: String| {
        Err(Mismatch::ArmArchitecture { found, needed: needed.clone(), platform, go: go_arm.is_some() })
    };
    match arm_level(facts) {
        Err(found) => too_new(found),
        Ok(Some(level)) if level.major > highest => too_new(level.name),
        // From v7 on, what says nothing is let through: v7 is what compilers make unless told otherwise.
        Ok(None) if highest < 7 => Err(Mismatch::ArmArchitectureUnknown { needed, platform }),
        Ok(_) => match go_arm {
            Some((_, ArmFloat::Hard)) if highest < 6 => Err(Mismatch::GoSetting {
                name: "GOARM",
                value: go.and_then(|go| go.setting("GOARM")).unwrap_or_default().to_owned(),
                needed: "GOARM=5".to_owned(),
                platform,
            }),
            _ => Ok(()),
        },
    }
}

/// Go's own record against the platform: what a header does not show.
fn go_settings(go: &GoBuild, platform: Platform) -> Result<(), Mismatch> {
    let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
    for (name, needed) in [("GOOS", os), ("GOARCH", architecture)] {
        if let Some(value) = go.setting(name).filter(|value| *value != needed) {
            let needed = format!("{name}={needed}");
            return Err(Mismatch::GoSetting { name, value: value.to_owned(), needed, platform });
        }
    }
    let (name, parse): (&'static str, fn(&str) -> Option<Variant>) = match platform.architecture() {
        Architecture::Amd64 => ("GOAMD64", parse_goamd64),
        Architecture::Arm64 => ("GOARM64", parse_goarm64),
        _ => return Ok(()),
    };
    let Some(value) = go.setting(name) else { return Ok(()) };
    let value = value.to_owned();
    match (parse(&value), platform.level()) {
        (None, _) => Err(Mismatch::GoValue { name, value, platform }),
        (Some(found), Some(level)) if found > level => {
            let level = if name == "GOARM64" { format!("v{}.{}", level.major, level.minor) } else { level.to_string() };
            Err(Mismatch::GoSetting { name, value, needed: format!("{name}={level}"), platform })
        }
        _ => Ok(()),
    }
}

fn parse_goamd64(value: &str) -> Option<Variant> {
    let major = value.strip_prefix('v')?.parse().ok().filter(|major| (1..=4).contains(major))?;
    Some(Variant { major, minor: 0 })
}

/// `v8.0` to `v9.5`, with `,lse` and `,crypto`. LSE's atomics came with v8.1, so a binary that uses them needs it.
fn parse_goarm64(value: &str) -> Option<Variant> {
    let mut parts = value.split(',');
    let (major, minor) = parts.next()?.strip_prefix('v')?.split_once('.')?;
    let mut level = Variant { major: major.parse().ok()?, minor: minor.parse().ok()? };
    for option in parts {
        match option {
            "lse" => level = level.max(Variant { major: 8, minor: 1 }),
            "crypto" => {}
            _ => return None,
        }
    }
    (matches!(level.major, 8 | 9)).then_some(level)
}

/// A setting of Go's build that the platform does not promise, and that no platform has a name for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpromised {
    /// `GOPPC64`
    pub name: &'static str,
    /// its value
    pub value: String,
    /// what the platform promises
    pub promised: &'static str,
}

/// The setting by which a binary of Go's may need more than the platform promises: it starts on newer machines only.
#[must_use]
pub fn unpromised(facts: &ElfFacts, platform: Platform) -> Option<Unpromised> {
    let (name, promised) = match platform.architecture() {
        Architecture::Ppc64 | Architecture::Ppc64le => ("GOPPC64", "power8"),
        Architecture::Riscv64 => ("GORISCV64", "rva20u64"),
        _ => return None,
    };
    let value = facts.go.as_ref()?.setting(name).filter(|value| *value != promised)?;
    Some(Unpromised { name, value: value.to_owned(), promised })
}
