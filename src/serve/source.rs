//! What a person names becomes the layouts that are served: one, or all in a folder.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::error::ServeError;
use super::root;
use crate::base_name::BaseName;
use crate::reference::is_repository_name;

/// Where a layout is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// in this folder
    Folder(PathBuf),
    /// in this tar
    Archive(PathBuf),
}

/// A layout that is served.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// where it is
    pub place: Place,
    /// as it was named, for people
    pub shown: String,
    /// the only image of it that is served; all when not given
    pub tag: Option<String>,
    /// the repository of all its images, where a person gave one
    pub repository: Option<String>,
    /// the repository of those of its images that bring none
    pub own: String,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// a layout
    Layout(Source),
    /// every layout in this folder, those too that are made there later
    Folder(PathBuf),
}

impl Origin {
    /// Reads an argument: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, the path of a layout, of a tar of one or of a folder of
    /// layouts, perhaps with `NAME=` before it. Paths are relative to `directory`.
    ///
    /// # Errors
    /// When it names nothing that is there, or no repository can be called so.
    pub fn read(directory: &Path, text: &str) -> Result<Self, ServeError> {
        let given = text.split_once('=').filter(|(name, _)| is_repository_name(name));
        let (repository, layout) = given.map_or((None, text), |(name, layout)| (Some(name.to_owned()), layout));
        let prefixed = layout.starts_with("oci:") || layout.starts_with("oci-archive:");
        let (place, tag) = if prefixed {
            let wrong = |source| ServeError::Name { text: text.to_owned(), source };
            match layout.parse().map_err(wrong)? {
                BaseName::Layout { folder, tag } => (Place::Folder(directory.join(folder)), tag),
                BaseName::Archive { file, tag } => (Place::Archive(directory.join(file)), tag),
                _ => return Err(ServeError::NotHere { text: text.to_owned() }),
            }
        } else {
            let path = directory.join(layout);
            match path.is_dir() {
                true if repository.is_none() && !root::is_layout(&path) && !layouts_in(&path).is_empty() => {
                    return Ok(Self::Folder(path));
                }
                true => (Place::Folder(path), None),
                false if path.exists() => (Place::Archive(path), None),
                false => return Err(ServeError::NotHere { text: text.to_owned() }),
            }
        };
        let own = match &repository {
            Some(name) => name.clone(),
            None => own_name(&place).ok_or_else(|| ServeError::NoName { text: layout.to_owned() })?,
        };
        let end = tag.as_ref().map_or(layout.len(), |tag| layout.len() - tag.len() - 1);
        Ok(Self::Layout(Source { place, shown: layout[..end].to_owned(), tag, repository, own }))
    }

    /// The layouts that there are by now, and what is said of those that cannot be served.
    pub(super) fn sources(&self) -> (Vec<Source>, Vec<String>) {
        match self {
            Self::Layout(source) => (vec![source.clone()], Vec::new()),
            Self::Folder(folder) => {
                let (mut sources, mut notes) = (Vec::new(), Vec::new());
                for path in layouts_in(folder) {
                    let (place, shown) = (Place::Folder(path.clone()), format!("oci:{}", path.display()));
                    match own_name(&place) {
                        // There, the folder of an image is what it is called, wherever it may be published.
                        Some(own) => {
                            sources.push(Source { place, shown, tag: None, repository: Some(own.clone()), own });
                        }
                        None => notes.push(format!(
                            "`{shown}` is not served: no repository can be called so, but NAME={shown} gives it a name"
                        )),
                    }
                }
                (sources, notes)
            }
        }
    }
}

/// The layouts in a folder, by name; what is being written there is hidden.
fn layouts_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let hidden = |path: &Path| path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let paths = entries.map(|entry| entry.path()).filter(|path| !hidden(path) && root::is_layout(path));
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    paths
}

/// What the images of a layout are called that bring no repository: as its folder or file is.
fn own_name(place: &Place) -> Option<String> {
    let path = match place {
        Place::Folder(path) | Place::Archive(path) => path,
    };
    // `.` and `..` have the names of what they stand for.
    let full =
        if path.file_name().is_some() && !path.ends_with("..") { path.clone() } else { fs::canonicalize(path).ok()? };
    let name = full.file_name()?.to_str()?;
    let name = match place {
        Place::Folder(_) => name,
        Place::Archive(_) => name.strip_suffix(".tar").unwrap_or(name),
    };
    is_repository_name(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_layouts_archives_and_folders_of_layouts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for layout in ["out/hello", "out/Upper", "out/.anyarch-abcdef.unfinished", "My App"] {
            std::fs::create_dir_all(path(layout)).unwrap();
            std::fs::write(path(layout).join("index.json"), "{}").unwrap();
        }
        std::fs::create_dir(path("empty")).unwrap();
        std::fs::write(path("hello_1.0.tar"), "").unwrap();
        let layout = |text: &str| match Origin::read(folder.path(), text) {
            Ok(Origin::Layout(source)) => {
                let (kind, place) = match &source.place {
                    Place::Folder(folder) => ("folder", folder),
                    Place::Archive(file) => ("archive", file),
                };
                let place = place.strip_prefix(folder.path()).unwrap().display();
                let tag = source.tag.unwrap_or_default();
                format!("{kind} {place} {tag} {} {}", source.repository.unwrap_or_default(), source.own)
            }
            Ok(Origin::Folder(of)) => format!("all of {}", of.strip_prefix(folder.path()).unwrap().display()),
            Err(error) => error.to_string(),
        };
        for (text, expected) in [
            ("out/hello", "folder out/hello   hello"),
            ("oci:out/hello", "folder out/hello   hello"),
            ("oci:out/hello:1.0", "folder out/hello 1.0  hello"),
            ("team/app=out/hello", "folder out/hello  team/app team/app"),
            ("app=oci:out/hello:1.0", "folder out/hello 1.0 app app"),
            ("hello_1.0.tar", "archive hello_1.0.tar   hello_1.0"),
            ("oci-archive:hello_1.0.tar:1", "archive hello_1.0.tar 1  hello_1.0"),
            ("out", "all of out"),
            ("app=My App", "folder My App  app app"),
            ("My App", "no repository can be called as `My App` is"),
            ("oci:My App", "no repository can be called as `oci:My App` is"),
            ("empty", "folder empty   empty"),
            ("none", "there is no layout `none`"),
            ("App=out/hello", "there is no layout `App=out/hello`"),
            ("oci:", "`oci:` names no folder"),
            ("debian:12", "there is no layout `debian:12`"),
        ] {
            assert_eq!(layout(text), expected, "{text}");
        }
        let (sources, notes) = Origin::read(folder.path(), "out").unwrap().sources();
        assert_eq!(sources.iter().map(|source| source.own.as_str()).collect::<Vec<_>>(), ["hello"]);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(matches!(Origin::read(&path("out/hello"), "."), Ok(Origin::Layout(source)) if source.own == "hello"));
    }
}
