//! What is looked at where the trust in an agent is reckoned: how its runs stand in the system, and
//! how bad its findings are.

/// Declares what is looked at: how it is called, what it costs of a hundred, and in words.
macro_rules! posture {
    ($($(#[$about:meta])* $fact:ident: $name:literal, costs $cost:literal, $words:literal;)+) => {
        /// Something about how a run stood in the system that makes its agent more dangerous.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Posture {
            $($(#[$about])* $fact,)+
        }

        impl Posture {
            pub const ALL: [Self; [$(Self::$fact),+].len()] = [$(Self::$fact),+];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fact => $name,)+
                }
            }

            /// Of the hundred points of a posture without fault.
            #[must_use]
            pub fn costs(self) -> u32 {
                match self {
                    $(Self::$fact => $cost,)+
                }
            }

            /// For a person.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$fact => $words,)+
                }
            }
        }
    };
}

posture! {
    Root: "root", costs 25, "executed programs as root";
    NoMemoryLimit: "no-memory-limit", costs 10, "had no memory limit";
    NoProcessLimit: "no-process-limit", costs 10, "had no limit on processes";
    Listens: "listens", costs 10, "listened for other hosts";
    SecretRead: "secret-read", costs 15, "opened files with keys, credentials or tokens";
    MetadataService: "metadata-service", costs 15, "connected to a cloud's metadata service";
    LeftControl: "left-control", costs 25, "reached a service that acts for it outside of its run";
}

/// What the posture does not look at yet.
pub const NOT_LOOKED_AT: &[&str] = &[
    "capabilities of processes that are not root's",
    "namespaces",
    "places that it may write to",
    "credentials in its environment",
    "MCP servers and tools that it has been given",
    "limits on CPU time",
];

/// How bad a finding was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingSort {
    Low,
    Medium,
    High,
}

pub const FINDING_SORTS: usize = 3;
