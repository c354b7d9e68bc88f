//! What an event is called, and which paths and addresses it is about.

use sentry_detect::act::{FileAct, KernelAct, SocketAct, TargetAct};
use sentry_proto::v1::{self, event::Kind};

use crate::text::path_of;

/// What an event is about, as a search asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    /// What lists of events call it: one of [`VERBS`].
    pub(crate) verb: &'static str,
    /// The act, of a kind that is a family of acts.
    pub(crate) act: Option<&'a str>,
    pub(crate) paths: [Option<&'a str>; 2],
    /// The other side.
    pub(crate) endpoint: Option<&'a v1::Endpoint>,
    /// The host name that the event itself has.
    pub(crate) name: Option<&'a str>,
}

/// Every [`About::verb`].
pub(crate) const VERBS: [&str; 24] = [
    "fork", "exec", "seed", "outside", "exit", "move", "mkcgroup", "rmcgroup", "record", "connect", "send",
    "create", "write", "read", "path", "unlink", "rename", "file", "socket", "unix", "dns", "tls", "process",
    "kernel",
];

/// What an event is called, as lists of events show it.
#[must_use]
pub fn verb(kind: &Kind) -> &'static str {
    about(kind).verb
}

/// Every type that a search may ask for: verbs, then acts.
#[must_use]
pub fn types() -> Vec<&'static str> {
    let acts = FileAct::ALL.iter().map(|act| act.name()).chain(SocketAct::ALL.iter().map(|act| act.name()));
    let acts = acts.chain(TargetAct::ALL.iter().map(|act| act.name()));
    let acts = acts.chain(KernelAct::ALL.iter().map(|act| act.name()));
    VERBS.into_iter().chain(acts).collect()
}

/// Whether a search may ask for this type: a verb or an act.
pub(crate) fn is_type(name: &str) -> bool {
    VERBS.contains(&name)
        || FileAct::from_name(name).is_some()
        || SocketAct::from_name(name).is_some()
        || TargetAct::from_name(name).is_some()
        || KernelAct::from_name(name).is_some()
}

pub(crate) fn about(kind: &Kind) -> About<'_> {
    let of = |verb| About { verb, ..About::default() };
    let at = |verb, one, other| About { paths: [one, other], ..of(verb) };
    match kind {
        Kind::Fork(_) => of("fork"),
        Kind::Exec(exec) => at("exec", text(exec.requested.as_ref()), path_of(exec.script.as_ref())),
        Kind::ExecFailed(failed) => at("exec", text(failed.path.as_ref()), None),
        Kind::Seed(_) => of("seed"),
        Kind::StartedOutside(_) => of("outside"),
        Kind::Exit(_) => of("exit"),
        Kind::CgroupMove(_) => of("move"),
        Kind::CgroupMake(_) => of("mkcgroup"),
        Kind::CgroupRemove(_) => of("rmcgroup"),
        Kind::Completeness(_) => of("record"),
        Kind::Connect(connect) => About { endpoint: connect.destination.as_ref(), ..of("connect") },
        Kind::Send(send) => About { endpoint: send.destination.as_ref(), ..of("send") },
        Kind::Open(open) => at(open_verb(open), path_of(open.file.as_ref()), None),
        Kind::Unlink(unlink) => at("unlink", path_of(unlink.file.as_ref()), None),
        Kind::Rename(rename) => at("rename", path_of(rename.file.as_ref()), text(rename.new_path.as_ref())),
        Kind::File(act) => About {
            act: Some(&act.act),
            ..at("file", path_of(act.file.as_ref()), text(act.new_path.as_ref()))
        },
        Kind::Socket(act) => About {
            act: Some(&act.act),
            endpoint: act.remote.as_ref().or(act.local.as_ref()),
            ..of("socket")
        },
        Kind::Unix(unix) => at("unix", Some(&unix.name), None),
        Kind::Dns(dns) => About { endpoint: dns.server.as_ref(), name: Some(&dns.name), ..of("dns") },
        Kind::TlsHello(hello) => {
            About { endpoint: hello.destination.as_ref(), name: Some(&hello.server_name), ..of("tls") }
        }
        Kind::Target(act) => About { act: Some(&act.act), ..of("process") },
        Kind::Kernel(act) => About { act: Some(&act.act), ..at("kernel", text(act.path.as_ref()), None) },
    }
}

fn open_verb(open: &v1::Open) -> &'static str {
    let intent = open.intent.unwrap_or_default();
    match (open.created, intent.path_only, intent.write || intent.truncate || intent.append) {
        (true, _, _) => "create",
        // O_PATH: a place in the file system, and nothing of the content.
        (false, true, _) => "path",
        (false, false, true) => "write",
        (false, false, false) => "read",
    }
}

fn text(path: Option<&v1::Path>) -> Option<&str> {
    path.map(|path| path.text.as_str())
}
