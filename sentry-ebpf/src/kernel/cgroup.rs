//! cgroup v2 ids.

use sentry_common::offset as o;

use super::{read, read_pointer};
use crate::offsets::of;

/// Id of a `struct cgroup`: the inode number of its directory.
#[inline(always)]
pub fn id(cgroup: *const u8) -> u64 {
    match read_pointer(cgroup, of(o::CGROUP_KN)) {
        Some(node) => read(node, of(o::KN_ID)).unwrap_or(0),
        None => 0,
    }
}

/// Id of the parent of a `struct cgroup` (0 for the root). `cgroup.self` is the struct's first field, so a pointer to
/// the parent's css is a pointer to the parent.
#[inline(always)]
pub fn parent_id(cgroup: *const u8) -> u64 {
    match read_pointer(cgroup, of(o::CGROUP_PARENT)) {
        Some(parent) => id(parent),
        None => 0,
    }
}

/// The v2 cgroup of a task.
#[inline(always)]
pub fn of_task(task: *const u8) -> u64 {
    let Some(set) = read_pointer(task, of(o::TASK_CGROUPS)) else { return 0 };
    match read_pointer(set, of(o::CSS_SET_DFL_CGRP)) {
        Some(cgroup) => id(cgroup),
        None => 0,
    }
}
