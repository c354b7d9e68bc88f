//! With a real journal and real files.

use sentry_proto::ocsf;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::journal::{Journal, JournalWriter, Limits};

const ROOMY: Limits = Limits { spool_bytes: 64 << 20, keep_bytes: 64 << 20 };

struct Bench {
    dir: TempDir,
    config: FileSink,
    journal: JournalHandle,
    _writer: JournalWriter,
}

impl Bench {
    fn new(max_bytes: u64, keep: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db"), ROOMY).unwrap();
        let (writer, journal) = JournalWriter::start(journal, 10_000).unwrap();
        let config = FileSink { path: dir.path().join("events.jsonl"), max_bytes, keep };
        Self { dir, config, journal, _writer: writer }
    }

    /// A sink's life: it is asked to stop at once, so that it writes what there is.
    async fn run(&self) {
        let token = CancellationToken::new();
        token.cancel();
        let origin =
            Origin { sensor: "s".into(), version: "1".into(), host: "h".into(), boot_id: "b".into() };
        run(self.config.clone(), self.journal.clone(), origin, token).await;
    }

    fn submit(&self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            let process = v1::Process { tid: 7, ..v1::Process::default() };
            let kind = v1::event::Kind::Exit(v1::Exit::default());
            let event = v1::Event {
                id: format!("r-c-{n}"),
                run: "r".into(),
                agent: Some(v1::Agent { id: "a".into(), name: "a".into() }),
                time_unix_ns: 1_700_000_000_000_000_000 + n,
                process: Some(process),
                kind: Some(kind),
                ..v1::Event::default()
            };
            assert!(self.journal.submit(v1::Item { item: Some(Kind::Event(event)) }));
        }
    }

    fn path(&self, end: &str) -> PathBuf {
        self.dir.path().join(format!("events.jsonl{end}"))
    }

    fn lines(&self, end: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(end)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ids(&self, end: &str) -> Vec<String> {
        let id = |line: &Value| line["metadata"]["uid"].as_str().unwrap().to_owned();
        self.lines(end).iter().map(id).collect()
    }
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|n| format!("r-c-{n}")).collect()
}

#[tokio::test]
async fn each_event_is_one_valid_line_with_the_container_of_its_run() {
    let bench = Bench::new(1 << 20, 3);
    let container = v1::Container { id: "c1".into(), ..v1::Container::default() };
    let run = v1::Run { id: "r".into(), container: Some(container), ..v1::Run::default() };
    assert!(bench.journal.submit(v1::Item { item: Some(Kind::Run(run)) }));
    bench.submit(0..3);
    bench.run().await;
    let lines = bench.lines("");
    assert_eq!(bench.ids(""), ids(0..3));
    for line in &lines {
        ocsf::check(line).unwrap();
        assert_eq!(line["device"]["hostname"], "h");
        assert!(line.to_string().contains("c1"), "{line}");
    }
}

#[tokio::test]
async fn a_later_life_goes_on_where_the_earlier_one_stopped() {
    let bench = Bench::new(1 << 20, 3);
    bench.submit(0..5);
    bench.run().await;
    bench.run().await;
    bench.submit(5..8);
    bench.run().await;
    assert_eq!(bench.ids(""), ids(0..8));
}

#[tokio::test]
async fn what_was_written_and_not_noted_is_written_again_once() {
    let bench = Bench::new(1 << 20, 3);
    bench.submit(0..5);
    bench.run().await;
    // Killed after the lines were written, in the middle of one.
    let mut file = OpenOptions::new().append(true).open(bench.path("")).unwrap();
    file.write_all(b"{\"metadata\":{\"uid\":\"r-c-5\"}}\n{\"meta").unwrap();
    bench.submit(5..7);
    bench.run().await;
    assert_eq!(bench.ids(""), ids(0..7));
}

#[tokio::test]
async fn a_file_that_is_full_is_turned_over_and_the_oldest_goes() {
    let bench = Bench::new(1_000, 2);
    for n in 0..6 {
        bench.submit(n * 3..n * 3 + 3);
        bench.run().await;
    }
    assert_eq!((bench.ids(""), bench.ids(".1"), bench.ids(".2")), (ids(15..18), ids(12..15), ids(9..12)));
    assert!(!bench.path(".3").exists());
}

#[tokio::test]
async fn a_sensor_killed_while_the_file_was_turned_over_loses_and_repeats_nothing() {
    let bench = Bench::new(1_000, 2);
    bench.submit(0..3);
    bench.run().await;
    fs::rename(bench.path(""), bench.path(".1")).unwrap();
    bench.submit(3..6);
    bench.run().await;
    assert_eq!((bench.ids(""), bench.ids(".1")), (ids(3..6), ids(0..3)));
}

#[tokio::test]
async fn another_journal_is_written_from_its_beginning() {
    let bench = Bench::new(1 << 20, 3);
    bench.submit(0..3);
    bench.run().await;
    let text = fs::read_to_string(bench.path(".position")).unwrap();
    let mut written: Written = serde_json::from_str(&text).unwrap();
    written.epoch = "another".into();
    written.seq = 900;
    fs::write(bench.path(".position"), serde_json::to_vec(&written).unwrap()).unwrap();
    bench.run().await;
    assert_eq!(bench.ids(""), [ids(0..3), ids(0..3)].concat());
}

#[tokio::test]
async fn a_position_that_does_not_read_writes_all_that_the_journal_has() {
    let bench = Bench::new(1 << 20, 3);
    bench.submit(0..3);
    bench.run().await;
    fs::write(bench.path(".position"), b"{\"epoch\": 3").unwrap();
    bench.run().await;
    assert_eq!(bench.ids(""), ids(0..3));
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error_in_words_and_costs_no_line() {
    let bench = Bench::new(1 << 20, 3);
    bench.submit(0..3);
    fs::create_dir(bench.path("")).unwrap();
    let token = CancellationToken::new();
    token.cancel();
    let origin = Origin { sensor: "s".into(), version: "1".into(), host: "h".into(), boot_id: "b".into() };
    let mut lines = Lines { origin, containers: LruCache::new(RUNS) };
    let error = write(&bench.config, &bench.journal, &mut lines, &token).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open {}", bench.path("").display()));
    fs::remove_dir(bench.path("")).unwrap();
    write(&bench.config, &bench.journal, &mut lines, &token).await.unwrap();
    assert_eq!(bench.ids(""), ids(0..3));
}
