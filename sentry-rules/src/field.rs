//! What of an event a rule may ask for: each field once, with its kind and the events that have it.

use std::borrow::Cow;

use sentry_detect::{
    act::TargetAct,
    event::{Endpoint, Event, EventKind},
};

use crate::kind::{self, Types, Verb};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Of texts.
    List,
    Number,
    Flag,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    List(&'a [String]),
    Number(i64),
    Flag(bool),
}

/// Something that rules are judged by: an event, or what a case says of one.
pub trait Facts: Sync {
    /// Verb and act.
    fn types(&self) -> Types;

    /// `None`: it is not known, or an event of this type has none.
    fn get(&self, field: Field) -> Option<Value<'_>>;
}

macro_rules! fields {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal: $kind:ident of [$($verb:ident),*];)+) => {
        /// What a rule may ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Field { $($(#[doc = $meaning])+ $variant),+ }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),+ }
            }

            /// The events that have it; empty: all.
            #[must_use]
            pub const fn verbs(self) -> &'static [Verb] {
                match self { $(Self::$variant => &[$(Verb::$verb),*]),+ }
            }

            /// For the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+)),+ }
            }
        }
    };
}

fields! {
    /// what lists of events call it, such as `exec`
    Type = "type": Text of [];
    /// the act, such as `chmod`
    Act = "act": Text of [File, Socket, Process, Kernel];
    /// name of the agent
    Agent = "agent": Text of [];
    /// path of the program of the acting process
    Exe = "exe": Text of [];
    /// its command line, with a space between two arguments
    Command = "command": Text of [];
    /// its arguments
    Argv = "argv": List of [];
    /// its working directory
    Cwd = "cwd": Text of [];
    /// its user
    Uid = "uid": Number of [];
    /// its effective user
    Euid = "euid": Number of [];
    /// its group
    Gid = "gid": Number of [];
    /// its process id
    Pid = "pid": Number of [];
    /// that of its parent
    Parent = "parent": Number of [];
    /// what it was done to: a file, a unix socket, a cgroup; of an `exec`, the program
    Path = "path": Text of [
        Exec, Create, Write, Read, Path, Unlink, Rename, File, Unix, Kernel, Move, MakeCgroup, RemoveCgroup
    ];
    /// the second name
    NewPath = "new_path": Text of [Rename, File];
    /// the script that was executed
    Script = "script": Text of [Exec];
    /// target of a symlink, name of an attribute, what a kernel act names
    Text = "text": Text of [File, Kernel];
    /// address of the other side
    Address = "address": Text of [Connect, Send, Socket, Dns, Tls];
    /// its port
    Port = "port": Number of [Connect, Send, Socket, Dns, Tls];
    /// 6 is TCP, 17 is UDP
    Protocol = "protocol": Number of [Connect, Send, Socket, Dns, Tls];
    /// address of this side
    LocalAddress = "local_address": Text of [Socket];
    /// its port
    LocalPort = "local_port": Number of [Socket];
    /// the name that was asked for
    Name = "name": Text of [Dns, Tls];
    /// `A`, `AAAA`, `TXT` and so on
    RecordType = "record_type": Text of [Dns];
    /// `NOERROR`, `NXDOMAIN` and so on
    Code = "code": Text of [Dns];
    /// an answer came in; else a question went out
    Answer = "answer": Flag of [Dns];
    /// addresses and names of the answer
    Answers = "answers": List of [Dns];
    /// errno of what was refused; 0 where nothing was
    Error = "error": Number of [Exec, File, Socket, Unix, Process, Kernel];
    /// it is not certain that it happened
    Attempt = "attempt": Flag of [Create, Write, Read, Path, Unlink, Rename, File, Process];
    /// the file was emptied
    Truncate = "truncate": Flag of [Create, Write];
    /// it is only added to
    Append = "append": Flag of [Create, Write];
    /// exit code
    ExitCode = "exit_code": Number of [Exit];
    /// the signal that ended it, or was sent
    Signal = "signal": Number of [Exit, Process];
    /// process id of the other process
    Target = "target": Number of [Process];
    /// it is in the run
    TargetInRun = "target_in_run": Flag of [Process];
    /// the known service behind a unix socket, such as `docker`
    Service = "service": Text of [Unix];
    /// its user
    PeerUid = "peer_uid": Number of [Unix];
    /// its program
    PeerExe = "peer_exe": Text of [Unix];
    /// it is in the run
    PeerInRun = "peer_in_run": Flag of [Unix];
    /// by act: size, mode, protection bits, flags
    Detail = "detail": Number of [File, Kernel];
    /// the cgroup that it moved to is the run's
    InRun = "in_run": Flag of [Move];
}

