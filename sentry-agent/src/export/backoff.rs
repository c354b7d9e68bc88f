//! How long to wait before the next try.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(100);

/// Doubles from 100 ms to the longest; each wait is 50–100 % of that, so that many sensors do not
/// come back as one.
#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, failures: 0 }
    }

    pub(super) fn next_delay(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        // The standard library's hash keys are random; no more than that is needed here.
        let part = RandomState::new().build_hasher().finish() % 512;
        whole / 2 + whole.mul_f64(part as f64 / 1024.0)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_starts_again() {
        const LONGEST: Duration = Duration::from_secs(5);
        let mut backoff = Backoff::new(LONGEST);
        let mut longest = FIRST;
        for _ in 0..100 {
            let delay = backoff.next_delay();
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?} of {longest:?}");
            longest = (longest * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
    }
}
