use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;

use super::*;
use crate::container::{Pod, place};

const A: &str = "85eababe974c1c9331ef9f99ab04faec45dbd66b020728dc744dfd816c5d5776";
const B: &str = "43d29c18c435dec1a57a7aef7a7897f6bb5dc3b884b90722f18f6bc4bcaf8cd8";
const UID: &str = "aaaa2b4a-f398-41c0-928b-049e1cc4ec40";

/// A host's files.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, path: &str, content: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn look_up(&self, path: &str) -> Facts {
        let roots = Roots { node: Some("node-1".into()), ..Roots::below(self.0.path()) };
        look_up(&place(Path::new(path)).unwrap(), &roots)
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn facts(engine: Engine, id: &str) -> Facts {
    Facts {
        engine,
        container_id: Some(id.into()),
        node: Some("node-1".into()),
        rung: Rung::Files,
        complete: true,
        ..Facts::default()
    }
}

fn bundle(namespace: &str, id: &str) -> String {
    format!("run/containerd/io.containerd.runtime.v2.task/{namespace}/{id}")
}

#[test]
fn a_pod_of_containerd() {
    let config = format!(
        r#"{{"ociVersion":"1.0.2","annotations":{{
            "io.kubernetes.cri.container-type":"container",
            "io.kubernetes.cri.container-name":"coder",
            "io.kubernetes.cri.image-name":"registry.example/coder@sha256:12ab",
            "io.kubernetes.cri.sandbox-id":"{B}",
            "io.kubernetes.cri.sandbox-name":"coder-0",
            "io.kubernetes.cri.sandbox-namespace":"agents",
            "io.kubernetes.cri.sandbox-uid":"{UID}"}}}}"#
    );
    let host = Host::new()
        .with(&format!("{}/config.json", bundle("k8s.io", A)), &config)
        .with(&format!("{}/shim-binary-path", bundle("k8s.io", A)), "/opt/bin/containerd-shim-runsc-v1");
    let expected = Facts {
        container_name: Some("coder".into()),
        image: Some("registry.example/coder@sha256:12ab".into()),
        image_digest: Some("sha256:12ab".into()),
        pod: Some(Pod {
            uid: UID.into(),
            name: Some("coder-0".into()),
            namespace: Some("agents".into()),
            ..Pod::default()
        }),
        runtime: Some("runsc".into()),
        sandboxed: Some(Sandbox::Gvisor),
        ..facts(Engine::Containerd, A)
    };
    assert_eq!(host.look_up(&format!("/kubepods/besteffort/pod{UID}/{A}")), expected);
    let slice = format!("/kubepods.slice/kubepods-pod{}.slice", UID.replace('-', "_"));
    assert_eq!(host.look_up(&format!("{slice}/cri-containerd-{A}.scope")), expected);
}

#[test]
fn a_container_of_ctr() {
    let host = Host::new()
        .with(
            &format!("{}/config.json", bundle("default", "work1")),
            r#"{"annotations":{"team":"research"}}"#,
        )
        .with(
            &format!("{}/shim-binary-path", bundle("default", "work1")),
            "/usr/bin/containerd-shim-runc-v2",
        );
    let expected = Facts {
        container_name: Some("work1".into()),
        labels: map(&[("team", "research")]),
        runtime: Some("runc".into()),
        ..facts(Engine::Containerd, "work1")
    };
    assert_eq!(host.look_up("/default/work1"), expected);
}

