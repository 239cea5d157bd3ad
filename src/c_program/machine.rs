//! What a platform's machine is called by those who are not compilers: `CMake`, as `uname -m` does, and Meson.

use crate::elf::{ByteOrder, MACHINES};
use crate::platform::{Architecture, Platform};

/// What `uname -m` answers there, which is what `CMake` calls a processor.
pub(super) fn processor(platform: Platform) -> &'static str {
    match platform.architecture() {
        Architecture::Amd64 => "x86_64",
        Architecture::I386 => "i686",
        Architecture::Arm => match platform.level().map_or(7, |level| level.major) {
            5 => "armv5tel",
            6 => "armv6l",
            _ => "armv7l",
        },
        Architecture::Arm64 => "aarch64",
        Architecture::Ppc64 => "ppc64",
        Architecture::Ppc64le => "ppc64le",
        Architecture::S390x => "s390x",
        Architecture::Riscv64 => "riscv64",
        Architecture::Loong64 => "loongarch64",
        Architecture::Mips => "mips",
        // The kernel says `mips`; projects ask for the byte order by this name.
        Architecture::Mipsle => "mipsel",
        Architecture::Mips64 => "mips64",
        Architecture::Mips64le => "mips64el",
    }
}

/// Meson's `cpu_family`, see <https://mesonbuild.com/Reference-tables.html#cpu-families>.
pub(super) fn family(platform: Platform) -> &'static str {
    match platform.architecture() {
        Architecture::Amd64 => "x86_64",
        Architecture::I386 => "x86",
        Architecture::Arm => "arm",
        Architecture::Arm64 => "aarch64",
        Architecture::Ppc64 | Architecture::Ppc64le => "ppc64",
        Architecture::S390x => "s390x",
        Architecture::Riscv64 => "riscv64",
        Architecture::Loong64 => "loongarch64",
        Architecture::Mips | Architecture::Mipsle => "mips",
        Architecture::Mips64 | Architecture::Mips64le => "mips64",
    }
}

/// The byte order in a word: `little` or `big`.
pub(super) fn endian(platform: Platform) -> &'static str {
    let machine = MACHINES.iter().find(|machine| machine.architecture == platform.architecture());
    match machine.map(|machine| machine.byte_order) {
        Some(ByteOrder::Big) => "big",
        Some(ByteOrder::Little) | None => "little",
    }
}
