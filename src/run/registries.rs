//! What the user, the project and the command line say of registries becomes how a client speaks to them.

use fs_err as fs;

use crate::config;
use crate::registry;
use crate::registry_map::RegistryMap;

use super::error::Error;
use super::session::Session;
use super::settings::Settings;

/// What the user's own file says, empty when there is none: for whatever needs no project.
///
/// # Errors
/// When the file cannot be read or says something that cannot be.
pub fn of_user(session: &Session) -> Result<RegistryMap, Error> {
    let mut map = RegistryMap::default();
    let Some(folder) = &session.configuration_folder else { return Ok(map) };
    let path = folder.join(config::registry::FILE_NAME);
    match fs::read_to_string(&path) {
        Ok(text) => map.overlay(config::registry::load(&text, &path)?.settings(folder)),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
        Err(source) => return Err(Error::Read { path, source }),
    }
    Ok(map)
}

/// A client by the user's own file and, where there is a project, by its file and the command line over that.
///
/// # Errors
/// When the user's file or a file of certificates cannot be read, or a variable names no proxy.
pub fn client(session: &Session, project: Option<&Settings>) -> Result<registry::Client, Error> {
    let mut map = of_user(session)?;
    if let Some(settings) = project {
        map.overlay(settings.file.registry.settings(&session.directory.join(&settings.root)));
    }
    let options = registry::Options {
        insecure_hosts: project.map(Settings::insecure_registries).unwrap_or_default(),
        map,
        certificate_folders: session.certificate_folders.clone(),
        proxies: session.proxies.clone(),
        offline: session.offline,
        told: session.told.clone(),
        ..registry::Options::new(session.store.clone(), session.credentials.clone())
    };
    registry::Client::new(options).map_err(|error| Error::Client(Box::new(error)))
}