#[test]
fn a_pod_of_crio_with_what_its_sandbox_says() {
    let container = format!(
        r#"{{"annotations":{{
            "io.container.manager":"cri-o",
            "io.kubernetes.container.name":"coder",
            "io.kubernetes.pod.name":"coder-0",
            "io.kubernetes.pod.namespace":"agents",
            "io.kubernetes.pod.uid":"{UID}",
            "io.kubernetes.cri-o.ImageName":"registry.example/coder:1",
            "io.kubernetes.cri-o.Labels":"{{\"io.kubernetes.container.name\":\"coder\"}}",
            "io.kubernetes.cri-o.SandboxID":"{B}"}}}}"#
    );
    let sandbox = r#"{"annotations":{
        "io.kubernetes.cri-o.RuntimeHandler":"kata",
        "io.kubernetes.cri-o.Labels":"{\"agentsentry.io/agent\":\"coder\"}",
        "io.kubernetes.cri-o.Annotations":"{\"owner\":\"ada\"}"}}"#;
    let userdata = |id: &str| format!("run/containers/storage/overlay-containers/{id}/userdata/config.json");
    let host = Host::new().with(&userdata(A), &container).with(&userdata(B), sandbox);
    let expected = Facts {
        container_name: Some("coder".into()),
        image: Some("registry.example/coder:1".into()),
        labels: map(&[("io.kubernetes.container.name", "coder")]),
        pod: Some(Pod {
            uid: UID.into(),
            name: Some("coder-0".into()),
            namespace: Some("agents".into()),
            service_account: None,
            labels: map(&[("agentsentry.io/agent", "coder")]),
            annotations: map(&[("owner", "ada")]),
            described: true,
        }),
        runtime: Some("kata".into()),
        sandboxed: Some(Sandbox::Kata),
        ..facts(Engine::Crio, A)
    };
    assert_eq!(host.look_up(&format!("/kubepods/burstable/pod{UID}/crio-{A}")), expected);
}

#[test]
fn a_container_of_podman() {
    let config = r#"{"annotations":{
        "io.container.manager":"libpod",
        "io.kubernetes.cri-o.Created":"2026-11-30T05:41:00Z",
        "io.podman.annotations.privileged":"FALSE",
        "org.opencontainers.image.stopSignal":"15",
        "team":"research"}}"#;
    let containers = format!(
        r#"[{{"id":"{B}"}},{{"id":"{A}","names":["worker"],"image":"6bd2","metadata":
            "{{\"image-name\":\"localhost/agent:1\",\"name\":\"worker\"}}"}}]"#
    );
    let images = r#"[{"id":"6bd2","digest":"sha256:ad27","names":["localhost/agent:1"]}]"#;
    let storage = "var/lib/containers/storage";
    let host = Host::new()
        .with(&format!("{storage}/vfs-containers/{A}/userdata/config.json"), config)
        .with(&format!("{storage}/vfs-containers/containers.json"), &containers)
        .with(&format!("{storage}/vfs-images/images.json"), images);
    let expected = Facts {
        container_name: Some("worker".into()),
        image: Some("localhost/agent:1".into()),
        image_digest: Some("sha256:ad27".into()),
        labels: map(&[("team", "research")]),
        ..facts(Engine::Podman, A)
    };
    assert_eq!(host.look_up(&format!("/libpod_parent/libpod-{A}")), expected);
}

#[test]
fn a_container_of_docker() {
    let config = r#"{"State":{"Running":true},"Name":"/worker","Config":{"Image":"agent:1","Env":null,
        "Labels":{"agentsentry.io/agent":"coder"}},"Image":"sha256:5860"}"#;
    let dir = format!("var/lib/docker/containers/{A}");
    let host = Host::new()
        .with(&format!("{dir}/config.v2.json"), config)
        .with(&format!("{dir}/hostconfig.json"), r#"{"Runtime":"io.containerd.kata.v2","Binds":null}"#);
    let expected = Facts {
        container_name: Some("worker".into()),
        image: Some("agent:1".into()),
        labels: map(&[("agentsentry.io/agent", "coder")]),
        runtime: Some("io.containerd.kata.v2".into()),
        sandboxed: Some(Sandbox::Kata),
        ..facts(Engine::Docker, A)
    };
    assert_eq!(host.look_up(&format!("/docker/{A}")), expected);
    assert_eq!(host.look_up(&format!("/custom/{A}")), expected);
}

