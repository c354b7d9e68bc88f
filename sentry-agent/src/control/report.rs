//! What a run did, counted from its events.

use std::collections::{BTreeMap, VecDeque};

use sentry_detect::{
    completeness::{Kept, Record},
    sensitive::OwnClass,
};
use sentry_proto::{
    block::{Checked, Events},
    v1::{self, event::Kind, item::Item},
};

/// Lines of one list; the rest is summed up in a last line.
const LINES: usize = 200;
/// Findings and outcomes of one report, the newest.
const NEWEST: usize = 200;
/// Bytes of one name; the rest of it is cut.
const NAME_BYTES: usize = 1_024;

/// Gathers a report from a run's items, in their order.
#[derive(Default)]
pub struct Gather {
    programs: BTreeMap<String, u64>,
    destinations: BTreeMap<String, u64>,
    files_changed: BTreeMap<String, u64>,
    findings: VecDeque<v1::Finding>,
    outcomes: VecDeque<v1::Outcome>,
    left_out: usize,
    events: u64,
    gaps: u64,
}

impl Gather {
    /// Takes one item.
    pub fn item(&mut self, item: v1::Item) {
        match item.item {
            Some(Item::Event(event)) => self.event(&event),
            Some(Item::Finding(finding)) => self.left_out += keep_newest(&mut self.findings, finding),
            Some(Item::Outcome(outcome)) => self.left_out += keep_newest(&mut self.outcomes, outcome),
            Some(Item::Gap(_)) => self.gaps += 1,
            Some(Item::Block(block)) => match Checked::new(block).and_then(Checked::open) {
                Ok(events) => self.events(&events),
                Err(_damaged) => self.gaps += 1,
            },
            Some(Item::Decision(_) | Item::Run(_)) | None => {}
        }
    }

    /// The report. It is complete when every record the kernel made is in it, and one was made of
    /// every act. `own`: the configuration's classes of sensitive files.
    #[must_use]
    pub fn report(self, run: v1::Run, mut limits: Vec<String>, own: &[OwnClass]) -> v1::Report {
        if self.left_out > 0 {
            limits.push(format!(
                "{} older findings and outcomes are not in this report; `sentry findings --limit 0 --run {}` \
                lists findings",
                self.left_out, run.id
            ));
        }
        if let Some(container) = run.container.as_ref().filter(|container| !container.sandboxed.is_empty()) {
            limits.push(format!(
                "the container runs in a sandbox ({}) with a kernel of its own: what happens inside is not \
                seen",
                container.sandboxed
            ));
        }
        let kept = Kept { events: Some(self.events), gaps: self.gaps, ..Kept::default() };
        let complete = Record { kept, ..Record::from(&run) }.is_complete();
        v1::Report {
            run: Some(run),
            programs: tallies(self.programs),
            destinations: tallies(self.destinations),
            files_changed: tallies(self.files_changed),
            findings: self.findings.into(),
            outcomes: self.outcomes.into(),
            complete,
            limits,
            sensitive: own.iter().map(class).collect(),
        }
    }

    fn event(&mut self, event: &v1::Event) {
        self.events += 1;
        match &event.kind {
            Some(Kind::Exec(_)) => self.program(event.process.as_ref(), 1),
            Some(kind) => self.kind(kind, 1),
            None => {}
        }
    }

    /// Each kind, and the process of each program, is decoded once.
    fn events(&mut self, events: &Events) {
        self.events += events.len() as u64;
        let kinds: Vec<_> = events.kinds().collect();
        let (mut of_kind, mut programs) = (vec![0; kinds.len()], BTreeMap::<_, u64>::new());
        for place in 0..events.len() {
            let kind = events.kind_place(place).unwrap_or(kinds.len());
            match kinds.get(kind) {
                Some(Ok(Some(Kind::Exec(_)))) => {
                    *programs.entry(events.process_place(place)).or_default() += 1;
                }
                Some(_) => of_kind[kind] += 1,
                None => {}
            }
        }
        for (kind, count) in kinds.into_iter().zip(of_kind).filter(|(_, count)| *count > 0) {
            match kind {
                Ok(Some(kind)) => self.kind(&kind, count),
                Ok(None) => {}
                Err(_damaged) => self.gaps += 1,
            }
        }
        let mut processes = events.processes().enumerate();
        for (place, count) in programs {
            let of_place = place.and_then(|place| processes.find(|(at, _)| *at == place));
            match of_place.map(|(_, process)| process).transpose() {
                Ok(process) => self.program(process.as_ref(), count),
                Err(_damaged) => self.gaps += 1,
            }
        }
    }

