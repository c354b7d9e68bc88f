//! Acts that share a shape (see `act` in the messages).

use serde_json::{Value, json};

use super::{
    HostContext,
    base::{Activity, Class, exact},
    body::{self, Body, path_trust},
    object,
};
use crate::v1;

pub(super) fn exec_failed(
    failed: &v1::ExecFailed,
    process: Option<&v1::Process>,
    host: &HostContext<'_>,
) -> Body {
    let mut image = Value::Object(object::identity(process, host));
    image["file"] = object::named_file(failed.path.as_ref());
    let mut body = Body {
        class: Class::Process,
        activity: Activity(1, "Launch"),
        members: json!({ "process": image, "launch_type": "Exec", "launch_type_id": 3 }),
        unmapped: json!({ "act": "exec_failed" }),
    };
    if let Some(path) = &failed.path {
        body.unmapped["requested"] = path.text.as_str().into();
    }
    status(&mut body, Some(failed.error), false);
    body
}

pub(super) fn file(act: &v1::FileAct, process: Option<&v1::Process>, host: &HostContext<'_>) -> Body {
    let activity = match act.act.as_str() {
        "link" | "symlink" | "mkdir" | "mknod" => Activity(1, "Create"),
        "exchange" => Activity(5, "Rename"),
        "truncate" | "copy" | "allocate" | "map_write" | "close_written" => Activity(3, "Update"),
        "chmod" | "chown" => Activity(7, "Set Security"),
        "setxattr" | "removexattr" => Activity(6, "Set Attributes"),
        "map_exec" | "receive_file" => Activity(14, "Open"),
        _ => Activity(99, "Other"),
    };
    let mut body = if act.file.is_some() {
        body::file(activity, &act.act, act.file.as_ref(), act.attempt)
    } else {
        let activity =
            if act.act == "protect_exec" { Activity(2, "Modify Page") } else { Activity(9, "Map") };
        Body {
            class: Class::Memory,
            activity,
            members: json!({ "process": object::process(process, host) }),
            unmapped: json!({ "act": act.act, "attempt": act.attempt }),
        }
    };
    body.unmapped["detail"] = exact(act.detail);
    if let Some(text) = &act.text {
        body.unmapped["text"] = text.as_str().into();
    }
    if let Some(path) = &act.new_path {
        body.members["file_result"] = object::named_file(Some(path));
        body.unmapped["file_result"] = json!({ "path": path_trust(path) });
    }
    status(&mut body, act.error, act.attempt);
    body
}

pub(super) fn socket(socket: &v1::SocketAct) -> Body {
    let act = socket.act.as_str();
    let inbound = act == "accept";
    let activity = match (act, socket.error) {
        ("connected", Some(_)) => Activity(4, "Fail"),
        ("connected" | "accept", _) => Activity(1, "Open"),
        ("listen", _) => Activity(7, "Listen"),
        ("bind", _) => Activity(99, "Bind"),
        ("socket", _) => Activity(99, "Create"),
        _ => Activity(99, "Receive"),
    };
    let mut body = if socket.local.is_none() && socket.remote.is_none() {
        Body {
            class: Class::Kernel,
            activity: if act == "socket" { Activity(1, "Create") } else { Activity(99, "Other") },
            members: json!({ "kernel": {
                "name": format!("{} socket", family(socket.family)), "type_id": 99, "type": "Socket",
            } }),
            unmapped: json!({}),
        }
    } else {
        // An outgoing connection goes to the remote side; what is accepted, bound or listened at
        // comes to the local one.
        let (source, destination) =
            if inbound { (&socket.remote, &socket.local) } else { (&socket.local, &socket.remote) };
        let mut connection = object::connection(socket.remote.as_ref().or(socket.local.as_ref()));
        if inbound || act == "listen" {
            connection["direction"] = "Inbound".into();
            connection["direction_id"] = 1.into();
        }
        let mut members = json!({ "connection_info": connection });
        for (key, side) in [("src_endpoint", source), ("dst_endpoint", destination)] {
            if side.is_some() {
                members[key] = object::endpoint(side.as_ref());
            }
        }
        Body { class: Class::Network, activity, members, unmapped: json!({}) }
    };
    body.unmapped = json!({
        "act": act,
        "family": family(socket.family),
        "socket_type": socket.socket_type,
        "cookie": exact(socket.cookie),
    });
    status(&mut body, socket.error, false);
    body
}

pub(super) fn unix(unix: &v1::UnixPeer, host: &HostContext<'_>) -> Body {
    let name = if unix.name.is_empty() { "unnamed" } else { unix.name.as_str() };
    let mut endpoint = json!({ "name": name });
    if let Some(service) = &unix.service {
        endpoint["svc_name"] = service.as_str().into();
    }
    let (act, activity) = if unix.datagram {
        ("unix_send", Activity(6, "Traffic"))
    } else {
        ("unix_connect", Activity(1, "Open"))
    };
    let mut unmapped = json!({ "act": act, "peer_in_run": unix.peer_in_run });
    if unix.peer.is_some() {
        unmapped["peer"] = Value::Object(object::key(unix.peer.as_ref(), host));
    }
    if let Some(uid) = unix.peer_uid {
        unmapped["peer_uid"] = uid.into();
    }
    if let Some(path) = &unix.peer_executable {
        unmapped["peer_executable"] = path.as_str().into();
    }
    let mut body = Body {
        class: Class::Network,
        activity,
        members: json!({
            "dst_endpoint": endpoint,
            "connection_info": { "direction": "Local", "direction_id": 4, "protocol_name": "unix" },
        }),
        unmapped,
    };
    status(&mut body, unix.error, false);
    body
}

