//! Records of acts that share a shape → event kinds.

use sentry_common::record::{
    cgroup::{CompletenessRecord, MISSING},
    file::{ATTEMPT, FROM_ARGUMENT, FileArgumentRecord, FileRecord, NameRecord},
    network::{ABSTRACT, NetworkRecord, OUTBOUND, PEER_IN_RUN, PayloadRecord, UnixRecord},
    other::{ASKED, KernelArgumentRecord, KernelRecord, TARGET_IN_RUN, TargetRecord},
};
use sentry_detect::{
    act::{FileAct, KernelAct, SocketAct, TargetAct},
    event::{Endpoint, EventKind, File},
    run::ProcessKey,
};
use sentry_kernel::decode::text;

use super::object::{address, endpoint, file_key, named_file, no_path};

pub(super) fn file(act: FileAct, record: &FileRecord) -> EventKind {
    EventKind::File {
        act,
        file: file_key(&record.file)
            .map(|key| File { path: text::path(&record.path).unwrap_or_else(no_path), key: Some(key) }),
        new_path: None,
        detail: record.detail,
        text: None,
        attempt: record.flags & ATTEMPT != 0,
        error: refused(record.error),
    }
}

pub(super) fn file_argument(act: FileAct, record: &FileArgumentRecord) -> EventKind {
    EventKind::File {
        act,
        file: Some(File { path: text::argument(&record.directory, &record.argument), key: None }),
        new_path: None,
        detail: record.detail,
        text: None,
        attempt: record.flags & ATTEMPT != 0,
        error: refused(record.error),
    }
}

pub(super) fn name(act: FileAct, record: &NameRecord) -> EventKind {
    let from_argument = record.source == FROM_ARGUMENT;
    let has_two_names = matches!(act, FileAct::Link | FileAct::Exchange);
    let new_path = if has_two_names {
        if from_argument {
            Some(text::argument(&record.new_path, &record.new_argument))
        } else {
            text::path(&record.new_path)
        }
    } else {
        None
    };
    let own_text = if from_argument { &record.new_argument } else { &record.argument };
    let own_text = text::plain(own_text);
    EventKind::File {
        act,
        file: Some(named_file(record)),
        new_path,
        detail: record.mode.into(),
        text: (!has_two_names && !own_text.is_empty()).then_some(own_text),
        attempt: record.flags & ATTEMPT != 0,
        error: refused(record.error),
    }
}

pub(super) fn socket(act: SocketAct, record: &NetworkRecord) -> EventKind {
    let local = address(record.family, record.local_address, record.local_port, record.protocol);
    let is_set = |side: &Endpoint| side.port != 0 || !side.address.is_unspecified();
    EventKind::Socket {
        act,
        family: record.family,
        socket_type: record.socket_type,
        // Bound to every address at a port that the kernel chose later is still a place.
        local: (is_set(&local) || matches!(act, SocketAct::Bind | SocketAct::Listen)).then_some(local),
        remote: Some(endpoint(record)).filter(is_set),
        cookie: record.cookie,
        error: refused(record.error),
    }
}

pub(super) fn unix(datagram: bool, record: &UnixRecord) -> EventKind {
    let name = text::plain(&record.name);
    let peer = ProcessKey { tgid: record.peer_tgid, start_boot_ns: record.peer_start_boot_ns };
    let name = if record.flags & ABSTRACT != 0 { format!("@{name}") } else { name };
    EventKind::Unix {
        service: super::service::of_socket(&name).map(str::to_owned),
        name,
        datagram,
        peer: (peer.tgid != 0).then_some(peer),
        peer_uid: (record.peer_uid != u32::MAX).then_some(record.peer_uid),
        peer_in_run: record.flags & PEER_IN_RUN != 0,
        peer_executable: None,
        error: refused(record.error),
    }
}

pub(super) fn payload(record: &PayloadRecord) -> EventKind {
    let side = address(record.family, record.address, record.port, record.protocol);
    let length = record.bytes.len().min(record.length as usize);
    super::payload::kind(side, record.flags & OUTBOUND != 0, &record.bytes[..length])
}

pub(super) fn target(act: TargetAct, record: &TargetRecord) -> EventKind {
    EventKind::Target {
        act,
        target: ProcessKey { tgid: record.target_tgid, start_boot_ns: record.target_start_boot_ns },
        code: record.code,
        target_in_run: record.flags & TARGET_IN_RUN != 0,
        attempt: record.flags & ASKED != 0,
        error: refused(record.error),
    }
}

pub(super) fn kernel(act: KernelAct, record: &KernelRecord) -> EventKind {
    let own_text = text::plain(&record.text);
    let path = if act == KernelAct::IoOperation {
        // A request has its path as an argument, where that starts beside it.
        (!own_text.is_empty()).then(|| text::argument(&record.path, &record.text))
    } else {
        (record.path.length != 0).then(|| text::path(&record.path)).flatten()
    };
    EventKind::Kernel {
        act,
        code: record.code,
        detail: record.detail,
        path,
        text: (!own_text.is_empty()).then_some(own_text),
        error: refused(record.error),
    }
}

pub(super) fn completeness(record: &CompletenessRecord) -> EventKind {
    EventKind::Completeness {
        missing: record.flags & MISSING != 0,
        lost: record.lost.iter().sum(),
        throttled: record.throttled.iter().sum(),
    }
}

pub(super) fn kernel_argument(act: KernelAct, record: &KernelArgumentRecord) -> EventKind {
    let own_text = text::plain(&record.text);
    EventKind::Kernel {
        act,
        code: record.code,
        detail: record.detail,
        path: Some(text::argument(&record.directory, &record.argument)),
        text: (!own_text.is_empty()).then_some(own_text),
        error: refused(record.error),
    }
}

fn refused(error: u32) -> Option<u32> {
    (error != 0).then_some(error)
}
