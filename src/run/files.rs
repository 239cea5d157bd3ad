//! `[[file]]` tables become layer entries: one file of the project each.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err as fs;

use crate::config::check::not_empty;
use crate::config::template::Scope;
use crate::config::{FileEntry, values};
use crate::layer_entry::{Contents, Entry, EntryKind};

use super::error::Error;
use super::settings::Settings;

/// The entries of all `[[file]]` tables.
///
/// # Errors
/// When a file is not there, is no regular file, or leads out of the project.
pub fn entries(settings: &Settings, scope: &Scope) -> Result<Vec<Entry>, Error> {
    settings.file.file.iter().map(|table| entry(settings, table.get_ref(), scope)).collect()
}

fn entry(settings: &Settings, table: &FileEntry, scope: &Scope) -> Result<Entry, Error> {
    let place = settings.file.source.place_of(&table.source).to_string();
    let source = settings.checked("source", &table.source, scope, not_empty)?.value;
    let destination = settings.checked("destination", &table.destination, scope, values::destination)?.value;
    let path = settings.root.join(&source);
    let missing = |_| Error::NoFile { place: place.clone(), path: Path::new(&source).to_owned() };
    let root =
        fs::canonicalize(&settings.root).map_err(|error| Error::Read { path: settings.root.clone(), source: error })?;
    let resolved = fs::canonicalize(&path).map_err(missing)?;
    if !resolved.starts_with(&root) {
        return Err(Error::Outside { place, path: source.into(), target: resolved });
    }
    let metadata = fs::metadata(&resolved).map_err(missing)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { place, path: source.into() });
    }
    let executable = metadata.permissions().mode() & 0o100 != 0;
    let owner = table.owner.as_ref().map(|owner| *owner.get_ref());
    Ok(Entry {
        path: destination.trim_start_matches('/').to_owned(),
        mode: table.mode.as_ref().map_or(if executable { 0o755 } else { 0o644 }, |mode| mode.get_ref().0),
        uid: owner.map_or(0, |owner| owner.uid.into()),
        gid: owner.map_or(0, |owner| owner.gid.into()),
        kind: EntryKind::File(Contents::Path { path: resolved, size: metadata.len() }),
    })
}