// === impl Field ===

impl Field {
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Whether events of this verb have it.
    #[must_use]
    pub fn is_of(self, verb: Verb) -> bool {
        self.verbs().is_empty() || self.verbs().contains(&verb)
    }
}

// === impl Kind ===

impl Kind {
    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::List => "a list of texts",
            Self::Number => "a number",
            Self::Flag => "true or false",
        }
    }
}

impl Kind {
    /// For programs, and in a list.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::List => "list",
            Self::Number => "number",
            Self::Flag => "flag",
        }
    }
}

// === impl Value ===

impl Value<'_> {
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::List(_) => Kind::List,
            Self::Number(_) => Kind::Number,
            Self::Flag(_) => Kind::Flag,
        }
    }
}

impl Facts for Event {
    fn types(&self) -> Types {
        Types::of(kind::of(&self.kind))
    }

    fn get(&self, field: Field) -> Option<Value<'_>> {
        let process = &*self.process;
        let kind = &self.kind;
        let number = |number: Option<u32>| number.map(|number| Value::Number(number.into()));
        match field {
            Field::Type => text(kind::of(kind).0.name()),
            Field::Act => text(kind::of(kind).1?.name()),
            Field::Agent => text(&self.agent.name),
            Field::Exe => text(&process.executable.as_ref()?.path.text),
            Field::Command => Some(Value::Text(process.argv.as_ref()?.arguments.join(" ").into())),
            Field::Argv => Some(Value::List(&process.argv.as_ref()?.arguments)),
            Field::Cwd => text(&process.cwd.as_ref()?.text),
            Field::Uid => number(process.uid),
            Field::Euid => number(process.euid),
            Field::Gid => number(process.gid),
            Field::Pid => number(Some(process.key.tgid)),
            Field::Parent => number(Some(process.parent.as_ref()?.tgid)),
            Field::Path => path(self),
            Field::NewPath | Field::Script | Field::Text => of_file(kind, field),
            Field::Address | Field::Port | Field::Protocol | Field::LocalAddress | Field::LocalPort => {
                of_network(kind, field)
            }
            Field::Name | Field::RecordType | Field::Code | Field::Answer | Field::Answers => {
                of_name(kind, field)
            }
            Field::Error => error(kind),
            Field::Attempt => attempt(kind),
            Field::Truncate | Field::Append => of_intent(kind, field),
            Field::ExitCode | Field::Signal | Field::Target | Field::TargetInRun => of_process(kind, field),
            Field::Service | Field::PeerUid | Field::PeerExe | Field::PeerInRun => of_unix(kind, field),
            Field::Detail => match kind {
                EventKind::File { detail, .. } | EventKind::Kernel { detail, .. } => {
                    Some(Value::Number(i64::try_from(*detail).unwrap_or(i64::MAX)))
                }
                _ => None,
            },
            Field::InRun => match kind {
                EventKind::CgroupMove { in_run, .. } => Some(Value::Flag(*in_run)),
                _ => None,
            },
        }
    }
}

fn text(text: &str) -> Option<Value<'_>> {
    Some(Value::Text(text.into()))
}

fn path(event: &Event) -> Option<Value<'_>> {
    match &event.kind {
        EventKind::Exec { requested, .. } => {
            let executed = event.process.executable.as_ref().map(|file| &file.path);
            text(&executed.or(requested.as_ref())?.text)
        }
        EventKind::ExecFailed { path, .. } => text(&path.text),
        EventKind::Open { file, .. } | EventKind::Unlink { file, .. } | EventKind::Rename { file, .. } => {
            text(&file.path.text)
        }
        EventKind::File { file, .. } => text(&file.as_ref()?.path.text),
        EventKind::Unix { name, .. } => text(name),
        EventKind::Kernel { path, .. } => text(&path.as_ref()?.text),
        EventKind::CgroupMove { path, .. }
        | EventKind::CgroupMake { path, .. }
        | EventKind::CgroupRemove { path, .. } => text(path),
        EventKind::Fork { .. }
        | EventKind::Exit { .. }
        | EventKind::Seed
        | EventKind::StartedOutside { .. }
        | EventKind::Completeness { .. }
        | EventKind::Connect { .. }
        | EventKind::Send { .. }
        | EventKind::Socket { .. }
        | EventKind::Dns { .. }
        | EventKind::TlsHello { .. }
        | EventKind::Target { .. } => None,
    }
}

