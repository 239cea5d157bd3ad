//! Lines of `cargo build --message-format=json-render-diagnostics` become programs that are ready.

use std::path::{Path, PathBuf};

/// A program that cargo has built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// the target it is for
    pub triple: String,
    /// cargo's own name of its package
    pub package_id: String,
    /// its name
    pub binary: String,
    /// the file
    pub path: PathBuf,
    /// true when it was there already
    pub fresh: bool,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// a program is ready
    Artifact(Artifact),
    /// cargo has done what it can; true when all of it succeeded
    Finished(bool),
    /// anything else
    Other,
}

/// Reads cargo's messages. They carry no target: it is the folder below the one that cargo builds in.
#[derive(Clone, Debug)]
pub struct MessageReader {
    build_directory: PathBuf,
}

impl MessageReader {
    /// For a cargo that builds in `build_directory` ([`CargoJob::build_directory`](super::CargoJob::build_directory)).
    #[must_use]
    pub fn new(build_directory: &Path) -> Self {
        Self { build_directory: build_directory.to_owned() }
    }

    /// Reads one line. What is no message of cargo's (a wrapper may print too) is [`Message::Other`].
    #[must_use]
    pub fn read(&self, line: &str) -> Message {
        match serde_json::from_str(line) {
            Ok(cargo_metadata::Message::CompilerArtifact(artifact)) => {
                self.program(artifact).map_or(Message::Other, Message::Artifact)
            }
            Ok(cargo_metadata::Message::BuildFinished(finished)) => Message::Finished(finished.success),
            Ok(_) | Err(_) => Message::Other,
        }
    }

    fn program(&self, artifact: cargo_metadata::Artifact) -> Option<Artifact> {
        let path = artifact.executable.filter(|_| artifact.target.is_bin())?.into_std_path_buf();
        let below = path.strip_prefix(&self.build_directory).ok()?;
        // TRIPLE/PROFILE/NAME: without a target it would be PROFILE/NAME.
        let mut parts = below.components();
        let triple = parts.next()?.as_os_str().to_str()?.to_owned();
        (parts.count() == 2).then_some(())?;
        Some(Artifact {
            triple,
            package_id: artifact.package_id.repr,
            binary: artifact.target.name,
            path,
            fresh: artifact.fresh,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, executable: Option<&str>) -> String {
        serde_json::json!({
            "reason": "compiler-artifact", "package_id": "path+file:///w#app@1.0.0", "manifest_path": "/w/Cargo.toml",
            "target": { "kind": [kind], "crate_types": ["bin"], "name": "app", "src_path": "/w/src/main.rs",
                        "edition": "2024", "doc": true, "doctest": false, "test": true },
            "profile": { "opt_level": "3", "debuginfo": 0, "debug_assertions": false, "overflow_checks": false, "test": false },
            "features": [], "filenames": [executable], "executable": executable, "fresh": true
        })
        .to_string()
        .replace("[null]", "[]")
    }

    #[test]
    fn a_program_is_known_by_the_folder_it_is_in() {
        let reader = MessageReader::new(Path::new("/w/target/anyarch"));
        let path = "/w/target/anyarch/aarch64-unknown-linux-musl/release/app";
        let expected = Artifact {
            triple: "aarch64-unknown-linux-musl".into(),
            package_id: "path+file:///w#app@1.0.0".into(),
            binary: "app".into(),
            path: path.into(),
            fresh: true,
        };
        assert_eq!(reader.read(&line("bin", Some(path))), Message::Artifact(expected));
        for (what, line) in [
            ("a build script", line("custom-build", Some("/w/target/anyarch/release/build/x/build-script-build"))),
            ("a library", line("lib", None)),
            ("a program for the host", line("bin", Some("/w/target/anyarch/release/app"))),
            ("a program of another build", line("bin", Some("/w/target/release/app"))),
            ("text", "Compiling app".to_owned()),
            ("a message of a newer cargo", r#"{"reason":"something-new","x":1}"#.to_owned()),
            ("nothing", String::new()),
        ] {
            assert_eq!(reader.read(&line), Message::Other, "{what}");
        }
    }

    #[test]
    fn the_end_is_known() {
        let reader = MessageReader::new(Path::new("/w"));
        assert_eq!(reader.read(r#"{"reason":"build-finished","success":true}"#), Message::Finished(true));
        assert_eq!(reader.read(r#"{"reason":"build-finished","success":false}"#), Message::Finished(false));
    }
}
