//! The calls that can be made to fail.

macro_rules! calls {
    ($($name:ident),+ $(,)?) => {
        /// A call of the kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Call {
            $($name),+
        }

        impl Call {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name of the variant.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),+
                }
            }
        }
    };
}

calls! {
    // Programs and their tables.
    Arm, Detached, Skipped, SetRun, StopRun, Run, AddCgroup, Cgroup, LiveCgroups, Members, AllMembers,
    AddMember, RemoveMember, Process, Flows, SeedPass, Seed, Select, Spares, SetSpare,
    // Control groups.
    Own, Create, Open, Gone, NamesOfRuns, Procs, Add, Events, Visit, CpuTime, Remove, Freeze, Thaw,
    Kill, SetMark, Mark, ChangedUnixS,
    // Processes.
    Hold, IsAlive, IsStopped, IsGone, Signal, MovedBytes, Holds,
}

/// Which calls of one kind fail, counted from the request on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The one after this many others.
    Once { after: u64 },
    /// All.
    Always,
}
