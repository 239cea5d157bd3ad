//! Why a host that a registry names is not talked to.

use std::net::IpAddr;

/// How a registry names another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// the token server
    Realm,
    /// a redirect
    Redirect,
    /// where an upload goes on
    Upload,
}

/// Why a host that a registry names is not talked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A public registry names an address inside our network.
    #[error("it leads to {address}, which is closer to this machine than the registry itself")]
    TooClose {
        /// where it leads
        address: IpAddr,
    },
    /// https would become http.
    #[error("it is not https")]
    NotHttps,
    /// Neither http nor https, or no URL at all.
    #[error("it is not an http or https URL")]
    NotHttp,
    /// A URL with a login in it, which would be one of the registry's making.
    #[error("it holds a user name")]
    UserInfo,
    /// Redirects that do not end.
    #[error("there were {limit} redirects before it")]
    TooMany {
        /// how many are followed
        limit: usize,
    },
}
