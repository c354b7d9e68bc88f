//! Destinations by name, names that were looked up, and sockets that take connections.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use sentry_proto::{convert::endpoint_text, v1};
use sentry_view::{By, Destination, Listener, Lookup};

use crate::process::{Key, Processes};

/// Entries of each list.
const ENTRIES: usize = 2_000;
/// Actors that one destination lists.
const ACTORS: usize = 50;
/// Addresses that one name lists.
const ADDRESSES: usize = 20;

/// What a run had to do with the network.
#[derive(Debug, Default)]
pub(crate) struct Network {
    destinations: Vec<Destination>,
    /// Places in `destinations`, by its text.
    places: HashMap<String, usize>,
    lookups: BTreeMap<String, Lookup>,
    listeners: Vec<(Key, Listener)>,
    /// The name that a process looked up for an address; for the whole run where that process did
    /// not, because a resolver may ask for others.
    names: HashMap<(Option<Key>, IpAddr), String>,
    pub(crate) unlisted: u64,
}

impl Network {
    /// A connection was asked for, or a datagram sent.
    pub(crate) fn attempt(&mut self, remote: Option<&v1::Endpoint>, key: Key, by: By) {
        let name = remote.and_then(address_of).and_then(|address| self.name(key, address));
        let Some(destination) = self.destination(remote) else { return };
        destination.attempts += 1;
        add_name(destination, name);
        if destination.by.len() < ACTORS && !destination.by.contains(&by) {
            destination.by.push(by);
        }
    }

    /// A connection failed.
    pub(crate) fn failed(&mut self, remote: Option<&v1::Endpoint>, error: u32) {
        let Some(destination) = self.destination(remote) else { return };
        destination.failed += 1;
        destination.error = Some(error);
    }

    /// A name was given in TLS.
    pub(crate) fn tls(&mut self, hello: &v1::TlsHello) {
        if let Some(destination) = self.destination(hello.destination.as_ref()) {
            add_name(destination, Some(hello.server_name.clone()));
        }
    }

    pub(crate) fn dns(&mut self, dns: &v1::Dns, key: Key, by: By) {
        if dns.name.is_empty() {
            return;
        }
        if !self.lookups.contains_key(&dns.name) && self.lookups.len() >= ENTRIES {
            self.unlisted += 1;
            return;
        }
        let lookup = self.lookups.entry(dns.name.clone()).or_insert_with(|| Lookup {
            name: dns.name.clone(),
            by,
            ..Lookup::default()
        });
        if !dns.answer {
            lookup.count += 1;
            return;
        }
        for answer in &dns.answers {
            let Ok(address) = answer.parse::<IpAddr>() else { continue };
            if lookup.addresses.len() < ADDRESSES && !lookup.addresses.contains(answer) {
                lookup.addresses.push(answer.clone());
            }
            if self.names.len() < ENTRIES {
                self.names.insert((Some(key), address), dns.name.clone());
                self.names.insert((None, address), dns.name.clone());
            }
        }
        let code = dns.code.as_deref().unwrap_or_default();
        if dns.answers.is_empty() && !code.is_empty() && code != "NOERROR" {
            lookup.failure = Some(if code == "NAMEERROR" { "NXDOMAIN".into() } else { code.to_owned() });
        }
    }

    pub(crate) fn listen(&mut self, local: Option<&v1::Endpoint>, key: Key, processes: &mut Processes) {
        let text = endpoint_text(local);
        if self.listeners.iter().any(|(holder, listener)| *holder == key && listener.local == text) {
            return;
        }
        if self.listeners.len() >= ENTRIES {
            self.unlisted += 1;
            return;
        }
        let by = processes.by(key);
        if let Some(process) = processes.get_mut(key) {
            process.listens.push(text.clone());
        }
        self.listeners.push((key, Listener { local: text, by, is_open: false }));
    }

    /// Destinations in the order of their first use, names, and listeners.
    pub(crate) fn finish(
        mut self,
        flows: &[v1::Flow],
        processes: &Processes,
    ) -> (Vec<Destination>, Vec<Lookup>, Vec<Listener>) {
        for flow in flows {
            let text = endpoint_text(flow.remote.as_ref());
            if let Some(destination) = self.places.get(&text).and_then(|&at| self.destinations.get_mut(at)) {
                destination.bytes_out = Some(flow.bytes_out);
                destination.bytes_in = Some(flow.bytes_in);
            }
        }
        let listener = |(key, listener)| Listener { is_open: processes.get(key).is_some(), ..listener };
        let listeners = self.listeners.into_iter().map(listener).collect();
        (self.destinations, self.lookups.into_values().collect(), listeners)
    }

    fn name(&self, key: Key, address: IpAddr) -> Option<String> {
        self.names.get(&(Some(key), address)).or_else(|| self.names.get(&(None, address))).cloned()
    }

    fn destination(&mut self, remote: Option<&v1::Endpoint>) -> Option<&mut Destination> {
        let text = endpoint_text(remote);
        let at = match self.places.get(&text) {
            Some(&at) => at,
            None if self.destinations.len() >= ENTRIES => {
                self.unlisted += 1;
                return None;
            }
            None => {
                self.places.insert(text.clone(), self.destinations.len());
                self.destinations.push(Destination { remote: text, ..Destination::default() });
                self.destinations.len() - 1
            }
        };
        self.destinations.get_mut(at)
    }
}

/// One address may serve several names.
fn add_name(destination: &mut Destination, name: Option<String>) {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return };
    match &mut destination.name {
        Some(known) if known.split(", ").any(|known| known == name) => {}
        Some(known) if known.len() < 256 => {
            known.push_str(", ");
            known.push_str(&name);
        }
        Some(_full) => {}
        known @ None => *known = Some(name),
    }
}

/// The address of an endpoint; one of IPv4 also where it is written as IPv6.
pub(crate) fn address_of(endpoint: &v1::Endpoint) -> Option<IpAddr> {
    let bytes = endpoint.address.as_slice();
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| IpAddr::from(v6).to_canonical())
}
