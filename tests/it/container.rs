//! The images, run as containers on this host.

use sentry_tests::{
    podman::{Podman, TOOLS},
    programs, require,
    sensor::lines,
    wait,
};
use serde_json::Value;

const SENSOR: &str = concat!("localhost/agentsentry/sentry:", env!("CARGO_PKG_VERSION"));
const COLLECTOR: &str = concat!("localhost/agentsentry/sentry-collector:", env!("CARGO_PKG_VERSION"));

const PAGE: &str = include_str!("../../docs/install/container.md");

/// The options of the page on containers, after `podman run`.
fn options() -> Vec<String> {
    let command = PAGE.split("podman run --detach --name agentsentry \\\n").nth(1).unwrap();
    let options = command.split("  localhost/agentsentry/sentry").next().unwrap();
    options.split_whitespace().filter(|word| *word != "\\").map(str::to_owned).collect()
}

/// Those of them that a doctor needs, who keeps nothing and names nothing.
fn options_of_doctor() -> Vec<String> {
    let keeps = |option: &String| !option.contains("agentsentry:") && !option.contains("/containers/");
    options().into_iter().filter(keeps).collect()
}

/// The option with a place of the test's in the stead of the host's.
fn placed(podman: &Podman, option: String) -> String {
    let Some((host, inside)) = option.strip_prefix("--volume=").and_then(|places| places.split_once(':'))
    else {
        return option;
    };
    let place = match host {
        "/var/lib/containers/storage" => podman.store(),
        _ if host.ends_with("/agentsentry") => {
            let place = podman.scratch().join(&host.replace('/', "-"));
            std::fs::create_dir_all(&place).unwrap();
            place
        }
        _ => return option,
    };
    if host == "/etc/agentsentry" {
        let config = PAGE.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        std::fs::write(place.join("config.yaml"), config).unwrap();
    }
    format!("--volume={}:{inside}", place.display())
}

/// A sensor in a container, with the host's directories of its own.
struct Sensor<'a>(&'a Podman);

impl<'a> Sensor<'a> {
    fn start(podman: &'a Podman) -> Self {
        let mut args: Vec<String> = ["run", "--detach", "--name", "agentsentry"].map(str::to_owned).into();
        args.extend(options().into_iter().map(|option| placed(podman, option)));
        args.extend([SENSOR, "sensor", "--group", "", "--log-json"].map(str::to_owned));
        podman.done(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let sensor = Self(podman);
        wait::until("the sensor sees every hook", || {
            let output = sensor.sentry(&["health", "--ready"]);
            if output.status.success() { Ok(()) } else { Err(programs::text(&output) + &sensor.log()) }
        });
        sensor
    }

    fn sentry(&self, args: &[&str]) -> std::process::Output {
        let mut line = vec!["exec", "agentsentry", "sentry"];
        line.extend(args);
        self.0.run(&line)
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut line = args.to_vec();
        line.push("--json");
        let output = self.sentry(&line);
        assert!(output.status.success(), "{args:?}: {}", programs::text(&output));
        lines(&output.stdout)
    }

    fn log(&self) -> String {
        programs::text(&self.0.run(&["logs", "agentsentry"]))
    }
}

#[test]
fn the_sensor_in_a_container_stops_a_runaway_in_another_and_leaves_its_neighbour() {
    require!("root", "image");
    let podman = Podman::with_images();
    let sensor = Sensor::start(&podman);
    podman.start("agent");
    podman.start("neighbour");
    let run = wait::until("the selected container is watched", || {
        let all = sensor.json(&["agents"]);
        let runs: Vec<_> = all.iter().filter(|line| line["type"] == "run").collect();
        if let [run] = runs[..] { Ok(run.clone()) } else { Err(format!("{all:?}")) }
    });
    let named = (&run["agent"]["name"], &run["container"]["name"], &run["container"]["image"]);
    assert_eq!(named, (&"boxed".into(), &"agent".into(), &TOOLS.into()), "{run:#}");
    let id = run["id"].as_str().unwrap();
    podman.done(&["exec", "agent", "sh", "-c", "touch /tmp/made; cat /bin/busybox >/dev/null"]);
    let refused = podman.run(&["exec", "agent", "nc", "127.0.0.1", "9"]);
    assert!(!refused.status.success());
    wait::until("what the container did", || {
        let events = sensor.sentry(&["events", "--run", id]);
        let text = String::from_utf8_lossy(&events.stdout).into_owned();
        let all = ["busybox", "/tmp/made", "127.0.0.1:9"];
        if all.iter().all(|part| text.contains(part)) { Ok(()) } else { Err(text) }
    });
    podman.done(&["exec", "--detach", "agent", "sh", "-c", "while true; do sleep 1000 & done"]);
    wait::until("the container is killed", || {
        if podman.is_running("agent") { Err(sensor.log()) } else { Ok(()) }
    });
    assert!(podman.is_running("neighbour"));
    let report = sensor.json(&["report", id]).remove(0);
    assert_eq!(report["findings"][0]["finding_info"]["title"], "spawn-storm", "{report:#}");
    let acts: Vec<_> = report["outcomes"].as_array().unwrap().iter().map(|act| &act["action"]).collect();
    assert_eq!(acts, ["freeze", "kill"], "{report:#}");
}

#[test]
fn the_image_without_arguments_is_the_doctor() {
    require!("root", "image");
    let podman = Podman::with_images();
    let mut args = vec!["run", "--rm"];
    let options = options_of_doctor();
    args.extend(options.iter().map(String::as_str));
    args.push(SENSOR);
    let text = podman.done(&args);
    assert!(text.starts_with("Kernel ") && !text.contains("is not there"), "{text}");
}

#[test]
fn a_container_without_the_mount_that_a_tier_needs_says_so() {
    require!("root", "image");
    let podman = Podman::with_images();
    let options = options_of_doctor();
    let hides = |option: &&str| !option.contains("/sys/kernel/security");
    let mut args = vec!["run", "--rm", "--tmpfs=/sys/kernel/security"];
    args.extend(options.iter().map(String::as_str).filter(hides));
    args.push(SENSOR);
    let text = podman.done(&args);
    assert!(text.contains("/sys/kernel/security/lsm is not there"), "{text}");
}

#[test]
fn the_collectors_image_is_an_ordinary_user() {
    require!("root", "image");
    let podman = Podman::with_images();
    let version = podman.done(&["run", "--rm", "--read-only", "--cap-drop=all", COLLECTOR, "--version"]);
    assert_eq!(version, format!("sentry-collector {}", env!("CARGO_PKG_VERSION")));
    let image = podman.inspect(COLLECTOR);
    assert_eq!(image["Config"]["User"], "65532:65532");
    assert_eq!(image["Config"]["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0 OR MIT");
}
