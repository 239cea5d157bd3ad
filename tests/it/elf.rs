//! ELF facts of binaries that real compilers make, with readelf as the second opinion.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyarch::elf::{ArmFloat, ElfFacts, Linkage, check};

/// Runs a command to its end, and shows what it said if that was not a good one.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn facts(path: &Path) -> ElfFacts {
    ElfFacts::read(fs::File::open(path).unwrap()).unwrap_or_else(|error| panic!("{} {error}", path.display()))
}

fn go_build(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> PathBuf {
    let name: Vec<String> = settings.iter().map(|(name, value)| format!("{name}_{value}")).collect();
    let binary = folder.join(name.join("_"));
    let mut command = Command::new("go");
    command.args(["build", "-trimpath", "-o"]).arg(&binary).args(arguments).arg(".").current_dir(folder);
    for inherited in ["GOFLAGS", "GOARM", "GOAMD64", "GOARM64", "GOMIPS", "GOMIPS64"] {
        command.env_remove(inherited);
    }
    command.env("GOENV", "off").env("GOTOOLCHAIN", "local").env("GOOS", "linux").env("CGO_ENABLED", "0");
    output(command.envs(settings.iter().copied()));
    binary
}

fn go_hello() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("go.mod"), "module example.com/hello\n\ngo 1.21\n").unwrap();
    // Without fmt, so that each architecture compiles little more than the runtime.
    fs::write(folder.path().join("main.go"), "package main\n\nfunc main() { println(\"hello\") }\n").unwrap();
    folder
}

#[test]
fn gos_binaries_fit_their_platforms_and_only_these() {
    const PLATFORMS: &[&str] = &[
        "linux/386",
        "linux/amd64",
        "linux/amd64/v3",
        "linux/arm/v5",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/arm64",
        "linux/loong64",
        "linux/mips",
        "linux/mips64",
        "linux/mips64le",
        "linux/mipsle",
        "linux/ppc64",
        "linux/ppc64le",
        "linux/riscv64",
        "linux/s390x",
    ];
    let folder = go_hello();
    let go_version = output(Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"));
    for (goarch, level, fits) in [
        ("386", None, &["linux/386"][..]),
        ("amd64", None, &["linux/amd64", "linux/amd64/v3"]),
        ("amd64", Some(("GOAMD64", "v3")), &["linux/amd64/v3"]),
        ("arm", Some(("GOARM", "5")), &["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"]),
        ("arm", Some(("GOARM", "6")), &["linux/arm/v6", "linux/arm/v7"]),
        ("arm", Some(("GOARM", "7")), &["linux/arm/v7"]),
        ("arm", Some(("GOARM", "7,softfloat")), &["linux/arm/v7"]),
        ("arm64", None, &["linux/arm64"]),
        ("loong64", None, &["linux/loong64"]),
        ("mips", None, &["linux/mips"]),
        ("mips64", None, &["linux/mips64"]),
        ("mips64le", None, &["linux/mips64le"]),
        ("mipsle", None, &["linux/mipsle"]),
        ("ppc64", None, &["linux/ppc64"]),
        ("ppc64le", None, &["linux/ppc64le"]),
        ("riscv64", None, &["linux/riscv64"]),
        ("s390x", None, &["linux/s390x"]),
    ] {
        let settings: Vec<_> = [("GOARCH", goarch)].into_iter().chain(level).collect();
        // Stripped, as programs for images are; Go's record of the build survives it.
        let binary = go_build(folder.path(), &settings, &["-ldflags=-s -w"]);
        let facts = facts(&binary);
        assert!(facts.is_static(), "{settings:?}: {facts:?}");
        let go = facts.go.as_ref().unwrap_or_else(|| panic!("{settings:?}: no build information"));
        assert_eq!(go.version.as_deref(), Some(go_version.trim()));
        for (name, value) in settings.iter().chain(&[("GOOS", "linux"), ("CGO_ENABLED", "0")]) {
            assert_eq!(go.setting(name), Some(*value));
        }
        for platform in PLATFORMS {
            let result = check(&facts, platform.parse().unwrap());
            assert_eq!(result.is_ok(), fits.contains(platform), "{settings:?} on {platform}: {result:?}");
        }
        assert_header_is_what_readelf_says(&binary, &facts);
    }
}

#[test]
fn a_goarm_that_go_takes_without_a_word_is_an_error_that_names_it() {
    let folder = go_hello();
    let binary = go_build(folder.path(), &[("GOARCH", "arm"), ("GOARM", "banana")], &[]);
    for platform in ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"] {
        let mismatch = check(&facts(&binary), platform.parse().unwrap()).unwrap_err();
        assert_eq!(mismatch.to_string(), "was built with GOARM=banana, which is not a value of GOARM");
    }
}

