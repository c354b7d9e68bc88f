//! What stands behind a finding.

use std::collections::HashMap;

use sentry_proto::v1::{self, event::Kind};
use sentry_view::{Cause, CauseSort, Doer, Finding, Tally};

use crate::{
    about::about,
    descent::{Descent, command_line, cut},
    network::address_of,
    process::{Key, key},
    story::{Knowledge, Story},
    text::path_of,
};

/// Different acts, and processes, that are counted.
const COUNTED: usize = 10_000;
/// Of each list that is shown.
const SHOWN: usize = 4;

/// Counts what a run did in the time that a finding counts, and who. Every event of the run up to
/// the finding has to be shown, in order.
#[derive(Debug)]
pub struct Causes<'a> {
    since_unix_ns: u64,
    until_unix_ns: u64,
    /// The finding is about this event, and not about how much there was.
    only: Option<String>,
    /// What the finding counts.
    sorts: &'static [CauseSort],
    story: Story<'a>,
    descent: Descent,
    counts: HashMap<CauseSort, Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    acts: HashMap<String, u64>,
    by: HashMap<Key, (u64, Option<u32>)>,
}

impl<'a> Causes<'a> {
    #[must_use]
    pub fn behind(knowledge: &'a Knowledge, finding: &Finding) -> Self {
        let only = match finding.evidence.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        Self {
            since_unix_ns: finding.since_unix_ns.0,
            until_unix_ns: finding.time_unix_ns.0,
            only,
            sorts: sorts(&finding.rule),
            story: Story::new(knowledge, &[]),
            descent: Descent::default(),
            counts: HashMap::new(),
        }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &v1::Event) {
        if event.time_unix_ns > self.until_unix_ns {
            return;
        }
        let actor = key(event.process.as_ref().and_then(|process| process.key.as_ref()));
        self.story.event(event);
        self.descent.event(event);
        if event.time_unix_ns >= self.since_unix_ns
            && self.only.as_ref().is_none_or(|id| *id == event.id)
            && let Some(kind) = &event.kind
        {
            self.count(kind, actor, event);
        }
    }

    fn count(&mut self, kind: &Kind, actor: Key, event: &v1::Event) {
        let Some((sort, what)) = act(kind, event) else { return };
        // What executes a program is in most cases only there for that.
        let doer = match sort {
            CauseSort::Programs => self.descent.parent(actor).unwrap_or(actor),
            _ => actor,
        };
        let call = self.story.call(doer);
        let counts = self.counts.entry(sort).or_default();
        counts.total += 1;
        if counts.acts.len() < COUNTED || counts.acts.contains_key(&what) {
            *counts.acts.entry(what).or_default() += 1;
        }
        if counts.by.len() < COUNTED || counts.by.contains_key(&doer) {
            let (acts, of_call) = counts.by.entry(doer).or_default();
            *acts += 1;
            *of_call = call;
        }
    }

    /// What was done most; `None` where nothing was recorded in that time.
    #[must_use]
    pub fn finish(mut self) -> Option<Cause> {
        let total = |sort| self.counts.get(&sort).map_or(0, |counts: &Counts| counts.total);
        // A program that is executed was born before: the two are one act.
        let programs = total(CauseSort::Programs);
        if programs * 2 >= total(CauseSort::Births) && programs > 0 {
            self.counts.remove(&CauseSort::Births);
        }
        let total = |sort: &CauseSort| self.counts.get(sort).map_or(0, |counts| counts.total);
        let sort = self.sorts.iter().copied().rev().max_by_key(total)?;
        let Counts { total, acts, by } = self.counts.remove(&sort)?;
        let acts = top(acts).into_iter().map(|(what, count)| Tally { what, count }).collect();
        let descent = self.descent;
        let calls = self.story.finish(&[]).calls;
        let by = top(by).into_iter().map(|(doer, (acts, call))| Doer {
            pid: doer.0,
            acts,
            call,
            call_command: calls
                .iter()
                .find(|known| Some(known.number) == call)
                .map(|call| cut(&call.command)),
            ancestry: commands(&descent, doer),
        });
        Some(Cause { sort, total, acts, by: by.collect(), ..Cause::default() })
    }
}

