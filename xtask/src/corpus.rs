//! `cargo xtask corpus [NAME…]`: runs what `tests/corpus/plan.toml` lists under a sensor that
//! observes, and writes a recording of each into `tests/corpus`, and the list of them. Benign runs
//! go several at once, as on a busy machine; then runaways one by one, so that none takes from
//! another what it runs away with.
//!
//! Everything happens below `/home/corpus`, which must not be there, with a short environment: what
//! is recorded says nothing of who made it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

use crate::{
    args::Args,
    build::{self, What},
    host, paths,
    sensor::{self, Sensor},
    step::{self, say},
};

const AREA: &str = "corpus";
const HOME: &str = "/home/corpus";
/// Benign runs that go at once.
const AT_ONCE: usize = 4;
/// First port of the first of those; each has so many.
const PORTS: usize = 18_100;
const PORTS_EACH: usize = 10;

/// A run of the plan, of one size.
struct Planned {
    size: i64,
    label: String,
    kind: String,
    program: String,
    /// Limits were set on it, or they are tested on it.
    half: &'static str,
    before: String,
    script: String,
}

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let chosen = args.words();
    args.done()?;
    build::build(What::Programs)?;
    let dir = paths::root().join("tests/corpus");
    let plan = fs::read_to_string(dir.join("plan.toml")).context("cannot read the plan")?;
    let planned = planned(&plan)?;
    let home = Home::make()?;
    let sentry = home.program(&paths::debug_bin("sentry"))?;
    let sockets = PathBuf::from(HOME).join("run");
    let sensor = Sensor::start(&sentry, &sockets)?;
    let is_wanted = |planned: &&Planned| {
        chosen.is_empty() || chosen.iter().any(|name| planned.file().starts_with(name.as_str()))
    };
    let (benign, runaways): (Vec<_>, Vec<_>) =
        planned.iter().filter(is_wanted).partition(|planned| planned.label == "benign");
    let corpus = Corpus { sentry, sockets, dir, manifest: Mutex::default() };
    corpus.record_all(&benign, AT_ONCE)?;
    corpus.record_all(&runaways, 1)?;
    sensor.stop()?;
    fs::remove_dir_all(sensor::state_dir(&corpus.sockets)).context("cannot remove the sensor's state")?;
    Ok(ExitCode::SUCCESS)
}

/// Where everything is.
struct Corpus {
    sentry: PathBuf,
    sockets: PathBuf,
    dir: PathBuf,
    /// Held by whoever writes it.
    manifest: Mutex<()>,
}

impl Corpus {
    /// So many at once, each on ports of its own.
    fn record_all(&self, planned: &[&Planned], at_once: usize) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = |port: usize| {
            while let Some(planned) = planned.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.record(planned, port)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let all: Vec<_> =
                (0..at_once).map(|n| scope.spawn(move || work(PORTS + n * PORTS_EACH))).collect();
            all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_panic| bail!("a thread died")))
        })
    }

    /// Runs it under the sensor, to its end; the recording and its row in the list.
    fn record(&self, planned: &Planned, port: usize) -> Result<()> {
        let started = Instant::now();
        let status = watched(planned, &self.sentry, &self.sockets, port)?;
        let seconds = started.elapsed().as_secs_f64();
        let bytes = record(planned, &self.sentry, &self.sockets, &self.dir)?;
        say(AREA, format_args!("{}: {seconds:.1} s, {bytes} bytes, {status}", planned.file()));
        let _held = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        write_manifest(&self.dir.join("manifest.toml"), planned)
    }
}

/// How it ended.
fn watched(planned: &Planned, sentry: &Path, sockets: &Path, port: usize) -> Result<ExitStatus> {
    let place = PathBuf::from(HOME).join(&planned.program);
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let log = fs::File::create(step::log_path(&format!("corpus-{}", planned.program))?)?;
    let mut before = shell(planned, port, &planned.before, Command::new("/bin/sh"));
    let before = before.current_dir(&place).stdout(log.try_clone()?).stderr(log.try_clone()?);
    if !before.status().context("cannot prepare a run")?.success() {
        bail!("what comes before {} failed", planned.file());
    }
    // Programs look at where their cgroup is, which says whose machine this is.
    let mut run = Command::new("unshare");
    run.arg("--cgroup").arg(sentry).arg("run").arg("--socket").arg(sensor::socket(sockets));
    run.args(["--quiet", "--name", &planned.program, "--", "/bin/sh"]);
    let mut run = shell(planned, port, &planned.script, run);
    let run = run.current_dir(&place).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Most runaways fail, and so does what looks for a mistake.
    let status = run.status().context("cannot run")?;
    fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    Ok(status)
}

