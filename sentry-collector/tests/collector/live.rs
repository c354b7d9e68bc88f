//! The live stream: everything that is committed comes once, also over a reconnect.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
};

use sentry_proto::v1::{RunState, Severity, item::Item};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::{
    harness::{Collector, PATIENCE, Sensor, raw, wait_until},
    items::{books, decision, finding, outcome, run},
};

/// An open stream.
struct Stream(BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Stream {
    fn open(collector: &Collector, after: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(collector.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let header = after.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let (http, key) = (collector.http, collector.authorization());
        let request = format!("GET /api/v1/live HTTP/1.1\r\nHost: {http}\r\n{key}{header}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = Self(BufReader::new(stream));
        let head = stream.line();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream has ended");
        line.trim_end().to_owned()
    }

    /// The next event. What is neither field nor event, such as the sizes of chunks, is left out.
    fn next(&mut self) -> Event {
        let (mut name, mut id, mut data) = (String::new(), String::new(), None);
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some(("event", value)) => name = value.to_owned(),
                Some(("id", value)) => id = value.to_owned(),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                _ if line.is_empty() => {
                    if let Some(data) = data.take() {
                        return Event { name, id, data };
                    }
                }
                _ => {}
            }
        }
    }

    /// The next event that has an id.
    fn item(&mut self) -> Event {
        loop {
            let event = self.next();
            if !event.id.is_empty() {
                return event;
            }
        }
    }
}

fn findings(count: std::ops::RangeInclusive<u64>) -> Vec<Item> {
    count.map(|n| finding("r1", n, Severity::High)).collect()
}

fn uid(event: &Event) -> String {
    event.data["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_comes_as_the_listings_have_it() {
    let collector = Collector::start();
    let mut stream = block_in_place(|| Stream::open(&collector, None));
    let ready = Event { name: "ready".to_owned(), id: "0-0-0-0".to_owned(), data: json!({}) };
    assert_eq!(block_in_place(|| stream.next()), ready);
    let none = Event { name: "sensors".to_owned(), id: String::new(), data: json!({"connected": []}) };
    assert_eq!(block_in_place(|| stream.next()), none);
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(block_in_place(|| stream.next()).data, json!({"connected": ["s1"]}));
    let running = run("r1", RunState::Running, books(0, 0, 0));
    let items = vec![running, findings(1..=1).remove(0), decision("r1"), Item::Outcome(outcome("r1"))];
    sensor.send(1, items).await;
    sensor.acked(4).await;
    block_in_place(|| {
        let expected =
            [("run", "1-0-0-0"), ("finding", "1-1-0-0"), ("decision", "1-1-1-0"), ("outcome", "1-1-1-1")];
        for (name, id) in expected {
            let event = stream.next();
            assert_eq!((event.name.as_str(), event.id.as_str()), (name, id), "{event:?}");
            assert_eq!(event.data, collector.items(&format!("/api/v1/{name}s"))[0]);
        }
    });
    // A new state of the same run is a new event; the row keeps its number.
    sensor.send(5, vec![run("r1", RunState::Ended, books(0, 0, 0))]).await;
    let ended = block_in_place(|| stream.next());
    assert_eq!((ended.id.as_str(), &ended.data["state"]), ("2-1-1-1", &"ended".into()));
    // So is what somebody does with a finding.
    block_in_place(|| {
        let (status, done) = collector.post("/api/v1/findings/s1/r1/r1-f-1/acknowledge", &json!({}));
        assert_eq!(status, 200, "{done}");
        let event = stream.next();
        assert_eq!((event.name.as_str(), event.id.as_str()), ("finding", "2-2-1-1"));
        assert_eq!(event.data, done["finding"]);
        assert_eq!(event.data["unmapped"]["triage"]["state"], "acknowledged");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_again_gets_the_rest_and_nothing_twice() {
    let mut collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let mut stream = block_in_place(|| Stream::open(&collector, None));
    let mut last = block_in_place(|| stream.item()).id;
    sensor.send(1, findings(1..=300)).await;
    sensor.acked(300).await;
    let mut seen = Vec::new();
    // It goes away in the middle, several times.
    for many in [1, 64, 70] {
        block_in_place(|| {
            for _ in 0..many {
                let event = stream.item();
                seen.push(uid(&event));
                last = event.id;
            }
            stream = Stream::open(&collector, Some(&last));
        });
    }
    drop(stream);
    // Also over another life of the collector.
    block_in_place(|| collector.kill_and_restart());
    let (mut sensor, acked) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(acked, 300);
    sensor.send(301, findings(301..=320)).await;
    sensor.acked(320).await;
    block_in_place(|| {
        let mut stream = Stream::open(&collector, Some(&last));
        while seen.len() < 320 {
            seen.push(uid(&stream.item()));
        }
    });
    let expected: Vec<String> = (1..=320).map(|n| format!("r1-f-{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_store_begins_anew_and_what_is_no_id_is_refused() {
    let collector = Collector::start();
    let reset = block_in_place(|| Stream::open(&collector, Some("7-0-0-0")).next());
    assert_eq!((reset.name.as_str(), reset.id.as_str()), ("reset", "0-0-0-0"));
    let request = collector.get_text("/api/v1/live").replace("\r\n\r\n", "\r\nLast-Event-ID: x\r\n\r\n");
    let (head, body) = block_in_place(|| raw(collector.http, &request));
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("Last-Event-ID"), "{head}\n{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_streams_stay_open_are_bounded_and_do_not_hold_up_the_end() {
    let mut collector = Collector::with("http_patience_seconds: 1");
    block_in_place(|| {
        let mut streams: Vec<Stream> = (0..64).map(|_| Stream::open(&collector, None)).collect();
        assert_eq!(collector.get("/api/v1/live").0, 503);
        // Longer than any other answer may take: six times the patience.
        let mut beats = 0;
        while beats < 20 {
            beats += u32::from(streams[0].line().starts_with(": alive"));
        }
        assert_eq!(collector.metric("http_closed_total"), 0);
        streams.truncate(1);
        wait_until("there is room again", || {
            let mut stream = TcpStream::connect(collector.http).unwrap();
            stream.write_all(collector.get_text("/api/v1/live").as_bytes()).unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            line.starts_with("HTTP/1.1 200")
        });
        collector.terminate();
        assert_eq!(collector.wait(), Some(0));
    });
}
