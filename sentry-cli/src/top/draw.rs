//! The model as cells of a terminal of any size: the list, the selected run, the keys. Pure.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Clear, Paragraph, Row as Cells, Sparkline, Table, TableState, Wrap},
};
use sentry_view::{RunState, Severity};

use super::model::{Over, Row, Top};
use crate::render::{command_line, safe, who::short};

/// Below this height the selected run is left out: the list comes first.
const HEIGHT_OF_LIST_ALONE: u16 = 15;
/// Keys of the list, and what each does.
const KEYS: &[(&str, &str)] = &[
    ("↑↓", "select"),
    ("f", "freeze"),
    ("t", "thaw"),
    ("K", "kill"),
    ("e", "found"),
    ("r", "report"),
    ("s", "sort"),
    ("a", "ended"),
    ("?", "keys"),
    ("q", "quit"),
];
const HELP: &str = "\
↑ ↓ j k    select a run              Home End g G  the first, the last
f          freeze it                 t             let it go on
K          kill it; asks, as f and t do
e Enter    what was found about it, with its arithmetic
r          its report
s          sort by activity, findings, age or agent
a          show ended runs too, or hide them
q Esc      leave; also out of a text

Rates are acts per second, by the kernel's counters, between two readings.
The curve is all acts of the last 60 readings. What is shown comes from the
sensor of this host: `sentry agents` and `sentry report` print the same.";

pub(super) fn draw(frame: &mut Frame<'_>, top: &Top) {
    let detail = if frame.area().height < HEIGHT_OF_LIST_ALONE { 0 } else { 9 };
    let [title, list, chosen, said, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(detail),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(top), title);
    draw_list(frame, top, list);
    if detail > 0
        && let Some((_, row)) = top.chosen()
    {
        draw_chosen(frame, top, row, chosen);
    }
    let style = if top.stale { top.style(Color::Red) } else { top.style(Color::Yellow) };
    frame.render_widget(Paragraph::new(safe(top.said.as_deref().unwrap_or_default())).style(style), said);
    let of = |(key, does): &(&'static str, &str)| {
        [Span::styled(*key, BOLD), Span::styled(format!(" {does} "), DIM)]
    };
    frame.render_widget(Line::from_iter(KEYS.iter().flat_map(of)), keys);
    draw_over(frame, top);
}

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

impl Top {
    /// Nothing but what the terminal has, where colours are not wanted.
    fn style(&self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn of_state(&self, state: RunState) -> Style {
        match state {
            RunState::Running => self.style(Color::Green),
            RunState::Frozen => self.style(Color::Yellow).add_modifier(Modifier::BOLD),
            RunState::Ended | RunState::Unknown => DIM,
        }
    }
}

fn headline(top: &Top) -> Paragraph<'static> {
    let count = |state| top.rows.iter().filter(|row| row.run.state == state).count();
    let findings: u64 = top.rows.iter().map(|row| row.run.findings).sum();
    let health = if top.stale { "no answer" } else { &top.health };
    let mut spans = vec![
        Span::styled("sentry top", BOLD),
        Span::raw(format!(
            "  {} running, {} frozen, {findings} findings  by {}",
            count(RunState::Running),
            count(RunState::Frozen),
            top.sort.name()
        )),
    ];
    if top.stale || health != "serving" {
        spans.push(Span::styled(format!("  sensor: {}", safe(health)), top.style(Color::Red)));
    }
    Paragraph::new(Line::from(spans))
}

fn draw_list(frame: &mut Frame<'_>, top: &Top, area: Rect) {
    if top.rows.is_empty() {
        let nothing = "\nNo agent is watched now. `sentry run CMD` in another terminal starts one; a shows ended \
            ones.";
        frame.render_widget(Paragraph::new(nothing).wrap(Wrap { trim: true }), area);
        return;
    }
    let header =
        ["AGENT", "STATE", "RUN", "PROCS", "EXEC/s", "OPEN/s", "WRITE/s", "CONN/s", "DEL/s", "FOUND"];
    let widths = [
        Constraint::Min(8),
        Constraint::Length(7),
        Constraint::Length(13),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(5),
    ];
    let table = Table::new(top.rows.iter().map(|row| cells(top, row)), widths)
        .header(Cells::new(header).style(DIM))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(top.chosen().map(|(place, _)| place));
    frame.render_stateful_widget(table, area, &mut state);
}

fn cells<'a>(top: &Top, row: &Row) -> Cells<'a> {
    let rates = row.rates;
    let found = if row.run.findings > 0 { top.style(Color::Red) } else { Style::new() };
    Cells::new([
        Cell::new(safe(row.agent())),
        Cell::new(row.run.state.name()).style(top.of_state(row.run.state)),
        Cell::new(short(&row.run.id)),
        Cell::new(format!("{:>5}", row.alive())),
        Cell::new(format!("{:>6}", rate(rates.execs))),
        Cell::new(format!("{:>7}", rate(rates.opens))),
        Cell::new(format!("{:>7}", rate(rates.writes))),
        Cell::new(format!("{:>6}", rate(rates.connects))),
        Cell::new(format!("{:>5}", rate(rates.removed))),
        Cell::new(format!("{:>5}", row.run.findings)).style(found),
    ])
}

/// At most five columns.
fn rate(value: f64) -> String {
    match value {
        ..0.05 => "0".into(),
        0.05..10.0 => format!("{value:.1}"),
        10.0..10_000.0 => format!("{value:.0}"),
        _ => format!("{:.0}k", value / 1e3),
    }
}

