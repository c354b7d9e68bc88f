//! One node and its control plane, as processes of this host in a mount and a network namespace of
//! their own: nothing listens on the host, and what is mounted goes with the last of them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::binaries;
use crate::{paths, step};

/// The node's address, on the bridge that the pods are at.
const ADDRESS: &str = "10.97.0.1";
/// Where the kubelet says what pods it runs, to who is in the cluster's network.
pub(super) const KUBELET: &str = "http://10.97.0.1:10255";
const PODS: &str = "10.97.0.0/16";
const TOKEN: &str = "one-cluster-on-loopback";
/// What the kubelet sets on the whole host; put back at the end.
const SYSCTLS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];
/// Copies: works on any file system, also where `target` is an overlay.
const SNAPSHOTTER: &str = "native";
/// Where containerd keeps what runs, on every node.
const CONTAINERD: &str = "/run/containerd";
const HIDDEN: [&str; 3] = [CONTAINERD, "/var/log/pods", "/var/log/containers"];
const CGROUPS: &str = "/sys/fs/cgroup";

/// The one that this process lives in.
pub(super) fn mount_namespace() -> Result<PathBuf> {
    fs::read_link("/proc/self/ns/mnt").context("cannot read the own mount namespace")
}

/// Ends with all its processes when the value goes.
pub(super) struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    children: Vec<Child>,
    sysctls: Vec<(PathBuf, String)>,
}

