//! Which program follows which in a run, as counts of pairs of fingerprints: how surprising a
//! sequence is.

use std::collections::BTreeMap;

/// Pairs kept of an agent.
pub(crate) const MOST: usize = 512;

/// Two programs, one executed after the other.
pub(crate) type Pair = (u64, u64);

/// Of a program's path.
pub(crate) fn fingerprint(path: &str) -> u64 {
    twox_hash::XxHash3_64::oneshot(path.as_bytes())
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transitions(pub(crate) BTreeMap<Pair, u64>);

impl Transitions {
    pub(crate) fn followed(&mut self, pair: Pair, times: u64) {
        let seen = self.0.entry(pair).or_default();
        *seen = seen.saturating_add(times);
    }

    /// Without a bound: [`Self::trim`] has one.
    pub(crate) fn add(&mut self, other: &Self) {
        for (pair, times) in &other.0 {
            self.followed(*pair, *times);
        }
    }

    /// Lets the rarest go.
    pub(crate) fn trim(&mut self) {
        let beyond = self.0.len().saturating_sub(MOST);
        if beyond == 0 {
            return;
        }
        let mut rarest: Vec<(u64, Pair)> = self.0.iter().map(|(pair, times)| (*times, *pair)).collect();
        rarest.sort_unstable();
        for (_, pair) in rarest.into_iter().take(beyond) {
            self.0.remove(&pair);
        }
    }

    /// Bits per step that a sequence of this agent is worth on average: 0 where each program has
    /// one successor.
    pub(crate) fn entropy(&self) -> f64 {
        let pairs = self.0.iter().map(|(pair, times)| (*pair, *times));
        self.surprise(pairs)
    }

    /// Bits per step of other steps, by what is known here. A step that was never seen counts as
    /// seen half a time.
    pub(crate) fn surprise(&self, steps: impl Iterator<Item = (Pair, u64)>) -> f64 {
        let (mut bits, mut all) = (0.0, 0.0);
        for ((from, to), times) in steps {
            let outgoing: u64 = self.0.range((from, 0)..=(from, u64::MAX)).map(|(_, times)| times).sum();
            let seen = self.0.get(&(from, to)).map_or(0.5, |times| *times as f64);
            bits -= times as f64 * (seen / (outgoing as f64).max(1.0)).min(1.0).log2();
            all += times as f64;
        }
        if all > 0.0 { bits / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_order_is_no_surprise_and_a_coin_is_one_bit() {
        let mut fixed = Transitions::default();
        fixed.followed((1, 2), 50);
        fixed.followed((2, 1), 50);
        assert_eq!(fixed.entropy(), 0.0);
        assert!((fixed.surprise([((1, 3), 1)].into_iter()) - 100_f64.log2()).abs() < 1e-9);
        let mut coin = fixed.clone();
        coin.followed((1, 3), 50);
        coin.followed((2, 3), 50);
        assert_eq!(coin.entropy(), 1.0);
        assert_eq!(Transitions::default().entropy(), 0.0);
    }

    #[test]
    fn the_rarest_pairs_go() {
        let mut all = Transitions::default();
        for n in 0..MOST as u64 + 2 {
            all.followed((n, n), n + 1);
        }
        all.trim();
        assert_eq!((all.0.len(), all.0.first_key_value()), (MOST, Some((&(2, 2), &3))));
    }
}