fn draw_chosen(frame: &mut Frame<'_>, top: &Top, row: &Row, area: Rect) {
    let run = &row.run;
    let title =
        format!(" {} {} {}, {} ", safe(row.agent()), safe(&run.id), run.state.name(), run.mode.name());
    let block = Block::bordered().title(title).border_style(DIM);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let [about, curve] = Layout::vertical([Constraint::Length(5), Constraint::Length(2)]).areas(inside);
    let count = run.counters;
    let mut lines = vec![
        Line::from(vec![Span::styled("command ", DIM), Span::raw(command_line(&run.command))]),
        Line::from(vec![
            Span::styled("so far  ", DIM),
            Span::raw(format!(
                "{} execs, {} opens ({} to write), {} removed, {} connects",
                count.execs, count.opens, count.opens_for_write, count.unlinks, count.connects
            )),
        ]),
    ];
    lines.extend(top.findings.iter().rev().map(|finding| {
        let style = match finding.severity {
            Severity::High | Severity::Critical => top.style(Color::Red),
            Severity::Medium | Severity::Low | Severity::Informational | Severity::Unknown => {
                top.style(Color::Yellow)
            }
        };
        Line::from(vec![
            Span::styled(format!("found   {} ", safe(&finding.rule)), style),
            Span::raw(safe(&finding.summary)),
        ])
    }));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), about);
    let most = row.curve.iter().max().copied().unwrap_or_default();
    let [words, bars] = Layout::horizontal([Constraint::Length(16), Constraint::Min(1)]).areas(curve);
    frame.render_widget(Paragraph::new(format!("acts/s\nat most {}", rate(most as f64))).style(DIM), words);
    // The newest end where the terminal is narrower than the curve.
    let shown = row.curve.len().min(usize::from(bars.width));
    let newest = row.curve.iter().skip(row.curve.len() - shown).copied();
    frame.render_widget(Sparkline::default().data(newest.collect::<Vec<_>>()).max(most.max(1)), bars);
}

fn draw_over(frame: &mut Frame<'_>, top: &Top) {
    let (title, text, line) = match &top.over {
        Over::Nothing => return,
        Over::Help => (" Keys, any closes ".to_owned(), HELP.to_owned(), 0),
        Over::Sure { action, run } => {
            let row = top.rows.iter().find(|row| row.run.id == *run);
            let (agent, alive) = row.map_or(("", 0), |row| (row.agent(), row.alive()));
            let processes = if alive == 1 { "process" } else { "processes" };
            let text = format!(
                "{} run {} of {}, {alive} {processes}?\n\ny yes   n no",
                action.name(),
                short(run),
                safe(agent)
            );
            (" Sure? ".to_owned(), text, 0)
        }
        Over::Text { title, text, line } => (format!(" {title}: ↑↓ scroll, q closes "), text.clone(), *line),
    };
    let area = match top.over {
        Over::Text { .. } => frame.area(),
        _ => middle(frame.area(), &text),
    };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title(title)).scroll((line, 0)), area);
}

/// A place for this text in the middle.
fn middle(area: Rect, text: &str) -> Rect {
    let lines = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
    let columns = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let columns = u16::try_from(columns).unwrap_or(u16::MAX);
    let (width, height) =
        (columns.saturating_add(4).min(area.width), lines.saturating_add(2).min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::time::Duration;

    use ratatui::{Terminal, backend::TestBackend};

    use super::{
        super::model::{
            Reading,
            tests::{finding, run, two},
        },
        *,
    };

    fn screen(top: &Top, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, top)).unwrap();
        let buffer = terminal.backend().buffer();
        (0..height)
            .map(|y| {
                let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
                line.trim_end().to_owned() + "\n"
            })
            .collect()
    }

    #[test]
    fn golden_screen_of_80_by_24() {
        let mut top = two();
        top.findings = vec![finding()];
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/top-80x24.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, screen(&top, 80, 24)).unwrap();
        }
        assert_eq!(screen(&top, 80, 24), std::fs::read_to_string(file).unwrap());
    }

    #[test]
    fn a_question_names_the_run_and_how_many_processes_it_is_about() {
        let mut top = two();
        top.key(ratatui::crossterm::event::KeyCode::Char('K').into());
        let shown = screen(&top, 80, 24);
        assert!(shown.contains("Kill run 0199aa01-7c10 of claude, 3 processes?"), "{shown}");
        assert!(shown.contains("y yes   n no"), "{shown}");
    }

    #[test]
    fn any_size_of_terminal_is_drawn() {
        let mut top = two();
        for over in [Over::Nothing, Over::Help, Over::Text { title: "T", text: "a\nb\n".into(), line: 7 }] {
            top.over = over;
            for (width, height) in [(1, 1), (3, 2), (20, 5), (80, 14), (80, 15), (300, 100)] {
                screen(&top, width, height);
            }
        }
    }

    #[test]
    fn an_empty_list_says_how_to_get_runs() {
        let shown = screen(&Top::new(false), 80, 24);
        assert!(shown.contains("No agent is watched now. `sentry run CMD`"), "{shown}");
    }

    #[test]
    fn what_an_agent_is_called_drives_no_terminal() {
        let mut top = Top::new(false);
        let runs = vec![run(1, "a\u{1b}[2J", RunState::Running, sentry_view::Counters::default())];
        top.read(Reading { runs, ..Reading::default() }, Duration::from_secs(1));
        let shown = screen(&top, 80, 24);
        assert!(shown.contains("a\\u{1b}") && !shown.contains('\u{1b}'), "{shown}");
    }
}
