//! `sentry-collector pki`: an authority of one's own and the certificates of both ends of the feed,
//! in one directory, and how they are exchanged while sensors stay connected.
//!
//! A rotation has three steps. `rotate` puts a new authority beside the old one, and both ends
//! accept both. New certificates are made of the new one. `retire` removes the old one: what it
//! signed is refused from then on. In between each end works with either.

mod authority;

pub(crate) mod certificate;

mod error;

mod folder;

mod show;

mod sign;

use std::{fs, net::IpAddr, path::Path};

use sentry_service::identifier;
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::ServerName;

pub use self::error::PkiError;
use self::{
    authority::{Authority, Holder},
    certificate::{Certificate, day},
    folder::{CA_CERT, CA_KEY, CERT, Folder, KEY},
    show::who,
};
use crate::cli::{PkiCommand, SignArgs};

/// Where sensors connect by default, when it is not on this host alone.
const LISTEN: &str = "0.0.0.0:4319";
const PORT: u16 = 4319;

/// Does what the command says; returns what to print.
///
/// # Errors
/// Where there is no authority, a file is there already, or cannot be read or written.
pub fn run(command: &PkiCommand) -> Result<String, PkiError> {
    let now = OffsetDateTime::now_utc();
    match command {
        PkiCommand::Init { dir, life, force } => init(&Folder::at(&dir.path)?, now, life.days, *force),
        PkiCommand::Collector { names, dir, life, force } => {
            collector(&Folder::at(&dir.path)?, names, Asked { now, days: life.days, force: *force })
        }
        PkiCommand::Sensor { name, dir, life, force } => {
            sensor(&Folder::at(&dir.path)?, name, Asked { now, days: life.days, force: *force })
        }
        PkiCommand::Rotate { dir, life } => rotate(&Folder::at(&dir.path)?, now, life.days),
        PkiCommand::Retire { dir, force } => retire(&Folder::at(&dir.path)?, *force),
        PkiCommand::Show { dir, json } => show::show(&Folder::at(&dir.path)?, now, *json),
        PkiCommand::Sign(args) => sign::sign(args, now),
    }
}

/// `pki sign`, by its old name too.
///
/// # Errors
/// Where the authority cannot be read or cannot sign, or a file cannot be written.
pub fn sign(args: &SignArgs) -> Result<String, PkiError> {
    sign::sign(args, OffsetDateTime::now_utc())
}

/// Ids of the sensors that have a certificate in this directory, as far as it can be read.
#[must_use]
pub fn sensors(dir: &Path) -> Vec<String> {
    let held = Folder::at(dir).and_then(|folder| folder.held()).unwrap_or_default();
    held.into_iter().filter_map(|held| held.sensor).collect()
}

/// What is asked of a certificate, whomever it is for.
#[derive(Clone, Copy)]
struct Asked {
    now: OffsetDateTime,
    days: u32,
    force: bool,
}

fn init(folder: &Folder, now: OffsetDateTime, days: u32, force: bool) -> Result<String, PkiError> {
    let dir = &folder.dir;
    let there: Vec<_> =
        [CA_KEY, CA_CERT].map(|name| dir.join(name)).into_iter().filter(|path| path.exists()).collect();
    if let (Some(path), false) = (there.first(), force) {
        let next = "`pki rotate` puts a new authority beside it; `--force` replaces it, and then no certificate that \
                    it signed is accepted";
        return Err(PkiError::Exists { path: path.clone(), next });
    }
    folder::make(dir)?;
    let pair = Authority::make(now, days).map_err(PkiError::Sign)?;
    let certs = folder::certificates(&dir.join(CA_CERT), &pair.cert)?;
    let held = folder.accept(&certs.iter().collect::<Vec<_>>())?;
    folder.put_authority_key(&pair.key)?;
    let mut text = String::new();
    if !there.is_empty() {
        text.push_str(&format!("replaced: the authority in {}\n", dir.display()));
        for one in held {
            text.push_str(&format!(
                "refused from now on: the certificate of {}\n",
                who(one.sensor.as_deref())
            ));
        }
    }
    let (name, until) = certs.first().map(|cert| (cert.name.clone(), day(cert.until))).unwrap_or_default();
    text.push_str(&format!(
        "{}: {name}, valid until {until}\nkeep {CA_KEY} here and nowhere else; next: `sentry-collector pki collector`, \
         `sentry-collector pki sensor NAME`",
        dir.display()
    ));
    Ok(text)
}

fn collector(folder: &Folder, names: &[String], asked: Asked) -> Result<String, PkiError> {
    let old = folder.held_by(None)?;
    let names = match (names, &old) {
        ([], Some(old)) if !old.names.is_empty() => old.names.clone(),
        ([], _) => names_of_this_host(),
        _ => names.to_vec(),
    };
    for name in &names {
        if ServerName::try_from(name.as_str()).is_err() {
            let why = "write a host name or an address, without a port".to_owned();
            return Err(PkiError::Name { name: name.clone(), why });
        }
    }
    let made = certified(folder, None, Holder::Collector(&names), old, asked)?;
    let at = folder.place_of(None);
    let at = at.display();
    Ok(format!(
        "{made}, for {}\nin the collector's configuration:\n\
         listen_grpc: {LISTEN}\ntls:\n  cert: {at}/{CERT}\n  key: {at}/{KEY}\n  client_ca: {at}/{CA_CERT}",
        names.join(", ")
    ))
}

