//! HEAD: the signed position of the newest entry.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::{
    Flaw,
    entry::{canonical, hex, unhex},
};

pub(super) const FILE: &str = "HEAD";

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Head {
    pub(super) chain_uid: String,
    pub(super) fingerprint: String,
    /// Name of the segment that holds the entry.
    pub(super) segment: String,
    pub(super) seq: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    chain_uid: String,
    fingerprint: String,
    segment: String,
    seq: u64,
    signature: String,
}

impl Head {
    /// The file's content: one canonical line.
    pub(super) fn signed(&self, key: &SigningKey) -> Vec<u8> {
        let content = canonical(self).unwrap_or_default();
        let signed = Signed {
            chain_uid: self.chain_uid.clone(),
            fingerprint: self.fingerprint.clone(),
            segment: self.segment.clone(),
            seq: self.seq,
            signature: hex(&key.sign(&content).to_bytes()),
        };
        let mut line = canonical(&signed).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads the file's content and checks the signature.
    pub(super) fn parse(content: &[u8], key: &VerifyingKey) -> Result<Self, Flaw> {
        let line = content.strip_suffix(b"\n").ok_or(Flaw::NotCanonical)?;
        let signed: Signed = serde_json::from_slice(line).map_err(|source| Flaw::NotJson { source })?;
        if canonical(&signed).as_deref() != Some(line) {
            return Err(Flaw::NotCanonical);
        }
        let Signed { chain_uid, fingerprint, segment, seq, signature } = signed;
        let head = Self { chain_uid, fingerprint, segment, seq };
        let signature = unhex::<64>(signature.as_bytes()).ok_or(Flaw::Signature)?;
        let covered = canonical(&head).ok_or(Flaw::NotCanonical)?;
        match key.verify_strict(&covered, &Signature::from_bytes(&signature)) {
            Ok(()) => Ok(head),
            Err(ed25519_dalek::SignatureError { .. }) => Err(Flaw::Signature),
        }
    }
}
