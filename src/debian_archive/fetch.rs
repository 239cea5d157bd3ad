//! Asks a mirror for a file, bounded by what is signed, and once more when a failure may pass.

use std::io::Write as _;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use url::{Host, Url};

use super::error::DebianError;
use crate::blob::Descriptor;
use crate::debian::Listed;
use crate::http;
use crate::mirror::shown;
use crate::store::{Store, StoreError};

/// How often a file is asked for.
const ATTEMPTS: u32 = 3;

/// Fetches files of one mirror.
pub(super) struct Fetcher {
    client: reqwest::Client,
    first_wait: Duration,
    offline: bool,
}

impl Fetcher {
    pub(super) fn new(mirror: &Url, first_wait: Duration, offline: bool) -> Result<Self, DebianError> {
        let mut builder = http::builder().read_timeout(http::READ_TIMEOUT);
        // Signatures and hashes decide what counts. A machine without certificates can use a mirror in the clear.
        if mirror.scheme() == "http" {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if is_this_machine(mirror) {
            builder = builder.no_proxy();
        }
        Ok(Self { client: builder.build().map_err(|source| DebianError::Setup { source })?, first_wait, offline })
    }

    /// A file of at most `limit` bytes.
    pub(super) async fn small(&self, url: &Url, limit: u64) -> Result<Vec<u8>, DebianError> {
        self.patiently(|| async move {
            let mut response = self.open(url).await?;
            let mut bytes = Vec::new();
            while let Some(chunk) = next(url, &mut response).await? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > limit {
                    return Err(DebianError::TooLarge { url: shown(url), limit });
                }
            }
            Ok(bytes)
        })
        .await
    }

    /// Brings a file into the store. `progress` is told how many bytes are there; the number falls when an attempt
    /// begins anew.
    pub(super) async fn blob(
        &self,
        url: &Url,
        listed: Listed,
        store: &Store,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), DebianError> {
        self.patiently(|| self.keep(url, listed, store, progress)).await
    }

    async fn keep(
        &self,
        url: &Url,
        listed: Listed,
        store: &Store,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), DebianError> {
        let mut response = self.open(url).await?;
        let mut writer = store.writer()?;
        let mut received = 0;
        progress(0);
        while let Some(chunk) = next(url, &mut response).await? {
            received += chunk.len() as u64;
            if received > listed.size {
                return Err(DebianError::TooLarge { url: shown(url), limit: listed.size });
            }
            writer.write_all(&chunk).map_err(|source| store.failed(source))?;
            progress(received);
        }
        if received < listed.size {
            return Err(DebianError::Truncated { url: shown(url), expected: listed.size, actual: received });
        }
        writer.finish_as(&Descriptor::new("", listed.digest, listed.size)).map_err(|error| match error {
            StoreError::WrongDigest { expected, actual, .. } => {
                DebianError::WrongContent { url: shown(url), expected, actual }
            }
            error => error.into(),
        })
    }

    async fn open(&self, url: &Url) -> Result<Response, DebianError> {
        if self.offline {
            return Err(DebianError::Offline { url: shown(url) });
        }
        let sent = self.client.get(url.clone()).send().await;
        let response =
            sent.map_err(|source| DebianError::Unreachable { url: shown(url), source: source.without_url() })?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(DebianError::NotFound { url: shown(url) }),
            status => Err(DebianError::Status { url: shown(url), status: status.as_u16() }),
        }
    }

    /// Tries until it succeeds, fails for good, or has failed [`ATTEMPTS`] times.
    async fn patiently<T, Attempt, Running>(&self, attempt: Attempt) -> Result<T, DebianError>
    where
        Attempt: Fn() -> Running,
        Running: Future<Output = Result<T, DebianError>>,
    {
        let mut wait = self.first_wait;
        for _ in 1..ATTEMPTS {
            match attempt().await {
                Err(error) if error.is_transient() => tokio::time::sleep(wait).await,
                done => return done,
            }
            wait *= 2;
        }
        attempt().await
    }
}

async fn next(url: &Url, response: &mut Response) -> Result<Option<bytes::Bytes>, DebianError> {
    let broken = |source: reqwest::Error| DebianError::Interrupted { url: shown(url), source: source.without_url() };
    response.chunk().await.map_err(broken)
}

/// This machine is not reached through a proxy, whatever the environment says.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
