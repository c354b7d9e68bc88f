//! Which runs have most of the spool, or of the history: they make room before others do. Of the
//! largest only, and in memory alone: it chooses who goes first.

use std::collections::HashMap;

/// Runs that are counted; the smallest makes room for a new one.
const RUNS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    bytes: u64,
    /// No event of the run that is counted here stands before this position.
    from: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    runs: HashMap<String, Share>,
}

impl Shares {
    /// Counts an event of `run` that stands at `seq` or behind.
    pub(super) fn add(&mut self, run: &str, seq: u64, bytes: u64) {
        if let Some(share) = self.runs.get_mut(run) {
            share.bytes += bytes;
            return;
        }
        if self.runs.len() >= RUNS
            && let Some(least) =
                self.runs.iter().min_by_key(|(_, share)| share.bytes).map(|(run, _)| run.clone())
        {
            self.runs.remove(&least);
        }
        self.runs.insert(run.to_owned(), Share { bytes, from: seq });
    }

    /// The run that has most, if that is more than `bytes`, and where its events begin.
    pub(super) fn largest(&self, bytes: u64) -> Option<(String, u64)> {
        let (run, share) = self.runs.iter().max_by_key(|(_, share)| share.bytes)?;
        (share.bytes > bytes).then(|| (run.clone(), share.from))
    }

    /// So many bytes of the run's events went, all before `from`; 0 = there are no more.
    pub(super) fn went(&mut self, run: &str, bytes: u64, from: u64) {
        match self.runs.get_mut(run) {
            Some(share) if bytes > 0 => *share = Share { bytes: share.bytes.saturating_sub(bytes), from },
            _ => drop(self.runs.remove(run)),
        }
    }

    /// This many bytes of the run, if it was one, were removed.
    pub(super) fn less(&mut self, run: Option<&str>, bytes: u64) {
        if let Some(share) = run.and_then(|run| self.runs.get_mut(run)) {
            share.bytes = share.bytes.saturating_sub(bytes);
        }
    }

    /// The bytes of each run.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> std::collections::BTreeMap<&str, u64> {
        let some = self.runs.iter().filter(|(_, share)| share.bytes > 0);
        some.map(|(run, share)| (run.as_str(), share.bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Shares;

    #[test]
    fn the_largest_run_is_known_among_many() {
        let mut shares = Shares::default();
        shares.add("large", 1, 50);
        for run in 0..200 {
            shares.add(&format!("small-{run}"), 2, 10);
            shares.add("large", 3, 10);
        }
        assert_eq!(shares.runs.len(), super::RUNS);
        assert_eq!(shares.largest(2_000), Some(("large".to_owned(), 1)));
        shares.went("large", 1_000, 400);
        assert_eq!((shares.largest(2_000), shares.largest(1_000)), (None, Some(("large".to_owned(), 400))));
        shares.went("large", 0, 0);
        assert_eq!(shares.largest(10), None);
    }
}
