//! What one run used by name, and in which order it executed programs, since that was last taken.
//!
//! In fixed memory. A name or pair that is known costs no allocation; an unknown one takes the
//! place of the one used longest ago, and where that was not taken yet, its loss is counted.

use std::{fmt, fmt::Write as _, num::NonZeroUsize};

use lru::LruCache;

use crate::{
    kind::{Kind, Name, place},
    things::Use,
    transitions::{Pair, fingerprint},
};

/// Pairs of programs held between two parts.
const PAIRS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// First uses of which the event is known, between two looks.
const FRESH: usize = 12;
const KINDS: usize = Kind::ALL.len();

/// A name that this run used for the first time, as far as it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    pub kind: Kind,
    pub name: Box<str>,
    /// Id of the event.
    pub event: Box<str>,
    pub time_unix_ns: u64,
}

/// What a run adds to its agent's baseline, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub(crate) used: [Vec<(Box<str>, Use)>; KINDS],
    pub(crate) evicted: [u64; KINDS],
    pub(crate) followed: Vec<(Pair, u64)>,
    /// Pairs that had to go for others.
    pub(crate) pairs_evicted: u64,
}

impl Part {
    /// What was used of a kind, with when the run first did.
    pub fn used(&self, kind: Kind) -> impl Iterator<Item = (&str, u64)> {
        self.used[kind as usize].iter().map(|(name, how)| (&**name, how.first_unix_ns))
    }
}

/// One run.
pub struct Observed {
    used: [LruCache<Box<str>, Use>; KINDS],
    evicted: [u64; KINDS],
    fresh: Vec<Fresh>,
    executed_last: Option<u64>,
    followed: LruCache<Pair, u64>,
    pairs_evicted: u64,
    name: Name,
}

impl Default for Observed {
    fn default() -> Self {
        let room = |kind: Kind| NonZeroUsize::new(kind.kept_of_run()).unwrap_or(NonZeroUsize::MIN);
        Self {
            used: Kind::ALL.map(|kind| LruCache::new(room(kind))),
            evicted: [0; KINDS],
            fresh: Vec::new(),
            executed_last: None,
            followed: LruCache::new(PAIRS),
            pairs_evicted: 0,
            name: Name::default(),
        }
    }
}

impl Observed {
    /// A program was executed.
    pub fn executed(&mut self, path: &str, event: &str, time_unix_ns: u64) {
        self.used(Kind::Executable, format_args!("{path}"), event, time_unix_ns);
        let program = fingerprint(path);
        if let Some(before) = self.executed_last.replace(program) {
            let pair = (before, program);
            if let Some(times) = self.followed.get_mut(&pair) {
                *times += 1;
            } else if self.followed.push(pair, 1).is_some_and(|(_, times)| times > 0) {
                self.pairs_evicted += 1;
            }
        }
    }

    /// Something was used.
    pub fn used(&mut self, kind: Kind, name: fmt::Arguments<'_>, event: &str, time_unix_ns: u64) {
        let write = |text: &mut String| {
            let _never_fails = text.write_fmt(name);
        };
        self.named(kind, write, event, time_unix_ns);
    }

    /// A file was read or written. Its place is the first two folders above it, with numbers made
    /// equal, and of temporary folders the first alone: `read /usr/lib`. A relative or unknown path
    /// is `?`.
    pub fn touched(&mut self, path: &str, written: bool, event: &str, time_unix_ns: u64) {
        self.named(Kind::Place, |text| place(path, written, text), event, time_unix_ns);
    }

    fn named(&mut self, kind: Kind, write: impl FnOnce(&mut String), event: &str, time_unix_ns: u64) {
        let name = self.name.keep(write);
        let known = &mut self.used[kind as usize];
        if let Some(how) = known.get_mut(name) {
            how.times += 1;
            how.last_unix_ns = how.last_unix_ns.max(time_unix_ns);
            return;
        }
        let name: Box<str> = name.into();
        if self.fresh.len() < FRESH {
            self.fresh.push(Fresh { kind, name: name.clone(), event: event.into(), time_unix_ns });
        }
        let how = Use { first_unix_ns: time_unix_ns, last_unix_ns: time_unix_ns, times: 1 };
        if known.push(name, how).is_some_and(|(_, gone)| gone.times > 0) {
            self.evicted[kind as usize] += 1;
        }
    }

