//! Thresholds of all rules together.

use super::limits::limits;

limits! {
    /// When a rule that was found is found again, and when a finding leads to acts.
    Common, "" {
        /// what comes again after it had stopped for this time is another finding, and so is a
        /// service that is asked again (`left-control`) that much later; at once where it was too
        /// uncertain to act on and no longer is
        cool_down_ms: u64 = 30_000 in 1_000.0..=3_600_000.0;
        /// confidence from which a finding of high or critical severity leads to acts, where its
        /// rule leads to any
        act_min_confidence: f64 = 0.8 in 0.1..=1.0;
    }
}
