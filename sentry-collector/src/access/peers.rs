//! What each address may do: so many requests, and so few wrong keys.
//!
//! Limits: ten wrong keys within ten minutes lock an address for ten minutes: no key of it is
//! looked at, sessions that are open go on. 50 requests a second and 500 at once, not on loopback,
//! where the address does not distinguish peers. An IPv6 address counts by its /64. 4,096 addresses
//! are remembered; beyond that, the one that was heard of longest ago is forgotten.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::bucket::{Bucket, Rate};

const WRONG_KEYS: u32 = 10;
/// How long wrong keys count, and how long an address is locked.
pub(crate) const LOCK: Duration = Duration::from_secs(600);
const REQUESTS: Rate = Rate { every: Duration::from_millis(20), burst: 500 };
const ADDRESSES: usize = 4096;
/// The first 64 bits of an IPv6 address, because a peer can choose the others.
const PREFIX: u128 = !(u64::MAX as u128);

#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<IpAddr, Peer>>);

/// What is known of an address.
#[derive(Debug)]
struct Peer {
    requests: Bucket,
    wrong: u32,
    /// When the first of these wrong keys came.
    since: Instant,
    locked_until: Option<Instant>,
    seen: Instant,
}

// === impl Peers ===

impl Peers {
    /// Counts a request, or returns how long to wait before the next one.
    pub(crate) fn admit(&self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        let ip = peer_of(ip);
        if ip.is_loopback() { Ok(()) } else { self.with(ip, now, |peer| peer.requests.take(REQUESTS, now)) }
    }

    /// How long the address is still locked.
    pub(crate) fn locked(&self, ip: IpAddr, now: Instant) -> Option<Duration> {
        let table = self.0.lock();
        table.get(&peer_of(ip))?.locked_until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Counts a wrong key. `true`: the address is locked from now on.
    pub(crate) fn wrong(&self, ip: IpAddr, now: Instant) -> bool {
        self.with(peer_of(ip), now, |peer| peer.wrong(now))
    }

    fn with<T>(&self, ip: IpAddr, now: Instant, change: impl FnOnce(&mut Peer) -> T) -> T {
        let mut table = self.0.lock();
        if !table.contains_key(&ip) && table.len() >= ADDRESSES {
            make_room(&mut table, now);
        }
        let peer = table.entry(ip).or_insert_with(|| Peer::new(now));
        peer.seen = now;
        change(peer)
    }
}

// === impl Peer ===

impl Peer {
    fn new(now: Instant) -> Self {
        Self { requests: Bucket::new(now), wrong: 0, since: now, locked_until: None, seen: now }
    }

    fn wrong(&mut self, now: Instant) -> bool {
        if now >= self.since + LOCK {
            self.wrong = 0;
        }
        if self.wrong == 0 {
            self.since = now;
        }
        self.wrong += 1;
        let locks = self.wrong >= WRONG_KEYS;
        if locks {
            (self.wrong, self.locked_until) = (0, Some(now + LOCK));
        }
        locks
    }

    /// Whether forgetting it changes nothing.
    fn is_idle(&self, now: Instant) -> bool {
        let counts = self.wrong > 0 && now < self.since + LOCK;
        let locked = self.locked_until.is_some_and(|until| now < until);
        self.requests.is_full(now) && !counts && !locked
    }
}

/// Forgets the addresses of which nothing counts any more; if there are none, the one that was
/// heard of longest ago.
fn make_room(table: &mut HashMap<IpAddr, Peer>, now: Instant) {
    table.retain(|_, peer| !peer.is_idle(now));
    if table.len() >= ADDRESSES
        && let Some(oldest) = table.iter().min_by_key(|(_, peer)| peer.seen).map(|(ip, _)| *ip)
    {
        table.remove(&oldest);
    }
}

/// What counts as one peer.
pub(crate) fn peer_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        ip if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & PREFIX).into(),
        ip => ip,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_wrong_keys_lock_an_address_for_ten_minutes() {
        let (peers, start) = (Peers::default(), Instant::now());
        let [one, same, other] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:1::1"].map(ip);
        assert!((0..9).all(|_| !peers.wrong(one, start)));
        assert_eq!(peers.locked(one, start), None);
        assert!(peers.wrong(same, start), "the same /64");
        assert_eq!(peers.locked(one, start), Some(LOCK));
        assert_eq!(peers.locked(other, start), None);
        let end = start + LOCK;
        assert_eq!(peers.locked(one, end - Duration::from_secs(1)), Some(Duration::from_secs(1)));
        assert_eq!(peers.locked(one, end), None);
        assert!((0..9).all(|_| !peers.wrong(one, end)), "it begins anew");
    }

    #[test]
    fn wrong_keys_far_apart_lock_nobody() {
        let (peers, start) = (Peers::default(), Instant::now());
        assert!((0..40).all(|n| !peers.wrong(ip("192.0.2.1"), start + LOCK / 8 * n)));
    }

    #[test]
    fn an_address_has_its_pace_and_loopback_has_none() {
        let (peers, now) = (Peers::default(), Instant::now());
        let one = ip("192.0.2.1");
        assert!((0..500).all(|_| peers.admit(one, now).is_ok()));
        assert_eq!(peers.admit(one, now), Err(REQUESTS.every));
        assert!(peers.admit(ip("192.0.2.2"), now).is_ok());
        assert!((0..2000).all(|_| peers.admit(ip("127.0.0.1"), now).is_ok()));
        assert!(peers.admit(one, now + REQUESTS.every).is_ok());
    }

    #[test]
    fn the_table_is_bounded_and_keeps_who_is_locked() {
        let (peers, start) = (Peers::default(), Instant::now());
        let locked = ip("192.0.2.1");
        assert_eq!((0..10).filter(|_| peers.wrong(locked, start)).count(), 1);
        let later = start + Duration::from_secs(60);
        for n in 0..2 * ADDRESSES as u32 {
            peers
                .admit(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)), later + REQUESTS.every * n)
                .unwrap();
        }
        assert!(peers.0.lock().len() <= ADDRESSES);
        assert!(peers.locked(locked, later).is_some());
    }
}
