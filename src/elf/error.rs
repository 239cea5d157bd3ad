//! Why a file gave no facts, and what to do about it.

use std::io;

use super::not_elf::FileKind;
use crate::hint::Hint;

/// Why a file gave no facts. The texts are predicates: they read on after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The file system refused.
    #[error("cannot be read")]
    Unreadable {
        /// what it said
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error("is {0}, not an ELF binary")]
    NotElf(FileKind),
    /// The file begins as ELF does, and what follows is not as its own headers say.
    #[error("is a damaged ELF file: {what}")]
    Damaged {
        /// what is wrong with it
        what: &'static str,
    },
}

impl Hint for ElfError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unreadable { .. } => return Vec::new(),
            Self::Damaged { .. } => "build or download the file again: it may have been cut off on its way",
            Self::NotElf(kind) => match kind {
                FileKind::Empty => "build the program again: what should have written this file did not",
                FileKind::MachO | FileKind::Pe => {
                    "build it for Linux: GOOS=linux go build, or cargo build --target x86_64-unknown-linux-musl"
                }
                FileKind::Script { .. } => {
                    "a script goes into an image as a [[file]] with mode = \"0755\"; its interpreter has to be in the base"
                }
                FileKind::Archive | FileKind::Bitcode => "name the linked program, not what goes into its linking",
                FileKind::Compressed(_) => "unpack it and name the program that is inside",
                FileKind::Text { beginning } if beginning.contains("git-lfs") => {
                    "the file itself is in Git LFS: git lfs pull"
                }
                FileKind::Wasm | FileKind::JavaClass | FileKind::Text { .. } | FileKind::Unknown { .. } => {
                    "name the program that the compiler wrote"
                }
            },
        };
        vec![hint.to_owned()]
    }
}

pub(super) fn damaged(what: &'static str) -> ElfError {
    ElfError::Damaged { what }
}
