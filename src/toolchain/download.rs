//! The part of a tool's row that says where the tool can be had without root: a file for each host, with its SHA-256.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::blob::Digest;
use crate::platform::Platform;

/// Where a file comes from, and how it is unpacked.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum DownloadKind {
    /// a wheel of a Python package index; its modes are kept
    Pypi,
    /// a zip of a Go module proxy, which has no modes and puts everything below `MODULE@VERSION/`
    GoProxy,
}

/// A tool as a file for each host.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// where it comes from
    pub kind: DownloadKind,
    /// the name of the package or the path of the module
    pub package: String,
    /// the version, for people and for the name of the folder
    pub version: String,
    /// the program inside, relative to what is unpacked
    pub program: PathBuf,
    /// variables of the user's that are about another installation and must not reach this one
    #[serde(default)]
    pub unset: Vec<String>,
    /// the file for each host that there is one for
    pub hosts: BTreeMap<Platform, HostFile>,
}

/// The file for one host.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub struct HostFile {
    /// its name
    pub file: String,
    /// what it has to be
    #[serde(deserialize_with = "hex")]
    pub sha256: Digest,
    /// its size in bytes
    pub size: u64,
}

fn hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    format!("sha256:{text}").parse().map_err(serde::de::Error::custom)
}

impl Download {
    /// What is wrong with it, if something is: its parts, and the tool's name, become paths below our own folder.
    #[must_use]
    pub fn fault(&self, tool: &str) -> Option<String> {
        let one = |text: &str| matches!(Path::new(text).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        if let Some(part) = [tool, self.version.as_str()].into_iter().find(|part| !one(part)) {
            return Some(format!("`{part}` cannot be part of a folder's name"));
        }
        let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if self.program.as_os_str().is_empty() || !inside(&self.program) {
            return Some(format!("the program `{}` is not a path inside the download", self.program.display()));
        }
        let file = self.hosts.values().find(|file| !one(&file.file));
        file.map(|file| format!("`{}` is no file name", file.file))
    }

    /// The name of the folder that it is unpacked to: one for each version and each content.
    #[must_use]
    pub fn folder(&self, tool: &str, file: &HostFile) -> String {
        format!("{tool}-{}-{}", self.version, &file.sha256.hex()[..12])
    }

    /// Where an entry of the archive goes, relative to the folder; `None` for what is left out. Everything in a module's
    /// zip lies below `MODULE@VERSION/`, and the version is the file's name (<https://go.dev/ref/mod#zip-files>).
    #[must_use]
    pub fn place(&self, file: &HostFile, entry: &Path) -> Option<PathBuf> {
        match self.kind {
            DownloadKind::Pypi => Some(entry.to_owned()),
            DownloadKind::GoProxy => {
                let version = file.file.strip_suffix(".zip").unwrap_or(&file.file);
                entry.strip_prefix(format!("{}@{version}", self.package)).ok().map(Path::to_owned)
            }
        }
    }

    /// Whether the file at `place` may be executed; `mode` is what the archive says.
    #[must_use]
    pub fn is_executable(&self, place: &Path, mode: Option<u32>) -> bool {
        match self.kind {
            DownloadKind::Pypi => mode.is_some_and(|mode| mode & 0o111 != 0),
            // As the go command does it for a toolchain that it downloads itself.
            DownloadKind::GoProxy => {
                place.starts_with("pkg/tool") || (place.starts_with("bin") && place.components().count() == 2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn download(kind: &str, rest: &str) -> Result<Download, toml::de::Error> {
        let hash = "ab".repeat(32);
        toml::from_str(&format!(
            "kind = \"{kind}\"\npackage = \"golang.org/toolchain\"\nversion = \"1.2\"\nprogram = \"bin/go\"\n\
             hosts.\"linux/amd64\" = {{ file = \"v0.0.1-go1.2.linux-amd64.zip\", sha256 = \"{hash}\", size = 7 }}\n{rest}"
        ))
    }

    #[test]
    fn a_module_zip_loses_its_prefix_and_gets_modes() {
        let go = download("goproxy", "").unwrap();
        let file = &go.hosts[&"linux/amd64".parse().unwrap()];
        assert_eq!(go.folder("go", file), "go-1.2-abababababab");
        let prefix = "golang.org/toolchain@v0.0.1-go1.2.linux-amd64/";
        for (path, executable) in [
            ("bin/go", true),
            ("pkg/tool/linux_amd64/compile", true),
            ("bin/deeper/file", false),
            ("src/bin/x.go", false),
            ("VERSION", false),
        ] {
            let place = go.place(file, Path::new(&format!("{prefix}{path}"))).unwrap();
            assert_eq!((place.as_path(), go.is_executable(&place, None)), (Path::new(path), executable));
        }
        assert_eq!(go.place(file, Path::new("golang.org/toolchain@v0.0.1-go1.3.linux-amd64/bin/go")), None);
    }

    #[test]
    fn a_wheel_keeps_its_modes() {
        let zig = download("pypi", "").unwrap();
        let file = zig.hosts.values().next().unwrap();
        let place = zig.place(file, Path::new("ziglang/zig")).unwrap();
        assert_eq!(place, Path::new("ziglang/zig"));
        for (mode, executable) in [(Some(0o100_755), true), (Some(0o100_644), false), (None, false)] {
            assert_eq!(zig.is_executable(&place, mode), executable);
        }
    }

    #[test]
    fn what_would_leave_its_folder_is_a_fault() {
        for (change, fault) in [
            (("\"1.2\"", "\"../1\""), "`../1` cannot be part of a folder's name"),
            (("\"bin/go\"", "\"/bin/go\""), "the program `/bin/go` is not a path inside the download"),
            (("\"bin/go\"", "\"../go\""), "the program `../go` is not a path inside the download"),
            (("v0.0.1", "../v0.0.1"), "`../v0.0.1-go1.2.linux-amd64.zip` is no file name"),
        ] {
            let hash = "ab".repeat(32);
            let text = format!(
                "kind = \"pypi\"\npackage = \"p\"\nversion = \"1.2\"\nprogram = \"bin/go\"\n\
                 hosts.\"linux/amd64\" = {{ file = \"v0.0.1-go1.2.linux-amd64.zip\", sha256 = \"{hash}\", size = 7 }}\n"
            )
            .replace(change.0, change.1);
            assert_eq!(toml::from_str::<Download>(&text).unwrap().fault("go").as_deref(), Some(fault));
        }
        assert_eq!(download("pypi", "").unwrap().fault("go"), None);
        let fault = download("pypi", "").unwrap().fault("../go");
        assert_eq!(fault.as_deref(), Some("`../go` cannot be part of a folder's name"));
        assert!(download("pypi", "other = 1\n").is_err());
    }
}