impl Cluster {
    /// Starts it; it is ready when the node is. `outside` is the host's mount namespace.
    pub(super) fn start(bin: PathBuf, outside: &Path) -> Result<Self> {
        if mount_namespace()? == outside {
            bail!("this ends whatever shares its mount namespace; start it as `cargo xtask kubernetes`");
        }
        let dir = binaries::dir().join("run");
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot empty {}", dir.display()));
            }
            _ => {}
        }
        for name in ["log", "pki", "cni", "host"] {
            fs::create_dir_all(dir.join(name))?;
        }
        let sysctls = SYSCTLS
            .map(|name| Path::new("/proc/sys").join(name))
            .into_iter()
            .filter_map(|path| fs::read_to_string(&path).ok().map(|value| (path, value)))
            .collect();
        let mut cluster = Self { dir, bin, children: Vec::new(), sysctls };
        Self::mounts()?;
        cluster.network()?;
        cluster.runtime()?;
        cluster.control_plane()?;
        cluster.node()?;
        Ok(cluster)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// A directory that pods may use as the host's.
    pub(super) fn host_dir(&self, name: &str) -> PathBuf {
        self.dir.join("host").join(name)
    }

    pub(super) fn kubectl(&self) -> PathBuf {
        self.bin.join("kubectl")
    }

    /// Mounts reach containers, as on a node with systemd, and what would be written at fixed
    /// places of the host is written beside it.
    fn mounts() -> Result<()> {
        step::capture(Command::new("mount").args(["--make-rshared", "/"]))?;
        for dir in HIDDEN {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {dir}"))?;
            step::capture(Command::new("mount").args(["-t", "tmpfs", "tmpfs", dir]))?;
        }
        Ok(())
    }

    fn network(&self) -> Result<()> {
        for line in [
            "link set lo up".to_owned(),
            "link add node0 type bridge".to_owned(),
            format!("address add {ADDRESS}/16 dev node0"),
            "link set node0 up".to_owned(),
            "route add default dev node0".to_owned(),
        ] {
            step::capture(Command::new("ip").args(line.split(' ')))?;
        }
        let ipam = json!({
            "type": "host-local", "dataDir": self.dir.join("ipam"),
            "ranges": [[{"subnet": PODS, "gateway": ADDRESS, "rangeStart": "10.97.1.0"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        });
        let bridge = json!({"type": "bridge", "bridge": "node0", "ipam": ipam});
        let loopback = json!({"type": "loopback"});
        let list = json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, loopback]});
        self.write("cni/pods.conflist", &list.to_string())
    }

    fn runtime(&mut self) -> Result<()> {
        let dir = self.dir.join("containerd");
        let shown = dir.display();
        let cni = self.dir.join("cni");
        self.write(
            "containerd.toml",
            &format!(
                "version = 2\nroot = \"{shown}/root\"\nstate = \"{CONTAINERD}\"\n\
                 [grpc]\naddress = \"{shown}/socket\"\n\
                 [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"localhost/pause:1\"\n\
                 restrict_oom_score_adj = true\n\
                 [plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"{SNAPSHOTTER}\"\n\
                 [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\n\
                 conf_dir = \"{}\"\n\
                 [plugins.\"io.containerd.internal.v1.opt\"]\npath = \"{shown}/opt\"\n",
                cni.display()
            ),
        )?;
        let config = self.dir.join("containerd.toml");
        self.spawn("containerd", Command::new("containerd").arg("--config").arg(config))?;
        self.wait("containerd answers", || self.ctr(&["version"]).map(drop))
    }

    fn control_plane(&mut self) -> Result<()> {
        let key = self.dir.join("pki/sa.key");
        let public = self.dir.join("pki/sa.pub");
        step::capture(Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048"))?;
        step::capture(
            Command::new("openssl").args(["rsa", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public),
        )?;
        self.write("tokens.csv", &format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
        let server = format!("https://{ADDRESS}:6443");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "one",
            "clusters": [{"name": "one", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "admin"}}],
        });
        self.write("kubeconfig", &kubeconfig.to_string())?;
        let etcd = "http://127.0.0.1:2379";
        let mut command = Command::new("etcd");
        command.arg("--unsafe-no-fsync").arg("--data-dir").arg(self.dir.join("etcd"));
        command.args(["--listen-client-urls", etcd, "--advertise-client-urls", etcd]);
        self.spawn("etcd", &mut command)?;
        let mut command = self.program("kube-apiserver");
        command.args([
            format!("--etcd-servers={etcd}"),
            format!("--bind-address={ADDRESS}"),
            format!("--advertise-address={ADDRESS}"),
            format!("--cert-dir={}", self.dir.join("pki").display()),
            format!("--token-auth-file={}", self.dir.join("tokens.csv").display()),
            format!("--service-account-signing-key-file={}", key.display()),
            format!("--service-account-key-file={}", public.display()),
        ]);
        command.args([
            "--secure-port=6443",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.99.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",
        ]);
        self.spawn("kube-apiserver", &mut command)?;
        self.wait("the API server is ready", || self.ask(&["get", "--raw", "/readyz"]).map(drop))?;
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig().display());
        let mut command = self.program("kube-controller-manager");
        command.arg(&kubeconfig).arg("--leader-elect=false").arg("--port=0");
        command.arg(format!("--service-account-private-key-file={}", key.display()));
        command.arg(format!("--cert-dir={}", self.dir.join("pki/manager").display()));
        command.arg(format!("--root-ca-file={}", self.dir.join("pki/apiserver.crt").display()));
        self.spawn("kube-controller-manager", &mut command)?;
        let mut command = self.program("kube-scheduler");
        command.arg(&kubeconfig).arg("--leader-elect=false").arg("--port=0");
        command.arg(format!("--cert-dir={}", self.dir.join("pki/scheduler").display()));
        self.spawn("kube-scheduler", &mut command)
    }

    fn node(&mut self) -> Result<()> {
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "address": ADDRESS, "readOnlyPort": 10255, "healthzPort": 0, "cgroupDriver": "cgroupfs",
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "failSwapOn": false, "makeIPTablesUtilChains": false, "enforceNodeAllocatable": [],
            "oomScoreAdj": 0,
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
        });
        self.write("kubelet.yaml", &config.to_string())?;
        let mut command = self.program("kubelet");
        command.args([
            format!("--config={}", self.dir.join("kubelet.yaml").display()),
            format!("--kubeconfig={}", self.kubeconfig().display()),
            format!("--root-dir={}", self.dir.join("kubelet").display()),
            format!("--cert-dir={}", self.dir.join("pki/kubelet").display()),
            format!("--container-runtime-endpoint=unix://{}/containerd/socket", self.dir.display()),
            format!("--node-ip={ADDRESS}"),
        ]);
        command.args(["--container-runtime=remote", "--hostname-override=node-1"]);
        self.spawn("kubelet", &mut command)?;
        self.wait("the node is ready", || {
            let wait = ["wait", "--for=condition=Ready", "--timeout=1s", "node/node-1"];
            self.ask(&wait).map(drop)
        })
    }

    /// Takes an image archive into the node's store.
    pub(super) fn import(&self, archive: &Path) -> Result<()> {
        self.ctr(&["images", "import", "--snapshotter", SNAPSHOTTER, &archive.display().to_string()])
            .map(drop)
    }

    fn ctr(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.dir.join("containerd/socket")).args(["--namespace", "k8s.io"]);
        step::capture(command.args(args))
    }

    fn ask(&self, args: &[&str]) -> Result<String> {
        let mut command = self.program("kubectl");
        step::capture(command.arg("--kubeconfig").arg(self.kubeconfig()).args(args))
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.bin.join(name))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn spawn(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let path = self.dir.join("log").join(format!("{name}.log"));
        let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        command.current_dir(&self.dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.children.push(command.spawn().with_context(|| format!("cannot start {name}"))?);
        Ok(())
    }

    fn wait(&self, what: &str, look: impl Fn() -> Result<()>) -> Result<()> {
        let started = Instant::now();
        until(what, Duration::from_secs(180), look)
            .with_context(|| format!("the logs are in {}", paths::short(&self.dir.join("log"))))?;
        step::say("kubernetes", format_args!("{what} after {}", step::took(started)));
        Ok(())
    }

    /// Everything that runs in this mount namespace but this process: shims and their like belong
    /// to nobody once containerd is gone.
    fn kill_rest(&self) -> Result<()> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let ours = namespace("self");
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else { continue };
            if namespace(pid) == ours && pid != std::process::id().to_string() && !is_ancestor(pid) {
                step::capture(Command::new("kill").args(["-KILL", pid]))?;
            }
        }
        Ok(())
    }
}

