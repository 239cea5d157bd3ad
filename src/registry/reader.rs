//! Reads blobs through oci-client, from registries that serve them themselves.
//!
//! oci-client follows redirects on its own, to anywhere, and offers no way to be told otherwise, but for proxies: it is
//! given a proxy that does not exist for every host but the registry's own. That spares the registry's name with all names
//! below it, on every port, and looks at no address; so it is enough only where a name is an address and there is no https
//! to lose: for registries that are an IP address, or `localhost`, spoken to in the clear, which our own rules allow to
//! send us to other ports of theirs ([`super::target`]). There a registry that begins to send us elsewhere leads
//! oci-client nowhere, and [`super::stream`] asks again by its own client and rules, as it does for all other registries.
//!
//! It also fetches one token a request under load, so it is handed ours and never asks a token server itself.
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
use super::address::Closeness;
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

    fn is_read_by_ours(&self) -> bool {
        matches!(*self.reader.lock().unwrap_or_else(PoisonError::into_inner), Reader::Ours)
    }

    /// oci-client did not get a blob.
    pub(super) fn forget_direct(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Reader::Ours;
    }
}

impl Inner {
    /// Opens a blob through oci-client; `None` when that is not the way for this registry, or led to nothing.
    pub(super) async fn open_by_oci_client(
        &self,
        host: &Host,
        action: &Action,
        descriptor: &Descriptor,
    ) -> Option<SizedStream> {
        // Whoever was not read from yet is first spoken to by our own client, which can say what is wrong.
        if host.is_read_by_ours() {
            return None;
        }
        let line = self.proven_line(host).await.ok()?;
        let client = self.oci_client(host, line)?;
        let name = line.root.host_str()?;
        let authority = line.root.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let repository = &action.repository;
        let digest = descriptor.digest.to_string();
        let reference = oci_client::Reference::with_digest(authority, repository.path.clone(), digest.clone());
        let scopes = Scopes::pull(repository);
        let (token, fallback) = match self.authorize(host, repository, &scopes).await.ok()?.authorization {
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
            return Some(stream);
        }
        host.forget_direct();
        None
    }

    fn oci_client(&self, host: &Host, line: &Line) -> Option<oci_client::Client> {
        // Through the user's proxy, or to addresses of the caller's, oci-client cannot be led beside its own dead one.
        if !self.transport.proxies.is_empty() || !self.transport.addresses.is_empty() || !leads_to_itself(line) {
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

/// True when whoever follows redirects and asks for this registry's name alone never leaves the registry's machine, nor
/// https.
fn leads_to_itself(line: &Line) -> bool {
    line.scheme == Scheme::Http
        && match line.root.host() {
            Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
            // With all names below it, which this machine may send us to as to all others.
            Some(url::Host::Domain(name)) => name == "localhost" && line.closeness == Closeness::Loopback,
            None => false,
        }
}

fn configuration(line: &Line) -> ClientConfig {
    ClientConfig {
        protocol: ClientProtocol::Http,
        read_timeout: Some(READ_TIMEOUT),
        connect_timeout: Some(CONNECT_TIMEOUT),
        user_agent: USER_AGENT,
        http_proxy: Some(NOWHERE.to_owned()),
        https_proxy: Some(NOWHERE.to_owned()),
        no_proxy: line.root.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()),
        ..ClientConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn oci_client_is_used_only_where_it_can_be_led_nowhere_else() {
        use Closeness::{Loopback, Private, Public};
        crate::http::provide_tls();
        for (root, scheme, closeness, expected) in [
            ("http://127.0.0.1:5000/v2/", Scheme::Http, Loopback, true),
            ("http://[::1]:5000/v2/", Scheme::Http, Loopback, true),
            ("http://10.0.0.1/v2/", Scheme::Http, Private, true),
            ("http://localhost:5000/v2/", Scheme::Http, Loopback, true),
            ("http://localhost:5000/v2/", Scheme::Http, Private, false),
            ("http://sub.localhost:5000/v2/", Scheme::Http, Loopback, false),
            ("http://registry.lan:5000/v2/", Scheme::Http, Private, false),
            ("https://10.0.0.1/v2/", Scheme::Https, Private, false),
            ("https://localhost:5000/v2/", Scheme::UnverifiedHttps, Loopback, false),
            ("https://registry.example/v2/", Scheme::Https, Public, false),
        ] {
            let line = Line { root: Url::parse(root).unwrap(), scheme, closeness, own: reqwest::Client::default() };
            assert_eq!(leads_to_itself(&line), expected, "{root}");
        }
    }
}
