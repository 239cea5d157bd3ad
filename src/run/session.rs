//! What a run stands on: folders, the cache, processes, who watches.

use std::path::PathBuf;
use std::sync::Arc;

use crate::exec::Children;
use crate::registry;
use crate::sink::daemon::DaemonEnvironment;
use crate::store::Store;

use super::event::Watch;
use super::moved::Moved;

/// What a run stands on.
#[derive(Clone)]
pub struct Session {
    /// the folder we are in
    pub directory: PathBuf,
    /// the cache
    pub store: Store,
    /// every process that runs
    pub children: Children,
    /// who watches
    pub watch: Arc<dyn Watch>,
    /// what came from registries and went to them
    pub moved: Moved,
    /// the text of `SOURCE_DATE_EPOCH`
    pub epoch: Option<String>,
    /// the user's own folder of toolchain rows and of what is said of registries
    pub configuration_folder: Option<PathBuf>,
    /// where credentials are looked for
    pub credentials: registry::CredentialEnvironment,
    /// the proxies of the environment
    pub proxies: registry::Proxies,
    /// folders with a folder for each registry that has certificates in it, in the order in which they are looked at
    pub certificate_folders: Vec<PathBuf>,
    /// where docker or podman may be
    pub daemon: DaemonEnvironment,
    /// takes what clients have to say
    pub notes: registry::Notes,
    /// true: no registry is asked and nothing is downloaded
    pub offline: bool,
}
