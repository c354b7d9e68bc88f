//! Rules about files, secrets and other processes, by what real programs do: each with work that is
//! like it and no finding. All are done below one sensor, each in a run of its own.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use sentry_tests::{programs, require, sensor::Setup, supervised::Order};
use serde_json::Value;

/// Reserved for documentation (RFC 5737): a UDP socket is connected to it and sends nothing.
const ELSEWHERE: &str = "198.51.100.7";

/// A process outside of any run; it ends with the value.
struct Bystander(Child);

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What a run's shell does, and the rules that find something in it.
struct Case {
    name: &'static str,
    script: String,
    rules: &'static [&'static str],
}

fn case(name: &'static str, rules: &'static [&'static str], script: impl Into<String>) -> Case {
    Case { name, script: script.into(), rules }
}

/// What was there before any run.
fn furnish(dir: &Path) {
    for tree in ["notes", "photos"] {
        fs::create_dir(dir.join(tree)).unwrap();
        (0..300).for_each(|n| fs::write(dir.join(format!("{tree}/{n}.txt")), "mine").unwrap());
    }
    for (path, text) in [
        ("home/.aws/credentials", "[default]"),
        ("home/.bash_history", "ls\n"),
        ("home/.bashrc", "# mine\n"),
        ("p/.env", "KEY=x\n"),
        ("customers/a.csv", "a,b\n"),
    ] {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    // A branch that lacks most files of the other.
    let git = "git init -q -b main r && cd r && git config user.email a@b && git config user.name a \
               && git commit -q --allow-empty -m empty && git checkout -q -b full && seq 200 | xargs touch \
               && git add . && git commit -q -m full";
    let made = programs::finish(Command::new("sh").args(["-c", git]).current_dir(dir));
    assert_eq!(made.status.code(), Some(0), "{}", programs::text(&made));
}

fn turned_to(address: &str, port: u16) -> String {
    format!(
        "/usr/bin/python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.connect((\"{address}\", {port}))
except OSError: pass'"
    )
}

fn cases(bystander: u32) -> Vec<Case> {
    let secret = "cat home/.aws/credentials > read";
    let elsewhere = turned_to(ELSEWHERE, 443);
    vec![
        case("rm", &["destructive-burst"], "rm -r notes"),
        case("find", &["destructive-burst"], "find photos -type f -delete"),
        case("own", &[], "mkdir -p out/deep && seq 300 | sed s,^,out/deep/, | xargs touch && rm -r out"),
        case("checkout", &[], "git -C r checkout -q main"),
        case("send", &["secret-read", "secret-then-send"], format!("{secret}; {elsewhere}")),
        case("near", &["secret-read"], format!("{secret}; {}", turned_to("127.0.0.1", 443))),
        case("known", &["secret-read"], format!("{elsewhere}; {secret}; {}", turned_to(ELSEWHERE, 8443))),
        case("own-class", &["secret-read"], "cat customers/a.csv > read"),
        case(
            "persist",
            &["persistence-write"; 4],
            "echo >> home/.bashrc; mkdir -p home/.ssh home/.config/systemd/user
             echo >> home/.ssh/authorized_keys
             echo > home/.config/systemd/user/x.service; ln -s /dev/null r/.git/hooks/post-checkout",
        ),
        case("clone", &[], "git clone -q r copy && cat home/.bashrc > read"),
        case("forget", &["anti-forensics"], "truncate -s 0 home/.bash_history; rm home/.bash_history"),
        case("append", &[], "echo ls >> home/.zsh_history"),
        case("environment", &["other-process"], format!("cat /proc/{bystander}/environ > read")),
        case(
            "trace",
            &["other-process"],
            format!(
                "/usr/bin/python3 -c 'import ctypes; c = ctypes.CDLL(None)
c.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
raise SystemExit(c.ptrace(0x4206, {bystander}, None, None))'"
            ),
        ),
        case(
            "look",
            &[],
            "ps -ef > read; cat /proc/self/environ > read
             sleep 30 & cat /proc/$!/environ > read; kill $!",
        ),
    ]
}

/// The title of each finding, sorted.
fn rules(findings: &[Value]) -> Vec<&str> {
    let mut rules: Vec<&str> =
        findings.iter().filter_map(|finding| finding["finding_info"]["title"].as_str()).collect();
    rules.sort_unstable();
    rules
}

fn after_ms(finding: &Value) -> u64 {
    let at = |key: &str| finding[key].as_u64().unwrap_or_default();
    at("time").saturating_sub(at("start_time"))
}

#[test]
fn each_is_found_and_the_lawful_work_like_it_is_not() {
    require!("root", "work-tools");
    let own = "sensitive: [{name: customers, title: customer data, severity: high, paths: ['/**/customers/*.csv']}]";
    let sensor = Setup::default().config(own).start();
    let dir = sensor.scratch().dir("work").canonicalize().unwrap();
    furnish(&dir);
    let bystander = Bystander(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap());
    let mut wrong = Vec::new();
    for Case { name, script, rules: expected } in cases(bystander.0.id()) {
        let ended = Order::new(&sensor, name).directory(dir.clone()).finish(&["sh", "-c", &script]);
        assert_eq!(ended.code(), Some(0), "{name}: {}", programs::text(&ended.output));
        let findings = sensor.findings(&ended.run);
        for finding in &findings {
            assert_eq!(sentry_proto::ocsf::check(finding), Ok(()), "{finding:#}");
            println!("{name}: {} ms: {}", after_ms(finding), finding["message"]);
        }
        if rules(&findings) != expected {
            wrong.push(format!("{name}: {:?} instead of {expected:?}", rules(&findings)));
        }
        if name == "own-class" {
            assert_eq!(findings[0]["severity"], "High", "{findings:#?}");
            let report = sensor.json(&["report", &ended.run]).remove(0);
            assert_eq!(report["activity"]["sensitive"][0]["title"], "customer data", "{report:#}");
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn an_enforced_run_that_deletes_a_tree_of_its_user_is_stopped_where_that_is_configured() {
    require!("root");
    let sensor = Setup::default().config("detect: {burst_leads_to_acts: true}").start();
    let dir = sensor.scratch().dir("tree").canonicalize().unwrap();
    (0..5_000).for_each(|n| fs::write(dir.join(format!("{n}.txt")), "mine").unwrap());
    // As slowly as a script does it, so that there is something to save.
    let script = "for file in *; do rm \"$file\"; done";
    let order = Order::new(&sensor, "deletes").flag("--enforce").directory(dir.clone());
    let ended = order.finish(&["sh", "-c", script]);
    let left = fs::read_dir(&dir).unwrap().count();
    println!("{left} of 5000 files left");
    assert!(left > 0, "{}", programs::text(&ended.output));
    let findings = sensor.findings(&ended.run);
    assert!(rules(&findings).contains(&"destructive-burst"), "{findings:#?}");
    let outcomes = ended.report()["outcomes"].as_array().unwrap();
    for action in ["freeze", "kill"] {
        let is_done = |outcome: &Value| outcome["action"] == action && outcome["result"] == "applied";
        assert!(outcomes.iter().any(is_done), "{outcomes:#?}");
    }
}
