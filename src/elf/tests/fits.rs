//! Which binaries fit which platforms, and the words when they do not.

use super::EVERY;
use super::builder::Builder;
use crate::elf::{Linkage, check};
use crate::hint::Hint as _;

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
    ] {
        elf.assert_mismatch(platform, words, hint);
    }
}

#[test]
fn a_setting_of_gos_that_contradicts_the_platform_is_said() {
    let amd64 = Builder::of("linux/amd64");
    for (elf, platform, words, hint) in [
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
        elf.assert_mismatch(platform, words, hint);
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
        elf.assert_mismatch(platform, words, Some(hint));
    }
}

#[test]
fn a_note_above_the_platform_is_an_error_and_one_below_proves_nothing() {
    let mut facts = Builder::of("linux/amd64").facts();
    for (level, platforms) in [
        (None, &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"][..]),
        (Some(1), &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"]),
        (Some(2), &["linux/amd64/v2", "linux/amd64/v4"]),
        (Some(4), &["linux/amd64/v4"]),
    ] {
        facts.x86_level = level;
        for platform in ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"] {
            let result = check(&facts, platform.parse().unwrap());
            assert_eq!(result.is_ok(), platforms.contains(&platform), "{level:?} on {platform}: {result:?}");
        }
    }
    facts.x86_level = Some(3);
    let mismatch = check(&facts, "linux/amd64".parse().unwrap()).unwrap_err();
    assert_eq!(mismatch.to_string(), "says that it needs x86-64-v3, linux/amd64 is x86-64-v1");
    assert_eq!(mismatch.hints(), ["-march=x86-64", "publish it as what it is: --platform linux/amd64/v3"]);
}

#[test]
fn an_fpu_that_old_arms_lack_is_an_error() {
    let mut facts = Builder::of("linux/arm").arm(6, 1).facts();
    for (fp_arch, fits) in [(0, [true; 3]), (2, [true; 3]), (4, [false, true, true]), (8, [false, false, true])] {
        facts.arm_attributes.as_mut().unwrap().fp_arch = fp_arch;
        for (platform, fits) in ["linux/arm/v6", "linux/arm/v7", "linux/arm/v8"].iter().zip(fits) {
            let result = check(&facts, platform.parse().unwrap());
            assert_eq!(result.is_ok(), fits, "{fp_arch} on {platform}: {result:?}");
        }
    }
}

#[test]
fn what_go_needs_beyond_the_platform_is_known() {
    for (built, setting, unpromised) in [
        ("linux/ppc64le", "GOPPC64=power9", Some("power8")),
        ("linux/ppc64le", "GOPPC64=power8", None),
        ("linux/riscv64", "GORISCV64=rva22u64", Some("rva20u64")),
        ("linux/mipsle", "GOMIPS=softfloat", None),
    ] {
        let facts = Builder::of(built).go(setting).facts();
        let found = crate::elf::unpromised(&facts, built.parse().unwrap());
        assert_eq!(found.map(|found| found.promised), unpromised, "{built} {setting}");
    }
}
