//! `anyarch login` and `anyarch logout`.

use std::convert::Infallible;
use std::str::FromStr;

use clap::Args;

/// `anyarch login`
#[derive(Debug, Args)]
pub struct Login {
    /// A registry, as ghcr.io, or a path of one with a login of its own, as ghcr.io/org; Docker Hub when left out
    #[arg(value_name = "REGISTRY[/PATH]")]
    pub registry: Option<String>,
    /// Who logs in; asked for at a terminal when left out
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Take the password, or an access token, from stdin; without it, it is asked for at a terminal
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// What docker has, and we refuse to read
    #[arg(short, long, value_name = "PASSWORD", hide = true, num_args = 0..=1, default_missing_value = "")]
    pub password: Option<Unseen>,
    /// Speak http, or https without verification, to this registry
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
}

/// `anyarch logout`
#[derive(Debug, Args)]
pub struct Logout {
    /// A registry, or a path of one, as in `anyarch login`; Docker Hub when left out
    #[arg(value_name = "REGISTRY[/PATH]")]
    pub registry: Option<String>,
}

/// A text that is forgotten while it is read.
#[derive(Debug, Clone, Copy)]
pub struct Unseen;

impl FromStr for Unseen {
    type Err = Infallible;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Self)
    }
}