fn sensor(folder: &Folder, name: &str, asked: Asked) -> Result<String, PkiError> {
    identifier::check(name).map_err(|why| PkiError::Name { name: name.to_owned(), why })?;
    let old = folder.held_by(Some(name))?;
    let made = certified(folder, Some(name), Holder::Sensor(name), old, asked)?;
    let collector = folder.held_by(None)?.and_then(|cert| cert.names.first().cloned());
    let host = collector.unwrap_or_else(|| "COLLECTOR".to_owned());
    let host = if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) { format!("[{host}]") } else { host };
    let at = folder.place_of(Some(name));
    let at = at.display();
    Ok(format!(
        "{made}\nin the sensor's configuration, with a copy of the directory at the same place on its host:\n\
         sensor:\n  id: {name}\ncollector:\n  endpoint: https://{host}:{PORT}\n  tls:\n    ca: {at}/{CA_CERT}\n    \
         cert: {at}/{CERT}\n    key: {at}/{KEY}"
    ))
}

/// Writes a certificate and key for one end; returns the sentence about it.
fn certified(
    folder: &Folder,
    sensor: Option<&str>,
    holder: Holder<'_>,
    old: Option<Certificate>,
    asked: Asked,
) -> Result<String, PkiError> {
    let dir = folder.place_of(sensor);
    let there = [KEY, CERT].map(|name| dir.join(name)).into_iter().find(|path| path.exists());
    if let (Some(path), false) = (&there, asked.force) {
        let next = "`--force` replaces it, and `sentry-collector pki show` says until when it is valid";
        return Err(PkiError::Exists { path: path.clone(), next });
    }
    let authorities = folder.authorities()?;
    let authority = folder.authority()?;
    if authority.cert.until <= asked.now {
        let on = day(authority.cert.until);
        return Err(PkiError::Expired { dir: folder.dir.clone(), on });
    }
    let until = asked.now + Duration::days(asked.days.into());
    let pair = authority.sign(holder, asked.now, until).map_err(|error| PkiError::signing(holder, error))?;
    folder::make(&dir)?;
    let pem: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
    folder::put_pair(&dir, &pem, &pair)?;
    let replaced = match (there, old) {
        (None, _) => String::new(),
        (Some(_), Some(old)) => format!(
            "replaced: the certificate of {}, which was valid until {}, and its key\n",
            who(sensor),
            day(old.until)
        ),
        (Some(path), None) => format!("replaced: {}\n", path.display()),
    };
    let until = day(until.min(authority.cert.until));
    Ok(format!("{replaced}{}: certificate of {}, valid until {until}", dir.display(), who(sensor)))
}

fn rotate(folder: &Folder, now: OffsetDateTime, days: u32) -> Result<String, PkiError> {
    let old = folder.authorities()?;
    let pair = Authority::make(now, days).map_err(PkiError::Sign)?;
    let new = folder::certificates(&folder.dir.join(CA_CERT), &pair.cert)?;
    // The certificates first: a key whose certificate is not there yet would sign nothing.
    let held = folder.accept(&new.iter().chain(&old).collect::<Vec<_>>())?;
    folder.put_authority_key(&pair.key)?;
    let (name, until) = new.first().map(|cert| (cert.name.clone(), day(cert.until))).unwrap_or_default();
    let mut text = format!("{}: {name} signs, valid until {until}; still accepted:", folder.dir.display());
    for authority in &old {
        text.push_str(&format!("\n  {}, valid until {}", authority.name, day(authority.until)));
    }
    text.push_str(
        "\nnext:\n  1. bring each ca.crt to its host, and restart the collector\n  2. new certificates:",
    );
    for one in &held {
        let arguments =
            one.sensor.as_ref().map_or_else(|| "collector".to_owned(), |name| format!("sensor {name}"));
        text.push_str(&format!("\n     sentry-collector pki {arguments} --force"));
    }
    text.push_str(
        "\n  3. bring them to their hosts, and restart the collector\n  4. `sentry-collector pki retire`",
    );
    Ok(text)
}

fn retire(folder: &Folder, force: bool) -> Result<String, PkiError> {
    let all = folder.authorities()?;
    let authority = folder.authority()?;
    let (kept, gone): (Vec<_>, Vec<_>) =
        all.iter().partition(|cert| cert.public_key == authority.cert.public_key);
    if gone.is_empty() {
        return Ok(format!("{}: there is no old authority; nothing was changed", folder.dir.display()));
    }
    let of_old: Vec<String> = folder
        .held()?
        .iter()
        .filter(|one| !authority.cert.signed(&one.cert))
        .map(|one| who(one.sensor.as_deref()))
        .collect();
    if !of_old.is_empty() && !force {
        return Err(PkiError::InUse(of_old));
    }
    folder.accept(&kept)?;
    let mut text = format!("{}: removed", folder.dir.display());
    for authority in gone {
        text.push_str(&format!(" {},", authority.name));
    }
    text.pop();
    for who in of_old {
        text.push_str(&format!("\nrefused from now on: the certificate of {who}"));
    }
    text.push_str("\nnext: bring each ca.crt to its host, and restart the collector");
    Ok(text)
}

fn names_of_this_host() -> Vec<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let host = Some(host.trim().to_owned()).filter(|host| !host.is_empty() && host != "localhost");
    host.into_iter().chain(local).collect()
}
