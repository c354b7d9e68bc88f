#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::sync::atomic::AtomicU64;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Colour {
    Red,
    Green,
}

impl Label for Colour {
    fn names() -> Vec<&'static str> {
        vec!["red", "green"]
    }

    fn index(&self) -> usize {
        *self as usize
    }
}

#[derive(Debug)]
struct Times;

impl Bounds for Times {
    const BOUNDS: &'static [f64] = &[0.25, 1.0];
}

crate::metrics! {
    /// Of a test.
    struct Shown in "t_" {
        Counter apples_total ["colour", "colour_inside"]: By<Colour, By<Colour>>, "Apples.";
        Gauge depth_bytes: AtomicU64, "A \\ and\na \"line\".";
        Gauge absent: Option<u64>, "Not there.";
        Gauge open ["door"]: Vec<([&'static str; 1], bool)>, "Open doors.";
        Histogram wait_seconds ["colour"]: By<Colour, Histogram<Times>>, "Waits.";
    }
}

fn shown() -> Vec<Family> {
    let shown = Shown { open: vec![(["a\"b"], true)], depth_bytes: 7.into(), ..Shown::default() };
    shown.apples_total.of(&Colour::Red).unwrap().add(&Colour::Green, 3);
    for seconds in [0.25, 0.5, 2.0] {
        shown.wait_seconds.of(&Colour::Green).unwrap().observe(seconds);
    }
    shown.families()
}

const SAMPLES_OF_APPLES: &str = "\
t_apples_total{colour=\"red\",colour_inside=\"red\"} 0
t_apples_total{colour=\"red\",colour_inside=\"green\"} 3
t_apples_total{colour=\"green\",colour_inside=\"red\"} 0
t_apples_total{colour=\"green\",colour_inside=\"green\"} 0
";
const OPEN: &str = "\
# HELP t_open Open doors.
# TYPE t_open gauge
t_open{door=\"a\\\"b\"} 1
";
const SAMPLES_OF_WAITS: &str = "\
t_wait_seconds_bucket{colour=\"red\",le=\"0.25\"} 0
t_wait_seconds_bucket{colour=\"red\",le=\"1.0\"} 0
t_wait_seconds_bucket{colour=\"red\",le=\"+Inf\"} 0
t_wait_seconds_sum{colour=\"red\"} 0
t_wait_seconds_count{colour=\"red\"} 0
t_wait_seconds_bucket{colour=\"green\",le=\"0.25\"} 1
t_wait_seconds_bucket{colour=\"green\",le=\"1.0\"} 2
t_wait_seconds_bucket{colour=\"green\",le=\"+Inf\"} 3
t_wait_seconds_sum{colour=\"green\"} 2.75
t_wait_seconds_count{colour=\"green\"} 3
";

#[test]
fn open_metrics_name_counters_without_their_ending_and_say_units_and_the_end() {
    let expected = format!(
        "# HELP t_apples Apples.\n# TYPE t_apples counter\n{SAMPLES_OF_APPLES}\
         # HELP t_depth_bytes A \\\\ and\\na \\\"line\\\".\n# TYPE t_depth_bytes gauge\n\
         # UNIT t_depth_bytes bytes\nt_depth_bytes 7\n{OPEN}\
         # HELP t_wait_seconds Waits.\n# TYPE t_wait_seconds histogram\n\
         # UNIT t_wait_seconds seconds\n{SAMPLES_OF_WAITS}# EOF\n"
    );
    assert_eq!(text(&shown(), Form::OpenMetrics), expected);
}

#[test]
fn the_older_form_names_counters_as_their_samples() {
    let expected = format!(
        "# HELP t_apples_total Apples.\n# TYPE t_apples_total counter\n{SAMPLES_OF_APPLES}\
         # HELP t_depth_bytes A \\\\ and\\na \"line\".\n# TYPE t_depth_bytes gauge\n\
         t_depth_bytes 7\n{OPEN}\
         # HELP t_wait_seconds Waits.\n# TYPE t_wait_seconds histogram\n{SAMPLES_OF_WAITS}"
    );
    assert_eq!(text(&shown(), Form::Prometheus), expected);
}

#[test]
fn a_scraper_gets_the_form_that_it_asks_for() {
    let asked = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1";
    assert_eq!(Form::wanted(asked), Form::OpenMetrics);
    assert_eq!(Form::wanted("text/plain"), Form::Prometheus);
    assert_eq!(Form::wanted(""), Form::Prometheus);
}

#[test]
fn a_table_takes_the_place_of_the_one_behind_its_heading() {
    let page = "# P\n\n## A\n\n| a |\n|---|\n| 1 |\n\n## B\n\nWords.\n\n| b |\n|---|\n| 2 |\n| 3 |\n\nEnd.\n";
    let rows = table(&Shown::DECLARED[..1]);
    assert_eq!(rows, ["| `t_apples_total` | counter | `colour`, `colour_inside` | Apples. |"]);
    let expected = page.replace("| 2 |\n| 3 |", &rows[0]);
    assert_eq!(with_table(page, "## B", &rows).as_deref(), Some(expected.as_str()));
    assert_eq!(with_table(page, "## C", &rows), None);
}
