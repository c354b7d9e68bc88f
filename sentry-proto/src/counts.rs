//! The counters of a run on the wire.

use sentry_common::counter::Counts;

use crate::v1;

macro_rules! fields {
    (
        reported { $($(#[$reported_doc:meta])+ $reported:ident,)+ }
        kept { $($(#[$kept_doc:meta])+ $kept:ident,)+ }
    ) => {
        impl v1::Run {
            /// What was counted; zero for what is not reported.
            #[must_use]
            pub fn counts(&self) -> Counts {
                Counts { $($reported: self.$reported,)+ ..Counts::default() }
            }

            /// Puts the reported ones into their fields.
            pub fn set_counts(&mut self, counts: &Counts) {
                $(self.$reported = counts.$reported;)+
            }
        }
    };
}
sentry_common::counters!(fields);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_out_of_the_wire() {
        let counts = Counts { processes_born: 1, renames: 2, untold: 3, ..Counts::default() };
        let mut run = v1::Run::default();
        run.set_counts(&counts);
        assert_eq!(run, v1::Run { processes_born: 1, renames: 2, ..v1::Run::default() });
        assert_eq!(run.counts(), Counts { untold: 0, ..counts });
    }
}
