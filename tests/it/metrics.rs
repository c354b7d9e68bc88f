//! What the sensor counts of itself, at each way out.

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
};

use sentry_tests::{
    collector::Collector,
    openmetrics::{Form, Metrics},
    programs, require,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};

const DOCUMENT: &str = include_str!("../../docs/metrics.md");
const OPEN_METRICS: &str = "application/openmetrics-text";

/// Head and body of the answer to a request at a unix socket.
fn ask(socket: &Path, request: &str) -> (String, String) {
    let answer = try_to_ask(socket, request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The whole answer; empty where the connection was closed.
fn try_to_ask(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(wait::patience())).unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: sensor\r\nAccept: {OPEN_METRICS}\r\n\r\n");
    let mut answer = String::new();
    match stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)) {
        Ok(_) => answer,
        Err(_closed) => String::new(),
    }
}

fn documented(metrics: &Metrics) {
    for family in &metrics.families {
        assert!(DOCUMENT.contains(&format!("| `{family}` |")), "docs/metrics.md has no {family}");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_way_out_shows_the_same_metrics() {
    require!("root");
    let place = tempfile::tempdir().unwrap();
    let (socket, textfile) = (place.path().join("m.sock"), place.path().join("a.prom"));
    let lines =
        format!("metrics: {{socket: {}, textfile: {}, every: 1 s}}", socket.display(), textfile.display());
    let mut sensor = Setup::default().group("daemon").config(&lines).start();
    let ended = Order::new(&sensor, "work").finish(&["/bin/true"]);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));

    let typed = sensor.metrics();
    documented(&typed);
    let (head, body) = ask(&socket, "GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains(OPEN_METRICS), "{head}");
    let scraped = Metrics::read(&body, Form::OpenMetrics);
    assert_eq!(scraped.families, typed.families);
    assert_eq!(scraped.number("agentsentry_sensor_runs_ended_total{mode=\"observe\"}"), 1.0);
    let written = wait::until("the textfile has the end of the run", || {
        let text = std::fs::read_to_string(&textfile).map_err(|error| error.to_string())?;
        let metrics = Metrics::read(&text, Form::Prometheus);
        let ended = metrics.number("agentsentry_sensor_runs_ended_total{mode=\"observe\"}");
        if ended == 1.0 { Ok(metrics) } else { Err(text) }
    });
    assert_eq!(written.families, typed.families);
    assert_eq!((mode(&socket), mode(&textfile)), (0o660, 0o644));

    assert!(ask(&socket, "HEAD /metrics").1.is_empty());
    assert!(ask(&socket, "GET /").0.starts_with("HTTP/1.1 404"));
    assert!(ask(&socket, "POST /metrics").0.starts_with("HTTP/1.1 405"));

    assert!(sensor.terminate().success());
    assert!(!socket.exists() && !textfile.exists(), "a sensor that has ended shows nothing");
}

#[test]
fn the_collector_shows_both_forms() {
    let collector = Collector::start();
    let metrics = collector.metrics();
    documented(&metrics);
    let (head, body) = sentry_tests::http::text(&collector.http, "/metrics", "*/*").unwrap();
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert_eq!(Metrics::read(&body, Form::Prometheus).families, metrics.families);
}

#[test]
fn runs_records_and_stops_are_counted() {
    require!("root");
    let sensor = Sensor::start();
    let before = sensor.metrics();
    let more = |series: &str| sensor.metrics().number(series) - before.number(series);
    let run = Order::new(&sensor, "sleeper").flag("--enforce").start(&["/bin/sleep", "1000"]);
    let id = run.run();
    assert_eq!(more("agentsentry_sensor_runs_started_total{mode=\"enforce\"}"), 1.0);
    assert_eq!(more("agentsentry_sensor_runs{mode=\"enforce\",phase=\"running\"}"), 1.0);
    assert!(sensor.metrics().number("agentsentry_sensor_hooks_attached") > 0.0);
    assert_eq!(sensor.cli(&["freeze", &id]).status.code(), Some(0));
    assert_eq!(more("agentsentry_sensor_runs{mode=\"enforce\",phase=\"frozen\"}"), 1.0);
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    let ended = run.wait();
    assert_eq!(ended.code(), Some(137), "{}", programs::text(&ended.output));
    for action in ["freeze", "kill"] {
        let act = format!("agentsentry_sensor_acts_total{{action=\"{action}\",result=\"applied\"}}");
        assert_eq!(more(&act), 1.0, "{action}");
        assert_eq!(more(&format!("agentsentry_sensor_stop_seconds_count{{action=\"{action}\"}}")), 1.0);
        assert!(more(&format!("agentsentry_sensor_stop_seconds_sum{{action=\"{action}\"}}")) > 0.0);
    }
    assert_eq!(more("agentsentry_sensor_runs_ended_total{mode=\"enforce\"}"), 1.0);
    assert_eq!(more("agentsentry_sensor_runs{mode=\"enforce\",phase=\"frozen\"}"), 0.0);
    // At the least the exec of the sleeper, and what it loaded.
    assert!(more("agentsentry_sensor_records_total{class=\"process\"}") > 0.0);
    assert!(more("agentsentry_sensor_records_total{class=\"file\"}") > 0.0);
    let state = sensor.state_of(&id);
    for ring in ["critical", "bulk"] {
        let lost = more(&format!("agentsentry_sensor_records_lost_total{{ring=\"{ring}\"}}"));
        assert_eq!(lost, state["rings"][ring]["lost"].as_f64().unwrap(), "{state:#}");
        assert!(more(&format!("agentsentry_sensor_ring_fill_most_bytes{{ring=\"{ring}\"}}")) >= 0.0);
    }
}

#[test]
fn a_textfile_that_cannot_be_written_is_counted_and_logged_once() {
    require!("root");
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("later");
    let textfile = dir.join("a.prom");
    let lines = format!("metrics: {{textfile: {}, every: 1 s}}", textfile.display());
    let sensor = Setup::default().config(&lines).start();
    let failures = || sensor.metrics().number("agentsentry_sensor_textfile_failures_total");
    wait::until("it was tried again", || {
        let failures = failures();
        if failures >= 3.0 { Ok(()) } else { Err(failures.to_string()) }
    });
    assert_eq!(sensor.log().matches("metrics are not written to the textfile").count(), 1);
    std::fs::create_dir(&dir).unwrap();
    let text = wait::file(&textfile);
    assert!(
        Metrics::read(&text, Form::Prometheus).number("agentsentry_sensor_textfile_failures_total") >= 3.0
    );
    wait::until("the log has the turn", || {
        let log = sensor.log();
        if log.contains("metrics are written to the textfile again") { Ok(()) } else { Err(log) }
    });
}

#[test]
fn those_who_hold_the_metrics_socket_are_few_and_go() {
    require!("root");
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("m.sock");
    let sensor = Setup::default().config(&format!("metrics: {{socket: {}}}", socket.display())).start();
    let connect = || {
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(wait::patience())).unwrap();
        stream
    };
    let held: Vec<UnixStream> = (0..8).map(|_| connect()).collect();
    assert_eq!(connect().read(&mut [0; 1]).unwrap(), 0, "one too many is closed at once");
    // Those that say nothing are closed as well, and there is room again.
    for mut stream in held {
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    }
    wait::until("there is room again", || {
        let answer = try_to_ask(&socket, "GET /metrics");
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(format!("{answer}{}", sensor.log())) }
    });
}
