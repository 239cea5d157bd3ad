//! What this machine runs: the level of its processor, and the emulators that are there for others.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::HostError;
use crate::elf::{ElfFacts, Linkage};
use crate::emulator::Emulator;
use crate::platform::Platform;

/// Where the kernel says what it has started for which files: <https://docs.kernel.org/admin-guide/binfmt-misc.html>.
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// How an emulator runs programs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emulation {
    /// a static program that is told what to run
    Program {
        /// where it is
        path: PathBuf,
        /// the kernel knows it too, for whatever its programs start
        known_to_kernel: bool,
    },
    /// the kernel alone, which opened the emulator before
    Kernel,
}

/// Linux on this machine's architecture, with the level of its processor as variant.
///
/// # Errors
/// When the architecture is unknown.
pub fn processor() -> Result<Platform, HostError> {
    let variant = format!("v{}", amd64_level());
    let variant = (std::env::consts::ARCH == "x86_64").then_some(variant.as_str());
    Platform::from_parts("linux", std::env::consts::ARCH, variant).map_err(HostError::Platform)
}

/// The level of an x86-64 processor: <https://gitlab.com/x86-psABIs/x86-64-ABI>, table "Micro-Architecture Levels", as far as
/// it can be asked.
#[cfg(target_arch = "x86_64")]
fn amd64_level() -> u8 {
    use std::arch::is_x86_feature_detected as has;

    let v2 = has!("cmpxchg16b") && has!("popcnt") && has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2");
    let v3 = has!("avx")
        && has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("f16c")
        && has!("fma")
        && has!("lzcnt")
        && has!("movbe");
    let v4 = has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
    match (v2, v3, v4) {
        (true, true, true) => 4,
        (true, true, false) => 3,
        (true, false, _) => 2,
        (false, ..) => 1,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn amd64_level() -> u8 {
    1
}

/// Looks for an emulator.
///
/// # Errors
/// What there is instead, as a clause, with a line that helps.
pub fn emulation(emulator: &Emulator) -> Result<Emulation, (String, &'static str)> {
    const INSTALL: &str = "apt-get install qemu-user-static";
    let known_to_kernel = is_known_to_kernel(&format!("{BINFMT}/qemu-{}", emulator.name));
    let names = [format!("qemu-{}-static", emulator.name), format!("qemu-{}", emulator.name)];
    let found: Vec<PathBuf> = names.iter().filter_map(|name| which::which(name).ok()).collect();
    // What is brought along has no libraries there.
    if let Some(path) = found.iter().find(|path| is_static(path)) {
        return Ok(Emulation::Program { path: path.clone(), known_to_kernel });
    }
    if known_to_kernel {
        return Ok(Emulation::Kernel);
    }
    Err(match found.first() {
        Some(path) => (format!("`{}` is linked dynamically, and only a static one is of use", path.display()), INSTALL),
        None => (format!("no {} in PATH", names.join(" or ")), INSTALL),
    })
}

fn is_static(path: &Path) -> bool {
    let facts = fs::File::open(path).ok().and_then(|file| ElfFacts::read(file).ok());
    facts.is_some_and(|facts| facts.linkage != Linkage::Dynamic)
}

/// Whether the kernel starts an emulator for its programs wherever they are: only one that it has opened (`F`) is there in
/// another root.
fn is_known_to_kernel(path: &str) -> bool {
    let Ok(text) = fs::read_to_string(path) else { return false };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    text.lines().next() == Some("enabled") && flags.is_some_and(|flags| flags.contains('F'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_emulator_that_the_kernel_has_opened_is_there_in_another_root() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, expected) in [
            ("enabled\ninterpreter /usr/bin/qemu-arm\nflags: POCF\noffset 0\n", true),
            ("enabled\ninterpreter /usr/bin/qemu-arm\nflags: OC\noffset 0\n", false),
            ("disabled\ninterpreter /usr/bin/qemu-arm\nflags: F\noffset 0\n", false),
            ("", false),
        ] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(is_known_to_kernel(&file.path().display().to_string()), expected, "{text}");
        }
        assert!(!is_known_to_kernel("/no/such/file"));
    }

    #[test]
    fn this_machine_has_a_processor() {
        let processor = processor().unwrap();
        assert!(processor.includes(super::super::platform().unwrap()));
    }
}
