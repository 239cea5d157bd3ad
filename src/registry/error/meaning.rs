//! What an error of a registry means for what is done next: again, elsewhere, anew, or not at all.

use std::time::Duration;

use super::Error;
use crate::registry::action::Verb;

impl Error {
    /// True for what may pass by itself.
    pub(in crate::registry) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } | Self::Token { status, .. } | Self::Busy { status, .. } => {
                crate::registry::retry::is_transient(status.as_u16())
            }
            Self::Forgotten { .. }
            | Self::Interrupted { .. }
            | Self::Stalled { .. }
            | Self::TooSlow { .. }
            | Self::Truncated { .. } => true,
            // A registry that restarts is there again soon; a wrong name never is.
            Self::Unreachable { answered: true, source, .. } if crate::http::is_absent(source) => true,
            Self::Unreachable { source, .. } | Self::TargetUnreachable { source, .. } | Self::Proxy { source, .. } => {
                crate::registry::transport::is_reset(source)
            }
            _ => false,
        }
    }

    /// True for an upload that stood still.
    pub(in crate::registry) fn is_stalled_upload(&self) -> bool {
        matches!(self, Self::Stalled { action, .. } if action.verb == Verb::UploadBlob)
    }

    /// True when it was not asked because nobody may be.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::Offline { .. } | Self::NeverResolved { .. })
    }

    /// True when another place could not do better: what is wrong is here.
    pub(in crate::registry) fn is_local(&self) -> bool {
        match self {
            Self::Setup { .. }
            | Self::Certificates { .. }
            | Self::ProxyVariable { .. }
            | Self::Offline { .. }
            | Self::NeverResolved { .. }
            | Self::Credentials { .. }
            | Self::Name { .. }
            | Self::Store { .. }
            | Self::File { .. } => true,
            Self::GaveUp { source, .. } => source.is_local(),
            _ => false,
        }
    }

    /// True when only this repository, or this image of it, cannot be had from the registry.
    pub(in crate::registry) fn is_of_repository(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                status.is_client_error() && !crate::registry::retry::is_transient(status.as_u16())
            }
            Self::Token { status, .. } => matches!(status.as_u16(), 401 | 403),
            Self::WrongContent { .. } | Self::Truncated { .. } | Self::TooLarge { .. } | Self::Manifest { .. } => true,
            Self::GaveUp { source, .. } => source.is_of_repository(),
            _ => false,
        }
    }

    /// What the registry asked to wait.
    pub(in crate::registry) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { wait, .. } | Self::Token { wait, .. } | Self::Busy { wait, .. } => *wait,
            _ => None,
        }
    }

    /// The HTTP status of the answer that was the error.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. }
            | Self::Token { status, .. }
            | Self::Busy { status, .. }
            | Self::Forgotten { status, .. }
            | Self::LoginRefused { status, .. } => Some(status.as_u16()),
            Self::GaveUp { source, .. } => source.status(),
            _ => None,
        }
    }

    /// What the refusal of an upload means: where the registry does not know the upload any more, or says that it is of
    /// no use any more, it begins anew. One that is farther, or less far, than we thought (416) is not lost.
    pub(in crate::registry) fn of_an_upload(self) -> Self {
        match self {
            Self::Status { action, status, said, .. }
                if status.as_u16() == 404
                    || said.as_ref().is_some_and(|said| {
                        said.contains("BLOB_UPLOAD_UNKNOWN")
                            || status.as_u16() != 416 && said.contains("BLOB_UPLOAD_INVALID")
                    }) =>
            {
                Self::Forgotten { action, status, said }
            }
            other => other,
        }
    }

    /// True when a manifest was refused because something that it names is not there.
    #[must_use]
    pub fn lacks_a_part(&self) -> bool {
        match self {
            Self::Status { action, status, said, .. } => {
                let said = said.as_deref().unwrap_or_default();
                action.verb == Verb::PushManifest
                    && matches!(status.as_u16(), 400 | 404 | 422)
                    && ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"]
                        .iter()
                        .any(|code| said.contains(code))
            }
            Self::GaveUp { source, .. } => source.lacks_a_part(),
            _ => false,
        }
    }
}
