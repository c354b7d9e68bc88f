//! Destinations that a search names.

use std::net::IpAddr;

use ipnet::IpNet;
use sentry_proto::v1;

use crate::network::address_of;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Network(IpNet),
    Endpoint(IpAddr, u32),
    Port(u32),
    /// A name, or the end of one behind a dot.
    Name(String),
}

impl Destination {
    /// `192.0.2.0/24`, `192.0.2.1`, `192.0.2.1:443`, `[::1]:443`, `:443`, `443`, or a name.
    pub(crate) fn read(text: &str) -> Self {
        if let Ok(net) = text.parse::<IpNet>() {
            return Self::Network(net);
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Self::Network(IpNet::from(address));
        }
        if let Ok(endpoint) = text.parse::<std::net::SocketAddr>() {
            return Self::Endpoint(endpoint.ip(), u32::from(endpoint.port()));
        }
        if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
            return Self::Port(u32::from(port));
        }
        Self::Name(text.trim_end_matches('.').trim_start_matches("*.").to_ascii_lowercase())
    }

    pub(crate) fn is(&self, endpoint: Option<&v1::Endpoint>, name: Option<&str>) -> bool {
        let address = endpoint.and_then(address_of);
        match self {
            Self::Network(net) => address.is_some_and(|address| net.contains(&address)),
            Self::Endpoint(wanted, port) => {
                address == Some(*wanted) && endpoint.is_some_and(|endpoint| endpoint.port == *port)
            }
            Self::Port(port) => endpoint.is_some_and(|endpoint| endpoint.port == *port),
            Self::Name(wanted) => name.is_some_and(|name| {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name.strip_suffix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
        }
    }
}
