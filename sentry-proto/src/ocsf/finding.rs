//! Detection Finding 2004.

use sentry_view::Finding;
use serde_json::{Map, Value, json};

use super::{
    HostContext,
    base::{self, Activity, Class, Head, exact, milliseconds},
};

pub(super) fn render(finding: &Finding, host: &HostContext<'_>) -> Map<String, Value> {
    let head = Head {
        class: Class::DetectionFinding,
        activity: Activity(1, "Create"),
        severity: finding.severity,
        time_unix_ns: finding.time_unix_ns.0,
        uid: &finding.id,
        sequence: None,
        run: &finding.run,
        agent: finding.agent.as_ref().map(|agent| (agent.id.as_str(), agent.name.as_str())),
    };
    let mut rendered = base::object(&head, host);
    let mut put = |key: &str, value: Value| rendered.insert(key.to_owned(), value);
    put("message", finding.summary.as_str().into());
    put("start_time", milliseconds(finding.since_unix_ns.0));
    put("end_time", milliseconds(finding.time_unix_ns.0));
    put("status_id", 1.into());
    put("status", "New".into());
    put("is_alert", true.into());
    put("finding_info", info(finding));
    put("evidences", evidences(finding));
    let (confidence_id, confidence) = confidence(finding.confidence);
    put("confidence_id", confidence_id.into());
    put("confidence", confidence.into());
    if let Some(score) = confidence_score(finding.confidence) {
        put("confidence_score", score.into());
    }
    put("unmapped", unmapped(finding, host));
    rendered
}

fn info(finding: &Finding) -> Value {
    let related: Vec<Value> = finding.evidence.iter().map(|id| json!({ "uid": id })).collect();
    let mut info = json!({
        "uid": finding.id,
        "title": finding.rule,
        "desc": finding.summary,
        "types": [finding.rule],
        "created_time": milliseconds(finding.time_unix_ns.0),
        "first_seen_time": milliseconds(finding.since_unix_ns.0),
        "last_seen_time": milliseconds(finding.time_unix_ns.0),
        "analytic": { "name": finding.rule, "uid": finding.rule, "type": "Behavioral", "type_id": 2 },
        "related_events": related,
        "related_events_count": related.len(),
    });
    let attacks: Vec<Value> = finding.tags.iter().filter_map(|tag| attack(tag)).collect();
    if !attacks.is_empty() {
        info["attacks"] = attacks.into();
    }
    let tags: Vec<Value> = finding.tags.iter().filter_map(|tag| other_tag(tag)).collect();
    if !tags.is_empty() {
        info["tags"] = tags.into();
    }
    info
}

/// MITRE techniques: `attack:T1499`, `attack:T1499.001`, `atlas:AML.T0029`.
fn attack(tag: &str) -> Option<Value> {
    let (space, uid) = tag.split_once(':')?;
    let technique = match space {
        "attack" => uid.split_once('.').map_or(uid, |(technique, _)| technique),
        "atlas" => uid,
        _ => return None,
    };
    let mut attack = json!({ "technique": { "uid": technique } });
    if technique != uid {
        attack["sub_technique"] = json!({ "uid": uid });
    }
    Some(attack)
}

fn other_tag(tag: &str) -> Option<Value> {
    match tag.split_once(':') {
        Some(("attack" | "atlas", _)) => None,
        Some((name, value)) => Some(json!({ "name": name, "value": value })),
        None => Some(json!({ "name": tag, "value": "" })),
    }
}

fn evidences(finding: &Finding) -> Value {
    finding.evidence.iter().map(|id| json!({ "uid": id, "data": { "event_uid": id } })).collect()
}

fn confidence(value: f64) -> (u64, &'static str) {
    if !value.is_finite() {
        (0, "Unknown")
    } else if value < 0.5 {
        (1, "Low")
    } else if value < 0.8 {
        (2, "Medium")
    } else {
        (3, "High")
    }
}

/// Percent.
fn confidence_score(value: f64) -> Option<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0–100 before")]
    value.is_finite().then(|| (value.clamp(0.0, 1.0) * 100.0).round() as u8)
}

fn unmapped(finding: &Finding, host: &HostContext<'_>) -> Value {
    let arithmetic: Vec<Value> = finding
        .arithmetic
        .iter()
        .map(|term| {
            let mut value = json!({ "name": term.name, "value": number(term.value), "unit": term.unit });
            if let Some(limit) = term.limit {
                value["limit"] = number(limit);
            }
            value
        })
        .collect();
    json!({
        "time_unix_ns": exact(finding.time_unix_ns.0),
        "since_unix_ns": exact(finding.since_unix_ns.0),
        "sensor": host.sensor,
        "boot_id": host.boot_id,
        "rule": finding.rule,
        "confidence": number(finding.confidence),
        "arithmetic": arithmetic,
        "tags": finding.tags,
        "complete": finding.complete,
    })
}

/// JSON has no NaN and no infinity; they stay readable as text.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}
