//! A collector of one test: the real process, on a unix socket for the sensor and on loopback for
//! the API.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{http, procs, programs, scratch::Scratch, wait};

/// A collector; killed when the value goes.
pub struct Collector {
    child: Child,
    scratch: Scratch,
    /// Lines of configuration beside where it listens.
    config: String,
    /// Where sensors connect, as `--collector` takes it; stays the same over restarts.
    pub grpc: String,
    pub http: String,
}

impl Collector {
    /// Starts it and reads where it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let scratch = Scratch::new();
        let grpc = format!("unix:{}", scratch.join("feed.sock").display());
        Self::start_in(scratch, &grpc, "")
    }

    /// With lines of configuration, without the version; sensors connect to `grpc`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(grpc: &str, config: &str) -> Self {
        Self::start_in(Scratch::new(), grpc, config)
    }

    fn start_in(scratch: Scratch, grpc: &str, config: &str) -> Self {
        let (child, grpc, http) = spawn(&scratch, config, grpc, "127.0.0.1:0");
        Self { child, scratch, config: config.to_owned(), grpc, http }
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
        let (child, grpc, http) = spawn(&self.scratch, &self.config, &self.grpc, &self.http);
        assert_eq!((&grpc, &http), (&self.grpc, &self.http));
        self.child = child;
    }

    /// Where its store is.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.scratch.join("data")
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
        let (status, value) = http::get(&self.http, &format!("/api/v1/{path}")).unwrap();
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// A command, with the collector's token.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let token = std::fs::read_to_string(self.data_dir().join("command.token")).unwrap();
        let (status, value) = http::post(&self.http, &format!("/api/v1/{path}"), token.trim(), body).unwrap();
        assert_eq!(status, 202, "{path}: {value}");
        value
    }

    /// Every object of a listing, oldest first.
    #[must_use]
    pub fn all(&self, listing: &str) -> Vec<Value> {
        http::all(&self.http, &format!("/api/v1/{listing}"))
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

fn spawn(scratch: &Scratch, lines: &str, grpc: &str, http: &str) -> (Child, String, String) {
    let config = scratch.join("collector.yaml");
    std::fs::write(&config, format!("version: 1\n{lines}\n")).unwrap();
    let log = File::options().create(true).append(true).open(scratch.join("collector.log")).unwrap();
    let mut child = programs::command("sentry-collector")
        .arg("--config")
        .arg(config)
        .args(["--listen-grpc", grpc, "--listen-http", http])
        .arg("--data-dir")
        .arg(scratch.join("data"))
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
