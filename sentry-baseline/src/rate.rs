//! What is counted in each window: the kernel's counters, so that none is ever missing.

/// Declares the rates: what each is called, and the least spread that is assumed of it in a window.
macro_rules! rates {
    ($($(#[$about:meta])* $rate:ident: $name:literal, floor $floor:literal;)+) => {
        /// Something that is counted in every window.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rate {
            $($(#[$about])* $rate,)+
        }

        impl Rate {
            /// Every rate, in the order of [`Counts`].
            pub const ALL: [Self; [$(Self::$rate),+].len()] = [$(Self::$rate),+];

            /// e.g. `execs`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$rate => $name,)+
                }
            }

            /// The least spread: fewer than a handful are no departure, however steady the agent
            /// is.
            #[must_use]
            pub fn floor(self) -> u64 {
                match self {
                    $(Self::$rate => $floor,)+
                }
            }
        }
    };
}

rates! {
    /// Processes born.
    Forks: "forks", floor 8;
    /// Programs executed.
    Execs: "execs", floor 8;
    /// Files opened.
    Opens: "opens", floor 100;
    /// Files opened to be written.
    Writes: "writes", floor 30;
    /// Files and directories removed.
    Unlinks: "unlinks", floor 10;
    /// Files and directories renamed.
    Renames: "renames", floor 10;
    /// Sockets connected.
    Connects: "connects", floor 10;
    /// Datagrams sent to a destination of their own.
    Sends: "sends", floor 20;
}

/// A count for each of [`Rate::ALL`].
pub type Counts = [u64; Rate::ALL.len()];
