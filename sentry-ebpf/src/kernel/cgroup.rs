//! cgroup v2 ids.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use sentry_common::{offset as o, table::NAME_BYTES};

use super::{read, read_pointer};

/// Id of a `struct cgroup`: the inode number of its directory.
#[inline(always)]
pub fn id(cgroup: *const u8) -> u64 {
    match read_pointer(cgroup, o::CGROUP_KN) {
        Some(node) => read(node, o::KN_ID),
        None => 0,
    }
}

/// Id of the parent of a `struct cgroup` (0 for the root). `cgroup.self` is the struct's first
/// field, so a pointer to the parent's css is a pointer to the parent.
#[inline(always)]
pub fn parent_id(cgroup: *const u8) -> u64 {
    match read_pointer(cgroup, o::CGROUP_PARENT) {
        Some(parent) => id(parent),
        None => 0,
    }
}

/// The first bytes of the name of a `struct cgroup`, the rest NUL.
#[inline(always)]
pub fn name(cgroup: *const u8) -> Option<[u8; NAME_BYTES]> {
    let node = read_pointer(cgroup, o::CGROUP_KN)?;
    let name = read_pointer(node, o::KN_NAME)?;
    let mut bytes = [0_u8; NAME_BYTES];
    // SAFETY: the helper writes at most the size of `bytes` and checks the source.
    let read = unsafe {
        bpf_probe_read_kernel_str(bytes.as_mut_ptr().cast(), NAME_BYTES as u32, name.cast_mut().cast())
    };
    if read > 0 { Some(bytes) } else { None }
}

/// Whether a `struct cgroup` is in the v2 hierarchy, that of the task's own v2 cgroup.
#[inline(always)]
pub fn is_v2(cgroup: *const u8, task: *const u8) -> bool {
    let own = read_pointer(task, o::TASK_CGROUPS).and_then(|set| read_pointer(set, o::CSS_SET_DFL_CGRP));
    let Some(own) = own else { return false };
    let root = |cgroup| read_pointer(cgroup, o::CGROUP_ROOT);
    match (root(cgroup), root(own)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// The v2 cgroup of a task, unless it is the root.
#[inline(always)]
pub fn below_root(task: *const u8) -> Option<u64> {
    let set = read_pointer(task, o::TASK_CGROUPS)?;
    let cgroup = read_pointer(set, o::CSS_SET_DFL_CGRP)?;
    read_pointer(cgroup, o::CGROUP_PARENT)?;
    Some(id(cgroup))
}

/// The v2 cgroup of a task.
#[inline(always)]
pub fn of_task(task: *const u8) -> u64 {
    let Some(set) = read_pointer(task, o::TASK_CGROUPS) else { return 0 };
    match read_pointer(set, o::CSS_SET_DFL_CGRP) {
        Some(cgroup) => id(cgroup),
        None => 0,
    }
}
