//! Whether we go where a registry sends us: to a token server, by a redirect, to upload.
//!
//! Other hosts are normal. But what is https stays https, and a registry cannot send us closer to this machine than it
//! is itself; its own host is always allowed.

use url::Url;

use super::address::{Closeness, check_literal};
use super::error::Error;
use super::host::{Host, Line};
use super::refusal::{Refusal, TargetKind};
use super::transport::{Scheme, Transport, connect_error, too_close};

/// Redirects that are followed for one request.
pub(super) const MOST_REDIRECTS: usize = 10;

/// Where a registry sends us, with the client that goes there.
pub(super) struct Target {
    pub(super) client: reqwest::Client,
    /// true when it is the registry itself, which alone gets our login and tokens
    pub(super) own: bool,
}

/// True when `url` is the registry itself: same scheme, host and port.
fn is_origin(line: &Line, url: &Url) -> bool {
    url.origin() == line.root.origin()
}

/// Scheme and host, which is all of a URL that may be shown.
pub(super) fn shown(url: &Url) -> String {
    match url.port() {
        Some(port) => format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default()),
        None => format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
    }
}

/// Holds `url` to the rules; `from` is the URL that sent us there, none for a realm, which a header names.
pub(super) async fn admit(
    transport: &Transport,
    host: &Host,
    line: &Line,
    kind: TargetKind,
    from: Option<&Url>,
    url: &Url,
) -> Result<Target, Error> {
    let refuse = |source| refused(host, kind, url, source);
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(Refusal::UserInfo));
    }
    if is_origin(line, url) {
        return Ok(Target { client: line.own.clone(), own: true });
    }
    let encrypted = from.map_or(line.scheme == Scheme::Https, |from| from.scheme() == "https");
    match url.scheme() {
        "http" if encrypted => return Err(refuse(Refusal::NotHttps)),
        "http" | "https" => {}
        _ => return Err(refuse(Refusal::NotHttp)),
    }
    let same_host = url.host() == line.root.host();
    let limit = if same_host { Closeness::Loopback } else { line.closeness };
    check_literal(url, limit).map_err(|found| refuse(Refusal::TooClose { address: found.address }))?;
    transport.check_name(url, limit).await.map_err(|found| refuse(Refusal::TooClose { address: found.address }))?;
    let name = authority(url);
    // Plain http has nothing to verify, and must not need the system's certificates.
    let anyone = url.scheme() == "http"
        || transport.schemes(&name).contains(&Scheme::UnverifiedHttps)
        || (same_host && line.scheme == Scheme::UnverifiedHttps);
    Ok(Target { client: transport.client(&host.registry, &name, !anyone, limit)?, own: false })
}

pub(super) fn refused(host: &Host, kind: TargetKind, url: &Url, source: Refusal) -> Error {
    Error::Forbidden { registry: host.registry.clone(), kind, target: shown(url), source }
}

/// Host and port, as a registry is named.
fn authority(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// What it means that `url` could not be connected to.
pub(super) fn unreachable(
    transport: &Transport,
    host: &Host,
    target: &Target,
    kind: TargetKind,
    url: &Url,
    error: reqwest::Error,
) -> Error {
    if let Some(found) = too_close(&error) {
        return refused(host, kind, url, Refusal::TooClose { address: found.address });
    }
    if target.own {
        return match connect_error(&host.registry, transport.proxy_of(url), error) {
            // Whoever has not said hello in this run is looked for anew before anyone learns of this.
            Error::Unreachable { registry, variable, source, .. } => {
                Error::Unreachable { registry, answered: true, variable, source }
            }
            other => other,
        };
    }
    Error::TargetUnreachable { registry: host.registry.clone(), target: shown(url), source: error.without_url() }
}

#[cfg(test)]
mod tests {
    use super::super::{CredentialEnvironment, Options, Proxies};
    use super::*;
    use crate::reference::Repository;
    use crate::store::Store;

    /// What becomes of `to` when the registry at `root` sends us there.
    async fn verdict(root: &str, scheme: Scheme, closeness: Closeness, kind: TargetKind, to: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let options = Options::new(store, CredentialEnvironment::default());
        let transport = Transport::new(&Options { proxies: Proxies::default(), ..options }).unwrap();
        let host = Host::new(&"registry.example/app".parse::<Repository>().unwrap());
        let own = transport.client("registry.example", "registry.example", false, Closeness::Loopback).unwrap();
        let line = Line { root: Url::parse(root).unwrap(), scheme, closeness, own };
        let from = (kind != TargetKind::Realm).then(|| line.root.clone());
        match admit(&transport, &host, &line, kind, from.as_ref(), &Url::parse(to).unwrap()).await {
            Ok(target) if target.own => "own".to_owned(),
            Ok(_) => "other".to_owned(),
            Err(Error::Forbidden { source, .. }) => source.to_string(),
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_registry_cannot_send_us_closer_nor_out_of_https() {
        use Closeness::{Loopback, Private, Public};
        use TargetKind::{Realm, Redirect, Upload};
        let public = ("https://registry.example/v2/", Scheme::Https, Public);
        let private = ("https://registry.example/v2/", Scheme::UnverifiedHttps, Private);
        let clear = ("http://10.0.0.1:5000/v2/", Scheme::Http, Private);
        let here = ("http://127.0.0.1:5000/v2/", Scheme::Http, Loopback);
        let closer =
            |address: &str| format!("it leads to {address}, which is closer to this machine than the registry itself");
        for ((root, scheme, closeness), kind, to, expected) in [
            (public, Redirect, "https://registry.example/blob", "own".to_owned()),
            (public, Realm, "http://registry.example/token", "it is not https".to_owned()),
            (public, Redirect, "http://registry.example/blob", "it is not https".to_owned()),
            (public, Upload, "http://cdn.example/blob", "it is not https".to_owned()),
            (public, Redirect, "ftp://cdn.example/blob", "it is not an http or https URL".to_owned()),
            (public, Redirect, "https://10.0.0.1/blob", closer("10.0.0.1")),
            (public, Realm, "https://[::1]/token", closer("::1")),
            (public, Upload, "https://169.254.169.254/latest", closer("169.254.169.254")),
            (clear, Redirect, "http://10.9.9.9/blob", "other".to_owned()),
            (clear, Realm, "http://auth.example/token", "other".to_owned()),
            (clear, Redirect, "http://127.0.0.1/blob", closer("127.0.0.1")),
            (clear, Redirect, "http://10.0.0.1:9000/blob", "other".to_owned()),
            (private, Realm, "http://auth.example/token", "other".to_owned()),
            (private, Redirect, "http://cdn.example/blob", "it is not https".to_owned()),
            (here, Realm, "http://127.0.0.1:5001/token", "other".to_owned()),
            (here, Redirect, "http://172.18.0.2:9000/blob", "other".to_owned()),
        ] {
            assert_eq!(verdict(root, scheme, closeness, kind, to).await, expected, "{root} {kind:?} {to}");
        }
    }

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        for (url, expected) in [
            ("https://me:secret@host.example/path?X-Amz-Signature=secret", "https://host.example"),
            ("http://[::1]:5000/x", "http://[::1]:5000"),
        ] {
            assert_eq!(shown(&Url::parse(url).unwrap()), expected);
        }
    }
}
