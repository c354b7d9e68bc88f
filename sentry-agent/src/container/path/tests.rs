use std::path::Path;

use proptest::prelude::*;

use super::*;

const A: &str = "85eababe974c1c9331ef9f99ab04faec45dbd66b020728dc744dfd816c5d5776";
const B: &str = "43d29c18c435dec1a57a7aef7a7897f6bb5dc3b884b90722f18f6bc4bcaf8cd8";
const UID: &str = "aaaa2b4a-f398-41c0-928b-049e1cc4ec40";
const UID_IN_SLICE: &str = "aaaa2b4a_f398_41c0_928b_049e1cc4ec40";
const STATIC_UID: &str = "0c3a5a3a4a7f0e5d6f3a1b2c3d4e5f60";

fn of(engine: Engine, id: &str) -> Place {
    Place { engine, container_id: Some(id.into()), certain: true, ..Place::default() }
}

fn in_pod(engine: Engine, id: &str) -> Place {
    Place { pod_uid: Some(UID.into()), ..of(engine, id) }
}

fn pod(uid: &str) -> Place {
    Place { pod_uid: Some(uid.into()), certain: true, ..Place::default() }
}

fn nested(place: Place) -> Place {
    Place { nested: true, ..place }
}

fn likely(place: Place) -> Place {
    Place { certain: false, ..place }
}

fn expect(table: Vec<(String, Option<Place>)>) {
    for (path, expected) in table {
        assert_eq!(place(Path::new(&path)), expected, "{path}");
        let relative = path.trim_start_matches('/');
        assert_eq!(place(Path::new(relative)), expected, "{relative}");
    }
}

#[test]
fn pods_of_both_drivers() {
    use Engine::{Containerd, Crio, Unknown};
    let slice = |class: &str| {
        format!("/kubepods.slice/kubepods-{class}.slice/kubepods-{class}-pod{UID_IN_SLICE}.slice")
    };
    let guaranteed = format!("/kubepods.slice/kubepods-pod{UID_IN_SLICE}.slice");
    expect(vec![
        (format!("/kubepods/besteffort/pod{UID}/{A}"), Some(in_pod(Unknown, A))),
        (format!("/kubepods/burstable/pod{UID}/{A}"), Some(in_pod(Unknown, A))),
        (format!("/kubepods/pod{UID}/{A}"), Some(in_pod(Unknown, A))),
        (format!("/kubepods/pod{UID}/crio-{A}"), Some(in_pod(Crio, A))),
        (format!("/kubepods/burstable/pod{UID}"), Some(pod(UID))),
        (format!("/kubepods/burstable/pod{STATIC_UID}"), Some(pod(STATIC_UID))),
        (format!("{}/cri-containerd-{A}.scope", slice("burstable")), Some(in_pod(Containerd, A))),
        (format!("{}/crio-{A}.scope", slice("besteffort")), Some(in_pod(Crio, A))),
        (format!("{}/crio-{A}.scope/container", slice("besteffort")), Some(in_pod(Crio, A))),
        (format!("{}/docker-{A}.scope", slice("besteffort")), Some(in_pod(Engine::Docker, A))),
        (format!("{guaranteed}/cri-containerd-{A}.scope"), Some(in_pod(Containerd, A))),
        (guaranteed.clone(), Some(pod(UID))),
        (format!("{guaranteed}/crio-conmon-{A}.scope"), None),
        // Below a root of the operator's, with a kubelet of another name, in a systemd of its own.
        (format!("/custom/kubepods/besteffort/pod{UID}/{A}"), Some(in_pod(Unknown, A))),
        (
            format!(
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
                 kubelet-kubepods-besteffort-pod{UID_IN_SLICE}.slice/cri-containerd-{A}.scope"
            ),
            Some(in_pod(Containerd, A)),
        ),
        (
            format!(
                "/system.slice/containerd.service/kubepods-besteffort-pod{UID_IN_SLICE}.slice\
                 :cri-containerd:{A}"
            ),
            Some(in_pod(Containerd, A)),
        ),
        // What the container makes within its own cgroup is still its own.
        (format!("/kubepods/pod{UID}/{A}/init.scope"), Some(in_pod(Unknown, A))),
        (format!("/kubepods/pod{UID}/{A}/libpod-conmon-{B}.scope"), Some(in_pod(Unknown, A))),
    ]);
}

