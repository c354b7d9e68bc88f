//! The place of this process in the hierarchy, for a process in a cgroup namespace: there
//! `/proc/self/cgroup` does not show it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{CgroupError, parse};

/// The number of the initial cgroup namespace, as in `/proc/self/ns/cgroup`
/// (`PROC_CGROUP_INIT_INO`).
const FIRST: &str = "cgroup:[4026531835]";

/// The path below `mount` of this process's group; `None` in the initial namespace, and in the root
/// group.
pub(super) fn find(mount: &Path) -> Result<Option<PathBuf>, CgroupError> {
    let link = Path::new("/proc/self/ns/cgroup");
    let namespace = fs::read_link(link).map_err(|source| CgroupError::io("read", link, source))?;
    if namespace == Path::new(FIRST) { Ok(None) } else { group_of(std::process::id(), mount) }
}

/// Searches the whole hierarchy, level by level, because containers are near the top.
fn group_of(pid: u32, mount: &Path) -> Result<Option<PathBuf>, CgroupError> {
    let mut level = vec![mount.to_owned()];
    while !level.is_empty() {
        let mut next = Vec::new();
        for dir in level {
            // A group that is removed meanwhile, or is threaded, is skipped.
            let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            if parse::process_ids(&procs).any(|other| other == pid) {
                let below = dir.strip_prefix(mount).unwrap_or(&dir);
                return Ok((!below.as_os_str().is_empty()).then(|| below.to_owned()));
            }
            match children(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(CgroupError::io("list cgroup", dir, error));
                }
                children => next.extend(children.unwrap_or_default()),
            }
        }
        level = next;
    }
    Err(CgroupError::NotThere { pid, path: mount.into() })
}

fn children(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            children.push(entry.path());
        }
    }
    Ok(children)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_lists_the_process_is_found_at_any_depth() {
        let mount = tempfile::tempdir().unwrap();
        let groups = [("", ""), ("kubepods", ""), ("kubepods/pod1", "7\n"), ("kubepods/pod1/a", "71\n17\n")];
        for (group, procs) in groups {
            fs::create_dir_all(mount.path().join(group)).unwrap();
            fs::write(mount.path().join(group).join("cgroup.procs"), procs).unwrap();
        }
        assert_eq!(group_of(17, mount.path()).unwrap(), Some("kubepods/pod1/a".into()));
        assert_eq!(group_of(7, mount.path()).unwrap(), Some("kubepods/pod1".into()));
        let error = group_of(1, mount.path()).unwrap_err().to_string();
        assert!(error.starts_with("process 1 is in no group below "), "{error}");
    }
}
