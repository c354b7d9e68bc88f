//! The writer's thread and its handles.

use std::{collections::HashSet, env, fs, path::Path, process::Command, sync::Arc};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sentry_proto::v1;

use super::{
    CommandState, Filter, Journal, JournalError, JournalHandle, JournalWriter, Limits, ROOMY, event, file,
    gap_of, run, seed,
};

fn start(dir: &Path, limits: Limits, queue: usize) -> (JournalWriter, JournalHandle) {
    JournalWriter::start(Journal::open(&file(dir), limits).unwrap(), queue).unwrap()
}

/// Positions and items from `seq` on.
async fn read_all(handle: &JournalHandle, seq: u64) -> Vec<(u64, v1::Item)> {
    let mut all = Vec::new();
    let mut next = seq;
    loop {
        let batch = handle.read_from(next, 64 << 10).await.unwrap();
        if batch.items.is_empty() {
            return all;
        }
        for item in batch.items {
            let end = gap_of(&item).map_or(next, |gap| gap.last);
            all.push((next, item));
            next = end + 1;
        }
    }
}

#[tokio::test]
async fn what_is_submitted_is_committed_in_order_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, handle) = start(dir.path(), ROOMY, 10_000);
    let mut watch = handle.watch();
    assert!(handle.submit(run("a", v1::RunState::Running)));
    for n in 2..=3_000 {
        assert!(handle.submit(event("a", n, 10)));
    }
    watch.wait_for(|position| position.last == 3_000).await.unwrap();
    assert_eq!(handle.flush().await.unwrap().last, 3_000);
    let all = read_all(&handle, 1).await;
    assert_eq!(all.len(), 3_000);
    assert!(all[1..].iter().all(|(seq, item)| *item == event("a", *seq, 10)));
    let epoch = handle.position().epoch;
    handle.ack(&epoch, 2_000);
    handle.ack(&epoch, 1_000);
    handle.ack(&Arc::from("another"), 2_900);
    handle.ack(&epoch, 2_500);
    watch.wait_for(|position| position.acked == 2_500).await.unwrap();
    assert_eq!(handle.stats().appended, 3_000);
    assert_eq!(handle.runs(false).await.unwrap().len(), 1);
    assert!(handle.run("a".to_owned()).await.unwrap().is_some());
    let filter = Filter { run: Some("a".to_owned()), ..Filter::default() };
    assert_eq!(handle.start_of(filter.clone(), 5).await.unwrap(), 2_996);
    assert_eq!(handle.page(filter, 2_996).await.unwrap().items.len(), 5);
    writer.close().await.unwrap();
    assert!(!handle.is_alive());
    assert!(!handle.submit(event("a", 1, 1)));
    assert!(matches!(handle.flush().await, Err(JournalError::Closed { .. })));
    assert_eq!(handle.stats().dropped_queue_full, 1);
}

#[test]
fn a_thread_may_wait_for_room() {
    let dir = tempfile::tempdir().unwrap();
    let (_writer, handle) = start(dir.path(), ROOMY, 1);
    for n in 1..=500 {
        assert!(handle.submit_waiting(event("a", n, 1)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(handle.flush()).unwrap().last, 500);
}

#[test]
fn a_flood_of_events_leaves_room_in_the_queue_for_what_else_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (_writer, handle) = start(dir.path(), ROOMY, super::super::worker::TURNS_WAITING + 2);
    let flood = handle.clone();
    let events =
        std::thread::spawn(move || (1..=10_000).all(|_| flood.submit_events(vec![seed("a").into()])));
    // At no time is the queue so full of events that another item does not find its place.
    let mut others = 0;
    while !events.is_finished() {
        assert!(handle.submit(event("b", others + 1, 1)), "after {others}");
        others += 1;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(handle.flush()).unwrap();
    }
    assert!(events.join().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(handle.flush()).unwrap().last, 10_000 + others);
    assert_eq!(handle.stats().dropped_queue_full, 0);
}

#[tokio::test]
async fn items_beyond_the_queue_are_counted_and_covered() {
    let dir = tempfile::tempdir().unwrap();
    let (_writer, handle) = start(dir.path(), ROOMY, 4);
    // More than one batch of the writer's, faster than it can commit: some do not fit.
    let mut kept = HashSet::new();
    for n in 1..=20_000_u64 {
        if handle.submit(event("a", n, 10)) {
            kept.insert(n);
        }
    }
    handle.flush().await.unwrap();
    handle.flush().await.unwrap();
    let stats = handle.stats();
    assert!(stats.dropped_queue_full > 0, "{stats:?}");
    assert_eq!(stats.dropped_queue_full, 20_000 - kept.len() as u64);
    let all = read_all(&handle, 1).await;
    let mut covered = 0;
    let mut seen = HashSet::new();
    for (_, item) in &all {
        match (gap_of(item), &item.item) {
            (Some(gap), _) => {
                assert_eq!(gap.reason, "queue-full");
                assert_eq!(gap.items_by_run["a"], gap.last - gap.first + 1);
                covered += gap.last - gap.first + 1;
            }
            (None, Some(v1::item::Item::Event(event))) => assert!(seen.insert(event.sequence)),
            (None, _) => unreachable!("{item:?}"),
        }
    }
    assert_eq!(seen, kept);
    assert_eq!(covered, stats.dropped_queue_full);
    assert_eq!(handle.position().last, 20_000);
}

#[tokio::test]
async fn commands_are_kept_by_the_thread() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, handle) = start(dir.path(), ROOMY, 16);
    assert_eq!(handle.begin_command("k".to_owned()).await.unwrap(), CommandState::New);
    let result = v1::CommandResult { key: "k".to_owned(), outcome: None };
    handle.finish_command(result.clone()).await.unwrap();
    writer.close().await.unwrap();
    let (_writer, handle) = start(dir.path(), ROOMY, 16);
    assert_eq!(handle.begin_command("k".to_owned()).await.unwrap(), CommandState::Done(result));
    handle.submit(event("a", 1, 1));
    handle.flush().await.unwrap();
    let before = handle.position();
    handle.begin_epoch(&before.epoch, "a test".to_owned()).await.unwrap();
    let after = handle.position();
    assert_ne!(after.epoch, before.epoch);
    // Who asks about an epoch that has ended already begins no other.
    handle.begin_epoch(&before.epoch, "a test".to_owned()).await.unwrap();
    assert_eq!(handle.position(), after);
}

