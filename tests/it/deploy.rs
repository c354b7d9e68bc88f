//! What is deployed to Kubernetes, without a cluster.

use std::{collections::BTreeMap, fs};

use sentry_tests::{
    manifests::{chart, checkout, kustomized, rendered, validate},
    programs, require,
    scratch::Scratch,
};
use serde_json::{Value, json};

const NEWEST: &str = "1.37";
/// The oldest that the chart's and the overlays' objects are checked for.
const OLDEST: &str = "1.25";
const OLDEST_OF_OVERLAYS: &str = "1.30";

const VALUES: [&str; 7] =
    ["cert-manager", "default", "everything", "given", "privileged", "restricted", "sensor-only"];

/// A directory of `deploy/kubernetes` and the values with which the chart makes the same of it.
const OVERLAYS: [(&str, &str); 4] = [
    ("base", "sensor-only"),
    ("overlays/privileged", "privileged"),
    ("overlays/restricted", "restricted"),
    ("overlays/collector", "given"),
];

#[test]
fn the_chart_renders_as_recorded() {
    require!("manifests");
    for values in VALUES {
        let (text, _) = rendered(NEWEST, values);
        let golden = checkout("tests/golden/helm").join(format!("{values}.yaml"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let recorded = fs::read_to_string(&golden).unwrap_or_default();
        assert!(text == recorded, "{values} differs; look at it with UPDATE_GOLDEN=1 and git diff");
    }
}

#[test]
fn the_schemas_of_the_oldest_and_the_newest_kubernetes_take_every_object_of_the_chart() {
    require!("manifests");
    for version in [OLDEST, NEWEST] {
        for values in VALUES {
            let output = validate(version, &rendered(version, values).1);
            assert!(output.status.success(), "{values} on {version}: {}", programs::text(&output));
        }
    }
}

#[test]
fn the_schemas_of_the_oldest_and_the_newest_kubernetes_take_every_overlay() {
    require!("manifests");
    for (dir, _) in OVERLAYS {
        for version in [OLDEST_OF_OVERLAYS, NEWEST] {
            let output = validate(version, &kustomized(dir));
            assert!(output.status.success(), "{dir} on {version}: {}", programs::text(&output));
        }
    }
}

#[test]
fn the_check_by_schema_refuses_a_key_too_many() {
    require!("manifests");
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dat": {}});
    let output = validate(NEWEST, &[object]);
    assert_eq!(output.status.code(), Some(1), "{}", programs::text(&output));
}

#[test]
fn helms_lint_finds_nothing() {
    require!("manifests");
    let dir = checkout("deploy/helm/agentsentry");
    let found = chart(&["lint", dir.to_str().unwrap()]);
    assert_eq!(found["errors"], json!([]), "{found:#}");
    // 1 is a hint: a chart may have an icon.
    let worse = found["messages"].as_array().unwrap().iter().find(|message| message["severity"] != 1);
    assert_eq!(worse, None);
}

#[test]
fn the_overlays_are_what_the_chart_renders() {
    require!("manifests");
    for (dir, values) in OVERLAYS {
        let by_chart = comparable(rendered(NEWEST, values).1);
        let mut by_kustomize = comparable(kustomized(dir));
        // Helm leaves the namespace to who installs.
        by_kustomize.remove("Namespace agentsentry").unwrap();
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&by_kustomize), names(&by_chart), "{dir}");
        for (name, object) in by_chart {
            assert_eq!(by_kustomize[&name], object, "{dir}: {name}");
        }
    }
}

/// Objects by kind and name, without what only one of the two tools writes and without the order of
/// lists whose items have names.
fn comparable(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let named = objects.into_iter().map(|mut object| {
        let name = format!("{} {}", as_str(&object["kind"]), as_str(&object["metadata"]["name"]));
        normalise(&mut object);
        (name, object)
    });
    named.collect()
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/config"] {
                map.remove(key);
            }
            map.values_mut().for_each(normalise);
            if map.get("annotations").is_some_and(|annotations| annotations == &json!({})) {
                map.remove("annotations");
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(normalise);
            items.sort_by_key(|item| {
                let path = as_str(&item["mountPath"]).to_owned();
                (as_str(&item["name"]).to_owned(), path)
            });
        }
        _ => {}
    }
}

