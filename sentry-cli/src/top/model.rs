//! What `sentry top` shows, and what a key means. Pure: readings and keys in, asks out; time is an
//! argument.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    time::Duration,
};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sentry_proto::v1;
use sentry_view::{Counters, Finding, Run, RunState};

/// Readings that a run's curve has.
pub(super) const CURVE: usize = 60;
/// Rates are over at least this time: a reading that a key asked for comes too early for them.
const SHORTEST: Duration = Duration::from_millis(500);

/// Lines of a page of text.
const PAGE: u16 = 15;

/// What the sensor said at one time.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) runs: Vec<Run>,
    /// The newest of the selected run, oldest first.
    pub(super) findings: Vec<Finding>,
    /// The sensor's own, in its words.
    pub(super) health: String,
}

/// What a key asks of the world outside.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Quit,
    Act { action: Act, run: String },
    Explain { run: String },
    Report { run: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Freeze,
    Thaw,
    Kill,
}

impl Act {
    pub(super) const fn wire(self) -> v1::Action {
        match self {
            Self::Freeze => v1::Action::Freeze,
            Self::Thaw => v1::Action::Thaw,
            Self::Kill => v1::Action::Kill,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Freeze => "Freeze",
            Self::Thaw => "Thaw",
            Self::Kill => "Kill",
        }
    }
}

/// The order of runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Activity,
    Findings,
    Age,
    Agent,
}

impl Sort {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Findings => "findings",
            Self::Age => "age",
            Self::Agent => "agent",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Activity => Self::Findings,
            Self::Findings => Self::Age,
            Self::Age => Self::Agent,
            Self::Agent => Self::Activity,
        }
    }
}

/// Acts per second, between the last two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) execs: f64,
    pub(super) opens: f64,
    pub(super) writes: f64,
    pub(super) removed: f64,
    pub(super) connects: f64,
    pub(super) all: f64,
}

impl Rates {
    fn between(before: &Counters, after: &Counters, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        let rate = |of: fn(&Counters) -> u64| of(after).saturating_sub(of(before)) as f64 / seconds;
        Self {
            execs: rate(|counters| counters.execs),
            opens: rate(|counters| counters.opens),
            writes: rate(|counters| counters.opens_for_write),
            removed: rate(|counters| counters.unlinks),
            connects: rate(|counters| counters.connects),
            all: rate(acts),
        }
    }
}

/// Opens to write and opens that create are opens.
fn acts(counters: &Counters) -> u64 {
    let of = counters;
    of.processes_born + of.execs + of.opens + of.unlinks + of.renames + of.connects + of.sends
}

/// A run of the list.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) run: Run,
    pub(super) rates: Rates,
    /// Acts per second at each reading, the newest last.
    pub(super) curve: VecDeque<u64>,
    /// What the next rates count from.
    base: Counters,
}

impl Row {
    fn count(&mut self, took: Duration) {
        self.rates = Rates::between(&self.base, &self.run.counters, took);
        self.base = self.run.counters;
        if self.curve.len() == CURVE {
            self.curve.pop_front();
        }
        self.curve.push_back(self.rates.all.round() as u64);
    }

    pub(super) fn agent(&self) -> &str {
        self.run.agent.as_ref().map_or("", |agent| agent.name.as_str())
    }

    pub(super) fn alive(&self) -> u64 {
        self.run.counters.alive()
    }
}

/// What lies over the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Over {
    #[default]
    Nothing,
    /// Waits for y or n.
    Sure {
        action: Act,
        run: String,
    },
    Text {
        title: &'static str,
        text: String,
        line: u16,
    },
    Help,
}

#[derive(Debug)]
pub(super) struct Top {
    pub(super) colours: bool,
    pub(super) rows: Vec<Row>,
    pub(super) findings: Vec<Finding>,
    pub(super) health: String,
    pub(super) over: Over,
    /// The last line: the result of the last act, or why there are no readings.
    pub(super) said: Option<String>,
    pub(super) stale: bool,
    pub(super) sort: Sort,
    all: bool,
    selected: Option<String>,
    /// When the rates were counted.
    counted_at: Duration,
    due: bool,
}

