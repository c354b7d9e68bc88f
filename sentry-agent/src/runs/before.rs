//! A run as an earlier sensor life left it.

use sentry_common::counter::Counts;
use sentry_detect::run::{Account, ProcessKey, RingBooks, State};
use sentry_proto::v1;

use super::{executed::ExecutedFile, flows::Flow};
use crate::digest::{Content, Unknown};

/// What an earlier sensor life left of a run.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub(super) started_unix_ns: u64,
    pub(super) command_truncated: bool,
    pub(super) container: Option<v1::Container>,
    pub(super) account: Account,
    pub(super) flows: Vec<Flow>,
    /// And the number of executions that are not listed.
    pub(super) executed: (Vec<ExecutedFile>, u64),
}

impl From<v1::Run> for Before {
    fn from(run: v1::Run) -> Self {
        Self {
            started_unix_ns: run.started_unix_ns,
            command_truncated: run.command_truncated,
            account: account(&run),
            container: run.container,
            flows: run.flows.into_iter().map(Flow::from).collect(),
            executed: (run.executed.into_iter().map(ExecutedFile::from).collect(), run.executed_unlisted),
        }
    }
}

fn account(run: &v1::Run) -> Account {
    let books = |books: &Option<v1::RingBooks>| {
        let v1::RingBooks { generated, delivered, lost, throttled } = books.unwrap_or_default();
        RingBooks { generated, delivered, lost, throttled }
    };
    Account {
        state: match run.state() {
            v1::RunState::Unspecified | v1::RunState::Running => State::Running,
            v1::RunState::Frozen => State::Frozen,
            v1::RunState::Ended => State::Ended,
        },
        ended_unix_ns: run.ended_unix_ns,
        rings: [books(&run.critical), books(&run.bulk)],
        counts: Counts { untold: run.untold, ..run.counts() },
        findings: run.findings,
        interruptions: run.interruptions,
        skipped: run.skipped,
        counted_boot_ns: run.counted_boot_ns,
        stopped: run.stopped.iter().map(|key| ProcessKey::from(*key)).collect(),
    }
}

impl From<v1::Flow> for Flow {
    fn from(flow: v1::Flow) -> Self {
        let v1::Flow { remote, packets_out, bytes_out, packets_in, bytes_in } = flow;
        // What cannot be read goes to the sum of the rest.
        Self {
            remote: remote.and_then(|remote| remote.try_into().ok()),
            packets_out,
            bytes_out,
            packets_in,
            bytes_in,
        }
    }
}

impl From<v1::Executed> for ExecutedFile {
    fn from(executed: v1::Executed) -> Self {
        use v1::executed::Unknown as Wire;
        let content = match <[u8; 32]>::try_from(executed.sha256.as_slice()) {
            Ok(sha256) => Ok(Content { sha256, size_bytes: executed.size_bytes }),
            Err(_no_digest) => Err(match executed.unknown() {
                Wire::Unspecified => None,
                Wire::Gone => Some(Unknown::Gone),
                Wire::Changed => Some(Unknown::Changed),
                Wire::FileSystem => Some(Unknown::FileSystem),
                Wire::TooLarge => Some(Unknown::TooLarge),
                Wire::Unreadable => Some(Unknown::Unreadable),
                Wire::NoObject => Some(Unknown::NoObject),
                Wire::Unconfirmed => Some(Unknown::Unconfirmed),
            }),
        };
        let file = executed.file.and_then(|file| file.try_into().ok());
        Self { file, content, executions: executed.executions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_life_left_is_written_as_it_was_read() {
        let path = v1::Path { text: "/a".into(), source: v1::path::Source::Kernel.into(), truncated: true };
        let file = v1::File { path: Some(path), key: None };
        let unknown = |unknown: i32| v1::Executed {
            file: Some(file.clone()),
            unknown,
            executions: 3,
            ..v1::Executed::default()
        };
        let mut executed: Vec<_> = (0..)
            .map_while(|number| v1::executed::Unknown::try_from(number).ok().map(|_| unknown(number)))
            .collect();
        executed.push(v1::Executed { sha256: vec![7; 32], size_bytes: 9, ..unknown(0) });
        let remote = v1::Endpoint { address: vec![192, 0, 2, 1], port: 443, protocol: 6 };
        let flow = |remote| v1::Flow { remote, packets_out: 1, bytes_out: 2, packets_in: 3, bytes_in: 4 };
        let flows = vec![flow(Some(remote)), flow(None)];
        let run = v1::Run { executed, flows, executed_unlisted: 5, ..v1::Run::default() };
        let before = Before::from(run.clone());
        let written = v1::Run {
            executed: before.executed.0.iter().map(v1::Executed::from).collect(),
            executed_unlisted: before.executed.1,
            flows: before.flows.into_iter().map(v1::Flow::from).collect(),
            ..v1::Run::default()
        };
        assert_eq!(written, run);
    }
}
