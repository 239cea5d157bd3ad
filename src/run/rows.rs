//! Files of toolchain rows, ours and everybody else's, become the [`Toolchains`] of a run.

use std::path::PathBuf;

use fs_err as fs;

use crate::config::ConfigFile;
use crate::toolchain::Toolchains;
use crate::{host, install};

use super::error::Error;
use super::session::Session;

/// Reads the rows: ours, the user's folder, `--toolchain` files, the project's.
///
/// # Errors
/// When a file cannot be read or holds no rows, or the project's rows name programs without leave.
pub fn toolchains(
    session: &Session,
    files: &[PathBuf],
    project: Option<(&ConfigFile, bool)>,
) -> Result<Toolchains, Error> {
    let mut rows = Toolchains::built_in()?;
    let mut all: Vec<PathBuf> = Vec::new();
    if let Some(folder) =
        session.configuration_folder.as_ref().map(|folder| folder.join("toolchains")).filter(|folder| folder.is_dir())
    {
        let read = |source| Error::Read { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                all.push(path);
            }
        }
        all.sort();
    }
    all.extend(files.iter().map(|file| session.directory.join(file)));
    for path in all {
        let text = fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        rows = rows.overlay(&path.display().to_string(), &text)?;
    }
    if let Some((file, allowed)) = project.filter(|(file, _)| !file.toolchain.is_empty() || !file.platform.is_empty()) {
        rows = project_rows(rows, file, allowed)?;
    }
    Ok(match host::machine() {
        Some(machine) => rows.with_downloads(&install::folder(&session.store), machine),
        None => rows,
    })
}

/// Variables of Go that name a variant of an architecture, and start nothing.
const HARMLESS: [&str; 11] = [
    "GO386",
    "GOAMD64",
    "GOARCH",
    "GOARM",
    "GOARM64",
    "GOLOONG64",
    "GOMIPS",
    "GOMIPS64",
    "GOOS",
    "GOPPC64",
    "GORISCV64",
];

/// What the rows of a project change about the programs that run: tools and gcc prefixes that our rows do not name,
/// variables and flags, which can name a program as well (`GOFLAGS=-toolexec=...`, `-Clinker=...`).
fn changes(rows: &Toolchains, file: &ConfigFile) -> Vec<String> {
    let mut changes = Vec::new();
    for table in file.toolchain.iter().map(toml::Spanned::get_ref) {
        let name = table.get("name").and_then(toml::Value::as_str).unwrap_or("?");
        let tools = table.get("tools").and_then(toml::Value::as_array).into_iter().flatten();
        let new = tools
            .filter_map(toml::Value::as_str)
            .filter(|tool| !rows.rows().any(|row| row.tools.iter().any(|known| known == tool)));
        changes.extend(new.map(|tool| format!("the tool `{tool}` of `{name}`")));
        changes.extend(
            ["commands", "env", "flags", "ldflags", "rustflags"]
                .iter()
                .filter(|key| table.contains_key(**key))
                .map(|key| format!("`{key}` of `{name}`")),
        );
    }
    for table in file.platform.iter().map(toml::Spanned::get_ref) {
        let platform = table.get("platform").and_then(toml::Value::as_str).unwrap_or("?");
        let prefix = table.get("gcc").and_then(toml::Value::as_str);
        if prefix.is_some_and(|prefix| !rows.platforms().iter().any(|row| row.gcc.as_deref() == Some(prefix))) {
            changes.push(format!("`gcc` of {platform}"));
        }
        let go = table.get("go").and_then(toml::Value::as_table).into_iter().flatten();
        let new = go.map(|(name, _)| name).filter(|name| !HARMLESS.contains(&name.as_str()));
        changes.extend(new.map(|name| format!("`{name}` of {platform}")));
    }
    changes
}

/// A project that is only looked at must not choose the programs that run, so rows that do need leave.
fn project_rows(rows: Toolchains, file: &ConfigFile, allowed: bool) -> Result<Toolchains, Error> {
    let changes = changes(&rows, file);
    if !allowed && !changes.is_empty() {
        return Err(Error::ProjectToolchain { file: file.source.path().to_owned(), changes });
    }
    let mut table = toml::Table::new();
    let values = |list: &[toml::Spanned<toml::Table>]| {
        list.iter().map(|row| toml::Value::Table(row.get_ref().clone())).collect()
    };
    table.insert("toolchain".into(), toml::Value::Array(values(&file.toolchain)));
    table.insert("platform".into(), toml::Value::Array(values(&file.platform)));
    Ok(rows.overlay(&file.source.path().display().to_string(), &table.to_string())?)
}
