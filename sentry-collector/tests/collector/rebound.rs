//! A web page whose name was made to point at the collector reads nothing.

use serde_json::Value;

use crate::harness::{Collector, raw};

/// Status and error code of the answer.
fn ask(collector: &Collector, text: &str) -> (String, String) {
    let (head, body) = raw(collector.http, text);
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn answer(status: &str, code: &str) -> (String, String) {
    (status.to_owned(), code.to_owned())
}

#[test]
fn a_rebound_page_reads_nothing_whatever_it_asks() {
    let collector = Collector::start();
    let own = collector.http.to_string();
    let foreign = format!("rebound.example:{}", collector.http.port());
    let asks = [
        "GET /api/v1/runs",
        "GET /api/v1/commands/k",
        "POST /api/v1/runs/r1/kill",
        "POST /api/v1/runs",
        "OPTIONS /api/v1/runs",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /nothing",
    ];
    for ask_for in asks {
        let text = collector.get_text("/").replace("GET /", ask_for).replace(&own, &foreign);
        assert_eq!(ask(&collector, &text), answer("421", "misdirected"), "{ask_for}");
    }
    let absolute = collector.get_text(&format!("http://{foreign}/api/v1/runs"));
    assert_eq!(ask(&collector, &absolute), answer("421", "misdirected"));
    for host in [own.clone(), format!("localhost:{}", collector.http.port())] {
        let text = collector.get_text("/api/v1/runs").replace(&own, &host);
        assert_eq!(ask(&collector, &text), answer("200", ""), "{host}");
    }
}

#[test]
fn a_page_of_another_origin_reads_nothing() {
    let collector = Collector::start();
    let from = |origin: &str| {
        let head = format!("Host: {}\r\nOrigin: {origin}", collector.http);
        let plain = collector.get_text("/api/v1/events");
        ask(&collector, &plain.replace(&format!("Host: {}", collector.http), &head))
    };
    assert_eq!(from("http://page.example"), answer("403", "foreign_origin"));
    assert_eq!(from("null"), answer("403", "foreign_origin"));
    assert_eq!(from(&format!("http://{}", collector.http)), answer("200", ""));
}

#[test]
fn a_request_names_its_host_once() {
    let collector = Collector::start();
    let host = format!("Host: {}\r\n", collector.http);
    let plain = collector.get_text("/healthz");
    assert_eq!(ask(&collector, &plain), answer("200", ""));
    for wrong in [String::new(), format!("{host}{host}"), "Host: \r\n".to_owned(), "Host: a b\r\n".to_owned()]
    {
        assert_eq!(ask(&collector, &plain.replace(&host, &wrong)), answer("400", "bad_host"), "{wrong:?}");
    }
    let older = plain.replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(ask(&collector, &older), answer("200", ""));
    assert_eq!(ask(&collector, &older.replace(&host, "")), answer("400", "bad_host"));
}

#[test]
fn a_listed_name_is_answered() {
    let collector = Collector::with("http_names: [collector.example, 'proxy.example:443']");
    let own = collector.http.to_string();
    let ask_as = |host: &str| ask(&collector, &collector.get_text("/api/v1/runs").replace(&own, host)).0;
    assert_eq!(ask_as(&format!("collector.example:{}", collector.http.port())), "200");
    assert_eq!(ask_as("proxy.example:443"), "200");
    assert_eq!(ask_as("collector.example"), "421");
    assert_eq!(ask_as(&format!("proxy.example:{}", collector.http.port())), "421");
}
