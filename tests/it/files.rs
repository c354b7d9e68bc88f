//! Every act on a file is reported, with the object that it was really done to.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use sentry_tests::{
    programs, require,
    sensor::Sensor,
    story,
    supervised::{Ended, Order},
};
use serde_json::Value;

use crate::workload;

struct Told {
    _sensor: Sensor,
    dir: PathBuf,
    ended: Ended,
    events: Vec<Value>,
}

impl Told {
    fn new() -> Self {
        let sensor = Sensor::start();
        let dir = sensor.scratch().dir("files");
        let ended =
            Order::new(&sensor, "files").finish(&workload("workload_files", &[dir.to_str().unwrap()]));
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        assert_eq!(ended.report()["complete"], true, "{:#}", ended.report());
        let events = sensor.events(&ended.run);
        Self { _sensor: sensor, dir, ended, events }
    }

    /// As events carry it.
    fn inode(&self, name: &str) -> String {
        fs::symlink_metadata(self.dir.join(name)).unwrap().ino().to_string()
    }

    /// The only event of the act whose path is that of this name.
    fn one(&self, act: &str, name: &str) -> &Value {
        let path = self.dir.join(name);
        let found: Vec<&Value> = story::only(&self.events, act)
            .into_iter()
            .filter(|event| event["file"]["path"].as_str().is_some_and(|told| Path::new(told) == path))
            .collect();
        assert_eq!(found.len(), 1, "{act} {name}: {found:#?}");
        found[0]
    }
}

/// The active security modules.
fn modules() -> String {
    fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default()
}

#[test]
fn the_whole_story_of_files_is_told() {
    require!("root", "trampoline");
    let told = Told::new();
    let this = programs::path("workload_files").canonicalize().unwrap();
    let nameless = format!("#{}", told.inode("named"));
    let lines = story::of(&told.events, "files", &told.ended.run, &[&told.dir]);
    let dir = told.dir.display();
    let expected = [
        format!("move newcomer inside /agentsentry/{}", told.ended.run),
        format!("exec {}: {} {dir}", this.display(), this.display()),
        format!("create {dir}/data"),
        format!("truncate {dir}/data"),
        format!("truncate {dir}/data"),
        format!("chmod {dir}/data 640"),
        format!("chown {dir}/data 1:2"),
        format!("allocate {dir}/data"),
        format!("allocate {dir}/data refused 95"),
        format!("close_written {dir}/data"),
        format!("read {dir}/data"),
        format!("create {dir}/copy"),
        format!("copy {dir}/copy"),
        format!("read {dir}"),
        format!("copy {dir}/copy refused 21"),
        format!("close_written {dir}/copy"),
        format!("link {dir}/data to {dir}/link"),
        format!("read {dir}/link"),
        format!("symlink {dir}/pointer: data"),
        format!("mkdir {dir}/directory"),
        format!("mknod {dir}/pipe"),
        format!("mknod {dir}/plain"),
        format!("exchange {dir}/data to {dir}/copy"),
        format!("create {dir}/{nameless}"),
        format!("link {dir}/{nameless} to {dir}/named"),
        format!("close_written {dir}/{nameless}"),
        format!("update {dir}/data"),
        format!("map_write {dir}/data"),
        format!("map_write {dir}/data"),
        format!("map_exec {dir}/data"),
        "map_exec ?".to_owned(),
        "protect_exec ?".to_owned(),
        format!("close_written {dir}/data"),
        format!("exec_failed {dir}/nothing 2"),
        format!("read {dir}"),
        format!("exec_failed {dir}/plain 13"),
        format!("create {dir}/script"),
        format!("close_written {dir}/script"),
        format!("chmod {dir}/script 700"),
        format!("exec {}: {} script {dir}/script", this.display(), this.display()),
        format!("exit 0: {}", this.display()),
    ];
    // Each ring has an order of its own; between them only the times give an order.
    let (mut lines, mut expected) = (lines, expected.to_vec());
    if modules().contains("landlock") {
        expected.push(format!("mkdir {dir}/forbidden refused 13"));
    }
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn a_file_is_the_same_under_all_its_names() {
    require!("root", "trampoline");
    let told = Told::new();
    // The two have changed places in the middle.
    let data = told.inode("copy");
    assert_eq!(data, told.inode("link"));
    for (act, name) in [("chmod", "data"), ("chown", "data"), ("link", "data"), ("open", "link")] {
        let event = told.one(act, name);
        assert_eq!(event["unmapped"]["file"]["inode"], data, "{event:#}");
        assert_eq!(event["unmapped"]["file"]["path"]["truncated"], false, "{event:#}");
    }
    let exchange = told.one("exchange", "data");
    assert_eq!(exchange["unmapped"]["file"]["inode"], data, "{exchange:#}");
    // Where its file system is mounted is not known of a file whose attributes are changed.
    for act in ["setxattr", "removexattr"] {
        let events = story::only(&told.events, act);
        assert_eq!(events.len(), 1, "{events:#?}");
        let told = &events[0]["unmapped"];
        assert_eq!(
            (&told["text"], &told["file"]["inode"]),
            (&"trusted.agentsentry".into(), &data.as_str().into())
        );
        assert_eq!(told["file"]["path"]["truncated"], true, "{told:#}");
    }
    // Made without a name, and found under the one it got.
    let named = told.inode("named");
    let nameless = format!("#{named}");
    let (made, linked) = (told.one("open", &nameless), told.one("link", &nameless));
    assert_eq!(made["unmapped"]["created"], true, "{made:#}");
    for event in [made, linked] {
        assert_eq!(event["unmapped"]["file"]["inode"], named, "{event:#}");
    }
    assert_eq!(told.one("close_written", &nameless)["unmapped"]["detail"], "7");
}

#[test]
fn a_script_is_known_by_its_own_file() {
    require!("root", "trampoline");
    let told = Told::new();
    let execs = story::only(&told.events, "exec");
    let script = execs.last().unwrap();
    let path = told.dir.join("script");
    assert_eq!(script["unmapped"]["script"]["path"], path.to_str().unwrap(), "{script:#}");
    assert_eq!(script["unmapped"]["script_file"]["inode"], told.inode("script"), "{script:#}");
}

#[test]
fn every_hook_of_files_is_used_that_the_kernel_has() {
    require!("root", "trampoline");
    let output = programs::finish(programs::command("sentry").args(["doctor", "--json"]));
    let doctor: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut refused: Vec<String> = Vec::new();
    for fact in doctor["facts"].as_array().unwrap() {
        let name = fact["fact"].as_str().unwrap();
        let is_mine = ["file ", "memory mapping", "script of", "failed exec"];
        if !is_mine.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        assert_eq!(fact["seen"], true, "{fact:#}");
        let lost = fact["lost"].as_str().unwrap_or_default();
        if let Some((_, hooks)) = lost.split_once("this kernel lacks or refuses ") {
            refused.extend(hooks.split(", ").map(str::to_owned));
        }
    }
    let release = doctor["kernel"].as_str().unwrap();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    // These functions are of 6.2.
    let expected: &[&str] = if (numbers.next(), numbers.next()) < (Some(6), Some(2)) {
        &["fexit/security_file_truncate", "fexit/security_inode_set_acl", "fexit/security_inode_remove_acl"]
    } else {
        &[]
    };
    assert_eq!(refused, expected, "{doctor:#}");
}
