//! `[[file]]` tables become layer entries: a file of the project, or all that is taken of a folder.
//!
//! A folder becomes its files and links, and no entry of its own nor of one below it: what unpacks a layer makes the
//! folders that are missing, and an entry would replace a link or a mode of the base.

mod error;
mod folder;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use toml::Spanned;

use crate::config::check::not_empty;
use crate::config::template::Scope;
use crate::config::{FileEntry, Place, values};
use crate::layer_entry::{Contents, Entry, EntryKind, is_whiteout};
use crate::plan::ProgramInput;

use super::detect::Program;
use super::error::Error;
use super::session::Session;
use super::settings::Settings;
use folder::Folder;

pub use error::FileError;

/// What the `[[file]]` tables of an image take.
pub(super) struct Taken(Vec<(Entry, Place)>);

/// Takes what the `[[file]]` tables of an image name. Each entry remembers where its destination was written.
///
/// # Errors
/// When something is not there, leads out of the project, is empty, or has the destination of something else.
pub(super) fn taken(
    session: &Session,
    settings: &Settings,
    tables: &[Spanned<FileEntry>],
    scope: &Scope,
) -> Result<Taken, Error> {
    let mut taken = Vec::new();
    let mut destinations: BTreeMap<String, Place> = BTreeMap::new();
    for table in tables {
        let table = Table::new(session, settings, table.get_ref(), scope)?;
        if let Some(first) = destinations.insert(table.destination.clone(), table.to.clone()) {
            return Err(twice(table.destination, &first, &table.to).into());
        }
        taken.extend(table.entries()?.into_iter().map(|entry| (entry, table.to.clone())));
    }
    let taken = Taken(taken);
    distinct(taken.sources())?;
    Ok(taken)
}

fn twice(destination: String, first: &Place, second: &Place) -> FileError {
    FileError::Twice { destination, first: first.to_string(), second: second.to_string() }
}

impl Taken {
    /// The entries.
    pub(super) fn entries(self) -> Vec<Entry> {
        self.0.into_iter().map(|(entry, _)| entry).collect()
    }

    fn sources(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(entry, place)| (format!("/{}", entry.path), place.to_string()))
    }

    /// Holds the programs of a unit to places that no file, and no other program, has.
    ///
    /// # Errors
    /// When two things have one place, one would be a folder for the other, or one would delete files of the base.
    pub(super) fn distinct(
        &self,
        settings: &Settings,
        programs: &[Program],
        planned: &[ProgramInput],
    ) -> Result<(), FileError> {
        let place = |program: &Program| match program.table.map(|table| &settings.file.program[table]) {
            None => format!("the program `{}`", program.name),
            Some(table) => {
                let (source, keys) = (&settings.file.source, table.get_ref());
                let destination = keys.destination.as_ref().map(|value| source.place_of(value));
                let name = || keys.name.as_ref().map(|value| source.place_of(value));
                destination.or_else(name).unwrap_or_else(|| source.place_of(table)).to_string()
            }
        };
        let programs =
            programs.iter().zip(planned).map(|(program, planned)| (planned.destination.clone(), place(program)));
        distinct(self.sources().chain(programs))
    }
}

/// Each path in the image has one source, none lies below a file, and none takes something away.
fn distinct(sources: impl Iterator<Item = (String, String)>) -> Result<(), FileError> {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (destination, source) in sources {
        if is_whiteout(&destination) {
            return Err(FileError::Whiteout { place: source, path: destination });
        }
        if let Some(first) = taken.get(&destination) {
            let (first, second) = (first.clone(), source);
            return Err(FileError::Twice { destination, first, second });
        }
        taken.insert(destination, source);
    }
    for (path, folder) in &taken {
        for above in Path::new(path).ancestors().skip(1) {
            let above = above.to_string_lossy();
            if let Some(file) = taken.get(above.as_ref()) {
                let (destination, file, folder) = (above.into_owned(), file.clone(), folder.clone());
                return Err(FileError::FileAndFolder { destination, file, folder });
            }
        }
    }
    Ok(())
}

/// One `[[file]]`, rendered, with what it names.
struct Table<'run> {
    session: &'run Session,
    keys: &'run FileEntry,
    /// the project, all links resolved
    root: PathBuf,
    /// relative to the project, as it is to be shown
    source: PathBuf,
    /// the same, all links resolved
    resolved: PathBuf,
    /// where the source was written
    from: Place,
    /// in the image, with the leading slash
    destination: String,
    /// where that was written
    to: Place,
}

