//! The real `sentry` binary against a control socket whose answers the test writes: what `run` does
//! around a command, what the other commands print, and with which codes they end. No root, no BPF.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed test may panic")]

mod answers;

mod complete;

mod config;

mod query;

mod replay;

mod rules;
mod run;

mod server;
