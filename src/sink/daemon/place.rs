//! The environment becomes the places where a daemon may be, in the order in which docker and podman look there.

use std::fmt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;
use url::Url;

use super::{DaemonEnvironment, DaemonError};
use crate::blob::Digest;

/// Docker's socket, when nobody says another.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// The socket of podman's system service, when nobody says another.
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";
/// The context that means no context.
const DEFAULT_CONTEXT: &str = "default";

/// Where a daemon may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Address,
    /// what says so: a variable, a context; nothing for a usual place
    pub(super) named_by: Option<String>,
}

/// What a daemon listens at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Socket(PathBuf),
    Tcp(Url),
}

impl Address {
    /// The URL of something that it offers.
    pub(super) fn url(&self, path: &str) -> String {
        match self {
            // The host is for the header alone.
            Self::Socket(_) => format!("http://localhost/{path}"),
            Self::Tcp(url) => format!("{}/{path}", url.as_str().trim_end_matches('/')),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(url) => write!(
                formatter,
                "tcp://{}:{}",
                url.host_str().unwrap_or_default(),
                url.port_or_known_default().unwrap_or_default()
            ),
        }
    }
}

/// The place that the environment names; else those that are usual.
///
/// # Errors
/// When it names one that we cannot speak to, or a context that is not there.
pub(super) fn places(environment: &DaemonEnvironment) -> Result<Vec<Place>, DaemonError> {
    let tls = environment.docker_tls;
    let named = if let Some(host) = &environment.docker_host {
        Some((address(host, "DOCKER_HOST", tls)?, "DOCKER_HOST".to_owned()))
    } else if let Some((name, host)) = context(environment)? {
        let named_by = format!("docker's context {name}");
        Some((address(&host, &named_by, tls)?, named_by))
    } else if let Some(host) = &environment.container_host {
        Some((address(host, "CONTAINER_HOST", false)?, "CONTAINER_HOST".to_owned()))
    } else {
        None
    };
    if let Some((address, named_by)) = named {
        return Ok(vec![Place { address, named_by: Some(named_by) }]);
    }
    let below = |path: &str| environment.runtime_folder.as_ref().map(|folder| folder.join(path));
    let sockets = [
        Some(PathBuf::from(DOCKER_SOCKET)),
        below("docker.sock"),
        below("podman/podman.sock"),
        Some(PathBuf::from(PODMAN_SOCKET)),
    ];
    let usual = |path| Place { address: Address::Socket(path), named_by: None };
    Ok(sockets.into_iter().flatten().map(usual).collect())
}

fn address(text: &str, named_by: &str, tls: bool) -> Result<Address, DaemonError> {
    let unknown = || DaemonError::Address { text: without_login(text), named_by: named_by.to_owned() };
    let (scheme, rest) = text.split_once("://").ok_or_else(unknown)?;
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Address::Socket(rest.into())),
        "tcp" if tls => Err(DaemonError::Tls { named_by: named_by.to_owned() }),
        "tcp" => {
            let url = Url::parse(&format!("http://{rest}")).map_err(|_| unknown())?;
            // docker's own port, when none is said.
            let with_port = if url.port().is_none() {
                Url::parse(&format!("http://{}:2375", rest.trim_end_matches('/')))
            } else {
                Ok(url)
            };
            with_port.map(Address::Tcp).map_err(|_| unknown())
        }
        _ => Err(unknown()),
    }
}

/// A password in an address is nobody's business.
fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// As much of docker's `config.json` as says which context is in use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    current_context: Option<String>,
}

/// As much of a context as says where its daemon is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: Option<String>,
}

/// The name and the host of the context that is in use, if one is:
/// <https://github.com/docker/cli/blob/v28.0.0/cli/context/store/doc.go>
fn context(environment: &DaemonEnvironment) -> Result<Option<(String, String)>, DaemonError> {
    let Some(folder) = &environment.docker_configuration else { return Ok(None) };
    let name = match &environment.docker_context {
        Some(name) => Some(name.clone()),
        None => current_context(&folder.join("config.json")),
    };
    let Some(name) = name.filter(|name| !name.is_empty() && name != DEFAULT_CONTEXT) else { return Ok(None) };
    let path = folder.join("contexts/meta").join(Digest::of(name.as_bytes()).hex()).join("meta.json");
    let failed = |reason: String| DaemonError::Context { name: name.clone(), path: path.clone(), reason };
    let text = fs::read(&path).map_err(|error| failed(super::root_cause(&error)))?;
    let context: Context = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    let host = context.endpoints.docker.and_then(|endpoint| endpoint.host);
    let host = host.ok_or_else(|| failed("it names no host".to_owned()))?;
    Ok(Some((name, host)))
}

/// What the file is otherwise is looked at by whoever needs its logins.
fn current_context(file: &Path) -> Option<String> {
    let text = fs::read(file).ok()?;
    serde_json::from_slice::<Configuration>(&text).ok()?.current_context
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(environment: &DaemonEnvironment) -> Vec<String> {
        places(environment).unwrap().into_iter().map(|place| place.address.to_string()).collect()
    }

    #[test]
    fn what_the_environment_names_is_the_only_place() {
        let text = |text: &str| Some(text.to_owned());
        let podman = DaemonEnvironment { container_host: text("unix:///run/p.sock"), ..DaemonEnvironment::default() };
        assert_eq!(shown(&podman), ["unix:///run/p.sock"]);
        let both = DaemonEnvironment { docker_host: text("tcp://10.0.0.1"), ..podman };
        assert_eq!(shown(&both), ["tcp://10.0.0.1:2375"]);
        let usual = DaemonEnvironment { runtime_folder: Some("/run/user/7".into()), ..DaemonEnvironment::default() };
        assert_eq!(
            shown(&usual),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/7/docker.sock",
                "unix:///run/user/7/podman/podman.sock",
                "unix:///run/podman/podman.sock",
            ]
        );
        for (host, tls, words) in [
            ("ssh://me:secret@build", false, "`ssh://build` (DOCKER_HOST) is no address that anyarch speaks to"),
            ("build", false, "`build` (DOCKER_HOST) is no address that anyarch speaks to"),
            ("unix://relative", false, "`unix://relative` (DOCKER_HOST) is no address that anyarch speaks to"),
            (
                "tcp://build:2376",
                true,
                "the Docker that DOCKER_HOST names wants TLS, which anyarch does not speak to it",
            ),
        ] {
            let environment =
                DaemonEnvironment { docker_host: text(host), docker_tls: tls, ..DaemonEnvironment::default() };
            assert_eq!(places(&environment).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn a_context_is_read_as_docker_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let meta = folder.path().join("contexts/meta").join(Digest::of(b"rootless").hex());
        std::fs::create_dir_all(&meta).unwrap();
        let host =
            r#"{"Name":"rootless","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/user/7/docker.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), host).unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"auths":{},"currentContext":"rootless"}"#).unwrap();
        let environment =
            DaemonEnvironment { docker_configuration: Some(folder.path().into()), ..DaemonEnvironment::default() };
        assert_eq!(shown(&environment), ["unix:///run/user/7/docker.sock"]);
        let default = DaemonEnvironment { docker_context: Some("default".to_owned()), ..environment.clone() };
        assert_eq!(shown(&default), ["unix:///var/run/docker.sock", "unix:///run/podman/podman.sock"]);
        let unknown = DaemonEnvironment { docker_context: Some("gone".to_owned()), ..environment };
        assert!(places(&unknown).unwrap_err().to_string().starts_with("docker's context `gone` cannot be used"));
    }
}
