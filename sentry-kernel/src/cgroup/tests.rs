#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use group::{Group, line_of, real_root, release, waiting_shell};

use super::{parse, *};

mod group;

const LIMIT: Duration = Duration::from_secs(5);

// === parsing ===

const HYBRID: &str = "\
31 22 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:7 - cgroup2 cgroup2 rw
";

#[test]
fn mounts_of_a_hybrid_and_of_a_pure_host_are_found() {
    assert_eq!(parse::cgroup2_mounts(HYBRID), [PathBuf::from("/sys/fs/cgroup/unified")]);
    let pure = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    assert_eq!(parse::cgroup2_mounts(pure), [PathBuf::from("/sys/fs/cgroup")]);
    assert_eq!(parse::cgroup2_mounts("garbage\n1 2 - cgroup2\n - cgroup2 x\n"), Vec::<PathBuf>::new());
}

#[test]
fn a_mount_of_the_whole_hierarchy_comes_before_one_of_a_part() {
    let text = "1 0 0:1 /pod /inner rw - cgroup2 none rw\n2 0 0:1 / /a\\040b\\134c rw - cgroup2 none rw\n";
    assert_eq!(parse::cgroup2_mounts(text), [PathBuf::from("/a b\\c"), PathBuf::from("/inner")]);
}

#[test]
fn events_with_missing_and_odd_fields_stay_unknown() {
    let events = CgroupEvents::parse("populated 1\nfrozen 0\n");
    assert_eq!(events, CgroupEvents { populated: Some(true), frozen: Some(false) });
    assert_eq!(CgroupEvents::parse("populated x\nnew_key 3\n\n"), CgroupEvents::default());
}

#[test]
fn numbers_and_process_lists_are_parsed() {
    assert_eq!(parse::keyed_number("usage_usec 42\nuser_usec 40\n", "usage_usec"), Some(42));
    assert_eq!(parse::keyed_number("usage_usec_x 42\n", "usage_usec"), None);
    assert_eq!(parse::process_ids("12\n0\n7\nx\n").collect::<Vec<_>>(), [12, 7]);
}

// === a plain tree of files ===

fn fake(groups: &[(&str, &str)]) -> (tempfile::TempDir, CgroupRoot) {
    let dir = tempfile::tempdir().unwrap();
    for (path, procs) in groups {
        let group = dir.path().join(path);
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("cgroup.procs"), procs).unwrap();
        fs::write(group.join("cgroup.threads"), procs).unwrap();
        fs::write(group.join("cgroup.type"), "domain\n").unwrap();
        fs::write(group.join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        fs::write(group.join("cpu.stat"), "usage_usec 1234\nuser_usec 1\n").unwrap();
    }
    let root = CgroupRoot::open_at(dir.path()).unwrap();
    (dir, root)
}

#[test]
fn members_of_the_subtree_are_listed_once() {
    let (_dir, root) = fake(&[("a", "3\n1\n"), ("a/b", "2\n"), ("a/b/c", "9\n3\n"), ("z", "100\n")]);
    let group = root.open(Path::new("a")).unwrap();
    assert_eq!(group.procs().unwrap(), [1, 2, 3, 9]);
    assert_eq!(group.cpu_time().unwrap().usage_usec, 1234);
    assert!(group.populated().unwrap());
    assert_eq!(group.below(), Path::new("a"));
}

#[test]
fn what_is_not_a_group_below_the_mount_is_refused() {
    let (dir, root) = fake(&[("a", ""), ("t", "")]);
    fs::write(dir.path().join("t/cgroup.type"), "threaded\n").unwrap();
    std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
    let open = |path: &str| root.open(Path::new(path)).unwrap_err();
    assert!(matches!(open("/etc"), CgroupError::Outside { .. }));
    assert!(matches!(open("../x"), CgroupError::Outside { .. }));
    assert!(matches!(open("link/etc"), CgroupError::Outside { .. }));
    assert!(matches!(open("a/../a"), CgroupError::Outside { .. }));
    assert!(matches!(open(""), CgroupError::IsRoot { .. }));
    assert!(matches!(open("."), CgroupError::IsRoot { .. }));
    assert!(matches!(open(dir.path().to_str().unwrap()), CgroupError::IsRoot { .. }));
    assert!(matches!(open("t"), CgroupError::NotDomain { .. }));
    assert!(matches!(open("missing"), CgroupError::Gone { .. }));
    assert!(matches!(root.create("a/b").unwrap_err(), CgroupError::BadName { .. }));
    assert!(matches!(root.create("..").unwrap_err(), CgroupError::BadName { .. }));
    let absolute = root.open(&dir.path().join("a")).unwrap();
    assert_eq!(absolute.id(), root.open(Path::new("./a/")).unwrap().id());
    assert!(matches!(CgroupRoot::at(dir.path()).unwrap_err(), CgroupError::NotCgroup2 { .. }));
}

