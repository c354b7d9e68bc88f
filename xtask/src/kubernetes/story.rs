//! What has to hold on a cluster, in the order in which an operator does it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{binaries, cluster::until, shell::Shell};
use crate::step;

/// Where the sensor and the collector may be on the node.
pub(super) struct Place {
    pub(super) state: PathBuf,
    pub(super) runtime: PathBuf,
    /// Who says the labels of pods.
    pub(super) kubelet: String,
    /// For the collector's volume, where nothing provides volumes. Then there is no DNS either.
    pub(super) store: Option<PathBuf>,
}

/// For what a cluster does by itself: pulling nothing, starting a pod, a canary.
const SOON: Duration = Duration::from_secs(180);
const SENTRY: &str =
    "kubectl --namespace agentsentry exec daemonset/agentsentry --container sensor -- sentry";
const CREATE_KEY: &str = "kubectl --namespace agentsentry exec statefulset/agentsentry-collector -- \
                          sentry-collector key create --scope readonly --days 1";
/// Its commands are among those that are run.
const PAGE_NAME: &str = "docs/install/helm.md";
const PAGE: &str = include_str!("../../../docs/install/helm.md");
/// Kinds of which the chart has objects.
const KINDS: &str =
    "daemonset,statefulset,pod,service,configmap,secret,serviceaccount,networkpolicy,poddisruptionbudget";

pub(super) fn tell(shell: &Shell, place: &Place) -> Result<()> {
    install(shell, place)?;
    let run = watch(shell)?;
    update(shell, &run)?;
    stop(shell)?;
    collect(shell, &run)?;
    uninstall(shell, place)?;
    let not_run = shell.not_run(PAGE);
    ensure!(not_run.is_empty(), "{PAGE_NAME} has commands that were not run: {not_run:#?}");
    Ok(())
}

fn install(shell: &Shell, place: &Place) -> Result<()> {
    shell.run("kubectl create namespace agentsentry")?;
    shell.run("kubectl label namespace agentsentry pod-security.kubernetes.io/enforce=privileged")?;
    if let Some(store) = &place.store {
        volume(shell, store)?;
    }
    write_values(place, None)?;
    shell.run(
        "helm install agentsentry deploy/helm/agentsentry --namespace agentsentry \
         --values target/kubernetes/values.yaml",
    )?;
    shell.run(
        "kubectl --namespace agentsentry rollout status statefulset/agentsentry-collector --timeout=180s",
    )?;
    if place.store.is_some() {
        let pod = "kubectl --namespace agentsentry get pod agentsentry-collector-0";
        let address = shell.quiet(&format!("{pod} --output jsonpath={{.status.podIP}}"))?;
        write_values(place, Some(&address))?;
        shell.run(
            "helm upgrade agentsentry deploy/helm/agentsentry --namespace agentsentry \
             --values target/kubernetes/values.yaml",
        )?;
    }
    rolled_out(shell)?;
    shell.run("kubectl --namespace agentsentry get daemonset,statefulset,pods")?;
    until("the stream to the collector", SOON, || shell.quiet(&format!("{SENTRY} health")).map(drop))?;
    shell.run(&format!("{SENTRY} health"))?;
    Ok(())
}

fn rolled_out(shell: &Shell) -> Result<()> {
    shell.run("kubectl --namespace agentsentry rollout status daemonset/agentsentry --timeout=180s")?;
    Ok(())
}

/// One volume of the collector's, made by hand.
fn volume(shell: &Shell, store: &Path) -> Result<()> {
    fs::create_dir_all(store)?;
    step::capture(Command::new("chown").arg("65532:0").arg(store))?;
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "agentsentry-collector"},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": store}},
    });
    let file = binaries::dir().join("volume.json");
    fs::write(&file, volume.to_string())?;
    shell.apply(&file)
}

fn write_values(place: &Place, collector: Option<&str>) -> Result<()> {
    let mut values = json!({
        "sensor": {
            // Its pod has the label.
            "agents": [{"name": "demo", "mode": "enforce"}],
            "podAssociation": {"kubelet": place.kubelet},
            "image": {"pullPolicy": "IfNotPresent"},
            "hostPaths": {"state": place.state, "runtime": place.runtime},
        },
    });
    if place.store.is_some() {
        values["collector"] = json!({
            "retentionBytes": 500_000_000, "persistence": {"storageClassName": "-", "size": "1Gi"},
        });
    }
    if let Some(address) = collector {
        let names = ["agentsentry-collector.agentsentry.svc"];
        values["sensor"]["hostAliases"] = json!([{"ip": address, "hostnames": names}]);
    }
    let file = binaries::dir().join("values.yaml");
    // JSON is YAML.
    fs::write(&file, format!("{values:#}\n")).with_context(|| format!("cannot write {}", file.display()))
}