// === impl Top ===

impl Top {
    pub(super) fn new(colours: bool) -> Self {
        Self {
            colours,
            rows: Vec::new(),
            findings: Vec::new(),
            health: String::new(),
            over: Over::Nothing,
            said: None,
            stale: false,
            sort: Sort::default(),
            all: false,
            selected: None,
            counted_at: Duration::ZERO,
            due: false,
        }
    }

    /// Takes a reading at this time since the start.
    pub(super) fn read(&mut self, reading: Reading, at: Duration) {
        let took = at.saturating_sub(self.counted_at);
        let mut before: HashMap<String, Row> =
            self.rows.drain(..).map(|row| (row.run.id.clone(), row)).collect();
        self.rows = reading
            .runs
            .into_iter()
            .map(|run| match before.remove(&run.id) {
                Some(row) => Row { run, ..row },
                None => Row { base: run.counters, run, rates: Rates::default(), curve: VecDeque::new() },
            })
            .collect();
        if took >= SHORTEST {
            self.rows.iter_mut().for_each(|row| row.count(took));
            self.counted_at = at;
        }
        (self.findings, self.health) = (reading.findings, reading.health);
        self.due = false;
        if std::mem::take(&mut self.stale) {
            self.said = None;
        }
        self.order();
    }

    /// There is no reading, and why.
    pub(super) fn failed(&mut self, why: String) {
        (self.said, self.stale, self.due) = (Some(why), true, false);
    }

    pub(super) fn note(&mut self, line: String) {
        (self.said, self.due) = (Some(line.trim_end().to_owned()), true);
    }

    pub(super) fn open(&mut self, title: &'static str, text: String) {
        self.over = Over::Text { title, text, line: 0 };
    }

    /// Whether a reading is wanted before its time.
    pub(super) fn due(&self) -> bool {
        self.due
    }

    pub(super) fn all(&self) -> bool {
        self.all
    }