pub(super) fn dns(dns: &v1::Dns) -> Body {
    let activity = if dns.answer { Activity(2, "Response") } else { Activity(1, "Query") };
    let mut members = json!({
        "dst_endpoint": object::endpoint(dns.server.as_ref()),
        "connection_info": object::connection(dns.server.as_ref()),
        "query": { "hostname": dns.name, "type": dns.record_type },
    });
    if dns.answer {
        let answers: Vec<Value> = dns.answers.iter().map(|answer| json!({ "rdata": answer })).collect();
        members["answers"] = answers.into();
    }
    if let Some(code) = &dns.code {
        members["rcode"] = code.as_str().into();
    }
    let act = if dns.answer { "dns_answer" } else { "dns_question" };
    Body { class: Class::Dns, activity, members, unmapped: json!({ "act": act }) }
}

pub(super) fn tls_hello(hello: &v1::TlsHello) -> Body {
    let mut endpoint = object::endpoint(hello.destination.as_ref());
    endpoint["hostname"] = hello.server_name.as_str().into();
    Body {
        class: Class::Network,
        activity: Activity(6, "Traffic"),
        members: json!({
            "dst_endpoint": endpoint,
            "connection_info": object::connection(hello.destination.as_ref()),
        }),
        unmapped: json!({ "act": "tls_hello" }),
    }
}

pub(super) fn target(target: &v1::TargetAct, host: &HostContext<'_>) -> Body {
    let activity = match target.act.as_str() {
        "access" => Activity(3, "Open"),
        "trace" => Activity(99, "Trace"),
        "signal" => Activity(99, "Signal"),
        _ => Activity(99, "Other"),
    };
    let mut body = Body {
        class: Class::Process,
        activity,
        members: json!({ "process": object::key(target.target.as_ref(), host) }),
        unmapped: json!({ "act": target.act, "code": target.code, "target_in_run": target.target_in_run }),
    };
    body.unmapped["attempt"] = target.attempt.into();
    status(&mut body, target.error, target.attempt);
    body
}

pub(super) fn kernel(act: &v1::KernelAct, process: Option<&v1::Process>, host: &HostContext<'_>) -> Body {
    let file = || json!({ "file": object::named_file(act.path.as_ref()) });
    let (class, activity, members) = match act.act.as_str() {
        "credentials" => (
            Class::Process,
            Activity(5, "Set User ID"),
            json!({ "process": object::identity(process, host) }),
        ),
        "mount" => (Class::FileSystem, Activity(12, "Mount"), file()),
        "unmount" => (Class::FileSystem, Activity(13, "Unmount"), file()),
        name => {
            let name = act.text.as_deref().filter(|text| !text.is_empty()).unwrap_or(name);
            let kernel = json!({ "name": name, "type_id": 99, "type": act.act });
            (Class::Kernel, Activity(4, "Invoke"), json!({ "kernel": kernel }))
        }
    };
    let mut unmapped = json!({ "act": act.act, "code": act.code, "detail": exact(act.detail) });
    if let Some(text) = &act.text {
        unmapped["text"] = text.as_str().into();
    }
    if let Some(path) = &act.path {
        unmapped["path"] = json!({ "text": path.text, "trust": path_trust(path) });
    }
    let mut body = Body { class, activity, members, unmapped };
    status(&mut body, act.error, false);
    body
}

pub(super) fn completeness(state: &v1::Completeness) -> Body {
    let message = if state.missing {
        "Events of this run are missing from here on."
    } else {
        "The events of this run are whole again."
    };
    Body {
        class: Class::Base,
        activity: Activity(99, "Completeness"),
        members: json!({ "message": message }),
        unmapped: json!({
            "act": "completeness",
            "missing": state.missing,
            "lost": exact(state.lost),
            "throttled": exact(state.throttled),
        }),
    }
}

/// Refused, done, or (an attempt) not known.
fn status(body: &mut Body, error: Option<u32>, attempt: bool) {
    let (id, name) = match error {
        Some(_) => (2, "Failure"),
        None if attempt => return,
        None => (1, "Success"),
    };
    body.members["status_id"] = id.into();
    body.members["status"] = name.into();
    if let Some(error) = error {
        body.members["status_code"] = error.to_string().into();
    }
}

/// Names of socket families (`AF_*`, the same on every architecture).
fn family(number: u32) -> String {
    let name = match number {
        1 => "unix",
        2 => "inet",
        10 => "inet6",
        15 => "key",
        16 => "netlink",
        17 => "packet",
        29 => "can",
        31 => "bluetooth",
        38 => "alg",
        40 => "vsock",
        44 => "xdp",
        other => return format!("family {other}"),
    };
    name.to_owned()
}
