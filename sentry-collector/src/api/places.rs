//! Places for connections. If a newcomer finds none, the connection that has waited longest for its
//! peer is ended, so that active peers are served however many idle connections there are.
//!
//! Limits: [`ALL`] connections, [`PER_PEER`] of one address; an IPv6 address counts by its /64. On
//! loopback only the total holds, because the address does not distinguish peers. A connection
//! lasts at least [`FAIR`], and is never ended while its request is being handled.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::pace::Pace;
use crate::{access::peers::peer_of, metrics::Metrics};

const ALL: usize = 512;
const PER_PEER: usize = 128;
const FAIR: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub(super) struct Places {
    table: Arc<Mutex<Table>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, (IpAddr, Arc<Pace>)>,
}

/// A place. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    places: Places,
    pub(super) pace: Arc<Pace>,
}

/// Why there is no place now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The peer has as many connections as it may have.
    Peer,
    /// No connection has lasted [`FAIR`] yet. A later attempt may succeed.
    All { until: Instant },
}

// === impl Places ===

impl Places {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { table: Arc::default(), metrics }
    }

    pub(super) fn take(&self, peer: IpAddr) -> Result<Place, Full> {
        let mut table = self.table.lock();
        let taken = table.take(peer_of(peer), Instant::now());
        self.metrics.http_connections.store(table.taken.len() as u64, Relaxed);
        if taken.as_ref().is_err_and(|full| *full == Full::Peer) {
            self.metrics.http_closed_total.fetch_add(1, Relaxed);
        }
        let (number, pace) = taken?;
        Ok(Place { number, places: self.clone(), pace })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table.lock();
        table.taken.remove(&self.number);
        self.places.metrics.http_connections.store(table.taken.len() as u64, Relaxed);
    }
}

// === impl Table ===

impl Table {
    fn take(&mut self, peer: IpAddr, now: Instant) -> Result<(u64, Arc<Pace>), Full> {
        if !peer.is_loopback() && self.of(peer) >= PER_PEER {
            self.free(peer, now).map_err(|_until| Full::Peer)?;
        } else if self.taken.len() >= ALL
            && let Some(largest) = self.largest()
        {
            self.free(largest, now).map_err(|until| Full::All { until })?;
        }
        let (number, pace) = (self.next, Pace::new(now));
        self.next += 1;
        self.taken.insert(number, (peer, Arc::clone(&pace)));
        Ok((number, pace))
    }

    fn of(&self, peer: IpAddr) -> usize {
        self.taken.values().filter(|(other, _)| *other == peer).count()
    }

    fn largest(&self) -> Option<IpAddr> {
        let mut counts = HashMap::new();
        self.taken.values().for_each(|(peer, _)| *counts.entry(*peer).or_insert(0) += 1);
        counts.into_iter().max_by_key(|(_, count): &(IpAddr, usize)| *count).map(|(peer, _)| peer)
    }

    /// Ends the connection of the peer that has been idle longest, or returns when one can be
    /// ended.
    fn free(&mut self, peer: IpAddr, now: Instant) -> Result<(), Instant> {
        let of_peer = self.taken.iter().filter(|(_, (other, _))| *other == peer);
        let standing = of_peer.filter_map(|(number, (_, pace))| Some((pace.stands_since()?, *number)));
        let Some((since, number)) = standing.min() else { return Err(now + FAIR) };
        if now < since + FAIR {
            return Err(since + FAIR);
        }
        if let Some((_, pace)) = self.taken.remove(&number) {
            pace.give_way();
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        peer_of(text.parse().unwrap())
    }

    #[test]
    fn who_waited_longest_gives_way_and_nobody_else() {
        let (mut table, start) = (Table::default(), Instant::now());
        let at = |n: u64| start + Duration::from_micros(n);
        let served: Vec<_> = (0..8).map(|n| table.take(ip("127.0.0.1"), at(n)).unwrap()).collect();
        let _serving: Vec<_> = served.iter().map(|(_, pace)| pace.serve()).collect();
        for n in 8..ALL as u64 {
            table.take(ip("127.0.0.1"), at(n)).unwrap();
        }
        let soon = table.take(ip("127.0.0.2"), at(ALL as u64));
        assert_eq!(soon.unwrap_err(), Full::All { until: at(8) + FAIR });
        table.take(ip("::1"), at(8) + FAIR).unwrap();
        assert_eq!(table.taken.len(), ALL);
        assert!(served.iter().all(|(number, _)| table.taken.contains_key(number)));
        assert!(!table.taken.contains_key(&8) && table.taken.contains_key(&9));
    }

    #[test]
    fn one_address_does_not_take_the_places_of_others() {
        let (mut table, now) = (Table::default(), Instant::now());
        for n in 0..PER_PEER {
            table.take(ip(&format!("2001:db8::{n:x}")), now).unwrap();
        }
        assert_eq!(table.take(ip("2001:db8::ffff"), now).unwrap_err(), Full::Peer);
        table.take(ip("2001:db8:1::1"), now).unwrap();
        // Its own connections give way to its newer ones.
        table.take(ip("2001:db8::ffff"), now + FAIR).unwrap();
        assert_eq!(table.taken.len(), PER_PEER + 1);
        // With all places taken the largest peer gives way.
        for n in 0..ALL - PER_PEER - 1 {
            table.take(ip(&format!("192.0.2.{}", n % 250)), now).unwrap();
        }
        table.take(ip("198.51.100.1"), now + FAIR).unwrap();
        assert_eq!((table.taken.len(), table.of(ip("2001:db8::1"))), (ALL, PER_PEER - 1));
    }
}
