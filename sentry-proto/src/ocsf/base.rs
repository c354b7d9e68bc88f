//! What every object carries: classification, severity, time, metadata, device, agent.

use sentry_view::Severity;
use serde_json::{Map, Value, json};

use super::{HostContext, SCHEMA_VERSION};

/// A class of OCSF 1.9.0.
#[derive(Clone, Copy, Debug)]
pub(super) enum Class {
    Base,
    FileSystem,
    Kernel,
    Process,
    DetectionFinding,
    Network,
    Memory,
    Dns,
}

impl Class {
    pub(super) const fn uid(self) -> u64 {
        match self {
            Self::Base => 0,
            Self::FileSystem => 1001,
            Self::Kernel => 1003,
            Self::Process => 1007,
            Self::DetectionFinding => 2004,
            Self::Network => 4001,
            Self::Memory => 1004,
            Self::Dns => 4003,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Base => "Base Event",
            Self::FileSystem => "File System Activity",
            Self::Kernel => "Kernel Activity",
            Self::Process => "Process Activity",
            Self::DetectionFinding => "Detection Finding",
            Self::Network => "Network Activity",
            Self::Memory => "Memory Activity",
            Self::Dns => "DNS Activity",
        }
    }

    const fn category(self) -> &'static str {
        match self {
            Self::Base => "Uncategorized",
            Self::FileSystem | Self::Kernel | Self::Process | Self::Memory => "System Activity",
            Self::DetectionFinding => "Findings",
            Self::Network | Self::Dns => "Network Activity",
        }
    }
}

/// `activity_id` and its caption. For 99 (Other) the caption is ours, as OCSF asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activity(pub(super) u64, pub(super) &'static str);

/// What differs from one object to the next in the common part.
pub(super) struct Head<'a> {
    pub(super) class: Class,
    pub(super) activity: Activity,
    pub(super) severity: Severity,
    pub(super) time_unix_ns: u64,
    pub(super) uid: &'a str,
    pub(super) sequence: Option<u64>,
    pub(super) run: &'a str,
    /// Id and name.
    pub(super) agent: Option<(&'a str, &'a str)>,
}

/// The common part of an object.
pub(super) fn object(head: &Head<'_>, host: &HostContext<'_>) -> Map<String, Value> {
    let class_uid = head.class.uid();
    let Activity(activity_id, activity_name) = head.activity;
    let type_name = if activity_id == 99 { "Other" } else { activity_name };
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("activity_id", activity_id.into());
    put("activity_name", activity_name.into());
    put("category_uid", (class_uid / 1000).into());
    put("category_name", head.class.category().into());
    put("class_uid", class_uid.into());
    put("class_name", head.class.name().into());
    put("type_uid", (class_uid * 100 + activity_id).into());
    put("type_name", format!("{}: {type_name}", head.class.name()).into());
    put("severity_id", severity_id(head.severity).into());
    put("severity", severity_name(head.severity).into());
    put("time", milliseconds(head.time_unix_ns));
    put("metadata", metadata(head, host));
    put("device", device(host));
    put("ai_agent", ai_agent(head));
    object
}

/// OCSF `timestamp_t`: milliseconds of Unix time.
pub(super) fn milliseconds(unix_ns: u64) -> Value {
    (unix_ns / 1_000_000).into()
}

/// A 64-bit number under `unmapped`.
pub(super) fn exact(number: u64) -> Value {
    number.to_string().into()
}

fn metadata(head: &Head<'_>, host: &HostContext<'_>) -> Value {
    let mut metadata = json!({
        "version": SCHEMA_VERSION,
        "product": { "name": "Agent Sentry", "vendor_name": "Agent Sentry", "version": host.version },
        "profiles": ["ai_operation", "host"],
        "uid": head.uid,
    });
    if let Some(sequence) = head.sequence {
        metadata["sequence"] = sequence.into();
    }
    metadata
}

fn device(host: &HostContext<'_>) -> Value {
    json!({
        "hostname": host.host,
        "uid": host.sensor,
        // The sensor does not know the kind of machine.
        "type": "Unknown",
        "type_id": 0,
        "os": { "name": "Linux", "type": "Linux", "type_id": 200 },
    })
}

fn ai_agent(head: &Head<'_>) -> Value {
    let (uid, name) = head.agent.unwrap_or_default();
    json!({ "uid": uid, "name": name, "instance_uid": head.run, "type_id": 0, "type": "Unknown" })
}

const fn severity_id(severity: Severity) -> u64 {
    match severity {
        Severity::Unknown => 0,
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Unknown => "Unknown",
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}
