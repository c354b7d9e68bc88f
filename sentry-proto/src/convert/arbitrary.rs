//! Any event and finding, for the property tests of this crate.

use std::net::IpAddr;

use proptest::{collection::vec, option, prelude::*, sample::select};
use sentry_detect::{
    act::{FileAct, KernelAct, SocketAct, TargetAct},
    event::{Argv, Endpoint, Event, EventKind, File, FileKey, OpenIntent, Path, PathSource, Process, Ring},
    finding::Finding,
    run::{AgentIdentity, ProcessKey, RunId},
    runaway::{RunawaySignal, Severity, Term},
};

/// Text with what breaks careless JSON writers: controls, quotes, escapes, astral characters, NUL.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z/._-]{1,24}",
        Just("/tmp/\\xff\\xfe".to_owned()),
        Just("a\"b\\\\c\u{0}\u{1f}\u{7f}\u{2028}\u{1f600}\r\n\t".to_owned()),
        any::<String>(),
    ]
}

fn key() -> impl Strategy<Value = ProcessKey> {
    (any::<u32>(), any::<u64>()).prop_map(|(tgid, start_boot_ns)| ProcessKey { tgid, start_boot_ns })
}

fn path() -> impl Strategy<Value = Path> {
    (text(), any::<bool>(), any::<bool>()).prop_map(|(text, kernel, truncated)| Path {
        text,
        source: if kernel { PathSource::Kernel } else { PathSource::Argument },
        truncated,
    })
}

fn file() -> impl Strategy<Value = File> {
    let key = any::<(u32, u32, u64, u32, u32, u32)>().prop_map(
        |(device_major, device_minor, inode, generation, links, mode)| FileKey {
            device_major,
            device_minor,
            inode,
            generation,
            links,
            mode,
        },
    );
    (path(), option::of(key)).prop_map(|(path, key)| File { path, key })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    any::<(IpAddr, u16, u16)>().prop_map(|(address, port, protocol)| Endpoint { address, port, protocol })
}

fn process() -> impl Strategy<Value = Process> {
    let argv = (vec(text(), 0..5), any::<bool>(), any::<u64>()).prop_map(
        |(arguments, truncated, full_length_bytes)| Argv { arguments, truncated, full_length_bytes },
    );
    (
        (key(), any::<u32>(), option::of(key()), option::of(file()), option::of(argv), option::of(path())),
        any::<(Option<u32>, Option<u32>, Option<u32>, bool)>(),
    )
        .prop_map(|((key, tid, parent, executable, argv, cwd), (uid, gid, euid, pre_existing))| {
            Process { key, tid, parent, executable, argv, cwd, uid, gid, euid, pre_existing }
        })
}

