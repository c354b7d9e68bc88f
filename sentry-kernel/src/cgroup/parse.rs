//! The text of cgroup files and of the mount table, as values. No I/O.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

/// `cgroup.events`. A key this kernel does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupEvents {
    /// The group or a descendant has a live process. Zombies do not count.
    pub populated: Option<bool>,
    /// Every task of the group and its descendants is stopped by the freezer.
    pub frozen: Option<bool>,
}

impl CgroupEvents {
    pub(crate) fn parse(text: &str) -> Self {
        let mut events = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match key {
                "populated" => events.populated = flag(value),
                "frozen" => events.frozen = flag(value),
                _ => {}
            }
        }
        events
    }
}

/// Value of `key` in a flat-keyed file such as `cpu.stat`.
pub(crate) fn keyed_number(text: &str, key: &str) -> Option<u64> {
    text.lines().filter_map(|line| line.split_once(' ')).find(|(k, _)| *k == key)?.1.trim().parse().ok()
}

/// Total of the `some` line of a pressure file, µs.
pub(crate) fn pressure_total_usec(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_ascii_whitespace().find_map(|field| field.strip_prefix("total="))?.parse().ok()
}

/// Process ids of a `cgroup.procs` text. A zero stands for a process outside of our pid namespace,
/// which cannot be named.
pub(crate) fn process_ids(text: &str) -> impl Iterator<Item = u32> {
    text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid != 0)
}

/// Mount points of cgroup v2 in a `/proc/PID/mountinfo` text; those that show the hierarchy's root
/// come first.
///
/// Line: `41 31 0:38 ROOT MOUNTPOINT OPTIONS [TAGS…] - cgroup2 SOURCE OPTIONS`, with octal escapes
/// in paths.
pub(crate) fn cgroup2_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let (mut whole, mut partial) = (Vec::new(), Vec::new());
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        if right.split(' ').next() != Some("cgroup2") {
            continue;
        }
        let mut fields = left.split(' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else { continue };
        let list = if root == "/" { &mut whole } else { &mut partial };
        list.push(unescape(point));
    }
    whole.append(&mut partial);
    whole
}

fn flag(value: &str) -> Option<bool> {
    match value.trim() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Undoes the mount table's `\040` escapes.
fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let octal = (byte == b'\\').then(|| bytes.get(at + 1..at + 4)).flatten();
        let value = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(value.unwrap_or(byte));
        at += if value.is_some() { 4 } else { 1 };
    }
    OsString::from_vec(out).into()
}
