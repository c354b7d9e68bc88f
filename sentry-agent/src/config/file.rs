//! The file as typed: its keys, each declared once with its type, its default and its meaning.
//! Every scalar is checked while it is parsed, so that an error carries its line and column.

use std::{collections::BTreeMap, fmt};

use sentry_detect::{rule::settings::Settings, run::Mode, runaway::Severity};
use sentry_service::{identifier, keys};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_saphyr::Spanned;

use super::{
    Endpoint, Export, defaults,
    scalar::{AbsolutePath, Enough, Identifier, RingBytes, Seconds, StoreBytes, Textfile, mib, seconds},
    select::MatchFile,
};
use crate::AgentName;

keys! {
    pub(super) struct File {
        [checked version: Version]
        sensor: SensorFile, String::new, String::new;
        journal: JournalFile, String::new, String::new;
        rings: RingsFile, String::new, String::new;
        evidence: EvidenceFile, String::new, String::new;
        baselines: BaselinesFile, String::new, String::new;
        collector: Option<CollectorFile>,
            || "`disabled`".into(),
            || "or `endpoint` and [what proves who is who](#who-is-who-on-the-feed)".into();
        export: Export, String::new, String::new;
        metrics: MetricsFile, String::new, String::new;
        detect: Settings,
            || "below".into(),
            || "thresholds".into();
        sensitive: Vec<SensitiveFile>,
            || "none".into(),
            || "[classes of sensitive files](#sensitive-files) beside the built-in ones: `name`, `title`, `severity`, \
                `paths`, `except`".into();
        rules: Vec<Spanned<AbsolutePath>>,
            || "none".into(),
            || "files with [rules of your own](rules.md), or directories, whose `*.yaml` files are taken; read again \
                with the configuration, and all of them hold or none".into();
        containers: ContainersFile,
            || "none".into(),
            || "[below](#what-names-containers): `docker`, `containerd`, `storage`, `node`, `kubelet`, `ca`, \
                `token_file`"
                .into();
        agents: Vec<AgentFile>,
            || "none".into(),
            || "`name` (1 to 128 bytes, no control characters, not like a run id), `mode: \
                observe\\|enforce`, `limits` in place of those of `detect`, and \
                [`match`](#which-cgroups-are-agents)".into();
        pods: PodsFile, String::new, String::new;
        discover: Option<DiscoverFile>,
            || "`report`".into(),
            || "known agents that nobody selected: listed by `sentry agents`; `tag` watches the cgroups they \
                are in; `off` does not look".into();
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Version;

keys! {
    #[derive(Default)]
    pub(super) struct SensorFile {
        id: Option<Identifier>,
            || "host name and a digest of the machine id".into(),
            || format!("letters, digits, `.`, `_`, `-`; at most {}", identifier::MAX_BYTES);
        state_dir: Option<AbsolutePath>,
            || format!("`{}`", defaults::STATE_DIR),
            || "ledger, journal, keys; made with mode 0700, files 0600. Refused where it, a directory above \
                it or a file in it belongs to another user than root or the sensor's, or others can write to \
                it, or a file is a link; files that others can only read are closed to them. While the \
                sensor runs, `reserve` keeps 1 MiB of the disk for what has to be written at its end".into();
        socket: Option<AbsolutePath>,
            || format!("`{}`", defaults::SOCKET),
            || "where the commands reach the sensor".into();
        group: Option<String>,
            || format!("`{}`", defaults::GROUP),
            || "members may use the socket; `\"\"`: root alone".into();
    }
}

keys! {
    #[derive(Default)]
    pub(super) struct JournalFile {
        spool_bytes: Option<StoreBytes>,
            || mib(defaults::SPOOL_BYTES),
            || "items that wait for the collector, or all without one; what does not fit becomes a Gap, \
                first of the run that has most, while that is more than an eighth, then the oldest".into();
        keep_bytes: Option<StoreBytes>,
            || mib(defaults::KEEP_BYTES),
            || "history for `events`, `findings`, `report`; the oldest goes first, of a run that has more \
                than an eighth before all others".into();
    }
}

keys! {
    #[derive(Default)]
    pub(super) struct RingsFile {
        critical_bytes: Option<RingBytes>,
            || mib(defaults::CRITICAL_BYTES.into()),
            || "process and cgroup records; a power of two".into();
        bulk_bytes: Option<RingBytes>,
            || mib(defaults::BULK_BYTES.into()),
            || "file and network records; a power of two".into();
    }
}

keys! {
    #[derive(Default)]
    pub(super) struct EvidenceFile {
        hash_executed: Option<bool>,
            || format!("`{}`", defaults::HASH_EXECUTED),
            || "SHA-256 of the files that a run executes, in its report: \
                [below](#digests-of-executed-files)".into();
    }
}

keys! {
    #[derive(Default)]
    pub(super) struct BaselinesFile {
        learn: Option<bool>,
            || format!("`{}`", defaults::BASELINES.learn),
            || "what is normal for each agent is learned, and kept in `state_dir`; a run that departs from it \
                is a finding, [`departure`](using.md#what-is-normal-for-an-agent)".into();
        window: Option<Seconds>,
            || seconds(defaults::BASELINES.window),
            || "what a run does is counted in windows of this length; 1 s to 3600 s. Another length makes \
                what was learned mean something else: remove `baselines` from `state_dir` then".into();
        min_runs: Option<Enough>,
            || format!("`{}`", defaults::BASELINES.min_runs),
            || "runs that it takes until an agent is known; 1 to 1000".into();
        min_windows: Option<Enough>,
            || format!("`{}`", defaults::BASELINES.min_windows),
            || "windows that it takes as well; twenty times as many are enough with any number of runs".into();
        cool_down: Option<Seconds>,
            || seconds(defaults::BASELINES.cool_down),
            || "time between two findings of one cause in a run; 1 s to 3600 s".into();
    }
}

keys! {
    #[derive(Default)]
    pub(super) struct MetricsFile {
        socket: Option<AbsolutePath>,
            || "none".into(),
            || "a unix socket that answers `GET /metrics` over HTTP with [these](metrics.md); mode 0660, the group is \
                that of the control socket".into();
        textfile: Option<Textfile>,
            || "none".into(),
            || "a file for the textfile collector of `node_exporter`, whose name has to end in `.prom`; removed when the \
                sensor ends".into();
        every: Option<Seconds>,
            || format!("{} s", defaults::METRICS_EVERY.as_secs()),
            || "how often the textfile is written; 1 s to 3600 s".into();
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContainersFile {
    pub(super) containerd: Option<AbsolutePath>,
    pub(super) storage: Option<AbsolutePath>,
    pub(super) docker: Option<AbsolutePath>,
    pub(super) node: Option<Identifier>,
    pub(super) kubelet: Option<Spanned<Endpoint>>,
    pub(super) token_file: Option<Spanned<AbsolutePath>>,
    pub(super) ca: Option<Spanned<AbsolutePath>>,
}

/// `disabled`, or where and how.
#[derive(Debug)]
pub(super) enum CollectorFile {
    Disabled,
    Enabled(Box<EnabledFile>),
}

keys! {
    pub(super) struct EnabledFile {
        [needed endpoint: Spanned<Endpoint>,
            || "`unix:/PATH`, `https://HOST:PORT` or `http://HOST:PORT`".into()]
        tls: Option<TlsFile>,
            String::new,
            || "`https`: `ca`, `cert` and `key`; PEM files, absolute paths".into();
        key_file: Option<AbsolutePath>,
            String::new,
            || "`http`: the key that this sensor and the collector share; mode 0600, or \
                [`credential:NAME`](#keys-from-the-service-manager)".into();
        user: Option<String>,
            String::new,
            || "`unix`: who may listen there beside root and the sensor's own user; a name or a uid".into();
        allow_plaintext_remote: bool,
            || "`false`".into(),
            || "http to another host needs it".into();
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    pub(super) ca: AbsolutePath,
    pub(super) cert: AbsolutePath,
    pub(super) key: AbsolutePath,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SensitiveFile {
    pub(super) name: Spanned<String>,
    pub(super) title: Option<String>,
    pub(super) severity: Option<Severity>,
    pub(super) paths: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) except: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    pub(super) name: Spanned<AgentName>,
    #[serde(default)]
    pub(super) mode: Mode,
    /// Thresholds of its own; those that it does not give are those of `detect`.
    pub(super) limits: Option<Spanned<BTreeMap<String, serde_json::Value>>>,
    #[serde(default, rename = "match")]
    pub(super) matches: Vec<Spanned<MatchFile>>,
}

keys! {
    #[derive(Default)]
    pub(super) struct PodsFile {
        labelled: Option<bool>,
            || format!("`{}`", defaults::LABELLED_PODS),
            || "`true`: a pod with the label `agentsentry.io/agent: NAME` is watched as NAME".into();
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DiscoverFile {
    Off,
    Report,
    Tag,
}

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("version {other} is not known to this sensor, which reads version 1")),
        }
    }
}

impl<'de> Deserialize<'de> for CollectorFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = CollectorFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`disabled` or a map with `endpoint`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CollectorFile, E> {
                match text {
                    "disabled" => Ok(CollectorFile::Disabled),
                    _ => Err(E::custom(format!("{text:?} is neither `disabled` nor a map with `endpoint`"))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CollectorFile, A::Error> {
                EnabledFile::deserialize(MapAccessDeserializer::new(map))
                    .map(|file| CollectorFile::Enabled(Box::new(file)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use sentry_service::keys::Key;

    use super::*;
    use crate::config::export::FileKeys;

    #[test]
    fn the_table_of_the_documentation_has_the_keys_of_the_code() {
        let sections = [
            ("sensor", SensorFile::KEYS),
            ("journal", JournalFile::KEYS),
            ("rings", RingsFile::KEYS),
            ("evidence", EvidenceFile::KEYS),
            ("baselines", BaselinesFile::KEYS),
            ("pods", PodsFile::KEYS),
            ("metrics", MetricsFile::KEYS),
            ("collector", EnabledFile::KEYS),
            ("export.file", FileKeys::KEYS),
        ];
        let mut declared = keys::table(None, File::KEYS);
        declared.extend(sections.iter().flat_map(|(name, keys)| keys::table(Some(name), keys)));
        let document = include_str!("../../../docs/configuration.md");
        let mut documented = keys::table_of(document, "## Sensor:");
        let example = defaults::example();
        for Key { name, .. } in sections.iter().flat_map(|(_, keys)| *keys).chain(File::KEYS) {
            assert!(example.contains(&format!("{name}:")), "the example has no {name}");
        }
        documented.sort_unstable();
        declared.sort_unstable();
        assert_eq!(documented, declared);
    }
}
