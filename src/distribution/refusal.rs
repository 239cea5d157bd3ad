//! Why a request is not answered as it was meant, in the words of the specification:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>

use serde_json::{Value, json};

/// The codes of the specification that a registry without pushes, logins and limits has a use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// a blob that is not in the repository
    BlobUnknown,
    /// an upload that never began
    BlobUploadUnknown,
    /// no digest
    DigestInvalid,
    /// a manifest that is not in the repository
    ManifestUnknown,
    /// no name of a repository
    NameInvalid,
    /// a repository that there is not
    NameUnknown,
    /// something that is not done here
    Unsupported,
}

impl Code {
    /// As it is written: `BLOB_UNKNOWN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// the status of the answer
    pub status: u16,
    /// the code
    pub code: Code,
    /// why, for people
    pub message: String,
    /// what was asked for
    pub detail: Option<Value>,
}

impl Refusal {
    /// Something that is not there, or not right.
    #[must_use]
    pub fn new(status: u16, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    /// The same with what was asked for.
    #[must_use]
    pub fn about(self, detail: Value) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// For whatever would change something.
    #[must_use]
    pub fn read_only() -> Self {
        Self::new(405, Code::Unsupported, "this registry is read only: anyarch serve shows image layouts")
    }

    /// The body of the answer, which is JSON.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut error = json!({"code": self.code.name(), "message": self.message});
        if let Some(detail) = &self.detail {
            error["detail"] = detail.clone();
        }
        json!({"errors": [error]}).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_list_of_one_error() {
        let body = |refusal: &Refusal| String::from_utf8(refusal.body()).unwrap();
        let refusal = Refusal::new(404, Code::NameUnknown, "there is no `x`");
        assert_eq!(body(&refusal), r#"{"errors":[{"code":"NAME_UNKNOWN","message":"there is no `x`"}]}"#);
        assert_eq!(
            body(&refusal.about(json!({"name": "x\""}))),
            r#"{"errors":[{"code":"NAME_UNKNOWN","detail":{"name":"x\""},"message":"there is no `x`"}]}"#
        );
    }
}