#[tokio::test]
async fn a_file_that_turns_corrupt_is_replaced_while_running() {
    let dir = tempfile::tempdir().unwrap();
    let (_writer, handle) = start(dir.path(), ROOMY, 10_000);
    for n in 1..=2_000 {
        handle.submit(event("a", n, 300));
    }
    let before = handle.flush().await.unwrap();
    // Every page but the first, on disk and in the write-ahead log.
    let path = file(dir.path());
    for side in ["", "-wal"] {
        let path = path.with_file_name(format!("journal.db{side}"));
        let mut content = fs::read(&path).unwrap();
        let keep = content.len().min(4_096);
        content[keep..].fill(0xa5);
        fs::write(&path, content).unwrap();
    }
    let mut watch = handle.watch();
    let mut n = 0;
    while handle.position().epoch == before.epoch {
        n += 1;
        handle.submit(event("b", n, 4_000));
        // Reading finds the damage too, and reports it to the writer.
        drop(handle.read_from(1, 1 << 20).await);
        handle.flush().await.unwrap();
    }
    handle.submit(event("c", 1, 1));
    let after = handle.flush().await.unwrap();
    assert!(watch.borrow_and_update().epoch != before.epoch);
    assert_eq!(handle.stats().files_replaced, 1);
    assert!(after.last <= n + 1);
    assert!(path.with_file_name("journal.db.corrupt-1").exists());
    let all = read_all(&handle, 1).await;
    assert_eq!(all.last().unwrap().1, event("c", 1, 1), "the reader has moved on to the new file");
}

fn finding(run: &str, n: u64) -> v1::Item {
    let finding = v1::Finding { id: format!("{run}-f-{n}"), run: run.to_owned(), ..v1::Finding::default() };
    v1::Item { item: Some(v1::item::Item::Finding(finding)) }
}

const CHILD: &str = "JOURNAL_TEST_DIR_WITH_LITTLE_SPACE";

/// The kernel refuses to let any file grow past a limit: every write path meets it, with no
/// privilege needed.
#[test]
fn a_full_disk_costs_events_that_a_gap_covers_and_no_finding() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -S -f 512; exec "$0" --exact "$1" --nocapture"#])
        .arg(env::current_exe().unwrap())
        .arg(format!("{}::fill_and_recover", module_path!().split_once("::").unwrap().1))
        .env(CHILD, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Runs in a process of its own under a limit of 256 KiB (512 blocks) per file; alone it has
/// nothing to do.
#[test]
fn fill_and_recover() {
    let Some(dir) = env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (writer, handle) = start(Path::new(&dir), ROOMY, 1_000);
        let mut n = 0;
        let mut waits = 0;
        while handle.stats().dropped_disk_full < 10 || waits < 10 {
            n += 1;
            handle.submit(if n % 3 == 0 { finding("a", n) } else { event("a", n, 2_000) });
            handle.flush().await.unwrap();
            waits = handle.refused().map_or(0, |refused| refused.waiting);
        }
        let full = handle.position();
        let stats = handle.stats();
        assert_eq!(stats.appended + stats.dropped_disk_full + waits, n, "the books close: {stats:?}");
        assert!(full.last < n, "what was not written has no position yet");
        let why = handle.refused().unwrap().why;
        assert!(why.contains("nothing was written"), "{why}");
        // Space again, and nothing more to write but what waits and the loss itself.
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
        handle.watch().wait_for(|position| position.last == n).await.unwrap();
        handle.flush().await.unwrap();
        assert_eq!(handle.refused(), None);
        let all = read_all(&handle, 1).await;
        let gaps: Vec<_> = all.iter().filter_map(|(_, item)| gap_of(item)).collect();
        let covered: u64 = gaps.iter().map(|gap| gap.last - gap.first + 1).sum();
        assert_eq!(covered, handle.stats().dropped_disk_full);
        assert!(gaps.iter().all(|gap| gap.reason.starts_with("disk-") && gap.items_by_run.contains_key("a")));
        assert_eq!(all.len() as u64 - gaps.len() as u64 + covered, n);
        let findings = all
            .iter()
            .map(|(_, item)| item)
            .filter(|item| matches!(item.item, Some(v1::item::Item::Finding(_))));
        let expected: Vec<_> = (1..=n).filter(|n| n % 3 == 0).map(|n| finding("a", n)).collect();
        assert_eq!(findings.cloned().collect::<Vec<_>>(), expected, "none is missing, none twice");
        writer.close().await.unwrap();
    });
}
