//! A run that turns to a service outside of it: reported at once, with its name, and never stopped
//! for it.

use std::{fs, os::unix::net::UnixListener, path::PathBuf};

use sentry_tests::{procs, programs, require, sensor::Sensor, story, supervised::Order, wait};

use crate::workload;

/// Sockets of the test itself, which is not in the run.
struct Services {
    dir: PathBuf,
    /// Open as long as the value lives.
    _listeners: Vec<UnixListener>,
}

impl Services {
    fn start(sensor: &Sensor, names: &[&str]) -> Self {
        let dir = sensor.scratch().dir("services").canonicalize().unwrap();
        let listener = |name: &&str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            UnixListener::bind(path).unwrap()
        };
        Self { _listeners: names.iter().map(listener).collect(), dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// A command that connects to each of these.
    fn asked(&self, names: &[&str]) -> Vec<std::ffi::OsString> {
        let paths: Vec<_> = names.iter().map(|name| self.path(name)).collect();
        let steps = paths.iter().flat_map(|path| ["unix-stream", path, ","]);
        workload("workload_scene", &steps.collect::<Vec<_>>())
    }
}

#[test]
fn a_request_to_a_container_engine_is_a_finding_and_no_act() {
    require!("root");
    let sensor = Sensor::start();
    let services = Services::start(&sensor, &["docker.sock"]);
    let command = services.asked(&["docker.sock"; 3]);
    let ended = Order::new(&sensor, "asks").flag("--enforce").finish(&command);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));

    let findings = sensor.findings(&ended.run);
    let [finding] = findings.as_slice() else { unreachable!("{findings:#?}") };
    assert_eq!(sentry_proto::ocsf::check(finding), Ok(()), "{finding:#}");
    assert_eq!(finding["finding_info"]["title"], "left-control", "{finding:#}");
    assert_eq!(finding["severity"], "High", "{finding:#}");
    let own = fs::read_link("/proc/self/exe").unwrap();
    let (pid, socket) = (std::process::id(), services.path("docker.sock"));
    let summary = finding["message"].as_str().unwrap();
    assert!(summary.contains("turned to docker,"), "{summary}");
    // A long text is cut.
    assert!(
        summary.contains(&format!("socket {socket:.128} of process {pid} ({:.128})", own.display())),
        "{summary}"
    );

    // Its evidence is the first request, and that event names the peer.
    let events = sensor.events(&ended.run);
    let requests = story::only(&events, "unix_connect");
    assert_eq!(requests.len(), 3, "{requests:#?}");
    let evidence = &finding["evidences"][0]["uid"];
    let request = requests.iter().find(|event| event["metadata"]["uid"] == *evidence).unwrap();
    assert_eq!(request["unmapped"]["peer"]["pid"], pid, "{request:#}");
    assert_eq!(request["unmapped"]["peer_executable"], own.to_str().unwrap(), "{request:#}");
    assert_eq!(request["unmapped"]["peer_in_run"], false, "{request:#}");

    // In the ledger and decided on, and nothing was done.
    let report = ended.report();
    let outcomes = report["outcomes"].as_array().unwrap();
    assert!(outcomes.iter().all(|outcome| outcome["action"] == "observe"), "{report:#}");
    assert!(report["complete"] == true && sensor.verified_ledger() > 0, "{report:#}");
    assert!(procs::state(pid).is_some());
}

#[test]
fn sockets_that_everybody_uses_are_no_finding() {
    require!("root");
    let names = ["mine.sock", "nscd/socket", "systemd/journal/stdout", "systemd/notify"];
    let sensor = Sensor::start();
    let services = Services::start(&sensor, &names);
    let ended = Order::new(&sensor, "harmless").flag("--enforce").finish(&services.asked(&names));
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    assert_eq!(story::only(&sensor.events(&ended.run), "unix_connect").len(), names.len());
    assert!(sensor.findings(&ended.run).is_empty(), "{:#}", ended.report());
}

/// Before it is asked, and while the run lives, the daemon starts the same, which is nobody's
/// business.
#[test]
fn what_a_daemon_starts_for_a_run_is_told_and_is_no_member() {
    require!("root");
    let sensor = Sensor::start();
    let socket = sensor.scratch().join("daemon");
    let mut daemon = programs::command("workload_daemon");
    let daemon = sensor.beside(daemon.arg("serve").arg(&socket));
    wait::until("the daemon listens", || if socket.exists() { Ok(()) } else { Err("no socket".to_owned()) });
    let line = workload("workload_daemon", &["ask", socket.to_str().unwrap()]);
    let ended = Order::new(&sensor, "asks").finish(&line);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));

    let events = sensor.events(&ended.run);
    let program = programs::path("workload_daemon").canonicalize().unwrap();
    let started: Vec<_> = story::only(&events, "started_outside")
        .into_iter()
        .map(|event| {
            assert_eq!(sentry_proto::ocsf::check(event), Ok(()), "{event:#}");
            assert_eq!(event["unmapped"]["asked"]["pid"], daemon.pid(), "{event:#}");
            let process = &event["process"];
            assert_eq!(process["file"]["path"], program.to_str().unwrap(), "{event:#}");
            let line = process["cmd_line"].as_str().unwrap();
            let parent = process["parent_process"]["pid"].as_u64().unwrap();
            (line.rsplit(' ').next().unwrap().to_owned(), story::pid(event), parent)
        })
        .collect();
    let [(first, branch, by_daemon), (second, _, by_branch)] = started.as_slice() else {
        unreachable!("{started:?}")
    };
    assert_eq!((first.as_str(), second.as_str()), ("branch", "leaf"), "{started:?}");
    assert_eq!((*by_daemon, *by_branch), (u64::from(daemon.pid()), u64::from(*branch)), "{started:?}");

    // They count for nothing, and the record is complete.
    let run = &ended.report()["run"];
    let count = |name: &str| run["counters"][name].as_u64().unwrap();
    assert_eq!((count("processes_born"), count("execs")), (0, 1), "{run:#}");
    assert_eq!(ended.report()["complete"], true, "{:#}", ended.report());
}
