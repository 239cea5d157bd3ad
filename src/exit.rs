//! Exit codes, documented in the README's table, which a test holds to this enum.

/// How the program ends. A compiler's own code is never forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// all that was asked for is done
    Success = 0,
    /// something on this machine failed: a file, a disk, a process
    Failure = 1,
    /// the arguments or the configuration are wrong
    Usage = 2,
    /// a binary does not fit its platform or its base
    Check = 3,
    /// a compiler failed
    Compile = 4,
    /// a tool, a target or a toolchain row is missing
    Toolchain = 5,
    /// a registry or a base image could not be read or written
    Registry = 6,
    /// interrupted by a signal
    Interrupted = 130,
}

impl Exit {
    /// Every code, with what it means.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Success, "all that was asked for is done"),
        (Self::Failure, "something on this machine failed: a file, a disk, a process"),
        (Self::Usage, "the arguments or the configuration are wrong"),
        (Self::Check, "a binary does not fit its platform or its base"),
        (Self::Compile, "a compiler failed"),
        (Self::Toolchain, "a tool, a target or a toolchain row is missing"),
        (Self::Registry, "a registry or a base image could not be read or written"),
        (Self::Interrupted, "interrupted by a signal"),
    ];
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
