#![expect(clippy::unwrap_used, reason = "a failed test may panic")]
#![expect(clippy::disallowed_methods, reason = "a task of a test ends with the test's runtime")]

mod collector;

mod hostile;

mod tls;

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use sentry_detect::event::Event;
use sentry_proto::v1::{self, item};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{BATCH_BYTES, CommandRequest, ExportConfig, ExportStatus, Proof, TlsFiles, WINDOW_BYTES, run};
use crate::journal::{Journal, JournalHandle, JournalWriter, Limits, tests::seed};
use collector::{Collector, Mood, State};

const ROOMY: Limits = Limits { spool_bytes: 256 << 20, keep_bytes: 1 << 20 };
/// Longer than anything here takes; a hang is a failure, not a wait.
const HANG: Duration = Duration::from_secs(60);

/// A journal with an exporter on it.
struct Sensor {
    journal: JournalHandle,
    writer: JournalWriter,
    commands: mpsc::Receiver<CommandRequest>,
    status: watch::Receiver<ExportStatus>,
    token: CancellationToken,
    task: JoinHandle<()>,
}

impl Sensor {
    fn start(dir: &Path, limits: Limits, mut config: ExportConfig) -> Self {
        if let Proof::Key(path) = &mut config.proof {
            *path = dir.join(&path);
            std::fs::write(&path, collector::key().digits()).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        }
        let journal = Journal::open(&dir.join("journal.db"), limits).unwrap();
        let (writer, journal) = JournalWriter::start(journal, 100_000).unwrap();
        let (to_app, commands) = mpsc::channel(4);
        let (tell, status) = watch::channel(ExportStatus::default());
        let token = CancellationToken::new();
        let hello = v1::Hello { sensor: "s".to_owned(), epoch: "unset".to_owned(), ..v1::Hello::default() };
        let task = tokio::spawn(run(config, journal.clone(), hello, to_app, tell, token.clone()));
        Self { journal, writer, commands, status, token, task }
    }

    async fn stop(self) {
        self.token.cancel();
        timeout(HANG, self.task).await.unwrap().unwrap();
        timeout(HANG, self.writer.close()).await.unwrap().unwrap();
    }
}

fn plain(address: std::net::SocketAddr) -> ExportConfig {
    let proof = Proof::Key("feed.key".into());
    let (longest_wait, grace) = (Duration::from_millis(5), Duration::from_secs(30));
    ExportConfig { uri: format!("http://{address}"), proof, longest_wait, grace }
}

fn event(n: u64, bytes: usize) -> v1::Item {
    // Does not compress to nothing, so that limits are reached.
    let mut state = n;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (state >> 40) as u8 % 64)
    };
    let path = (0..bytes).map(|_| next()).collect();
    let kind = v1::event::Kind::CgroupMake(v1::CgroupMake { cgroup: n, path });
    v1::Item {
        item: Some(item::Item::Event(v1::Event {
            id: format!("e{n}"),
            run: "r".to_owned(),
            sequence: n,
            kind: Some(kind),
            ..v1::Event::default()
        })),
    }
}

fn submit(sensor: &Sensor, numbers: RangeInclusive<u64>) {
    for n in numbers {
        assert!(sensor.journal.submit(event(n, 1)));
    }
}

/// The same as the sensor's own events, which become blocks.
async fn submit_events(sensor: &Sensor, numbers: RangeInclusive<u64>) {
    let journal = sensor.journal.clone();
    let event = |n| Event { id: format!("e{n}"), sequence: n, ..seed("r") };
    let submit = move || numbers.into_iter().all(|n| journal.submit_events(vec![event(n).into()]));
    assert!(tokio::task::spawn_blocking(submit).await.unwrap());
}

/// Every position once, as an item or under a Gap; each event at most once, in order. Returns
/// events and covered.
fn close_the_books(state: &State, last: u64) -> (HashSet<u64>, u64) {
    assert!(state.faults.is_empty(), "{:?}", state.faults);
    assert_eq!(state.epochs.len(), 1);
    let stored = state.epochs.values().next().unwrap();
    let (mut next, mut covered, mut newest) = (1, 0, 0);
    let mut events = HashSet::new();
    for (first, (end, item)) in &stored.items {
        assert_eq!(*first, next);
        next = end + 1;
        match &item.item {
            Some(item::Item::Gap(_)) => covered += end - first + 1,
            Some(item::Item::Event(event)) => {
                assert!(event.sequence > newest, "in order");
                newest = event.sequence;
                assert!(events.insert(event.sequence));
            }
            other => unreachable!("{other:?}"),
        }
    }
    assert_eq!((next - 1, stored.last), (last, last));
    (events, covered)
}

