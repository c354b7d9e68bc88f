//! Acts that share a shape, as one line.

use sentry_proto::{convert::endpoint_text as endpoint, v1};

use super::{
    part::{attempt, error, family, path, path_of, signal},
    safe,
};

pub(super) fn file(act: &v1::FileAct) -> String {
    let mut line = format!(
        "{} {}",
        safe(&act.act),
        if act.file.is_some() { path_of(act.file.as_ref()) } else { "memory".into() }
    );
    if let Some(new) = &act.new_path {
        line.push_str(&format!(" → {}", path(new)));
    }
    if let Some(text) = &act.text {
        line.push_str(&format!(" [{}]", safe(text)));
    }
    line + &error(act.error) + attempt(act.attempt)
}

pub(super) fn socket(act: &v1::SocketAct) -> String {
    let side = |name, side: Option<&v1::Endpoint>| {
        side.map_or_else(String::new, |side| format!(" {name} {}", endpoint(Some(side))))
    };
    let (local, remote) = (side("at", act.local.as_ref()), side("to", act.remote.as_ref()));
    let family = if local.is_empty() && remote.is_empty() {
        format!(" {}", family(act.family))
    } else {
        String::new()
    };
    format!("{}{family}{local}{remote}{}", safe(&act.act), error(act.error))
}

pub(super) fn unix(unix: &v1::UnixPeer) -> String {
    let name = if unix.name.is_empty() { "unnamed".into() } else { safe(&unix.name) };
    let service = unix.service.as_ref().map_or_else(String::new, |service| format!(" ({})", safe(service)));
    format!("{} {name}{service}{}", if unix.datagram { "send" } else { "connect" }, error(unix.error))
}

pub(super) fn dns(dns: &v1::Dns) -> String {
    let question = format!("{} {}", safe(&dns.record_type), safe(&dns.name));
    if !dns.answer {
        return format!("{question}? at {}", endpoint(dns.server.as_ref()));
    }
    // Resolvers and their users call it so.
    let code = match dns.code.as_deref() {
        Some("NAMEERROR") => "NXDOMAIN",
        code => code.unwrap_or("?"),
    };
    let answer = format!("{} {}", safe(code), safe(&dns.answers.join(", ")));
    format!("{question} = {}", answer.trim_end())
}

pub(super) fn target(act: &v1::TargetAct) -> String {
    let pid = act.target.map_or_else(|| "?".into(), |key| key.tgid.to_string());
    let whose = if act.target_in_run { "" } else { " (not of this run)" };
    let (act_name, code) = match act.act.as_str() {
        "signal" => (signal(act.code), String::new()),
        other => (safe(other), format!(" {}", act.code)),
    };
    format!("{act_name}{code} → {pid}{whose}{}{}", error(act.error), attempt(act.attempt))
}

pub(super) fn kernel(act: &v1::KernelAct) -> String {
    let mut line = format!("{} {}", safe(&act.act), act.code);
    if let Some(text) = &act.text {
        line.push_str(&format!(" {}", safe(text)));
    }
    if let Some(place) = &act.path {
        line.push_str(&format!(" {}", path(place)));
    }
    line + &error(act.error)
}
