//! One rendered object of each kind, byte for byte. After a wanted change: `UPDATE_GOLDEN=1 cargo
//! test -p sentry-proto`.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{env, fs, path::Path as FsPath};

use sentry_proto::{
    ocsf::{self, HostContext},
    v1::{self, event::Kind},
};
use serde_json::Value;

const HOST: HostContext<'static> = HostContext {
    sensor: "01990000-0000-7000-8000-000000000001",
    version: "0.1.0",
    host: "build-7",
    boot_id: "7f6d9c52-6a1d-4b6e-8e1a-1f0f8a3a2f11",
    container: None,
};
const RUN: &str = "01990000-0000-7000-8000-00000000000a";

fn path(text: &str) -> v1::Path {
    v1::Path { text: text.to_owned(), source: v1::path::Source::Kernel.into(), truncated: false }
}

fn file(text: &str, mode: u32) -> v1::File {
    let key = v1::FileKey {
        device_major: 8,
        device_minor: 1,
        inode: 9_007_199_254_740_993,
        generation: 3,
        links: 1,
        mode,
    };
    v1::File { path: Some(path(text)), key: Some(key) }
}

fn agent() -> v1::Agent {
    v1::Agent { id: "claude".to_owned(), name: "Claude".to_owned() }
}

fn event(kind: Kind) -> v1::Event {
    let process = v1::Process {
        key: Some(v1::ProcessKey { tgid: 4242, start_boot_ns: 81_234_567_890_123 }),
        tid: 4243,
        parent: Some(v1::ProcessKey { tgid: 4000, start_boot_ns: 80_000_000_000_000 }),
        executable: Some(file("/usr/bin/dash", 0o100_755)),
        argv: Some(v1::Argv {
            arguments: vec!["sh".to_owned(), "-c".to_owned(), "cat '/tmp/\\xff x'".to_owned()],
            truncated: false,
            full_length_bytes: 24,
        }),
        cwd: Some(path("/home/dev/project")),
        uid: Some(1000),
        gid: Some(100),
        euid: Some(1000),
        pre_existing: false,
    };
    v1::Event {
        id: format!("{RUN}-c-17"),
        run: RUN.to_owned(),
        agent: Some(agent()),
        ring: v1::event::Ring::Critical.into(),
        sequence: 17,
        time_unix_ns: 1_760_000_000_123_456_789,
        process: Some(process),
        kind: Some(kind),
    }
}

fn container() -> v1::Container {
    v1::Container {
        engine: "containerd".to_owned(),
        id: "85eababe974c1c9331ef9f99ab04faec45dbd66b020728dc744dfd816c5d5776".to_owned(),
        name: "coder".to_owned(),
        image: "registry.example/coder:1".to_owned(),
        image_digest: "sha256:12ab".to_owned(),
        pod: Some(v1::Pod {
            uid: "aaaa2b4a-f398-41c0-928b-049e1cc4ec40".to_owned(),
            name: "coder-0".to_owned(),
            namespace: "agents".to_owned(),
            service_account: String::new(),
        }),
        node: "node-1".to_owned(),
        runtime: "runc".to_owned(),
        rung: "files".to_owned(),
        sandboxed: String::new(),
    }
}

fn endpoint(address: Vec<u8>, port: u32, protocol: u32) -> Option<v1::Endpoint> {
    Some(v1::Endpoint { address, port, protocol })
}

fn finding() -> v1::Finding {
    v1::Finding {
        id: format!("{RUN}-f-1"),
        run: RUN.to_owned(),
        agent: Some(agent()),
        time_unix_ns: 1_760_000_010_000_000_000,
        since_unix_ns: 1_760_000_005_000_000_000,
        rule: "spawn-storm".to_owned(),
        confidence: 0.93,
        severity: v1::Severity::High.into(),
        summary: "512 processes were born in 5 s, 64 is the limit".to_owned(),
        arithmetic: vec![
            v1::Term { name: "births".to_owned(), value: 512.0, unit: String::new(), limit: Some(64.0) },
            v1::Term { name: "rate".to_owned(), value: 102.4, unit: "1/s".to_owned(), limit: None },
        ],
        evidence: vec![format!("{RUN}-c-17"), format!("{RUN}-c-18")],
        tags: vec!["attack:T1499.001".to_owned(), "atlas:AML.T0029".to_owned(), "owasp-asi:ASI08".to_owned()],
        complete: true,
    }
}

