//! Commands that need no sensor: doctor, ledger verify, config, completions.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::CommandFactory as _;
use clap_complete::Shell;
use sentry_kernel::bpf::Capabilities;
use sentry_service::{
    check::{Found, Report},
    completion,
};
use serde_json::{Map, Value, json};

use super::{
    args::{Cli, ConfigCheckArgs},
    error::{CliError, of_check, of_config, of_flaw},
    exit::Exit,
    out,
    render::{GREEN, RED, YELLOW, json as lines, paint, safe, status},
};
use sentry_agent::{
    config::{
        Collector, Config, ConfigError, Flags,
        check::{self, CheckError},
        defaults,
    },
    container::{Roots, Sources},
    ledger::{self, SetAside},
};

/// The kernel's own type information.
const BTF: &str = "/sys/kernel/btf/vmlinux";

pub(super) fn doctor(as_json: bool) -> Result<Exit, CliError> {
    let (capabilities, sources) = examined()?;
    let text = if as_json {
        lines::line(&doctor_json(&capabilities, &sources)?)
    } else {
        status::doctor(&capabilities) + &status::containers(&sources)
    };
    out::print(&text)?;
    Ok(if capabilities.tier == "none" { Exit::Failure } else { Exit::Ok })
}

/// What `sentry doctor --json` prints.
pub(super) fn doctor_value() -> Result<Value, CliError> {
    let (capabilities, sources) = examined()?;
    doctor_json(&capabilities, &sources)
}

fn examined() -> Result<(Capabilities, Sources), CliError> {
    let capabilities = sentry_kernel::bpf::doctor(Path::new(BTF)).map_err(|error| CliError::Other {
        what: sentry_service::error_chain(&error),
        exit: super::sensor::of_load(&error),
    })?;
    Ok((capabilities, Roots::default().doctor()))
}

fn doctor_json(capabilities: &Capabilities, sources: &Sources) -> Result<Value, CliError> {
    let mut value = serde_json::to_value(capabilities)
        .map_err(|error| CliError::Other { what: error.to_string(), exit: Exit::Internal })?;
    value["containers"] = json!({
        "rung": sources.rung().name(), "engines": sources.engines, "absent": sources.absent,
        "kubelet": sources.kubelet,
    });
    Ok(value)
}

pub(super) fn program_costs(as_json: bool) -> Result<Exit, CliError> {
    let failed = |what, exit| CliError::Other { what, exit };
    let root = sentry_kernel::cgroup::CgroupRoot::find()
        .map_err(|error| failed(sentry_service::error_chain(&error), Exit::Failure))?;
    let costs = sentry_kernel::bpf::costs(Path::new(BTF), root.mount())
        .map_err(|error| failed(sentry_service::error_chain(&error), super::sensor::of_load(&error)))?;
    let text = if as_json {
        let value =
            serde_json::to_value(&costs).map_err(|error| failed(error.to_string(), Exit::Internal))?;
        lines::line(&value)
    } else {
        status::costs(&costs)
    };
    out::print(&text)?;
    Ok(Exit::Ok)
}

pub(super) fn ledger_verify(dir: &Path, as_json: bool) -> Result<Exit, CliError> {
    let proof = ledger::verify(dir);
    let set_aside = set_aside(dir, proof.as_ref().map_or(&[], |verified| &verified.set_aside));
    let (text, exit) = match proof {
        Ok(verified) if as_json => {
            let value = json!({
                "type": "ledger", "verified": true, "entries": verified.entries,
                "segments": verified.segments,
                "chain_uid": verified.chain_uid, "head_seq": verified.head_seq,
                "head_fingerprint": verified.head_fingerprint, "public_key": verified.public_key,
                "set_aside": set_aside.iter().map(|(kept, why)| json!({"kept": kept, "why": why}))
                    .collect::<Vec<_>>(),
            });
            (lines::line(&value), Exit::Ok)
        }
        Ok(verified) => {
            let mut text = format!(
                "{}: {} entries in {} segments, chain {}\n  head {} {}\n  key  {}\n",
                paint(GREEN, "Ledger verified"),
                verified.entries,
                verified.segments,
                safe(&verified.chain_uid),
                verified.head_seq,
                safe(&verified.head_fingerprint),
                safe(&verified.public_key),
            );
            for (kept, why) in &set_aside {
                let kept = kept.as_ref().map_or_else(|| "is gone".into(), |path| path.display().to_string());
                let title = paint(YELLOW, "set aside");
                text.push_str(&format!("  {title} {}: {}\n", safe(&kept), safe(why)));
            }
            (text, Exit::Ok)
        }
        Err(error) => {
            let exit = of_flaw(&error.what);
            let text = if as_json {
                let value = json!({
                    "type": "ledger", "verified": false, "segment": error.segment, "line": error.line,
                    "what": error.what.to_string(),
                    "set_aside": set_aside.iter().map(|(kept, why)| json!({"kept": kept, "why": why}))
                        .collect::<Vec<_>>(),
                });
                lines::line(&value)
            } else {
                format!("{}: {}\n", paint(RED, "Ledger not verified"), safe(&error.to_string()))
            };
            (text, exit)
        }
    };
    out::print(&text)?;
    Ok(exit)
}

