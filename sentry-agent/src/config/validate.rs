//! Defaults, file and flags put together, and checked against each other.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    net::IpAddr,
    path::{Path, PathBuf},
};

use sentry_detect::sensitive::SensitiveFiles;
use sentry_rules::RuleSet;
use sentry_yaml::{self as yaml, Mistake};
use serde_saphyr::Spanned;
use sha2::{Digest as _, Sha256};

use super::{
    Agent, Baselines, Collector, Config, ConfigError, Endpoint, Evidence, Journal, Metrics, Policy, Proof,
    Rings, Sensor, Settings, TlsFiles, containers, defaults,
    error::invalid,
    file::{AgentFile, BaselinesFile, CollectorFile, DiscoverFile, EnabledFile, File},
    rules,
    scalar::{AbsolutePath, Identifier},
    select, sensitive,
};
use crate::select::Discover;

const MAX_FILE_BYTES: u64 = 1 << 20;
const COLLECTOR: &str = "--collector";

/// Values from the command line; each wins over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// A file that must exist. Without it the default file is read if it exists.
    pub config: Option<PathBuf>,
    pub sensor_id: Option<String>,
    pub state_dir: Option<PathBuf>,
    pub socket: Option<PathBuf>,
    pub group: Option<String>,
    /// An endpoint, or `disabled`.
    pub collector: Option<String>,
    /// The cluster's name for this host.
    pub node: Option<String>,
}

