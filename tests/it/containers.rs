//! Runs over the cgroups of containers, named by the files of their engines.

use sentry_tests::{
    engines::{Containerd, Podman, cgroup_of},
    require,
    sensor::{Sensor, Setup},
    wait,
};
use serde_json::{Value, json};

/// Tags the cgroup and answers with the run, as `agents` shows it.
fn tag(sensor: &Sensor, cgroup: &str) -> Value {
    let _tagged = sensor.json(&["tag", cgroup, "--name", "contained"]);
    sensor.json(&["agents"]).remove(0)
}

/// The event of the program that ran in the container.
fn exec_event(sensor: &Sensor, run: &Value) -> Value {
    let id = run["id"].as_str().unwrap();
    wait::until("the exec in the container is recorded", || {
        let events = sensor.json(&["events", "--run", id]);
        let exec = events.into_iter().find(|event| event["unmapped"]["act"] == "exec");
        exec.ok_or_else(|| "no exec".to_owned())
    })
}

#[test]
fn a_container_of_podman_is_named_by_its_run() {
    require!("root", "podman");
    let podman = Podman::new();
    let config = format!("containers: {{storage: {}}}", podman.storage().display());
    let sensor = Setup::default().config(&config).start();
    let name = ["--name", "worker", "--annotation", "team=research", "--network", "none"];
    let start =
        ["run", "--detach"].iter().chain(&name).chain(&["localhost/agent:1", "/busybox", "sleep", "600"]);
    let id = podman.run(&start.copied().collect::<Vec<_>>());
    let pid = podman.run(&["inspect", "worker", "--format", "{{.State.Pid}}"]);
    let digest = podman.run(&["image", "inspect", "localhost/agent:1", "--format", "{{.Digest}}"]);
    let run = tag(&sensor, &cgroup_of(&pid));
    let expected = json!({
        "engine": "podman", "id": id, "name": "worker", "image": "localhost/agent:1", "image_digest": digest,
        "pod": null, "node": null, "runtime": null, "rung": "files", "sandboxed": null,
    });
    assert_eq!(run["container"], expected);
    let _printed = podman.run(&["exec", "worker", "/busybox", "true"]);
    let event = exec_event(&sensor, &run);
    assert_eq!(sentry_proto::ocsf::check(&event), Ok(()), "{event:#}");
    assert_eq!(
        event["actor"]["process"]["container"],
        json!({ "uid": id, "name": "worker", "image": { "uid": digest, "name": "localhost/agent:1" } })
    );
    assert_eq!(event["unmapped"]["container"], expected);
    let table = String::from_utf8(sensor.cli(&["agents"]).stdout).unwrap();
    assert!(table.contains("podman worker  localhost/agent:1"), "{table}");
    // The engine removes its files with the container; the report names it all the same.
    let _removed = podman.run(&["rm", "--force", "--time", "0", "worker"]);
    let report = sensor.json(&["report", run["id"].as_str().unwrap()]).remove(0);
    assert_eq!(report["run"]["container"], expected);
}

#[test]
fn a_container_of_containerd_is_named_by_its_run_also_after_a_restart_of_the_sensor() {
    require!("root", "containerd");
    let containerd = Containerd::start();
    let config = format!("containers: {{containerd: {}}}", containerd.state().display());
    let mut sensor = Setup::default().config(&config).start();
    // The runtime keeps its state where those of other tests do.
    let name = format!("work-{}", std::process::id());
    containerd.sleeper(&name, "team=research");
    let run = tag(&sensor, &format!("default/{name}"));
    let expected = json!({
        "engine": "containerd", "id": name, "name": name, "image": null, "image_digest": null,
        "pod": null, "node": null, "runtime": "runc", "rung": "files", "sandboxed": null,
    });
    assert_eq!(run["container"], expected);
    containerd.exec(&name, &["/busybox", "true"]);
    assert_eq!(exec_event(&sensor, &run)["unmapped"]["container"], expected);
    sensor.kill();
    sensor.start_again();
    assert_eq!(sensor.json(&["agents"]).remove(0)["container"], expected);
    containerd.remove(&name);
}
