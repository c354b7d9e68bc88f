//! TCP connections that were tried, and how they came out, over the newest slices.
//!
//! Not every kernel reports outcomes; until one was seen in the run nothing is known of any.

use super::slices::{COUNT, Slices};
use crate::{
    act::SocketAct,
    event::{Endpoint, EventKind},
};

/// IANA's number.
const TCP: u16 = 6;

/// Of a horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) tried: u64,
    pub(crate) succeeded: u64,
    pub(crate) refused: u64,
}

impl Tried {
    /// Share that did not come to be: refused, or without an answer yet.
    pub(crate) fn unanswered(&self) -> f64 {
        self.tried.saturating_sub(self.succeeded) as f64 / self.tried.max(1) as f64
    }
}

#[derive(Debug)]
pub(crate) struct Attempts {
    slices: Slices,
    counts: [Tried; COUNT],
    knows_outcomes: bool,
}

impl Attempts {
    pub(crate) fn new(horizon_ns: u64, now_unix_ns: u64) -> Self {
        Self {
            slices: Slices::new(horizon_ns, now_unix_ns),
            counts: [Tried::default(); COUNT],
            knows_outcomes: false,
        }
    }

    /// Takes an event; where a connection is tried by it, the position of the open slice and where
    /// to.
    pub(crate) fn event<'a>(&mut self, kind: &'a EventKind) -> Option<(usize, &'a Endpoint)> {
        let position = self.slices.position();
        let counts = &mut self.counts[position];
        match kind {
            EventKind::Connect { destination } if destination.protocol == TCP => {
                counts.tried += 1;
                return Some((position, destination));
            }
            EventKind::Socket { act: SocketAct::Connected, error, remote: Some(remote), .. }
                if remote.protocol == TCP =>
            {
                match error {
                    None => counts.succeeded += 1,
                    Some(_) => counts.refused += 1,
                }
                self.knows_outcomes = true;
            }
            _ => {}
        }
        None
    }

    /// Time has come to `now_unix_ns`; the positions that were emptied.
    pub(crate) fn advance(&mut self, now_unix_ns: u64) -> impl Iterator<Item = usize> + use<'_> {
        let counts = &mut self.counts;
        self.slices.advance(now_unix_ns).inspect(move |position| counts[*position] = Tried::default())
    }

    /// Nothing where outcomes are not known.
    pub(crate) fn sum(&self) -> Option<Tried> {
        let add = |sum: Tried, slice: &Tried| Tried {
            tried: sum.tried + slice.tried,
            succeeded: sum.succeeded + slice.succeeded,
            refused: sum.refused + slice.refused,
        };
        self.knows_outcomes.then(|| self.counts.iter().fold(Tried::default(), add))
    }

    pub(crate) fn clear(&mut self) {
        self.counts = [Tried::default(); COUNT];
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn endpoint(protocol: u16) -> Endpoint {
        Endpoint { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 80, protocol }
    }

    fn outcome(error: Option<u32>) -> EventKind {
        EventKind::Socket {
            act: SocketAct::Connected,
            family: 2,
            socket_type: 1,
            local: None,
            remote: Some(endpoint(TCP)),
            cookie: 1,
            error,
        }
    }

    #[test]
    fn what_was_tried_is_known_once_an_outcome_was_seen() {
        let mut attempts = Attempts::new(800, 0);
        for _ in 0..4 {
            assert!(attempts.event(&EventKind::Connect { destination: endpoint(TCP) }).is_some());
        }
        assert!(attempts.event(&EventKind::Connect { destination: endpoint(17) }).is_none());
        assert_eq!(attempts.sum(), None);
        attempts.event(&outcome(None));
        attempts.event(&outcome(Some(111)));
        let tried = Tried { tried: 4, succeeded: 1, refused: 1 };
        assert_eq!((attempts.sum(), tried.unanswered()), (Some(tried), 0.75));
        attempts.advance(10_000).for_each(drop);
        assert_eq!(attempts.sum(), Some(Tried::default()));
    }
}
