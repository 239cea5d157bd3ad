//! Turns host names into addresses, and holds what a registry may send us to: a registry on the internet must not make
//! this machine talk to addresses inside its own network, be it by a token realm, a redirect or an upload location.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// How long a name is looked up that a proxy may know alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// How close to this machine an address is. A registry may send us to addresses as far away as its own, or farther.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Closeness {
    /// Anywhere on the internet.
    Public,
    /// This organisation's network.
    Private,
    /// This cable; also where clouds keep a machine's own credentials (169.254.169.254).
    LinkLocal,
    /// This machine.
    Loopback,
}

impl Closeness {
    /// Where `address` is.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => Self::of_v4(address),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        if address.is_loopback() || address.is_unspecified() {
            Self::Loopback
        } else if address.is_link_local() || address.is_multicast() || address.is_broadcast() {
            Self::LinkLocal
        } else if address.is_private() || (first == 100 && second & 0xc0 == 64) {
            // 100.64.0.0/10 is the carriers' private range, https://www.rfc-editor.org/rfc/rfc6598
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback() || address.is_unspecified() {
            Self::Loopback
        } else if address.is_unicast_link_local() || address.is_multicast() {
            Self::LinkLocal
        } else if address.is_unique_local() {
            Self::Private
        } else {
            Self::Public
        }
    }
}

/// A name that leads to an address closer than the registry that named it.
#[derive(Debug, Clone)]
pub(super) struct TooClose {
    /// the host as it was named
    pub(super) host: String,
    /// where it leads
    pub(super) address: IpAddr,
}

impl fmt::Display for TooClose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` leads to {}, an address inside this network", self.host, self.address)
    }
}

impl std::error::Error for TooClose {}

/// The host of `registry` (`host`, `host:port`, `[::1]:port`) without its port and brackets.
pub(super) fn host_of(registry: &str) -> &str {
    if let Some(rest) = registry.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    registry.split(':').next().unwrap_or(registry)
}

/// True for a host that can only be this machine.
pub(super) fn is_loopback(registry: &str) -> bool {
    let host = host_of(registry);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| Closeness::of(address) == Closeness::Loopback)
}

/// Refuses a URL whose host is written as an address closer than `limit`; names are checked when they are resolved.
pub(super) fn check_literal(url: &Url, limit: Closeness) -> Result<(), TooClose> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if Closeness::of(address) > limit {
        return Err(TooClose { host: url.host_str().unwrap_or_default().to_owned(), address });
    }
    Ok(())
}

/// Names with addresses of the caller's, before any name server is asked.
pub(super) type Addresses = Arc<BTreeMap<String, SocketAddr>>;

/// Resolves names for a HTTP client that must not come closer than `limit`.
pub(super) struct Resolver {
    pub(super) addresses: Addresses,
    pub(super) limit: Closeness,
    /// names that may lead anywhere: those of the user's proxies
    pub(super) free: Vec<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_free = self.free.iter().any(|free| free.eq_ignore_ascii_case(name.as_str()));
        let limit = if is_free { Closeness::Loopback } else { self.limit };
        let addresses = Arc::clone(&self.addresses);
        Box::pin(async move {
            let found = lookup(&addresses, name.as_str()).await?;
            let closest = found.iter().map(SocketAddr::ip).find(|address| Closeness::of(*address) > limit);
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| Closeness::of(address.ip()) <= limit).collect();
            match closest {
                Some(address) if allowed.is_empty() => {
                    Err(Box::new(TooClose { host: name.as_str().to_owned(), address }) as _)
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// All addresses of `host`; a port of 0 leaves the choice to the URL.
async fn lookup(addresses: &Addresses, host: &str) -> std::io::Result<Vec<SocketAddr>> {
    if let Some(address) = addresses.get(host) {
        return Ok(vec![*address]);
    }
    Ok(tokio::net::lookup_host((host, 0)).await?.collect())
}

/// The farthest address of `host`, with its name; `None` when it has none that this machine knows in time.
pub(super) async fn farthest(addresses: &Addresses, host: &str) -> Option<TooClose> {
    let found = tokio::time::timeout(PATIENCE, lookup(addresses, host)).await.ok()?.ok()?;
    let address = found.iter().map(SocketAddr::ip).min_by_key(|address| Closeness::of(*address))?;
    Some(TooClose { host: host.to_owned(), address })
}

/// How close `registry` itself is: by the farthest of its addresses, and public when that cannot be told.
pub(super) async fn closeness_of(addresses: &Addresses, registry: &str) -> Closeness {
    let found = lookup(addresses, host_of(registry)).await.unwrap_or_default();
    found.iter().map(|address| Closeness::of(address.ip())).min().unwrap_or(Closeness::Public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for (address, expected) in [
            ("8.8.8.8", Closeness::Public),
            ("10.1.2.3", Closeness::Private),
            ("172.31.0.1", Closeness::Private),
            ("172.32.0.1", Closeness::Public),
            ("192.168.1.1", Closeness::Private),
            ("100.64.0.1", Closeness::Private),
            ("100.128.0.1", Closeness::Public),
            ("169.254.169.254", Closeness::LinkLocal),
            ("127.8.8.8", Closeness::Loopback),
            ("0.0.0.0", Closeness::Loopback),
            ("::1", Closeness::Loopback),
            ("::ffff:127.0.0.1", Closeness::Loopback),
            ("::ffff:10.0.0.1", Closeness::Private),
            ("fd00::1", Closeness::Private),
            ("fe80::1", Closeness::LinkLocal),
            ("2001:4860:4860::8888", Closeness::Public),
        ] {
            assert_eq!(Closeness::of(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn hosts_lose_ports_and_brackets() {
        for (registry, host, loopback) in [
            ("localhost:5000", "localhost", true),
            ("localhost", "localhost", true),
            ("127.0.0.2:1", "127.0.0.2", true),
            ("[::1]:5000", "::1", true),
            ("[2001:db8::1]", "2001:db8::1", false),
            ("ghcr.io", "ghcr.io", false),
            ("localhost.example.com", "localhost.example.com", false),
        ] {
            assert_eq!((host_of(registry), is_loopback(registry)), (host, loopback), "{registry}");
        }
    }

    #[test]
    fn an_address_in_a_url_is_held_to_the_limit() {
        let check =
            |url: &str, limit| check_literal(&Url::parse(url).unwrap(), limit).map_err(|error| error.to_string());
        assert_eq!(
            check("http://169.254.169.254/latest", Closeness::Private),
            Err("`169.254.169.254` leads to 169.254.169.254, an address inside this network".to_owned())
        );
        // Another way to write 127.0.0.1.
        assert!(check("http://0x7f000001/", Closeness::Public).is_err());
        assert!(check("http://[::ffff:10.0.0.1]/", Closeness::Public).is_err());
        assert!(check("http://10.0.0.1/", Closeness::Private).is_ok());
        assert!(check("http://name.example/", Closeness::Public).is_ok());
    }
}
