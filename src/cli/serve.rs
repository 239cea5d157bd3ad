//! `anyarch serve`.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

/// `anyarch serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or a path to one of these; NAME=LAYOUT names the repository. All images that
    /// were built in this project when left out
    #[arg(value_name = "LAYOUT")]
    pub layouts: Vec<String>,
    /// Listen on this address and port; port 0 takes a free one, which is printed
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000", value_parser = address)]
    pub addr: SocketAddr,
    /// Say each request on stderr
    #[arg(short, long)]
    pub verbose: bool,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    // What `localhost` is called is no question for a resolver.
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    local.or_else(|| text.parse().ok()).ok_or_else(|| {
        "it should be an address of this machine and a port, as 127.0.0.1:5000, localhost:5000 or [::1]:5000".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for (text, expected) in [
            ("127.0.0.1:5000", Some("127.0.0.1:5000")),
            ("localhost:0", Some("127.0.0.1:0")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            ("localhost", None),
            ("localhost:99999", None),
            ("5000", None),
            (":5000", None),
            ("registry.example.com:5000", None),
        ] {
            assert_eq!(address(text).ok().map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }
}
