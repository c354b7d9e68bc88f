//! An address as text.

use std::net::IpAddr;

use crate::v1;

/// `192.0.2.1:443 tcp`; `?` for what is not known.
#[must_use]
pub fn endpoint_text(endpoint: Option<&v1::Endpoint>) -> String {
    let Some(endpoint) = endpoint else { return "?".into() };
    let address = if let Ok(v4) = <[u8; 4]>::try_from(endpoint.address.as_slice()) {
        IpAddr::from(v4).to_string()
    } else if let Ok(v6) = <[u8; 16]>::try_from(endpoint.address.as_slice()) {
        format!("[{}]", IpAddr::from(v6))
    } else {
        "?".into()
    };
    let protocol = match endpoint.protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "ipv6-icmp".into(),
        other => format!("protocol {other}"),
    };
    // Few protocols have ports.
    let port = if endpoint.port == 0 { String::new() } else { format!(":{}", endpoint.port) };
    format!("{address}{port} {protocol}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_port_where_its_protocol_has() {
        let endpoint = |address: &[u8], port, protocol| {
            endpoint_text(Some(&v1::Endpoint { address: address.to_vec(), port, protocol }))
        };
        assert_eq!(endpoint(&[192, 0, 2, 1], 443, 6), "192.0.2.1:443 tcp");
        assert_eq!(endpoint(&[192, 0, 2, 1], 0, 1), "192.0.2.1 icmp");
        assert_eq!(endpoint(&[0; 16], 53, 17), "[::]:53 udp");
        assert_eq!(endpoint(&[1], 1, 132), "?:1 protocol 132");
        assert_eq!(endpoint_text(None), "?");
    }
}
