//! Events by class.

use sentry_view::Severity;
use serde_json::{Map, Value, json};

use super::{
    HostContext, act,
    base::{self, Activity, Class, Head, exact},
    body::{Body, file, file_unmapped, path_trust},
    object,
};
use crate::v1::{self, event::Kind};

pub(super) fn render(event: &v1::Event, host: &HostContext<'_>) -> Map<String, Value> {
    let process = event.process.as_ref();
    let body = match &event.kind {
        Some(Kind::Fork(fork)) => forked(fork, process, host),
        Some(Kind::Exec(exec)) => executed(exec, process, host),
        Some(Kind::ExecFailed(failed)) => act::exec_failed(failed, process, host),
        Some(Kind::Exit(exit)) => exited(exit, process, host),
        Some(Kind::Seed(v1::Seed {})) => seeded(process, host),
        Some(Kind::StartedOutside(started)) => started_outside(started, process, host),
        Some(Kind::CgroupMove(moved)) => cgroup_moved(moved),
        Some(Kind::CgroupMake(made)) => cgroup(Activity(1, "Create"), "cgroup_make", made.cgroup, &made.path),
        Some(Kind::CgroupRemove(removed)) => {
            cgroup(Activity(3, "Delete"), "cgroup_remove", removed.cgroup, &removed.path)
        }
        Some(Kind::Completeness(state)) => act::completeness(state),
        Some(Kind::Connect(connect)) => network(Activity(1, "Open"), "connect", connect.destination.as_ref()),
        Some(Kind::Send(send)) => network(Activity(6, "Traffic"), "send", send.destination.as_ref()),
        Some(Kind::Open(open)) => opened(open),
        Some(Kind::Unlink(unlink)) => unlinked(unlink),
        Some(Kind::Rename(rename)) => renamed(rename),
        Some(Kind::File(file)) => act::file(file, process, host),
        Some(Kind::Socket(socket)) => act::socket(socket),
        Some(Kind::Unix(unix)) => act::unix(unix, host),
        Some(Kind::Dns(dns)) => act::dns(dns),
        Some(Kind::TlsHello(hello)) => act::tls_hello(hello),
        Some(Kind::Target(target)) => act::target(target, host),
        Some(Kind::Kernel(kernel)) => act::kernel(kernel, process, host),
        None => Body {
            class: Class::Base,
            activity: Activity(0, "Unknown"),
            members: json!({ "message": "The sensor is newer than this reader and reports a kind it does not \
                know." }),
            unmapped: json!({}),
        },
    };
    let head = Head {
        class: body.class,
        activity: body.activity,
        severity: Severity::Informational,
        time_unix_ns: event.time_unix_ns,
        uid: &event.id,
        sequence: Some(event.sequence),
        run: &event.run,
        agent: event.agent.as_ref().map(|agent| (agent.id.as_str(), agent.name.as_str())),
    };
    let mut rendered = base::object(&head, host);
    // An exec's `process` is the new image; the actor is the same process, but the image that it
    // ran is not known.
    let actor = match &event.kind {
        Some(Kind::Exec(_) | Kind::StartedOutside(_)) => Value::Object(object::identity(process, host)),
        _ => object::process(process, host),
    };
    rendered.insert("actor".to_owned(), json!({ "process": actor }));
    merge(&mut rendered, body.members);
    let mut unmapped = common_unmapped(event, host);
    merge(&mut unmapped, body.unmapped);
    rendered.insert("unmapped".to_owned(), Value::Object(unmapped));
    rendered
}

fn forked(fork: &v1::Fork, parent: Option<&v1::Process>, host: &HostContext<'_>) -> Body {
    let mut child = object::key(fork.child.as_ref(), host);
    let parent_key = parent.and_then(|parent| parent.key.as_ref());
    child.insert("parent_process".to_owned(), Value::Object(object::key(parent_key, host)));
    let start = fork.child.as_ref().map_or(Value::Null, |child| exact(child.start_boot_ns));
    Body {
        class: Class::Process,
        activity: Activity(1, "Launch"),
        members: json!({ "process": child, "launch_type": "Fork", "launch_type_id": 2 }),
        unmapped: json!({ "act": "fork", "child_start_boot_ns": start }),
    }
}

fn executed(exec: &v1::Exec, process: Option<&v1::Process>, host: &HostContext<'_>) -> Body {
    let image = object::process(process, host);
    let mut unmapped = json!({ "act": "exec" });
    if let Some(requested) = &exec.requested {
        unmapped["requested"] = requested.text.as_str().into();
    }
    if let Some(script) = &exec.script {
        unmapped["script"] = object::file(Some(script));
        unmapped["script_file"] = file_unmapped(Some(script));
    }
    if let Some(thread) = exec.by_thread {
        unmapped["by_thread"] = thread.into();
    }
    // A file without a name: memory, or removed before it ran.
    let key = process.and_then(|process| process.executable.as_ref()).and_then(|file| file.key.as_ref());
    unmapped["unlinked"] = key.is_some_and(|key| key.links == 0).into();
    Body {
        class: Class::Process,
        activity: Activity(1, "Launch"),
        members: json!({ "process": image, "launch_type": "Exec", "launch_type_id": 3 }),
        unmapped,
    }
}