/// Whether this process descends from it.
fn is_ancestor(pid: &str) -> bool {
    let parent = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("PPid:")).map(|line| line.trim().to_owned())
    };
    let mut step = parent("self");
    while let Some(ancestor) = step.filter(|ancestor| ancestor != "0") {
        if ancestor == pid {
            return true;
        }
        step = parent(&ancestor);
    }
    false
}

/// Looks until it is so.
pub(super) fn until(what: &str, limit: Duration, look: impl Fn() -> Result<()>) -> Result<()> {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => {
                bail!("{what}: not within {} s: {error:#}", limit.as_secs());
            }
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// Removes the groups of pods, whose processes are gone, in every hierarchy.
fn remove_pod_groups(dir: &Path, inside: bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let is_pods = inside || entry.file_name() == "kubepods";
            if is_pods || dir.parent() == Some(Path::new(CGROUPS)) || dir == Path::new(CGROUPS) {
                remove_pod_groups(&entry.path(), is_pods);
            }
            if is_pods && let Err(error) = fs::remove_dir(entry.path()) {
                step::say("kubernetes", format_args!("{} stays: {error}", entry.path().display()));
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The kubelet first: it would start again what ends.
        for child in self.children.iter_mut().rev() {
            let ended = child.kill().and_then(|()| child.wait());
            if let Err(error) = ended {
                step::say("kubernetes", format_args!("process {}: {error}", child.id()));
            }
        }
        if let Err(error) = self.kill_rest() {
            step::say("kubernetes", format_args!("not everything was ended: {error:#}"));
        }
        remove_pod_groups(Path::new(CGROUPS), false);
        for (path, value) in &self.sysctls {
            if let Err(error) = fs::write(path, value) {
                step::say("kubernetes", format_args!("{} was not put back: {error}", path.display()));
            }
        }
    }
}
