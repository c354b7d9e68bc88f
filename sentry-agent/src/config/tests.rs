//! Golden texts of what a person sees when a file is wrong.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{path::Path, time::Duration};

use super::*;
use crate::select::Discover;

fn parse_with(text: &str, flags: &Flags) -> Result<Config, String> {
    Config::parse(Path::new("c.yaml"), Some(text), flags).map_err(|error| error.to_string())
}

fn parse(text: &str) -> Result<Config, String> {
    parse_with(text, &Flags::default())
}

#[test]
fn the_example_is_the_defaults() {
    let example = defaults::example();
    let absent = Config::parse(Path::new("c.yaml"), None, &Flags::default()).unwrap();
    assert_eq!(parse(&example).unwrap(), absent);
    assert!(example.contains("cpu_min_cores: 0.8") && example.contains("# id: build-host-7"), "{example}");
    // Every optional line and every commented block is valid too, once its mark is taken away.
    let with_id = example.replace("  # id: build-host-7", "  id: build-host-7");
    assert_eq!(parse(&with_id).unwrap().sensor.id, "build-host-7");
    let agents = example.replace("agents: []\n", "").replace("# agents:", "agents:");
    let agents = agents.replace("sensitive: []\n", "").replace("# sensitive:", "sensitive:");
    let agents = agents.replace("#   - ", "  - ");
    let agents = agents.replace("#     ", "    ");
    let policy = parse(&agents).unwrap().policy;
    assert_eq!(policy.agent("claude").unwrap().mode, Mode::Enforce);
    assert_eq!(policy.detect.sensitive().own()[0].name, "customers");
}

#[test]
fn each_class_of_sensitive_files_that_cannot_be_used_is_named_with_its_place() {
    let wrong = parse(
        "version: 1
sensitive:
  - {name: good, paths: [/srv/a]}
  - name: cloud
    paths: [/srv/b]
  - {name: b, paths: ['/srv/[c']}
  - {name: C, paths: [/srv/c]}
",
    );
    assert_eq!(
        wrong.unwrap_err(),
        "c.yaml:4:11: the class \"cloud\" is there already; write another name; c.yaml:6:23: the pattern \
         \"/srv/[c\" is broken; `*` and `?` stay within a name, `**` is any folders: error parsing glob \
         '/srv/[c': unclosed character class; missing ']'; c.yaml:7:12: \"C\" is not the name of a class; \
         write 1 to 32 of a–z, 0–9 and -"
    );
    let unknown = parse("version: 1\nsensitive: [{name: a, paths: [/a], extra: 1}]\n").unwrap_err();
    assert!(unknown.starts_with("c.yaml:2:") && unknown.contains("extra"), "{unknown}");
}

#[test]
fn a_file_of_lines_has_a_path_and_takes_the_rest_from_the_defaults() {
    let file = |rest: &str| parse(&format!("version: 1\nexport: {{file: {{path: /l/e.jsonl{rest}}}}}\n"));
    let path = std::path::PathBuf::from("/l/e.jsonl");
    let default = FileSink { path: path.clone(), max_bytes: 64 << 20, keep: 5 };
    assert_eq!(file("").unwrap().export.file, Some(default));
    let own = FileSink { path, max_bytes: 2 << 20, keep: 0 };
    assert_eq!(file(", max_bytes: 2 MiB, keep: 0").unwrap().export.file, Some(own));
    assert!(file(", keep: 256").unwrap_err().starts_with("c.yaml:2:"));
    assert!(parse("version: 1\nexport: {file: {path: e.jsonl}}\n").unwrap_err().contains("relative"));
}

#[test]
fn a_key_may_be_a_credential() {
    let with = |name: &str| {
        parse(&format!(
            "version: 1\ncollector: {{endpoint: 'http://127.0.0.1:1', key_file: 'credential:{name}'}}\n"
        ))
    };
    let Collector::Enabled { proof: Proof::Key(path), .. } = with("feed.key").unwrap().collector else {
        unreachable!("the endpoint is http")
    };
    assert_eq!(path, Path::new("/run/credentials/agentsentry.service/feed.key"));
    assert_eq!(
        with("../shadow").unwrap_err(),
        "c.yaml:2:55: \"../shadow\" is not the name of a credential; write `credential:NAME`, without a \
         directory"
    );
}

