//! `sentry-collector pki sign`: a key and a certificate for one end of the feed, signed by an
//! authority that the operator has.
//!
//! The certificate is valid as long as its authority is: who could make another one needs no longer
//! life for this one.

use std::path::Path;

use time::OffsetDateTime;

use super::{
    authority::Holder,
    error::PkiError,
    folder::{self, authority, certificates},
};
use crate::cli::SignArgs;

/// Makes them; returns what to print.
///
/// # Errors
/// Where the authority cannot be read or cannot sign, or a file cannot be written.
pub(super) fn sign(args: &SignArgs, now: OffsetDateTime) -> Result<String, PkiError> {
    let text = folder::read(&args.ca_cert, "the authority's certificate")?;
    let certs = certificates(&args.ca_cert, &text)?;
    let authority = authority(&certs, &args.ca_cert, &args.ca_key)?;
    let holder = match &args.sensor {
        Some(sensor) => Holder::Sensor(sensor),
        None => Holder::Collector(&args.server),
    };
    let pair = authority
        .sign(holder, now, authority.cert.until)
        .map_err(|error| PkiError::signing(holder, error))?;
    let out: &Path = &args.out;
    folder::put_pair(out, &text, &pair)?;
    let whose = args.sensor.as_ref().map_or_else(|| args.server.join(", "), |id| format!("sensor {id}"));
    Ok(format!("{}: ca.crt, tls.crt and tls.key for {whose}", out.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use sentry_proto::certificate::{self, End};
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;
    use crate::exit::Exit;

    /// An authority in `dir`, and the arguments for it.
    fn arguments(dir: &Path) -> SignArgs {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(dir.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(dir.join("ca.key"), key.serialize_pem()).unwrap();
        SignArgs {
            sensor: Some("node-1".into()),
            server: Vec::new(),
            ca_cert: dir.join("ca.pem"),
            ca_key: dir.join("ca.key"),
            out: dir.to_owned(),
        }
    }

    #[test]
    fn a_sensors_certificate_is_for_its_id_and_for_clients() {
        let dir = tempfile::tempdir().unwrap();
        let args = arguments(dir.path());
        sign(&args, OffsetDateTime::now_utc()).unwrap();
        // Again, as after a restart.
        sign(&args, OffsetDateTime::now_utc()).unwrap();
        let chain = [CertificateDer::from_pem_file(dir.path().join("tls.crt")).unwrap()];
        assert_eq!(certificate::check(Some(&chain), "node-1"), Ok(()));
        assert!(certificate::check(Some(&chain), "node-2").is_err());
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        assert_eq!(certificate::usable(&chain[0], End::Client, now), Ok(()));
        assert!(certificate::usable(&chain[0], End::Server, now).is_err());
        let mode = fs::metadata(dir.path().join("tls.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_authority_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let args = arguments(dir.path());
        fs::write(&args.ca_key, "nothing").unwrap();
        let error = sign(&args, OffsetDateTime::now_utc()).unwrap_err();
        let expected = format!("{} is not the key of an authority in PEM", args.ca_key.display());
        assert_eq!((error.to_string(), error.exit()), (expected, Exit::Config));
    }

    #[test]
    fn a_key_of_another_authority_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let args = arguments(dir.path());
        fs::write(&args.ca_key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let error = sign(&args, OffsetDateTime::now_utc()).unwrap_err();
        assert!(matches!(error, PkiError::Pair { .. }), "{error}");
        assert!(!dir.path().join("tls.crt").exists());
    }
}