    pub(super) fn selected(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// The selected run and its place.
    pub(super) fn chosen(&self) -> Option<(usize, &Row)> {
        self.rows.iter().enumerate().find(|(_, row)| Some(&row.run.id) == self.selected.as_ref())
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Ask> {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Some(Ask::Quit);
        }
        match std::mem::take(&mut self.over) {
            Over::Nothing => self.key_of_list(key.code),
            Over::Help => None,
            Over::Sure { action, run } => match key.code {
                KeyCode::Char('y' | 'Y') => Some(Ask::Act { action, run }),
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => None,
                _ => {
                    self.over = Over::Sure { action, run };
                    None
                }
            },
            Over::Text { title, text, line } => {
                let last = u16::try_from(text.lines().count()).unwrap_or(u16::MAX).saturating_sub(1);
                let line = match key.code {
                    KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter => return None,
                    KeyCode::Down | KeyCode::Char('j') => line.saturating_add(1),
                    KeyCode::Up | KeyCode::Char('k') => line.saturating_sub(1),
                    KeyCode::PageDown | KeyCode::Char(' ') => line.saturating_add(PAGE),
                    KeyCode::PageUp => line.saturating_sub(PAGE),
                    KeyCode::Home | KeyCode::Char('g') => 0,
                    KeyCode::End | KeyCode::Char('G') => last,
                    _ => line,
                };
                self.over = Over::Text { title, text, line: line.min(last) };
                None
            }
        }
    }

    fn key_of_list(&mut self, key: KeyCode) -> Option<Ask> {
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Ask::Quit),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.order();
            }
            KeyCode::Char('a') => (self.all, self.due) = (!self.all, true),
            KeyCode::Char('?' | 'h') => self.over = Over::Help,
            KeyCode::Char('f') => self.sure(Act::Freeze),
            KeyCode::Char('t') => self.sure(Act::Thaw),
            KeyCode::Char('K') => self.sure(Act::Kill),
            KeyCode::Enter | KeyCode::Char('e') => {
                return self.selected.clone().map(|run| Ask::Explain { run });
            }
            KeyCode::Char('r') => return self.selected.clone().map(|run| Ask::Report { run }),
            _ => {}
        }
        None
    }

    fn sure(&mut self, action: Act) {
        match self.chosen() {
            Some((_, row)) if row.run.state != RunState::Ended => {
                self.over = Over::Sure { action, run: row.run.id.clone() };
            }
            Some(_) => self.said = Some("this run has ended: there is nothing to stop".into()),
            None => self.said = Some("no run is selected".into()),
        }
    }

    /// Moves the selection, but not past an end.
    fn step(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        let from = self.chosen().map_or(0, |(place, _)| place);
        let to = from.saturating_add_signed(by).min(last);
        self.selected = self.rows.get(to).map(|row| row.run.id.clone());
        self.due = true;
    }

    fn order(&mut self) {
        let busy = |row: &Row| (row.rates.all * 1e3) as u64;
        match self.sort {
            Sort::Activity => self.rows.sort_by_key(|row| (Reverse(busy(row)), row.run.started_unix_ns.0)),
            Sort::Findings => self.rows.sort_by_key(|row| (Reverse(row.run.findings), Reverse(busy(row)))),
            Sort::Age => self.rows.sort_by_key(|row| row.run.started_unix_ns.0),
            Sort::Agent => {
                self.rows.sort_by_cached_key(|row| (row.agent().to_owned(), row.run.started_unix_ns.0));
            }
        }
        if self.chosen().is_none() {
            self.selected = self.rows.first().map(|row| row.run.id.clone());
            // Its findings have not been asked for.
            self.findings.clear();
            self.due |= self.selected.is_some();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(super) mod tests {
    use sentry_view::{Agent, Exact, Mode, Severity};

    use super::*;

    pub(in super::super) fn run(number: u64, agent: &str, state: RunState, counters: Counters) -> Run {
        Run {
            id: format!("0199aa{number:02}-7c10-7c44-9b52-0d5f2c1e8a11"),
            agent: Some(Agent { id: agent.into(), name: agent.into() }),
            state,
            mode: Mode::Enforce,
            started_unix_ns: Exact(number),
            command: vec![agent.into(), "fix the tests".into()],
            findings: counters.findings,
            counters,
            ..Run::default()
        }
    }

    pub(in super::super) fn finding() -> Finding {
        Finding {
            rule: "exec-loop".into(),
            severity: Severity::High,
            summary: "the same command 540 times in 10 s".into(),
            ..Finding::default()
        }
    }

    /// One run that is busy, one that is frozen, a second apart.
    pub(in super::super) fn two() -> Top {
        let quiet = run(2, "codex", RunState::Frozen, Counters { processes_born: 1, ..Counters::default() });
        let mut counters = Counters { processes_born: 7, processes_ended: 4, ..Counters::default() };
        let mut top = Top::new(false);
        for second in 1..=3_u64 {
            (counters.execs, counters.opens) = (second * second * 10, second * 1500);
            counters.opens_for_write = second;
            counters.findings = 1;
            let busy = run(1, "claude", RunState::Running, counters);
            let reading =
                Reading { runs: vec![quiet.clone(), busy], findings: Vec::new(), health: "serving".into() };
            top.read(reading, Duration::from_secs(second));
        }
        top
    }

    fn press(top: &mut Top, key: KeyCode) -> Option<Ask> {
        top.key(KeyEvent::new(key, KeyModifiers::NONE))
    }

    fn ids(top: &Top) -> Vec<&str> {
        top.rows.iter().map(|row| &row.run.id[..8]).collect()
    }

    #[test]
    fn rates_are_between_two_readings() {
        let top = two();
        let (place, busy) = top.chosen().unwrap();
        assert_eq!((place, busy.agent(), busy.alive()), (0, "claude", 3));
        assert_eq!(ids(&top), ["0199aa01", "0199aa02"]);
        let rates =
            Rates { execs: 50.0, opens: 1500.0, writes: 1.0, removed: 0.0, connects: 0.0, all: 1550.0 };
        assert_eq!(top.rows[0].rates, rates);
        assert_eq!(top.rows[0].curve, [0, 1530, 1550]);
        assert_eq!(top.rows[1].rates, Rates::default());
    }

    #[test]
    fn a_reading_too_early_for_rates_leaves_them() {
        let mut top = two();
        let rates = top.rows[0].rates;
        let runs = top.rows.iter().map(|row| row.run.clone()).collect();
        top.read(Reading { runs, ..Reading::default() }, Duration::from_millis(3100));
        assert_eq!((top.rows[0].rates, top.rows[0].curve.len()), (rates, 3));
    }

    #[test]
    fn the_selection_stays_with_its_run_and_stops_at_the_ends() {
        let mut top = two();
        let selected = top.selected().unwrap().to_owned();
        press(&mut top, KeyCode::Char('s'));
        assert_eq!((top.sort, top.selected()), (Sort::Findings, Some(selected.as_str())));
        for (key, expected) in [
            (KeyCode::Down, "0199aa02"),
            (KeyCode::Char('k'), "0199aa01"),
            (KeyCode::Up, "0199aa01"),
            (KeyCode::End, "0199aa02"),
            (KeyCode::Home, "0199aa01"),
        ] {
            assert_eq!(press(&mut top, key), None);
            assert_eq!(&top.selected().unwrap()[..8], expected, "{key:?}");
        }
    }

    #[test]
    fn nothing_is_stopped_without_a_yes() {
        let mut top = two();
        let run = top.selected().unwrap().to_owned();
        for (key, action) in [('f', Act::Freeze), ('t', Act::Thaw), ('K', Act::Kill)] {
            assert_eq!(press(&mut top, KeyCode::Char(key)), None);
            assert_eq!(top.over, Over::Sure { action, run: run.clone() });
            assert_eq!(press(&mut top, KeyCode::Char('x')), None, "another key is no answer");
            assert_eq!(press(&mut top, KeyCode::Char('n')), None);
            assert_eq!(top.over, Over::Nothing);
            press(&mut top, KeyCode::Char(key));
            assert_eq!(press(&mut top, KeyCode::Char('y')), Some(Ask::Act { action, run: run.clone() }));
            assert_eq!(top.over, Over::Nothing);
        }
    }

    #[test]
    fn an_ended_run_and_no_run_cannot_be_stopped() {
        let mut top = Top::new(false);
        assert_eq!(press(&mut top, KeyCode::Char('K')), None);
        assert_eq!(top.said.as_deref(), Some("no run is selected"));
        let runs = vec![run(1, "claude", RunState::Ended, Counters::default())];
        top.read(Reading { runs, ..Reading::default() }, Duration::from_secs(1));
        assert_eq!(press(&mut top, KeyCode::Char('K')), None);
        assert_eq!(top.said.as_deref(), Some("this run has ended: there is nothing to stop"));
        assert_eq!(top.over, Over::Nothing);
    }

    #[test]
    fn a_text_scrolls_within_its_lines_and_closes() {
        let mut top = two();
        top.open("Report", "line\n".repeat(20));
        let line = |top: &Top| match &top.over {
            Over::Text { line, .. } => *line,
            _ => u16::MAX,
        };
        for (key, expected) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::PageDown, 16),
            (KeyCode::PageDown, 19),
            (KeyCode::PageUp, 4),
            (KeyCode::End, 19),
            (KeyCode::Home, 0),
        ] {
            assert_eq!(press(&mut top, key), None);
            assert_eq!(line(&top), expected, "{key:?}");
        }
        assert_eq!(press(&mut top, KeyCode::Char('q')), None, "closes the text alone");
        assert_eq!(top.over, Over::Nothing);
        assert_eq!(press(&mut top, KeyCode::Char('q')), Some(Ask::Quit));
    }

    #[test]
    fn without_an_answer_the_last_reading_stays_and_is_called_old() {
        let mut top = two();
        top.failed("no sensor is listening".into());
        assert_eq!((top.stale, top.rows.len()), (true, 2));
        let runs = top.rows.iter().map(|row| row.run.clone()).collect();
        top.read(Reading { runs, ..Reading::default() }, Duration::from_secs(9));
        assert_eq!((top.stale, top.said), (false, None));
    }
}
