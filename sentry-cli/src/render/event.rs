//! One event on one line.

use sentry_proto::{
    convert::endpoint_text as endpoint,
    v1::{self, event::Kind},
};
use sentry_story::verb;
use sentry_view::{path::base_name, time};

use super::{
    BOLD, DIM, act, command_line, paint,
    part::{attempt, error, path, path_of, signal},
    safe,
};

/// `18:52:03.123  claude  git[1234]  exec  /usr/bin/git: git status`
pub(crate) fn line(event: &v1::Event) -> String {
    let name = event.agent.as_ref().map_or("", |agent| agent.name.as_str());
    let Described { pid, program, verb, rest } = describe(event);
    let who = format!("{}[{pid}]", safe(&program));
    let clock = paint(DIM, &time::clock(event.time_unix_ns));
    format!("{clock}  {:<12}  {who:<20}  {}  {rest}\n", safe(name), paint(BOLD, &format!("{verb:<8}")))
}

/// The same with the date and without columns, as a title.
pub(crate) fn title(event: &v1::Event) -> String {
    let name = event.agent.as_ref().map_or("", |agent| agent.name.as_str());
    let Described { pid, program, verb, rest } = describe(event);
    let when = paint(DIM, &time::utc(event.time_unix_ns));
    format!("{when}  {}  {}[{pid}]  {}  {rest}\n", safe(name), safe(&program), paint(BOLD, verb))
}

/// The same with date, id, user and parent. The id begins with that of the run.
pub(crate) fn long(event: &v1::Event) -> String {
    let name = event.agent.as_ref().map_or("", |agent| agent.name.as_str());
    let Described { pid, program, verb, rest } = describe(event);
    let process = event.process.as_ref();
    let number = |number: Option<u32>| number.map_or_else(|| "?".into(), |number| number.to_string());
    let uid = number(process.and_then(|process| process.uid));
    let parent = number(process.and_then(|process| process.parent).map(|parent| parent.tgid));
    let when = paint(DIM, &time::utc(event.time_unix_ns));
    format!(
        "{when}  {}  {}  uid {uid}  {}[{pid}] of {parent}  {}  {rest}\n",
        safe(&event.id),
        safe(name),
        safe(&program),
        paint(BOLD, verb),
    )
}

/// The head of [`csv`].
pub(crate) const CSV_HEAD: &str = "time,run,agent,uid,pid,program,type,what,id\r\n";

/// One record of RFC 4180.
pub(crate) fn csv(event: &v1::Event) -> String {
    let Described { pid, verb, rest, .. } = describe(event);
    let process = event.process.as_ref();
    let program = path_of(process.and_then(|process| process.executable.as_ref()));
    let uid = process.and_then(|process| process.uid).map(|uid| uid.to_string()).unwrap_or_default();
    let name = event.agent.as_ref().map_or("", |agent| agent.name.as_str());
    let fields =
        [&time::rfc3339(event.time_unix_ns), &event.run, name, &uid, &pid, &program, verb, &rest, &event.id];
    let quoted = fields.map(|field| format!("\"{}\"", safe(field).replace('"', "\"\"")));
    quoted.join(",") + "\r\n"
}

/// What every form says of an event.
struct Described {
    pid: String,
    /// Name of the program's file.
    program: String,
    verb: &'static str,
    rest: String,
}

fn describe(event: &v1::Event) -> Described {
    let process = event.process.as_ref();
    let pid = process.and_then(|process| process.key).map_or_else(|| "?".into(), |key| key.tgid.to_string());
    let path = process
        .and_then(|process| process.executable.as_ref())
        .and_then(|file| file.path.as_ref())
        .map_or("?", |path| path.text.as_str());
    let program = base_name(path).to_owned();
    match &event.kind {
        Some(kind) => Described { pid, program, verb: verb(kind), rest: what(kind, process) },
        None => Described { pid, program, verb: "unknown", rest: "an event of a newer sensor".into() },
    }
}

