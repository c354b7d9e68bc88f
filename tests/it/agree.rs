//! Health, metrics and log say of the feed what the collector has stored, to the item: with a wrong
//! certificate, a dead, a slow, a full collector.

use std::path::Path;

use sentry_tests::{
    collector::{self, Collector},
    pki::Authority,
    programs,
    proxy::Proxy,
    require,
    scratch::Scratch,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};
use serde_json::Value;

use crate::{faults::Small, workload};

/// What the sensor says of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Feed {
    connected: bool,
    last: u64,
    acknowledged: u64,
    waiting: u64,
}

impl Feed {
    fn of_health(health: &Value) -> Self {
        Self {
            connected: health["collector_connected"].as_bool().unwrap(),
            last: health["last_seq"].as_u64().unwrap(),
            acknowledged: health["acked_seq"].as_u64().unwrap(),
            waiting: health["spooled_items"].as_u64().unwrap(),
        }
    }

    fn of_metrics(sensor: &Sensor) -> Self {
        let metrics = sensor.metrics();
        let number = |name: &str| metrics.number(&format!("agentsentry_sensor_feed_{name}")) as u64;
        Self {
            connected: number("connected") == 1,
            last: number("last_position"),
            acknowledged: number("acknowledged_position"),
            waiting: number("unacknowledged_items"),
        }
    }
}

/// Health and metrics, once both say the same twice: nothing is under way.
fn at_rest(sensor: &Sensor) -> (Value, Feed) {
    wait::until("health and metrics agree", || {
        let before = Feed::of_metrics(sensor);
        let health = sensor.health();
        let (said, after) = (Feed::of_health(&health), Feed::of_metrics(sensor));
        if said == before && said == after {
            Ok((health, said))
        } else {
            Err(format!("{before:?}, {said:?}, {after:?}"))
        }
    })
}

/// Waits until all is acknowledged, which is what the collector has stored.
fn all_stored(sensor: &Sensor, collector: &Collector) -> u64 {
    wait::until("the collector has everything", || {
        let feed = Feed::of_health(&sensor.health());
        if feed.waiting == 0 && feed.connected { Ok(()) } else { Err(format!("{feed:?}")) }
    });
    let (health, feed) = at_rest(sensor);
    assert_eq!(health["health"], "serving", "{health}");
    assert_eq!((feed.connected, feed.acknowledged, feed.waiting), (true, feed.last, 0));
    assert_eq!(collector.stored(), (feed.last, 0));
    assert_eq!(sensor.cli(&["health"]).status.code(), Some(0));
    feed.last
}

/// Waits until there is no stream: health names why, in the words of the log. What it then says.
fn not_connected(sensor: &Sensor, why: &str) -> Feed {
    let health = wait::until("health names what is wrong", || {
        let health = sensor.health();
        let error = health["collector_error"].as_str().unwrap_or_default();
        if error.contains(why) { Ok(health) } else { Err(health.to_string()) }
    });
    let said = health["health"].as_str().unwrap();
    assert!(said.starts_with("degraded: no stream to the collector since 20"), "{said}");
    assert!(said.contains(why), "{said}");
    let output = sensor.cli(&["health"]);
    let text = programs::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("collector not connected since 20") && text.contains(why), "{text}");
    assert!(sensor.log().contains("no stream to the collector"), "{}", sensor.log());
    assert!(sensor.log().contains(why), "{}", sensor.log());
    let (_, feed) = at_rest(sensor);
    assert_eq!((feed.connected, feed.waiting), (false, feed.last - feed.acknowledged));
    feed
}

fn does_something(sensor: &Sensor) {
    let ended = Order::new(sensor, "work").finish(&["/bin/true"]);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
}

/// The feed's lines of configuration; `ca` is whom the sensor believes.
fn by_certificate(collector: &Collector, ca: &Path, sensor: &sentry_tests::pki::Files) -> String {
    format!(
        "sensor: {{id: s-1}}\ncollector:\n  endpoint: https://{}\n  tls: {{ca: {}, cert: {}, key: {}}}",
        collector.grpc,
        ca.display(),
        sensor.cert.display(),
        sensor.key.display()
    )
}

#[test]
fn with_a_wrong_certificate_nothing_is_sent_and_nothing_is_called_acknowledged() {
    require!("root");
    let scratch = Scratch::new();
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let (right, believed) = (scratch.join("right.pem"), scratch.join("believed.pem"));
    authority.write(&right);
    other.write(&believed);
    let server = authority.issue(scratch.path(), "collector");
    let tls = format!(
        "tls:\n  cert: {}\n  key: {}\n  client_ca: {}",
        server.cert.display(),
        server.key.display(),
        right.display()
    );
    let collector = collector::Setup::default().config(&tls).grpc("127.0.0.1:0").start();
    let client = authority.issue(scratch.path(), "s-1");
    let endpoint = format!("https://{}", collector.grpc);
    let lines = by_certificate(&collector, &believed, &client);
    let sensor = Setup::default().config(&lines).collector(&endpoint).start();
    does_something(&sensor);
    let feed = not_connected(&sensor, "certificate");
    assert!(feed.last > 0 && feed.acknowledged == 0, "{feed:?}");
    assert_eq!(collector.all("sensors"), [] as [Value; 0]);
    assert_eq!(collector.metrics().sum("agentsentry_collector_items_total"), 0.0);
    // The files are read anew for every connection.
    authority.write(&believed);
    all_stored(&sensor, &collector);
    assert!(sensor.log().contains("stream to the collector open"), "{}", sensor.log());
}

