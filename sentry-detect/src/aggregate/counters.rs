//! Counter readings of one run, cumulative since its start.

use sentry_common::counter::Counts;
use serde::{Deserialize, Serialize};

use crate::completeness::{Books, Record};

macro_rules! readings {
    (
        reported { $($(#[$reported_doc:meta])+ $reported:ident,)+ }
        kept { $($(#[$kept_doc:meta])+ $kept:ident,)+ }
    ) => {
        /// One reading: the kernel's counter block and the cgroup's CPU time. All cumulative.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Counters {
            $($(#[$reported_doc])+ pub $reported: u64,)+
            $($(#[$kept_doc])+ pub $kept: u64,)+
            /// `usage_usec` of the cgroup's `cpu.stat`. A member that left the cgroup is counted up
            /// to then: what it burns outside is not in it, while its births and acts are in the
            /// other counts.
            pub cpu_usec: u64,
            /// Time in which a ready task had to wait for a CPU: `some` of `cpu.pressure`. Absent
            /// on kernels without pressure accounting. Shown with a finding; no rule counts it.
            pub cpu_wait_usec: u64,
            /// Bytes that members read and wrote by system calls, also from and to the page cache.
            /// What was not read yet, or may not be read, is missing.
            pub moved_bytes: u64,
            pub lost_critical: u64,
            pub lost_bulk: u64,
        }

        impl Counters {
            /// What was added since an earlier reading. A counter that went back counts as
            /// unchanged.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self {
                    $($reported: self.$reported.saturating_sub(earlier.$reported),)+
                    $($kept: self.$kept.saturating_sub(earlier.$kept),)+
                    cpu_usec: self.cpu_usec.saturating_sub(earlier.cpu_usec),
                    cpu_wait_usec: self.cpu_wait_usec.saturating_sub(earlier.cpu_wait_usec),
                    moved_bytes: self.moved_bytes.saturating_sub(earlier.moved_bytes),
                    lost_critical: self.lost_critical.saturating_sub(earlier.lost_critical),
                    lost_bulk: self.lost_bulk.saturating_sub(earlier.lost_bulk),
                }
            }
        }

        impl From<Counts> for Counters {
            fn from(counts: Counts) -> Self {
                Self {
                    $($reported: counts.$reported,)+
                    $($kept: counts.$kept,)+
                    ..Self::default()
                }
            }
        }
    };
}
sentry_common::counters!(readings);

impl Counters {
    /// Opens that did not ask to write.
    #[must_use]
    pub fn opens_for_reading(&self) -> u64 {
        self.opens.saturating_sub(self.opens_for_write)
    }

    /// Whether the record of the run is complete, by what the counters hold of that.
    #[must_use]
    pub fn complete(&self) -> bool {
        let books = |lost| Books { lost, ..Books::default() };
        Record { critical: books(self.lost_critical), bulk: books(self.lost_bulk), ..Record::default() }
            .is_complete()
    }
}
