//! Why a text is not the value that its key asks for, and how that travels through serde's errors, which are strings.

use crate::annotation::AnnotationError;
use crate::c_program::BuildSystem;
use crate::hint::Hint;
use crate::platform::{Architecture, Platform, PlatformError};
use crate::registry_map::RegistryNameError;
use crate::toolchain::Language;

/// Why a text is not the value that its key asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "`text` is what was written, and each message says the rest")]
pub enum ValueError {
    #[error("{0}")]
    Platform(PlatformError),
    #[error("the platform `{platform}` is there twice")]
    PlatformTwice { platform: Platform },
    #[error("`{text}` is not a file mode: it should read as octal digits, at most 7777")]
    Mode { text: String },
    #[error("`{text}` is not an owner: it should read uid:gid, two numbers")]
    Owner { text: String },
    #[error("`{text}` is not a port: it should read 1 to 65535, or that with /tcp, /udp or /sctp")]
    Port { text: String },
    #[error("`{text}` is not a language")]
    Language { text: String, nearest: Option<&'static str> },
    #[error("`{text}` is not a build system")]
    BuildSystem { text: String },
    #[error("`{text}` is not a way to verify: it should read strict, warn or off")]
    Policy { text: String },
    #[error("`{text}` is not a nightly toolchain, and only those compile the standard library")]
    Nightly { text: String },
    #[error("`{text}` is not a libc: it should read auto, static, musl, gnu, or gnu with a version such as gnu.2.28")]
    Libc { text: String },
    #[error("`{text}` is not a time: it should read commit, or a date and time with an offset (RFC 3339)")]
    Time { text: String },
    #[error("`{text}` is not a signal: it should read as SIGTERM does, or be a number")]
    Signal { text: String },
    #[error("`{text}` is not an assignment: it should read NAME=value")]
    Assignment { text: String },
    #[error("`{name}` is not a variable's name")]
    VariableName { name: String },
    #[error("`{name}` is there twice")]
    NameTwice { name: String },
    #[error("`{text}` is not a path in the image: it should start with `/`")]
    NotAbsolute { text: String },
    #[error("`{text}` is not a file's path in the image: it should have no `.`, `..` or empty part")]
    NotNormal { text: String },
    #[error("`{text}` would delete files of the base: names that begin with `.wh.` mean that in a layer")]
    Whiteout { text: String },
    #[error("`{text}` is not a program's name: it should be a single part of a path")]
    ProgramName { text: String },
    #[error("`{text}` is not an image's name: it should be a single part of a path")]
    ImageName { text: String },
    #[error("{0}")]
    Annotation(AnnotationError),
    #[error("{0}")]
    Registry(RegistryNameError),
    #[error("it is empty")]
    Empty,
}

impl Hint for ValueError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Platform(error) => return platform_hints(error),
            Self::Annotation(error) => return error.hints(),
            Self::Registry(error) => return error.hints(),
            Self::Mode { .. } => "mode = \"0644\"".into(),
            Self::Owner { .. } => "owner = \"65532:65532\"".into(),
            Self::Port { .. } => "ports = [\"8080/tcp\"]".into(),
            Self::Language { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::Language { nearest: None, .. } => format!("known languages: {}", Language::names().join(", ")),
            Self::BuildSystem { .. } => format!("known build systems: {}", BuildSystem::names().join(", ")),
            Self::Policy { .. } => "verify = \"warn\"".into(),
            Self::Nightly { .. } => "build_std = \"nightly\"".into(),
            Self::Libc { .. } => "libc = \"gnu.2.28\"".into(),
            Self::Time { .. } => "created = \"2026-01-31T12:00:00Z\"".into(),
            Self::Signal { .. } => "stop_signal = \"SIGTERM\"".into(),
            Self::NotAbsolute { text } if !text.is_empty() => format!("did you mean `/{text}`?"),
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

/// A platform's error advises a flag; here the advice is a value to write.
fn platform_hints(error: &PlatformError) -> Vec<String> {
    match error {
        PlatformError::Shape { .. } => vec!["platforms = [\"linux/amd64\", \"linux/arm64\", \"linux/arm/v7\"]".into()],
        PlatformError::NoArchitecture { text } => vec![format!("did you mean `{text}/{}`?", Architecture::Amd64)],
        PlatformError::UnknownOs { .. } => vec!["did you mean `linux/amd64`?".into()],
        PlatformError::UnknownArchitecture { nearest: Some(nearest), .. } => {
            vec![format!("did you mean `linux/{nearest}`?")]
        }
        _ => error.hints().into_iter().map(|hint| hint.replace("--platform ", "")).collect(),
    }
}

/// Puts an error with its hints into the one string that a serde error can carry; [`unpack`] takes it apart.
pub(super) fn pack(error: &ValueError) -> String {
    let mut lines = vec![one_line(&error.to_string())];
    lines.extend(error.hints().iter().map(|hint| one_line(hint)));
    lines.join("\n")
}

/// The message and the hints that [`pack`] put together.
pub(super) fn unpack(packed: &str) -> (String, Vec<String>) {
    let mut lines = packed.lines().map(str::to_owned);
    (lines.next().unwrap_or_default(), lines.collect())
}

fn one_line(text: &str) -> String {
    text.replace('\r', "\\r").replace('\n', "\\n")
}
