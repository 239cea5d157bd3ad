//! A platform becomes the way in which this machine runs its programs: by itself, by qemu-user, or not at all.

use std::fmt;

use crate::platform::{Architecture, Os, Platform};

/// How a machine runs programs of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// its own processor does
    Itself,
    /// an emulator does
    Emulated(Emulator),
    /// nothing does
    Never(Never),
}

/// A program of qemu-user: <https://www.qemu.org/docs/master/user/main.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emulator {
    /// what qemu calls the architecture: its program is `qemu-NAME-static` or `qemu-NAME`
    pub name: &'static str,
    /// the processor that it plays: the oldest that the platform promises, where qemu has it
    pub cpu: Option<&'static str>,
}

/// Why nothing on a machine runs programs of a platform. The texts are clauses: they read on after a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {
    /// another operating system
    Os(Os),
    /// an instruction set that neither the processor nor qemu has
    Level(Platform),
}

impl fmt::Display for Never {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(os) => write!(formatter, "programs of {os} do not run on Linux"),
            Self::Level(platform) => {
                write!(formatter, "neither the processor of this machine nor qemu-user runs {platform}")
            }
        }
    }
}

/// How `machine`, Linux with the level of its processor as variant, runs programs of `platform`.
#[must_use]
pub fn way(machine: Platform, platform: Platform) -> Way {
    if platform.os() != Os::Linux {
        return Way::Never(Never::Os(platform.os()));
    }
    // A 64-bit x86 kernel starts 32-bit programs; qemu-i386 crashes on those of Go. Few ARM processors still do the same.
    let is_half = (machine.architecture(), platform.architecture()) == (Architecture::Amd64, Architecture::I386);
    if is_half || machine.includes(platform) {
        return Way::Itself;
    }
    let level = platform.level().map_or((0, 0), |level| (level.major, level.minor));
    let (name, cpu) = match platform.architecture() {
        Architecture::Amd64 => match level.0 {
            1 => ("x86_64", None),
            2 => ("x86_64", Some("Nehalem")),
            3 => ("x86_64", Some("Haswell")),
            // It has no AVX-512: https://www.qemu.org/docs/master/system/i386/cpu.html
            _ => return Way::Never(Never::Level(platform)),
        },
        Architecture::I386 => ("i386", None),
        Architecture::Arm64 if level == (8, 0) => ("aarch64", Some("cortex-a53")),
        Architecture::Arm64 => ("aarch64", Some("max")),
        Architecture::Arm => match level.0 {
            5 => ("arm", Some("arm926")),
            6 => ("arm", Some("arm1176")),
            7 => ("arm", Some("cortex-a8")),
            _ => ("arm", Some("max")),
        },
        Architecture::Ppc64le => ("ppc64le", Some("power8")),
        Architecture::Ppc64 => ("ppc64", Some("power8")),
        Architecture::S390x => ("s390x", None),
        Architecture::Riscv64 => ("riscv64", None),
        Architecture::Loong64 => ("loongarch64", None),
        Architecture::Mips => ("mips", None),
        Architecture::Mipsle => ("mipsel", None),
        Architecture::Mips64 => ("mips64", None),
        Architecture::Mips64le => ("mips64el", None),
    };
    Way::Emulated(Emulator { name, cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_runs_what_it_includes_and_emulates_the_oldest_of_the_rest() {
        let emulated = |name, cpu| Way::Emulated(Emulator { name, cpu });
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        for (machine, wanted, expected) in [
            ("linux/amd64/v3", "linux/amd64", Way::Itself),
            ("linux/amd64/v3", "linux/amd64/v3", Way::Itself),
            ("linux/amd64/v2", "linux/amd64/v3", emulated("x86_64", Some("Haswell"))),
            ("linux/amd64/v3", "linux/amd64/v4", Way::Never(Never::Level(platform("linux/amd64/v4")))),
            ("linux/amd64", "linux/386", Way::Itself),
            ("linux/amd64", "linux/arm64", emulated("aarch64", Some("cortex-a53"))),
            ("linux/amd64", "linux/arm64/v8.2", emulated("aarch64", Some("max"))),
            ("linux/amd64", "linux/arm/v5", emulated("arm", Some("arm926"))),
            ("linux/amd64", "linux/arm/v6", emulated("arm", Some("arm1176"))),
            ("linux/amd64", "linux/arm/v7", emulated("arm", Some("cortex-a8"))),
            ("linux/amd64", "linux/mips64le", emulated("mips64el", None)),
            ("linux/arm64", "linux/arm64", Way::Itself),
            ("linux/arm64", "linux/arm/v7", emulated("arm", Some("cortex-a8"))),
            ("linux/arm64", "linux/amd64", emulated("x86_64", None)),
            ("linux/arm64", "linux/386", emulated("i386", None)),
            ("linux/arm/v7", "linux/arm/v5", Way::Itself),
            ("linux/amd64", "windows/amd64", Way::Never(Never::Os(Os::Windows))),
        ] {
            assert_eq!(way(platform(machine), platform(wanted)), expected, "{wanted} on {machine}");
        }
        let never = Never::Level(platform("linux/amd64/v4")).to_string();
        assert_eq!(never, "neither the processor of this machine nor qemu-user runs linux/amd64/v4");
    }
}
