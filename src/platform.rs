//! Platform strings (`linux/arm/v7`) become [`Platform`] values, normalized as containerd does
//! (<https://github.com/containerd/platforms/blob/main/database.go>), and one rule says which platform of a
//! base image serves which platform that was asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hint::Hint;

/// An operating system, as `GOOS` and the OCI image specification name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Os {
    /// `linux`
    Linux,
    /// `darwin`
    Darwin,
    /// `windows`
    Windows,
    /// `freebsd`
    Freebsd,
}

/// A CPU architecture, as `GOARCH` and the OCI image specification name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each name is its own documentation")]
pub enum Architecture {
    Amd64,
    I386,
    Arm,
    Arm64,
    Ppc64,
    Ppc64le,
    S390x,
    Riscv64,
    Loong64,
    Mips,
    Mipsle,
    Mips64,
    Mips64le,
}

/// The `vMAJOR[.MINOR]` part of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Variant {
    /// 7 in `v7`
    pub major: u8,
    /// 2 in `v8.2`, 0 when not written
    pub minor: u8,
}

/// What an image or a binary is made for: operating system, architecture and, for some architectures, a variant.
///
/// A value is always normalized: `aarch64`, `linux/arm64/v8` and `linux/arm64` are equal once parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: Os,
    architecture: Architecture,
    variant: Option<Variant>,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Nothing, an empty part, or more than three parts.
    #[error("`{text}` is not a platform: it should read os/arch or os/arch/variant")]
    Shape {
        /// what was given
        text: String,
    },
    /// An operating system without an architecture.
    #[error("`{text}` names an operating system but no architecture")]
    NoArchitecture {
        /// what was given
        text: String,
    },
    /// An operating system that we do not know.
    #[error("`{text}` is not a platform: the operating system `{os}` is unknown")]
    UnknownOs {
        /// what was given
        text: String,
        /// its first part
        os: String,
    },
    /// An architecture that we do not know.
    #[error("`{text}` is not a platform: the architecture `{architecture}` is unknown")]
    UnknownArchitecture {
        /// what was given
        text: String,
        /// the part that should name an architecture
        architecture: String,
        /// the known architecture that is spelled most like it, if one is near
        nearest: Option<&'static str>,
    },
    /// A variant that the architecture does not have.
    #[error("`{text}` is not a platform: {architecture} has no variant `{variant}`")]
    UnknownVariant {
        /// what was given
        text: String,
        /// the architecture
        architecture: Architecture,
        /// the part that should name a variant
        variant: String,
    },
}

impl Hint for PlatformError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Shape { .. } => vec!["--platform linux/amd64,linux/arm64,linux/arm/v7".into()],
            Self::NoArchitecture { text } => vec![format!("--platform {text}/amd64")],
            Self::UnknownOs { .. } => vec!["--platform linux/amd64".into()],
            Self::UnknownArchitecture { nearest: Some(nearest), .. } => vec![format!("--platform linux/{nearest}")],
            Self::UnknownArchitecture { .. } => {
                let names: Vec<&str> = ARCHITECTURES.iter().map(|(_, name)| *name).collect();
                vec![format!("known architectures: {}", names.join(", "))]
            }
            Self::UnknownVariant { architecture, .. } => match variants(*architecture) {
                [] => vec![format!("--platform linux/{architecture}")],
                known => vec![format!(
                    "{architecture} has {}",
                    known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                )],
            },
        }
    }
}

const ARCHITECTURES: &[(Architecture, &str)] = &[
    (Architecture::Amd64, "amd64"),
    (Architecture::I386, "386"),
    (Architecture::Arm, "arm"),
    (Architecture::Arm64, "arm64"),
    (Architecture::Ppc64, "ppc64"),
    (Architecture::Ppc64le, "ppc64le"),
    (Architecture::S390x, "s390x"),
    (Architecture::Riscv64, "riscv64"),
    (Architecture::Loong64, "loong64"),
    (Architecture::Mips, "mips"),
    (Architecture::Mipsle, "mipsle"),
    (Architecture::Mips64, "mips64"),
    (Architecture::Mips64le, "mips64le"),
];

