//! How sensors prove who they are: what the listener, `tls`, `feed_keys`, `feed_users` and
//! `feed_sensor` say together.

use std::collections::BTreeMap;

use nix::unistd::User;
use rustix::process::geteuid;
use sentry_proto::proof::FeedKey;

use super::{error::ConfigError, file::File};
use crate::{
    ingest::{address::GrpcAddress, gate::Gate},
    tls::Place,
};

const ROOT: u32 = 0;
/// Whom a user namespace does not know looks like this one.
const NOBODY: u32 = 65_534;

pub(super) fn gate(listen: &GrpcAddress, file: &File) -> Result<Gate, ConfigError> {
    let keys = (!file.feed_keys.is_empty()).then_some("feed_keys");
    let users = (!file.feed_users.is_empty()).then_some("feed_users");
    let sensor = file.feed_sensor.is_some().then_some("feed_sensor");
    let (meaningless, listener) = match listen {
        GrpcAddress::Unix(_) => (keys, "a unix socket"),
        GrpcAddress::Tcp(_) if file.tls.is_some() => (keys.or(users).or(sensor), "TLS"),
        GrpcAddress::Tcp(_) => (users.or(sensor), "TCP"),
    };
    if let Some(key) = meaningless {
        return Err(ConfigError::Meaningless { key, listener });
    }
    match listen {
        GrpcAddress::Unix(_) => {
            Ok(Gate::Socket { users: uids(&file.feed_users)?, sensor: file.feed_sensor.clone() })
        }
        GrpcAddress::Tcp(_) if file.tls.is_some() => Ok(Gate::Certificate),
        GrpcAddress::Tcp(address) if file.feed_keys.is_empty() => {
            Err(ConfigError::Unproven { address: *address })
        }
        GrpcAddress::Tcp(_) => file
            .feed_keys
            .iter()
            .map(|(sensor, Place(path))| match FeedKey::read(path, geteuid().as_raw()) {
                Ok(key) => Ok((sensor.clone(), key)),
                Err(source) => Err(ConfigError::Key { sensor: sensor.clone(), source: Box::new(source) }),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()
            .map(Gate::Keys),
    }
}

/// Without a list: root, and who runs the collector.
fn uids(users: &[String]) -> Result<Vec<u32>, ConfigError> {
    if users.is_empty() {
        let mut uids = vec![ROOT, geteuid().as_raw()];
        uids.dedup();
        return Ok(uids);
    }
    users
        .iter()
        .map(|user| {
            let refuse = |what| ConfigError::User { user: user.clone(), what };
            let uid = match user.parse() {
                Ok(uid) => uid,
                Err(_not_a_number) => match User::from_name(user) {
                    Ok(Some(found)) => found.uid.as_raw(),
                    Ok(None) | Err(_) => {
                        return Err(refuse("is no user of this host; write a name or a uid"));
                    }
                },
            };
            if uid == NOBODY {
                return Err(refuse("is whoever has no other name in a user namespace; name another user"));
            }
            Ok(uid)
        })
        .collect()
}
