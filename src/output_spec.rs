//! `-o type=oci,dest=FILE` as buildx spells it becomes an [`Output`].

use std::path::PathBuf;

use crate::hint::Hint;

/// Where the image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// the layout `.anyarch/out/NAME`
    Default,
    /// an OCI layout as a folder
    Folder(PathBuf),
    /// an OCI layout as a tar
    Archive(PathBuf),
    /// an OCI layout as a tar on stdout
    Stdout,
    /// the registries of the tags
    Registry,
}

/// Why a text is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// A part that is not KEY=VALUE.
    #[error("`{part}` in the output `{text}` should read KEY=VALUE")]
    Part {
        /// what was given
        text: String,
        /// the part
        part: String,
    },
    /// A key that the type does not have.
    #[error("`{key}` in the output `{text}` is not a key of its type")]
    Key {
        /// what was given
        text: String,
        /// the key
        key: String,
    },
    /// The same key twice.
    #[error("`{key}` is twice in the output `{text}`")]
    Twice {
        /// what was given
        text: String,
        /// the key
        key: String,
    },
    /// A type that we do not write.
    #[error("`{kind}` in the output `{text}` is not a type that anyarch writes")]
    Type {
        /// what was given
        text: String,
        /// the type
        kind: String,
    },
    /// No `type`.
    #[error("the output `{text}` names no type")]
    NoType {
        /// what was given
        text: String,
    },
    /// `type=oci` without a place.
    #[error("the output `{text}` names no dest")]
    NoDestination {
        /// what was given
        text: String,
    },
    /// A value that the key does not take.
    #[error("`{key}` in the output `{text}` should be true or false, not `{value}`")]
    Value {
        /// what was given
        text: String,
        /// the key
        key: String,
        /// the value
        value: String,
    },
    /// A folder on stdout.
    #[error("the output `{text}` is a folder, and stdout takes a tar")]
    FolderOnStdout {
        /// what was given
        text: String,
    },
}

impl Hint for OutputError {
    fn hints(&self) -> Vec<String> {
        vec!["-o type=oci,dest=image.tar".into(), "-o type=oci,dest=folder,tar=false".into(), "-o type=registry".into()]
    }
}

/// Reads the value of `-o`.
///
/// # Errors
/// When a key, a value or the type is unknown, or `dest` is missing.
pub fn parse(text: &str) -> Result<Output, OutputError> {
    let given = || text.to_owned();
    let (mut kind, mut destination, mut tar) = (None, None, None);
    for part in text.split(',') {
        let (key, value) =
            part.split_once('=').ok_or_else(|| OutputError::Part { text: given(), part: part.to_owned() })?;
        let slot = match key.trim() {
            "type" => &mut kind,
            "dest" => &mut destination,
            "tar" => &mut tar,
            other => return Err(OutputError::Key { text: given(), key: other.to_owned() }),
        };
        if slot.replace(value).is_some() {
            return Err(OutputError::Twice { text: given(), key: key.to_owned() });
        }
    }
    match kind {
        None => Err(OutputError::NoType { text: given() }),
        Some("registry") => match (destination, tar) {
            (None, None) => Ok(Output::Registry),
            (Some(_), _) => Err(OutputError::Key { text: given(), key: "dest".into() }),
            (None, Some(_)) => Err(OutputError::Key { text: given(), key: "tar".into() }),
        },
        Some("oci") => {
            let as_tar = match tar.unwrap_or("true") {
                "true" | "1" => true,
                "false" | "0" => false,
                other => return Err(OutputError::Value { text: given(), key: "tar".into(), value: other.to_owned() }),
            };
            match (destination, as_tar) {
                (None | Some(""), _) => Err(OutputError::NoDestination { text: given() }),
                (Some("-"), true) => Ok(Output::Stdout),
                (Some("-"), false) => Err(OutputError::FolderOnStdout { text: given() }),
                (Some(path), true) => Ok(Output::Archive(path.into())),
                (Some(path), false) => Ok(Output::Folder(path.into())),
            }
        }
        Some(other) => Err(OutputError::Type { text: given(), kind: other.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_read_as_buildx_has_them() {
        for (text, output) in [
            ("type=oci,dest=a.tar", Output::Archive("a.tar".into())),
            ("dest=a.tar,type=oci,tar=true", Output::Archive("a.tar".into())),
            ("type=oci,dest=a,tar=false", Output::Folder("a".into())),
            ("type=oci,dest=-", Output::Stdout),
            ("type=registry", Output::Registry),
        ] {
            assert_eq!(parse(text), Ok(output), "{text}");
        }
    }

    #[test]
    fn what_is_no_output_is_said() {
        for (text, message) in [
            ("oci", "`oci` in the output `oci` should read KEY=VALUE"),
            ("dest=a", "the output `dest=a` names no type"),
            ("type=oci", "the output `type=oci` names no dest"),
            ("type=oci,dest=", "the output `type=oci,dest=` names no dest"),
            ("type=docker,dest=a", "`docker` in the output `type=docker,dest=a` is not a type that anyarch writes"),
            ("type=oci,dst=a", "`dst` in the output `type=oci,dst=a` is not a key of its type"),
            ("type=oci,dest=a,dest=b", "`dest` is twice in the output `type=oci,dest=a,dest=b`"),
            (
                "type=oci,dest=a,tar=maybe",
                "`tar` in the output `type=oci,dest=a,tar=maybe` should be true or false, not `maybe`",
            ),
            ("type=oci,dest=-,tar=false", "the output `type=oci,dest=-,tar=false` is a folder, and stdout takes a tar"),
            ("type=registry,dest=a", "`dest` in the output `type=registry,dest=a` is not a key of its type"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
