//! Counting tests from what the runners print.
//!
//! A test that cannot run on this kernel prints a line `SKIP <test>: missing <capability>` and
//! returns. The runners count it as passed; here it is moved to the skipped ones. (On a kernel that
//! promises the capability the test has to fail instead; that is the test's business.)

use std::{collections::BTreeSet, fmt, ops::AddAssign};

/// How many tests did what, and which did not pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) failures: BTreeSet<String>,
}

impl Tally {
    /// One failure that no runner counted: something did not build or did not come up.
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        Self { failed: 1, failures: BTreeSet::from([what.into()]), ..Self::default() }
    }

    /// No test ran at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed + self.failed + self.skipped == 0
    }

    /// From the output of libtest, possibly of several test programs.
    pub(crate) fn from_libtest(output: &str) -> Self {
        let mut tally = Self::default();
        for line in output.lines() {
            let line = line.trim();
            if let Some(counts) = line.strip_prefix("test result:") {
                tally.passed += count_before(counts, "passed");
                tally.failed += count_before(counts, "failed");
                tally.skipped += count_before(counts, "ignored");
            } else if let Some(name) = line.strip_prefix("test ").and_then(|l| l.strip_suffix("... FAILED")) {
                tally.failures.insert(name.trim().to_owned());
            }
        }
        tally.move_skipped(output);
        tally
    }

    /// From the output of nextest; nothing if it never came to its summary.
    pub(crate) fn from_nextest(output: &str) -> Option<Self> {
        let summary = output.lines().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
        // "skipped" of nextest are those that the filter left out; they were not asked for.
        let mut tally = Self { passed: count_before(summary, "passed"), ..Self::default() };
        for kind in ["failed", "timed out", "exec failed", "aborted"] {
            tally.failed += count_before(summary, kind);
        }
        for line in output.lines().map(str::trim) {
            let failed = ["FAIL [", "TIMEOUT [", "SIGABRT [", "SIGSEGV [", "ABORT [", "XFAIL ["];
            if failed.iter().any(|kind| line.starts_with(kind))
                && let Some((_, name)) = line.split_once("] ")
            {
                tally.failures.insert(strip_position(name).to_owned());
            }
        }
        tally.move_skipped(output);
        Some(tally)
    }

    fn move_skipped(&mut self, output: &str) {
        let tests = output.lines().filter_map(|line| line.trim_start().strip_prefix("SKIP "));
        let skipped: BTreeSet<&str> =
            tests.filter_map(|line| line.split_once(": missing ")).map(|(test, _)| test).collect();
        let skipped = u64::try_from(skipped.len()).unwrap_or(u64::MAX).min(self.passed);
        self.passed -= skipped;
        self.skipped += skipped;
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures.iter().cloned());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The number right before the word: `2 passed`.
fn count_before(text: &str, word: &str) -> u64 {
    text.match_indices(word)
        // "failed" must not be found inside "exec failed".
        .find_map(|(at, _)| text[..at].trim_end().rsplit([' ', '(']).next()?.parse().ok())
        .unwrap_or(0)
}

/// Newer nextest prints `( 3/12) crate::binary test`.
fn strip_position(name: &str) -> &str {
    let name = name.trim();
    match name.split_once(") ") {
        Some((position, rest)) if position.starts_with('(') => rest.trim(),
        _ => name,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn sums_libtest_results() {
        let output = "\
running 2 tests
test exec::argv ... ok
test exec::cwd ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
vm: running net
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s";
        let tally = Tally::from_libtest(output);
        assert_eq!((tally.passed, tally.failed, tally.skipped), (5, 1, 0));
        assert_eq!(tally.failures, BTreeSet::from(["exec::cwd".to_owned()]));
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let output = "\
    SKIP guard::deny: missing lsm
    SKIP guard::deny: missing lsm
        SKIP [         ] sentry-cli::cli filtered_out_by_nextest
test result: ok. 3 passed; 0 failed; 0 ignored";
        assert_eq!(Tally::from_libtest(output).to_string(), "2 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn reads_the_summary_of_nextest() {
        let output = "\
        PASS [   0.004s] (1/3) xtask::bin/xtask args::tests::a
        FAIL [   0.004s] (2/3) sentry-tests::exec argv
────────────
     Summary [   0.061s] 8 tests run: 5 passed (1 slow), 1 failed, 1 timed out, 1 exec failed, 7 skipped
        FAIL [   0.004s] (2/3) sentry-tests::exec argv";
        let tally = Tally::from_nextest(output).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.skipped), (5, 3, 0));
        assert_eq!(tally.failures, BTreeSet::from(["sentry-tests::exec argv".to_owned()]));
        assert_eq!(Tally::from_nextest("error: could not compile"), None);
    }
}
