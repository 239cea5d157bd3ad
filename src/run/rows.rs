//! Files of toolchain rows, ours and everybody else's, become the [`Toolchains`] of a run.

use std::path::PathBuf;

use fs_err as fs;

use crate::config::ConfigFile;
use crate::toolchain::Toolchains;

use super::error::Error;
use super::prepare::Session;

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
    Ok(rows)
}

/// A project that is only looked at must not choose the programs that run, so its `tools` need leave.
fn project_rows(rows: Toolchains, file: &ConfigFile, allowed: bool) -> Result<Toolchains, Error> {
    let tools = |table: &toml::Table| table.get("tools").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let new: Vec<String> = file
        .toolchain
        .iter()
        .flat_map(|table| tools(table.get_ref()))
        .filter_map(|tool| tool.as_str().map(str::to_owned))
        .filter(|tool| !rows.rows().any(|row| row.tools.contains(tool)))
        .collect();
    let environment = file.toolchain.iter().any(|table| table.get_ref().contains_key("env"));
    if !allowed && (!new.is_empty() || environment) {
        let tools = if new.is_empty() { vec!["env".to_owned()] } else { new };
        return Err(Error::ProjectToolchain { tools });
    }
    let mut table = toml::Table::new();
    let values = |list: &[toml::Spanned<toml::Table>]| {
        list.iter().map(|row| toml::Value::Table(row.get_ref().clone())).collect()
    };
    table.insert("toolchain".into(), toml::Value::Array(values(&file.toolchain)));
    table.insert("platform".into(), toml::Value::Array(values(&file.platform)));
    Ok(rows.overlay(&file.source.path().display().to_string(), &table.to_string())?)
}
