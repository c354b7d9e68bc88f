//! Each call of the kernel fails once, or for good, while a run is begun, runs away, is acted on by
//! hand, or is taken up. Nothing panics, and an enforced run ends killed, frozen, or reported as
//! out of control.

use sentry_detect::decision::{Action, OutcomeKind};
use sentry_kernel::fake::{Call, When};

use super::*;

/// Which of the calls of one kind fails: the first, the second, and one later.
const AFTER: [u64; 3] = [0, 1, 4];

/// A run with one process, begun again where a call that failed refused it.
fn begun(sensor: &mut Sensor, mode: Mode) -> (Arc<Run>, u32) {
    for _ in 0..10 {
        let Ok(run) = sensor.empty_run(mode) else {
            assert_eq!(sensor.registry.live().len(), 0, "a run that was refused is nobody's");
            continue;
        };
        let pid = sensor.world.spawn();
        for _ in 0..10 {
            if sensor.registry.enter(&run, pid).is_ok() {
                return (run, pid);
            }
        }
    }
    panic!("no run can be begun");
}

/// One failure: the runaway is killed all the same, or stands frozen until somebody kills it.
fn runaway_once(call: Call) {
    for after in AFTER {
        let mut sensor = Sensor::new();
        sensor.world.fail(call, When::Once { after });
        let (run, pid) = begun(&mut sensor, Mode::Enforce);
        bomb(&sensor.world, pid);
        sensor.until("the bomb is stopped", |sensor| {
            !sensor.world.is_alive(pid) || sensor.world.stands_still(pid)
        });
        sensor.ticks(Duration::from_secs(1));
        if sensor.world.is_alive(pid) {
            assert_eq!(sensor.stored(&run).state(), v1::RunState::Frozen, "{call:?} after {after}");
            assert!(sensor.outcomes().contains(&(v1::Action::Kill, "failed".into())));
            assert_eq!(sensor.by_hand(&run, Action::Kill).result, OutcomeKind::Applied);
        }
        sensor.until("the run ends", |sensor| sensor.is_over(&run));
        let stored = sensor.stored(&run);
        assert_eq!(stored.state(), v1::RunState::Ended, "{call:?} after {after}");
        let ledger = sensor.ledger();
        assert_eq!(ledger.last().map(String::as_str), Some("run-end"), "{ledger:?}");
    }
}

/// It fails for good from when the run exists: the run is stopped, or it is said that it is not.
fn runaway_for_good(call: Call) {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    sensor.tick();
    sensor.world.fail(call, When::Always);
    bomb(&sensor.world, pid);
    sensor.ticks(Duration::from_secs(10));
    let is_stopped = !sensor.world.is_alive(pid) || sensor.world.stands_still(pid);
    let is_reported = sensor.outcomes().iter().any(|(_, result)| result == "failed" || result == "refused");
    let is_blind = call == Call::Run && sensor.findings().is_empty();
    assert!(is_stopped || is_reported || is_blind, "{call:?}: {:?}", sensor.outcomes());
    if sensor.world.is_alive(pid) {
        assert!(!run.is_ended(), "{call:?}: a run with live processes is watched");
    }
}

/// Orders of a person while a call fails: what is answered is what the machine shows.
fn by_hand_once(call: Call) {
    for after in AFTER {
        let mut sensor = Sensor::new();
        let (run, pid) = sensor.run(Mode::Observe);
        sensor.tick();
        sensor.world.fail(call, When::Once { after });
        let frozen = sensor.by_hand(&run, Action::Freeze);
        if frozen.result == OutcomeKind::Applied {
            assert!(sensor.world.stands_still(pid), "{call:?} after {after}");
            assert_eq!(sensor.stored(&run).state(), v1::RunState::Frozen);
        }
        let thawed = sensor.by_hand(&run, Action::Thaw);
        if thawed.result == OutcomeKind::Applied {
            assert!(!sensor.world.stands_still(pid), "{call:?} after {after}");
            assert_eq!(sensor.stored(&run).state(), v1::RunState::Running);
        }
        let killed = sensor.by_hand(&run, Action::Kill);
        if killed.result != OutcomeKind::Applied {
            assert_eq!(sensor.by_hand(&run, Action::Kill).result, OutcomeKind::Applied);
        }
        assert!(!sensor.world.is_alive(pid), "{call:?} after {after}");
        sensor.until("the run ends", |sensor| sensor.is_over(&run));
    }
}

/// A sensor starts beside a frozen run, and a call fails: somebody can still thaw or kill it.
fn taken_up_once(call: Call) {
    for after in AFTER {
        let mut sensor = Sensor::new();
        let (run, pid) = sensor.run(Mode::Enforce);
        sensor.by_hand(&run, Action::Freeze);
        sensor.world.fail(call, When::Once { after });
        let mut sensor = sensor.killed_and_started();
        let live = sensor.registry.live();
        assert_eq!(live.len(), 1, "{call:?} after {after}: {:?}", sensor.troubles);
        let killed = sensor.by_hand(&live[0], Action::Kill);
        if killed.result != OutcomeKind::Applied {
            assert_eq!(sensor.by_hand(&live[0], Action::Kill).result, OutcomeKind::Applied);
        }
        assert!(!sensor.world.is_alive(pid), "{call:?} after {after}");
        sensor.until("the run ends", |sensor| sensor.is_over(&live[0]));
    }
}

/// A test for each call and story.
macro_rules! each_call {
    ($($name:ident: $call:ident),+ $(,)?) => {
        mod a_runaway_while_one_call_fails {
            use super::*;
            $(#[test] fn $name() { runaway_once(Call::$call); })+
        }
        mod a_runaway_while_calls_fail_for_good {
            use super::*;
            $(#[test] fn $name() { runaway_for_good(Call::$call); })+
        }
        mod orders_while_one_call_fails {
            use super::*;
            $(#[test] fn $name() { by_hand_once(Call::$call); })+
        }
        mod a_start_beside_a_frozen_run_while_one_call_fails {
            use super::*;
            $(#[test] fn $name() { taken_up_once(Call::$call); })+
        }

        #[test]
        fn every_call_has_its_tests() {
            let listed = [$(Call::$call),+];
            let others: Vec<Call> =
                Call::ALL.iter().copied().filter(|call| !listed.contains(call)).collect();
            // The selectors', which no run here is made by; the canary's; and groups that are gone.
            let expected = [
                Call::Detached, Call::LiveCgroups, Call::Process, Call::Select, Call::Spares,
                Call::SetSpare, Call::Own, Call::Gone, Call::ChangedUnixS,
            ];
            assert_eq!(others, expected);
        }
    };
}

each_call! {
    arm: Arm, skipped: Skipped, set_run: SetRun, stop_run: StopRun, run: Run, add_cgroup: AddCgroup,
    cgroup: Cgroup, members: Members, all_members: AllMembers, add_member: AddMember,
    remove_member: RemoveMember, flows: Flows, seed_pass: SeedPass, seed: Seed, create: Create,
    open: Open, names_of_runs: NamesOfRuns, procs: Procs, add: Add, events: Events, visit: Visit,
    cpu_time: CpuTime, remove: Remove, freeze: Freeze, thaw: Thaw, kill: Kill, set_mark: SetMark,
    mark: Mark, hold: Hold, is_alive: IsAlive, is_stopped: IsStopped, is_gone: IsGone,
    signal: Signal, moved_bytes: MovedBytes, holds: Holds,
}
