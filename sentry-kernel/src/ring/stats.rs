//! What the ring thread has done; read by the status endpoint and the metrics.

use std::sync::atomic::AtomicU64;

use sentry_common::abi::ring;
use sentry_service::metrics::{By, Label};

/// Counters of the ring thread.
#[derive(Debug, Default)]
pub struct RingStats {
    pub records: AtomicU64,
    /// Of these, how many had no header.
    pub unreadable: AtomicU64,
    /// Wake-ups by a record; those by the time are not counted.
    pub wakeups: AtomicU64,
    /// The others, by what they are of.
    pub classes: By<Class>,
    /// Of each ring.
    pub fill: [Fill; ring::COUNT],
}

/// How full a ring was: what the reader took out of it, since it was last empty. The kernel does
/// not say; what came in while the reader was at it counts as well.
#[derive(Debug, Default)]
pub struct Fill {
    /// The last time, bytes.
    pub now: AtomicU64,
    /// At most, bytes.
    pub most: AtomicU64,
}

/// What a record is of: the ranges of the numbers of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Process,
    Cgroup,
    Network,
    File,
    OtherProcess,
    Kernel,
    /// Of a number that no range has.
    Unknown,
}

/// Numbers in each range.
const RANGE: u16 = 32;

impl Class {
    /// Every class, in the order of the ranges.
    pub const ALL: [Self; 7] = [
        Self::Process,
        Self::Cgroup,
        Self::Network,
        Self::File,
        Self::OtherProcess,
        Self::Kernel,
        Self::Unknown,
    ];

    /// That of the kind with this number.
    #[must_use]
    pub fn of(kind: u16) -> Self {
        Self::ALL.get(usize::from(kind / RANGE)).copied().unwrap_or(Self::Unknown)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Cgroup => "cgroup",
            Self::Network => "network",
            Self::File => "file",
            Self::OtherProcess => "other_process",
            Self::Kernel => "kernel",
            Self::Unknown => "unknown",
        }
    }
}

impl Label for Class {
    fn names() -> Vec<&'static str> {
        Self::ALL.map(Self::name).to_vec()
    }

    fn index(&self) -> usize {
        *self as usize
    }
}

#[cfg(test)]
mod tests {
    use sentry_common::fact::kind;

    use super::*;

    #[test]
    fn a_class_is_the_range_of_a_number() {
        let expected = [
            (kind::FORK, Class::Process),
            (kind::NAMESPACES, Class::Process),
            (kind::CGROUP_MOVE, Class::Cgroup),
            (kind::CONNECT, Class::Network),
            (kind::OPEN, Class::File),
            (kind::SIGNAL, Class::OtherProcess),
            (kind::MODULE, Class::Kernel),
            (u16::MAX, Class::Unknown),
        ];
        for (kind, class) in expected {
            assert_eq!(Class::of(kind), class, "{kind}");
        }
    }
}
