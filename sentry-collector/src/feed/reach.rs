//! An upper bound for the positions of a sensor: it gives them out one by one, so they grow only so
//! fast.
//!
//! A hello names the newest position that the spool has given out. Positions in a gap were given
//! out too, so a gap ends at most there, plus as many positions as a sensor can give out in the
//! time since. The position in a later hello is bounded in the same way from the first hello of the
//! epoch. (Bounding it from the last one would allow a thousand jumps by a thousand hellos.) The
//! first hello may come from a spool that has been filling for years, so it is bounded by the time
//! since 1970, which allows less than a thousandth of all positions.
//!
//! Limits: 2^22 positions per second, many times what a sensor can write, plus 2^32 in case a clock
//! was set meanwhile.

use std::time::Duration;

const PER_S: u64 = 1 << 22;
const MARGIN: u64 = 1 << 32;

/// The position of a sensor at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) last: u64,
    /// Since 1970.
    pub(crate) at: Duration,
}

/// A position that no sensor can have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "leap in the epoch: position {position} is beyond {bound}, which is more than a sensor can \
     have made; begin a new epoch if the spool is another one"
)]
pub(crate) struct Leap {
    pub(crate) position: u64,
    pub(crate) bound: u64,
}

impl Reach {
    /// The beginning of every spool.
    pub(crate) const ORIGIN: Self = Self { last: 0, at: Duration::ZERO };

    /// The furthest position at `now`.
    fn bound(self, now: Duration) -> u64 {
        let seconds = now.saturating_sub(self.at).as_secs() + 1;
        self.last.saturating_add(seconds.saturating_mul(PER_S)).saturating_add(MARGIN)
    }

    pub(crate) fn check(self, position: u64, now: Duration) -> Result<(), Leap> {
        let bound = self.bound(now);
        if position <= bound { Ok(()) } else { Err(Leap { position, bound }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    #[test]
    fn a_spool_of_years_is_taken_and_a_leap_is_not() {
        let now = YEAR * 56;
        // Ten thousand positions per second for ten years.
        let long = YEAR.as_secs() * 10 * 10_000;
        assert_eq!(Reach::ORIGIN.check(long, now), Ok(()));
        let leap = (1 << 63) - 3;
        assert!(Reach::ORIGIN.check(leap, now).is_err());
        // However long this goes on, most of the positions are left.
        assert!(Reach::ORIGIN.bound(YEAR * 1_000) < u64::MAX >> 6);
    }

    #[test]
    fn the_reach_grows_with_the_time() {
        let hello = Reach { last: 1_000, at: YEAR };
        let second = Duration::from_secs(1);
        assert_eq!(hello.check(1_000 + PER_S + MARGIN, YEAR), Ok(()));
        let leap = Leap { position: 1_001 + PER_S + MARGIN, bound: 1_000 + PER_S + MARGIN };
        assert_eq!(hello.check(1_001 + PER_S + MARGIN, YEAR), Err(leap));
        assert_eq!(hello.check(1_001 + PER_S + MARGIN, YEAR + second), Ok(()));
        // The clock was set back.
        assert_eq!(hello.check(1_000 + PER_S, Duration::ZERO), Ok(()));
        assert_eq!(Reach { last: u64::MAX, at: YEAR }.check(u64::MAX, YEAR), Ok(()));
    }
}
