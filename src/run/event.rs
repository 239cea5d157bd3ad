//! What a run tells whoever watches it. Nothing here says how it is shown.

use std::time::Duration;

use crate::platform::Platform;
use crate::verify::Verdict;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something that a person should know and that changes nothing.
    Note(String),
    /// A compiler started; `job` is its position in the plan.
    CompileStarted {
        /// position in the plan
        job: usize,
        /// what it compiles for
        platforms: Vec<Platform>,
        /// the programs it makes
        programs: Vec<String>,
    },
    /// A binary is there.
    Compiled {
        /// its platform
        platform: Platform,
        /// its program
        program: String,
        /// since its compiler started
        elapsed: Duration,
    },
    /// A compiler ended.
    CompileEnded {
        /// position in the plan
        job: usize,
    },
    /// A compiler failed.
    CompileFailed {
        /// what it compiled for
        platforms: Vec<Platform>,
        /// the programs it was to make
        programs: Vec<String>,
        /// `exit code 1`
        ending: String,
        /// all that it said
        output: String,
    },
    /// What a compiler that succeeded said.
    CompilerOutput {
        /// what it compiled for
        platforms: Vec<Platform>,
        /// all that it said
        output: String,
    },
    /// A unit is an image.
    Packed {
        /// its image
        image: String,
        /// its platform
        platform: Platform,
        /// bytes of the layers of ours
        size: u64,
        /// for checking, compressing and hashing
        elapsed: Duration,
    },
    /// A unit was judged.
    Checked {
        /// its image
        image: String,
        /// its platform
        platform: Platform,
        /// whether it starts
        verdict: Verdict,
        /// for listing and judging
        elapsed: Duration,
    },
    /// What a person should know of units.
    Finding {
        /// of which, in words
        units: String,
        /// what it means for their start
        verdict: Verdict,
        /// what it is
        text: String,
        /// ways out, the best first
        hints: Vec<String>,
    },
    /// A unit's program was started, and ended well.
    Started {
        /// its image
        image: String,
        /// its platform
        platform: Platform,
        /// how long it ran
        elapsed: Duration,
    },
    /// A unit's program was started, or was to be, and failed.
    StartFailed {
        /// its image
        image: String,
        /// its platform
        platform: Platform,
        /// what was started, as a line for a shell
        command: String,
        /// what happened to it, as a predicate
        ending: String,
        /// what it said, printable
        output: String,
    },
    /// Something that was missing is being installed; one thing at a time.
    Installing {
        /// its name and version
        what: String,
        /// what is done
        step: InstallStep,
    },
    /// A step of an installation goes on.
    InstallMoved {
        /// how many bytes so far
        bytes: u64,
    },
    /// An installation is over, whether it succeeded or not.
    InstallEnded,
    /// Something was installed.
    Installed {
        /// its name and version
        what: String,
        /// where it is
        place: String,
        /// how long it took
        elapsed: Duration,
    },
    /// Bytes start to move.
    TransferStarted {
        /// names the transfer
        id: u64,
        /// what moves, for people
        what: String,
        /// how many bytes there are
        size: u64,
    },
    /// Bytes are about to move.
    TransferBegan {
        /// names the transfer
        id: u64,
        /// how many are there already
        at: u64,
    },
    /// Bytes moved.
    Transferred {
        /// names the transfer
        id: u64,
        /// how many so far; falls when a transfer begins anew
        bytes: u64,
    },
    /// No more bytes move.
    TransferEnded {
        /// names the transfer
        id: u64,
        /// how it ended
        end: TransferEnd,
    },
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEnd {
    /// all bytes moved
    Done,
    /// it failed, which is told elsewhere
    Failed,
}

/// A step of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallStep {
    /// another process installs the same
    Waiting,
    /// a file comes
    Downloading {
        /// from this host
        host: String,
        /// bytes that were there before
        at: u64,
        /// bytes in all
        size: u64,
    },
    /// it is unpacked
    Unpacking {
        /// bytes in all
        size: u64,
    },
    /// rustup does it
    Rustup,
}

/// Watches a run.
pub trait Watch: Send + Sync {
    /// Takes an event; called from many threads.
    fn event(&self, event: Event);
}
