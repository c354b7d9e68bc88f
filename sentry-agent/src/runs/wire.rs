//! A run as others see it: the edge between the sensor's own types and those of the wire.

use std::sync::PoisonError;

use sentry_common::abi::ring;
use sentry_detect::run::{Mode, RingBooks, State};
use sentry_proto::v1;

use super::{executed::ExecutedFile, flows::Flow, run::Run};
use crate::digest::Unknown;

/// Where a run stands, on the wire.
#[must_use]
pub fn state(state: State) -> v1::RunState {
    match state {
        State::Running => v1::RunState::Running,
        State::Frozen => v1::RunState::Frozen,
        State::Ended => v1::RunState::Ended,
    }
}

impl Run {
    /// The run as the feed and the control socket show it.
    #[must_use]
    pub fn wire(&self) -> v1::Run {
        let (account, flows, (executed, executed_unlisted)) = self.sum();
        let rings = &account.rings;
        let books = |ring: usize| {
            let RingBooks { generated, delivered, lost, throttled } = rings[ring];
            v1::RingBooks { generated, delivered, lost, throttled }
        };
        let mut run = v1::Run {
            interruptions: account.interruptions,
            untold: account.counts.untold,
            skipped: account.skipped,
            id: self.id.0.clone(),
            agent: Some(v1::Agent { id: self.agent.id.clone(), name: self.agent.name.clone() }),
            state: state(account.state).into(),
            mode: match self.mode() {
                Mode::Observe => v1::Mode::Observe,
                Mode::Enforce => v1::Mode::Enforce,
            }
            .into(),
            cgroup_path: format!("/{}", self.cgroup.below().display()),
            cgroup_id: self.cgroup.id(),
            started_unix_ns: self.started_unix_ns,
            ended_unix_ns: account.ended_unix_ns,
            critical: Some(books(ring::CRITICAL)),
            bulk: Some(books(ring::BULK)),
            findings: account.findings,
            uid: self.uid,
            command: self.command.clone(),
            selected_by: self.selected_by.clone(),
            command_truncated: self.command_truncated,
            end_unseen: false,
            flows: flows.into_iter().map(v1::Flow::from).collect(),
            executed: executed.iter().map(v1::Executed::from).collect(),
            executed_unlisted,
            counted_boot_ns: account.counted_boot_ns,
            stopped: account.stopped.iter().map(|key| (*key).into()).collect(),
            container: self.container.clone(),
            ..v1::Run::default()
        };
        run.set_counts(&account.counts);
        run
    }

    /// Hands the run as it is now to `submit`, unless nothing has changed since that was last done.
    /// One at a time, so that the newest state comes last.
    pub fn report(&self, submit: impl FnOnce(v1::Run)) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.wire();
        if reported.as_ref() != Some(&now) {
            *reported = Some(now.clone());
            submit(now);
        }
    }
}

impl From<Flow> for v1::Flow {
    fn from(flow: Flow) -> Self {
        let Flow { remote, packets_out, bytes_out, packets_in, bytes_in } = flow;
        Self { remote: remote.map(v1::Endpoint::from), packets_out, bytes_out, packets_in, bytes_in }
    }
}

impl From<&ExecutedFile> for v1::Executed {
    fn from(executed: &ExecutedFile) -> Self {
        use v1::executed::Unknown as Wire;
        let ExecutedFile { file, content, executions } = executed;
        let (sha256, size_bytes, unknown) = match content {
            Ok(content) => (content.sha256.to_vec(), content.size_bytes, Wire::Unspecified),
            Err(None) => (Vec::new(), 0, Wire::Unspecified),
            Err(Some(why)) => (
                Vec::new(),
                0,
                match why {
                    Unknown::Gone => Wire::Gone,
                    Unknown::Changed => Wire::Changed,
                    Unknown::FileSystem => Wire::FileSystem,
                    Unknown::TooLarge => Wire::TooLarge,
                    Unknown::Unreadable => Wire::Unreadable,
                    Unknown::NoObject => Wire::NoObject,
                    Unknown::Unconfirmed => Wire::Unconfirmed,
                },
            ),
        };
        let (file, executions) = (file.as_ref().map(v1::File::from), *executions);
        Self { file, sha256, size_bytes, unknown: unknown.into(), executions }
    }
}
