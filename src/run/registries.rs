//! What the user, the project and the command line say of registries becomes how a client speaks to them.

use std::path::PathBuf;

use fs_err as fs;

use crate::config;
use crate::registry;
use crate::registry_map::RegistryMap;

use super::error::Error;
use super::session::Session;
use super::settings::Settings;

/// The user's own file, whether there is one or not; only its name without a folder for it.
#[must_use]
pub fn file_of_user(session: &Session) -> PathBuf {
    session.configuration_folder.clone().unwrap_or_default().join(config::registry::FILE_NAME)
}

/// What the user's own file says, empty when there is none.
fn of_user(session: &Session) -> Result<RegistryMap, Error> {
    let mut map = RegistryMap::default();
    let Some(folder) = &session.configuration_folder else { return Ok(map) };
    let path = file_of_user(session);
    match fs::read_to_string(&path) {
        Ok(text) => map.overlay(config::registry::load(&text, &path)?.settings(folder)),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
        Err(source) => return Err(Error::Read { path, source }),
    }
    Ok(map)
}

/// A client for a project: by the user's own file, the project's over that, and the command line over both.
///
/// # Errors
/// When the user's file or a file of certificates cannot be read, or a variable names no proxy.
pub fn of_project(session: &Session, settings: &Settings) -> Result<registry::Client, Error> {
    client(session, map_of_project(session, settings)?, settings.insecure_registries())
}

/// What is said of registries for a project: the user's own file, the project's over that.
///
/// # Errors
/// When the user's file cannot be read.
pub(super) fn map_of_project(session: &Session, settings: &Settings) -> Result<RegistryMap, Error> {
    let mut map = of_user(session)?;
    map.overlay(settings.file.registry.settings(&session.directory.join(&settings.root)));
    Ok(map)
}

/// A client without a project; `insecure_hosts` is what the command line names.
///
/// # Errors
/// As [`of_project`].
pub fn without_project(session: &Session, insecure_hosts: Vec<String>) -> Result<registry::Client, Error> {
    client(session, of_user(session)?, insecure_hosts)
}

fn client(session: &Session, map: RegistryMap, insecure_hosts: Vec<String>) -> Result<registry::Client, Error> {
    let options = registry::Options {
        insecure_hosts,
        map,
        certificate_folders: session.certificate_folders.clone(),
        proxies: session.proxies.clone(),
        offline: session.offline,
        notes: session.notes.clone(),
        ..registry::Options::new(session.store.clone(), session.credentials.clone())
    };
    registry::Client::new(options).map_err(|error| Error::Client(Box::new(error)))
}