fn what(kind: &Kind, process: Option<&v1::Process>) -> String {
    match kind {
        Kind::Fork(fork) => {
            let child = fork.child.map_or_else(|| "?".into(), |child| child.tgid.to_string());
            format!("child {child}")
        }
        Kind::Exec(_) | Kind::Seed(_) => image(process),
        Kind::StartedOutside(started) => {
            let asked = started.asked.map_or_else(|| "?".into(), |asked| asked.tgid.to_string());
            format!(
                "{} (started by process {asked}, which the run had contacted, or by its descendant)",
                image(process)
            )
        }
        Kind::Exit(exit) => match (exit.code, exit.signal) {
            (_, Some(number)) => format!("by {}", signal(number)),
            (Some(code), None) => format!("code {code}"),
            (None, None) => String::new(),
        },
        Kind::CgroupMove(moved) => {
            let note = if moved.in_run { "within the run" } else { "out of the run's cgroup" };
            format!("{} ({note})", safe(&moved.path))
        }
        Kind::CgroupMake(made) => safe(&made.path),
        Kind::CgroupRemove(removed) => safe(&removed.path),
        Kind::Completeness(state) => {
            let what =
                if state.missing { "events are missing from here on" } else { "events are whole again" };
            format!("{what}: {} lost, {} throttled so far", state.lost, state.throttled)
        }
        Kind::Connect(connect) => endpoint(connect.destination.as_ref()),
        Kind::Send(send) => endpoint(send.destination.as_ref()),
        Kind::Open(open) => format!("{}{}", path_of(open.file.as_ref()), attempt(open.attempt)),
        Kind::Unlink(unlink) => format!("{}{}", path_of(unlink.file.as_ref()), attempt(unlink.attempt)),
        Kind::Rename(rename) => {
            let new = rename.new_path.as_ref().map_or_else(|| "?".into(), path);
            format!("{} → {new}{}", path_of(rename.file.as_ref()), attempt(rename.attempt))
        }
        Kind::ExecFailed(failed) => {
            let asked = failed.path.as_ref().map_or_else(|| "?".into(), path);
            format!("{asked}{}", error(Some(failed.error)))
        }
        Kind::File(file) => act::file(file),
        Kind::Socket(socket) => act::socket(socket),
        Kind::Unix(unix) => act::unix(unix),
        Kind::Dns(dns) => act::dns(dns),
        Kind::TlsHello(hello) => {
            format!("{} {}", safe(&hello.server_name), endpoint(hello.destination.as_ref()))
        }
        Kind::Target(target) => act::target(target),
        Kind::Kernel(kernel) => act::kernel(kernel),
    }
}