#[test]
fn engines_without_pods() {
    use Engine::{Containerd, Docker, Lxc, Machined, Podman};
    let ctr = |namespace: &str| Place { namespace: Some(namespace.into()), ..of(Containerd, "work1") };
    expect(vec![
        (format!("/docker/{A}"), Some(of(Docker, A))),
        (format!("/system.slice/docker-{A}.scope"), Some(of(Docker, A))),
        (
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope"),
            Some(of(Docker, A)),
        ),
        (format!("/libpod_parent/libpod-{A}"), Some(of(Podman, A))),
        (format!("/libpod_parent/{B}/libpod-{A}"), Some(of(Podman, A))),
        (format!("/machine.slice/libpod-{A}.scope"), Some(of(Podman, A))),
        (format!("/machine.slice/libpod-{A}.scope/container"), Some(of(Podman, A))),
        (format!("/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope"), Some(of(Podman, A))),
        (
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container"),
            Some(of(Podman, A)),
        ),
        (format!("/machine.slice/libpod-conmon-{A}.scope"), None),
        (format!("/system.slice/nerdctl-{A}.scope"), Some(of(Containerd, A))),
        ("/default/work1".into(), Some(likely(ctr("default")))),
        ("/k8s.io/work1".into(), Some(likely(ctr("k8s.io")))),
        ("/machine.slice/machine-web.scope".into(), Some(of(Machined, "web"))),
        ("/machine.slice/machine-web.scope/payload/system.slice".into(), Some(of(Machined, "web"))),
        ("/machine.slice/systemd-nspawn@web.service/payload".into(), Some(of(Machined, "web"))),
        (r"/machine.slice/machine-qemu\x2d1\x2dweb.scope".into(), Some(of(Machined, r"qemu\x2d1\x2dweb"))),
        ("/lxc.payload.web/init.scope".into(), Some(of(Lxc, "web"))),
        ("/lxc.monitor.web".into(), None),
        ("/lxc/web".into(), Some(likely(of(Lxc, "web")))),
        // A cgroup parent of the operator's: the id alone says it.
        (format!("/actions_job/{A}"), Some(likely(of(Engine::Unknown, A)))),
    ]);
}

#[test]
fn the_innermost_container_wins() {
    use Engine::{Containerd, Docker, Unknown};
    expect(vec![
        (format!("/docker/{B}/kubelet/kubepods/besteffort/pod{UID}/{A}"), Some(nested(in_pod(Unknown, A)))),
        (
            format!(
                "/system.slice/docker-{B}.scope/kubepods.slice/kubepods-besteffort.slice/\
                 kubepods-besteffort-pod{UID_IN_SLICE}.slice/cri-containerd-{A}.scope"
            ),
            Some(nested(in_pod(Containerd, A))),
        ),
        // A Docker within a pod.
        (format!("/kubepods/burstable/pod{UID}/{B}/docker/{A}"), Some(nested(in_pod(Docker, A)))),
        (
            format!("/machine.slice/machine-web.scope/payload/system.slice/docker-{A}.scope"),
            Some(nested(of(Docker, A))),
        ),
    ]);
}

#[test]
fn the_host_itself_is_no_container() {
    let on_the_host = [
        "",
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/system.slice/crio.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/kubepods",
        "/kubepods/burstable",
        "/kubepods.slice/kubepods-burstable.slice",
        "/kubepods/podnot-a-uid",
        "/machine.slice",
        "/docker",
        "/docker/buildkit",
        "/default",
        "/system.slice/default/x",
        "/agentsentry/0192e7a0-0000-7000-8000-000000000000",
        "/system.slice/system-podman.slice",
        "/libpod_parent/conmon",
    ];
    expect(on_the_host.iter().map(|path| ((*path).to_owned(), None)).collect());
}

#[test]
fn ids_of_another_shape_are_none() {
    let short = &A[..63];
    let upper = A.to_uppercase();
    expect(vec![
        (format!("/docker/{short}"), None),
        (format!("/docker/{upper}"), None),
        (format!("/system.slice/docker-{short}.scope"), None),
        (format!("/kubepods/pod{UID}/{short}"), Some(pod(UID))),
        ("/kubepods/pod12/x".into(), None),
    ]);
}

proptest! {
    /// Any path is valid input, and what comes out can be joined to a directory.
    #[test]
    fn every_path_is_valid_input(path in "(/?(kubepods|docker|machine\\.slice|default|lxc|pod[0-9a-f-]{0,40}\
        |kubepods-pod[0-9a-f_]{0,40}\\.slice|(docker-|libpod-|crio-)?[0-9a-f]{62,66}(\\.scope)?\
        |machine-.{0,8}\\.scope|lxc\\.payload\\..{0,8}|\\.\\.|.{0,12})){0,8}") {
        if let Some(place) = place(Path::new(&path)) {
            prop_assert!(place.container_id.is_some() || place.pod_uid.is_some());
            for id in place.container_id.iter().chain(&place.pod_uid) {
                prop_assert!(is_file_name(id), "{id:?}");
            }
        }
    }
}
