//! Programs that fail on demand, and a PATH that lacks some: what a test puts before, or in place of, the machine's own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;

/// A folder of shell scripts that stand before the machine's programs.
pub struct Shims(TempDir);

impl Shims {
    /// None yet.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A PATH on which the shims come first.
    pub fn path(&self) -> OsString {
        let machine = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder().to_owned()).chain(std::env::split_paths(&machine));
        std::env::join_paths(folders).expect("a temporary folder's name has no colon")
    }

    /// Adds a program: the lines of a shell script.
    pub fn script(self, name: &str, lines: &str) -> Self {
        let path = self.folder().join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("a shim can be written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a shim can be made executable");
        self
    }

    /// Adds a stand-in for the machine's `name` that writes `stderr` and exits with `code` when its first argument is
    /// `subcommand` and the variable `when.0` is `when.1`; any other call goes to the real program.
    ///
    /// # Panics
    /// When the machine has no such program.
    pub fn failing(self, name: &str, subcommand: &str, when: (&str, &str), stderr: &str, code: u8) -> Self {
        let real = which::which(name).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        let said = self.folder().join(format!(".{name}.stderr"));
        fs::write(&said, stderr).expect("a shim's words can be written");
        let (variable, value) = when;
        let (said, real) = (said.display(), real.display());
        self.script(
            name,
            &format!(
                "if [ \"$1\" = '{subcommand}' ] && [ \"${variable}\" = '{value}' ]; then\n\
                 \x20 cat '{said}' >&2\n  exit {code}\nfi\nexec '{real}' \"$@\""
            ),
        )
    }

    /// Links every program of the machine's PATH into the folder, except `names` and what a shim stands for: the
    /// folder alone is then a PATH of a machine where these are not installed.
    pub fn without(self, names: &[&str]) -> Self {
        let machine = std::env::var_os("PATH").unwrap_or_default();
        let mut seen: BTreeSet<OsString> = names.iter().map(OsString::from).collect();
        for folder in std::env::split_paths(&machine) {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let entry = entry.expect("a folder of programs can be read");
                let target = self.folder().join(entry.file_name());
                if seen.insert(entry.file_name()) && !target.exists() {
                    symlink(entry.path(), target).expect("a link can be made");
                }
            }
        }
        self
    }
}
