//! Work that agents do all day, enforced: nothing acts on it, however much CPU it takes or waits
//! for.
//!
//! In the suite each piece of work has [`BRIEFLY`], and a spin is held against a third of its usual
//! time. With `AGENTSENTRY_LONG=1` each has [`LONG`], and the limits are the defaults.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use sentry_tests::{
    programs, require,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};
use serde_json::Value;

use crate::workload;

const BRIEFLY: &str = "1.3";
const LONG: &str = "9";

/// What each is to do, with more input than it gets through in its time.
fn works(dir: &Path) -> Vec<(&'static str, Vec<String>)> {
    let data = dir.join("data");
    fs::write(&data, text(32 << 20)).unwrap();
    let many = |tool: &[&str]| {
        let mut line: Vec<String> = tool.iter().map(|&word| word.to_owned()).collect();
        line.extend(std::iter::repeat_n(data.display().to_string(), 400));
        line
    };
    let one = |line: &[&str]| line.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let (project, unit, repository) = (project(dir), unit(dir, "large", 40_000), repository(dir));
    vec![
        ("make -j4", one(&["make", "-s", "-j4", "-C", &project])),
        ("gcc -O2", one(&["gcc", "-O2", "-c", "-o", "/dev/null", &unit])),
        ("xz", many(&["xz", "-c"])),
        ("gzip", many(&["gzip", "-c"])),
        ("sha256sum", many(&["sha256sum"])),
        ("git gc --aggressive", one(&["git", "-C", &repository, "gc", "--aggressive", "--quiet"])),
        ("python3", one(&["python3", "-c", "n = 0\nwhile True: n += 1"])),
    ]
}

/// Words that repeat as those of a language do.
fn text(length: usize) -> String {
    let (mut out, mut state) = (String::with_capacity(length + 16), 1_u64);
    while out.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        write!(out, "{:x} ", (state >> 33) % 50_000).unwrap();
    }
    out
}

/// A C file with so many functions.
fn unit(dir: &Path, name: &str, functions: u32) -> String {
    let mut source = String::from("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n");
    for n in 0..functions {
        writeln!(
            source,
            "int {name}_{n}(int *a, int b) {{ for (int i = 0; i < b; i++) a[i % 7] += i * {n} ^ a[(i + {n}) \
            % 5]; return a[b % 3] ? (int) strlen(\"{n}\") : rand(); }}"
        )
        .unwrap();
    }
    let path = dir.join(format!("{name}.c"));
    fs::write(&path, source).unwrap();
    path.display().to_string()
}

fn project(dir: &Path) -> String {
    let project = dir.join("project");
    fs::create_dir(&project).unwrap();
    for n in 0..400 {
        unit(&project, &format!("unit{n}"), 150);
    }
    let rule =
        "objects := $(patsubst %.c,%.o,$(wildcard *.c))\nall: $(objects)\n%.o: %.c\n\tgcc -O2 -c -o $@ $<\n";
    fs::write(project.join("Makefile"), rule).unwrap();
    project.display().to_string()
}

/// A repository in which one file has changed often.
fn repository(dir: &Path) -> String {
    let repository = dir.join("repository");
    let git = |line: &[&str], stdin: Option<&Path>| {
        let mut command = Command::new("git");
        command.arg("-C").arg(dir).args(line);
        if let Some(path) = stdin {
            command.stdin(fs::File::open(path).unwrap());
        }
        let output = programs::finish(&mut command);
        assert!(output.status.success(), "{}", programs::text(&output));
    };
    git(&["init", "--quiet", "repository"], None);
    let (mut content, mut stream) = (text(400_000).into_bytes(), Vec::new());
    for n in 0..if wait::long() { 400 } else { 100_usize } {
        for change in 0..50 {
            let at = (n * 7919 + change * 104_729) % content.len();
            content[at] = b'0' + (n % 10) as u8;
        }
        let head = format!(
            "commit refs/heads/main\nmark :{}\ncommitter a <a@b> {} +0000\ndata 2\nc\n{}M 644 inline \
            file\ndata {}\n",
            n + 1,
            1_700_000_000 + n,
            if n > 0 { format!("from :{n}\n") } else { String::new() },
            content.len(),
        );
        stream.extend_from_slice(head.as_bytes());
        stream.extend_from_slice(&content);
        stream.push(b'\n');
    }
    let path = dir.join("stream");
    fs::write(&path, stream).unwrap();
    git(&["-C", "repository", "fast-import", "--quiet"], Some(&path));
    repository.display().to_string()
}