fn of_file(kind: &EventKind, field: Field) -> Option<Value<'_>> {
    match (field, kind) {
        (Field::NewPath, EventKind::Rename { new_path, .. }) => text(&new_path.text),
        (Field::NewPath, EventKind::File { new_path, .. }) => text(&new_path.as_ref()?.text),
        (Field::Script, EventKind::Exec { script, .. }) => text(&script.as_ref()?.path.text),
        (Field::Text, EventKind::File { text: words, .. } | EventKind::Kernel { text: words, .. }) => {
            text(words.as_ref()?)
        }
        _ => None,
    }
}

fn of_network(kind: &EventKind, field: Field) -> Option<Value<'_>> {
    let (remote, local) = match kind {
        EventKind::Connect { destination }
        | EventKind::Send { destination }
        | EventKind::TlsHello { destination, .. } => (Some(destination), None),
        EventKind::Dns { server, .. } => (Some(server), None),
        EventKind::Socket { remote, local, .. } => (remote.as_ref(), local.as_ref()),
        _ => (None, None),
    };
    let address = |side: &Endpoint| Value::Text(side.address.to_string().into());
    match field {
        Field::Address => remote.map(address),
        Field::Port => remote.map(|side| Value::Number(side.port.into())),
        Field::Protocol => remote.or(local).map(|side| Value::Number(side.protocol.into())),
        Field::LocalAddress => local.map(address),
        Field::LocalPort => local.map(|side| Value::Number(side.port.into())),
        _ => None,
    }
}

fn of_name(kind: &EventKind, field: Field) -> Option<Value<'_>> {
    match (kind, field) {
        (EventKind::TlsHello { server_name, .. }, Field::Name) => text(server_name),
        (EventKind::Dns { name, .. }, Field::Name) => text(name),
        (EventKind::Dns { record_type, .. }, Field::RecordType) => text(record_type),
        (EventKind::Dns { code, .. }, Field::Code) => text(code.as_ref()?),
        (EventKind::Dns { answer, .. }, Field::Answer) => Some(Value::Flag(*answer)),
        (EventKind::Dns { answers, .. }, Field::Answers) => Some(Value::List(answers)),
        _ => None,
    }
}

fn error(kind: &EventKind) -> Option<Value<'static>> {
    let error = match kind {
        EventKind::Exec { .. } => 0,
        EventKind::ExecFailed { error, .. } => *error,
        EventKind::File { error, .. }
        | EventKind::Socket { error, .. }
        | EventKind::Unix { error, .. }
        | EventKind::Target { error, .. }
        | EventKind::Kernel { error, .. } => error.unwrap_or(0),
        _ => return None,
    };
    Some(Value::Number(error.into()))
}

fn attempt(kind: &EventKind) -> Option<Value<'static>> {
    match kind {
        EventKind::Open { attempt, .. }
        | EventKind::Unlink { attempt, .. }
        | EventKind::Rename { attempt, .. }
        | EventKind::File { attempt, .. }
        | EventKind::Target { attempt, .. } => Some(Value::Flag(*attempt)),
        _ => None,
    }
}

fn of_intent(kind: &EventKind, field: Field) -> Option<Value<'static>> {
    let EventKind::Open { intent, .. } = kind else { return None };
    Some(Value::Flag(if field == Field::Append { intent.append } else { intent.truncate }))
}

fn of_process(kind: &EventKind, field: Field) -> Option<Value<'static>> {
    match (kind, field) {
        (EventKind::Exit { code, .. }, Field::ExitCode) => code.map(|code| Value::Number(code.into())),
        (EventKind::Exit { signal, .. }, Field::Signal) => signal.map(|signal| Value::Number(signal.into())),
        (EventKind::Target { act: TargetAct::Signal, code, .. }, Field::Signal) => {
            Some(Value::Number((*code).into()))
        }
        (EventKind::Target { target, .. }, Field::Target) => Some(Value::Number(target.tgid.into())),
        (EventKind::Target { target_in_run, .. }, Field::TargetInRun) => Some(Value::Flag(*target_in_run)),
        _ => None,
    }
}

fn of_unix(kind: &EventKind, field: Field) -> Option<Value<'_>> {
    let EventKind::Unix { service, peer_uid, peer_executable, peer_in_run, .. } = kind else { return None };
    match field {
        Field::Service => text(service.as_ref()?),
        Field::PeerUid => peer_uid.map(|uid| Value::Number(uid.into())),
        Field::PeerExe => text(peer_executable.as_ref()?),
        Field::PeerInRun => Some(Value::Flag(*peer_in_run)),
        _ => None,
    }
}
