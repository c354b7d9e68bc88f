//! Wire → OCSF 1.9.0 JSON: one complete object per event or finding.
//!
//! | ours | class | activity |
//! |---|---|---|
//! | fork, exec | Process Activity 1007 | Launch 1, distinguished by `launch_type_id` and `unmapped.act` |
//! | exit | Process Activity 1007 | Terminate 2 |
//! | started outside | Process Activity 1007 | Launch 1; `unmapped.asked` is the process that the run asked |
//! | seed | Process Activity 1007 | Other 99 "Seed" |
//! | cgroup make, remove, move | Kernel Activity 1003 | Create 1, Delete 3, Other 99 "Cgroup Move" |
//! | completeness | Base Event 0 | Other 99 |
//! | connect, send | Network Activity 4001 | Open 1, Traffic 6 |
//! | open, unlink, rename | File System Activity 1001 | Create 1, Read 2, Update 3, Open 14; Delete 4; Rename 5 |
//! | exec that failed | Process Activity 1007 | Launch 1, `status` Failure |
//! | link, symlink, mkdir, mknod; exchange | File System Activity 1001 | Create 1; Rename 5 |
//! | truncate, copy, allocate, `map_write`, `close_written` | File System Activity 1001 | Update 3 |
//! | chmod, chown; setxattr, removexattr | File System Activity 1001 | Set Security 7; Set Attributes 6 |
//! | `map_exec`, `receive_file`; mount, unmount | File System Activity 1001 | Open 14; Mount 12, Unmount 13 |
//! | `map_exec`, `protect_exec` of memory without a file | Memory Activity 1004 | Map 9, Modify Page 2 |
//! | connected; accept; listen; bind | Network Activity 4001 | Open 1 or Fail 4; Open 1 inbound; Listen 7; Other 99 |
//! | socket made or received | Kernel Activity 1003 | Create 1, Other 99 |
//! | unix peer; TLS hello | Network Activity 4001 | Open 1 or Traffic 6; Traffic 6 |
//! | DNS question, answer | DNS Activity 4003 | Query 1, Response 2 |
//! | signal, trace, access | Process Activity 1007, the target is `process` | Other 99, Open 3 |
//! | credentials | Process Activity 1007 | Set User ID 5 |
//! | namespaces, bpf, module, … | Kernel Activity 1003 | Invoke 4 |
//! | finding | Detection Finding 2004 | Create 1 |
//! | a kind this version does not know | Base Event 0 | Unknown 0 |
//!
//! Rendering is total and adds nothing: what was not seen is absent. `time` is in milliseconds as
//! OCSF wants it. What OCSF has no attribute for stands under `unmapped`; 64-bit numbers there are
//! decimal strings, because many JSON readers keep 53 bits. Text keeps the escapes of the wire
//! (`\xNN` for bytes that are not UTF-8).

mod context;

mod base;

mod object;

mod body;

mod event;

mod act;

mod container;

mod executed;

mod finding;

mod check;

use sentry_view::Finding;
use serde_json::{Map, Value};

pub use check::check;
pub use context::{HostContext, SCHEMA_VERSION};

use crate::v1;

/// Renders an event as one JSON object.
#[must_use]
pub fn event(event: &v1::Event, host: &HostContext<'_>) -> Value {
    let mut rendered = event::render(event, host);
    if let Some(container) = host.container {
        container::add_to_event(&mut rendered, container);
    }
    Value::Object(rendered)
}

/// The class that the rendering of an event of this kind has.
#[must_use]
pub fn class_uid(kind: &v1::event::Kind) -> u32 {
    use v1::event::Kind;
    match kind {
        Kind::Fork(_)
        | Kind::Exec(_)
        | Kind::ExecFailed(_)
        | Kind::Exit(_)
        | Kind::Seed(_)
        | Kind::StartedOutside(_)
        | Kind::Target(_) => 1007,
        Kind::CgroupMove(_) | Kind::CgroupMake(_) | Kind::CgroupRemove(_) => 1003,
        Kind::Connect(_) | Kind::Send(_) | Kind::Unix(_) | Kind::TlsHello(_) => 4001,
        Kind::Dns(_) => 4003,
        Kind::Completeness(_) => 0,
        Kind::Open(_) | Kind::Unlink(_) | Kind::Rename(_) => 1001,
        Kind::File(act) => {
            if act.file.is_some() {
                1001
            } else {
                1004
            }
        }
        Kind::Socket(act) => {
            if act.local.is_none() && act.remote.is_none() {
                1003
            } else {
                4001
            }
        }
        Kind::Kernel(act) => match act.act.as_str() {
            "credentials" => 1007,
            "mount" | "unmount" => 1001,
            _ => 1003,
        },
    }
}

/// Renders a finding as one JSON object.
#[must_use]
pub fn finding(finding: &Finding, host: &HostContext<'_>) -> Value {
    Value::Object(finding_object(finding, host))
}

pub(crate) fn finding_object(finding: &Finding, host: &HostContext<'_>) -> Map<String, Value> {
    let mut rendered = finding::render(finding, host);
    if let Some(container) = host.container {
        container::add_to_finding(&mut rendered, container);
    }
    rendered
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use serde_json::Value;

    use super::{HostContext, check, class_uid, event, finding};
    use crate::{convert::arbitrary, v1};

    const HOST: HostContext<'static> = HostContext {
        sensor: "0199aaaa-0000-7000-8000-000000000001",
        version: "0.1.0",
        host: "build-7",
        boot_id: "2b1c",
        container: None,
    };

    proptest! {
        #[test]
        fn every_event_renders_to_valid_ocsf(input in arbitrary::event()) {
            let value = event(&v1::Event::from(&input), &HOST);
            prop_assert_eq!(check(&value), Ok(()));
            prop_assert_eq!(&value["class_uid"], class_uid(&v1::Event::from(&input).kind.unwrap()));
            let text = serde_json::to_string(&value).unwrap();
            prop_assert!(!text.contains('\n'), "one line per object");
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }

        #[test]
        fn every_finding_renders_to_valid_ocsf(input in arbitrary::finding()) {
            let value = finding(&(&v1::Finding::from(&input)).into(), &HOST);
            prop_assert_eq!(check(&value), Ok(()));
            let text = serde_json::to_string(&value).unwrap();
            // Not equal bit by bit: reading a float back may be off by the last bit.
            prop_assert_eq!(check(&serde_json::from_str::<Value>(&text).unwrap()), Ok(()));
        }

        #[test]
        fn a_damaged_message_still_renders(input in arbitrary::event(), at in 0_usize..2048, flip in 1_u8..) {
            let mut bytes = v1::Event::from(&input).encode_to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
            if let Ok(wire) = v1::Event::decode(bytes.as_slice()) {
                prop_assert_eq!(check(&event(&wire, &HOST)), Ok(()));
            }
        }
    }

    #[test]
    fn an_empty_message_is_a_base_event() {
        let value = event(&v1::Event::default(), &HOST);
        assert_eq!(value["class_uid"], 0);
        assert_eq!(check(&value), Ok(()));
    }

    #[test]
    fn an_empty_finding_renders() {
        assert_eq!(check(&finding(&sentry_view::Finding::default(), &HOST)), Ok(()));
    }
}
