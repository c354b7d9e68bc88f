//! The signing key and its public half on disk.

use std::{fs, io::Read as _, path::Path};

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::{
    LedgerError,
    entry::{hex, unhex},
    store,
};
const SECRET_FILE: &str = "ledger.key";
pub(super) const PUBLIC_FILE: &str = "ledger.pub";

/// The key in `dir`; made from the kernel's randomness where there is none.
pub(super) fn load_or_make(dir: &Path) -> Result<SigningKey, LedgerError> {
    let path = dir.join(SECRET_FILE);
    let key = match sentry_private::read(&path) {
        Ok(bytes) => match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(secret) => SigningKey::from_bytes(&secret),
            Err(std::array::TryFromSliceError { .. }) => {
                return Err(LedgerError::Key { path, why: "it is not a key of 32 bytes" });
            }
        },
        Err(error) if error.is_absent() => make(dir)?,
        Err(error) => return Err(error.into()),
    };
    agree(dir, &key)?;
    Ok(key)
}

/// The public key's file content.
pub(super) fn public_file(key: &VerifyingKey) -> String {
    public_hex(key) + "\n"
}

pub(super) fn public_hex(key: &VerifyingKey) -> String {
    hex(key.as_bytes())
}

/// Reads the content of the public key's file.
pub(super) fn parse_public(content: &[u8]) -> Option<VerifyingKey> {
    let bytes = unhex::<32>(content.strip_suffix(b"\n")?)?;
    VerifyingKey::from_bytes(&bytes).ok()
}

fn make(dir: &Path) -> Result<SigningKey, LedgerError> {
    const RANDOMNESS: &str = "/dev/urandom";
    let mut secret = [0; 32];
    fs::File::open(RANDOMNESS)
        .and_then(|mut file| file.read_exact(&mut secret))
        .map_err(|source| LedgerError::Io { act: "read", path: RANDOMNESS.into(), source })?;
    store::replace(dir, SECRET_FILE, &secret)?;
    store::sync_dir(dir)?;
    Ok(SigningKey::from_bytes(&secret))
}

/// Writes the public key, or checks the one that is there.
fn agree(dir: &Path, key: &SigningKey) -> Result<(), LedgerError> {
    let path = dir.join(PUBLIC_FILE);
    let expected = public_file(&key.verifying_key());
    match sentry_private::read(&path) {
        Ok(content) if content == expected.as_bytes() => Ok(()),
        Ok(_) => Err(LedgerError::Key { path, why: "it is not the public half of ledger.key" }),
        Err(error) if error.is_absent() => {
            store::replace(dir, PUBLIC_FILE, expected.as_bytes())?;
            store::sync_dir(dir)
        }
        Err(error) => Err(error.into()),
    }
}