/// What a rule counts; anything, for one that is not known here.
fn sorts(rule: &str) -> &'static [CauseSort] {
    use CauseSort::{Births, Files, Network, Other, Programs};
    match rule {
        "exec-loop" => &[Programs],
        "spawn-storm" => &[Programs, Births],
        "call-flood" => &[Files, Network],
        "connect-storm" | "scan" | "dns-tunnel" => &[Network],
        "nested-agents" | "leftovers" => &[Programs],
        _ => &[Programs, Births, Files, Network, Other],
    }
}

/// The sort of an act, and what it is.
fn act(kind: &Kind, event: &v1::Event) -> Option<(CauseSort, String)> {
    let about = about(kind);
    let on = |what: Option<&str>| format!("{} {}", about.act.unwrap_or(about.verb), what.unwrap_or_default());
    let sort = match kind {
        Kind::Exec(_) => {
            let command = event.process.as_ref().and_then(command_line);
            return Some((CauseSort::Programs, command.unwrap_or_else(|| "unknown".to_owned())));
        }
        Kind::Fork(_) => {
            let path = event.process.as_ref().and_then(|process| path_of(process.executable.as_ref()));
            return Some((CauseSort::Births, format!("child of {}", path.unwrap_or("unknown"))));
        }
        Kind::Open(_) | Kind::Unlink(_) | Kind::Rename(_) | Kind::File(_) | Kind::ExecFailed(_) => {
            CauseSort::Files
        }
        Kind::Connect(_) | Kind::Send(_) | Kind::Socket(_) | Kind::Dns(_) | Kind::TlsHello(_) => {
            let to = about.endpoint.and_then(|endpoint| {
                address_of(endpoint)
                    .map(|address| std::net::SocketAddr::new(address, endpoint.port as u16).to_string())
            });
            return Some((CauseSort::Network, on(about.name.or(to.as_deref()))));
        }
        Kind::Unix(_) | Kind::Target(_) | Kind::Kernel(_) => CauseSort::Other,
        // These follow from the others.
        Kind::Exit(_)
        | Kind::Seed(_)
        | Kind::StartedOutside(_)
        | Kind::CgroupMove(_)
        | Kind::CgroupMake(_)
        | Kind::CgroupRemove(_)
        | Kind::Completeness(_) => return None,
    };
    Some((sort, on(about.paths[0])))
}

/// The most frequent ones; of equal ones the first by name.
fn top<K: Ord, C: Ord>(counts: HashMap<K, C>) -> Vec<(K, C)> {
    let mut all: Vec<(K, C)> = counts.into_iter().collect();
    all.sort_by(|(name, count), (other, others)| others.cmp(count).then(name.cmp(other)));
    all.truncate(SHOWN);
    all
}