/// The script, with the size, a port and little else in its environment.
fn shell(planned: &Planned, port: usize, script: &str, mut command: Command) -> Command {
    command.args(["-c", &format!("set -e\n{script}")]);
    command.env_clear().env("N", planned.size.to_string()).env("PORT", port.to_string());
    for (name, value) in [
        ("HOME", HOME),
        ("USER", "dev"),
        ("PATH", "/usr/bin:/bin"),
        ("LANG", "C.UTF-8"),
        ("GIT_AUTHOR_NAME", "dev"),
        ("GIT_AUTHOR_EMAIL", "dev@localhost"),
        ("GIT_COMMITTER_NAME", "dev"),
        ("GIT_COMMITTER_EMAIL", "dev@localhost"),
        ("GOFLAGS", "-mod=mod"),
        ("GOPROXY", "off"),
    ] {
        command.env(name, value);
    }
    command
}

/// Writes the newest run's recording; its size.
fn record(planned: &Planned, sentry: &Path, sockets: &Path, dir: &Path) -> Result<u64> {
    let file = dir.join(planned.file());
    let mut record = Command::new(sentry);
    record.arg("record").arg("--socket").arg(sensor::socket(sockets));
    step::capture(record.args(["--force", &planned.program]).arg(&file))?;
    Ok(fs::metadata(&file)?.len())
}

fn write_manifest(path: &Path, recorded: &Planned) -> Result<()> {
    let Planned { label, kind, half, .. } = recorded;
    let mut all = manifest(path)?;
    // What limits were set on stays so.
    let before = all.get(&recorded.file()).and_then(|row| row.get("half")?.as_str().map(str::to_owned));
    let half = before.unwrap_or_else(|| (*half).to_owned());
    let row = [("label", label), ("kind", kind), ("half", &half)];
    let row: Table = row.into_iter().map(|(key, text)| (key.to_owned(), text.clone().into())).collect();
    all.insert(recorded.file(), row.into());
    let mut text = "# Written by `cargo xtask corpus`: what each recording is of, and whether limits were set on it or\n\
        # are tested on it.\n"
        .to_owned();
    for (file, row) in &all {
        text.push_str(&format!("\n[\"{file}\"]\n"));
        for key in ["label", "kind", "half"] {
            let value = row.get(key).and_then(Value::as_str);
            let value = value.with_context(|| format!("{file} has no {key}"))?;
            text.push_str(&format!("{key} = {value:?}\n"));
        }
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// What was recorded before, without what is gone.
fn manifest(path: &Path) -> Result<Table> {
    let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    let all: Table = text.parse().context("the manifest is no TOML")?;
    let dir = path.parent().unwrap_or(path);
    Ok(all.into_iter().filter(|(file, _)| dir.join(file).exists()).collect())
}

impl Planned {
    fn file(&self) -> String {
        format!("{}.rec", self.program)
    }
}

/// The plan, with a run for each size. The runs of each label alternate between the halves.
fn planned(plan: &str) -> Result<Vec<Planned>> {
    let plan: Table = plan.parse().context("the plan is no TOML")?;
    let runs = plan.get("run").and_then(Value::as_array).context("the plan has no runs")?;
    let mut planned: Vec<Planned> = Vec::new();
    for run in runs {
        let text = |key: &str| {
            let text = run.get(key).and_then(Value::as_str).map(str::to_owned);
            text.with_context(|| format!("a run of the plan has no {key}: {run:?}"))
        };
        let sizes = run.get("sizes").and_then(Value::as_array).context("a run of the plan has no sizes")?;
        for size in sizes {
            let (name, label) = (text("name")?, text("label")?);
            let size = size.as_integer().context("a size is no number")?;
            let before = planned.iter().filter(|before| before.label == label).count();
            planned.push(Planned {
                program: format!("{name}-{size}"),
                half: if before.is_multiple_of(2) { "limits" } else { "test" },
                kind: text("kind")?,
                before: run.get("before").and_then(Value::as_str).unwrap_or("true").to_owned(),
                script: text("script")?,
                size,
                label,
            });
        }
    }
    Ok(planned)
}

/// The folder that everything happens in; removed at the end.
struct Home(PathBuf);

impl Home {
    fn make() -> Result<Self> {
        if !host::Host::this().is_root() {
            bail!("needs root: what runs is watched, and lives in {HOME}");
        }
        fs::create_dir(HOME).with_context(|| format!("cannot make {HOME}: is it somebody's?"))?;
        Ok(Self(HOME.into()))
    }

    /// A copy of a program, so that no run begins with the place of this checkout.
    fn program(&self, from: &Path) -> Result<PathBuf> {
        let to = self.0.join("bin").join(from.file_name().unwrap_or_default());
        fs::create_dir_all(self.0.join("bin"))?;
        fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(to)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("xtask: cannot remove {HOME}: {error}");
        }
    }
}