#[tokio::test]
async fn everything_arrives_once_and_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let serving = collector.serve(None, None);
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    // More than the window, so that acknowledgements have to move it.
    let count = 2 * (WINDOW_BYTES / 10_000) as u64;
    for n in 1..=count {
        assert!(sensor.journal.submit(event(n, 10_000)));
    }
    let mut watch = sensor.journal.watch();
    timeout(HANG, watch.wait_for(|position| position.acked == count)).await.unwrap().unwrap();
    assert_eq!(sensor.status.borrow().connected.as_deref(), Some("test"));
    sensor.stop().await;
    let state = collector.lock();
    assert_eq!(close_the_books(&state, count), ((1..=count).collect(), 0));
    assert_eq!(state.hellos.len(), 1);
    assert!(state.largest_message <= BATCH_BYTES, "{}", state.largest_message);
    assert!(state.largest_message > BATCH_BYTES / 2, "batches are used");
}

#[tokio::test]
async fn a_collector_that_takes_blocks_gets_them() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let sensor_without =
        |serving: &collector::Serving| Sensor::start(dir.path(), ROOMY, plain(serving.address));
    let serving = collector.serve(None, None);
    let sensor = sensor_without(&serving);
    submit_events(&sensor, 1..=6_000).await;
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.acked == 6_000))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(collector.lock().blocks, 0, "it did not say that it takes them");
    sensor.stop().await;
    let address = serving.stop().await;
    collector.mood(Mood { blocks: true, ..Mood::default() });
    let serving = collector.serve(Some(address), None);
    let sensor = sensor_without(&serving);
    submit_events(&sensor, 6_001..=12_000).await;
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.acked == 12_000))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(sensor.status.borrow().sent, 6_000, "each event counts");
    sensor.stop().await;
    let state = collector.lock();
    assert!((1..=100).contains(&state.blocks), "{}", state.blocks);
    assert_eq!(close_the_books(&state, 12_000), ((1..=12_000).collect(), 0));
}

#[tokio::test]
async fn of_a_block_that_is_refused_the_bad_event_alone_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let poison = [1, 70, 71, 200].map(|n| format!("e{n}"));
    collector.mood(Mood { blocks: true, refuse: poison.into(), ..Mood::default() });
    let serving = collector.serve(None, None);
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    submit(&sensor, 1..=200);
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.acked == 200)).await.unwrap().unwrap();
    assert_eq!(sensor.journal.stats().refused, 4);
    sensor.stop().await;
    let state = collector.lock();
    let (events, covered) = close_the_books(&state, 200);
    assert_eq!((events.len(), covered), (196, 4));
}

#[tokio::test]
async fn the_window_bounds_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    collector.mood(Mood { silent: true, ..Mood::default() });
    let serving = collector.serve(None, None);
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    let count = 3 * (WINDOW_BYTES / 10_000) as u64;
    for n in 1..=count {
        sensor.journal.submit(event(n, 10_000));
    }
    sensor.journal.flush().await.unwrap();
    let full = (WINDOW_BYTES / 10_300) as u64;
    timeout(HANG, collector.wait(|state| state.received >= full)).await.unwrap();
    // All that was sent without an answer: never much more than the window, whatever else is
    // waiting.
    let most = ((WINDOW_BYTES + BATCH_BYTES) / 10_000) as u64;
    assert!(sensor.status.borrow().sent <= most);
    collector.mood(Mood::default());
    // It only answers what comes next, so the stream has to be opened again.
    let address = serving.stop().await;
    let _serving = collector.serve(Some(address), None);
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.acked == count))
        .await
        .unwrap()
        .unwrap();
    assert!(collector.lock().received <= count, "what it had was not sent again");
    sensor.stop().await;
    close_the_books(&collector.lock(), count);
}

