//! Names of C libraries: `musl`, `gnu`, `gnu.2.28`.

use std::fmt;
use std::str::FromStr;

/// The C library of a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Libc {
    /// musl
    Musl,
    /// glibc, of a named version (`2.28`) or whichever the compiler links against
    Gnu(Option<String>),
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
        let version = |text: &str| {
            text.split_once('.')
                .is_some_and(|(major, minor)| major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok())
        };
        match text.split_once('.') {
            None if text == "musl" => Ok(Self::Musl),
            None if text == "gnu" => Ok(Self::Gnu(None)),
            Some(("gnu", rest)) if version(rest) => Ok(Self::Gnu(Some(rest.to_owned()))),
            _ => Err(LibcError(text.to_owned())),
        }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Musl => formatter.write_str("musl"),
            Self::Gnu(None) => formatter.write_str("gnu"),
            Self::Gnu(Some(version)) => write!(formatter, "gnu.{version}"),
        }
    }
}

/// A text that is not a libc.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a libc: it should read musl, gnu or gnu.2.28")]
pub struct LibcError(String);
