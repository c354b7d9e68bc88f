//! The one table of defaults. The example file is printed from it, so the two cannot differ.

use std::time::Duration;

use sentry_detect::rule::settings::Limits;

use super::{
    Baselines,
    scalar::{mib, seconds},
};

/// Read when no file is named; it may be missing.
pub const CONFIG_FILE: &str = "/etc/agentsentry/config.yaml";
pub const STATE_DIR: &str = "/var/lib/agentsentry";
pub const SOCKET: &str = "/run/agentsentry/sensor.sock";
pub const GROUP: &str = "agentsentry";

pub(super) const SPOOL_BYTES: u64 = 256 << 20;
pub(super) const KEEP_BYTES: u64 = 1 << 30;
pub(super) const CRITICAL_BYTES: u32 = 4 << 20;
pub(super) const BULK_BYTES: u32 = 16 << 20;
pub(super) const HASH_EXECUTED: bool = false;
pub(super) const BASELINES: Baselines = Baselines {
    learn: true,
    window: Duration::from_secs(10),
    min_runs: 3,
    min_windows: 30,
    cool_down: Duration::from_secs(600),
};
pub(super) const LABELLED_PODS: bool = false;
pub(super) const METRICS_EVERY: Duration = Duration::from_secs(15);

/// A complete file with every default and what it means. Parsing it gives the defaults.
#[must_use]
pub fn example() -> String {
    let mut out = String::new();
    for row in TABLE {
        let indent = "  ".repeat(row.depth);
        for line in row.comment.lines() {
            out.push_str(&format!("{indent}# {line}\n"));
        }
        let value = (row.value)();
        let mark = if row.optional { "# " } else { "" };
        let space = if value.is_empty() { "" } else { " " };
        out.push_str(&format!("{indent}{mark}{}:{space}{value}\n", row.key));
    }
    out.push_str(&super::export::example());
    out.push_str(&metrics());
    out.push_str(&detect());
    out.push_str(SENSITIVE);
    out.push_str(RULES);
    out.push_str(CONTAINERS);
    out.push_str(AGENTS);
    out
}

/// Where metrics are shown beside `sentry metrics`.
fn metrics() -> String {
    format!(
        "
# Metrics beside `sentry metrics`: a unix socket that answers HTTP, a file for node_exporter.
# metrics:
#   socket: /run/agentsentry/metrics.sock
#   textfile: /var/lib/prometheus/node-exporter/agentsentry.prom
#   every: {} s
metrics: {{}}
",
        METRICS_EVERY.as_secs()
    )
}

