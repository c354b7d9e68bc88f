//! Who a client certificate speaks for: the sensor id in the URI name `agentsentry:sensor:<id>`, or, in a certificate
//! without such a name, the common name of its subject. The chain itself was verified in the handshake.

use webpki::EndEntityCert;

use tokio_rustls::rustls::pki_types::CertificateDer;

const URI_PREFIX: &str = "agentsentry:sensor:";
/// 2.5.4.3, id-at-commonName.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

const TAG_SEQUENCE: u8 = 0x30;
const TAG_SET: u8 = 0x31;
const TAG_OID: u8 = 0x06;
const TAG_UTF8_STRING: u8 = 0x0c;
const TAG_PRINTABLE_STRING: u8 = 0x13;

/// Why a certificate does not let a sensor in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum NotYours {
    #[error("there is no client certificate")]
    NoCertificate,
    #[error("the client certificate cannot be read")]
    Unreadable,
    #[error(
        "the client certificate names no sensor; give it the URI name {URI_PREFIX}<id> or the id as its common name"
    )]
    NoSensor,
    #[error("the client certificate is for {certified:?}, the hello says {claimed:?}")]
    Other { certified: String, claimed: String },
}

/// Whether the holder of the chain may speak as `sensor`.
pub(crate) fn check(chain: Option<&[CertificateDer<'static>]>, sensor: &str) -> Result<(), NotYours> {
    let leaf = chain.and_then(<[_]>::first).ok_or(NotYours::NoCertificate)?;
    let cert = EndEntityCert::try_from(leaf).map_err(|_unreadable| NotYours::Unreadable)?;
    let mut named: Vec<String> =
        cert.valid_uri_names().filter_map(|uri| uri.strip_prefix(URI_PREFIX)).map(str::to_owned).collect();
    if named.is_empty() {
        named.extend(common_name(cert.subject()).filter(|name| !name.is_empty()));
    }
    if named.iter().any(|name| name == sensor) {
        return Ok(());
    }
    match named.into_iter().next() {
        Some(certified) => Err(NotYours::Other { certified, claimed: sensor.to_owned() }),
        None => Err(NotYours::NoSensor),
    }
}

/// The last common name of a subject, given as the content of its RDN sequence. Total: anything else is `None`.
fn common_name(mut subject: &[u8]) -> Option<String> {
    let mut found = None;
    while let Some((TAG_SET, mut attributes, rest)) = element(subject) {
        while let Some((TAG_SEQUENCE, attribute, more)) = element(attributes) {
            if let Some((TAG_OID, oid, value)) = element(attribute)
                && oid == COMMON_NAME
                && let Some((TAG_UTF8_STRING | TAG_PRINTABLE_STRING, text, _)) = element(value)
            {
                found = std::str::from_utf8(text).ok().map(str::to_owned);
            }
            attributes = more;
        }
        subject = rest;
    }
    found
}

/// Tag, content and what follows of one DER element with a length of at most two bytes.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        0x82 => {
            rest.split_first_chunk::<2>().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, string::Ia5String};

    use super::*;

    fn certificate(common_name: Option<&str>, uris: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "somebody");
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI(Ia5String::try_from(*uri).unwrap())).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn takes_the_uri_name_before_the_common_name() {
        let cert = [certificate(Some("other"), &["https://example.test/", "agentsentry:sensor:one"])];
        assert_eq!(check(Some(&cert), "one"), Ok(()));
        assert_eq!(
            check(Some(&cert), "other"),
            Err(NotYours::Other { certified: "one".to_owned(), claimed: "other".to_owned() })
        );
    }

    #[test]
    fn takes_the_common_name_without_a_uri_name() {
        let long = "x".repeat(300);
        for name in ["one", "hôte", long.as_str()] {
            let cert = [certificate(Some(name), &["https://example.test/"])];
            assert_eq!(check(Some(&cert), name), Ok(()));
            assert!(check(Some(&cert), "two").is_err());
        }
    }

    #[test]
    fn refuses_who_names_nobody() {
        assert_eq!(check(None, "one"), Err(NotYours::NoCertificate));
        assert_eq!(check(Some(&[certificate(None, &[])]), "one"), Err(NotYours::NoSensor));
        assert_eq!(check(Some(&[CertificateDer::from(vec![1, 2])]), "one"), Err(NotYours::Unreadable));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            common_name(&bytes);
        }
    }
}