fn compile(folder: &Path, compiler: &str, name: &str, arguments: &[&str]) -> PathBuf {
    let source = folder.join("main.c");
    fs::write(&source, "#include <math.h>\n#include <stdio.h>\nint main(int n, char **v) { printf(\"%f\\n\", exp(n)); return v == 0; }\n")
        .unwrap();
    let binary = folder.join(name);
    output(Command::new(compiler).arg("-O1").arg("-o").arg(&binary).arg(&source).args(arguments).arg("-lm"));
    binary
}

#[test]
fn gccs_binaries_are_read_as_readelf_reads_them() {
    for (compiler, platform, other) in [
        ("gcc", None, "linux/s390x"),
        ("aarch64-linux-gnu-gcc", Some("linux/arm64"), "linux/amd64"),
        ("arm-linux-gnueabihf-gcc", Some("linux/arm/v7"), "linux/arm/v6"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (name, arguments, linkage) in [
            ("pie", &["-fPIE", "-pie", "-Wl,-rpath,$ORIGIN/lib"][..], Linkage::Dynamic),
            ("fixed", &["-no-pie"], Linkage::Dynamic),
            ("static", &["-static"], Linkage::Static),
            ("static-pie", &["-static-pie", "-fPIE"], Linkage::StaticPie),
            ("library.so", &["-shared", "-fPIC", "-Wl,-soname,library.so.1"], Linkage::SharedLibrary),
            ("object.o", &["-c"], Linkage::ObjectFile),
        ] {
            // glibc has no start file for static position-independent programs on 32-bit ARM.
            if (compiler, name) == ("arm-linux-gnueabihf-gcc", "static-pie") {
                continue;
            }
            let binary = compile(folder.path(), compiler, name, arguments);
            let facts = facts(&binary);
            assert_eq!(facts.linkage, linkage, "{compiler} {name}");
            assert_header_is_what_readelf_says(&binary, &facts);
            assert_tables_are_what_readelf_says(&binary, &facts);
            assert!(check(&facts, other.parse().unwrap()).is_err(), "{compiler} {name} on {other}");
            let starts = !matches!(linkage, Linkage::SharedLibrary | Linkage::ObjectFile);
            if let Some(platform) = platform {
                let result = check(&facts, platform.parse().unwrap());
                assert_eq!(result.is_ok(), starts, "{compiler} {name} on {platform}: {result:?}");
            }
        }
    }
}

#[test]
fn arm_attributes_are_those_that_gcc_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let compile = |name: &str, arguments: &[&str]| {
        // Without the C library, whose start files are made for v7.
        let source = folder.path().join("start.c");
        fs::write(&source, "void _start(void) { for (;;); }\n").unwrap();
        let binary = folder.path().join(name);
        let mut command = Command::new("arm-linux-gnueabihf-gcc");
        output(command.args(["-nostdlib", "-static", "-marm", "-o"]).arg(&binary).arg(&source).args(arguments));
        facts(&binary)
    };
    for (name, arguments, cpu_arch, float, fits) in [
        ("v7", &["-march=armv7-a+fp"][..], 10, ArmFloat::Hard, [false, false, true]),
        ("v6", &["-march=armv6+fp"], 6, ArmFloat::Hard, [false, true, true]),
        ("v6kz", &["-mcpu=arm1176jzf-s"], 7, ArmFloat::Hard, [false, true, true]),
        ("v5", &["-march=armv5te", "-mfloat-abi=soft"], 4, ArmFloat::Soft, [true, true, true]),
    ] {
        let facts = compile(name, arguments);
        assert_eq!(facts.arm_attributes.map(|attributes| attributes.cpu_arch), Some(cpu_arch), "{name}");
        assert_eq!(facts.arm_float(), Some(float), "{name}");
        for (platform, fits) in ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"].iter().zip(fits) {
            let result = check(&facts, platform.parse().unwrap());
            assert_eq!(result.is_ok(), fits, "{name} on {platform}: {result:?}");
        }
    }
}

