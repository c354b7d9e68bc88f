//! Domain → wire. Infallible.

use std::net::IpAddr;

use sentry_detect::{decision, event as domain, finding, run, runaway};

use crate::v1;

impl From<&domain::Event> for v1::Event {
    fn from(event: &domain::Event) -> Self {
        Self {
            id: event.id.clone(),
            run: event.run.0.clone(),
            agent: Some((&*event.agent).into()),
            ring: v1::event::Ring::from(event.ring).into(),
            sequence: event.sequence,
            time_unix_ns: event.time_unix_ns,
            process: Some((&*event.process).into()),
            kind: Some((&event.kind).into()),
        }
    }
}

impl From<&run::AgentIdentity> for v1::Agent {
    fn from(agent: &run::AgentIdentity) -> Self {
        Self { id: agent.id.clone(), name: agent.name.clone() }
    }
}

impl From<domain::Ring> for v1::event::Ring {
    fn from(ring: domain::Ring) -> Self {
        match ring {
            domain::Ring::Critical => Self::Critical,
            domain::Ring::Bulk => Self::Bulk,
        }
    }
}

impl From<run::ProcessKey> for v1::ProcessKey {
    fn from(key: run::ProcessKey) -> Self {
        Self { tgid: key.tgid, start_boot_ns: key.start_boot_ns }
    }
}

impl From<&domain::Path> for v1::Path {
    fn from(path: &domain::Path) -> Self {
        let source = match path.source {
            domain::PathSource::Kernel => v1::path::Source::Kernel,
            domain::PathSource::Argument => v1::path::Source::Argument,
        };
        Self { text: path.text.clone(), source: source.into(), truncated: path.truncated }
    }
}

impl From<domain::FileKey> for v1::FileKey {
    fn from(key: domain::FileKey) -> Self {
        let domain::FileKey { device_major, device_minor, inode, generation, links, mode } = key;
        Self { device_major, device_minor, inode, generation, links, mode }
    }
}

impl From<&domain::File> for v1::File {
    fn from(file: &domain::File) -> Self {
        Self { path: Some((&file.path).into()), key: file.key.map(Into::into) }
    }
}

impl From<&domain::Argv> for v1::Argv {
    fn from(argv: &domain::Argv) -> Self {
        Self {
            arguments: argv.arguments.clone(),
            truncated: argv.truncated,
            full_length_bytes: argv.full_length_bytes,
        }
    }
}

impl From<&domain::Process> for v1::Process {
    fn from(process: &domain::Process) -> Self {
        Self {
            key: Some(process.key.into()),
            tid: process.tid,
            parent: process.parent.map(Into::into),
            executable: process.executable.as_ref().map(Into::into),
            argv: process.argv.as_ref().map(Into::into),
            cwd: process.cwd.as_ref().map(Into::into),
            uid: process.uid,
            gid: process.gid,
            euid: process.euid,
            pre_existing: process.pre_existing,
        }
    }
}

impl From<domain::Endpoint> for v1::Endpoint {
    fn from(endpoint: domain::Endpoint) -> Self {
        let address = match endpoint.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        Self { address, port: endpoint.port.into(), protocol: endpoint.protocol.into() }
    }
}

impl From<domain::OpenIntent> for v1::OpenIntent {
    fn from(intent: domain::OpenIntent) -> Self {
        let domain::OpenIntent { read, write, truncate, append, path_only, raw } = intent;
        Self { read, write, truncate, append, path_only, raw }
    }
}

