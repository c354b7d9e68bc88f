//! Acts on other processes, on the kernel, and through io_uring.

use std::{
    net::{TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
};

use sentry_tests::{capability, programs, require, sensor::Sensor, story, supervised::Order, tables};
use serde_json::Value;

use crate::workload;

/// A process outside of any run; it ends with the value.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Everything that the workload did, and the pid of its target.
fn reached(dir: &str) -> (u32, String, Vec<Value>) {
    let (sensor, target) = (Sensor::start(), Bystander::new());
    let dir = sensor.scratch().dir(dir).canonicalize().unwrap();
    let pid = target.0.id();
    let line = workload("workload_reach", &[&pid.to_string(), dir.to_str().unwrap()]);
    let ended = Order::new(&sensor, "reach").finish(&line);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    println!("{}", programs::text(&ended.output));
    (pid, dir.display().to_string(), valid(&sensor, &ended.run))
}

fn valid(sensor: &Sensor, run: &str) -> Vec<Value> {
    let events = sensor.events(run);
    for event in &events {
        assert_eq!(sentry_proto::ocsf::check(event), Ok(()), "{event:#}");
        assert_eq!(event["ai_agent"]["instance_uid"], run, "{event:#}");
    }
    events
}

/// `CODE` and whether the target is `pid` (`out`), a member (`in`) or neither, of each such act,
/// sorted.
fn targets(events: &[Value], act: &str, pid: u32) -> Vec<String> {
    let mut lines: Vec<String> = story::only(events, act)
        .iter()
        .map(|event| {
            let side = match (event["unmapped"]["target_in_run"] == true, event["process"]["pid"] == pid) {
                (true, false) => "in",
                (false, true) => "out",
                _ => "?",
            };
            format!("{} {side}", event["unmapped"]["code"])
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn signals_name_their_number_and_target() {
    require!("root");
    let (pid, _dir, events) = reached("signals");
    // SIGTERM to a child of its own, SIGCONT and a queued SIGWINCH to the bystander; nothing that
    // the kernel sent.
    assert_eq!(targets(&events, "signal", pid), ["15 in", "18 out", "28 out"]);
}

#[test]
fn access_to_another_process_is_told_once_each() {
    require!("root", "trampoline");
    let (pid, _dir, events) = reached("access");
    // A tracer, and a child that asks its parent to trace it.
    assert_eq!(targets(&events, "trace", pid), ["2 out", "3 in"]);
    // The working directory is read; memory by call and by file and a descriptor are taken.
    assert_eq!(targets(&events, "access", pid), ["1 out", "2 out", "2 out", "2 out"]);
}

/// Code, detail and path of each such act.
fn standing(events: &[Value], act: &str) -> Vec<(u64, u64, String)> {
    let mut acts: Vec<(u64, u64, String)> = story::only(events, act)
        .iter()
        .map(|event| {
            let extra = &event["unmapped"];
            let path = extra["path"]["text"].as_str().unwrap_or_default();
            (number(&extra["code"]), number(&extra["detail"]), path.to_owned())
        })
        .collect();
    acts.sort();
    acts
}

/// A number, or the text that stands for one too large for JSON.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

const NEW_MOUNT: u64 = 0x0002_0000;
const NEW_UTS: u64 = 0x0400_0000;
const NEW_USER: u64 = 0x1000_0000;

#[test]
fn acts_on_the_kernel_are_told_once_each() {
    require!("root", "trampoline");
    let (_pid, dir, events) = reached("kernel");
    let none = String::new;
    // BPF_PROG_GET_NEXT_ID; a software clock.
    assert_eq!(standing(&events, "bpf"), [(11, 0, none())]);
    assert_eq!(standing(&events, "perf_open"), [(1, 0, none())]);
    assert_eq!(standing(&events, "unmount"), [(0, 0, dir.clone())]);
    // chroot and pivot_root.
    assert_eq!(standing(&events, "change_root"), [(0, 0, dir.clone()), (1, 0, dir.clone())]);
    // The source of a moved mount is not reported.
    let mut mounts: Vec<String> = story::only(&events, "mount")
        .iter()
        .map(|event| format!("{} at {}", event["unmapped"]["text"], event["unmapped"]["path"]["text"]))
        .collect();
    mounts.sort();
    assert_eq!(mounts.len(), 3, "{mounts:?}");
    // The third is at the root, which has no components: it is reported without its place.
    for what in ["\"scratch\"", "null"] {
        assert!(mounts.contains(&format!("{what} at \"{dir}\"")), "{mounts:?}");
    }
}

#[test]
fn a_kernel_with_trampolines_lacks_none_of_these_hooks() {
    require!("root", "trampoline");
    let output = programs::finish(programs::command("sentry").args(["doctor", "--json"]));
    let doctor: Value = serde_json::from_slice(&output.stdout).unwrap();
    for fact in ["signal", "kernel module", "io_uring", "mount, unmount", "chroot, pivot_root", "namespaces"]
    {
        let row = doctor["facts"].as_array().unwrap().iter().find(|row| row["fact"] == fact).unwrap();
        let lost = row["lost"].as_str().unwrap_or_default();
        assert!(row["seen"] == true && !lost.contains("refuses"), "{row:#}");
    }
}

#[test]
fn namespaces_and_credentials_are_told_once_each() {
    require!("root", "trampoline");
    let (_pid, _dir, events) = reached("standing");
    let bits: Vec<u64> = standing(&events, "namespaces").iter().map(|act| act.0).collect();
    // By setns and by birth, by unshare of one and of two.
    assert_eq!(bits, [NEW_UTS, NEW_UTS, NEW_UTS | NEW_MOUNT, NEW_USER]);
    assert_eq!(standing(&events, "credentials"), [(0, 65534 << 32, String::new())]);
}

#[test]
fn a_birth_into_a_namespace_is_told_everywhere() {
    require!("root");
    let (_pid, _dir, events) = reached("birth");
    let births: Vec<&Value> = story::only(&events, "namespaces")
        .into_iter()
        .filter(|event| number(&event["unmapped"]["code"]) == NEW_UTS)
        .collect();
    let forks: Vec<u64> =
        story::only(&events, "fork").iter().filter_map(|event| event["process"]["pid"].as_u64()).collect();
    assert!(births.iter().any(|event| forks.contains(&story::pid(event).into())), "{births:#?}");
}

/// What a ring did, as lines; each by the process that made the ring.
fn through_a_ring(polled: &str) -> Option<(String, Vec<String>)> {
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("ring").canonicalize().unwrap();
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let [tcp_port, udp_port] =
        [tcp.local_addr().unwrap(), udp.local_addr().unwrap()].map(|address| address.port().to_string());
    let line = workload("workload_ring", &[dir.to_str().unwrap(), &tcp_port, &udp_port, polled]);
    let missing = tables::tags_may_be_missing(sensor.pid());
    let ended = Order::new(&sensor, "ring").finish(&line);
    if ended.code() == Some(77) {
        println!("SKIP this kernel gives out no rings: {}", programs::text(&ended.output));
        return None;
    }
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    // A worker that was made is no birth that was refused.
    assert_eq!(tables::tags_may_be_missing(sensor.pid()), missing);
    let events = valid(&sensor, &ended.run);
    let maker = story::pid(story::only(&events, "io_ring")[0]);
    let wanted = ["io_ring", "open", "rename", "unlink", "connect", "send", "io_operation"];
    let is_here =
        |event: &&Value| event["file"]["path"].as_str().is_none_or(|path| Path::new(path).starts_with(&dir));
    let mut lines: Vec<String> = events
        .iter()
        .filter(|event| wanted.iter().any(|act| event["unmapped"]["act"] == *act))
        .filter(is_here)
        .inspect(|event| assert_eq!(story::pid(event), maker, "{event:#}"))
        .map(|event| match event["unmapped"]["act"].as_str() {
            Some("io_operation") => {
                format!("request {} {}", event["unmapped"]["code"], event["unmapped"]["path"]["text"])
            }
            _ => story::line(event),
        })
        .collect();
    lines.sort();
    let dir = dir.display().to_string();
    let lines = lines
        .iter()
        .map(|line| line.replace(&dir, "DIR").replace(&tcp_port, "TCP").replace(&udp_port, "UDP"));
    Some((ended.run, lines.collect()))
}

#[test]
fn a_ring_hides_neither_the_act_nor_the_actor() {
    require!("root");
    for polled in ["0", "1"] {
        let Some((_run, lines)) = through_a_ring(polled) else { return };
        let network = ["connect tcp 127.0.0.1 TCP", "send udp 127.0.0.1 UDP"];
        let expected: Vec<&str> = if capability::tier() == "C" {
            vec![
                network[0],
                "io_ring",
                "read DIR",
                "request 16 null",
                "request 18 \"DIR/made\"",
                "request 35 \"DIR/made\"",
                "request 36 \"DIR/renamed\"",
                network[1],
            ]
        } else {
            let files = [
                "create DIR/made",
                "delete DIR/renamed",
                "io_ring",
                "read DIR",
                "rename DIR/made to DIR/renamed",
            ];
            [&network[..1], &files, &network[1..]].concat()
        };
        assert_eq!(lines, expected, "polled {polled}");
    }
}