fn kind() -> impl Strategy<Value = EventKind> {
    let intent = any::<(bool, bool, bool, bool, bool, u32)>().prop_map(
        |(read, write, truncate, append, path_only, raw)| OpenIntent {
            read,
            write,
            truncate,
            append,
            path_only,
            raw,
        },
    );
    prop_oneof![
        key().prop_map(|child| EventKind::Fork { child }),
        (option::of(path()), option::of(file()), any::<Option<u32>>())
            .prop_map(|(requested, script, by_thread)| EventKind::Exec { requested, script, by_thread }),
        (path(), any::<u32>()).prop_map(|(path, error)| EventKind::ExecFailed { path, error }),
        act(),
        any::<(Option<u32>, Option<u32>)>().prop_map(|(code, signal)| EventKind::Exit { code, signal }),
        Just(EventKind::Seed),
        key().prop_map(|asked| EventKind::StartedOutside { asked }),
        (any::<u64>(), text(), any::<(bool, bool, bool)>()).prop_map(
            |(cgroup, path, (in_run, member_before, at_birth))| EventKind::CgroupMove {
                cgroup,
                path,
                in_run,
                member_before,
                at_birth,
            }
        ),
        (any::<u64>(), text()).prop_map(|(cgroup, path)| EventKind::CgroupMake { cgroup, path }),
        (any::<u64>(), text()).prop_map(|(cgroup, path)| EventKind::CgroupRemove { cgroup, path }),
        any::<(bool, u64, u64)>().prop_map(|(missing, lost, throttled)| EventKind::Completeness {
            missing,
            lost,
            throttled
        }),
        endpoint().prop_map(|destination| EventKind::Connect { destination }),
        endpoint().prop_map(|destination| EventKind::Send { destination }),
        (file(), intent, any::<bool>(), any::<bool>()).prop_map(|(file, intent, created, attempt)| {
            EventKind::Open { file, intent, created, attempt }
        }),
        (file(), any::<bool>()).prop_map(|(file, attempt)| EventKind::Unlink { file, attempt }),
        (file(), path(), any::<bool>()).prop_map(|(file, new_path, attempt)| EventKind::Rename {
            file,
            new_path,
            attempt
        }),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: a row for each kind")]
fn act() -> impl Strategy<Value = EventKind> {
    let maybe_text = || option::of(text());
    let error = any::<Option<u32>>;
    prop_oneof![
        (
            select(FileAct::ALL),
            option::of(file()),
            option::of(path()),
            any::<u64>(),
            maybe_text(),
            any::<bool>(),
            error()
        )
            .prop_map(|(act, file, new_path, detail, text, attempt, error)| EventKind::File {
                act,
                file,
                new_path,
                detail,
                text,
                attempt,
                error
            }),
        (
            select(SocketAct::ALL),
            any::<(u16, u16, u64)>(),
            option::of(endpoint()),
            option::of(endpoint()),
            error()
        )
            .prop_map(|(act, (family, socket_type, cookie), local, remote, error)| {
                EventKind::Socket { act, family, socket_type, local, remote, cookie, error }
            }),
        (text(), any::<(bool, bool, Option<u32>)>(), option::of(key()), maybe_text(), maybe_text(), error())
            .prop_map(|(name, (datagram, peer_in_run, peer_uid), peer, peer_executable, service, error)| {
                EventKind::Unix {
                    name,
                    datagram,
                    peer,
                    peer_uid,
                    peer_in_run,
                    peer_executable,
                    service,
                    error,
                }
            }),
        (endpoint(), any::<bool>(), text(), text(), maybe_text(), vec(text(), 0..3)).prop_map(
            |(server, answer, name, record_type, code, answers)| EventKind::Dns {
                server,
                answer,
                name,
                record_type,
                code,
                answers
            }
        ),
        (endpoint(), text())
            .prop_map(|(destination, server_name)| EventKind::TlsHello { destination, server_name }),
        (select(TargetAct::ALL), key(), any::<(u32, bool, bool)>(), error()).prop_map(
            |(act, target, (code, target_in_run, attempt), error)| EventKind::Target {
                act,
                target,
                code,
                target_in_run,
                attempt,
                error
            }
        ),
        (select(KernelAct::ALL), any::<(u32, u64)>(), option::of(path()), maybe_text(), error()).prop_map(
            |(act, (code, detail), path, text, error)| EventKind::Kernel {
                act,
                code,
                detail,
                path,
                text,
                error
            }
        ),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    (text(), text(), text(), text(), any::<(bool, u64, u64)>(), process(), kind()).prop_map(
        |(id, run, agent_id, name, (critical, sequence, time_unix_ns), process, kind)| Event {
            id,
            run: RunId(run).into(),
            agent: AgentIdentity { id: agent_id, name }.into(),
            ring: if critical { Ring::Critical } else { Ring::Bulk },
            sequence,
            time_unix_ns,
            process: process.into(),
            kind,
        },
    )
}

fn signal() -> impl Strategy<Value = RunawaySignal> {
    let severity = prop_oneof![
        Just(Severity::Informational),
        Just(Severity::Low),
        Just(Severity::Medium),
        Just(Severity::High),
        Just(Severity::Critical),
    ];
    // Any bit pattern: NaN and infinities have no JSON number.
    let number = || any::<u64>().prop_map(f64::from_bits);
    let term = (text(), number(), text(), option::of(number())).prop_map(|(name, value, unit, limit)| Term {
        name,
        value,
        unit,
        limit,
    });
    (text(), number(), severity, text(), vec(term, 0..6)).prop_map(
        |(rule, confidence, severity, summary, arithmetic)| RunawaySignal {
            rule: rule.into(),
            confidence,
            severity,
            summary,
            arithmetic,
        },
    )
}

pub(crate) fn finding() -> impl Strategy<Value = Finding> {
    let tag = prop_oneof![
        Just("attack:T1499".to_owned()),
        Just("attack:T1499.001".to_owned()),
        Just("owasp-asi:ASI08".to_owned()),
        Just("atlas:AML.T0029".to_owned()),
        text(),
    ];
    ((text(), text(), text(), text()), any::<(u64, u64, bool)>(), signal(), vec(text(), 0..4), vec(tag, 0..5))
        .prop_map(
            |((id, run, agent_id, name), (time_unix_ns, since_unix_ns, complete), signal, evidence, tags)| {
                Finding {
                    id,
                    run: RunId(run),
                    agent: AgentIdentity { id: agent_id, name },
                    time_unix_ns,
                    since_unix_ns,
                    signal,
                    evidence,
                    tags,
                    complete,
                }
            },
        )
}