const OPERATING_SYSTEMS: &[(Os, &str)] =
    &[(Os::Linux, "linux"), (Os::Darwin, "darwin"), (Os::Windows, "windows"), (Os::Freebsd, "freebsd")];

const fn v(major: u8, minor: u8) -> Variant {
    Variant { major, minor }
}

/// The variants that an architecture has, without the one that normalization drops.
fn variants(architecture: Architecture) -> &'static [Variant] {
    match architecture {
        Architecture::Amd64 => const { &[v(2, 0), v(3, 0), v(4, 0)] },
        Architecture::Arm => const { &[v(5, 0), v(6, 0), v(7, 0), v(8, 0)] },
        Architecture::Arm64 => {
            const {
                &[
                    v(8, 1),
                    v(8, 2),
                    v(8, 3),
                    v(8, 4),
                    v(8, 5),
                    v(8, 6),
                    v(8, 7),
                    v(8, 8),
                    v(8, 9),
                    v(9, 0),
                    v(9, 1),
                    v(9, 2),
                    v(9, 3),
                    v(9, 4),
                    v(9, 5),
                ]
            }
        }
        _ => &[],
    }
}

/// The variant that a bare architecture means, written out by no one: `linux/arm64` is v8.
fn implied_variant(architecture: Architecture) -> Option<Variant> {
    match architecture {
        Architecture::Amd64 => Some(v(1, 0)),
        Architecture::Arm64 => Some(v(8, 0)),
        _ => None,
    }
}

impl Platform {
    /// Linux on `architecture`, without a variant except arm's v7.
    #[must_use]
    pub fn linux(architecture: Architecture) -> Self {
        let variant = (architecture == Architecture::Arm).then_some(v(7, 0));
        Self { os: Os::Linux, architecture, variant }
    }

    /// Reads the three fields of an OCI descriptor's or config's platform; an absent variant is `None` or empty.
    ///
    /// # Errors
    /// When a part is unknown; what to do with such an entry is for the caller to say.
    pub fn from_parts(os: &str, architecture: &str, variant: Option<&str>) -> Result<Self, PlatformError> {
        let variant = variant.filter(|variant| !variant.is_empty());
        let text = match variant {
            Some(variant) => format!("{os}/{architecture}/{variant}"),
            None => format!("{os}/{architecture}"),
        };
        parse_parts(&text, os, architecture, variant)
    }

    /// The operating system.
    #[must_use]
    pub fn os(self) -> Os {
        self.os
    }

    /// The CPU architecture.
    #[must_use]
    pub fn architecture(self) -> Architecture {
        self.architecture
    }

    /// The variant, `None` where the architecture has none or the implied one (amd64's v1, arm64's v8).
    #[must_use]
    pub fn variant(self) -> Option<Variant> {
        self.variant
    }

    /// The variant with the implied one written out: v1 for plain amd64, v8 for plain arm64.
    #[must_use]
    pub fn level(self) -> Option<Variant> {
        self.variant.or(implied_variant(self.architecture))
    }

    /// The platform as one path component: `linux_arm_v7`, as buildx names the folders of `-o local`.
    #[must_use]
    pub fn as_folder(self) -> String {
        self.to_string().replace('/', "_")
    }

    /// The ARM calling convention for floating point: v6 and later pass floats in registers.
    fn hard_float(self) -> bool {
        self.architecture != Architecture::Arm || self.variant.is_none_or(|variant| variant.major >= 6)
    }

    /// True when a binary for `lower` also runs on `self`: the same operating system and architecture, and a variant that is not above.
    #[must_use]
    pub fn includes(self, lower: Self) -> bool {
        self.os == lower.os && self.architecture == lower.architecture && lower.level() <= self.level()
    }
}

