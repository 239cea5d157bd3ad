//! A PATH argument becomes the place of a project: its own folder, the project's root, and the language's marker.

use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use crate::c_program::is_source;
use crate::config;

use super::error::Error;

/// The folder of ours in a project.
const OWN_FOLDER: &str = ".anyarch";

/// The folder of ours in the project whose root that is.
#[must_use]
pub fn own_folder(root: &Path) -> PathBuf {
    root.join(OWN_FOLDER)
}

/// Where the layouts of a project go that has no other place for them, one folder an image.
#[must_use]
pub fn layouts_folder(root: &Path) -> PathBuf {
    own_folder(root).join("out")
}

/// Where a project is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// the folder that was named
    pub start: PathBuf,
    /// the folder that holds the configuration file, else go.mod or Cargo.toml
    pub root: PathBuf,
    /// the nearest folder with a go.mod or a Cargo.toml
    pub marker: Option<Marker>,
}

/// What makes a folder a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// it holds a go.mod
    Go(PathBuf),
    /// it holds a Cargo.toml
    Cargo(PathBuf),
    /// it holds both
    Both(PathBuf),
    /// it holds C: sources, or what a build system of C reads
    C(PathBuf),
}

/// Goes up from `path` (a folder, or Go's `./cmd/...`) to its project.
///
/// # Errors
/// When the folder does not exist, or no project is there or above.
pub fn locate(directory: &Path, path: &str) -> Result<Location, Error> {
    let start = directory.join(without_pattern(path).0);
    let start = fs::canonicalize(&start).map_err(|_| Error::NoPath { path: path.into() })?;
    let start = if start.is_dir() { start } else { start.parent().map(Path::to_owned).unwrap_or_default() };
    let above = || start.ancestors().find_map(marker_in);
    let marker = if holds_only_c(&start) { Some(Marker::C(start.clone())) } else { above() };
    let marker = marker.or_else(|| holds_c(&start).then(|| Marker::C(start.clone())));
    let language_root = marker.as_ref().map(|marker| match marker {
        Marker::Go(folder) | Marker::Cargo(folder) | Marker::Both(folder) | Marker::C(folder) => folder.clone(),
    });
    // A configuration above the language's own root is another project's: that of whoever vendored this one. C has no
    // file that marks its root, so a folder of it belongs to the nearest configuration above.
    let has_own_root = |folder: &&Path| {
        let is_c = matches!(marker, Some(Marker::C(_)));
        is_c || language_root.as_deref().is_none_or(|root| folder.starts_with(root))
    };
    let configured =
        start.ancestors().take_while(has_own_root).find(|folder| config::path_in(folder).is_file()).map(Path::to_owned);
    let workspace = match &marker {
        Some(Marker::Cargo(folder)) => workspace_above(folder),
        _ => None,
    };
    let configured = configured.or_else(|| workspace.clone().filter(|folder| config::path_in(folder).is_file()));
    let root = configured.or(workspace).or(language_root).ok_or_else(|| Error::NoProject { path: start.clone() })?;
    Ok(Location { start, root, marker })
}

/// What marks `folder` as a project of a language.
pub(super) fn marker_in(folder: &Path) -> Option<Marker> {
    match (folder.join("go.mod").is_file(), folder.join("Cargo.toml").is_file()) {
        (true, true) => Some(Marker::Both(folder.to_owned())),
        (true, false) => Some(Marker::Go(folder.to_owned())),
        (false, true) => Some(Marker::Cargo(folder.to_owned())),
        (false, false) => None,
    }
}

/// Whether a folder holds C and nothing of the Go or Rust project that it may lie in. A Makefile says nothing here: people
/// keep them in any folder.
pub(super) fn holds_only_c(folder: &Path) -> bool {
    let told = ["CMakeLists.txt", "configure", "configure.ac", "meson.build"];
    let names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let is_other = |name: &String| {
        let extension = Path::new(name).extension();
        extension.is_some_and(|extension| extension == "go" || extension == "rs")
    };
    marker_in(folder).is_none()
        && !names.iter().any(is_other)
        && names.iter().any(|name| is_source(name) || told.contains(&name.as_str()))
}

/// Whether a folder holds C.
pub(super) fn holds_c(folder: &Path) -> bool {
    let told = ["CMakeLists.txt", "configure", "configure.ac", "meson.build", "Makefile", "GNUmakefile", "makefile"];
    let is_source = |name: std::ffi::OsString| is_source(&name.to_string_lossy());
    told.iter().any(|name| folder.join(name).is_file())
        || fs::read_dir(folder)
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_source(entry.file_name()))))
}

/// The nearest Cargo.toml above with a `[workspace]`. Whether the package is a member is for cargo to say.
fn workspace_above(package: &Path) -> Option<PathBuf> {
    let has_workspace = |folder: &&Path| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        text.lines().any(|line| line.trim_start().starts_with("[workspace"))
    };
    package.ancestors().find(has_workspace).map(Path::to_owned)
}

/// Splits Go's `...` off a path.
pub(super) fn without_pattern(path: &str) -> (&str, bool) {
    match path.strip_suffix("...") {
        Some(folder) => (if folder.is_empty() { "." } else { folder }, true),
        None => (path, false),
    }
}

/// A path as it would be typed in `directory`: `./cmd/app`, `../other`, else in full.
#[must_use]
pub fn as_typed(directory: &Path, path: &Path) -> String {
    let here = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let shared = here.components().zip(path.components()).take_while(|(one, other)| one == other).count();
    let up = here.components().count() - shared;
    // Further up, or on another side of the root, the path itself says more.
    if up > 3 || shared <= 1 {
        return path.display().to_string();
    }
    let rest: PathBuf = path.components().skip(shared).collect();
    let start = if up == 0 { Component::CurDir.as_os_str().into() } else { PathBuf::from_iter(vec![".."; up]) };
    if rest.as_os_str().is_empty() { start.display().to_string() } else { start.join(rest).display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_they_would_be_typed() {
        for (directory, path, typed) in [
            ("/no/such/m", "/no/such/m", "."),
            ("/no/such/m", "/no/such/m/cmd/app", "./cmd/app"),
            ("/no/such/m", "/no/such/other/cmd", "../other/cmd"),
            ("/no/such/m/cmd", "/no/such/m", ".."),
            ("/no/such/m", "/srv/other", "/srv/other"),
            ("/no/such/a/b/c/d", "/no/such/other", "/no/such/other"),
        ] {
            assert_eq!(as_typed(Path::new(directory), Path::new(path)), typed, "{path} in {directory}");
        }
    }

    #[test]
    fn gos_pattern_is_split_off() {
        for (path, split) in [("./...", ("./", true)), ("...", (".", true)), ("cmd/app", ("cmd/app", false))] {
            assert_eq!(without_pattern(path), split);
        }
    }
}
