//! What the sensor costs a process that is no agent, where time is a count of instructions: exact,
//! and the same each time.

use sentry_tests::{capability, programs, require, sensor::Setup, supervised::Order};
use serde_json::json;

/// What the process does, and how often.
const WORKS: [(&str, u32); 3] = [("getpid", 50_000), ("open-close", 2_000), ("connect", 5_000)];

/// Nanoseconds of CPU time of each work.
fn costs() -> [f64; WORKS.len()] {
    WORKS.map(|(work, repetitions)| {
        let mut command = programs::command("workload_cost");
        let output = programs::finish(command.args([work, &repetitions.to_string()]));
        assert!(output.status.success(), "{}", programs::text(&output));
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
    })
}

/// No limit is asserted: `cargo xtask bench --counted` puts the figures beside the goals.
#[test]
fn what_others_pay_while_an_agent_runs_is_told() {
    require!("root", "counted-time");
    let before = costs();
    let with = {
        let sensor = Setup::default().start();
        let agent = Order::new(&sensor, "waiting").with_stdin().start(&["/bin/cat"]);
        let _it_lives = agent.run();
        costs()
    };
    let after = costs();
    for (index, (work, _)) in WORKS.iter().enumerate() {
        let (before, with, after) = (before[index], with[index], after[index]);
        assert!(before > 0.0 && with > 0.0 && after > 0.0);
        let line = json!({
            "work": work, "tier": capability::tier(), "before_ns": before, "with_ns": with, "after_ns": after,
            "ratio": with / before, "control": after / before,
        });
        println!("cost: {line}");
    }
}
