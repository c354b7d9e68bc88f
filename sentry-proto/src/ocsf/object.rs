//! OCSF objects: process, file, endpoint, connection, kernel resource.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentry_view::path::base_name;
use serde_json::{Map, Value, json};

use super::HostContext;
use crate::v1;

/// A process with all that is known of it.
pub(super) fn process(process: Option<&v1::Process>, host: &HostContext<'_>) -> Value {
    let mut object = identity(process, host);
    let Some(process) = process else { return Value::Object(object) };
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    if let Some(executable) = &process.executable {
        let file = file(Some(executable));
        put("name", file["name"].clone());
        put("file", file);
    }
    if let Some(argv) = &process.argv {
        put("cmd_line", command_line(&argv.arguments).into());
    }
    if let Some(cwd) = &process.cwd {
        put("working_directory", cwd.text.as_str().into());
    }
    Value::Object(object)
}

/// A process without its program image: who it is, whose it is, where it comes from.
pub(super) fn identity(process: Option<&v1::Process>, host: &HostContext<'_>) -> Map<String, Value> {
    let mut object = key(process.and_then(|process| process.key.as_ref()), host);
    let Some(process) = process else { return object };
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("tid", process.tid.into());
    if let Some(uid) = process.uid {
        let mut user = json!({ "uid": uid.to_string() });
        if let Some(gid) = process.gid {
            user["groups"] = json!([{ "uid": gid.to_string() }]);
        }
        put("user", user);
    }
    if let Some(parent) = &process.parent {
        put("parent_process", Value::Object(key(Some(parent), host)));
    }
    object
}

/// Inserts what is not empty.
pub(super) fn put_known(object: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        object.insert(key.to_owned(), text.into());
    }
}

/// `uid` is unique over hosts' lives; the pid alone is reused.
pub(super) fn key(key: Option<&v1::ProcessKey>, host: &HostContext<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    match key {
        Some(key) => {
            object.insert("pid".to_owned(), key.tgid.into());
            let uid = format!("{}:{}:{}", host.boot_id, key.tgid, key.start_boot_ns);
            object.insert("uid".to_owned(), uid.into());
        }
        None => {
            object.insert("uid".to_owned(), format!("{}:unknown", host.boot_id).into());
        }
    }
    object
}

/// A file. `type_id` is Unknown where the object itself was not seen.
pub(super) fn file(file: Option<&v1::File>) -> Value {
    let mut object = named_file(file.and_then(|file| file.path.as_ref()));
    let mode = file.and_then(|file| file.key.as_ref()).map_or(0, |key| key.mode);
    let (type_id, type_name) = file_type(mode);
    object["type_id"] = type_id.into();
    object["type"] = type_name.into();
    object
}

/// A file of which only the path is known.
pub(super) fn named_file(path: Option<&v1::Path>) -> Value {
    let path = path.map_or("", |path| path.text.as_str());
    json!({ "name": base_name(path), "path": path, "type_id": 0, "type": "Unknown" })
}

/// A cgroup, which OCSF has no type for.
pub(super) fn cgroup(path: &str) -> Value {
    json!({ "name": base_name(path), "path": path, "type_id": 99, "type": "Control Group" })
}

pub(super) fn endpoint(endpoint: Option<&v1::Endpoint>) -> Value {
    let Some(endpoint) = endpoint else { return json!({ "name": "unknown" }) };
    match address(&endpoint.address) {
        Some(ip) => json!({ "ip": ip.to_string(), "port": endpoint.port }),
        None => json!({ "name": "unknown", "port": endpoint.port }),
    }
}

pub(super) fn connection(endpoint: Option<&v1::Endpoint>) -> Value {
    let mut object = json!({ "direction": "Outbound", "direction_id": 2 });
    let Some(endpoint) = endpoint else { return object };
    object["protocol_num"] = endpoint.protocol.into();
    if let Some(name) = protocol_name(endpoint.protocol) {
        object["protocol_name"] = name.into();
    }
    let (version_id, version) = match address(&endpoint.address) {
        Some(IpAddr::V4(_)) => (4, "Internet Protocol version 4 (IPv4)"),
        Some(IpAddr::V6(_)) => (6, "Internet Protocol version 6 (IPv6)"),
        None => (0, "Unknown"),
    };
    object["protocol_ver_id"] = version_id.into();
    object["protocol_ver"] = version.into();
    object
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
}

/// Names of the IANA protocol numbers that a socket of a program can have.
const fn protocol_name(number: u32) -> Option<&'static str> {
    match number {
        1 => Some("icmp"),
        6 => Some("tcp"),
        17 => Some("udp"),
        33 => Some("dccp"),
        58 => Some("ipv6-icmp"),
        132 => Some("sctp"),
        136 => Some("udplite"),
        _ => None,
    }
}

/// From `i_mode`.
const fn file_type(mode: u32) -> (u64, &'static str) {
    match mode & 0o170_000 {
        0o100_000 => (1, "Regular File"),
        0o040_000 => (2, "Folder"),
        0o020_000 => (3, "Character Device"),
        0o060_000 => (4, "Block Device"),
        0o140_000 => (5, "Local Socket"),
        0o010_000 => (6, "Named Pipe"),
        0o120_000 => (7, "Symbolic Link"),
        _ => (0, "Unknown"),
    }
}

/// One line that a shell would split into the same arguments.
fn command_line(arguments: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "@%+=:,./_-".contains(c);
    let quote = |argument: &String| {
        if !argument.is_empty() && argument.chars().all(plain) {
            argument.clone()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn command_lines_keep_argument_borders() {
        let arguments = ["sh", "-c", "echo it's $HOME", ""].map(str::to_owned);
        assert_eq!(command_line(&arguments), r"sh -c 'echo it'\''s $HOME' ''");
    }
}
