//! The collector as its users meet it: the real binary, real gRPC and HTTP over loopback.

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
mod harness;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod items;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod ingest;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod blocks;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod crash;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod api;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
mod commands;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod live;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod triage;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod token;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod keys;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod hostile;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
mod slow;

mod rebound;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod stranger;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod campaign;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod ways;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod config;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod mtls;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod pki;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod docs;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
mod disk;
