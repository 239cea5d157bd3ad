//! Names of C libraries: `musl`, `gnu`, `gnu.2.28`; and what a program may ask for beside these: `auto`, `static`.

use std::fmt;
use std::str::FromStr;

/// The C library of a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// musl
    Musl,
    /// glibc, of at most a named version (major, minor), or whichever the compiler links against
    Gnu(Option<(u32, u32)>),
}

impl Libc {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Musl => "musl",
            Self::Gnu(_) => "gnu",
        }
    }
}

impl FromStr for Libc {
    type Err = LibcError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let version = |text: &str| {
            let (major, minor) = text.split_once('.')?;
            Some(Self::Gnu(Some((number(major)?, number(minor)?))))
        };
        match text {
            "musl" => Some(Self::Musl),
            "gnu" => Some(Self::Gnu(None)),
            _ => text.strip_prefix("gnu.").and_then(version),
        }
        .ok_or_else(|| LibcError(text.to_owned()))
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Musl => formatter.write_str("musl"),
            Self::Gnu(None) => formatter.write_str("gnu"),
            Self::Gnu(Some((major, minor))) => write!(formatter, "gnu.{major}.{minor}"),
        }
    }
}

/// What a program says of its libc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LibcWish {
    /// that of the base, read out of its layers
    #[default]
    Auto,
    /// whichever gives a static binary
    Static,
    /// just this one
    Named(Libc),
}

impl FromStr for LibcWish {
    type Err = LibcError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "static" => Ok(Self::Static),
            _ => text.parse().map(Self::Named),
        }
    }
}

impl fmt::Display for LibcWish {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Static => formatter.write_str("static"),
            Self::Named(libc) => libc.fmt(formatter),
        }
    }
}

/// A text that is not a libc.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a libc: it should read musl, gnu or gnu.2.28")]
pub struct LibcError(String);