fn setup() -> Setup {
    Setup::default().config(if wait::long() { "" } else { "detect: {cpu_hold_ms: 1000}" })
}

/// They have two files open and no other act; what they read and write shows that they work.
const MOVERS: [&str; 3] = ["xz", "gzip", "sha256sum"];

/// Works that something was done about, or that were found though they move bytes; or that ended
/// otherwise than by themselves or when their time was over.
fn acted_on(sensor: &Sensor, before: &[&str]) -> Vec<String> {
    let dir = sensor.scratch().dir("work");
    let mut wrong = Vec::new();
    for (name, command) in works(&dir) {
        let time = if wait::long() { LONG } else { BRIEFLY };
        let mut line: Vec<String> = before.iter().map(|&word| word.to_owned()).collect();
        line.extend(["sh", "-c", "exec timeout \"$@\" > /dev/null", "sh", time].map(str::to_owned));
        line.extend(command);
        let started = std::time::Instant::now();
        let ended = Order::new(sensor, "worker").flag("--enforce").finish(&line);
        let report = ended.report();
        let list = |name: &str| report[name].as_array().unwrap().clone();
        let found: Vec<Value> =
            list("findings").iter().map(|finding| finding["finding_info"]["title"].clone()).collect();
        let acts = list("outcomes").iter().filter(|outcome| outcome["action"] != "observe").count();
        println!("{before:?} {name}: {:?} in {:?}, {acts} acts, {found:?}", ended.code(), started.elapsed());
        let is_found = MOVERS.contains(&name) && !found.is_empty();
        if acts > 0 || is_found || !matches!(ended.code(), Some(0 | 124)) {
            wrong.push(format!("{name}: {}\n{report:#}", programs::text(&ended.output)));
        }
    }
    wrong
}

#[test]
fn ordinary_work_is_not_acted_on() {
    require!("root", "work-tools");
    assert_eq!(acted_on(&setup().start(), &[]), [""; 0]);
}

#[test]
fn ordinary_work_that_waits_for_a_processor_is_not_acted_on() {
    require!("root", "work-tools");
    let sensor = setup().start();
    let ready = sensor.place("spin");
    let _busy = sensor.beside(programs::command("workload_spin").arg("2").arg(&ready));
    let _ready = wait::file(&ready);
    assert_eq!(acted_on(&sensor, &["nice"]), [""; 0]);
}

/// As many of five million opens as it takes to be found.
#[test]
fn a_flood_of_one_call_is_found_and_does_not_hide_the_spin() {
    require!("root");
    // A machine that is shared with other work, or emulated, is far from its usual rate.
    let quick = "detect: {cpu_hold_ms: 1000, cpu_min_cores: 0.05, flood_calls_per_s: 500}";
    let detect = if wait::long() { "detect: {cpu_min_cores: 0.05}" } else { quick };
    let sensor = Setup::default().config(detect).start();
    let file = sensor.scratch().join("file");
    fs::write(&file, "").unwrap();
    let line = workload("workload_reopen", &[file.to_str().unwrap(), "5000000"]);
    let run = Order::new(&sensor, "flood").flag("--enforce").start(&line);
    let id = run.run();
    let found = wait::until("the flood and the spin are found", || {
        let findings = sensor.findings(&id);
        let is_found = |rule: &&str| findings.iter().any(|finding| finding["finding_info"]["title"] == *rule);
        if ["call-flood", "cpu-spin"].iter().all(is_found) {
            Ok(findings)
        } else {
            Err(format!("{findings:#?}"))
        }
    });
    for finding in found {
        println!("{}", finding["finding_info"]["desc"]);
    }
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    let ended = run.wait();
    let outcomes = ended.report()["outcomes"].as_array().unwrap();
    let mut acts: Vec<&str> = outcomes.iter().filter_map(|outcome| outcome["action"].as_str()).collect();
    // On a busy machine one may be found again before the other is.
    acts.dedup();
    assert_eq!((ended.code(), acts), (Some(137), vec!["observe", "kill"]));
}