#[test]
fn a_dead_collector_has_what_it_had_and_no_more() {
    require!("root");
    let mut collector = Collector::start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    does_something(&sensor);
    let stored = all_stored(&sensor, &collector);
    collector.kill();
    does_something(&sensor);
    let feed = not_connected(&sensor, "connect to");
    assert_eq!(feed.acknowledged, stored);
    assert!(feed.last > stored, "{feed:?}");
    let age = sensor.metrics().number("agentsentry_sensor_feed_unacknowledged_age_seconds");
    assert!(age > 0.0, "{age}");
    collector.start_again();
    all_stored(&sensor, &collector);
}

#[test]
fn a_slow_collector_is_never_ahead_in_what_the_sensor_says() {
    require!("root");
    let collector = Collector::start();
    let proxy = Proxy::slow(&collector.grpc);
    let sensor = Setup::default().collector(&proxy.address()).start();
    let dir = sensor.place("files");
    std::fs::create_dir(&dir).unwrap();
    let load =
        Order::new(&sensor, "load").start(&workload("workload_flood", &[dir.to_str().unwrap(), "0", "2000"]));
    wait::until("the collector knows the sensor", || {
        let known = collector.all("sensors").len();
        if known == 1 { Ok(()) } else { Err(known.to_string()) }
    });
    let (mut waited, mut moved) = (0, 0);
    for _ in 0..wait::rounds(40, 10, 400) {
        let health = Feed::of_health(&sensor.health());
        let metrics = Feed::of_metrics(&sensor);
        let (stored, lost) = collector.stored();
        assert!(health.acknowledged <= metrics.acknowledged, "{health:?}, {metrics:?}");
        assert!(metrics.acknowledged <= stored && lost == 0, "{metrics:?}: {stored} are stored");
        for feed in [health, metrics] {
            assert_eq!(feed.waiting, feed.last - feed.acknowledged, "{feed:?}");
        }
        waited += health.waiting;
        moved = moved.max(metrics.acknowledged - health.acknowledged);
    }
    assert!(waited > 0 && moved > 0, "nothing was slow, or nothing moved: {waited}, {moved}");
    std::fs::write(dir.join("stop"), "").unwrap();
    let ended = load.wait();
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    all_stored(&sensor, &collector);
}

#[test]
fn a_full_collector_is_behind_until_it_has_room() {
    require!("root");
    let scratch = Scratch::new();
    let small = Small::new(&scratch, 4 << 20);
    let collector = collector::Setup::default().data_dir(&small.0.join("data")).start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    does_something(&sensor);
    all_stored(&sensor, &collector);
    let ballast = small.fill();
    // What is left of the pages in use is soon taken.
    let health = wait::until_within(wait::patience() * 3, "the collector is behind", || {
        does_something(&sensor);
        let health = sensor.health();
        if health["health"].as_str().unwrap().contains("behind") {
            Ok(health)
        } else {
            Err(health.to_string())
        }
    });
    assert_eq!(health["collector_connected"], true, "{health}");
    let (health, feed) = at_rest(&sensor);
    assert!(feed.connected && feed.waiting > 0, "{feed:?}");
    assert_eq!(collector.stored(), (feed.acknowledged, 0));
    let metrics = collector.metrics();
    assert_eq!(metrics.sum("agentsentry_collector_items_total") as u64, feed.acknowledged);
    assert!(metrics.number("agentsentry_collector_commit_failures_total") > 0.0);
    let said = health["health"].as_str().unwrap();
    let expected = format!(
        "degraded: the collector is connected but behind: it has not acknowledged {} items, the oldest of 20",
        feed.waiting
    );
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(sensor.cli(&["health"]).status.code(), Some(1));
    assert_eq!(sensor.metrics().number("agentsentry_sensor_feed_behind"), 1.0);
    assert!(sensor.log().contains("the collector is behind"), "{}", sensor.log());
    ballast.remove();
    let stored = all_stored(&sensor, &collector);
    assert_eq!(collector.metrics().sum("agentsentry_collector_items_total") as u64, stored);
    wait::until("the log has the turn", || {
        let log = sensor.log();
        if log.contains("the collector has caught up") { Ok(()) } else { Err(log) }
    });
}
