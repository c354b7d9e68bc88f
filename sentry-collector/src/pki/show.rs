//! `sentry-collector pki show`: who has a certificate, until when.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    certificate::{Certificate, day},
    error::PkiError,
    folder::{Folder, Held},
};
use crate::table::aligned;

/// A certificate that ends within this many days is shown as one to renew.
pub(crate) const SOON_DAYS: i64 = 30;

pub(super) fn show(folder: &Folder, now: OffsetDateTime, as_json: bool) -> Result<String, PkiError> {
    let authorities = folder.authorities()?;
    let signs = folder.authority()?.cert.public_key;
    let held = folder.held()?;
    if as_json {
        return Ok(json(folder, &authorities, &signs, &held).to_string());
    }
    let mut rows = vec![["AUTHORITY", "", "VALID UNTIL", ""].map(str::to_owned)];
    for authority in &authorities {
        let part = if authority.public_key == signs { "signs" } else { "is accepted" };
        rows.push([name(authority), part.to_owned(), until(authority, now), String::new()]);
    }
    rows.push([const { String::new() }; 4]);
    rows.push(["WHO", "NAMES", "VALID UNTIL", "SIGNED BY"].map(str::to_owned));
    for Held { sensor, cert, .. } in &held {
        let names = if sensor.is_none() { cert.names.join(", ") } else { String::new() };
        rows.push([who(sensor.as_deref()), names, until(cert, now), signer(&authorities, cert)]);
    }
    if held.is_empty() {
        rows.push(["nobody yet", "", "", ""].map(str::to_owned));
    }
    Ok(aligned(&rows))
}

/// As a person calls the holder of a certificate.
pub(super) fn who(sensor: Option<&str>) -> String {
    sensor.map_or_else(|| "collector".to_owned(), |name| format!("sensor {name}"))
}

fn name(authority: &Certificate) -> String {
    if authority.name.is_empty() { authority.short_key() } else { authority.name.clone() }
}

fn signer(authorities: &[Certificate], cert: &Certificate) -> String {
    let found = authorities.iter().find(|authority| authority.signed(cert));
    found.map_or_else(|| "nobody who is accepted".to_owned(), Certificate::short_key)
}

fn until(cert: &Certificate, now: OffsetDateTime) -> String {
    let left = (cert.until - now).whole_days();
    let note = match left {
        _ if cert.until < now => " (expired)".to_owned(),
        0 => " (in less than a day)".to_owned(),
        1 => " (in 1 day)".to_owned(),
        2..SOON_DAYS => format!(" (in {left} days)"),
        _ => String::new(),
    };
    day(cert.until) + &note
}

fn json(folder: &Folder, authorities: &[Certificate], signs: &[u8], held: &[Held]) -> Value {
    let authority = |cert: &Certificate| {
        json!({
            "name": name(cert), "key": cert.short_key(), "signs": cert.public_key == signs,
            "valid_until": second(cert.until),
        })
    };
    let certificate = |Held { sensor, dir, cert }: &Held| {
        let by = authorities.iter().find(|authority| authority.signed(cert)).map(Certificate::short_key);
        json!({
            "sensor": sensor, "names": cert.names, "dir": dir, "valid_until": second(cert.until),
            "signed_by": by,
        })
    };
    json!({
        "type": "pki", "dir": folder.dir,
        "authorities": authorities.iter().map(authority).collect::<Vec<_>>(),
        "certificates": held.iter().map(certificate).collect::<Vec<_>>(),
    })
}

/// As RFC 3339 has it.
fn second(at: OffsetDateTime) -> String {
    format!("{}T{:02}:{:02}:{:02}Z", day(at), at.hour(), at.minute(), at.second())
}