/// What the ledger says was set aside, and what else of that kind stands beside it: where it is,
/// and why.
fn set_aside(dir: &Path, told: &[SetAside]) -> Vec<(Option<PathBuf>, String)> {
    let mut all: Vec<_> = told.iter().map(|one| (one.kept.clone(), one.why.clone())).collect();
    for path in ledger::kept_beside(dir) {
        let name = path.file_name();
        if !told.iter().any(|one| one.kept.as_ref().and_then(|kept| kept.file_name()) == name) {
            all.push((Some(path), "an earlier ledger, which no entry of this one names".into()));
        }
    }
    all
}

pub(super) fn config_check(args: ConfigCheckArgs) -> Result<Exit, CliError> {
    let as_json = args.json;
    let (report, exit) = checked_config(args);
    if as_json {
        out::print(&lines::line(&report.json()))?;
    } else if report.is_valid() {
        out::print(&format!("{}\n", safe_lines(&report.text())))?;
    } else {
        for line in report.complaints() {
            out::note(&format!("{} {}\n", paint(RED, "sentry:"), safe(&line)));
        }
    }
    Ok(exit)
}

/// What the file says, what was looked at beyond it, and how the check ends.
fn checked_config(args: ConfigCheckArgs) -> (Report, Exit) {
    let flags = Flags { config: args.config.or(args.file), sensor_id: args.sensor_id, ..Flags::default() };
    let file = flags.config.clone().unwrap_or_else(|| defaults::CONFIG_FILE.into());
    let is_there = flags.config.is_some() || !matches!(file.try_exists(), Ok(false));
    let (config, wrong) = Config::look(&flags);
    let mut exits: Vec<Exit> = wrong.iter().map(of_config).collect();
    let mut found = Found { errors: wrong.iter().map(ConfigError::problem).collect(), ..Found::default() };
    if let Some(config) = &config {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let looked = check::check(config, args.collector_cert.as_deref(), now);
        exits.extend(looked.errors.iter().map(of_check));
        found.errors.extend(looked.errors.iter().map(CheckError::problem));
        (found.checked, found.warnings) = (looked.checked, looked.warnings);
    }
    // Of several, a mistake in the configuration: a restart does not cure it.
    let exit = exits.iter().find(|exit| **exit == Exit::Config).or(exits.first()).copied();
    let (settings, values) = config.as_ref().map(settings).unwrap_or_default();
    (Report { file, is_there, settings, values, found }, exit.unwrap_or(Exit::Ok))
}

/// What a person wants to know of a valid configuration, as text and for programs.
fn settings(config: &Config) -> (String, Map<String, Value>) {
    let collector = match &config.collector {
        Collector::Disabled => "disabled".to_owned(),
        Collector::Enabled { endpoint, .. } => endpoint.to_string(),
    };
    let agents: Vec<&str> = config.policy.agents.iter().map(|agent| agent.name.as_str()).collect();
    let sensor = &config.sensor;
    let text = format!(
        "sensor.id: {}\nsensor.state_dir: {}\nsensor.socket: {}\nsensor.group: {}\ncollector: {collector}\n\
         agents: {}\n",
        sensor.id,
        sensor.state_dir.display(),
        sensor.socket.display(),
        sensor.group.as_deref().unwrap_or("(root alone)"),
        if agents.is_empty() { "(no rules of their own)".to_owned() } else { agents.join(", ") },
    );
    let values = json!({
        "sensor": sensor.id, "state_dir": sensor.state_dir, "socket": sensor.socket, "group": sensor.group,
        "collector": collector, "agents": agents,
    });
    (text, values.as_object().cloned().unwrap_or_default())
}

/// Without what could move a terminal's cursor, line by line.
fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

pub(super) fn config_example() -> Result<Exit, CliError> {
    out::print(&defaults::example())?;
    Ok(Exit::Ok)
}

pub(super) fn completions(shell: Shell) -> Result<Exit, CliError> {
    out::print(&completion::script(shell, &Cli::command()))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_is_not_there_is_no_input() {
        let dir = std::env::temp_dir().join(format!("no-ledger-{}", uuid::Uuid::now_v7()));
        assert!(matches!(ledger_verify(&dir, true), Ok(Exit::NoInput)));
    }
}
