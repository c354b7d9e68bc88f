//! A rule with what it has found: it is a finding when it begins to hold, and again once it has
//! become sure and severe enough to act on. What comes after that within the cool-down is the same
//! thing, and so is what goes on holding, however long, where the rule folds.

use super::{
    common::Common,
    contract::{Rule, Seen, Urgency, Verdict},
    past::{Past, ns},
};
use crate::runaway::ACT_SEVERITY;

/// A rule in one run.
pub(crate) struct Judged<R> {
    rule: R,
    /// By subject.
    found: Box<[Option<Found>]>,
}

/// When a rule was last a finding, and whether it was one to act on.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Since when it cools down.
    cools_unix_ns: u64,
    /// Since when it was a finding before that.
    held_ms: u32,
    sure: bool,
    /// It goes on as long as it holds.
    folds: bool,
}

/// Findings of one reading, before they have their ids.
pub(crate) type Verdicts = Vec<(Urgency, Verdict)>;

impl<R: Rule> Judged<R> {
    pub(crate) fn new(limits: &R::Limits, now_unix_ns: u64) -> Self {
        Self { rule: R::new(limits, now_unix_ns), found: vec![None; R::SUBJECTS].into() }
    }

    pub(crate) fn set(&mut self, before: &R::Limits, limits: &R::Limits, now_unix_ns: u64) {
        self.rule.set(before, limits, now_unix_ns);
    }

    pub(crate) fn event(&mut self, seen: &Seen<'_>) {
        self.rule.event(seen);
    }

    pub(crate) fn advance(&mut self, now_unix_ns: u64) {
        self.rule.advance(now_unix_ns);
    }

    /// Judges the newest reading.
    pub(crate) fn judge(
        &mut self,
        now_unix_ns: u64,
        past: &Past,
        limits: &R::Limits,
        common: &Common,
        verdicts: &mut Verdicts,
    ) {
        // Where it leads to no act, there is nothing to become sure enough for.
        let always_sure = !R::leads_to_acts(limits);
        for (subject, found) in self.found.iter_mut().enumerate() {
            let before = found.filter(|found| found.cools_down(now_unix_ns, common));
            if before.is_some_and(|before| before.sure && !before.folds) {
                continue;
            }
            let Some(verdict) = self.rule.judge(subject, past, limits) else { continue };
            let Verdict { signal, .. } = &verdict;
            let is_act = signal.confidence >= common.act_min_confidence && signal.severity >= ACT_SEVERITY;
            let sure = always_sure || is_act;
            // Found when it could not be acted on yet: it must not be let go on because of that.
            if before.is_none_or(|before| sure && !before.sure) {
                *found = Some(Found { cools_unix_ns: now_unix_ns, held_ms: 0, sure, folds: R::FOLDS });
                verdicts.push((R::ABOUT.urgency, verdict));
            } else if let Some(found) = found
                && found.folds
            {
                found.holds_until(now_unix_ns);
            }
        }
        self.rule.judged();
    }

    /// It holds, or did not long ago.
    pub(crate) fn holds(&self, now_unix_ns: u64, common: &Common) -> bool {
        self.found.iter().flatten().any(|found| found.cools_down(now_unix_ns, common))
    }

    /// Another rule has the same cause, and is found in its place.
    pub(crate) fn covered(&mut self) {
        self.rule.judged();
    }

    /// What was found is to be found again, once the cool-down since then is over: no act followed
    /// from it that was done.
    pub(crate) fn again(&mut self) {
        for found in self.found.iter_mut().flatten() {
            found.cools_unix_ns -= ns(found.held_ms.into());
            (found.held_ms, found.folds) = (0, false);
        }
    }

    /// The run was acted on.
    pub(crate) fn acted(&mut self) {
        if R::FORGETS {
            self.rule.clear();
            self.found.fill(None);
        }
    }
}

impl Found {
    fn holds_until(&mut self, now_unix_ns: u64) {
        let added_ms = now_unix_ns.saturating_sub(self.cools_unix_ns) / ns(1);
        let held_ms = u64::from(self.held_ms).saturating_add(added_ms);
        self.held_ms = u32::try_from(held_ms).unwrap_or(u32::MAX);
        self.cools_unix_ns = now_unix_ns;
    }

    fn cools_down(&self, now_unix_ns: u64, common: &Common) -> bool {
        now_unix_ns.saturating_sub(self.cools_unix_ns) < ns(common.cool_down_ms)
    }
}
