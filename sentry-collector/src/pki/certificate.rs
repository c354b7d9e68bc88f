//! A certificate as this program shows it and compares it.

use std::net::IpAddr;

use time::OffsetDateTime;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What is read of a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
    /// Common name of its subject, or nothing.
    pub(crate) name: String,
    /// Host names and addresses that it is for.
    pub(crate) names: Vec<String>,
    pub(crate) until: OffsetDateTime,
    /// Identifies its own key.
    key: Vec<u8>,
    /// Identifies the key that signed it, if it says which.
    signer: Option<Vec<u8>>,
    pub(crate) public_key: Vec<u8>,
}

// === impl Certificate ===

impl Certificate {
    /// All certificates of a text in PEM, in its order; `None` where there are none, or one cannot
    /// be read.
    pub(crate) fn all(text: &str) -> Option<Vec<Self>> {
        let blocks = text.split_inclusive(END).filter(|block| block.contains(BEGIN));
        let found: Option<Vec<Self>> = blocks.map(Self::read).collect();
        found.filter(|found| !found.is_empty())
    }

    /// Of a text with one.
    fn read(text: &str) -> Option<Self> {
        let pem = format!("{}\n", text.get(text.find(BEGIN)?..)?);
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        Some(Self { pem, ..Self::of(&der)? })
    }

    /// Without its text.
    pub(crate) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let der = der.clone().into_owned();
        let (_rest, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
        let name = parsed.subject().iter_common_name().find_map(|name| name.as_str().ok());
        let (name, names) = (name.unwrap_or_default().to_owned(), names_of(&parsed));
        let until = OffsetDateTime::from_unix_timestamp(parsed.validity().not_after.timestamp()).ok()?;
        let (key, signer) = (own_key(&parsed).unwrap_or_default(), signer_of(&parsed));
        let public_key = parsed.public_key().raw.to_vec();
        Some(Self { pem: String::new(), der, name, names, until, key, signer, public_key })
    }

    /// Whether this authority has signed `other`.
    pub(crate) fn signed(&self, other: &Self) -> bool {
        !self.key.is_empty() && other.signer.as_ref() == Some(&self.key)
    }

    /// The beginning of what identifies its key, which also stands in the name of an authority that
    /// was made here.
    pub(crate) fn short_key(&self) -> String {
        short(&self.key)
    }
}

/// Eight digits.
pub(super) fn short(key: &[u8]) -> String {
    key.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// `2027-11-30`
pub(crate) fn day(at: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

fn names_of(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        // A URI is a sensor's id; the others are for neither end.
        _ => None,
    };
    names.value.general_names.iter().filter_map(text).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_longer| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn own_key(parsed: &X509Certificate<'_>) -> Option<Vec<u8>> {
    parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0.to_vec()),
        _ => None,
    })
}

fn signer_of(parsed: &X509Certificate<'_>) -> Option<Vec<u8>> {
    parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(signer) => {
            signer.key_identifier.as_ref().map(|key| key.0.to_vec())
        }
        _ => None,
    })
}
