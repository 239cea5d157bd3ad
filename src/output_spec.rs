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
    #[error("`-o {text}`: `{part}` should read KEY=VALUE")]
    Part {
        /// what was given
        text: String,
        /// the part
        part: String,
    },
    /// A key that the type does not have.
    #[error("`-o {text}`: the key `{key}` is unknown")]
    Key {
        /// what was given
        text: String,
        /// the key
        key: String,
    },
    /// The same key twice.
    #[error("`-o {text}`: the key `{key}` stands there twice")]
    Twice {
        /// what was given
        text: String,
        /// the key
        key: String,
    },
    /// A type that we do not write.
    #[error("`-o {text}`: the type `{kind}` is not one that anyarch writes")]
    Type {
        /// what was given
        text: String,
        /// the type
        kind: String,
    },
    /// No `type`.
    #[error("`-o {text}` names no type")]
    NoType {
        /// what was given
        text: String,
    },
    /// `type=oci` without a place.
    #[error("`-o {text}` names no dest")]
    NoDestination {
        /// what was given
        text: String,
    },
    /// A value that the key does not take.
    #[error("`-o {text}`: `{key}` should be true or false, not `{value}`")]
    Value {
        /// what was given
        text: String,
        /// the key
        key: String,
        /// the value
        value: String,
    },
    /// A folder on stdout.
    #[error("`-o {text}`: a folder cannot be written to stdout")]
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
            ("oci", "`-o oci`: `oci` should read KEY=VALUE"),
            ("dest=a", "`-o dest=a` names no type"),
            ("type=oci", "`-o type=oci` names no dest"),
            ("type=oci,dest=", "`-o type=oci,dest=` names no dest"),
            ("type=docker,dest=a", "`-o type=docker,dest=a`: the type `docker` is not one that anyarch writes"),
            ("type=oci,dst=a", "`-o type=oci,dst=a`: the key `dst` is unknown"),
            ("type=oci,dest=a,dest=b", "`-o type=oci,dest=a,dest=b`: the key `dest` stands there twice"),
            ("type=oci,dest=a,tar=maybe", "`-o type=oci,dest=a,tar=maybe`: `tar` should be true or false, not `maybe`"),
            ("type=oci,dest=-,tar=false", "`-o type=oci,dest=-,tar=false`: a folder cannot be written to stdout"),
            ("type=registry,dest=a", "`-o type=registry,dest=a`: the key `dest` is unknown"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