impl Config {
    /// Reads the file that the flags name, or the default one.
    ///
    /// # Errors
    /// Where the file or a flag is missing or invalid.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        whole(Self::look(flags))
    }

    /// The same, but what is right about a file that has mistakes too, for somebody who wants to
    /// look at all of it; and the mistakes.
    #[must_use]
    pub fn look(flags: &Flags) -> (Option<Self>, Vec<ConfigError>) {
        let default = Path::new(defaults::CONFIG_FILE);
        let (path, text) = match &flags.config {
            Some(path) => (path.as_path(), read(path).map(Some)),
            None => (default, read_if_there(default)),
        };
        match text {
            Ok(text) => Self::look_at(path, text.as_deref(), flags),
            Err(error) => (None, vec![error]),
        }
    }

    /// `path` names the text in errors; `None` is a missing default file.
    #[cfg(test)]
    pub(crate) fn parse(path: &Path, text: Option<&str>, flags: &Flags) -> Result<Self, ConfigError> {
        whole(Self::look_at(path, text, flags))
    }

    fn look_at(path: &Path, text: Option<&str>, flags: &Flags) -> (Option<Self>, Vec<ConfigError>) {
        // An absent file says the same as one that has only its version.
        let mut mistakes = match yaml::read(text.unwrap_or("version: 1\n")) {
            Ok(file) => return Self::put_together(path, file, flags),
            Err(mistakes) => mistakes,
        };
        let rest = mistakes.rest.take();
        let place = |mistake: Mistake| {
            let Mistake { line, column, what } = mistake;
            ConfigError::Invalid { path: path.into(), line, column, what }
        };
        let mut errors: Vec<ConfigError> = mistakes.all.drain(..).map(place).collect();
        let Some(rest) = rest else { return (None, errors) };
        let (config, more) = Self::put_together(path, rest, flags);
        errors.extend(more.into_iter().filter(|error| match error {
            ConfigError::Invalid { path: of, line, .. } => of != path || !mistakes.is_doubtful(*line),
            // It takes its proof from the file.
            ConfigError::Flag { flag, .. } => *flag != COLLECTOR,
            _ => true,
        }));
        errors.sort_by_key(ConfigError::line);
        (config.filter(|_| !mistakes.is_any_doubtful(&["sensor", "collector"])), errors)
    }

    fn put_together(path: &Path, file: File, flags: &Flags) -> (Option<Self>, Vec<ConfigError>) {
        let group = flags.group.clone().or(file.sensor.group).unwrap_or_else(|| defaults::GROUP.into());
        let discover = match file.discover {
            None => Discover::default(),
            Some(DiscoverFile::Off) => Discover::Off,
            Some(DiscoverFile::Report) => Discover::Report,
            Some(DiscoverFile::Tag) => Discover::Tag,
        };
        // All that is wrong is said at once.
        let (sensitive, mistakes) = match sensitive::files(path, file.sensitive) {
            Ok(files) => (files, Vec::new()),
            Err(mistakes) => (SensitiveFiles::built_in(), mistakes),
        };
        let detect = file.detect.with_sensitive(sensitive);
        let (own, of_rules) = own_rules(file.rules);
        let parts = (
            sensor_id(flags, file.sensor.id),
            place("--state-dir", &flags.state_dir, file.sensor.state_dir, defaults::STATE_DIR),
            place("--socket", &flags.socket, file.sensor.socket, defaults::SOCKET),
            match &flags.collector {
                Some(value) => collector_flag(value, file.collector),
                None => collector_file(path, file.collector),
            },
            containers::containers(path, flags.node.clone(), file.containers),
            agents(path, file.agents, &detect),
        );
        let (id, state_dir, socket, collector, containers, agents) = match parts {
            (Ok(id), Ok(state_dir), Ok(socket), Ok(collector), Ok(containers), Ok(agents))
                if mistakes.is_empty() && of_rules.is_empty() =>
            {
                (id, state_dir, socket, collector, containers, agents)
            }
            (id, state_dir, socket, collector, containers, agents) => {
                let places = [id.err(), state_dir.err(), socket.err()];
                let errors = places.into_iter().chain([collector.err(), containers.err()]).flatten();
                let errors = errors.chain(agents.err().into_iter().flatten()).chain(mistakes);
                return (None, errors.chain(of_rules).collect());
            }
        };
        let config = Self {
            sensor: Sensor { id, state_dir, socket, group: (!group.is_empty()).then_some(group) },
            journal: Journal {
                spool_bytes: file.journal.spool_bytes.map_or(defaults::SPOOL_BYTES, |bytes| bytes.0),
                keep_bytes: file.journal.keep_bytes.map_or(defaults::KEEP_BYTES, |bytes| bytes.0),
            },
            rings: Rings {
                critical_bytes: file.rings.critical_bytes.map_or(defaults::CRITICAL_BYTES, |bytes| bytes.0),
                bulk_bytes: file.rings.bulk_bytes.map_or(defaults::BULK_BYTES, |bytes| bytes.0),
            },
            evidence: Evidence {
                hash_executed: file.evidence.hash_executed.unwrap_or(defaults::HASH_EXECUTED),
            },
            baselines: baselines(file.baselines),
            collector,
            export: file.export,
            metrics: Metrics {
                socket: file.metrics.socket.map(|path| path.0),
                textfile: file.metrics.textfile.map(|path| path.0),
                every: file.metrics.every.map_or(defaults::METRICS_EVERY, |every| every.0),
            },
            containers,
            policy: Policy::new(
                detect,
                agents,
                file.pods.labelled.unwrap_or(defaults::LABELLED_PODS),
                discover,
            )
            .with_own(own),
        };
        (Some(config), Vec::new())
    }
}

/// Rules of somebody's own, and all that is wrong with them.
fn own_rules(paths: Vec<Spanned<AbsolutePath>>) -> (RuleSet, Vec<ConfigError>) {
    let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.value.0).collect();
    match rules::read(&paths) {
        Ok(own) => (own, Vec::new()),
        Err(wrong) => (RuleSet::default(), wrong),
    }
}

fn whole((config, errors): (Option<Config>, Vec<ConfigError>)) -> Result<Config, ConfigError> {
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => Err(ConfigError::of(errors)),
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, ConfigError> {
    match read(path) {
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: path.into(), limit_bytes: MAX_FILE_BYTES });
    }
    Ok(text)
}

