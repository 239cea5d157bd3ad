//! Texts of the configuration become values: modes, owners, ports, languages, libcs, times, signals, platforms.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::nearest;
use super::value_error::{ValueError, pack};
use crate::c_program::BuildSystem;
use crate::layer_entry::is_whiteout;
use crate::platform::{Platform, PlatformError};
use crate::toolchain::{Language, LibcWish};
use crate::verify::Policy;

/// Deserializes a text by [`FromStr`]; `expected` completes "should be".
pub(super) fn from_text<'de, D, T>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = ValueError>,
{
    struct Text<T>(&'static str, std::marker::PhantomData<T>);
    impl<T: FromStr<Err = ValueError>> Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(|error| E::custom(pack(&error)))
        }
    }
    deserializer.deserialize_str(Text(expected, std::marker::PhantomData))
}

macro_rules! from_text {
    ($($type:ty => $expected:literal),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer, $expected)
            }
        }
    )*};
}

from_text! {
    Mode => "a string of octal digits",
    Owner => "a string",
    LanguageName => "a string",
    LibcName => "a string",
    BuildSystemName => "a string",
    PolicyName => "a string",
    Signal => "a string",
    PlatformWish => "a string",
    PlatformKey => "a string",
    ProgramName => "a string",
    ImageName => "a string",
    Assignment => "a string",
}

/// One entry of `platforms`: a platform, or a word for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformWish {
    /// `all`: every platform of the base that every program has a toolchain for
    All,
    /// `host`: linux on this machine's architecture
    Host,
    /// this platform
    One(Platform),
}

impl FromStr for PlatformWish {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.trim() {
            "all" => Ok(Self::All),
            "host" => Ok(Self::Host),
            // What the flag takes; a list of the file has one a string.
            several if several.contains(',') => {
                Err(ValueError::Platform(PlatformError::Shape { text: several.to_owned() }))
            }
            text => text.parse().map(Self::One).map_err(ValueError::Platform),
        }
    }
}

/// A platform that is a key of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlatformKey(pub Platform);

impl FromStr for PlatformKey {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse().map(Self).map_err(ValueError::Platform)
    }
}

/// Permission bits of a file in the image, at most 0o7777.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl FromStr for Mode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError::Mode { text: text.into() };
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let bits = u32::from_str_radix(digits, 8).map_err(|_| wrong())?;
        if bits > 0o7777 { Err(wrong()) } else { Ok(Self(bits)) }
    }
}

/// Who owns a file in the image: numbers only, since names differ between bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// the user's number
    pub uid: u32,
    /// the group's number
    pub gid: u32,
}

impl FromStr for Owner {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        text.split_once(':')
            .and_then(|(uid, gid)| Some(Self { uid: number(uid)?, gid: number(gid)? }))
            .ok_or_else(|| ValueError::Owner { text: text.into() })
    }
}

/// A port that the image says it listens on; prints as `8080/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// 1 to 65535
    pub number: u16,
    /// `tcp`, `udp` or `sctp`
    pub protocol: &'static str,
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.protocol)
    }
}

impl FromStr for Port {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = ["tcp", "udp", "sctp"].into_iter().find(|known| *known == protocol);
        let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten();
        match (number, protocol) {
            (Some(number), Some(protocol)) if number > 0 => Ok(Self { number, protocol }),
            _ => Err(ValueError::Port { text: text.into() }),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;
        impl Visitor<'_> for PortVisitor {
            type Value = Port;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a port such as 8080 or \"53/udp\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Port, E> {
                text.parse().map_err(|error| E::custom(pack(&error)))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Port, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(PortVisitor)
    }
}

/// A language as the configuration writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanguageName(pub Language);

fn nearest_language(text: &str) -> Option<&'static str> {
    let names = Language::names();
    nearest(text, &names).and_then(|found| names.iter().copied().find(|name| *name == found))
}

impl FromStr for LanguageName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some(language) = Language::from_name(text) {
            return Ok(Self(language));
        }
        match text {
            "c++" | "cpp" | "cxx" => Err(ValueError::Language { text: text.into(), nearest: Some("c") }),
            "golang" => Err(ValueError::Language { text: text.into(), nearest: Some("go") }),
            _ => Err(ValueError::Language { text: text.into(), nearest: nearest_language(text) }),
        }
    }
}

/// The C library that a program is linked against, as the configuration writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibcName(pub LibcWish);

impl FromStr for LibcName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse().map(Self).map_err(|_| ValueError::Libc { text: text.into() })
    }
}

/// What is done with an image that would not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyName(pub Policy);

impl FromStr for PolicyName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Policy::from_name(text).map(Self).ok_or_else(|| ValueError::Policy { text: text.into() })
    }
}

/// How a C project is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildSystemName(pub BuildSystem);

