//! An image goes into the running Docker or podman, through the API that both have: an archive is streamed to its socket.
//! <https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Image/operation/ImageLoad>

mod answer;
mod error;
mod place;
mod upload;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Body, Client};

use super::docker_archive::DockerImage;
use crate::blob::Descriptor;
use crate::http;

use answer::Answer;
use place::{Address, Place};
use upload::{Pulse, Upload};

pub use error::{DaemonError, Tried};
pub use upload::OpenLayer;

/// How long a daemon may take to say that it is there.
const GREETING: Duration = Duration::from_secs(10);
/// How long nothing may move: a daemon unpacks large layers before it takes more or says anything.
const SILENCE: Duration = Duration::from_mins(10);

/// Where the environment says that a daemon is.
#[derive(Clone, Debug, Default)]
pub struct DaemonEnvironment {
    /// `DOCKER_HOST`
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`
    pub docker_context: Option<String>,
    /// whether `DOCKER_TLS_VERIFY` or `DOCKER_TLS` is set
    pub docker_tls: bool,
    /// the folder of docker's configuration
    pub docker_configuration: Option<PathBuf>,
    /// `CONTAINER_HOST`, podman's
    pub container_host: Option<String>,
    /// `XDG_RUNTIME_DIR`
    pub runtime_folder: Option<PathBuf>,
}

/// A daemon that answered.
#[derive(Clone, Debug)]
pub struct Daemon {
    client: Client,
    address: Address,
    kind: Kind,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Docker,
    Podman,
}

impl Daemon {
    /// Finds the daemon that is meant: the one that the environment names, else the first of the usual places that answers.
    ///
    /// # Errors
    /// When none answers, or the environment names one that cannot be spoken to.
    pub async fn find(environment: &DaemonEnvironment) -> Result<Self, DaemonError> {
        let mut tried = Vec::new();
        for Place { address, named_by } in place::places(environment)? {
            match Self::greet(&address).await {
                Ok(daemon) => return Ok(daemon),
                Err(reason) => tried.push(Tried { place: address.to_string(), named_by, reason }),
            }
        }
        Err(DaemonError::Absent { tried })
    }

    async fn greet(address: &Address) -> Result<Self, String> {
        if let Address::Socket(path) = address
            && let Err(error) = fs_err::metadata(path)
        {
            let absent = error.kind() == std::io::ErrorKind::NotFound;
            return Err(if absent { "does not exist".to_owned() } else { root_cause(&error) });
        }
        // A daemon on this machine, or the one that was named, is not behind a proxy.
        let builder = http::builder().no_proxy();
        let builder = match address {
            Address::Socket(path) => builder.unix_socket(path.as_path()),
            Address::Tcp(_) => builder,
        };
        let client = builder.build().map_err(|error| root_cause(&error))?;
        let asked = client.get(address.url("_ping")).timeout(GREETING).send().await;
        let answer = asked.map_err(|error| {
            if error.is_timeout() { format!("says nothing for {} s", GREETING.as_secs()) } else { root_cause(&error) }
        })?;
        if !answer.status().is_success() {
            return Err(format!("answers `{}`", answer.status()));
        }
        let is_podman = answer.headers().contains_key("libpod-api-version");
        let kind = if is_podman { Kind::Podman } else { Kind::Docker };
        Ok(Self { client, address: address.clone(), kind })
    }

    /// The command that runs what it has.
    #[must_use]
    pub fn command(&self) -> &'static str {
        match self.kind {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
        }
    }

    /// Loads an image, whose layers `open` opens; `progress` is told how many bytes went by now. Who drops the future no
    /// longer wants it, and what was sent by then is thrown away there. Returns what the daemon calls the image.
    ///
    /// # Errors
    /// When a layer is not whole, or the daemon breaks off, falls silent, or refuses the image.
    pub async fn load(
        &self,
        image: DockerImage,
        open: OpenLayer,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<String>, LoadError> {
        let pulse = Pulse::default();
        let Upload { stream, written } = Upload::start(image, open, pulse.clone());
        let request = self
            .client
            .post(self.address.url("images/load?quiet=0"))
            .header("Content-Type", "application/x-tar")
            .body(Body::wrap_stream(stream));
        let exchange = async {
            let response = request.send().await.map_err(|error| self.broken(&error))?;
            Answer::read(response, &pulse).await.map_err(|refusal| refusal.of(self))
        };
        let answered = tokio::select! {
            answered = exchange => answered,
            () = pulse.until_silent(SILENCE, progress) => Err(DaemonError::Silent { place: self.to_string() }),
        };
        // Where a layer was not whole the daemon saw the end of the archive only.
        match written.await {
            Ok(Err(error)) if !upload::is_unread(&error) => Err(LoadError::Layer(error)),
            _ => answered.map_err(LoadError::Daemon),
        }
    }

    fn broken(&self, error: &reqwest::Error) -> DaemonError {
        DaemonError::Broken { place: self.to_string(), reason: root_cause(error) }
    }
}

/// Why an image was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The daemon failed.
    #[error(transparent)]
    Daemon(DaemonError),
    /// A layer could not be read.
    #[error("a layer cannot be read")]
    Layer(#[source] std::io::Error),
}

impl std::fmt::Display for Daemon {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Docker => "Docker",
            Kind::Podman => "podman",
        };
        write!(formatter, "{kind} at {}", self.address)
    }
}

/// The bytes that an image is, as far as they are known: its layers.
#[must_use]
pub fn size(image: &DockerImage) -> u64 {
    let mut layers: Vec<&Descriptor> = image.layers.iter().collect();
    layers.sort_by_key(|layer| layer.digest);
    layers.dedup_by_key(|layer| layer.digest);
    layers.iter().map(|layer| layer.size).sum()
}

/// The innermost cause, which names neither a URL nor a layer of ours.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
