//! What is done at a registry, in the words of errors.

use std::fmt;

use crate::reference::Repository;

/// What was being done at a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET or HEAD of a manifest
    ReadManifest,
    /// HEAD of a manifest at the destination
    CheckManifest,
    /// PUT of a manifest
    PushManifest,
    /// GET of a blob
    ReadBlob,
    /// HEAD of a blob at the destination
    CheckBlob,
    /// mounting a blob from another repository
    MountBlob,
    /// upload of a blob
    UploadBlob,
}

/// What was being done, to what, where; prints as ``reading the manifest `12` of `docker.io/library/debian` ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// what was being done
    pub verb: Verb,
    /// where
    pub repository: Repository,
    /// the tag or the digest
    pub subject: String,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, preposition) = match self.verb {
            Verb::ReadManifest => ("reading the manifest", "of"),
            Verb::CheckManifest => ("looking for the manifest", "in"),
            Verb::PushManifest => ("pushing the manifest", "to"),
            Verb::ReadBlob => ("reading the blob", "of"),
            Verb::CheckBlob => ("looking for the blob", "in"),
            Verb::MountBlob => ("mounting the blob", "in"),
            Verb::UploadBlob => ("uploading the blob", "to"),
        };
        write!(formatter, "{verb} `{}` {preposition} `{}`", self.subject, self.repository)
    }
}

impl Action {
    pub(super) fn new(verb: Verb, repository: &Repository, subject: &impl ToString) -> Self {
        Self { verb, repository: repository.clone(), subject: subject.to_string() }
    }

    /// The same request for another reason.
    pub(super) fn but(&self, verb: Verb) -> Self {
        Self { verb, ..self.clone() }
    }
}
