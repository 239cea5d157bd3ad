//! The proxies that the environment names, as the HTTP client reads them, for words: a person has to be told which proxy
//! failed, and never its password.

use std::fmt;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::error::Error;
use super::target::shown;

/// The variables that name proxies.
const VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Which URLs are asked for through which proxy; none by default.
#[derive(Clone, Default)]
pub struct Proxies {
    matcher: Option<Arc<Matcher>>,
    /// variables whose text is no proxy
    unusable: Vec<&'static str>,
}

impl Proxies {
    /// What this process's environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, or the same in small
    /// letters.
    #[must_use]
    pub fn of_environment() -> Self {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named: Vec<(&str, String)> = VARIABLES.into_iter().filter_map(|name| Some((name, value(name)?))).collect();
        if named.is_empty() {
            return Self::default();
        }
        let unusable = named.iter().filter(|(_, text)| !is_proxy(text)).map(|(name, _)| *name).collect();
        Self { matcher: Some(Arc::new(Matcher::from_env())), unusable }
    }

    /// True when the environment names no proxy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.matcher.is_none()
    }

    /// Refuses a variable that names no proxy: the HTTP client would go without one, and say nothing.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.unusable.first() {
            Some(variable) => Err(Error::ProxyVariable { variable }),
            None => Ok(()),
        }
    }

    fn proxy_of(&self, url: &str) -> Option<Url> {
        let intercept = self.matcher.as_ref()?.intercept(&url.parse().ok()?)?;
        Url::parse(&intercept.uri().to_string()).ok()
    }

    /// The proxy through which `url` is asked for, without its login.
    pub(super) fn of(&self, url: &Url) -> Option<String> {
        self.proxy_of(url.as_str()).map(|proxy| shown(&proxy))
    }

    /// The names of the proxies themselves, which may be anywhere: who runs this chose them.
    pub(super) fn hosts(&self) -> Vec<String> {
        // A name that `NO_PROXY` hardly has.
        let found = ["http", "https"].map(|scheme| self.proxy_of(&format!("{scheme}://anyarch.invalid/")));
        found.into_iter().flatten().filter_map(|proxy| proxy.host_str().map(str::to_owned)).collect()
    }
}

fn is_proxy(text: &str) -> bool {
    let matcher = Matcher::builder().all(text.to_owned()).build();
    "http://anyarch.invalid/".parse().is_ok_and(|url| matcher.intercept(&url).is_some())
}

impl fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Proxies").field("hosts", &self.hosts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_without_its_login() {
        let matcher =
            Matcher::builder().https("http://me:hunter2@proxy.lan:3128").http("other.lan").no("near.lan").build();
        let proxies = Proxies { matcher: Some(Arc::new(matcher)), unusable: Vec::new() };
        for (url, expected) in [
            ("https://registry.example/v2/", Some("http://proxy.lan:3128")),
            ("http://registry.example/v2/", Some("http://other.lan")),
            ("https://near.lan/v2/", None),
        ] {
            assert_eq!(proxies.of(&Url::parse(url).unwrap()).as_deref(), expected, "{url}");
        }
        assert_eq!(proxies.hosts(), ["other.lan", "proxy.lan"]);
        assert_eq!(format!("{proxies:?}"), "Proxies { hosts: [\"other.lan\", \"proxy.lan\"], .. }");
    }

    #[test]
    fn what_is_no_proxy_is_told_from_one() {
        for (text, expected) in [
            ("http://proxy:3128", true),
            ("proxy:3128", true),
            ("socks5h://proxy:1080", true),
            ("http://me:a%40b@proxy", true),
            ("ftp://proxy", false),
            ("http://", false),
            ("a b", false),
        ] {
            assert_eq!(is_proxy(text), expected, "{text}");
        }
    }
}