fn baselines(file: BaselinesFile) -> Baselines {
    let defaults = defaults::BASELINES;
    Baselines {
        learn: file.learn.unwrap_or(defaults.learn),
        window: file.window.map_or(defaults.window, |window| window.0),
        min_runs: file.min_runs.map_or(defaults.min_runs, |enough| enough.0),
        min_windows: file.min_windows.map_or(defaults.min_windows, |enough| enough.0),
        cool_down: file.cool_down.map_or(defaults.cool_down, |time| time.0),
    }
}

fn sensor_id(flags: &Flags, file: Option<Identifier>) -> Result<String, ConfigError> {
    let Some(value) = &flags.sensor_id else { return Ok(file.map_or_else(default_id, |id| id.0)) };
    let wrong = |what| ConfigError::Flag { flag: "--sensor-id", value: value.clone(), what };
    Identifier::try_from(value.clone()).map(|id| id.0).map_err(wrong)
}

fn place(
    name: &'static str,
    flag: &Option<PathBuf>,
    file: Option<AbsolutePath>,
    default: &str,
) -> Result<PathBuf, ConfigError> {
    match flag {
        // A person types a path relative to where they are.
        Some(path) => std::path::absolute(path).map_err(|error| ConfigError::Flag {
            flag: name,
            value: path.display().to_string(),
            what: error.to_string(),
        }),
        None => Ok(file.map_or_else(|| default.into(), |path| path.0)),
    }
}

fn collector_file(path: &Path, file: Option<CollectorFile>) -> Result<Collector, ConfigError> {
    let Some(CollectorFile::Enabled(file)) = file else { return Ok(Collector::Disabled) };
    let (endpoint, at) = (file.endpoint.value.clone(), file.endpoint.referenced);
    let proof = proof(&endpoint, Some(*file), false).map_err(|what| invalid(path, at, what))?;
    Ok(Collector::Enabled { endpoint, proof })
}

/// An endpoint given as a flag takes what the file says about its way of proof along, and leaves
/// the rest.
fn collector_flag(value: &str, file: Option<CollectorFile>) -> Result<Collector, ConfigError> {
    if value == "disabled" {
        return Ok(Collector::Disabled);
    }
    let wrong = |what| ConfigError::Flag { flag: COLLECTOR, value: value.into(), what };
    let endpoint: Endpoint = value.parse().map_err(wrong)?;
    let file = match file {
        Some(CollectorFile::Enabled(file)) => Some(*file),
        Some(CollectorFile::Disabled) | None => None,
    };
    let proof = proof(&endpoint, file, true).map_err(wrong)?;
    Ok(Collector::Enabled { endpoint, proof })
}

