//! `sentry top` in a real terminal: what it shows is what the sensor knows, and its keys act.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::Stdio,
    sync::Arc,
    thread,
};

use nix::pty::{Winsize, openpty};
use parking_lot::Mutex;
use sentry_tests::{programs::Gathered, require, sensor::Sensor, supervised::Order, wait};

const LINES: u16 = 24;
const COLUMNS: u16 = 80;

/// A command with a terminal of 80×24, and what is on its screen.
struct Terminal {
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
    process: Gathered,
}

impl Terminal {
    fn start(sensor: &Sensor, args: &[&str]) -> Self {
        let size = Winsize { ws_row: LINES, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        let end = |of: &OwnedFd| Stdio::from(of.try_clone().unwrap());
        let mut command = sensor.sentry(args);
        command.env("TERM", "xterm-256color");
        command.stdin(end(&pair.slave)).stdout(end(&pair.slave));
        let process = Gathered::with_output(&mut command);
        drop((command, pair.slave));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(LINES, COLUMNS, 0)));
        let (mut output, seen) = (File::from(pair.master.try_clone().unwrap()), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error once nobody has the other end.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                seen.lock().process(&bytes[..count]);
            }
        });
        Self { keys: File::from(pair.master), screen, process }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// The line of the screen that has all of these words.
    fn line(&self, words: &[&str]) -> String {
        wait::until("the screen shows it", || {
            let shown = self.screen.lock().screen().contents();
            let line = shown.lines().find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned).ok_or(format!("{words:?} are not in\n{shown}"))
        })
    }
}

#[test]
fn a_run_is_shown_live_and_frozen_and_killed_by_keys() {
    require!("root");
    let sensor = Sensor::start();
    let agent = Order::new(&sensor, "busy").start(&["/bin/sh", "-c", "while :; do /bin/true; done"]);
    let run = agent.run();
    let mut top = Terminal::start(&sensor, &["top"]);
    let short = &run[..13];

    wait::until("the rate of executions is shown", || {
        let line = top.line(&["busy", "running", short]);
        let rate: f64 = line.split_whitespace().nth(4).unwrap().parse().unwrap();
        if rate > 0.0 { Ok(()) } else { Err(line) }
    });

    top.press("f");
    top.line(&["Freeze run", short, "busy"]);
    top.press("y");
    top.line(&["busy", "frozen", short]);
    assert_eq!(sensor.state_of(&run)["state"], "frozen");

    top.press("r");
    top.line(&["Report: ↑↓ scroll, q closes"]);
    top.press("q");
    top.press("K");
    top.line(&["Kill run", short]);
    top.press("n");
    assert_eq!(sensor.state_of(&run)["state"], "frozen", "a no is a no");
    top.press("Ky");
    assert_eq!(agent.wait().code(), Some(137));
    top.line(&["No agent is watched now"]);

    top.press("q");
    assert_eq!(top.process.wait().status.code(), Some(0));
    let reasons: Vec<_> = sensor
        .json(&["report", &run])
        .iter()
        .flat_map(|report| report["decisions"].as_array().unwrap().clone())
        .map(|decision| decision["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons, ["asked for in sentry top", "asked for in sentry top"]);
}
