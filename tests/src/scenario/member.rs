//! Members of events, as scenarios name them.

/// Short names of members that many scenarios ask for.
const NAMES: &[(&str, &str)] = &[
    ("path", "/file/path"),
    ("inode", "/unmapped/file/inode"),
    ("created", "/unmapped/created"),
    ("attempt", "/unmapped/attempt"),
    ("source", "/unmapped/file/path/source"),
    ("truncated", "/unmapped/file/path/truncated"),
    ("new_path", "/file_result/path"),
    ("text", "/unmapped/text"),
    ("code", "/unmapped/code"),
    ("detail", "/unmapped/detail"),
    ("error", "/status_code"),
    ("program", "/process/file/path"),
    ("command", "/process/cmd_line"),
    ("requested", "/unmapped/requested"),
    ("script", "/unmapped/script/path"),
    ("unlinked", "/unmapped/unlinked"),
    ("by_thread", "/unmapped/by_thread"),
    ("exit_code", "/exit_code"),
    ("signal", "/unmapped/signal"),
    ("pid", "/actor/process/pid"),
    ("process", "/actor/process/uid"),
    ("target", "/process/uid"),
    ("target_in_run", "/unmapped/target_in_run"),
    ("ip", "/dst_endpoint/ip"),
    ("port", "/dst_endpoint/port"),
    ("peer", "/dst_endpoint/name"),
    ("from_ip", "/src_endpoint/ip"),
    ("from_port", "/src_endpoint/port"),
    ("protocol", "/connection_info/protocol_name"),
    ("family", "/unmapped/family"),
    ("host", "/query/hostname"),
    ("server_name", "/dst_endpoint/hostname"),
    ("kernel", "/kernel/path"),
    ("in_run", "/unmapped/in_run"),
    ("member_before", "/unmapped/member_before"),
    ("at_birth", "/unmapped/at_birth"),
];

pub(super) fn pointer(member: &str) -> Option<&str> {
    if member.starts_with('/') {
        return Some(member);
    }
    NAMES.iter().find(|(name, _)| *name == member).map(|(_, pointer)| *pointer)
}

pub(super) fn is_member(name: &str) -> bool {
    pointer(name).is_some()
}