/// Picks the base platform that serves `wanted`: the exact one, else the nearest lower variant when the binary is
/// static or the float ABI is the same. `None` when there is none; `strict` allows only the exact one.
///
/// Never amd64 -> 386 nor arm64 -> arm: those start only where the kernel has been built for them.
#[must_use]
pub fn select(wanted: Platform, offered: &[Platform], static_binary: bool, strict: bool) -> Option<Platform> {
    if offered.contains(&wanted) {
        return Some(wanted);
    }
    if strict {
        return None;
    }
    offered
        .iter()
        .copied()
        .filter(|candidate| wanted.includes(*candidate))
        .filter(|candidate| static_binary || candidate.hard_float() == wanted.hard_float())
        .max_by_key(|candidate| candidate.level())
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(PlatformError::Shape { text: text.into() });
        }
        match parts.as_slice() {
            [only] => {
                let lower = only.to_ascii_lowercase();
                if parse_os(&lower).is_some() {
                    return Err(PlatformError::NoArchitecture { text: lower });
                }
                parse_parts(text, "linux", only, None)
            }
            [os, architecture] => parse_parts(text, os, architecture, None),
            [os, architecture, variant] => parse_parts(text, os, architecture, Some(variant)),
            _ => Err(PlatformError::Shape { text: text.into() }),
        }
    }
}

fn parse_os(lower: &str) -> Option<Os> {
    let lower = if lower == "macos" { "darwin" } else { lower };
    OPERATING_SYSTEMS.iter().find(|(_, name)| *name == lower).map(|(os, _)| *os)
}

fn parse_parts(text: &str, os: &str, architecture: &str, variant: Option<&str>) -> Result<Platform, PlatformError> {
    let os_name = os.to_ascii_lowercase();
    let os = parse_os(&os_name).ok_or_else(|| PlatformError::UnknownOs { text: text.into(), os: os_name })?;
    let lower = architecture.to_ascii_lowercase();
    let (canonical, implied) = match lower.as_str() {
        "x86_64" | "x86-64" => ("amd64", None),
        "i386" => ("386", None),
        "aarch64" => ("arm64", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    };
    let architecture =
        ARCHITECTURES.iter().find(|(_, name)| *name == canonical).map(|(architecture, _)| *architecture).ok_or_else(
            || PlatformError::UnknownArchitecture {
                text: text.into(),
                architecture: lower.clone(),
                nearest: nearest_architecture(&lower),
            },
        )?;
    let variant = variant.map(str::to_ascii_lowercase).or_else(|| implied.map(str::to_owned));
    let variant = match variant {
        Some(variant) => Some(parse_variant(text, architecture, &variant)?),
        None if architecture == Architecture::Arm => Some(v(7, 0)),
        None => None,
    };
    let variant = variant.filter(|variant| Some(*variant) != implied_variant(architecture));
    Ok(Platform { os, architecture, variant })
}

fn parse_variant(text: &str, architecture: Architecture, variant: &str) -> Result<Variant, PlatformError> {
    let unknown = || PlatformError::UnknownVariant { text: text.into(), architecture, variant: variant.into() };
    let digits = variant.strip_prefix('v').unwrap_or(variant);
    let (major, minor) = digits.split_once('.').unwrap_or((digits, "0"));
    let parsed = Variant { major: major.parse().map_err(|_| unknown())?, minor: minor.parse().map_err(|_| unknown())? };
    if Some(parsed) == implied_variant(architecture) || variants(architecture).contains(&parsed) {
        Ok(parsed)
    } else {
        Err(unknown())
    }
}

fn nearest_architecture(name: &str) -> Option<&'static str> {
    ARCHITECTURES
        .iter()
        .map(|(_, known)| (strsim::osa_distance(name, known), *known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

impl fmt::Display for Os {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = OPERATING_SYSTEMS.iter().find(|(os, _)| os == self).map_or("", |(_, name)| name);
        formatter.write_str(name)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ARCHITECTURES.iter().find(|(architecture, _)| architecture == self).map_or("", |(_, name)| name);
        formatter.write_str(name)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            0 => write!(formatter, "v{}", self.major),
            minor => write!(formatter, "v{}.{minor}", self.major),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