    /// The first of the first uses since the last call.
    pub fn take_fresh(&mut self) -> Vec<Fresh> {
        std::mem::take(&mut self.fresh)
    }

    /// What was used since the last call; the order of programs, where a window has closed, since
    /// it last had. The names stay known.
    pub fn take(&mut self, has_closed: bool) -> Part {
        let mut part = Part { evicted: std::mem::take(&mut self.evicted), ..Part::default() };
        for (used, taken) in self.used.iter_mut().zip(&mut part.used) {
            for (name, how) in used.iter_mut().filter(|(_, how)| how.times > 0) {
                taken.push((name.clone(), *how));
                how.times = 0;
            }
        }
        if has_closed {
            part.pairs_evicted = std::mem::take(&mut self.pairs_evicted);
            for (pair, times) in self.followed.iter_mut().filter(|(_, times)| **times > 0) {
                part.followed.push((*pair, std::mem::take(times)));
            }
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(part: &Part, kind: Kind) -> Vec<(&str, u64)> {
        let mut names: Vec<_> =
            part.used[kind as usize].iter().map(|(name, how)| (&**name, how.times)).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_part_has_what_was_used_since_the_one_before() {
        let mut run = Observed::default();
        for (n, path) in (1..).zip(["/bin/sh", "/bin/ls", "/bin/sh", "/bin/ls"]) {
            run.executed(path, &format!("e{n}"), n);
        }
        let fresh = run.take_fresh();
        let fresh: Vec<_> = fresh.iter().map(|fresh| (&*fresh.name, &*fresh.event)).collect();
        assert_eq!(fresh, [("/bin/sh", "e1"), ("/bin/ls", "e2")]);
        let part = run.take(true);
        assert_eq!(names(&part, Kind::Executable), [("/bin/ls", 2), ("/bin/sh", 2)]);
        let mut times: Vec<u64> = part.followed.iter().map(|(_, times)| *times).collect();
        times.sort_unstable();
        assert_eq!(times, [1, 2]);
        run.executed("/bin/ls", "e5", 5);
        assert_eq!(names(&run.take(true), Kind::Executable), [("/bin/ls", 1)]);
        assert_eq!((run.take(true), run.take_fresh()), (Part::default(), Vec::new()));
    }

    #[test]
    fn an_order_is_of_the_whole_window() {
        let mut run = Observed::default();
        let mut parts = Vec::new();
        for second in 0..3 {
            run.executed("/bin/sh", "e", second);
            run.executed("/bin/ls", "e", second);
            parts.push(run.take(second == 2));
        }
        let steps = parts.iter().map(|part| part.followed.iter().map(|(_, times)| times).sum());
        assert_eq!(steps.collect::<Vec<u64>>(), [0, 0, 5]);
    }

    #[test]
    fn pairs_beyond_the_bound_are_counted() {
        let mut run = Observed::default();
        for n in 0..=PAIRS.get() as u64 + 3 {
            run.executed(&format!("/bin/{n}"), "e", n);
        }
        let part = run.take(true);
        assert_eq!((part.followed.len(), part.pairs_evicted), (PAIRS.get(), 3));
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_its_losses_are_counted() {
        let mut run = Observed::default();
        for n in 0..1_000 {
            run.used(Kind::Address, format_args!("10.0.0.{n}:80"), "e", n);
        }
        let room = Kind::Address.kept_of_run();
        assert_eq!(run.take_fresh().len(), FRESH);
        let part = run.take(true);
        assert_eq!(
            (part.used[Kind::Address as usize].len(), part.evicted[Kind::Address as usize]),
            (room, 1_000 - room as u64)
        );
        // What was taken may go without a loss.
        run.used(Kind::Address, format_args!("[::1]:80"), "e", 1);
        assert_eq!(run.take(true).evicted, [0; KINDS]);
    }
}
