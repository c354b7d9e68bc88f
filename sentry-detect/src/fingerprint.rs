//! Fingerprints of objects: what an act was done to, as 64 bits.
//!
//! The function is fixed here and not left to the standard library, because a replay years later
//! has to put the same objects into the same buckets. It is seeded with the run, so that a
//! collision found in one run is none in the next. A collision makes two objects look like one; it
//! costs the watched program variety and gains it nothing, therefore speed counts for more than
//! strength.

use std::net::IpAddr;

/// A fingerprint in the making. Every part is bounded by its length, so `ab`+`c` differs from
/// `a`+`bc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(self, number: u64) -> Self {
        Self(fold(self.0.rotate_left(23) ^ number ^ MASK, MULTIPLIER))
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let state = words.iter().fold(self, |state, word| state.number(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        state.number(u64::from_le_bytes(last)).number(bytes.len() as u64)
    }

    pub(crate) fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.number(address.to_bits().into()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.number(bits as u64).number((bits >> 64) as u64)
            }
        }
    }

    pub(crate) fn finish(self) -> u64 {
        fold(self.0 ^ MULTIPLIER, MASK)
    }
}

/// Both halves of the 128-bit product, so that each bit in reaches each bit out.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Odd numbers with about as many ones as zeros: the fractions of √2 and of the golden ratio.
const MASK: u64 = 0x6a09_e667_f3bc_c909;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn boundaries_and_lengths_matter() {
        let of = |parts: &[&str]| {
            parts.iter().fold(Fingerprint::seeded(1), |state, part| state.bytes(part.as_bytes())).finish()
        };
        let all =
            [of(&["ab", "c"]), of(&["a", "bc"]), of(&["abc"]), of(&["abc", ""]), of(&["abc\0"]), of(&[])];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn low_bits_spread_over_similar_paths() {
        let buckets: HashSet<u64> = (0..256)
            .map(|n| {
                Fingerprint::seeded(7).bytes(format!("/usr/include/header{n}.h").as_bytes()).finish() % 256
            })
            .collect();
        // 256 balls into 256 buckets fill about 162 of them.
        assert!((140..185).contains(&buckets.len()), "{} buckets", buckets.len());
    }

    #[test]
    fn the_function_does_not_change() {
        assert_eq!(Fingerprint::seeded(0).bytes(b"/usr/bin/true").number(1).finish(), STABLE);
    }

    /// From the first release; recorded inputs are replayed against it.
    const STABLE: u64 = 11_973_989_811_226_614_452;
}