impl FromStr for BuildSystemName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        BuildSystem::from_name(text).map(Self).ok_or_else(|| ValueError::BuildSystem { text: text.into() })
    }
}

/// Whether Rust's standard library is compiled too, and by which nightly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildStd {
    /// no: the one that rustup brings
    No,
    /// yes, by the toolchain of this name
    By(String),
}

impl<'de> Deserialize<'de> for BuildStd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BuildStdVisitor;
        impl Visitor<'_> for BuildStdVisitor {
            type Value = BuildStd;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false or the name of a nightly toolchain")
            }
            fn visit_bool<E: serde::de::Error>(self, yes: bool) -> Result<BuildStd, E> {
                Ok(if yes { BuildStd::By("nightly".into()) } else { BuildStd::No })
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<BuildStd, E> {
                if text.starts_with("nightly") {
                    return Ok(BuildStd::By(text.into()));
                }
                Err(E::custom(pack(&ValueError::Nightly { text: text.into() })))
            }
        }
        deserializer.deserialize_any(BuildStdVisitor)
    }
}

/// The time that an image says it was created at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// when HEAD was committed
    Commit,
    /// seconds since 1970
    At(i64),
}

impl FromStr for Created {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "commit" {
            return Ok(Self::Commit);
        }
        // TOML allows a space where RFC 3339 has a T.
        OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339)
            .map(|time| Self::At(time.unix_timestamp()))
            .map_err(|_| ValueError::Time { text: text.into() })
    }
}

impl<'de> Deserialize<'de> for Created {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parsed = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text.parse(),
            toml::Value::Datetime(time) => time.to_string().parse(),
            toml::Value::Integer(seconds) => Ok(Self::At(seconds)),
            other => Err(ValueError::Time { text: other.to_string() }),
        };
        parsed.map_err(|error: ValueError| D::Error::custom(pack(&error)))
    }
}

/// The signal that stops the container, as the OCI image specification writes it: `SIGTERM`, `SIGRTMIN+3`, `15`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal(pub String);

impl FromStr for Signal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number)) && !text.starts_with('+');
        let word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'+' || byte == b'-';
        let named = text.strip_prefix("SIG").is_some_and(|name| !name.is_empty() && name.bytes().all(word));
        if number || named { Ok(Self(text.into())) } else { Err(ValueError::Signal { text: text.into() }) }
    }
}

/// The name of a program: the last part of its path in the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProgramName(pub String);

impl FromStr for ProgramName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = text.is_empty() || text == "." || text == ".." || text.contains(['/', '\\', '\0']);
        if wrong { Err(ValueError::ProgramName { text: text.into() }) } else { Ok(Self(text.into())) }
    }
}

/// The name of an image: a folder of `.anyarch/out`, and what stands below a repository that several images share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName(pub String);

impl FromStr for ImageName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse::<ProgramName>() {
            Ok(ProgramName(name)) => Ok(Self(name)),
            Err(_) => Err(ValueError::ImageName { text: text.into() }),
        }
    }
}

/// `NAME=value`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub name: String,
    pub value: String,
}

impl FromStr for Assignment {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (name, value) = text.split_once('=').ok_or_else(|| ValueError::Assignment { text: text.into() })?;
        variable_name(name)?;
        Ok(Self { name: name.into(), value: value.into() })
    }
}

/// Holds a name to what an environment can hold: not empty, no `=`, no NUL.
pub(super) fn variable_name(name: &str) -> Result<(), ValueError> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(ValueError::VariableName { name: name.into() });
    }
    Ok(())
}

/// Holds a rendered text to the rule for a folder of the image (`workdir`, `volumes`): it starts with `/`.
///
/// # Errors
/// When it does not.
pub fn absolute(text: &str) -> Result<(), ValueError> {
    if text.starts_with('/') { Ok(()) } else { Err(ValueError::NotAbsolute { text: text.into() }) }
}

/// Holds a rendered text to the rule for a file of the image (`destination`): it starts with `/`, and no part is
/// empty, `.` or `..`, so that two spellings never name one file; nor is it what deletes a file of the base.
///
/// # Errors
/// When it does not hold to it.
pub fn destination(text: &str) -> Result<(), ValueError> {
    absolute(text)?;
    if text[1..].split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(ValueError::NotNormal { text: text.into() });
    }
    if is_whiteout(text) { Err(ValueError::Whiteout { text: text.into() }) } else { Ok(()) }
}

/// Holds a rendered text to the rule for the `destination` of a `[[file]]`, which may be a folder: as [`destination`], or
/// `/` alone.
///
/// # Errors
/// When it is neither.
pub fn file_destination(text: &str) -> Result<(), ValueError> {
    if text == "/" { Ok(()) } else { destination(text) }
}

#[cfg(test)]
mod tests;
