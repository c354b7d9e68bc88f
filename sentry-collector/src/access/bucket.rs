//! How often something may happen: a token bucket in the form that needs one number only (GCRA).

use std::time::Duration;

use tokio::time::Instant;

/// One thing each `every`, and `burst` of them at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) every: Duration,
    pub(crate) burst: u32,
}

/// When the bucket is full again; before that it lacks one thing for each `every`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    full_at: Instant,
}

// === impl Bucket ===

impl Bucket {
    pub(crate) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes one thing, or returns how long to wait for it.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + rate.every;
        let ahead = full_at.duration_since(now);
        let most = rate.every * rate.burst;
        if ahead > most {
            return Err(ahead - most);
        }
        self.full_at = full_at;
        Ok(())
    }

    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_for_each_interval() {
        let rate = Rate { every: Duration::from_millis(20), burst: 3 };
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        assert!((0..3).all(|_| bucket.take(rate, start).is_ok()));
        assert_eq!(bucket.take(rate, start), Err(Duration::from_millis(20)));
        let later = start + Duration::from_millis(20);
        assert_eq!(bucket.take(rate, later), Ok(()));
        assert_eq!(bucket.take(rate, later), Err(Duration::from_millis(20)));
        assert!(!bucket.is_full(later));
        let rested = start + Duration::from_secs(9);
        assert!(bucket.is_full(rested));
        assert!((0..3).all(|_| bucket.take(rate, rested).is_ok()));
    }
}
