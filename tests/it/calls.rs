//! Tier C: every act that shows in the result of a system call, through both doors of the kernel.

use std::{
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
};

use sentry_tests::{programs, require, sensor::Sensor, story, supervised::Order};
use serde_json::Value;

use crate::workload;

/// One line per event: the act, what it was about, and what distinguishes it from others of its
/// kind.
fn line(event: &Value, dir: &str) -> String {
    let text =
        |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-").replace(dir, "D");
    let value = |pointer: &str| match event.pointer(pointer) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.replace(dir, "D"),
        Some(value) => value.to_string(),
    };
    let act = text("/unmapped/act");
    let mut line = match act.as_str() {
        "exec_failed" => format!("{act} {}", text("/process/file/path")),
        "socket" => format!("{act} {} {}", text("/unmapped/family"), value("/unmapped/socket_type")),
        "accept" => format!("{act} {} at {}", text("/src_endpoint/ip"), text("/dst_endpoint/ip")),
        "unix_connect" => format!(
            "{act} {} of {} uid {}",
            text("/dst_endpoint/name"),
            value("/unmapped/peer/pid"),
            value("/unmapped/peer_uid")
        ),
        "access" | "trace" => {
            format!("{act} {} member {}", value("/unmapped/code"), value("/unmapped/target_in_run"))
        }
        "bpf" | "perf_open" | "credentials" | "namespaces" | "mount" | "unmount" | "change_root" => format!(
            "{act} {} {} {} {}",
            value("/unmapped/code"),
            value("/unmapped/detail"),
            text("/unmapped/path/text"),
            text("/unmapped/text")
        ),
        "open" | "unlink" | "rename" => story::line(event).replace(dir, "D"),
        _ => {
            let known = event.get("file").is_none() || event.pointer("/unmapped/file/inode").is_some();
            let known = if known { "" } else { " as given" };
            let mut line = format!("{act} {}{known} {}", text("/file/path"), value("/unmapped/detail"));
            for pointer in ["/file_result/path", "/unmapped/text"] {
                if event.pointer(pointer).is_some() {
                    line += &format!(" -> {}", text(pointer));
                }
            }
            line
        }
    };
    if let Some(error) = event.get("status_code") {
        line += &format!(" error {}", error.as_str().unwrap_or("?"));
    }
    line
}

/// What the workload's calls come to, in their order within a ring.
fn expected(own: u32, abstract_name: &str) -> (Vec<String>, Vec<String>) {
    let critical = [
        "exec_failed D/nothing error 2",
        "exec_failed D/d/none error 2",
        // CLONE_NEWNS | CLONE_NEWUTS, and a setns of a descriptor that is none.
        "namespaces 67239936 0 - -",
        "namespaces 1073741824 0 - - error 9",
        "credentials 0 0 - -",
    ];
    let bulk = format!(
        "create D/a
         mkdir D/d as given 493
         read D/d
         mkdir D/d/e as given 448
         mknod D/pipe as given 4480
         symlink D/s as given 0 -> a
         link D/a as given 0 -> D/b
         link D/a 0 -> D/c
         rename D/b to D/b2
         exchange D/b2 as given 0 -> D/c
         truncate D/a as given 100
         truncate D/a 200
         truncate D/a as given 300
         truncate D/a 400
         chmod D/a as given 384
         chmod D/a 416
         chown D/a as given 4294967298
         chown D/a 12884901892
         setxattr D/a as given 0 -> trusted.x
         setxattr D/a 0 -> trusted.y
         removexattr D/a as given 0 -> trusted.x
         removexattr D/a 0 -> trusted.y
         allocate D/a 1
         create D/copy
         copy D/copy 100
         copy D/copy 50
         map_write D/a 3
         map_exec D/a 5
         protect_exec - 5
         delete D/b2
         delete D/d/e
         socket unix 1
         unix_connect D/socket of {own} uid 0
         socket unix 1
         unix_connect @{abstract_name} of {own} uid 0
         socket inet 1
         socket inet 1
         connect
         accept 127.0.0.1 at 127.0.0.1
         access 5 member true
         access 6 member true
         access 7 member true
         trace 4 member false error 3
         trace 4 member true
         bpf 11 0 - -
         perf_open 1 3 - - error 22
         mount 0 278528 / none
         mount 0 8 D/d none
         unmount 0 2 D/d -
         mount 0 0 D/d none error 19
         change_root 0 0 D -"
    );
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect();
    (critical.map(str::to_owned).to_vec(), lines(&bulk))
}

/// Runs the workload through a door and compares its whole story.
fn tells(door: &str) {
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("calls");
    let dir = dir.to_str().unwrap();
    let _path = UnixListener::bind(format!("{dir}/socket")).unwrap();
    let name = format!("sentry-it-{}-{door}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    // A port that nobody has; the workload listens there itself.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let ended = Order::new(&sensor, "calls").finish(&workload("workload_calls", &[door, dir, &name, &port]));
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let events = sensor.events(&ended.run);
    assert!(!story::of(&events, "calls", &ended.run, &[]).is_empty(), "each one is valid");
    let own = |ring: &str| -> Vec<String> {
        events
            .iter()
            .filter(|event| event["unmapped"]["ring"] == ring && is_of_the_calls(event, dir))
            .map(|event| line(event, dir))
            .collect()
    };
    let (critical, bulk) = expected(std::process::id(), &name);
    similar(&own("critical"), &critical);
    similar(&own("bulk"), &bulk);
    assert_eq!(ended.report()["complete"], true, "{:#}", ended.report());
}

fn is_of_the_calls(event: &Value, dir: &str) -> bool {
    let act = event["unmapped"]["act"].as_str().unwrap();
    match event["file"]["path"].as_str() {
        // The program's start: its libraries.
        Some(path) if !matches!(act, "mount" | "unmount") => path.starts_with(dir),
        // From hooks of their own, which other tests ask for.
        _ => !matches!(
            act,
            "cgroup_move" | "exec" | "exit" | "fork" | "connected" | "bind" | "listen" | "signal"
        ),
    }
}

fn similar(told: &[String], expected: &[String]) {
    let told: Vec<&str> =
        told.iter().map(|line| if line.starts_with("connect") { "connect" } else { line }).collect();
    assert_eq!(told, expected, "told\n{}", told.join("\n"));
}

#[test]
fn every_act_that_a_call_returns_from_is_told() {
    require!("root", "tier-c");
    tells("native");
}

/// The kernel looks at 32 bits of the number.
#[test]
fn a_number_with_more_bits_than_it_needs_tells_the_same() {
    require!("root", "tier-c");
    tells("wide");
}

#[test]
fn calls_by_the_32_bit_door_tell_the_same() {
    require!("root", "tier-c");
    tells("compat");
}

/// Tier C looks at the descriptor when the call is over.
#[test]
fn an_act_whose_descriptor_is_gone_makes_the_record_incomplete() {
    require!("root", "tier-c");
    let sensor = Sensor::start();
    let to = sensor.scratch().join("file");
    let ended = Order::new(&sensor, "gone")
        .finish(&workload("workload_scene", &["splice-closed", to.to_str().unwrap()]));
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let report = ended.report();
    let bulk = &report["run"]["rings"]["bulk"];
    assert_eq!(
        (&report["complete"], &report["run"]["untold"], &bulk["generated"]),
        (&false.into(), &1.into(), &bulk["delivered"]),
        "{report:#}"
    );
}
