//! P1 where time is a count of instructions: in an emulated machine with one processor, which has
//! the hooks of tiers A and B that this kernel may lack. What is measured is done by the test
//! `cost::`, which prints a line `cost: {…}` for each work.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::goal;
use crate::{step, told::told, vm};

const TEST: &str = "cost::";
const MARK: &str = "cost";
/// Unless others are named.
const KERNEL: &str = "debian-6.12";

pub(super) fn command(mut kernels: Vec<String>, as_json: bool) -> Result<ExitCode> {
    if kernels.is_empty() {
        kernels.push(KERNEL.to_owned());
    }
    let tally = vm::run_counted(&kernels, &[TEST.to_owned()])?;
    let mut rows = Vec::new();
    for (name, log) in vm::logs_of(&kernels)? {
        for cost in told(&step::read_lossy(&log), MARK)? {
            rows.push((name.clone(), cost));
        }
    }
    if rows.is_empty() {
        bail!("no cost was printed; see the logs of the kernels");
    }
    if as_json {
        let rows: Vec<Value> =
            rows.iter().map(|(kernel, cost)| json!({"kernel": kernel, "cost": cost})).collect();
        println!("{}", json!({ "counted": rows }));
    } else {
        print(&rows);
    }
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(rows: &[(String, Value)]) {
    println!("\n{} ({}), time counted in instructions: {}", goal::P1.name, goal::P1.target, goal::P1.what);
    println!("{:<22}{:<6}{:<12}{:>9}{:>9}", "kernel", "tier", "work", "ratio", "control");
    for (kernel, cost) in rows {
        let text = |key: &str| cost[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| cost[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{kernel:<22}{:<6}{:<12}{:>9.4}{:>9.4}",
            text("tier"),
            text("work"),
            number("ratio"),
            number("control")
        );
    }
}