#[tokio::test]
async fn the_books_close_over_cuts_late_answers_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    collector.mood(Mood { cut_after: Some(1), late: Duration::from_millis(3), ..Mood::default() });
    let mut serving = collector.serve(None, None);
    // A spool that does not hold what gathers while the collector is away.
    let limits = Limits { spool_bytes: 400_000, keep_bytes: 100_000 };
    let sensor = Sensor::start(dir.path(), limits, plain(serving.address));
    let mut watch = sensor.journal.watch();
    let mut submitted = 0;
    for round in 1..=6_u64 {
        for _ in 0..400 {
            submitted += 1;
            assert!(sensor.journal.submit(event(submitted, 1_000 + (submitted % 700) as usize)));
        }
        sensor.journal.flush().await.unwrap();
        if !round.is_multiple_of(2) {
            timeout(HANG, watch.wait_for(|position| position.acked == submitted)).await.unwrap().unwrap();
        } else {
            let address = serving.stop().await;
            for _ in 0..600 {
                submitted += 1;
                sensor.journal.submit(event(submitted, 1_500));
            }
            sensor.journal.flush().await.unwrap();
            serving = collector.serve(Some(address), None);
        }
    }
    collector.mood(Mood::default());
    timeout(HANG, watch.wait_for(|position| position.acked == submitted)).await.unwrap().unwrap();
    let stats = sensor.journal.stats();
    sensor.stop().await;
    let state = collector.lock();
    let (events, covered) = close_the_books(&state, submitted);
    assert_eq!(events.len() as u64 + covered, submitted);
    assert!(covered > 0, "the spool was too small on purpose");
    // What was dropped from the spool may have been stored before: the acknowledgement was late.
    assert!(covered <= stats.dropped_spool_full, "{covered} {stats:?}");
    assert!(state.hellos.len() >= 4, "{} streams", state.hellos.len());
    drop(serving);
}

#[tokio::test]
async fn a_restarted_sensor_goes_on_where_the_collector_is() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let serving = collector.serve(None, None);
    for life in 0..3_u64 {
        let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
        for n in 1..=100 {
            sensor.journal.submit(event(life * 100 + n, 10));
        }
        sensor.stop().await;
        assert_eq!(collector.lock().epochs.values().next().unwrap().last, (life + 1) * 100, "a stop drains");
    }
    let state = collector.lock();
    close_the_books(&state, 300);
    assert_eq!(state.received, 300);
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_its_grace() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens there.
    let address = Collector::default().serve(None, None).stop().await;
    let config = ExportConfig { grace: Duration::from_millis(300), ..plain(address) };
    let mut sensor = Sensor::start(dir.path(), ROOMY, config.clone());
    sensor.journal.submit(event(1, 1));
    timeout(HANG, sensor.status.wait_for(|status| status.last_error.is_some())).await.unwrap().unwrap();
    let begin = Instant::now();
    sensor.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // With nothing to send there is nothing to wait for.
    let dir = tempfile::tempdir().unwrap();
    let config = ExportConfig { grace: HANG * 2, ..config };
    let mut sensor = Sensor::start(dir.path(), ROOMY, config);
    timeout(HANG, sensor.status.wait_for(|status| status.last_error.is_some())).await.unwrap().unwrap();
    sensor.stop().await;
}

#[tokio::test]
async fn an_item_the_collector_refuses_becomes_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let poison = [7, 8, 500].map(|n| format!("e{n}"));
    collector.mood(Mood { refuse: poison.into(), ..Mood::default() });
    let serving = collector.serve(None, None);
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    for n in 1..=1_000 {
        sensor.journal.submit(event(n, 10));
    }
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.acked == 1_000))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(sensor.journal.stats().refused, 3);
    sensor.stop().await;
    let state = collector.lock();
    let (events, covered) = close_the_books(&state, 1_000);
    assert_eq!((events.len(), covered), (997, 3));
    let stored = &state.epochs.values().next().unwrap().items;
    for seq in [7, 8, 500] {
        let Some(item::Item::Gap(gap)) = &stored[&seq].1.item else { unreachable!("{seq}") };
        assert_eq!(
            (gap.reason.as_str(), &gap.items_by_run),
            ("refused", &HashMap::from([("r".to_owned(), 1)]))
        );
    }
}