/// An agent's pod is watched, and seen by what it does. Returns the run's id.
fn watch(shell: &Shell) -> Result<String> {
    shell.run("kubectl apply --filename tests/deploy/agents.yaml")?;
    shell.run("kubectl wait --for=condition=Ready --timeout=180s pod/agent pod/neighbour")?;
    until("the agent is watched", SOON, || run_of_demo(shell).map(drop))?;
    shell.run(&format!("{SENTRY} agents"))?;
    shell.run(
        "kubectl exec agent -- sh -c 'touch /tmp/made; cat /etc/hostname; nc -w 1 10.97.0.1 9 || true'",
    )?;
    let events = format!("{SENTRY} events --agent demo");
    until("exec, file and connect of the pod", SOON, || {
        let answer = shell.quiet(&events)?;
        let all = ["/bin/busybox", "/tmp/made", "10.97.0.1:9"];
        ensure!(all.iter().all(|part| answer.contains(part)), "{answer}");
        Ok(())
    })?;
    shell.run(&format!("{events} --limit 16"))?;
    run_of_demo(shell)
}

fn run_of_demo(shell: &Shell) -> Result<String> {
    let line = shell.quiet(&format!("{SENTRY} agents --json"))?;
    let runs = line.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let run =
        runs.into_iter().find(|run| run.to_string().contains("\"demo\"")).context("demo is not watched")?;
    ensure!(run["state"] == "running", "{run:#}");
    Ok(run["id"].as_str().context("a run without an id")?.to_owned())
}

/// The run goes on in the next revision of the sensor.
fn update(shell: &Shell, run: &str) -> Result<()> {
    shell.run("kubectl --namespace agentsentry rollout restart daemonset/agentsentry")?;
    rolled_out(shell)?;
    shell.run(&format!("{SENTRY} agents"))?;
    ensure!(run_of_demo(shell)? == run, "it is another run after the update");
    Ok(())
}

/// The agent runs away and is stopped; its neighbour goes on.
fn stop(shell: &Shell) -> Result<()> {
    let mut runaway = shell.start("kubectl exec agent -- sh -c 'while true; do sleep 1000 & done'")?;
    let phase = "kubectl get pod agent --output jsonpath={.status.phase}";
    let stopped = until("the runaway is stopped", SOON, || {
        let phase = shell.quiet(phase)?;
        ensure!(phase == "Failed", "it is {phase}");
        Ok(())
    });
    // Its command ends with the container's processes.
    let ended = runaway.kill().and_then(|()| runaway.wait());
    stopped?;
    ended.context("the runaway's command does not end")?;
    shell.run("kubectl get pods")?;
    let neighbour = shell.quiet(
        "kubectl get pod neighbour --output \
         jsonpath={.status.phase}/{.status.containerStatuses[0].restartCount}",
    )?;
    ensure!(neighbour == "Running/0", "the neighbour is {neighbour}");
    shell.run(&format!("{SENTRY} findings --agent demo"))?;
    Ok(())
}

/// The collector in the cluster has the finding.
fn collect(shell: &Shell, run: &str) -> Result<()> {
    let line = "kubectl --namespace agentsentry port-forward statefulset/agentsentry-collector 8440";
    let mut forward = shell.start(line)?;
    let curl = |key: &str| {
        format!(
            "curl --silent --fail --header 'Authorization: Bearer {key}' \
             http://127.0.0.1:8440/api/v1/findings?run={run}"
        )
    };
    let made = shell.quiet(CREATE_KEY)?;
    let key = made.lines().next().context("no key is made")?;
    let found = until("the finding at the collector", SOON, || {
        let answer = shell.quiet(&curl(key))?;
        let all =
            ["spawn-storm", "localhost/tools:1", "\"name\":\"agent\",\"namespace\":\"default\"", "node-1"];
        ensure!(all.iter().all(|part| answer.contains(part)), "{answer}");
        Ok(())
    });
    // The record shows no key.
    let shown = found.and_then(|()| {
        let answer = shell.quiet(&curl(key))?;
        shell.show(&format!("$ {CREATE_KEY}\n$ {}\n{answer}", curl("KEY")))
    });
    let ended = forward.kill().and_then(|()| forward.wait());
    shown?;
    ended.context("kubectl port-forward does not end")?;
    shell.show("\n")
}

fn uninstall(shell: &Shell, place: &Place) -> Result<()> {
    shell.run("helm uninstall agentsentry --namespace agentsentry")?;
    let left = format!(
        "kubectl --namespace agentsentry get {KINDS} --selector app.kubernetes.io/part-of=agentsentry \
        --output name"
    );
    until("nothing of the chart is left", SOON, || {
        let answer = shell.quiet(&left)?;
        ensure!(answer.is_empty(), "{answer}");
        Ok(())
    })?;
    shell.run(&left)?;
    let socket = place.runtime.join("sensor.sock");
    ensure!(!socket.exists() || place.store.is_none(), "{} is left", socket.display());
    shell.run("kubectl --namespace agentsentry delete persistentvolumeclaim data-agentsentry-collector-0")?;
    shell.run("kubectl delete --filename tests/deploy/agents.yaml")?;
    shell.run("kubectl delete namespace agentsentry")?;
    Ok(())
}
