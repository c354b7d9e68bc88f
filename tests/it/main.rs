//! Agent Sentry as its users meet it: the real programs on this kernel. One behaviour per test.
#![expect(unsafe_code, reason = "what a child does between fork and exec")]

mod acts;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod calls;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod files;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod isolation;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod escape;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod passthrough;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod trees;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod again;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod crowd;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod access;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod reload;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod runaway;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod baseline;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod ordinary_work;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod own_rules;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod rules_files;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod rules_work;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod control;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod by_hand;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod questions;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod texts;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod export;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod top;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tagged;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod faults;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod durability;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
mod take_up;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod state_dir;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod power_cut;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
mod feed;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod agree;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod metrics;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod dashboard;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod replay;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod pki;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod scenarios;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod select;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod canary;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod digest;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod races;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod reach;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod network;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod soak;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod cost;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod verifier;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod left_out;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod packages;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod install;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
mod systemd;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod deploy;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod container;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod containers;

/// `program` of the workloads with its arguments, as one command line.
fn workload(program: &str, args: &[&str]) -> Vec<std::ffi::OsString> {
    let mut line = vec![sentry_tests::programs::path(program).into_os_string()];
    line.extend(args.iter().map(Into::into));
    line
}