#[tokio::test]
async fn an_older_copy_of_the_journal_goes_on_in_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let serving = collector.serve(None, None);
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    submit(&sensor, 1..=10);
    sensor.stop().await;
    let (now, then) = (
        |side: &str| dir.path().join(format!("journal.db{side}")),
        |side: &str| dir.path().join(format!("copy{side}")),
    );
    // What is in the write-ahead log belongs to the copy.
    let copied: Vec<&str> =
        ["", "-wal"].into_iter().filter(|side| std::fs::copy(now(side), then(side)).is_ok()).collect();
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    submit(&sensor, 11..=20);
    sensor.stop().await;
    // The older copy comes back, as with a restored machine.
    for side in ["", "-wal", "-shm"] {
        std::fs::remove_file(now(side)).ok();
    }
    for side in copied {
        std::fs::rename(then(side), now(side)).unwrap();
    }
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    submit(&sensor, 21..=30);
    sensor.journal.flush().await.unwrap();
    let has = |state: &State| state.epochs.len() == 2 && state.epochs.values().any(|epoch| epoch.last == 10);
    timeout(HANG, collector.wait(has)).await.unwrap();
    let here = sensor.journal.page(crate::journal::Filter::default(), 0).await.unwrap();
    assert_eq!(here.items.len(), 20, "history of both epochs");
    sensor.stop().await;
    let state = collector.lock();
    let of = |stored: &collector::Stored| -> Vec<u64> {
        let events = stored.items.values().filter_map(|(_, item)| match &item.item {
            Some(item::Item::Event(event)) => Some(event.sequence),
            _ => None,
        });
        events.collect()
    };
    let mut events: Vec<_> = state.epochs.values().map(of).collect();
    events.sort();
    assert_eq!(events, [(1..=20).collect::<Vec<_>>(), (21..=30).collect()]);
    assert!(state.faults.is_empty(), "{:?}", state.faults);
}

#[tokio::test]
async fn a_command_is_carried_out_once_and_answered_again() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let serving = collector.serve(None, None);
    let command = |key: &str| v1::Command {
        key: key.to_owned(),
        run: "r".to_owned(),
        action: v1::Action::Freeze.into(),
        reason: String::new(),
    };
    let send = |keys: &[&str]| {
        collector.lock().commands.extend(keys.iter().map(|key| command(key)));
        collector.changed.notify_waiters();
    };
    let mut sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    // Twice before the first is answered, and while another acts.
    send(&["k1", "k1", "k2"]);
    let first = timeout(HANG, sensor.commands.recv()).await.unwrap().unwrap();
    let second = timeout(HANG, sensor.commands.recv()).await.unwrap().unwrap();
    assert_eq!((first.command.key.as_str(), second.command.key.as_str()), ("k1", "k2"));
    first.reply.send(v1::Outcome { processes: 7, ..v1::Outcome::default() }).unwrap();
    // The app drops this one without an answer.
    drop(second.reply);
    timeout(HANG, collector.wait(|state| state.results.len() == 2)).await.unwrap();
    send(&["k1"]);
    timeout(HANG, collector.wait(|state| state.results.len() == 3)).await.unwrap();
    // A third is in the app's hands when the sensor is gone.
    send(&["k3"]);
    let third = timeout(HANG, sensor.commands.recv()).await.unwrap().unwrap();
    assert_eq!(third.command.key, "k3");
    sensor.task.abort();
    drop((sensor.task.await, third, sensor.commands, sensor.journal));
    sensor.writer.close().await.unwrap();

    let mut sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    send(&["k1", "k2", "k3"]);
    timeout(HANG, collector.wait(|state| state.results.len() == 6)).await.unwrap();
    assert!(sensor.commands.try_recv().is_err(), "the app hears of each once");
    sensor.stop().await;
    let state = collector.lock();
    let of = |key: &str| -> Vec<_> {
        let results = state.results.iter().filter(|result| result.key == key);
        results.map(|result| result.outcome.clone().unwrap()).collect()
    };
    assert!(of("k1").iter().all(|outcome| outcome.processes == 7));
    assert_eq!((of("k1").len(), of("k2").len(), of("k3").len()), (3, 2, 1));
    assert!(of("k2").iter().all(|outcome| outcome.why.contains("gave the command up")));
    assert!(of("k3")[0].why.contains("restarted"));
}
