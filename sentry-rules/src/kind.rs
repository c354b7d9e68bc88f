//! What an event is called: the names that `sentry events --type` takes, as a set of bits.

use sentry_detect::{
    act::{FileAct, KernelAct, SocketAct, TargetAct},
    event::{EventKind, OpenIntent},
};

macro_rules! verbs {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What lists of events call an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb { $($variant),+ }

        impl Verb {
            /// Every verb, in the order of the lists.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

verbs! {
    Fork = "fork",
    Exec = "exec",
    Seed = "seed",
    Outside = "outside",
    Exit = "exit",
    Move = "move",
    MakeCgroup = "mkcgroup",
    RemoveCgroup = "rmcgroup",
    Record = "record",
    Connect = "connect",
    Send = "send",
    Create = "create",
    Write = "write",
    Read = "read",
    Path = "path",
    Unlink = "unlink",
    Rename = "rename",
    File = "file",
    Socket = "socket",
    Unix = "unix",
    Dns = "dns",
    Tls = "tls",
    Process = "process",
    Kernel = "kernel",
}

/// An act of one of the four families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    File(FileAct),
    Socket(SocketAct),
    Target(TargetAct),
    Kernel(KernelAct),
}

/// Verbs and acts, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Types(u128);

const FILE: usize = Verb::ALL.len();
const SOCKET: usize = FILE + FileAct::ALL.len();
const TARGET: usize = SOCKET + SocketAct::ALL.len();
const KERNEL: usize = TARGET + TargetAct::ALL.len();
const _: () = assert!(KERNEL + KernelAct::ALL.len() <= 128, "a type is a bit");

/// Every name: verbs, then acts.
pub fn names() -> impl Iterator<Item = &'static str> {
    let acts = FileAct::ALL.iter().map(|act| act.name()).chain(SocketAct::ALL.iter().map(|act| act.name()));
    let acts = acts.chain(TargetAct::ALL.iter().map(|act| act.name()));
    let acts = acts.chain(KernelAct::ALL.iter().map(|act| act.name()));
    Verb::ALL.iter().map(|verb| verb.name()).chain(acts)
}

/// The verb and the act of an event.
#[must_use]
pub fn of(kind: &EventKind) -> (Verb, Option<Act>) {
    let plain = |verb| (verb, None);
    match kind {
        EventKind::Fork { .. } => plain(Verb::Fork),
        EventKind::Exec { .. } | EventKind::ExecFailed { .. } => plain(Verb::Exec),
        EventKind::Seed => plain(Verb::Seed),
        EventKind::StartedOutside { .. } => plain(Verb::Outside),
        EventKind::Exit { .. } => plain(Verb::Exit),
        EventKind::CgroupMove { .. } => plain(Verb::Move),
        EventKind::CgroupMake { .. } => plain(Verb::MakeCgroup),
        EventKind::CgroupRemove { .. } => plain(Verb::RemoveCgroup),
        EventKind::Completeness { .. } => plain(Verb::Record),
        EventKind::Connect { .. } => plain(Verb::Connect),
        EventKind::Send { .. } => plain(Verb::Send),
        EventKind::Open { intent, created, .. } => plain(of_open(intent, *created)),
        EventKind::Unlink { .. } => plain(Verb::Unlink),
        EventKind::Rename { .. } => plain(Verb::Rename),
        EventKind::File { act, .. } => (Verb::File, Some(Act::File(*act))),
        EventKind::Socket { act, .. } => (Verb::Socket, Some(Act::Socket(*act))),
        EventKind::Unix { .. } => plain(Verb::Unix),
        EventKind::Dns { .. } => plain(Verb::Dns),
        EventKind::TlsHello { .. } => plain(Verb::Tls),
        EventKind::Target { act, .. } => (Verb::Process, Some(Act::Target(*act))),
        EventKind::Kernel { act, .. } => (Verb::Kernel, Some(Act::Kernel(*act))),
    }
}

fn of_open(intent: &OpenIntent, created: bool) -> Verb {
    match (created, intent.path_only, intent.write || intent.truncate || intent.append) {
        (true, _, _) => Verb::Create,
        (false, true, _) => Verb::Path,
        (false, false, true) => Verb::Write,
        (false, false, false) => Verb::Read,
    }
}

/// The verb and the act that a name means: an act is of one verb.
#[must_use]
pub fn named(name: &str) -> Option<(Verb, Option<Act>)> {
    let verb = Verb::ALL.iter().find(|verb| verb.name() == name).map(|verb| (*verb, None));
    verb.or_else(|| FileAct::from_name(name).map(|act| (Verb::File, Some(Act::File(act)))))
        .or_else(|| SocketAct::from_name(name).map(|act| (Verb::Socket, Some(Act::Socket(act)))))
        .or_else(|| TargetAct::from_name(name).map(|act| (Verb::Process, Some(Act::Target(act)))))
        .or_else(|| KernelAct::from_name(name).map(|act| (Verb::Kernel, Some(Act::Kernel(act)))))
}

// === impl Act ===

impl Act {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File(act) => act.name(),
            Self::Socket(act) => act.name(),
            Self::Target(act) => act.name(),
            Self::Kernel(act) => act.name(),
        }
    }

    const fn bit(self) -> usize {
        match self {
            Self::File(act) => FILE + act as usize,
            Self::Socket(act) => SOCKET + act as usize,
            Self::Target(act) => TARGET + act as usize,
            Self::Kernel(act) => KERNEL + act as usize,
        }
    }
}

// === impl Types ===

impl Types {
    /// All that an event is called.
    #[must_use]
    pub fn of((verb, act): (Verb, Option<Act>)) -> Self {
        Self(1 << verb as usize | act.map_or(0, |act| 1 << act.bit()))
    }

    /// What a rule asks for by one name: an act alone, or a verb with whatever act.
    #[must_use]
    pub fn asked((verb, act): (Verb, Option<Act>)) -> Self {
        Self(1 << act.map_or(verb as usize, Act::bit))
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether they have one in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_events_are_searched_by() {
        assert_eq!(names().collect::<Vec<_>>(), sentry_story::types());
    }

    #[test]
    fn every_name_is_a_type_of_its_own() {
        let mut seen = Types::default();
        for name in names() {
            // A verb and one of its acts.
            if name == "socket" {
                continue;
            }
            let asked = named(name).map(Types::asked);
            assert!(asked.is_some_and(|asked| !asked.is_empty() && !asked.meets(seen)), "{name}");
            seen = seen.with(asked.unwrap_or_default());
        }
        assert_eq!(named("execve"), None);
    }

    #[test]
    fn an_act_is_also_of_its_verb_and_not_the_other_way_round() {
        let chmod = named("chmod").map(Types::of).unwrap_or_default();
        let asked = |name| named(name).map(Types::asked).unwrap_or_default();
        assert!(chmod.meets(asked("chmod")) && chmod.meets(asked("file")) && !chmod.meets(asked("link")));
    }
}
