//! A host of the HTTP API as clients and the configuration write it: `name`, `name:port`,
//! `[::1]:port`.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use serde::Deserialize;

/// Longest name in the DNS.
const MAX_NAME_BYTES: usize = 253;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpName {
    /// In lower case, an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl FromStr for HttpName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text).ok_or_else(|| {
            format!("{text:?} is no name or address, alone or with a port, such as collector.example:8440")
        })
    }
}

impl TryFrom<String> for HttpName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for HttpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, .. } = self;
        if host.contains(':') {
            write!(f, "[{host}]")?;
        } else {
            f.write_str(host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn read(text: &str) -> Option<HttpName> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            (ip.parse::<Ipv6Addr>().ok()?.to_string(), port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            let name = (1..=MAX_NAME_BYTES).contains(&host.len()) && host.bytes().all(letter);
            (name.then(|| host.to_ascii_lowercase())?, port)
        }
    };
    let port = if port.is_empty() {
        None
    } else {
        let digits = port.strip_prefix(':')?;
        // Rust would read "+80" as a number, too.
        Some(digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??)
    };
    Some(HttpName { host, port })
}
