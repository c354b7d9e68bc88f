//! A collector of one test: the real process, on a unix socket for the sensor and on loopback for
//! the API.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    http,
    openmetrics::{Form, Metrics},
    procs, programs,
    scratch::Scratch,
    wait,
};

/// How a collector is started.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    config: String,
    data_dir: Option<PathBuf>,
    grpc: Option<String>,
}

/// A collector; killed when the value goes.
pub struct Collector {
    child: Child,
    scratch: Scratch,
    setup: Setup,
    /// Where sensors connect, as `--collector` takes it; stays the same over restarts.
    pub grpc: String,
    pub http: String,
}

impl Setup {
    /// Lines of configuration, without the version.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config = lines.to_owned();
        self
    }

    #[must_use]
    pub fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// Where it listens for sensors; else at a unix socket of its own.
    #[must_use]
    pub fn grpc(mut self, address: &str) -> Self {
        self.grpc = Some(address.to_owned());
        self
    }

    /// Starts it and reads where it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(self) -> Collector {
        let scratch = Scratch::new();
        let own = format!("unix:{}", scratch.join("feed.sock").display());
        let (child, grpc, http) = spawn(&scratch, &self, self.grpc.as_deref().unwrap_or(&own), "127.0.0.1:0");
        Collector { child, scratch, setup: self, grpc, http }
    }

    fn data_in(&self, scratch: &Scratch) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| scratch.join("data"))
    }
}

impl Collector {
    /// One with defaults.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Setup::default().start()
    }

    /// Signal 9.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Signal 15; it has to drain and end well.
    ///
    /// # Panics
    /// When it does not.
    pub fn terminate(&mut self) {
        procs::signal(self.child.id(), Signal::SIGTERM);
        let child = &mut self.child;
        let status = wait::until("the collector ends", || {
            child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned())
        });
        assert!(status.success(), "{status}");
    }

    /// A new process on the same data and addresses.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let (child, grpc, http) = spawn(&self.scratch, &self.setup, &self.grpc, &self.http);
        assert_eq!((&grpc, &http), (&self.grpc, &self.http));
        self.child = child;
    }

    /// Where its store is.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.setup.data_in(&self.scratch)
    }

    /// What it has logged, which is into a file.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.join("collector.log")).unwrap_or_default()
    }

    /// One object.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        let (status, value) = http::get(&self.http, &format!("/api/v1/{path}"), &self.key()).unwrap();
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// The admin key of its first start.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn key(&self) -> String {
        std::fs::read_to_string(self.data_dir().join("admin.key")).unwrap()
    }

    /// A command.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, value) = http::post(&self.http, &format!("/api/v1/{path}"), &self.key(), body).unwrap();
        assert_eq!(status, 202, "{path}: {value}");
        value
    }

    /// What it counts, in OpenMetrics, checked.
    ///
    /// # Panics
    /// When it does not answer, or not in that form.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let accept = "application/openmetrics-text";
        let (head, body) = http::text(&self.http, "/metrics", accept).unwrap();
        assert!(head.contains(accept), "{head}");
        Metrics::read(&body, Form::OpenMetrics)
    }

    /// How far the feed of the one sensor that it knows is stored, and how many of its items gaps
    /// declare lost.
    ///
    /// # Panics
    /// When it knows another number of sensors or of epochs.
    #[must_use]
    pub fn stored(&self) -> (u64, u64) {
        let sensors = self.all("sensors");
        let [sensor] = sensors.as_slice() else { panic!("not one sensor: {sensors:#?}") };
        let Some([epoch]) = sensor["epochs"].as_array().map(Vec::as_slice) else {
            panic!("not one epoch: {sensor:#}")
        };
        (epoch["acked"].as_u64().unwrap(), epoch["lost"].as_u64().unwrap())
    }

    /// Every object of a listing, oldest first.
    #[must_use]
    pub fn all(&self, listing: &str) -> Vec<Value> {
        http::all(&self.http, &format!("/api/v1/{listing}"), &self.key())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the collector's log\n{}", self.log());
        }
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(scratch: &Scratch, setup: &Setup, grpc: &str, http: &str) -> (Child, String, String) {
    let config = scratch.join("collector.yaml");
    std::fs::write(&config, format!("version: 1\n{}\n", setup.config)).unwrap();
    let log = File::options().create(true).append(true).open(scratch.join("collector.log")).unwrap();
    let mut child = programs::command("sentry-collector")
        .arg("--config")
        .arg(config)
        .args(["--listen-grpc", grpc, "--listen-http", http])
        .arg("--data-dir")
        .arg(setup.data_in(scratch))
        .env("RUST_LOG", "info,h2=warn")
        .stderr(log)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
        let log = std::fs::read_to_string(scratch.join("collector.log")).unwrap();
        panic!("the collector did not say where it listens: {error}: {line:?}: {log}")
    });
    let address = |key: &str| addresses[key].as_str().unwrap().to_owned();
    (child, address("grpc"), address("http"))
}