    fn program(&mut self, process: Option<&v1::Process>, times: u64) {
        let program = process.and_then(|process| process.executable.as_ref());
        count(&mut self.programs, &file_text(program), times);
    }

    fn kind(&mut self, kind: &Kind, times: u64) {
        match kind {
            Kind::Connect(v1::Connect { destination }) | Kind::Send(v1::Send { destination }) => {
                count(&mut self.destinations, &endpoint_text(destination.as_ref()), times);
            }
            Kind::Open(open) => {
                let writes = open.intent.as_ref().is_some_and(|intent| intent.write);
                if open.created || (writes && is_regular(open.file.as_ref())) {
                    let verb = if open.created { "created" } else { "written" };
                    let what = format!("{verb} {}", file_text(open.file.as_ref()));
                    count(&mut self.files_changed, &what, times);
                }
            }
            Kind::Unlink(unlink) => {
                let what = format!("removed {}", file_text(unlink.file.as_ref()));
                count(&mut self.files_changed, &what, times);
            }
            Kind::Rename(rename) => {
                let to = rename.new_path.as_ref().map_or("?", |path| &path.text);
                let what = format!("renamed {} to {to}", file_text(rename.file.as_ref()));
                count(&mut self.files_changed, &what, times);
            }
            _ => {}
        }
    }
}

/// A device or pipe that was written to is no changed file. Unknown counts as a file.
fn is_regular(file: Option<&v1::File>) -> bool {
    const TYPE: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    file.and_then(|file| file.key.as_ref()).is_none_or(|key| key.mode & TYPE == REGULAR)
}

/// How many had to go.
fn keep_newest<T>(items: &mut VecDeque<T>, item: T) -> usize {
    items.push_back(item);
    let beyond = items.len().saturating_sub(NEWEST);
    items.drain(..beyond).count()
}

fn count(tallies: &mut BTreeMap<String, u64>, what: &str, times: u64) {
    // A run that touches a million files is no reason to hold them all: new names beyond the cap go
    // into one line.
    const CAP: usize = 20_000;
    let what = &what[..what.floor_char_boundary(NAME_BYTES)];
    if let Some(count) = tallies.get_mut(what) {
        *count += times;
    } else if tallies.len() < CAP {
        tallies.insert(what.into(), times);
    } else {
        *tallies.entry("(others)".into()).or_default() += times;
    }
}

fn class(class: &OwnClass) -> v1::SensitiveClass {
    let OwnClass { name, title, severity: _, paths, except } = class.clone();
    v1::SensitiveClass { name, title, paths, except }
}

fn tallies(tallies: BTreeMap<String, u64>) -> Vec<v1::Tally> {
    let mut lines: Vec<v1::Tally> =
        tallies.into_iter().map(|(what, count)| v1::Tally { what, count }).collect();
    lines.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.what.cmp(&b.what)));
    if lines.len() > LINES {
        let rest = lines.split_off(LINES);
        let count = rest.iter().map(|line| line.count).sum();
        lines.push(v1::Tally { what: format!("({} others)", rest.len()), count });
    }
    lines
}

fn file_text(file: Option<&v1::File>) -> String {
    file.and_then(|file| file.path.as_ref()).map_or_else(|| "(unknown)".into(), |path| path.text.clone())
}