impl From<&domain::EventKind> for v1::event::Kind {
    #[expect(clippy::too_many_lines, reason = "a table: a row for each kind")]
    fn from(kind: &domain::EventKind) -> Self {
        match kind {
            domain::EventKind::Fork { child } => Self::Fork(v1::Fork { child: Some((*child).into()) }),
            domain::EventKind::Exec { requested, script, by_thread } => Self::Exec(v1::Exec {
                requested: requested.as_ref().map(Into::into),
                script: script.as_ref().map(Into::into),
                by_thread: *by_thread,
            }),
            domain::EventKind::ExecFailed { path, error } => {
                Self::ExecFailed(v1::ExecFailed { path: Some(path.into()), error: *error })
            }
            domain::EventKind::Exit { code, signal } => Self::Exit(v1::Exit { code: *code, signal: *signal }),
            domain::EventKind::Seed => Self::Seed(v1::Seed {}),
            domain::EventKind::StartedOutside { asked } => {
                Self::StartedOutside(v1::StartedOutside { asked: Some((*asked).into()) })
            }
            domain::EventKind::CgroupMove { cgroup, path, in_run, member_before, at_birth } => {
                Self::CgroupMove(v1::CgroupMove {
                    cgroup: *cgroup,
                    path: path.clone(),
                    in_run: *in_run,
                    member_before: *member_before,
                    at_birth: *at_birth,
                })
            }
            domain::EventKind::CgroupMake { cgroup, path } => {
                Self::CgroupMake(v1::CgroupMake { cgroup: *cgroup, path: path.clone() })
            }
            domain::EventKind::CgroupRemove { cgroup, path } => {
                Self::CgroupRemove(v1::CgroupRemove { cgroup: *cgroup, path: path.clone() })
            }
            domain::EventKind::Completeness { missing, lost, throttled } => {
                Self::Completeness(v1::Completeness { missing: *missing, lost: *lost, throttled: *throttled })
            }
            domain::EventKind::Connect { destination } => {
                Self::Connect(v1::Connect { destination: Some((*destination).into()) })
            }
            domain::EventKind::Send { destination } => {
                Self::Send(v1::Send { destination: Some((*destination).into()) })
            }
            domain::EventKind::Open { file, intent, created, attempt } => Self::Open(v1::Open {
                file: Some(file.into()),
                intent: Some((*intent).into()),
                created: *created,
                attempt: *attempt,
            }),
            domain::EventKind::Unlink { file, attempt } => {
                Self::Unlink(v1::Unlink { file: Some(file.into()), attempt: *attempt })
            }
            domain::EventKind::Rename { file, new_path, attempt } => Self::Rename(v1::Rename {
                file: Some(file.into()),
                new_path: Some(new_path.into()),
                attempt: *attempt,
            }),
            domain::EventKind::File { act, file, new_path, detail, text, attempt, error } => {
                Self::File(v1::FileAct {
                    act: act.name().to_owned(),
                    file: file.as_ref().map(Into::into),
                    new_path: new_path.as_ref().map(Into::into),
                    detail: *detail,
                    text: text.clone(),
                    attempt: *attempt,
                    error: *error,
                })
            }
            domain::EventKind::Socket { act, family, socket_type, local, remote, cookie, error } => {
                Self::Socket(v1::SocketAct {
                    act: act.name().to_owned(),
                    family: (*family).into(),
                    socket_type: (*socket_type).into(),
                    local: local.map(Into::into),
                    remote: remote.map(Into::into),
                    cookie: *cookie,
                    error: *error,
                })
            }
            domain::EventKind::Unix {
                name,
                datagram,
                peer,
                peer_uid,
                peer_in_run,
                peer_executable,
                service,
                error,
            } => Self::Unix(v1::UnixPeer {
                name: name.clone(),
                datagram: *datagram,
                peer: peer.map(Into::into),
                peer_uid: *peer_uid,
                peer_in_run: *peer_in_run,
                peer_executable: peer_executable.clone(),
                service: service.clone(),
                error: *error,
            }),
            domain::EventKind::Dns { server, answer, name, record_type, code, answers } => {
                Self::Dns(v1::Dns {
                    server: Some((*server).into()),
                    answer: *answer,
                    name: name.clone(),
                    record_type: record_type.clone(),
                    code: code.clone(),
                    answers: answers.clone(),
                })
            }
            domain::EventKind::TlsHello { destination, server_name } => Self::TlsHello(v1::TlsHello {
                destination: Some((*destination).into()),
                server_name: server_name.clone(),
            }),
            domain::EventKind::Target { act, target, code, target_in_run, attempt, error } => {
                Self::Target(v1::TargetAct {
                    act: act.name().to_owned(),
                    target: Some((*target).into()),
                    code: *code,
                    target_in_run: *target_in_run,
                    attempt: *attempt,
                    error: *error,
                })
            }
            domain::EventKind::Kernel { act, code, detail, path, text, error } => {
                Self::Kernel(v1::KernelAct {
                    act: act.name().to_owned(),
                    code: *code,
                    detail: *detail,
                    path: path.as_ref().map(Into::into),
                    text: text.clone(),
                    error: *error,
                })
            }
        }
    }
}

