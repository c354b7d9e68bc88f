#![expect(clippy::panic, clippy::unwrap_used, reason = "a failed test may panic, as may a stage in one")]

use std::{
    future::{pending, ready},
    sync::{Arc, mpsc},
};

use parking_lot::Mutex;

use super::*;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("broken")]
struct Broken;

type Of = Stages<Broken>;

const MINUTE: Duration = Duration::from_secs(60);
/// Enough for everything that ends.
const LONG: Bounds = Bounds { sides: MINUTE, all: MINUTE, last: MINUTE };
/// Over at once, for what never ends.
const SHORT: Bounds = Bounds { sides: Duration::ZERO, all: Duration::ZERO, last: Duration::from_millis(50) };

/// The bound is over at once, what comes after it is not.
const GIVEN_UP: Bounds = Bounds { all: Duration::ZERO, ..LONG };
/// Nobody waits for side tasks.
const NO_SIDES: Bounds = Bounds { sides: Duration::ZERO, ..LONG };

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn add(&self, what: &'static str) {
        self.0.lock().push(what);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().clone()
    }
}

/// A task that ends when its token is cancelled, and its stop.
fn until_asked(stages: &mut Of, name: &'static str, log: &Log) {
    let (token, asked) = (CancellationToken::new(), CancellationToken::new());
    let (stopped, ended) = (log.clone(), log.clone());
    let stop = {
        let (token, asked) = (token.clone(), asked.clone());
        async move {
            stopped.add(name);
            asked.cancel();
            token.cancel();
        }
    };
    stages.task(name, stop, async move {
        token.cancelled().await;
        // Others get their turn, if they may have one.
        tokio::task::yield_now().await;
        ended.add("ended");
        Ok(())
    });
}

#[tokio::test]
async fn a_drain_asks_each_stage_once_the_one_before_it_has_ended() {
    let (mut stages, log) = (Of::default(), Log::default());
    for name in ["ring", "analyse", "act"] {
        until_asked(&mut stages, name, &log);
    }
    stages.drain(LONG, || log.add("given up")).await.unwrap();
    assert_eq!(log.all(), ["ring", "ended", "analyse", "ended", "act", "ended"]);
}

#[tokio::test]
async fn a_stage_that_does_not_stop_is_named_and_left_and_the_others_are_asked() {
    let (mut stages, log) = (Of::default(), Log::default());
    stages.task("stubborn", ready(()), pending());
    until_asked(&mut stages, "act", &log);
    let fault = stages.drain(SHORT, || log.add("given up")).await.unwrap_err();
    assert!(matches!(fault, Fault::Stuck { stage: "stubborn", .. }), "{fault}");
    assert_eq!(fault.to_string(), "stage stubborn did not end within 0 s; it was left");
    assert_eq!(log.all(), ["act", "given up", "ended"]);
}

#[tokio::test]
async fn a_stage_that_gives_up_has_the_last_word() {
    let mut stages = Of::default();
    let give_up = CancellationToken::new();
    let token = give_up.clone();
    stages.task("writer", ready(()), async move {
        token.cancelled().await;
        Err(Broken)
    });
    let fault = stages.drain(GIVEN_UP, || give_up.cancel()).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed { stage: "writer", source: Broken }), "{fault}");
}

#[tokio::test]
async fn a_stage_that_panics_is_a_fault_at_once() {
    let mut stages = Of::default();
    stages.task("calm", ready(()), pending());
    stages.task("watch", ready(()), async { panic!("as the test wants it") });
    let fault = stages.fault().await;
    assert!(matches!(fault, Fault::Panicked { stage: "watch" }), "{fault}");
}

#[tokio::test]
async fn a_thread_that_panics_is_a_fault_at_once() {
    let mut stages = Of::default();
    stages.thread("watch", ready(()), || panic!("as the test wants it")).unwrap();
    let fault = stages.fault().await;
    assert!(matches!(fault, Fault::Panicked { stage: "watch" }), "{fault}");
}

#[tokio::test]
async fn what_has_no_end_is_dropped_when_asked() {
    let mut stages = Of::default();
    let held = Arc::new(());
    let of_stage = Arc::clone(&held);
    stages.endless("canary", async move {
        pending::<()>().await;
        drop(of_stage);
    });
    stages.drain(LONG, || ()).await.unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test]
async fn a_stage_that_returns_early_is_a_fault_at_once() {
    let mut stages = Of::default();
    stages.task("calm", ready(()), pending());
    stages.task("act", ready(()), async { Ok(()) });
    let fault = stages.fault().await;
    assert!(matches!(fault, Fault::Ended { stage: "act" }), "{fault}");
}

#[tokio::test]
async fn a_stage_that_fails_is_a_fault_with_its_error() {
    let mut stages = Of::default();
    stages.task("http", ready(()), async { Err(Broken) });
    let fault = stages.fault().await;
    assert!(matches!(fault, Fault::Failed { stage: "http", source: Broken }), "{fault}");
}

#[tokio::test]
async fn a_thread_is_joined_and_can_block_on_its_runtime() {
    let (mut stages, log) = (Of::default(), Log::default());
    let (stop, stopped) = mpsc::sync_channel(1);
    let of_thread = log.clone();
    stages
        .thread("ring", async move { stop.send(()).unwrap() }, move || {
            stopped.recv().unwrap();
            Handle::current().block_on(async { of_thread.add("ended") });
            Ok(())
        })
        .unwrap();
    stages.drain(LONG, || ()).await.unwrap();
    assert_eq!(log.all(), ["ended"]);
}

#[tokio::test]
async fn side_tasks_are_awaited_before_the_stages_that_they_use() {
    let (mut stages, log) = (Of::default(), Log::default());
    until_asked(&mut stages, "act", &log);
    let of_side = log.clone();
    stages.sides().spawn(async move {
        for _turn in 0..10 {
            tokio::task::yield_now().await;
        }
        of_side.add("answered");
    });
    stages.drain(LONG, || ()).await.unwrap();
    assert_eq!(log.all(), ["answered", "act", "ended"]);
}

#[tokio::test]
async fn a_side_task_that_does_not_end_keeps_no_stage_from_its_turn() {
    let (mut stages, log) = (Of::default(), Log::default());
    until_asked(&mut stages, "act", &log);
    stages.sides().spawn(pending::<()>());
    stages.drain(NO_SIDES, || log.add("given up")).await.unwrap();
    assert_eq!(log.all(), ["act", "ended"]);
}
