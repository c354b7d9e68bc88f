//! The sensor: the modules stand in the order the data flows.
//!
//! ```text
//! bpf (hooks) → ring → decode → enrich → detect → enforce → ledger → journal → export
//! ```

pub mod config;

pub mod cgroup;

pub mod container;

pub mod bpf;

pub mod select;

pub mod runs;

pub mod ring;

pub mod decode;

pub mod enrich;

pub mod digest;

pub mod enforce;

pub mod ledger;

pub mod journal;

pub mod export;

pub mod stage;

pub mod control;

pub mod app;

mod beneath;

/// An error and its causes in one line, for a person.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their source in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The running executable, also where its file was replaced by an upgrade meanwhile.
pub const OWN_IMAGE: &str = "/proc/self/exe";