fn endpoint_text(endpoint: Option<&v1::Endpoint>) -> String {
    let Some(endpoint) = endpoint else { return "(unknown)".into() };
    let protocol = match endpoint.protocol {
        6 => "tcp".into(),
        17 => "udp".into(),
        other => format!("protocol-{other}"),
    };
    let address = match <[u8; 4]>::try_from(endpoint.address.as_slice()) {
        Ok(v4) => std::net::IpAddr::from(v4).to_string(),
        Err(_not_v4) => match <[u8; 16]>::try_from(endpoint.address.as_slice()) {
            Ok(v6) => format!("[{}]", std::net::Ipv6Addr::from(v6)),
            Err(_neither) => "(unknown)".into(),
        },
    };
    format!("{protocol} {address}:{}", endpoint.port)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_proto::block::Packer;

    use super::{Gather, Item, Kind, v1};

    fn event() -> v1::Item {
        v1::Item { item: Some(Item::Event(v1::Event::default())) }
    }

    #[test]
    fn a_report_has_the_newest_findings_and_short_names() {
        let mut gather = Gather::default();
        let findings = super::NEWEST + 3;
        for number in 0..findings {
            let finding = v1::Finding { id: number.to_string(), ..v1::Finding::default() };
            gather.item(v1::Item { item: Some(Item::Finding(finding)) });
        }
        super::count(&mut gather.programs, &"é".repeat(2_000), 1);
        let report = gather.report(v1::Run::default(), Vec::new(), &[]);
        let ids: Vec<String> = report.findings.into_iter().map(|finding| finding.id).collect();
        assert_eq!(ids, (3..findings).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(report.programs[0].what.len(), super::NAME_BYTES);
        assert!(report.limits[0].starts_with("3 older findings"), "{:?}", report.limits);
    }

    #[test]
    fn a_block_counts_as_its_events_do() {
        let file = |text: &str| {
            let path = v1::Path { text: text.to_owned(), ..v1::Path::default() };
            Some(v1::File { path: Some(path), ..v1::File::default() })
        };
        let process = |name: &str| Some(v1::Process { executable: file(name), ..v1::Process::default() });
        let unlink = |name: &str| Kind::Unlink(v1::Unlink { file: file(name), ..v1::Unlink::default() });
        let exec = || Kind::Exec(v1::Exec::default());
        let events: Vec<v1::Event> = [
            (process("/bin/b"), exec()),
            (process("/bin/a"), exec()),
            (process("/bin/a"), unlink("/x")),
            (process("/bin/b"), unlink("/x")),
            (None, exec()),
            (process("/bin/a"), exec()),
            (process("/bin/a"), unlink("/y")),
        ]
        .into_iter()
        .map(|(process, kind)| v1::Event { process, kind: Some(kind), ..v1::Event::default() })
        .collect();
        let block = Packer::new().unwrap().pack(&events).unwrap().block.unwrap();
        let report = |items: Vec<Item>| {
            let mut gather = Gather::default();
            items.into_iter().for_each(|item| gather.item(v1::Item { item: Some(item) }));
            gather.report(v1::Run::default(), Vec::new(), &[])
        };
        let by_block = report(vec![Item::Block(block)]);
        assert_eq!(by_block, report(events.into_iter().map(Item::Event).collect()));
        let counts: Vec<_> = by_block.programs.iter().map(|line| (&*line.what, line.count)).collect();
        assert_eq!(counts, [("/bin/a", 2), ("(unknown)", 1), ("/bin/b", 1)]);
    }

    fn is_complete(run: v1::Run, items: impl IntoIterator<Item = v1::Item>) -> bool {
        let mut gather = Gather::default();
        items.into_iter().for_each(|item| gather.item(item));
        gather.report(run, Vec::new(), &[]).complete
    }

    #[test]
    fn complete_is_only_what_nothing_is_missing_of() {
        let whole = || v1::Run {
            critical: Some(v1::RingBooks { generated: 1, ..v1::RingBooks::default() }),
            bulk: Some(v1::RingBooks { generated: 1, ..v1::RingBooks::default() }),
            ..v1::Run::default()
        };
        assert!(is_complete(whole(), [event(), event()]));
        assert!(!is_complete(whole(), [event()]), "a record is missing");
        let gap = v1::Item { item: Some(Item::Gap(v1::Gap::default())) };
        assert!(!is_complete(whole(), [event(), event(), gap]));
        for less in [
            v1::Run { interruptions: 1, ..whole() },
            v1::Run { untold: 1, ..whole() },
            v1::Run { skipped: 1, ..whole() },
        ] {
            assert!(!is_complete(less.clone(), [event(), event()]), "{less:?}");
        }
    }
}