fn as_str(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The object of that kind and name.
fn object(objects: &[Value], kind: &str, name: &str) -> Value {
    let wanted = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(wanted).unwrap().clone()
}

#[test]
fn the_daemon_set_has_the_capabilities_of_the_unit() {
    require!("manifests");
    let unit = fs::read_to_string(checkout("deploy/systemd/agentsentry.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let of_unit: Vec<&str> = line.split(' ').map(|name| name.strip_prefix("CAP_").unwrap()).collect();
    let objects = rendered(NEWEST, "default").1;
    let sensor = object(&objects, "DaemonSet", "agentsentry");
    let context = &sensor["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"], "add": of_unit}));
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
}

#[test]
fn the_chart_refuses_values_that_it_does_not_know_or_that_do_not_go_together() {
    require!("manifests");
    let refused = [
        ("sensors: {}", "additional properties 'sensors' not allowed"),
        ("sensor: {image: {tagg: a}}", "additional properties 'tagg' not allowed"),
        ("sensor: {privileged: 'yes'}", "got string, want boolean"),
        ("sensor: {config: {collector: disabled}}", "'not' failed"),
        ("sensor: {hostPaths: {state: relative}}", "does not match pattern"),
        ("collector: {endpoint: 'http://plain:1'}", "does not match pattern"),
        ("tls: {authority: mine}", "value must be one of"),
        ("tls: {authority: given}", "tls.authority given needs tls.secretName"),
        ("tls: {authority: nodes}", "tls.authority nodes needs tls.secretName"),
        (
            "collector: {serviceMonitor: {enabled: true}}",
            "collector.serviceMonitor.enabled needs collector.http.expose",
        ),
        (
            "collector: {http: {expose: true}, serviceMonitor: {enabled: true}}",
            "collector.serviceMonitor.enabled needs collector.serviceMonitor.keySecret",
        ),
    ];
    let scratch = Scratch::new();
    let files: Vec<_> = (0..refused.len()).map(|n| scratch.join(&format!("{n}.yaml"))).collect();
    for (file, (values, _)) in files.iter().zip(refused) {
        fs::write(file, values).unwrap();
    }
    let dir = checkout("deploy/helm/agentsentry");
    let mut args = vec!["errors", dir.to_str().unwrap(), NEWEST];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    for (error, (values, expected)) in chart(&args).as_array().unwrap().iter().zip(refused) {
        assert!(as_str(error).contains(expected), "{values}: {error}");
    }
}

#[test]
fn both_programs_take_the_configuration_that_the_chart_writes() {
    require!("manifests");
    let scratch = Scratch::new();
    for values in VALUES {
        let objects = rendered(NEWEST, values).1;
        let maps = objects.iter().filter(|object| object["kind"] == "ConfigMap");
        for (file, text) in maps.flat_map(|map| map["data"].as_object().unwrap().clone()) {
            let path = scratch.join(&file);
            fs::write(&path, as_str(&text)).unwrap();
            let mut command = if file == "config.yaml" {
                let mut command = programs::command("sentry");
                command.args(["config", "check"]).arg(&path);
                command
            } else {
                let mut command = programs::command("sentry-collector");
                command.args(["config", "check", "--config"]).arg(&path);
                command
            };
            let output = programs::finish(&mut command);
            // The certificates are made in the pod: that they are missing here is found last.
            let shown = programs::text(&output);
            let errors = shown.lines().filter(|line| line.starts_with("sentry"));
            let good = output.status.success()
                || errors.clone().count() > 0
                    && errors.clone().all(|line| line.contains("/run/agentsentry-tls/"));
            assert!(good, "{values}: {text}: {shown}");
        }
    }
}

#[test]
fn the_chart_has_the_programs_version() {
    let text = fs::read_to_string(checkout("deploy/helm/agentsentry/Chart.yaml")).unwrap();
    for key in ["version", "appVersion"] {
        assert!(text.contains(&format!("\n{key}: {}\n", env!("CARGO_PKG_VERSION"))), "{key}: {text}");
    }
}