impl From<runaway::Severity> for v1::Severity {
    fn from(severity: runaway::Severity) -> Self {
        match severity {
            runaway::Severity::Informational => Self::Informational,
            runaway::Severity::Low => Self::Low,
            runaway::Severity::Medium => Self::Medium,
            runaway::Severity::High => Self::High,
            runaway::Severity::Critical => Self::Critical,
        }
    }
}

impl From<&runaway::Term> for v1::Term {
    fn from(term: &runaway::Term) -> Self {
        Self { name: term.name.clone(), value: term.value, unit: term.unit.clone(), limit: term.limit }
    }
}

impl From<&finding::Finding> for v1::Finding {
    fn from(finding: &finding::Finding) -> Self {
        Self {
            id: finding.id.clone(),
            run: finding.run.0.clone(),
            agent: Some((&finding.agent).into()),
            time_unix_ns: finding.time_unix_ns,
            since_unix_ns: finding.since_unix_ns,
            rule: finding.signal.rule.as_str().to_owned(),
            confidence: finding.signal.confidence,
            severity: v1::Severity::from(finding.signal.severity).into(),
            summary: finding.signal.summary.clone(),
            arithmetic: finding.signal.arithmetic.iter().map(Into::into).collect(),
            evidence: finding.evidence.clone(),
            tags: finding.tags.clone(),
            complete: finding.complete,
        }
    }
}

impl From<decision::Action> for v1::Action {
    fn from(action: decision::Action) -> Self {
        match action {
            decision::Action::Observe => Self::Observe,
            decision::Action::Freeze => Self::Freeze,
            decision::Action::Thaw => Self::Thaw,
            decision::Action::Kill => Self::Kill,
            decision::Action::Restart => Self::Restart,
        }
    }
}

impl From<run::Mode> for v1::Mode {
    fn from(mode: run::Mode) -> Self {
        match mode {
            run::Mode::Observe => Self::Observe,
            run::Mode::Enforce => Self::Enforce,
        }
    }
}

impl From<&decision::Decision> for v1::Decision {
    fn from(decision: &decision::Decision) -> Self {
        Self {
            id: decision.id.clone(),
            run: decision.run.0.clone(),
            action: v1::Action::from(decision.action).into(),
            mode: v1::Mode::from(decision.mode).into(),
            finding: decision.finding.clone(),
            origin: decision.origin.clone(),
            reason: decision.reason.clone(),
            time_unix_ns: decision.time_unix_ns,
        }
    }
}

impl From<&decision::Outcome> for v1::Outcome {
    fn from(outcome: &decision::Outcome) -> Self {
        use v1::outcome::Result;
        let (result, why) = match &outcome.result {
            decision::OutcomeKind::Applied => (Result::Applied, ""),
            decision::OutcomeKind::WouldApply => (Result::WouldApply, ""),
            decision::OutcomeKind::Refused { why } => (Result::Refused, why.as_str()),
            decision::OutcomeKind::Failed { why } => (Result::Failed, why.as_str()),
        };
        Self {
            decision: outcome.decision.clone(),
            run: outcome.run.0.clone(),
            action: v1::Action::from(outcome.action).into(),
            result: result.into(),
            why: why.to_owned(),
            time_unix_ns: outcome.time_unix_ns,
            took_ns: outcome.took_ns,
            processes: outcome.processes,
            survivors: outcome.survivors,
        }
    }
}