/// The program and its arguments.
fn image(process: Option<&v1::Process>) -> String {
    let Some(process) = process else { return "?".into() };
    let program = path_of(process.executable.as_ref());
    match &process.argv {
        Some(argv) => {
            let cut = if argv.truncated { " …" } else { "" };
            format!("{program}: {}{cut}", command_line(&argv.arguments))
        }
        None => program,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::out::plain;

    fn event(kind: Kind) -> v1::Event {
        let path = |text: &str| v1::Path { text: text.into(), source: 1, truncated: false };
        v1::Event {
            agent: Some(v1::Agent { id: "claude".into(), name: "claude".into() }),
            time_unix_ns: 1_763_664_723_123_456_789,
            process: Some(v1::Process {
                key: Some(v1::ProcessKey { tgid: 1234, start_boot_ns: 1 }),
                executable: Some(v1::File { path: Some(path("/usr/bin/git")), key: None }),
                argv: Some(v1::Argv {
                    arguments: vec!["git".into(), "commit".into(), "-m".into(), "a b".into()],
                    truncated: true,
                    full_length_bytes: 99,
                }),
                ..v1::Process::default()
            }),
            kind: Some(kind),
            ..v1::Event::default()
        }
    }

    #[test]
    fn a_record_of_csv_is_quoted_whatever_an_agent_wrote() {
        let mut event = event(Kind::Exec(v1::Exec::default()));
        (event.run, event.id) = ("r".into(), "r-c-1".into());
        event.process.as_mut().unwrap().argv.as_mut().unwrap().arguments =
            vec!["a\"b".into(), "c,d\n".into()];
        let expected = "\"2025-11-20T18:52:03.123Z\",\"r\",\"claude\",\"\",\"1234\",\"/usr/bin/git\",\"exec\",\
                        \"/usr/bin/git: 'a\"\"b' 'c,d\\u{a}' …\",\"r-c-1\"\r\n";
        assert_eq!(csv(&event), expected);
    }

    #[test]
    fn the_long_form_has_date_id_user_and_parent() {
        let mut event = event(Kind::Exit(v1::Exit { code: Some(3), signal: None }));
        event.id = "r-c-1".into();
        event.process.as_mut().unwrap().uid = Some(7);
        let text = plain(&long(&event)).unwrap();
        assert_eq!(text, "2025-11-20 18:52:03.123Z  r-c-1  claude  uid 7  git[1234] of ?  exit  code 3\n");
    }

    #[test]
    fn golden_lines() {
        let file = |text: &str, source: i32| {
            Some(v1::File { path: Some(v1::Path { text: text.into(), source, truncated: false }), key: None })
        };
        let address =
            |address: &[u8], port, protocol| Some(v1::Endpoint { address: address.to_vec(), port, protocol });
        let read = v1::OpenIntent { read: true, ..v1::OpenIntent::default() };
        let write = v1::OpenIntent { write: true, ..v1::OpenIntent::default() };
        let golden = [
            (Kind::Exec(v1::Exec::default()), "exec      /usr/bin/git: git commit -m 'a b' …"),
            (
                Kind::Fork(v1::Fork { child: Some(v1::ProcessKey { tgid: 9, start_boot_ns: 0 }) }),
                "fork      child 9",
            ),
            (Kind::Exit(v1::Exit { code: Some(3), signal: None }), "exit      code 3"),
            (Kind::Exit(v1::Exit { code: None, signal: Some(9) }), "exit      by SIGKILL"),
            (
                Kind::Connect(v1::Connect { destination: address(&[10, 0, 0, 1], 443, 6) }),
                "connect   10.0.0.1:443 tcp",
            ),
            (Kind::Send(v1::Send { destination: address(&[0; 16], 53, 17) }), "send      [::]:53 udp"),
            (Kind::Send(v1::Send { destination: address(&[10, 0, 0, 1], 0, 1) }), "send      10.0.0.1 icmp"),
            (
                Kind::Open(v1::Open {
                    file: file("/etc/passwd", 1),
                    intent: Some(read),
                    ..v1::Open::default()
                }),
                "read      /etc/passwd",
            ),
            (
                Kind::Open(v1::Open {
                    file: file("/x\x1b[1m", 2),
                    intent: Some(write),
                    attempt: true,
                    ..v1::Open::default()
                }),
                "write     /x\\u{1b}[1m (as given) (attempt)",
            ),
            (
                Kind::Rename(v1::Rename {
                    file: file("/a", 1),
                    new_path: file("/b", 1).unwrap().path,
                    attempt: false,
                }),
                "rename    /a → /b",
            ),
            (
                Kind::CgroupMove(v1::CgroupMove { path: "/out".into(), ..v1::CgroupMove::default() }),
                "move      /out (out of the run's cgroup)",
            ),
        ];
        for (kind, expected) in golden {
            let text = plain(&line(&event(kind))).unwrap();
            assert_eq!(text, format!("18:52:03.123  claude        git[1234]             {expected}\n"));
        }
        assert_eq!(
            plain(&line(&v1::Event::default())).unwrap(),
            "00:00:00.000                ?[?]                  unknown   an event of a newer sensor\n"
        );
    }
}