#[test]
fn a_full_file_is_understood() {
    let config = parse(
        "version: 1
sensor: {id: s-1, state_dir: /s, socket: /s/x.sock, group: ''}
journal: {spool_bytes: 2 MiB, keep_bytes: 4194304}
rings: {critical_bytes: 64KiB, bulk_bytes: 1 MiB}
evidence: {hash_executed: true}
collector:
  endpoint: https://collector.example:4319
  tls: {ca: /ca, cert: /cert, key: /key}
metrics: {socket: /s/m.sock, textfile: /t/a.prom, every: 1 min}
detect: {cpu_min_cores: 2}
agents:
  - {name: claude, mode: enforce}
  - name: codex
",
    )
    .unwrap();
    assert_eq!(config.sensor.group, None);
    assert_eq!(config.journal, Journal { spool_bytes: 2 << 20, keep_bytes: 4 << 20 });
    assert_eq!(config.rings, Rings { critical_bytes: 1 << 16, bulk_bytes: 1 << 20 });
    assert_eq!(config.evidence, Evidence { hash_executed: true });
    let metrics = Metrics {
        socket: Some("/s/m.sock".into()),
        textfile: Some("/t/a.prom".into()),
        every: Duration::from_mins(1),
    };
    assert_eq!(config.metrics, metrics);
    assert!((config.policy.detect.limits().cpu_spin.min_cores - 2.0).abs() < 1e-9);
    let endpoint = Endpoint::Https { host: "collector.example".into(), port: 4319 };
    let files = TlsFiles { ca: "/ca".into(), cert: "/cert".into(), key: "/key".into() };
    assert_eq!(config.collector, Collector::Enabled { endpoint, proof: Proof::Tls(files) });
    assert_eq!(config.policy.agent("claude").map(|agent| agent.mode), Some(Mode::Enforce));
    assert_eq!(config.policy.agent("codex").map(|agent| agent.mode), Some(Mode::Observe));
    assert_eq!(config.policy.agent("other"), None);
}

