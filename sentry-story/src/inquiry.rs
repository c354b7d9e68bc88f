//! One event of a run, and what it belongs to.

use std::fmt;

use sentry_proto::v1::{self, event::Ring};
use sentry_view::{Ancestor, Call, KnownAgent};

use crate::{
    descent::{Descent, command_line},
    process::key,
    story::{Knowledge, Story},
};

/// An event as a person names it: `<run>-b-12`, or `<run>.<life>-b-12` where a later life of the
/// sensor took the run up, or the beginning of one. Of the run a beginning is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName {
    run: String,
    /// `-b-12`, `.18af3c5d-b-12`.
    rest: String,
    ring: Ring,
    number: Option<u64>,
}

impl EventName {
    /// `None` where the text names no event.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (front, number) = text.rsplit_once('-')?;
        let (prefix, letter) = front.rsplit_once('-')?;
        let ring = match letter {
            "c" => Ring::Critical,
            "b" => Ring::Bulk,
            _ => return None,
        };
        let run = prefix.split_once('.').map_or(prefix, |(run, _life)| run);
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !run.is_empty()).then(|| Self {
            run: run.to_owned(),
            rest: text[run.len()..].to_owned(),
            ring,
            number: number.parse().ok(),
        })
    }

    /// Id of the run, or the beginning of it.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Whether the run once had such an event, by the books of its rings, in which all lives of the
    /// sensor are summed up.
    #[must_use]
    pub fn was_made(&self, run: &v1::Run) -> bool {
        let ring = if self.ring == Ring::Critical { &run.critical } else { &run.bulk };
        let made = ring.as_ref().map_or(0, |ring| ring.generated);
        let is_of_later_life = self.rest.starts_with('.');
        if is_of_later_life && run.interruptions == 0 {
            return false;
        }
        self.number.is_some_and(|number| (1..=made).contains(&number))
    }

    /// How the id of an event of this run fits.
    fn fits(&self, event: &v1::Event) -> Option<Fit> {
        let rest = event.id.strip_prefix(event.run.as_str())?;
        match rest.strip_prefix(self.rest.as_str())? {
            "" => Some(Fit::Whole),
            _ => Some(Fit::Beginning),
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.run, self.rest)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Beginning,
    Whole,
}

/// Looks for an event. Every event of the run has to be shown, in order.
#[derive(Debug)]
pub struct Inquiry<'a> {
    name: &'a EventName,
    story: Story<'a>,
    descent: Descent,
    found: Option<(Fit, Found)>,
    /// Another one whose id begins so.
    other: Option<String>,
}

#[derive(Debug)]
struct Found {
    event: v1::Event,
    ancestry: Vec<Ancestor>,
    call: Option<u32>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    One(Box<Circumstances>),
    /// Ids of two events that begin so.
    Several([String; 2]),
    None,
}

/// An event, and what it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circumstances {
    pub event: v1::Event,
    /// From the first known ancestor down to the process that did it, at that time.
    pub ancestry: Vec<Ancestor>,
    /// None for what the agent did by itself.
    pub call: Option<Call>,
    /// The coding agent that was recognized by its program.
    pub agent: Option<KnownAgent>,
}

impl<'a> Inquiry<'a> {
    /// Begins; `findings` are those of the run.
    #[must_use]
    pub fn about(name: &'a EventName, knowledge: &'a Knowledge, findings: &[v1::Finding]) -> Self {
        let story = Story::new(knowledge, findings);
        Self { name, story, descent: Descent::default(), found: None, other: None }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &v1::Event) {
        // The end of a call's process is still of the call.
        let before = self.story.call_of(event);
        self.story.event(event);
        self.descent.event(event);
        let Some(fit) = self.name.fits(event) else { return };
        match &self.found {
            Some((known, _)) if *known >= fit => {
                self.other.get_or_insert_with(|| event.id.clone());
            }
            _ => {
                let call = self.story.call_of(event).or(before);
                let found = Found { event: event.clone(), ancestry: self.ancestry(event), call };
                self.found = Some((fit, found));
            }
        }
    }

    #[must_use]
    pub fn finish(self) -> Answer {
        match (self.found, self.other) {
            (None, _) => Answer::None,
            (Some((Fit::Beginning, one)), Some(other)) => Answer::Several([one.event.id, other]),
            (Some((_, Found { event, ancestry, call })), _) => {
                let activity = self.story.finish(&[]);
                let call = activity.calls.into_iter().find(|known| Some(known.number) == call);
                Answer::One(Box::new(Circumstances { event, ancestry, call, agent: activity.agent }))
            }
        }
    }