/// The way of proof that goes with the endpoint; with `pick`, whatever else the file has belongs to
/// another endpoint.
fn proof(endpoint: &Endpoint, file: Option<EnabledFile>, pick: bool) -> Result<Proof, String> {
    let (tls, key_file, user, allow_remote) = match file {
        Some(EnabledFile { tls, key_file, user, allow_plaintext_remote, .. }) => {
            (tls, key_file, user, allow_plaintext_remote)
        }
        None => (None, None, None, false),
    };
    let others = [
        ("tls", tls.is_some() && !matches!(endpoint, Endpoint::Https { .. })),
        ("key_file", key_file.is_some() && !matches!(endpoint, Endpoint::Http { .. })),
        ("user", user.is_some() && !matches!(endpoint, Endpoint::Unix(_))),
    ];
    if let Some((key, _)) = others.iter().find(|(_, there)| *there && !pick) {
        return Err(format!("`{key}` has no meaning for {endpoint}; remove it, or write another endpoint"));
    }
    match endpoint {
        Endpoint::Https { .. } => match tls {
            Some(tls) => Ok(Proof::Tls(TlsFiles { ca: tls.ca.0, cert: tls.cert.0, key: tls.key.0 })),
            None => {
                Err("https needs `collector.tls` with `ca`, `cert` and `key` in the configuration".into())
            }
        },
        Endpoint::Http { host, .. } if !allow_remote && !is_loopback(host) => Err(format!(
            "{host} is another host and http is not protected; use https with `tls`, or set \
             `collector.allow_plaintext_remote: true` if the network itself is protected"
        )),
        Endpoint::Http { .. } => match key_file {
            Some(key) => Ok(Proof::Key(key.0)),
            None => Err(format!(
                "nothing proves who listens at {endpoint}; use a unix socket (`unix:/PATH`), or \
                 set `collector.key_file` to a key that the collector has too \
                 (`sentry-collector feed-key` makes one)"
            )),
        },
        Endpoint::Unix(_) => Ok(Proof::Peer { user }),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Every agent, or all that is wrong with them.
fn agents(path: &Path, files: Vec<AgentFile>, detect: &Settings) -> Result<Vec<Agent>, Vec<ConfigError>> {
    let (mut agents, mut errors): (Vec<Agent>, Vec<ConfigError>) =
        (Vec::with_capacity(files.len()), Vec::new());
    for file in files {
        let (name, at) = (file.name.value, file.name.referenced);
        if agents.iter().any(|agent| agent.name == name) {
            let what = format!("the agent `{}` is listed twice; keep one of the two", name.as_str());
            errors.push(invalid(path, at, what));
        }
        let settings = match file.limits {
            None => Ok(detect.clone()),
            Some(limits) => {
                let own = with_limits(detect, limits.value);
                own.map(|own| own.with_sensitive(detect.sensitive().clone()))
                    .map_err(|what| invalid(path, limits.referenced, what))
            }
        };
        let settings = settings.unwrap_or_else(|error| {
            errors.push(error);
            detect.clone()
        });
        let mut selectors = Vec::new();
        for wanted in file.matches {
            match select::selector(wanted.value) {
                Ok(selector) => selectors.push(selector),
                Err(what) => errors.push(invalid(path, wanted.referenced, what)),
            }
        }
        agents.push(Agent { name, mode: file.mode, settings, selectors });
    }
    if errors.is_empty() { Ok(agents) } else { Err(errors) }
}

/// The thresholds for all, with an agent's own in their place.
fn with_limits(detect: &Settings, limits: BTreeMap<String, serde_json::Value>) -> Result<Settings, String> {
    let mut all = serde_json::to_value(detect.limits()).map_err(|error| error.to_string())?;
    if let Some(all) = all.as_object_mut() {
        all.extend(limits);
    }
    serde_json::from_value(all).map_err(|error| error.to_string())
}

/// `<host name>-<12 hex digits>`. The machine id itself is a secret of the host (machine-id(5)), so
/// only a digest of it is shown.
fn default_id() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    id_of(host.trim(), machine.trim())
}

fn id_of(host: &str, machine: &str) -> String {
    let short = host.split('.').next().unwrap_or_default();
    let name: String = short.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(63).collect();
    let name = name.trim_start_matches('-');
    let name = if name.is_empty() { "sensor" } else { name };
    if machine.is_empty() {
        return name.to_owned();
    }
    let digest = Sha256::digest(format!("agentsentry sensor id\n{machine}"));
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_id_is_stable_and_hides_the_machine_id() {
        let id = id_of("build-7.example.org", "0123456789abcdef0123456789abcdef");
        assert_eq!(id, id_of("build-7", "0123456789abcdef0123456789abcdef"));
        assert!(id.starts_with("build-7-") && id.len() == 20 && !id.contains("0123456789ab"), "{id}");
        assert_eq!(id_of("", ""), "sensor");
        assert!(Identifier::try_from(id_of("--x y_z", "m")).is_ok());
    }
}