#[test]
fn flags_win_over_the_file() {
    let flags = Flags {
        sensor_id: Some("node-1".into()),
        state_dir: Some("/flag".into()),
        group: Some("wheel".into()),
        collector: Some("unix:/feed.sock".into()),
        ..Flags::default()
    };
    let config =
        parse_with("version: 1\nsensor: {id: f, state_dir: /file, group: a}\ncollector: disabled\n", &flags);
    let config = config.unwrap();
    assert_eq!(config.sensor.id, "node-1");
    assert_eq!(
        (config.sensor.state_dir.as_path(), config.sensor.group.as_deref()),
        (Path::new("/flag"), Some("wheel"))
    );
    let endpoint = Endpoint::Unix("/feed.sock".into());
    assert_eq!(config.collector, Collector::Enabled { endpoint, proof: Proof::Peer { user: None } });
    // What the file has for its own endpoint is taken where it fits, and left where it does not.
    let file = "version: 1\ncollector: {endpoint: 'http://localhost:1', key_file: /k}\n";
    let by_key = Flags { collector: Some("http://127.0.0.1:99".into()), ..Flags::default() };
    for (flags, expected) in [(&by_key, Proof::Key("/k".into())), (&flags, Proof::Peer { user: None })] {
        let Collector::Enabled { proof, .. } = parse_with(file, flags).unwrap().collector else {
            unreachable!()
        };
        assert_eq!(proof, expected);
    }
    assert_eq!(
        parse_with("version: 1\n", &by_key).unwrap_err(),
        "invalid value \"http://127.0.0.1:99\" for --collector: nothing proves who listens at \
         http://127.0.0.1:99; use a unix socket (`unix:/PATH`), or set `collector.key_file` to a \
         key that the collector has too (`sentry-collector feed-key` makes one)"
    );
    let off = Flags { collector: Some("disabled".into()), ..Flags::default() };
    let config = parse_with("version: 1\ncollector: {endpoint: 'unix:/x'}\n", &off).unwrap();
    assert_eq!(config.collector, Collector::Disabled);
    let wrong = Flags { sensor_id: Some("node 1".into()), ..Flags::default() };
    assert_eq!(
        parse_with("version: 1\n", &wrong).unwrap_err(),
        "invalid value \"node 1\" for --sensor-id: \"node 1\" is not a name: use letters, digits, `.`, `_` \
        and `-`, a letter or digit first, at most 128"
    );
    let wrong = Flags { collector: Some("tcp://x:1".into()), ..Flags::default() };
    assert_eq!(
        parse_with("version: 1\n", &wrong).unwrap_err(),
        "invalid value \"tcp://x:1\" for --collector: \"tcp://x:1\" is not an endpoint: its scheme is not \
        known; write http://HOST:PORT, https://HOST:PORT or unix:/PATH"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: a refusal for each key")]
fn errors_say_where_and_what() {
    let golden = [
        ("", "1:1: the file is empty; begin with `version: 1`"),
        ("sensor: {}\n", "1:1: missing field `version`"),
        ("version: 2\n", "1:10: version 2 is not known to this sensor, which reads version 1"),
        ("version: 1\nsensr: {}\n", "2:1: unknown field `sensr`; did you mean `sensor`?"),
        ("version: 1\nsensor:\n  idd: x\n", "3:3: unknown field `idd`; did you mean `id`?"),
        (
            "version: 1\nsensor:\n  id: 'a b'\n",
            "3:7: \"a b\" is not a name: use letters, digits, `.`, `_` and `-`, a letter or digit first, at \
            most 128",
        ),
        (
            "version: 1\nsensor:\n  socket: run/x.sock\n",
            "3:11: the path \"run/x.sock\" is relative; write it from the root",
        ),
        ("version: 1\nversion: 1\n", "2:1: duplicate mapping key: version"),
        (
            "version: 1\njournal:\n  keep_bytes: 12 MB\n",
            "3:15: \"12 MB\" is not a size; write bytes, or a number with KiB, MiB or GiB",
        ),
        (
            "version: 1\njournal:\n  keep_bytes: 12\n",
            "3:15: 12 bytes is out of range; give 1 MiB to 1024 GiB",
        ),
        (
            "version: 1\nmetrics:\n  every: often\n",
            "3:10: \"often\" is not a time; write seconds, or a number with s or min",
        ),
        ("version: 1\nmetrics:\n  every: 0 s\n", "3:10: 0 s is out of range; give 1 s to 3600 s"),
        (
            "version: 1\nmetrics:\n  textfile: /t/a.txt\n",
            "3:13: \"/t/a.txt\" does not end in `.prom`: node_exporter would not read it",
        ),
        (
            "version: 1\nrings:\n  bulk_bytes: 3 MiB\n",
            "3:15: 3145728 bytes is not a ring size; give a power of two from 64 KiB to 1 GiB",
        ),
        ("version: 1\ncollector: off\n", "2:12: \"off\" is neither `disabled` nor a map with `endpoint`"),
        (
            "version: 1\ncollector:\n  endpoint: http://c.example:1\n",
            "3:13: c.example is another host and http is not protected; use https with `tls`, or set \
            `collector.allow_plaintext_remote: true` if the network itself is protected",
        ),
        (
            "version: 1\ncollector:\n  endpoint: https://c.example:1\n",
            "3:13: https needs `collector.tls` with `ca`, `cert` and `key` in the configuration",
        ),
        (
            "version: 1\ncollector:\n  endpoint: https://c.example:1\n  tls: {ca: /a, key: /k}\n",
            "4:17: missing field `cert`",
        ),
        (
            "version: 1\ncollector:\n  endpoint: unix:/x\n  tls: {ca: /a, cert: /c, key: /k}\n",
            "3:13: `tls` has no meaning for unix:/x; remove it, or write another endpoint",
        ),
        (
            "version: 1\ncollector:\n  endpint: unix:/x\n",
            "3:3: unknown field `endpint`; did you mean `endpoint`?",
        ),
        (
            "version: 1\ndetect:\n  cpu_min_cores: -1\n",
            "3:3: setting `cpu_min_cores` is -1; set it to a number from 0.05 to 1024",
        ),
        (
            "version: 1\ndetect:\n  cpu_leads_to_acts: sometimes\n",
            "3:22: invalid boolean (strict mode expects true/false)",
        ),
        (
            "version: 1\ndetect:\n  cpu_cores: 1\n",
            "3:3: unknown field `cpu_cores`; did you mean `cpu_min_cores`?",
        ),
        ("version: 1\npods:\n  colour: 1\n", "3:3: unknown field `colour`, expected one of labelled"),
        (
            "version: 1\nagents:\n  - name: a\n  - name: a\n",
            "4:11: the agent `a` is listed twice; keep one of the two",
        ),
        (
            "version: 1\nagents:\n  - name: a\n    mode: kill\n",
            "4:11: unknown variant `kill`, expected one of observe, enforce",
        ),
        (
            "version: 1\nagents:\n  - name: a\n    restart: {limit: 1}\n",
            "4:5: unknown field `restart`, expected one of name, mode, limits, match",
        ),
        ("version: 1\nagents: [\n", "2:9: unclosed bracket '['"),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in golden {
        let found = parse(text).unwrap_err();
        if found != format!("c.yaml:{expected}") {
            wrong.push(format!("{text:?}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_named_file_must_exist_and_be_small() {
    let dir = tempfile::tempdir().unwrap();
    let flags = |name: &str| Flags { config: Some(dir.path().join(name)), ..Flags::default() };
    assert!(matches!(Config::load(&flags("missing")), Err(ConfigError::Unreadable { .. })));
    std::fs::write(dir.path().join("large"), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(matches!(Config::load(&flags("large")), Err(ConfigError::TooLarge { .. })));
    std::fs::write(dir.path().join("good"), "version: 1\n").unwrap();
    assert!(Config::load(&flags("good")).is_ok());
}

#[test]
fn an_agent_has_limits_of_its_own_in_place_of_those_for_all() {
    let config = parse(
        "version: 1
detect: {storm_net_processes: 100, cool_down_ms: 2000}
agents:
  - {name: builder, limits: {storm_net_processes: 500}}
  - name: other
",
    );
    let config = config.unwrap();
    let of = |name| {
        let limits = config.policy.agent(name).unwrap().settings.limits();
        (limits.spawn_storm.net_processes, limits.common.cool_down_ms)
    };
    assert_eq!((of("builder"), of("other")), ((500, 2000), (100, 2000)));
    let unknown = "version: 1\nagents:\n  - {name: a, limits: {storms: 1}}\n";
    let wrong = parse(unknown).unwrap_err();
    assert!(wrong.starts_with("c.yaml:3:23: unknown field `storms`"), "{wrong}");
}

#[test]
fn selectors_are_understood_and_say_what_they_are() {
    let config = parse(
        "version: 1
agents:
  - name: claude
    match:
      - unit: claude@*.service
      - {user: '1000', executable: /usr/bin/claude}
      - executable: {object: /proc/self/exe, path: /**/tests}
      - container: {name: agent-*, label: {tier: gold}}
      - pod: {namespace: agents, annotation: {team: a*}}
pods: {labelled: true}
discover: tag
",
    );
    let config = config.unwrap();
    let selectors = &config.policy.agent("claude").unwrap().selectors;
    let texts: Vec<_> = selectors.iter().map(ToString::to_string).collect();
    let expected = [
        "unit claude@*.service",
        "user 1000, executable /usr/bin/claude",
        "executable /**/tests, the file /proc/self/exe",
        "container agent-*, label tier=gold",
        "namespace agents, pod annotation team=a*",
    ];
    assert_eq!(texts, expected);
    assert!(config.policy.labelled_pods);
    assert_eq!(config.policy.discover, Discover::Tag);
}

#[test]
fn a_selector_that_cannot_hold_is_refused_in_words() {
    let wrong = |text: &str| {
        let file = format!("version: 1\nagents:\n  - name: a\n    match:\n      - {text}\n");
        parse(&file).unwrap_err().replace("c.yaml:5:", "")
    };
    let cases = [
        ("{}", "9: a match without a condition would be every cgroup; give one, such as `unit`"),
        ("{unit: 'a['}", "16: \"a[\" is not a pattern: unclosed character class; missing ']'"),
        ("{cgroup: work}", "9: `cgroup: work` never holds; write a path from its slash on"),
        (
            "{user: nobody-here}",
            "9: there is no user `nobody-here` on this host; write an existing name or a number",
        ),
        (
            "{executable: /usr/bin/*}",
            "9: the last component of `/usr/bin/*` has a wildcard; write the program's name, since that is \
            what the kernel compares",
        ),
        (
            "{executable: {digest: 'sha256:00'}}",
            "31: \"sha256:00\" is not a digest; write sha256: and 64 hexadecimal digits, as sha256sum prints \
            them",
        ),
        (
            "{executable: {}}",
            "9: `executable` needs `path` or `object`; a digest alone would have every program read",
        ),
        ("{units: a}", "10: unknown field `units`; did you mean `unit`?"),
    ];
    for (text, expected) in cases {
        assert_eq!(wrong(text), expected, "{text}");
    }
}

#[test]
fn mistakes_of_form_and_of_meaning_are_said_together() {
    let error = parse(
        "version: 1
journal: {keep_bytes: 12 MB}
collector: {endpoint: 'https://c.example:4319', usr: x}
detect:
  cpu_hold_ms: 3000
  cpu_min_cores: -1
agents:
  - {name: a, mode: enforced}
  - {name: b}
  - {name: b}
rungs: {}
",
    )
    .unwrap_err();
    let places: Vec<&str> = error
        .split("c.yaml:")
        .skip(1)
        .map(|rest| rest.trim_end_matches("; "))
        .map(|rest| rest.split(": ").next().unwrap())
        .collect();
    assert_eq!(places, ["2:23", "3:49", "6:3", "8:21", "11:1"], "{error}");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error = parse(
        "version: 1
collector: {endpoint: 'https://c.example:4319'}
agents:
  - {name: a, limits: {cool_down_ms: 1}}
  - {name: a}
",
    )
    .unwrap_err();
    let places: Vec<&str> =
        error.split("c.yaml:").skip(1).map(|rest| rest.split(':').next().unwrap()).collect();
    assert_eq!(places, ["2", "4", "5"], "{error}");
}
