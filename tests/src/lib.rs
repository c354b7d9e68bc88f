//! Harness of the integration tests: the real `sentry` and `sentry-collector` as child processes,
//! in scratch directories and with names of their own, so that two runs of the suite do not meet.
//!
//! - `programs`: where the binaries are, and how to run one to its end.
//! - `sensor`, `supervised`, `collector`, `proxy`, `http`: what is tested, running, and what stands
//!   between; `openmetrics`: a strict reader of what they count; `pki`: certificates of one test.
//! - `browser`: a real one, for the collector's dashboard.
//! - `story`: what a run did, as short lines that a test can compare.
//! - `cgroup`, `procs`, `holdings`: what the kernel says, read without the product's own code;
//!   `links`, `tables`: what a sensor holds in it, changed behind its back.
//! - `nspawn`: a machine with systemd for a few seconds; `packages`: what is installed in it.
//! - `manifests`: what is deployed to Kubernetes, as objects; `podman`, `containerd`: containers of
//!   one test.
//! - `wait`, `scratch`, `capability`: conditions with deadlines, places, what this kernel can do.
//! - `scenario`: what an agent does and what must be seen of it, as data.
//! - `work`: shared by the workload programs in `src/bin`; `scene`: the acts of one of them.
//!
//! Environment: `AGENTSENTRY_BIN_DIR` (where the programs are, if not beside the test),
//! `AGENTSENTRY_PROMISED` (capabilities that must not be missing, by comma), `AGENTSENTRY_SLOW=1`
//! (an emulated machine: fewer rounds, longer waits), `AGENTSENTRY_COVERAGE` (a file that the
//! verdicts of the scenarios are appended to), `AGENTSENTRY_SCENARIO` (only those whose id starts
//! so, by comma), `AGENTSENTRY_LONG=1` (all rounds of the acceptance, outages of full length).
#![expect(unsafe_code, reason = "system calls that nobody wraps, and what agents do by them")]

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod wait;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod scratch;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod programs;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod guest;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod packages;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod manifests;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod podman;

#[expect(clippy::panic, reason = "a failed test may panic")]
pub mod capability;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod procs;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod cgroup;

#[expect(clippy::panic, reason = "a failed test may panic")]
pub mod openmetrics;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod sensor;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod supervised;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod http;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod collector;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod browser;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod pki;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod proxy;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod holdings;

#[expect(clippy::panic, reason = "a failed test may panic")]
pub mod story;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod scenario;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod nspawn;

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub mod containerd;

pub mod work;

pub mod scene;

#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed test may panic")]
pub mod links;

/// System calls by number, as a workload makes them.
pub mod door;

#[expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]
pub mod tables;
