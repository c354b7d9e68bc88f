//! A Bloom filter. Pure.

/// Bits that are set for each fact.
const PROBES: u64 = 5;
/// One byte for each fact: about one question in fifty for what is not there is answered wrongly.
/// Where there are more facts than this, more are.
const MOST_BYTES: usize = 16 << 10;
const LEAST_BYTES: usize = 8;

/// A filter of these facts. Sorts them.
pub(super) fn of(facts: &mut Vec<u64>) -> Vec<u8> {
    facts.sort_unstable();
    facts.dedup();
    let mut filter = vec![0; facts.len().clamp(LEAST_BYTES, MOST_BYTES)];
    for fact in facts {
        for (byte, bit) in places(*fact, filter.len()) {
            filter[byte] |= bit;
        }
    }
    filter
}

/// False: the fact is not among those that the filter is of.
pub(super) fn may_hold(filter: &[u8], fact: u64) -> bool {
    !filter.is_empty() && places(fact, filter.len()).all(|(byte, bit)| filter[byte] & bit != 0)
}

/// The bits of a fact, each as its byte and the bit in that.
fn places(fact: u64, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let (start, step) = (fact & 0xffff_ffff, (fact >> 32) | 1);
    let bits = 8 * bytes as u64;
    (0..PROBES).map(move |probe| {
        let spot = (start + probe * step) & 0xffff_ffff;
        // Spreads 32 bits over as many places as there are.
        let place = (spot * bits) >> 32;
        ((place / 8) as usize, 1 << (place % 8))
    })
}

#[cfg(test)]
mod tests {
    use twox_hash::XxHash3_64;

    use super::{may_hold, of};

    #[test]
    fn what_is_in_it_is_found_and_little_else() {
        let hash = |n: u64| XxHash3_64::oneshot(&n.to_le_bytes());
        for count in [0, 1, 10, 3_000] {
            let filter = of(&mut (0..count).map(hash).collect());
            assert!((0..count).all(|n| may_hold(&filter, hash(n))));
            let wrong = (count..count + 10_000).filter(|n| may_hold(&filter, hash(*n))).count();
            assert!(wrong < 400, "{wrong} of 10,000 beside {count}");
        }
        assert!(!may_hold(&[], hash(1)));
    }
}
