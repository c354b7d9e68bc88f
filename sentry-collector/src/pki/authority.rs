//! Authorities and what they sign. No I/O; the time is an argument.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use sentry_proto::certificate::sensor_uri;
use time::{Duration, OffsetDateTime};

use super::certificate::{Certificate, short};

/// Clocks that are behind by less take a new certificate at once.
const BEFORE: Duration = Duration::HOUR;

/// A certificate and its key, in PEM.
pub(super) struct Pair {
    pub(super) cert: String,
    pub(super) key: String,
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'a> {
    /// The sensor of this id.
    Sensor(&'a str),
    /// The collector, under these host names and addresses.
    Collector(&'a [String]),
}

/// An authority whose key is at hand.
pub(crate) struct Authority {
    pub(super) cert: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

// === impl Authority ===

impl Authority {
    /// A new one, valid for so many days from `now` on.
    pub(super) fn make(now: OffsetDateTime, days: u32) -> Result<Pair, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        let name = format!("Agent Sentry authority {}", short(&params.key_identifier(&key)));
        params.distinguished_name = subject(&name);
        // It signs those who speak on the feed, and no other authority.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (now - BEFORE, now + Duration::days(days.into()));
        Ok(Pair { cert: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
    }

    /// The one of these certificates that the key belongs to; `None`: it belongs to none.
    pub(crate) fn of(certs: &[Certificate], key: KeyPair) -> Result<Option<Self>, rcgen::Error> {
        let public = key.subject_public_key_info();
        let Some(cert) = certs.iter().find(|cert| cert.public_key == public) else { return Ok(None) };
        let issuer = Issuer::from_ca_cert_der(&cert.der, key)?;
        Ok(Some(Self { cert: cert.clone(), issuer }))
    }

    /// A key and a certificate for `holder`, valid from `now` to `until`, but never longer than the
    /// authority itself.
    pub(super) fn sign(
        &self,
        holder: Holder<'_>,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Pair, rcgen::Error> {
        let mut params = match holder {
            Holder::Sensor(id) => {
                let mut params = CertificateParams::new([])?;
                params.subject_alt_names = vec![SanType::URI(sensor_uri(id).try_into()?)];
                params.distinguished_name = subject(id);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params
            }
            Holder::Collector(names) => {
                let mut params = CertificateParams::new(names)?;
                params.distinguished_name = subject("agentsentry-collector");
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                params
            }
        };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (now - BEFORE, until.min(self.cert.until));
        let key = KeyPair::generate()?;
        Ok(Pair { cert: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}
