//! Who belongs to a run.

use super::*;

#[test]
fn processes_that_sat_in_a_tagged_group_before_are_members() {
    let mut sensor = Sensor::new();
    sensor.world.make_group("team");
    sensor.world.make_group("team/deep");
    let pids = [sensor.world.spawn(), sensor.world.spawn()];
    sensor.world.leave(pids[0], Path::new("team"));
    sensor.world.leave(pids[1], Path::new("team/deep"));
    let run = sensor.registry.tag(Path::new("team"), start(Mode::Observe, 0)).unwrap();
    sensor.announce(&run);
    for pid in pids {
        assert_eq!(sensor.registry.of_process(pid).unwrap().id, run.id);
    }
    sensor.deliver();
    assert_eq!(run.wire().processes_entered, 2);
}

#[test]
fn a_process_that_entered_unseen_is_found_when_programs_were_left_out() {
    let mut sensor = Sensor::new();
    let (run, _pid) = sensor.run(Mode::Observe);
    let unseen = sensor.world.spawn_unseen(run.cgroup.id());
    sensor.ticks(Duration::from_secs(11));
    assert!(sensor.registry.of_process(unseen).is_none(), "nothing says that one is to be looked for");
    sensor.world.skip_programs(1);
    sensor.ticks(Duration::from_secs(11));
    assert_eq!(sensor.registry.of_process(unseen).unwrap().id, run.id);
}

#[test]
fn a_pass_over_all_tasks_that_fails_is_made_again() {
    let mut sensor = Sensor::new();
    let (run, _pid) = sensor.run(Mode::Observe);
    let unseen = sensor.world.spawn_unseen(run.cgroup.id());
    sensor.world.fail(sentry_kernel::fake::Call::Seed, sentry_kernel::fake::When::Once { after: 0 });
    sensor.registry.want_seed();
    sensor.tick();
    assert!(sensor.registry.of_process(unseen).is_none());
    sensor.tick();
    assert_eq!(sensor.registry.of_process(unseen).unwrap().id, run.id);
}

#[test]
fn a_child_is_a_member_wherever_its_parent_stands() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.make_group("elsewhere");
    sensor.world.leave(pid, Path::new("elsewhere"));
    let child = sensor.world.fork(pid).unwrap();
    assert_eq!(sensor.registry.of_process(child).unwrap().id, run.id);
    assert_eq!(sensor.registry.members(&run).len(), 2);
}

#[test]
fn a_process_number_that_is_used_again_is_no_member() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    let key = sensor.world.key(pid).unwrap();
    sensor.world.exit(pid);
    let earlier = sentry_detect::run::ProcessKey { start_boot_ns: key.start_boot_ns - 1, ..key };
    assert!(sensor.registry.take_out_if_gone(run.tag, earlier), "another process had that number");
    assert!(sensor.registry.take_out_if_gone(run.tag, key));
}

#[test]
fn runs_do_not_share_members() {
    let mut sensor = Sensor::new();
    let (one, first) = sensor.run(Mode::Observe);
    let (two, second) = sensor.run(Mode::Observe);
    let tgids =
        |run: &Run| -> Vec<u32> { sensor.registry.members(run).into_iter().map(|key| key.tgid).collect() };
    assert_eq!((tgids(&one), tgids(&two)), (vec![first], vec![second]));
}