/// The detectors' own table of defaults.
fn detect() -> String {
    let mut out = String::from("\n# Thresholds of the detectors.\ndetect:\n");
    if let Ok(text) = serde_saphyr::to_string(&Limits::default()) {
        for line in text.lines() {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

struct Row {
    depth: usize,
    key: &'static str,
    value: fn() -> String,
    comment: &'static str,
    /// Printed as a comment: the default is that it is absent.
    optional: bool,
}

const fn row(depth: usize, key: &'static str, value: fn() -> String, comment: &'static str) -> Row {
    Row { depth, key, value, comment, optional: false }
}

const fn optional(depth: usize, key: &'static str, value: fn() -> String, comment: &'static str) -> Row {
    Row { depth, key, value, comment, optional: true }
}

const TABLE: &[Row] = &[
    row(
        0,
        "version",
        || "1".into(),
        "Agent Sentry sensor configuration. Everything but the version is optional.",
    ),
    row(0, "sensor", String::new, ""),
    optional(
        1,
        "id",
        || "build-host-7".into(),
        "Name of this sensor; by default made of the host name and the machine id.",
    ),
    row(1, "state_dir", || STATE_DIR.into(), "Ledger, journal and keys."),
    row(1, "socket", || SOCKET.into(), "Where `sentry` commands reach the sensor."),
    row(1, "group", || GROUP.into(), "Members of this group may use the socket. \"\": root alone."),
    row(0, "journal", String::new, ""),
    row(
        1,
        "spool_bytes",
        || mib(SPOOL_BYTES),
        "Items that wait for the collector. What does not fit is counted and reported as a gap.",
    ),
    row(
        1,
        "keep_bytes",
        || mib(KEEP_BYTES),
        "History for `events`, `findings` and `report`; the oldest goes first.",
    ),
    row(0, "rings", String::new, "Buffers between the kernel and the sensor: powers of two."),
    row(1, "critical_bytes", || mib(CRITICAL_BYTES.into()), "Process life and cgroup changes."),
    row(1, "bulk_bytes", || mib(BULK_BYTES.into()), "Files and network."),
    row(0, "evidence", String::new, "What is recorded beyond what the kernel reports."),
    row(
        1,
        "hash_executed",
        || HASH_EXECUTED.to_string(),
        "SHA-256 of the files that a run executes, in its report. Each content is read once.",
    ),
    row(0, "baselines", String::new, "What is normal for each agent, learned from its runs."),
    row(1, "learn", || BASELINES.learn.to_string(), "A run that departs from it is a finding; never an act."),
    row(1, "window", || seconds(BASELINES.window), "What a run does is counted in windows of this length."),
    row(1, "min_runs", || BASELINES.min_runs.to_string(), "Runs, and windows, until an agent is known."),
    row(1, "min_windows", || BASELINES.min_windows.to_string(), ""),
    row(1, "cool_down", || seconds(BASELINES.cool_down), "Between two findings of one cause in a run."),
    row(
        0,
        "collector",
        || "disabled".into(),
        "Where findings and events are streamed to. `disabled`, or:\n\
         collector:\n  \
           endpoint: unix:/run/agentsentry-collector/feed.sock   # a collector on this host\n  \
           user: agentsentry-collector                # who may listen there, beside root\n\
         or, each with its own way to prove who is who:\n  \
           endpoint: https://collector.example:4319\n  \
           tls: {ca: /etc/agentsentry/ca.pem, cert: /etc/agentsentry/sensor.pem, key: \
           /etc/agentsentry/sensor.key}\n\
         or:\n  \
           endpoint: http://127.0.0.1:4319\n  \
           key_file: /etc/agentsentry/feed.key        # the collector has the same\n  \
           allow_plaintext_remote: false              # http to another host needs this",
    ),
];

const SENSITIVE: &str = "
# Files whose content opens doors, beside those that are known: a finding when one is read.
# sensitive:
#   - name: customers
#     title: customer data
#     severity: high          # or low, medium
#     paths: [/srv/customers/**, ~/exports/*.csv]     # ~ is any folder, * stays within a name
#     except: [\"*.md\"]        # a name without a folder is one in any
sensitive: []
";

const RULES: &str = "
# Rules of your own, beside those that are built in: files, or directories with files that end in
# .yaml. `sentry rules example` prints one, `sentry rules check` says what is wrong with one.
# rules: [/etc/agentsentry/rules.d]
rules: []
";

const CONTAINERS: &str = "
# Runs in containers are named by the engines' own files. Labels of pods, and names where those files
# are not mounted, are the kubelet's:
# containers:
#   docker: /data/docker                        # where engines keep their files elsewhere than usual:
#   containerd: /run/containerd                 # its state
#   storage: /var/lib/containers/storage        # Podman and CRI-O
#   node: node-1                                # the cluster's name for this host, or --node
#   kubelet: unix:/var/lib/kubelet/pods-api/pods-api.sock    # from Kubernetes 1.37
# or its port:
#   kubelet: https://127.0.0.1:10250
#   ca: /var/lib/kubelet/pki/kubelet.crt        # whom the kubelet's certificate is from
#   token_file: /var/run/secrets/kubernetes.io/serviceaccount/token    # may get nodes/pods
containers: {}
";

const AGENTS: &str = "
# What holds for the runs of an agent, by name, and which cgroups are its runs though nobody types
# `sentry run` or `sentry tag`. Of several matches one has to hold, of one match every condition.
# agents:
#   - name: claude
#     mode: enforce          # or observe: decide and record, do not act
#     limits: {storm_net_processes: 128}          # in place of those of `detect`
#     match:
#       - unit: claude@*.service                  # * and ? within a name, ** across slashes
#       - slice: agents.slice                     # each unit in it
#       - cgroup: /work/*                         # the path below the cgroup mount
#       - executable: /usr/bin/claude             # once it is executed, the cgroup it is in
#       - {user: root, executable: {path: /opt/agents/*/bin/agent}}
#       - container: {name: agent-*, image: ghcr.io/acme/*, label: {tier: gold}}
#       - pod: {namespace: agents, label: {app: coder}, service_account: coder}
agents: []

# Pods of Kubernetes that say themselves which agent they are, by the label agentsentry.io/agent.
pods:
  labelled: false

# Known agents that nobody selected: `report` lists them in `sentry agents`, `tag` watches the
# cgroups they are in, `off` does not look.
discover: report
";