fn readelf(option: &str, binary: &Path) -> String {
    output(Command::new("readelf").args(["--wide", option]).arg(binary).env("LC_ALL", "C"))
}

fn assert_header_is_what_readelf_says(binary: &Path, facts: &ElfFacts) {
    let text = readelf("--file-header", binary);
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("readelf shows no `{name}`:\n{text}")).trim().to_owned()
    };
    let hexadecimal = |text: &str| {
        let digits = text.split([',', ' ']).next().unwrap().trim_start_matches("0x");
        u64::from_str_radix(digits, 16).unwrap()
    };
    assert_eq!(hexadecimal(&field("Entry point address")), facts.entry);
    assert_eq!(hexadecimal(&field("Flags")), u64::from(facts.flags));
    assert_eq!(field("Class"), if facts.class == anyarch::elf::Class::Bits64 { "ELF64" } else { "ELF32" });
    let little = facts.byte_order == anyarch::elf::ByteOrder::Little;
    assert!(field("Data").contains(if little { "little endian" } else { "big endian" }));
    let program_headers = readelf("--program-headers", binary);
    let interpreter = program_headers.lines().find_map(|line| line.split("interpreter: ").nth(1));
    assert_eq!(interpreter.map(|line| line.trim_end_matches(']')), facts.interpreter.as_deref());
}

fn assert_tables_are_what_readelf_says(binary: &Path, facts: &ElfFacts) {
    let text = readelf("--dynamic", binary);
    let names = |tag: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains(tag));
        lines.map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(names("(NEEDED)"), facts.needed);
    assert_eq!(names("(SONAME)").first(), facts.soname.as_ref());
    assert_eq!(names("(RUNPATH)").first(), facts.runpath.as_ref());
    let text = readelf("--version-info", binary);
    // `000000: Version: 1  File: libc.so.6  Cnt: 2`, then `0x0010:   Name: GLIBC_2.34  Flags: none  Version: 3`
    let after = |line: &str, label: &str| Some(line.split(label).nth(1)?.split_whitespace().next()?.to_owned());
    let mut library = String::new();
    let mut versions = Vec::new();
    for line in text.lines().skip_while(|line| !line.starts_with("Version needs section")) {
        if let Some(file) = after(line, "File: ") {
            library = file;
        } else if let Some(name) = after(line, "Name: ") {
            versions.push((library.clone(), name));
        }
    }
    let found: Vec<_> =
        facts.versions.iter().map(|version| (version.library.clone(), version.version.clone())).collect();
    assert_eq!(found, versions);
    if facts.linkage == Linkage::Dynamic {
        assert!(!found.is_empty(), "a binary that calls libc needs versions of it");
        assert!(facts.highest_version("GLIBC_").is_some());
    }
}

/// A linear congruential generator (Knuth's MMIX constants): the same damage in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[test]
fn damaged_binaries_of_real_compilers_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let c = compile(folder.path(), "arm-linux-gnueabihf-gcc", "dynamic", &["-s"]);
    let go_folder = go_hello();
    let go = go_build(go_folder.path(), &[("GOARCH", "arm"), ("GOARM", "6")], &["-ldflags=-s -w"]);
    for binary in [c, go] {
        let whole = fs::read(&binary).unwrap();
        let try_one = |bytes: &[u8]| {
            if let Ok(facts) = ElfFacts::read(Cursor::new(bytes)) {
                let _ = check(&facts, "linux/arm/v6".parse().unwrap());
            }
        };
        let mut numbers = Numbers(42);
        for _ in 0..2000 {
            try_one(&whole[..numbers.next(whole.len())]);
        }
        // Headers, tables and Go's record take some kilobytes at the beginning, the end, and in sections between.
        let facts_at = whole.windows(14).position(|window| window == b"\xff Go buildinf:").unwrap_or(0);
        let mut file = whole.clone();
        for round in 0..6000 {
            let start = [0, facts_at, whole.len().saturating_sub(4096)][round % 3];
            let positions: Vec<usize> =
                (0..=numbers.next(4)).map(|_| (start + numbers.next(4096)).min(whole.len() - 1)).collect();
            for position in &positions {
                file[*position] = u8::try_from(numbers.next(256)).unwrap();
            }
            try_one(&file);
            for position in positions {
                file[position] = whole[position];
            }
        }
    }
}