fn exited(exit: &v1::Exit, process: Option<&v1::Process>, host: &HostContext<'_>) -> Body {
    let mut members = json!({ "process": object::process(process, host) });
    if let Some(code) = exit.code {
        members["exit_code"] = code.into();
    }
    let mut unmapped = json!({ "act": "exit" });
    if let Some(signal) = exit.signal {
        unmapped["signal"] = signal.into();
    }
    Body { class: Class::Process, activity: Activity(2, "Terminate"), members, unmapped }
}

fn seeded(process: Option<&v1::Process>, host: &HostContext<'_>) -> Body {
    Body {
        class: Class::Process,
        activity: Activity(99, "Seed"),
        members: json!({ "process": object::process(process, host) }),
        unmapped: json!({ "act": "seed" }),
    }
}

fn started_outside(
    started: &v1::StartedOutside,
    process: Option<&v1::Process>,
    host: &HostContext<'_>,
) -> Body {
    Body {
        class: Class::Process,
        activity: Activity(1, "Launch"),
        members: json!({
            "process": object::process(process, host),
            "launch_type": "Exec",
            "launch_type_id": 3,
        }),
        unmapped: json!({ "act": "started_outside", "asked": object::key(started.asked.as_ref(), host) }),
    }
}

fn cgroup(activity: Activity, act: &str, id: u64, path: &str) -> Body {
    Body {
        class: Class::Kernel,
        activity,
        members: json!({ "kernel": object::cgroup(path) }),
        unmapped: json!({ "act": act, "cgroup": exact(id) }),
    }
}

fn cgroup_moved(moved: &v1::CgroupMove) -> Body {
    let mut body = cgroup(Activity(99, "Cgroup Move"), "cgroup_move", moved.cgroup, &moved.path);
    body.unmapped["in_run"] = moved.in_run.into();
    body.unmapped["member_before"] = moved.member_before.into();
    body.unmapped["at_birth"] = moved.at_birth.into();
    body
}

fn network(activity: Activity, act: &str, destination: Option<&v1::Endpoint>) -> Body {
    Body {
        class: Class::Network,
        activity,
        members: json!({
            "dst_endpoint": object::endpoint(destination),
            "connection_info": object::connection(destination),
        }),
        unmapped: json!({ "act": act }),
    }
}

fn opened(open: &v1::Open) -> Body {
    let intent = open.intent.unwrap_or_default();
    let activity = if open.created {
        Activity(1, "Create")
    } else if intent.path_only {
        Activity(14, "Open")
    } else if intent.write || intent.truncate || intent.append {
        Activity(3, "Update")
    } else if intent.read {
        Activity(2, "Read")
    } else {
        Activity(14, "Open")
    };
    let mut body = file(activity, "open", open.file.as_ref(), open.attempt);
    body.unmapped["created"] = open.created.into();
    body.unmapped["intent"] = json!({
        "read": intent.read,
        "write": intent.write,
        "truncate": intent.truncate,
        "append": intent.append,
        "path_only": intent.path_only,
        "raw": intent.raw,
    });
    body
}

fn unlinked(unlink: &v1::Unlink) -> Body {
    file(Activity(4, "Delete"), "unlink", unlink.file.as_ref(), unlink.attempt)
}

fn renamed(rename: &v1::Rename) -> Body {
    let mut body = file(Activity(5, "Rename"), "rename", rename.file.as_ref(), rename.attempt);
    // The object is the same under its new name.
    let mut result = object::file(rename.file.as_ref());
    let named = object::named_file(rename.new_path.as_ref());
    result["name"] = named["name"].clone();
    result["path"] = named["path"].clone();
    body.members["file_result"] = result;
    if let Some(path) = &rename.new_path {
        body.unmapped["file_result"] = json!({ "path": path_trust(path) });
    }
    body
}

/// What every event has that OCSF has no attribute for.
fn common_unmapped(event: &v1::Event, host: &HostContext<'_>) -> Map<String, Value> {
    let ring = match v1::event::Ring::try_from(event.ring) {
        Ok(v1::event::Ring::Critical) => "critical",
        Ok(v1::event::Ring::Bulk) => "bulk",
        Ok(v1::event::Ring::Unspecified) | Err(prost::UnknownEnumValue(_)) => "unknown",
    };
    let mut unmapped = Map::new();
    let mut put = |key: &str, value: Value| unmapped.insert(key.to_owned(), value);
    put("time_unix_ns", exact(event.time_unix_ns));
    put("ring", ring.into());
    put("sensor", host.sensor.into());
    put("boot_id", host.boot_id.into());
    if let Some(process) = &event.process {
        put("process", process_unmapped(process));
    }
    unmapped
}

fn process_unmapped(process: &v1::Process) -> Value {
    let mut unmapped = json!({ "pre_existing": process.pre_existing });
    if let Some(key) = &process.key {
        unmapped["start_boot_ns"] = exact(key.start_boot_ns);
    }
    if let Some(euid) = process.euid {
        unmapped["euid"] = euid.into();
    }
    if let Some(executable) = &process.executable {
        unmapped["file"] = file_unmapped(Some(executable));
    }
    if let Some(cwd) = &process.cwd {
        unmapped["working_directory"] = path_trust(cwd);
    }
    if let Some(argv) = &process.argv {
        unmapped["argv"] = json!({
            "arguments": argv.arguments,
            "truncated": argv.truncated,
            "full_length_bytes": exact(argv.full_length_bytes),
        });
    }
    unmapped
}

fn merge(object: &mut Map<String, Value>, members: Value) {
    if let Value::Object(members) = members {
        object.extend(members);
    }
}
