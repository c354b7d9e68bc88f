//! `cargo xtask corpus [NAME…]`: runs what `tests/corpus/plan.toml` lists under a sensor that
//! observes, and writes a recording of each into `tests/corpus`, and the list of them.
//!
//! Everything happens below `/home/corpus`, which must not be there, with a short environment: what
//! is recorded says nothing of who made it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
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

/// A run of the plan, of one size.
struct Planned {
    name: String,
    size: i64,
    label: String,
    kind: String,
    program: String,
    /// Limits were set on it, or they are tested on it.
    half: &'static str,
    before: String,
    script: String,
}

/// What one run has become.
struct Recorded<'a> {
    planned: &'a Planned,
    seconds: f64,
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
    let mut recorded = Vec::new();
    for planned in &planned {
        let wanted = chosen.is_empty() || chosen.iter().any(|name| planned.file().starts_with(name.as_str()));
        if !wanted {
            continue;
        }
        let started = Instant::now();
        watched(planned, &sentry, &sockets)?;
        let seconds = started.elapsed().as_secs_f64();
        let bytes = record(planned, &sentry, &sockets, &dir)?;
        say(AREA, format_args!("{}: {seconds:.1} s, {bytes} bytes", planned.file()));
        recorded.push(Recorded { planned, seconds });
    }
    sensor.stop()?;
    fs::remove_dir_all(sensor::state_dir(&sockets)).context("cannot remove the sensor's state")?;
    write_manifest(&dir.join("manifest.toml"), &recorded)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs it under the sensor, to its end.
fn watched(planned: &Planned, sentry: &Path, sockets: &Path) -> Result<()> {
    let place = PathBuf::from(HOME).join(&planned.program);
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let log = fs::File::create(step::log_path(&format!("corpus-{}", planned.name))?)?;
    let mut before = shell(planned, &planned.before, Command::new("/bin/sh"));
    let before = before.current_dir(&place).stdout(log.try_clone()?).stderr(log.try_clone()?);
    if !before.status().context("cannot prepare a run")?.success() {
        bail!("what comes before {} failed", planned.file());
    }
    let mut run = Command::new(sentry);
    run.arg("run").arg("--socket").arg(sensor::socket(sockets));
    run.args(["--quiet", "--name", &planned.program, "--", "/bin/sh"]);
    let mut run = shell(planned, &planned.script, run);
    let run = run.current_dir(&place).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Most runaways fail, and so does what looks for a mistake.
    run.status().context("cannot run")?;
    fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))
}

/// The script, with the size and little else in its environment.
fn shell(planned: &Planned, script: &str, mut command: Command) -> Command {
    command.args(["-c", &format!("set -e\n{script}")]);
    command.env_clear().env("N", planned.size.to_string());
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

fn write_manifest(path: &Path, recorded: &[Recorded<'_>]) -> Result<()> {
    let mut all = manifest(path)?;
    for Recorded { planned, seconds } in recorded {
        let mut row = Table::new();
        let texts = [("label", &planned.label), ("kind", &planned.kind), ("program", &planned.name)];
        row.extend(texts.map(|(key, text)| (key.to_owned(), Value::from(text.as_str()))));
        row.insert("half".to_owned(), planned.half.into());
        row.insert("seconds".to_owned(), ((seconds * 10.0).round() / 10.0).into());
        all.insert(planned.file(), row.into());
    }
    let mut text = "# Written by `cargo xtask corpus`: what each recording is of, and whether limits were set on it or\n\
        # are tested on it.\n"
        .to_owned();
    for (file, row) in &all {
        text.push_str(&format!("\n[\"{file}\"]\n"));
        for key in ["label", "kind", "program", "half", "seconds"] {
            let value = row.get(key).with_context(|| format!("{file} has no {key}"))?;
            let number = || value.as_float().unwrap_or_default();
            let value = value.as_str().map_or_else(|| format!("{:.1}", number()), |text| format!("{text:?}"));
            text.push_str(&format!("{key} = {value}\n"));
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
                name,
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
