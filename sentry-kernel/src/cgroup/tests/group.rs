//! Groups of the host's real hierarchy, with real processes in them. The sensor's tests of its acts
//! include this file too.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use super::{Cgroup, CgroupRoot};

const LIMIT: Duration = Duration::from_secs(5);

/// The host's hierarchy, or `None` with the reason printed. Where the hierarchy is promised, its
/// absence is a failure.
pub(crate) fn real_root() -> Option<CgroupRoot> {
    let reason = if rustix::process::geteuid().is_root() {
        match CgroupRoot::find() {
            Ok(root) => return Some(root),
            Err(error) => error.to_string(),
        }
    } else {
        "not root".to_owned()
    };
    let promised = std::env::var("AGENTSENTRY_PROMISED").unwrap_or_default();
    assert!(!promised.split(',').any(|name| name.trim() == "cgroup2"), "cgroup2 is promised, but: {reason}");
    eprintln!("skipped: {reason}");
    None
}

/// A group of this test alone, killed and removed at the end.
pub(crate) struct Group(pub(crate) Arc<Cgroup>);

impl Group {
    pub(crate) fn make(root: &CgroupRoot, name: &str) -> Self {
        let unique = format!("test-{name}-{}", uuid::Uuid::now_v7());
        Self(Arc::new(root.create(&unique).unwrap()))
    }

    /// A shell in the group. It waits for a line before it goes on with `script`.
    pub(crate) fn shell(&self, script: &str) -> Child {
        let child = waiting_shell(script);
        self.0.add(child.id()).unwrap();
        release(child)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let ended = self.0.kill(LIMIT).and_then(|()| self.0.wait_empty(LIMIT)).and_then(|()| self.0.remove());
        if let Err(error) = ended {
            eprintln!("left behind: {error}");
        }
    }
}

pub(crate) fn waiting_shell(script: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read go; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn release(mut child: Child) -> Child {
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    child
}

/// Waits until the child has printed a line.
pub(crate) fn line_of(child: &mut Child) -> String {
    let mut line = Vec::new();
    let out = child.stdout.as_mut().unwrap();
    let mut byte = [0_u8];
    while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}