    /// Of a process that nothing else is known of, what the event says.
    fn ancestry(&self, event: &v1::Event) -> Vec<Ancestor> {
        let Some(process) = &event.process else { return Vec::new() };
        let actor = key(process.key.as_ref());
        let known = self.descent.ancestry(actor);
        if known.is_empty() {
            return vec![Ancestor { pid: actor.0, command: command_line(process), executions: 0 }];
        }
        known
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_proto::v1::event::Kind;

    use super::*;

    const RUN: &str = "0199aa11-7a10";

    fn event(id: &str, pid: u32, words: &[&str], kind: Kind) -> v1::Event {
        let path = v1::Path { text: words[0].to_owned(), ..v1::Path::default() };
        let arguments = words.iter().map(|&word| word.to_owned()).collect();
        let process = v1::Process {
            key: Some(v1::ProcessKey { tgid: pid, start_boot_ns: u64::from(pid) }),
            executable: Some(v1::File { path: Some(path), key: None }),
            argv: Some(v1::Argv { arguments, ..v1::Argv::default() }),
            ..v1::Process::default()
        };
        v1::Event {
            id: format!("{RUN}{id}"),
            run: RUN.to_owned(),
            process: Some(process),
            kind: Some(kind),
            ..v1::Event::default()
        }
    }

    fn fork(child: u32) -> Kind {
        let key = v1::ProcessKey { tgid: child, start_boot_ns: u64::from(child) };
        Kind::Fork(v1::Fork { child: Some(key) })
    }

    /// The agent starts a shell, which starts another process that reads a file and ends.
    fn events() -> Vec<v1::Event> {
        let (agent, shell): (&[&str], &[&str]) = (&["/usr/bin/agent"], &["/bin/sh", "-c", "cat a"]);
        vec![
            event("-c-1", 1, agent, Kind::Exec(v1::Exec::default())),
            event("-c-2", 1, agent, fork(2)),
            event("-c-3", 2, shell, Kind::Exec(v1::Exec::default())),
            event("-c-4", 2, shell, fork(3)),
            event("-b-1", 3, shell, Kind::Open(v1::Open::default())),
            event("-c-5", 3, shell, Kind::Exit(v1::Exit { code: Some(0), signal: None })),
            event("-c-10", 1, agent, Kind::Exit(v1::Exit { code: Some(0), signal: None })),
            event(".18af-b-1", 1, agent, Kind::Open(v1::Open::default())),
        ]
    }

    fn asked(text: &str) -> Answer {
        let (knowledge, name) = (Knowledge::built_in().unwrap(), EventName::read(text).unwrap());
        let mut inquiry = Inquiry::about(&name, &knowledge, &[]);
        events().iter().for_each(|event| inquiry.event(event));
        inquiry.finish()
    }

    fn id(answer: &Answer) -> Option<&str> {
        match answer {
            Answer::One(found) => found.event.id.strip_prefix(RUN),
            Answer::Several(_) | Answer::None => None,
        }
    }

    #[test]
    fn an_event_has_the_ancestry_down_to_its_process_and_its_call() {
        let Answer::One(found) = asked("0199aa11-7a10-b-1") else { unreachable!() };
        let ancestor = |pid, command: &str, executions| {
            let command = Some(command.to_owned());
            Ancestor { pid, command, executions }
        };
        assert_eq!(
            found.ancestry,
            [
                ancestor(1, "/usr/bin/agent", 1),
                ancestor(2, "/bin/sh -c cat a", 1),
                ancestor(3, "/bin/sh -c cat a", 0)
            ]
        );
        let call = found.call.unwrap();
        assert_eq!((call.number, call.command.as_str()), (1, "cat a"));
    }

    #[test]
    fn the_end_of_a_process_is_of_its_call() {
        let Answer::One(found) = asked("0199aa11-7a10-c-5") else { unreachable!() };
        assert_eq!(found.call.unwrap().number, 1);
    }

    #[test]
    fn a_whole_id_goes_before_those_that_begin_so() {
        assert_eq!(id(&asked("0199aa11-7a10-c-1")), Some("-c-1"));
        assert_eq!(id(&asked("0199aa-c-10")), Some("-c-10"), "of the run a beginning is enough");
        assert_eq!(id(&asked("0199aa11-7a10-b-")), Some("-b-1"), "a unique beginning");
        assert_eq!(id(&asked("0199aa11-7a10.18af-b-1")), Some(".18af-b-1"));
        let several = ["-c-1", "-c-2"].map(|rest| format!("{RUN}{rest}"));
        assert_eq!(asked("0199aa11-7a10-c-"), Answer::Several(several));
        assert_eq!(asked("0199aa11-7a10-c-7"), Answer::None);
    }

    #[test]
    fn what_is_no_event_is_not_read_as_one() {
        for text in ["", "claude", RUN, "0199aa11-7a10-f-1", "r-c", "-c-1", "r-c-x", "r-c-1-"] {
            assert_eq!(EventName::read(text), None, "{text}");
        }
        assert_eq!(EventName::read("my-run.1a-b-7").unwrap().run(), "my-run");
    }

    #[test]
    fn what_was_made_is_known_by_the_books() {
        let critical = Some(v1::RingBooks { generated: 5, ..v1::RingBooks::default() });
        let run = v1::Run { critical, ..v1::Run::default() };
        let was_made = |text| EventName::read(text).unwrap().was_made(&run);
        assert!(was_made("r-c-1") && was_made("r-c-5"));
        assert!(!was_made("r.1f-c-1"), "no later life of the sensor saw the run");
        assert!(!was_made("r-c-6") && !was_made("r-c-0") && !was_made("r-b-1") && !was_made("r-c-"));
    }
}
