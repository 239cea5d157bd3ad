//! Reads blobs through oci-client, from registries that serve them themselves.
//!
//! oci-client follows redirects on its own, to anywhere, and offers no way to be told otherwise, but for proxies: it is
//! given a proxy that does not exist for every host but the registry's own. So a registry that begins to send us
//! elsewhere leads it nowhere, and [`super::stream`] asks again by its own client and rules. It also fetches one token a
//! request under load, so it is handed ours and never asks a token server itself.
//!
//! It reads the whole body of a refusal into memory, however long that is. But when a blob has other places, it leaves a
//! refusal unread and asks there: so every blob gets one, which does not exist. For redirects that lead nowhere, which it
//! takes for no refusal and reads all the same, there is [`MOST_POLLS`].

use oci_client::RegistryOperation;
use oci_client::client::{AsLayerDescriptor, ClientConfig, ClientProtocol, LayerDescriptor, SizedStream};
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::{RegistryToken, RegistryTokenType};

use std::future::poll_fn;
use std::pin::pin;
use std::sync::PoisonError;
use std::task::Poll;
use std::time::Duration;

use super::Inner;
use super::action::Action;
use super::error::Error;
use super::host::{Host, Line};
use super::token::{Authorization, Scopes};
use super::transport::{CONNECT_TIMEOUT, READ_TIMEOUT, Scheme};
use crate::blob::Descriptor;

/// A proxy on a port that nothing can listen on.
const NOWHERE: &str = "http://127.0.0.1:0";
/// How long oci-client may take until bytes come; our own client asks more patiently.
const OPENING: Duration = Duration::from_secs(10);
/// How often an opening may be polled: it takes some six times to connect and to have the head of an answer, while the
/// body of one is read a piece each time.
const MOST_POLLS: u32 = 32;
/// How oci-client calls itself for us.
const USER_AGENT: &str = concat!("anyarch/", env!("CARGO_PKG_VERSION"), " oci-client/0.18");

/// A blob whose only other place does not exist.
struct Nowhere<'blob> {
    digest: &'blob str,
    urls: Option<Vec<String>>,
}

impl AsLayerDescriptor for Nowhere<'_> {
    fn as_layer_descriptor(&self) -> LayerDescriptor<'_> {
        LayerDescriptor { digest: self.digest, urls: &self.urls }
    }
}

/// Whether a registry's blobs are read through oci-client.
#[derive(Default)]
pub(super) enum Reader {
    /// No blob was read yet, or the registry sends us elsewhere for them.
    #[default]
    Ours,
    /// The registry served a blob itself.
    Direct,
    /// The same, and the client for it is made.
    OciClient(oci_client::Client),
}

impl Host {
    /// The registry served a blob itself.
    pub(super) fn remember_direct(&self) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*reader, Reader::Ours) {
            *reader = Reader::Direct;
        }
    }

    /// oci-client did not get a blob.
    pub(super) fn forget_direct(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Reader::Ours;
    }
}

impl Inner {
    /// Opens a blob through oci-client; `None` when that is not the way for this registry.
    pub(super) async fn open_by_oci_client(
        &self,
        host: &Host,
        action: &Action,
        descriptor: &Descriptor,
    ) -> Result<Option<SizedStream>, Error> {
        let line = self.proven_line(host).await?;
        let Some(client) = self.oci_client(host, line) else { return Ok(None) };
        let Some(authority) = line.root.host_str().map(|name| match line.root.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        }) else {
            return Ok(None);
        };
        let repository = &action.repository;
        let digest = descriptor.digest.to_string();
        let reference = oci_client::Reference::with_digest(authority, repository.path.clone(), digest.clone());
        let scopes = Scopes::pull(repository);
        let (token, fallback) = match self.authorize(host, repository, &scopes).await?.authorization {
            Authorization::None => (None, None),
            Authorization::Basic { user, password } => {
                let pair = (user, password.reveal().to_owned());
                let fallback = RegistryAuth::Basic(pair.0.clone(), pair.1.clone());
                (Some(RegistryTokenType::Basic(pair.0, pair.1)), Some(fallback))
            }
            Authorization::Bearer(token) => {
                let token = token.reveal().to_owned();
                let fallback = RegistryAuth::Bearer(token.clone());
                (Some(RegistryTokenType::Bearer(RegistryToken::Token { token })), Some(fallback))
            }
        };
        if let (Some(token), Some(fallback)) = (token, fallback) {
            // Without the second, oci-client does not look for the first.
            client.tokens.insert(&reference, RegistryOperation::Pull, token).await;
            client.store_auth_if_needed(reference.resolve_registry(), &fallback).await;
        }
        let blob = Nowhere { digest: &digest, urls: Some(vec![NOWHERE.to_owned()]) };
        let mut opening = pin!(client.pull_blob_stream(&reference, blob));
        let mut polls = 0;
        let opening = poll_fn(|context| {
            polls += 1;

            if polls > MOST_POLLS { Poll::Ready(None) } else { opening.as_mut().poll(context).map(Result::ok) }
        });
        if let Ok(Some(stream)) = tokio::time::timeout(OPENING, opening).await {
            return Ok(Some(stream));
        }
        host.forget_direct();
        Ok(None)
    }

    fn oci_client(&self, host: &Host, line: &Line) -> Option<oci_client::Client> {
        // Through the user's proxy, or to addresses of the caller's, oci-client cannot be led beside its own dead one.
        let own_trust = self.transport.has_own_trust(&host.registry);
        if !self.transport.proxies.is_empty() || !self.transport.addresses.is_empty() || own_trust {
            return None;
        }
        let mut reader = host.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match &*reader {
            Reader::Ours => None,
            Reader::OciClient(client) => Some(client.clone()),
            Reader::Direct => {
                let made = oci_client::Client::try_from(configuration(line)).ok();
                *reader = made.clone().map_or(Reader::Ours, Reader::OciClient);
                made
            }
        }
    }
}

fn configuration(line: &Line) -> ClientConfig {
    ClientConfig {
        protocol: if line.scheme == Scheme::Http { ClientProtocol::Http } else { ClientProtocol::Https },
        accept_invalid_certificates: line.scheme == Scheme::UnverifiedHttps,
        read_timeout: Some(READ_TIMEOUT),
        connect_timeout: Some(CONNECT_TIMEOUT),
        user_agent: USER_AGENT,
        http_proxy: Some(NOWHERE.to_owned()),
        https_proxy: Some(NOWHERE.to_owned()),
        no_proxy: line.root.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()),
        ..ClientConfig::default()
    }
}
