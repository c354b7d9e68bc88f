//! `sentry-collector certify`: a key and a certificate for one end of the feed, signed by an
//! authority that the operator has.
//!
//! The certificate is valid as long as its authority is: who could make another one needs no longer
//! life for this one.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use sentry_proto::certificate::sensor_uri;

use crate::{cli::CertifyArgs, exit::Exit};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    #[error("cannot read {}, the authority's {what}", path.display())]
    Read { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not the {what} of an authority in PEM", path.display())]
    Authority { what: &'static str, path: PathBuf, source: rcgen::Error },
    #[error("{name:?} cannot stand in a certificate")]
    Name { name: String, source: rcgen::Error },
    #[error("the authority cannot sign")]
    Sign(#[source] rcgen::Error),
    #[error("cannot write {}; name a directory that is yours", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl CertifyError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Read { .. } => Exit::NoInput,
            Self::Authority { .. } => Exit::Config,
            Self::Name { .. } => Exit::Usage,
            Self::Sign(_) => Exit::Other,
            Self::Write { .. } => Exit::CannotCreate,
        }
    }
}

/// Makes them; returns what to print.
///
/// # Errors
/// Where the authority cannot be read or cannot sign, or a file cannot be written.
pub fn certify(args: &CertifyArgs) -> Result<String, CertifyError> {
    let ca_cert = read("certificate", &args.ca_cert)?;
    let ca_key = read("key", &args.ca_key)?;
    let wrong = |what, path: &Path| {
        let path = path.to_owned();
        move |source| CertifyError::Authority { what, path, source }
    };
    let key = KeyPair::from_pem(&ca_key).map_err(wrong("key", &args.ca_key))?;
    let issuer = Issuer::from_ca_cert_pem(&ca_cert, key).map_err(wrong("certificate", &args.ca_cert))?;
    let params = match &args.sensor {
        Some(sensor) => for_sensor(sensor)?,
        None => for_server(&args.server)?,
    };
    let key = KeyPair::generate().map_err(CertifyError::Sign)?;
    let cert = params.signed_by(&key, &issuer).map_err(CertifyError::Sign)?;
    // The key last: who waits for it finds the rest.
    let files =
        [("ca.crt", 0o644, ca_cert), ("tls.crt", 0o644, cert.pem()), ("tls.key", 0o600, key.serialize_pem())];
    for (name, mode, text) in files {
        let path = args.out.join(name);
        write(&path, mode, &text).map_err(|source| CertifyError::Write { path, source })?;
    }
    let whose = args.sensor.as_ref().map_or_else(|| args.server.join(", "), |id| format!("sensor {id}"));
    Ok(format!("{}: ca.crt, tls.crt and tls.key for {whose}", args.out.display()))
}

fn for_sensor(id: &str) -> Result<CertificateParams, CertifyError> {
    let name = |source| CertifyError::Name { name: id.to_owned(), source };
    let mut params = CertificateParams::new([]).map_err(name)?;
    params.subject_alt_names = vec![SanType::URI(sensor_uri(id).try_into().map_err(name)?)];
    params.distinguished_name.push(DnType::CommonName, id);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn for_server(names: &[String]) -> Result<CertificateParams, CertifyError> {
    let mut params = CertificateParams::new(names)
        .map_err(|source| CertifyError::Name { name: names.join(", "), source })?;
    params.distinguished_name.push(DnType::CommonName, "agentsentry-collector");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn read(what: &'static str, path: &Path) -> Result<String, CertifyError> {
    fs::read_to_string(path).map_err(|source| CertifyError::Read { what, path: path.to_owned(), source })
}

/// A new file of that mode in place of the old one.
fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{BasicConstraints, IsCa};
    use sentry_proto::certificate::{self, End};
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    /// An authority in `dir`, and the arguments for it.
    fn arguments(dir: &Path) -> CertifyArgs {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(dir.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(dir.join("ca.key"), key.serialize_pem()).unwrap();
        CertifyArgs {
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
        certify(&args).unwrap();
        // Again, as after a restart.
        certify(&args).unwrap();
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
        let error = certify(&args).unwrap_err();
        let expected = format!("{} is not the key of an authority in PEM", args.ca_key.display());
        assert_eq!((error.to_string(), error.exit()), (expected, Exit::Config));
    }
}