/// Command lines from the first known ancestor down. A process that executed nothing has its
/// parent's.
fn commands(descent: &Descent, process: Key) -> Vec<String> {
    let mut commands: Vec<String> =
        descent.ancestry(process).into_iter().filter_map(|ancestor| ancestor.command).collect();
    commands.dedup();
    commands
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn process(pid: u32, words: &[&str]) -> v1::Process {
        let path = v1::Path { text: words[0].to_owned(), ..v1::Path::default() };
        let arguments = words.iter().map(|&word| word.to_owned()).collect();
        v1::Process {
            key: Some(v1::ProcessKey { tgid: pid, start_boot_ns: u64::from(pid) }),
            executable: Some(v1::File { path: Some(path), key: None }),
            argv: Some(v1::Argv { arguments, ..v1::Argv::default() }),
            ..v1::Process::default()
        }
    }

    fn event(time: u64, process: v1::Process, kind: Kind) -> v1::Event {
        v1::Event { time_unix_ns: time, process: Some(process), kind: Some(kind), ..v1::Event::default() }
    }

    fn fork(child: u32) -> Kind {
        let key = v1::ProcessKey { tgid: child, start_boot_ns: u64::from(child) };
        Kind::Fork(v1::Fork { child: Some(key) })
    }

    fn exec() -> Kind {
        Kind::Exec(v1::Exec::default())
    }

    /// `bash` starts `true` ten times and `seq` once, a second apart.
    fn a_loop() -> Vec<v1::Event> {
        let agent = || process(1, &["/usr/bin/agent"]);
        let bash = || process(2, &["/bin/bash", "-c", "loop"]);
        let mut events =
            vec![event(1, agent(), exec()), event(2, agent(), fork(2)), event(3, bash(), exec())];
        for n in 0..11 {
            let words: &[&str] = if n == 5 { &["/bin/seq", "9"] } else { &["/bin/true"] };
            events.push(event(10 + n, bash(), fork(100 + n as u32)));
            events.push(event(10 + n, process(100 + n as u32, words), exec()));
        }
        events
    }

    fn cause(events: &[v1::Event], since: u64, until: u64) -> Option<Cause> {
        cause_of(events, &v1::Finding { since_unix_ns: since, time_unix_ns: until, ..v1::Finding::default() })
    }

    fn cause_of(events: &[v1::Event], finding: &v1::Finding) -> Option<Cause> {
        let knowledge = Knowledge::built_in().unwrap();
        let mut causes = Causes::behind(&knowledge, &finding.into());
        events.iter().for_each(|event| causes.event(event));
        causes.finish()
    }

    #[test]
    fn a_loop_names_its_commands_and_who_started_them() {
        let cause = cause(&a_loop(), 10, 20).unwrap();
        let tally = |name: &str, count| Tally { what: name.to_owned(), count };
        assert_eq!((cause.sort, cause.total), (CauseSort::Programs, 11));
        assert_eq!(cause.acts, [tally("/bin/true", 10), tally("/bin/seq 9", 1)]);
        let [doer] = cause.by.as_slice() else { unreachable!("{:?}", cause.by) };
        assert_eq!((doer.pid, doer.acts, doer.call), (2, 11, Some(1)), "bash is the agent's only call");
        assert_eq!(doer.ancestry, ["/usr/bin/agent", "/bin/bash -c loop"]);
    }

    #[test]
    fn only_what_is_in_the_time_counts() {
        assert_eq!(cause(&a_loop(), 12, 13).unwrap().total, 2);
        assert_eq!(cause(&a_loop(), 100, 200), None);
    }

    #[test]
    fn a_finding_about_one_event_names_who_did_that() {
        let mut events = a_loop();
        events[8].id = "e".to_owned();
        let finding =
            v1::Finding { time_unix_ns: 99, evidence: vec!["e".to_owned()], ..v1::Finding::default() };
        let cause = cause_of(&events, &finding).unwrap();
        let acts = [Tally { what: "/bin/true".to_owned(), count: 1 }];
        assert_eq!((cause.total, cause.acts.as_slice()), (1, acts.as_slice()));
    }

    #[test]
    fn births_without_programs_name_the_parent() {
        let bomb = || process(7, &["/bin/bomb"]);
        let mut events = vec![event(1, bomb(), exec())];
        events.extend((0..5).map(|n| event(10 + n, bomb(), fork(100 + n as u32))));
        let cause = cause(&events, 10, 20).unwrap();
        assert_eq!((cause.sort, cause.total), (CauseSort::Births, 5));
        assert_eq!(cause.acts, [Tally { what: "child of /bin/bomb".to_owned(), count: 5 }]);
    }

    #[test]
    fn acts_on_files_are_counted_by_object() {
        let path = v1::Path { text: "/srv/a".to_owned(), ..v1::Path::default() };
        let file = Some(v1::File { path: Some(path), key: None });
        let open = Kind::Open(v1::Open { file, ..v1::Open::default() });
        let events: Vec<v1::Event> =
            (0..3).map(|n| event(n, process(7, &["/bin/x"]), open.clone())).collect();
        let cause = cause(&events, 0, 9).unwrap();
        assert_eq!((cause.sort, cause.total), (CauseSort::Files, 3));
        assert_eq!(cause.acts, [Tally { what: "read /srv/a".to_owned(), count: 3 }]);
    }
}