impl<'run> Table<'run> {
    fn new(session: &'run Session, settings: &Settings, keys: &'run FileEntry, scope: &Scope) -> Result<Self, Error> {
        let from = settings.file.source.place_of(&keys.source);
        let to = settings.file.source.place_of(&keys.destination);
        let source: PathBuf = settings.checked("source", &keys.source, scope, not_empty)?.value.into();
        let destination = settings.checked("destination", &keys.destination, scope, values::file_destination)?.value;
        let read = |source| FileError::Read { path: settings.root.clone(), source };
        let root = fs::canonicalize(&settings.root).map_err(read)?;
        let resolved = fs::canonicalize(root.join(&source))
            .map_err(|_| FileError::Missing { place: from.clone(), path: source.clone() })?;
        if !resolved.starts_with(&root) {
            return Err(FileError::Outside { place: from, path: source, target: resolved }.into());
        }
        Ok(Self { session, keys, root, source, resolved, from, destination, to })
    }

    fn entries(&self) -> Result<Vec<Entry>, Error> {
        let metadata =
            fs::metadata(&self.resolved).map_err(|source| FileError::Read { path: self.resolved.clone(), source })?;
        if metadata.is_dir() {
            return self.of_folder();
        }
        let (place, path) = (self.from.clone(), self.source.clone());
        if !metadata.is_file() {
            return Err(FileError::Special { place, path }.into());
        }
        if self.destination == "/" {
            return Err(FileError::FileToRoot { place, path }.into());
        }
        if self.ignored() {
            return Err(FileError::IgnoredFile { place, path }.into());
        }
        let name = self.destination.trim_start_matches('/').to_owned();
        Ok(vec![self.file(name, &self.resolved, &metadata)])
    }

    fn ignored(&self) -> bool {
        self.keys.ignored.as_ref().is_some_and(|ignored| *ignored.get_ref())
    }

    fn of_folder(&self) -> Result<Vec<Entry>, Error> {
        let folder = Folder {
            children: &self.session.children,
            root: &self.root,
            path: &self.resolved,
            shown: &self.source,
            place: &self.from,
        };
        let below = self.destination.trim_matches('/');
        let taken = folder.taken(self.ignored())?;
        taken
            .into_iter()
            .map(|relative| {
                let name = if below.is_empty() { relative.clone() } else { format!("{below}/{relative}") };
                Ok(self.in_folder(&folder, &relative, name)?)
            })
            .collect()
    }

    fn in_folder(&self, folder: &Folder<'_>, relative: &str, name: String) -> Result<Entry, FileError> {
        let path = self.resolved.join(relative);
        let (place, shown) = (self.from.clone(), self.source.join(relative));
        // What git tracks may be behind a link by now, and another file than it thinks.
        let parent = path.parent().unwrap_or(&self.resolved);
        let in_place = fs::canonicalize(parent).is_ok_and(|resolved| resolved == parent);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) if in_place => metadata,
            Err(source) if in_place && source.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError::Read { path, source });
            }
            _ => return Err(FileError::Deleted { place, path: shown }),
        };
        if metadata.is_symlink() {
            let target = folder.target(relative)?;
            return Ok(self.entry(name, 0o777, EntryKind::Symlink(target)));
        }
        if metadata.is_dir() {
            return Err(FileError::Submodule { place, path: shown });
        }
        if !metadata.is_file() {
            return Err(FileError::Special { place, path: shown });
        }
        Ok(self.file(name, &path, &metadata))
    }

    fn file(&self, name: String, path: &Path, metadata: &std::fs::Metadata) -> Entry {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        let mode = self.keys.mode.as_ref().map_or(if executable { 0o755 } else { 0o644 }, |mode| mode.get_ref().0);
        let contents = Contents::Path { path: path.to_owned(), size: metadata.len() };
        self.entry(name, mode, EntryKind::File(contents))
    }

    fn entry(&self, path: String, mode: u32, kind: EntryKind) -> Entry {
        let owner = self.keys.owner.as_ref().map(|owner| *owner.get_ref());
        Entry {
            path,
            mode,
            uid: owner.map_or(0, |owner| owner.uid.into()),
            gid: owner.map_or(0, |owner| owner.gid.into()),
            kind,
        }
    }
}