#[test]
fn a_wait_that_cannot_end_times_out_and_says_what_it_saw() {
    let (_dir, root) = fake(&[("a", "")]);
    let group = root.open(Path::new("a")).unwrap();
    let error = group.wait_empty(Duration::from_millis(20)).unwrap_err().to_string();
    assert!(error.contains("was not empty within 2") && error.contains("populated 1, frozen 0"), "{error}");
}

// === the real hierarchy ===

#[test]
fn a_real_group_freezes_thaws_dies_and_goes() {
    let Some(root) = real_root() else { return };
    let group = Group::make(&root, "life");
    assert!(!group.0.populated().unwrap());
    let mut child = group.shell("sleep 600 & sleep 600 & echo ready; wait");
    assert_eq!(line_of(&mut child), "ready");
    assert!(group.0.populated().unwrap());
    assert!(group.0.procs().unwrap().contains(&child.id()));
    group.0.freeze(LIMIT).unwrap();
    assert!(group.0.is_frozen().unwrap());
    group.0.thaw(LIMIT).unwrap();
    assert!(!group.0.is_frozen().unwrap());
    group.0.freeze(LIMIT).unwrap();
    group.0.kill(LIMIT).unwrap();
    group.0.wait_empty(LIMIT).unwrap();
    child.wait().unwrap();
    let path = group.0.path();
    group.0.remove().unwrap();
    assert!(!path.exists());
    assert!(!group.0.populated().unwrap());
    assert!(group.0.procs().unwrap_err().is_gone());
    group.0.remove().unwrap();
}

#[test]
fn an_old_handle_never_reaches_a_new_group_of_the_same_path() {
    let Some(root) = real_root() else { return };
    let group = Group::make(&root, "reuse");
    fs::remove_dir(group.0.path()).unwrap();
    fs::create_dir(group.0.path()).unwrap();
    let fresh = root.open(&group.0.path()).unwrap();
    assert_ne!(fresh.id(), group.0.id());
    let mut child = waiting_shell("exit 3");
    fresh.add(child.id()).unwrap();
    assert!(group.0.add(child.id()).unwrap_err().is_gone());
    group.0.kill(LIMIT).unwrap();
    group.0.remove().unwrap();
    assert_eq!(fresh.procs().unwrap(), [child.id()]);
    child = release(child);
    assert_eq!(child.wait().unwrap().code(), Some(3));
    fresh.wait_empty(LIMIT).unwrap();
    fresh.remove().unwrap();
}

#[test]
fn without_cgroup_kill_every_process_is_signalled() {
    let Some(root) = real_root() else { return };
    let group = Group::make(&root, "each");
    let mut child =
        group.shell("for i in 1 2 3 4 5 6 7 8; do (sleep 600 & sleep 600) & done; echo ready; wait");
    assert_eq!(line_of(&mut child), "ready");
    group.0.kill_each(LIMIT).unwrap();
    assert!(!group.0.populated().unwrap());
    child.wait().unwrap();
}

#[test]
fn a_group_that_was_made_threaded_is_killed_all_the_same() {
    let Some(root) = real_root() else { return };
    let group = Group::make(&root, "threaded");
    let below = group.0.path().join("below");
    fs::create_dir(&below).unwrap();
    let threaded = root.open(&below).unwrap();
    fs::write(below.join("cgroup.type"), "threaded").unwrap();
    let mut child = waiting_shell("sleep 600 & echo ready; wait");
    threaded.add(child.id()).unwrap();
    child = release(child);
    assert_eq!(line_of(&mut child), "ready");
    assert_eq!(threaded.procs().unwrap().len(), 2);
    threaded.kill(LIMIT).unwrap();
    assert!(!threaded.populated().unwrap());
    child.wait().unwrap();
}

#[test]
fn a_subtree_is_removed_bottom_up_and_cpu_time_is_counted() {
    let Some(root) = real_root() else { return };
    let group = Group::make(&root, "tree");
    fs::create_dir_all(group.0.path().join("x/y/z")).unwrap();
    fs::create_dir_all(group.0.path().join("x/w")).unwrap();
    let before = group.0.cpu_time().unwrap().usage_usec;
    let mut child = group.shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    child.wait().unwrap();
    assert!(group.0.cpu_time().unwrap().usage_usec > before + 1000);
    group.0.wait_empty(LIMIT).unwrap();
    group.0.remove().unwrap();
    assert!(!group.0.path().exists());
}

#[test]
fn a_group_with_a_member_is_not_removed() {
    let Some(root) = real_root() else { return };
    let group = Group::make(&root, "busy");
    let mut child = group.shell("sleep 600");
    assert!(matches!(group.0.remove().unwrap_err(), CgroupError::Io { .. }));
    group.0.kill(LIMIT).unwrap();
    child.wait().unwrap();
}
