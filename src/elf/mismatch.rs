//! Why a binary does not fit a platform, and what to do about it.

use crate::hint::Hint;
use crate::platform::Platform;

/// Why a binary does not fit a platform. The texts are predicates: they read on after the binary's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is ELF and no program.
    #[error("is {what}")]
    NotStartable {
        /// what it is, and why nothing starts it
        what: &'static str,
    },
    /// It is made for another operating system, or the platform does not start ELF files.
    #[error("is made for {found}, {platform} needs {needed}")]
    OperatingSystem {
        /// the operating system of the binary
        found: String,
        /// what it should be made for
        needed: &'static str,
        /// the platform
        platform: Platform,
    },
    /// It is made for another machine, word size or byte order.
    #[error("is {found}, {platform} needs {}", .needed)]
    Machine {
        /// the binary in words
        found: String,
        /// the platform's own machine in words
        needed: &'static str,
        /// the platform
        platform: Platform,
        /// the platform that the binary is made for, if we know it
        fits: Option<Platform>,
        /// true when Go linked it
        go: bool,
    },
    /// The right machine under another calling convention.
    #[error("uses {found}, {platform} needs {needed}")]
    Abi {
        /// the calling convention of the binary
        found: String,
        /// what the platform prescribes
        needed: &'static str,
        /// the platform
        platform: Platform,
    },
    /// Made for a newer ARM than the platform promises.
    #[error("is made for {found}, {platform} runs {needed} and older")]
    ArmArchitecture {
        /// the architecture of the binary: `ARMv7`
        found: String,
        /// the newest that the platform runs
        needed: String,
        /// the platform
        platform: Platform,
        /// true when Go linked it
        go: bool,
    },
    /// Made for a newer x86-64 than the platform promises.
    #[error("says that it needs x86-64-v{found}, {platform} is x86-64-v{needed}")]
    X86Level {
        /// the level of the binary
        found: u8,
        /// that of the platform
        needed: u8,
        /// the platform
        platform: Platform,
    },
    /// Nothing in the binary says which ARM it needs, and the platform is an old one.
    #[error("does not say which ARM architecture it is made for, and {platform} runs only what is made for {needed}")]
    ArmArchitectureUnknown {
        /// the newest that the platform runs
        needed: String,
        /// the platform
        platform: Platform,
    },
    /// A setting of Go's build that contradicts the platform.
    #[error("was built with {name}={value}, {platform} needs {needed}")]
    GoSetting {
        /// `GOARCH`
        name: &'static str,
        /// its value
        value: String,
        /// what the platform needs
        needed: String,
        /// the platform
        platform: Platform,
    },
    /// A setting of Go's build that means nothing, though Go took it.
    #[error("was built with {name}={value}, which is not a value of {name}")]
    GoValue {
        /// `GOARM`
        name: &'static str,
        /// its value
        value: String,
        /// the platform
        platform: Platform,
    },
}

impl Hint for Mismatch {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotStartable { .. } => vec!["name the linked program: what starts has an entry point".into()],
            Self::OperatingSystem { platform, .. } => {
                vec![format!(
                    "build it for {0}: GOOS={0} go build, or a Rust target with `{0}` in its name",
                    platform.os()
                )]
            }
            Self::Machine { platform, fits, go, .. } => {
                let build = go.then(|| format!("GOOS={} GOARCH={} go build", platform.os(), platform.architecture()));
                let publish = fits.map(|fits| format!("publish it as what it is: --platform {fits}"));
                build.into_iter().chain(publish).collect()
            }
            Self::Abi { needed, .. } => vec![format!("build it for {needed}")],
            Self::ArmArchitecture { platform, go: true, .. } => vec![format!("GOARM={} go build", go_arm(*platform))],
            Self::ArmArchitecture { platform, .. } | Self::ArmArchitectureUnknown { platform, .. } => {
                arm_hints(*platform)
            }
            Self::X86Level { found, needed, .. } => {
                let march = if *needed == 1 { "x86-64".to_owned() } else { format!("x86-64-v{needed}") };
                vec![format!("-march={march}"), format!("publish it as what it is: --platform linux/amd64/v{found}")]
            }
            Self::GoSetting { needed, .. } => vec![format!("{needed} go build")],
            Self::GoValue { name: "GOARM", platform, .. } => vec![
                format!("GOARM={} go build", go_arm(*platform)),
                "Go takes any GOARM without a word; 5, 6 and 7 mean something, also with ,softfloat or ,hardfloat"
                    .into(),
            ],
            Self::GoValue { name, .. } => vec![format!("go help environment says which values {name} has")],
        }
    }
}

/// Compilers that make binaries for old ARMs, which Debian's `arm-linux-gnueabihf-gcc` does not.
fn arm_hints(platform: Platform) -> Vec<String> {
    let (triple, cpu) = match platform.level() {
        Some(level) if level.major <= 5 => ("arm-linux-musleabi", "arm926ej_s"),
        _ => ("arm-linux-musleabihf", "arm1176jzf_s"),
    };
    vec![
        format!("zig cc -target {triple} -mcpu={cpu}"),
        "gcc's arm-linux-gnueabihf links start files that are made for ARMv7, whatever -march says".into(),
    ]
}

/// The `GOARM` of a platform: Go has none above 7.
fn go_arm(platform: Platform) -> u8 {
    platform.level().map_or(7, |level| level.major.min(7))
}
