//! What a run did, as one short line per event. A test compares the lines it expects with all that
//! it got.

use std::path::Path;

use serde_json::Value;

/// One line per event that is about these places; events that are about no file are all kept. Each
/// event must be valid OCSF and name this run.
///
/// # Panics
/// When one is not, or does not.
#[must_use]
pub fn of(events: &[Value], agent: &str, run: &str, places: &[&Path]) -> Vec<String> {
    for event in events {
        if let Err(faults) = sentry_proto::ocsf::check(event) {
            panic!("{faults:?}: {event:#}");
        }
        assert_eq!(event["ai_agent"]["name"], agent, "{event:#}");
        assert_eq!(event["ai_agent"]["instance_uid"], run, "{event:#}");
        assert_eq!(event["metadata"]["version"], "1.9.0", "{event:#}");
    }
    events.iter().filter(|event| is_about(event, places)).map(line).collect()
}

fn is_about(event: &Value, places: &[&Path]) -> bool {
    match event["file"]["path"].as_str() {
        // A path that is cut or of no mount is nowhere but in the whole.
        Some(path) => {
            places.iter().any(|place| *place == Path::new("/") || Path::new(path).starts_with(place))
        }
        None => true,
    }
}

/// The line of one event.
#[must_use]
pub fn line(event: &Value) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
    let act = text("/unmapped/act");
    match act.as_str() {
        "exec" => format!("exec {}: {}", text("/process/file/path"), text("/process/cmd_line")),
        "exit" => match event["exit_code"].as_u64() {
            Some(code) => format!("exit {code}: {}", text("/process/file/path")),
            None => format!("signal {}: {}", event["unmapped"]["signal"], text("/process/file/path")),
        },
        "open" => format!("{} {}", text("/activity_name").to_lowercase(), text("/file/path")),
        "unlink" => format!("delete {}", text("/file/path")),
        "rename" => format!("rename {} to {}", text("/file/path"), text("/file_result/path")),
        "connect" | "send" | "connected" | "accept" => network(event, "dst_endpoint"),
        "bind" | "listen" => network(event, "src_endpoint"),
        "socket" => format!("socket {} {}", text("/unmapped/family"), event["unmapped"]["socket_type"]),
        "unix_connect" | "unix_send" => {
            let whose = if event["unmapped"]["peer_in_run"] == true { "own" } else { "foreign" };
            format!("{act} {whose} {}", text("/dst_endpoint/name"))
        }
        "dns_question" | "dns_answer" => {
            let answers = event["answers"].as_array().into_iter().flatten();
            let told: String = answers
                .filter_map(|answer| answer["rdata"].as_str())
                .map(|data| format!(" {data}"))
                .collect();
            let code = event["rcode"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
            let query = format!("{} {}", text("/query/hostname"), text("/query/type"));
            format!("{} {query}{code}{told}", network(event, "dst_endpoint"))
        }
        "tls_hello" => format!("{} {}", network(event, "dst_endpoint"), text("/dst_endpoint/hostname")),
        "receive_socket" => network(event, "dst_endpoint"),
        "receive_file" => format!("{act} {}", text("/file/path")),
        "cgroup_move" => {
            let flag = |name: &str| event["unmapped"][name] == true;
            let inside = if flag("in_run") { "inside" } else { "outside" };
            let from = if flag("member_before") { "member" } else { "newcomer" };
            format!("move {from} {inside} {}", text("/kernel/path"))
        }
        "link" | "exchange" => format!("{act} {} to {}", text("/file/path"), text("/file_result/path")),
        "symlink" => format!("symlink {}: {}", text("/file/path"), text("/unmapped/text")),
        "chmod" => format!("chmod {} {:o}", text("/file/path"), detail(event)),
        "chown" => {
            format!("chown {} {}:{}", text("/file/path"), detail(event) >> 32, detail(event) & 0xffff_ffff)
        }
        "exec_failed" => format!("exec_failed {} {}", text("/unmapped/requested"), text("/status_code")),
        "mkdir" | "mknod" | "truncate" | "map_write" | "map_exec" | "protect_exec" | "copy" | "allocate"
        | "close_written" => {
            let refused = event["status_code"].as_str().map(|errno| format!(" refused {errno}"));
            format!("{act} {}{}", text("/file/path"), refused.unwrap_or_default())
        }
        "cgroup_make" | "cgroup_remove" => format!("{act} {}", text("/kernel/path")),
        other => other.to_owned(),
    }
}

/// The number that belongs to an act.
fn detail(event: &Value) -> u64 {
    let detail = &event["unmapped"]["detail"];
    detail.as_u64().or_else(|| detail.as_str()?.parse().ok()).unwrap_or(u64::MAX)
}

/// `connected tcp 127.0.0.1 80 error 111`
fn network(event: &Value, side: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let error = match event["status_code"].as_str() {
        Some(code) => format!(" error {code}"),
        None => String::new(),
    };
    format!(
        "{} {} {} {}{error}",
        text(&event["unmapped"]["act"]),
        text(&event["connection_info"]["protocol_name"]),
        text(&event[side]["ip"]),
        event[side]["port"]
    )
}

/// Events of one kind, by the name the sensor gives it.
#[must_use]
pub fn only<'a>(events: &'a [Value], act: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["unmapped"]["act"] == act).collect()
}

/// Process id of the actor.
#[must_use]
pub fn pid(event: &Value) -> u32 {
    event["actor"]["process"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0)
}