fn open(created: bool, write: bool, path_only: bool) -> Kind {
    let intent = v1::OpenIntent { read: !path_only, write, path_only, raw: 0o2, ..v1::OpenIntent::default() };
    let file = file("/home/dev/project/a.rs", 0o100_644);
    Kind::Open(v1::Open { file: Some(file), intent: Some(intent), created, attempt: false })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: an object for each kind")]
fn rendered_objects_match_the_golden_files() {
    let argument = v1::File {
        path: Some(v1::Path {
            text: "/tmp/\\xffold".to_owned(),
            source: v1::path::Source::Argument.into(),
            truncated: true,
        }),
        key: None,
    };
    let (id, cgroup_path) = (4711, "/agentsentry/run-a/child".to_owned());
    let kinds = [
        (
            "fork",
            Kind::Fork(v1::Fork {
                child: Some(v1::ProcessKey { tgid: 4300, start_boot_ns: 81_300_000_000_000 }),
            }),
        ),
        ("exec", Kind::Exec(v1::Exec::default())),
        ("exit", Kind::Exit(v1::Exit { code: Some(3), signal: None })),
        ("exit_signal", Kind::Exit(v1::Exit { code: None, signal: Some(9) })),
        ("seed", Kind::Seed(v1::Seed {})),
        (
            "started_outside",
            Kind::StartedOutside(v1::StartedOutside {
                asked: Some(v1::ProcessKey { tgid: 900, start_boot_ns: 7_000_000_000 }),
            }),
        ),
        (
            "cgroup_move",
            Kind::CgroupMove(v1::CgroupMove {
                cgroup: id,
                path: cgroup_path.clone(),
                in_run: false,
                member_before: true,
                at_birth: false,
            }),
        ),
        ("cgroup_make", Kind::CgroupMake(v1::CgroupMake { cgroup: id, path: cgroup_path.clone() })),
        ("cgroup_remove", Kind::CgroupRemove(v1::CgroupRemove { cgroup: id, path: cgroup_path })),
        ("connect", Kind::Connect(v1::Connect { destination: endpoint(vec![192, 0, 2, 7], 443, 6) })),
        (
            "send",
            Kind::Send(v1::Send {
                destination: endpoint(
                    [[0x20, 0x01, 0x0d, 0xb8], [0; 4], [0; 4], [0, 0, 0, 1]].concat(),
                    53,
                    17,
                ),
            }),
        ),
        ("open_create", open(true, true, false)),
        ("open_read", open(false, false, false)),
        ("open_update", open(false, true, false)),
        ("open_path", open(false, false, true)),
        (
            "unlink",
            Kind::Unlink(v1::Unlink {
                file: Some(file("/home/dev/project/a.rs", 0o100_644)),
                attempt: false,
            }),
        ),
        (
            "rename",
            Kind::Rename(v1::Rename {
                file: Some(argument),
                new_path: Some(path("/tmp/new")),
                attempt: true,
            }),
        ),
    ];
    for (name, kind) in kinds {
        golden(name, &ocsf::event(&event(kind), &HOST));
    }
    golden("finding", &ocsf::finding(&(&finding()).into(), &HOST));
    let container = container();
    let host = HostContext { container: Some(&container), ..HOST };
    golden("exit_container", &ocsf::event(&event(Kind::Exit(v1::Exit::default())), &host));
    golden("finding_container", &ocsf::finding(&(&finding()).into(), &host));
}

fn golden(name: &str, value: &Value) {
    assert_eq!(ocsf::check(value), Ok(()), "{name}");
    let text = format!("{value:#}\n");
    let file = FsPath::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&file).unwrap_or_default(), "{name}: see {}", file.display());
}
