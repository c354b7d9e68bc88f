//! `metadata-service`: a connection to where a cloud hands the credentials of the machine, the task
//! or the pod to whoever asks from inside.
//!
//! Judged event by event, and a finding at the next reading; another one after the cool-down, for a
//! connection that came later. Memory is fixed: the first connection since the last reading, its
//! text cut to `LONGEST` bytes.
//!
//! Programs that use a cloud's library ask there for good reasons, so that it is recorded and never
//! leads to an act. Limit: whether credentials were handed out is in what was sent, which is not
//! read; a name that leads to another address is not known here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    contract::{About, Rule, Seen, Urgency, Verdict},
    limits::NoLimits,
    noticed::{LONGEST, Noticed, Weight},
    past::Past,
};
use crate::{
    event::EventKind,
    runaway::{RuleId, Severity},
};

/// It has no thresholds.
pub(super) type Limits = NoLimits;

pub const METADATA_SERVICE: RuleId = RuleId::new("metadata-service");
const WEIGHT: Weight = Weight {
    severity: Severity::Medium,
    confidence: 0.6,
    // Cloud Instance Metadata API.
    tags: &["attack:T1552.005", "owasp-asi:ASI03"],
};
/// IANA's number. Google's service is a name server too, over UDP.
const TCP: u16 = 6;
const DNS: u16 = 53;

/// Where a service answers, and whose it is.
const SERVICES: &[(IpAddr, &str)] = &[
    (v4(169, 254, 169, 254), "the machine's metadata"),
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254]), "the machine's metadata, AWS"),
    (v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254]), "the machine's metadata, Google"),
    (v4(100, 100, 100, 200), "the machine's metadata, Alibaba"),
    (v4(169, 254, 170, 2), "a task's credentials, ECS"),
    (v4(169, 254, 170, 23), "a pod's credentials, EKS"),
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23]), "a pod's credentials, EKS"),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(s: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]))
}

/// What a run asked.
#[derive(Debug, Default)]
pub(crate) struct MetadataService {
    connections: Noticed,
}

impl Rule for MetadataService {
    type Limits = Limits;
    const ABOUT: About = About {
        id: METADATA_SERVICE,
        when: "a TCP connection to a cloud's metadata service, which hands out the machine's credentials",
        severity: "medium; never leads to an act",
        urgency: Urgency::Known,
    };
    /// What was asked stays known after an act.
    const FORGETS: bool = false;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self::default()
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let EventKind::Connect { destination } = &seen.event.kind else { return };
        if destination.protocol != TCP || destination.port == DNS {
            return;
        }
        let address = destination.address.to_canonical();
        let Some((_, what)) = SERVICES.iter().find(|(service, _)| *service == address) else { return };
        self.connections
            .add(seen, WEIGHT, || format!("{} connected to {address} ({what}).", seen.by(LONGEST)));
    }

    fn judge(&mut self, _subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        self.connections.verdict(METADATA_SERVICE, "connections so far")
    }

    fn judged(&mut self) {
        self.connections.judged();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        aggregate::counters::Counters,
        detector::RunDetector,
        event::{Endpoint, Event, File, Path, PathSource, Process, Ring},
        finding::Finding,
        identity::{AgentIdentity, ProcessKey, RunId},
        rule::settings::Settings,
    };

    /// The findings of a run whose `curl` did all of this.
    fn found(kinds: Vec<EventKind>) -> Vec<Finding> {
        let run = Arc::new(RunId("r".to_owned()));
        let agent = Arc::new(AgentIdentity { id: "a".to_owned(), name: "a".to_owned() });
        let mut detector = RunDetector::new((*run).clone(), (*agent).clone(), Settings::default(), 1);
        let path = Path { text: "/usr/bin/curl".to_owned(), source: PathSource::Kernel, truncated: false };
        for (sequence, kind) in (1..).zip(kinds) {
            detector.event(&Event {
                id: format!("r-b-{sequence}"),
                run: run.clone(),
                agent: agent.clone(),
                ring: Ring::Bulk,
                sequence,
                time_unix_ns: sequence,
                process: Arc::new(Process {
                    key: ProcessKey { tgid: 7, start_boot_ns: 1 },
                    tid: 7,
                    parent: None,
                    executable: Some(File { path: path.clone(), key: None }),
                    argv: None,
                    cwd: None,
                    uid: None,
                    gid: None,
                    euid: None,
                    pre_existing: false,
                }),
                kind,
            });
        }
        detector.reading(100_000_000, Counters::default())
    }

    fn connect(address: &str, port: u16, protocol: u16) -> EventKind {
        let address = address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        EventKind::Connect { destination: Endpoint { address, port, protocol } }
    }

    #[test]
    fn a_connection_names_the_program_and_what_answers_there() {
        let all = found(vec![connect("169.254.169.254", 80, TCP), connect("169.254.170.2", 80, TCP)]);
        let [finding] = all.as_slice() else { unreachable!("{all:?}") };
        assert_eq!(finding.signal.rule, METADATA_SERVICE);
        let summary = "/usr/bin/curl connected to 169.254.169.254 (the machine's metadata).";
        assert_eq!(finding.signal.summary, summary);
        assert_eq!(finding.evidence, ["r-b-1"]);
        assert_eq!(finding.tags, WEIGHT.tags);
        assert_eq!(finding.signal.arithmetic[0].value, 2.0);
    }

    #[test]
    fn every_service_is_known_also_behind_a_mapped_address() {
        for (address, what) in SERVICES {
            let all = found(vec![connect(&address.to_string(), 80, TCP)]);
            assert_eq!(all.len(), 1, "{address}, {what}");
        }
        assert_eq!(found(vec![connect("::ffff:169.254.169.254", 80, TCP)]).len(), 1);
    }

    #[test]
    fn names_asked_there_and_other_link_local_addresses_are_no_finding() {
        let kinds = vec![
            connect("169.254.169.254", DNS, 17),
            connect("169.254.169.254", DNS, TCP),
            connect("169.254.169.253", 80, TCP),
            connect("fe80::1", 80, TCP),
        ];
        assert_eq!(found(kinds), []);
    }
}
