//! `sentry run` of one command: to its end, or beside the test.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{
    programs::{self, Gathered},
    sensor::{Sensor, lines},
    wait,
};

/// A run to be.
pub struct Order<'a> {
    sensor: &'a Sensor,
    name: String,
    flags: Vec<String>,
    user: Option<(u32, Vec<u32>)>,
    directory: Option<PathBuf>,
    variables: Vec<(String, String)>,
    stdin: bool,
}

/// `sentry run` while its command lives.
pub struct Supervised<'a> {
    sensor: &'a Sensor,
    process: Gathered,
    name: String,
    report: PathBuf,
}

/// How it ended.
pub struct Ended {
    pub output: Output,
    /// Id of the last run.
    pub run: String,
    /// One report per run: several where the command was started again.
    pub reports: Vec<Value>,
}

impl<'a> Order<'a> {
    #[must_use]
    pub fn new(sensor: &'a Sensor, name: &str) -> Self {
        Self {
            sensor,
            name: name.to_owned(),
            flags: Vec::new(),
            user: None,
            directory: None,
            variables: Vec::new(),
            stdin: false,
        }
    }

    /// A flag of `sentry run`, such as `--enforce`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// As this user, with these supplementary groups.
    #[must_use]
    pub fn user(mut self, uid: u32, groups: &[u32]) -> Self {
        self.user = Some((uid, groups.to_vec()));
        self
    }

    #[must_use]
    pub fn directory(mut self, path: PathBuf) -> Self {
        self.directory = Some(path);
        self
    }

    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its standard input is written by the test.
    #[must_use]
    pub fn with_stdin(mut self) -> Self {
        self.stdin = true;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(self, command: &[S]) -> Supervised<'a> {
        // A directory, so that another user can make the file.
        let place = self.sensor.place("report");
        std::fs::create_dir(&place).unwrap();
        std::os::unix::fs::chown(&place, self.user.as_ref().map(|(uid, _)| *uid), None).unwrap();
        let report = place.join("report.jsonl");
        let mut line: Vec<std::ffi::OsString> = vec!["run".into(), "--name".into(), self.name.clone().into()];
        line.extend(["--json".into(), format!("--report={}", report.display()).into()]);
        line.extend(self.flags.iter().map(Into::into));
        line.push("--".into());
        line.extend(command.iter().map(|part| part.as_ref().to_owned()));
        let mut process = match &self.user {
            None => {
                let mut process = programs::command("sentry");
                process.args(&line);
                process
            }
            Some((uid, groups)) => {
                let args: Vec<&OsStr> = line.iter().map(AsRef::as_ref).collect();
                programs::as_user(*uid, groups, programs::path("sentry").as_os_str(), &args)
            }
        };
        self.dress(&mut process);
        let process = self.sensor.beside(&mut process);
        Supervised { sensor: self.sensor, process, name: self.name, report }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end, or leaves no report.
    #[must_use]
    pub fn finish<S: AsRef<OsStr>>(self, command: &[S]) -> Ended {
        self.start(command).wait()
    }

    fn dress(&self, process: &mut Command) {
        if let Some(directory) = &self.directory {
            process.current_dir(directory);
        }
        for (name, value) in &self.variables {
            process.env(name, value);
        }
        if self.stdin {
            process.stdin(Stdio::piped());
        }
    }
}

impl Supervised<'_> {
    /// Process id of `sentry run`, which is not in the run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    #[must_use]
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.process.stdin()
    }

    pub fn ended(&mut self) -> bool {
        self.process.ended()
    }

    /// Id of the run, once the sensor knows it.
    ///
    /// # Panics
    /// When there is no live run of this name.
    #[must_use]
    pub fn run(&self) -> String {
        wait::until(&format!("a run of {} lives", self.name), || {
            let runs = self.sensor.json(&["agents"]);
            let run = runs.iter().find(|run| run["agent"]["name"] == self.name.as_str());
            run.and_then(|run| run["id"].as_str()).map(str::to_owned).ok_or_else(|| format!("{runs:?}"))
        })
    }

    /// Waits for the end of the command, where a report is not to be had.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn end(self) -> Output {
        self.process.wait()
    }

    /// Waits for the end of the command.
    ///
    /// # Panics
    /// When it does not end, or leaves no report.
    #[must_use]
    pub fn wait(self) -> Ended {
        let output = self.process.wait();
        let reports = std::fs::read(&self.report)
            .unwrap_or_else(|error| panic!("no report: {error}: {}", programs::text(&output)));
        let reports = lines(&reports);
        let last = reports.last().and_then(|report| report["run"]["id"].as_str());
        let run =
            last.unwrap_or_else(|| panic!("no run in the report: {}", programs::text(&output))).to_owned();
        Ended { output, run, reports }
    }
}

impl Ended {
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The last run's report.
    #[must_use]
    pub fn report(&self) -> &Value {
        self.reports.last().unwrap_or(&Value::Null)
    }
}
