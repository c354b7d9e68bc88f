//! What a certificate may be used for: who it speaks for, and when.
//!
//! A client certificate speaks for the sensor id in the URI name `agentsentry:sensor:<id>`, or,
//! where there is no such name, in the common name of its subject. Who signed it is verified in the
//! handshake, not here.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

const URI_PREFIX: &str = "agentsentry:sensor:";
/// 2.5.4.3, id-at-commonName.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

const TAG_SEQUENCE: u8 = 0x30;
const TAG_SET: u8 = 0x31;
const TAG_OID: u8 = 0x06;
const TAG_UTF8_STRING: u8 = 0x0c;
const TAG_PRINTABLE_STRING: u8 = 0x13;

/// The name under which a certificate speaks for the sensor of this id.
#[must_use]
pub fn sensor_uri(id: &str) -> String {
    format!("{URI_PREFIX}{id}")
}

/// Why a certificate does not let a sensor in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotYours {
    #[error("there is no client certificate")]
    NoCertificate,
    #[error("the client certificate cannot be read")]
    Unreadable,
    #[error(
        "the client certificate names no sensor; give it the URI name {URI_PREFIX}<id> or the id as its \
        common name"
    )]
    NoSensor,
    #[error("the client certificate is for {certified:?}, not for {claimed:?}")]
    Other { certified: String, claimed: String },
}

/// Which end of a connection a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Client,
    Server,
}

/// Why a certificate works at neither end now, whoever signed it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unusable {
    #[error("it cannot be read as a certificate")]
    Unreadable,
    #[error("it expired {} ago", days(*.ago))]
    Expired { ago: Duration },
    #[error("it is not valid before {} from now; check the clock", days(*.wait))]
    NotYet { wait: Duration },
    #[error("it is not made for this use: {why}")]
    Other { why: Error },
}

/// Whether a certificate is valid at `now` (since 1970) and made for that end of a connection.
///
/// # Errors
/// Where it is not.
pub fn usable(cert: &CertificateDer<'_>, end: End, now: Duration) -> Result<(), Unusable> {
    let cert = EndEntityCert::try_from(cert).map_err(|_unreadable| Unusable::Unreadable)?;
    let usage = match end {
        End::Client => KeyUsage::client_auth(),
        End::Server => KeyUsage::server_auth(),
    };
    let now = UnixTime::since_unix_epoch(now);
    let between = |later: UnixTime, earlier: UnixTime| {
        Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
    };
    // Without authorities the search for the signer is the first thing that fails where everything
    // else holds.
    match cert.verify_for_usage(&[], &[], &[], now, usage, None, None) {
        Ok(_) | Err(Error::UnknownIssuer) => Ok(()),
        Err(Error::CertExpired { time, not_after }) => {
            Err(Unusable::Expired { ago: between(time, not_after) })
        }
        Err(Error::CertNotValidYet { time, not_before }) => {
            Err(Unusable::NotYet { wait: between(not_before, time) })
        }
        Err(why) => Err(Unusable::Other { why }),
    }
}

/// A certificate that has no longer to live should be replaced now.
pub const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a certificate is still valid at `now` (since 1970), in words, if that is less than
/// [`SOON`]. Also of an authority.
#[must_use]
pub fn ends_soon(cert: &CertificateDer<'_>, now: Duration) -> Option<String> {
    let left = ends(cert)?.checked_sub(now);
    match left {
        Some(left) if left >= SOON => None,
        Some(left) => Some(format!("expires in {}", days(left))),
        None => Some("has expired".to_owned()),
    }
}

/// When it expires, since 1970. Total: `None` for what cannot be read.
fn ends(cert: &CertificateDer<'_>) -> Option<Duration> {
    let cert = EndEntityCert::try_from(cert).ok()?;
    // The library names the time only of what has expired, and looks at it before all else.
    let last = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    match cert.verify_for_usage(&[], &[], &[], last, KeyUsage::client_auth(), None, None) {
        Err(Error::CertExpired { not_after, .. }) => Some(Duration::from_secs(not_after.as_secs())),
        _ => None,
    }
}

fn days(time: Duration) -> String {
    const HOUR: u64 = 3600;
    match time.as_secs() {
        seconds if seconds < 48 * HOUR => format!("{} h", seconds / HOUR),
        seconds => format!("{} days", seconds / (24 * HOUR)),
    }
}

/// Whether the holder of the chain may speak as `sensor`.
/// # Errors
/// Where the certificate is for somebody else, or for nobody.
pub fn check(chain: Option<&[CertificateDer<'static>]>, sensor: &str) -> Result<(), NotYours> {
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

/// The last common name of a subject, given as the content of its RDN sequence. Total: anything
/// else is `None`.
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

    #[test]
    fn the_time_and_the_use_of_a_certificate_are_checked() {
        let made = |from: i32, to: i32, usage: &[rcgen::ExtendedKeyUsagePurpose]| {
            let mut params = CertificateParams::default();
            (params.not_before, params.not_after) =
                (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
            params.extended_key_usages = usage.to_vec();
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        // 2001-01-01.
        let now = Duration::from_secs(978_307_200);
        let day = Duration::from_secs(24 * 3600);
        let server = [rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        assert_eq!(usable(&made(2000, 2002, &[]), End::Client, now), Ok(()));
        assert_eq!(
            usable(&made(1990, 2000, &[]), End::Client, now),
            Err(Unusable::Expired { ago: 366 * day })
        );
        assert_eq!(
            usable(&made(2002, 2003, &[]), End::Server, now),
            Err(Unusable::NotYet { wait: 365 * day })
        );
        assert_eq!(usable(&made(2000, 2002, &server), End::Server, now), Ok(()));
        let other = usable(&made(2000, 2002, &server), End::Client, now);
        assert!(matches!(other, Err(Unusable::Other { .. })), "{other:?}");
        assert_eq!(usable(&CertificateDer::from(vec![1, 2]), End::Client, now), Err(Unusable::Unreadable));
    }

    #[test]
    fn a_certificate_that_soon_expires_says_when() {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let cert = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
        let end = Duration::from_secs(978_307_200);
        let day = Duration::from_secs(24 * 3600);
        let said = |now| ends_soon(&cert, now);
        assert_eq!(said(end - 31 * day), None);
        assert_eq!(said(end - 29 * day).as_deref(), Some("expires in 29 days"));
        assert_eq!(said(end + day).as_deref(), Some("has expired"));
        assert_eq!(ends_soon(&CertificateDer::from(vec![1, 2]), end), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            common_name(&bytes);
        }
    }
}