#[test]
fn without_files_the_path_is_all_that_is_known() {
    let by_path = |complete| Facts { rung: Rung::Path, complete, ..facts(Engine::Docker, A) };
    assert_eq!(Host::new().look_up(&format!("/docker/{A}")), by_path(true));
    // An engine is here, and may be about to write them.
    let engine = Host::new().with("var/lib/docker/containers/x", "");
    assert_eq!(engine.look_up(&format!("/docker/{A}")), by_path(false));
    // An engine within a container keeps its files there.
    let within = Host::new().look_up(&format!("/docker/{B}/docker/{A}"));
    assert_eq!(within, by_path(true));
    let machine = Host::new().look_up(r"/machine.slice/machine-qemu\x2d1\x2dweb.scope");
    let name = r"qemu\x2d1\x2dweb";
    let expected = Facts {
        container_name: Some(name.into()),
        sandboxed: Some(Sandbox::VirtualMachine),
        rung: Rung::Path,
        ..facts(Engine::Machined, name)
    };
    assert_eq!(machine, expected);
}

/// What a file that is not read leaves: nothing but the path, to be looked at again.
fn expect_unread(host: &Host) {
    let expected = Facts { rung: Rung::Path, complete: false, ..facts(Engine::Docker, A) };
    assert_eq!(host.look_up(&format!("/docker/{A}")), expected);
}

#[test]
fn files_of_another_kind_are_not_read() {
    let dir = format!("var/lib/docker/containers/{A}");
    let file = format!("{dir}/config.v2.json");
    for hostile in ["", "{", "[]", r#"{"Name":7}"#, &"[".repeat(100_000), "\u{0}"] {
        expect_unread(&Host::new().with(&file, hostile));
    }
    expect_unread(&Host::new().with(&file, &format!(r#"{{"Name":"{}"}}"#, "x".repeat(1 << 20))));
    // A link to another place, also one that could be read.
    let host = Host::new().with("elsewhere", r#"{"Name":"/worker"}"#).with(&format!("{dir}/other"), "");
    std::os::unix::fs::symlink(host.0.path().join("elsewhere"), host.0.path().join(&file)).unwrap();
    expect_unread(&host);
    // A pipe, which nobody writes to.
    let host = Host::new().with(&format!("{dir}/other"), "");
    let mode = nix::sys::stat::Mode::S_IRUSR;
    nix::unistd::mkfifo(&host.0.path().join(&file), mode).unwrap();
    expect_unread(&host);
}

#[test]
fn a_name_with_control_characters_is_left_out() {
    let file = format!("var/lib/docker/containers/{A}/config.v2.json");
    let host = Host::new().with(&file, r#"{"Name":"/wor\u001bker","Config":{"Image":"agent:1"}}"#);
    let found = host.look_up(&format!("/docker/{A}"));
    assert_eq!((found.container_name, found.image), (None, Some("agent:1".into())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever an engine's file holds, a look-up ends with facts.
    #[test]
    fn any_content_is_valid_input(content in any::<Vec<u8>>(), name in any::<String>()) {
        let host = Host::new();
        let name = serde_json::to_string(&name).unwrap();
        for id in [A, B] {
            let dir = host.0.path().join("var/lib/docker/containers").join(id);
            fs::create_dir_all(&dir).unwrap();
            let named = format!(r#"{{"Name":{name},"Config":{{"Image":{name},"Labels":{{{name}:{name}}}}}}}"#);
            let content = if id == A { content.clone() } else { named.into_bytes() };
            fs::write(dir.join("config.v2.json"), content).unwrap();
        }
        let found = host.look_up(&format!("/docker/{A}"));
        prop_assert_eq!(found.container_id, Some(A.to_owned()));
        let named = host.look_up(&format!("/docker/{B}"));
        prop_assert!(named.complete);
    }
}
