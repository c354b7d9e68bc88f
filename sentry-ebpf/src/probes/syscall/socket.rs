//! Sockets made, connections accepted, and peers of unix sockets.

use sentry_common::{
    fault, kind,
    record::network::{NetworkRecord, PEER_IN_RUN, UnixRecord},
};

use super::{call::Call, table};
use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::{pid, socket, unix},
    probes::outside,
};

/// `socket` and `accept`: the returned descriptor is the socket.
#[inline(always)]
pub fn made(regs: *const u8, result: i64) {
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let Some(sock) = socket::of_descriptor(gate::current_task(), result as u32) else {
        // Another thread has closed it already.
        return count::untold(&run, fault::FD_GONE);
    };
    let actor = Actor::current(gate::current_task());
    let accepted = call.act == table::ACCEPT;
    let kind = if accepted { kind::ACCEPT } else { kind::SOCKET };
    let Some(mut record) = emit::bulk::<NetworkRecord>(&run, kind, actor) else { return };
    if accepted && socket::is_inet(sock) {
        socket::write(sock, socket::known_cookie(sock), record.fields());
    } else {
        socket::write_kind(sock, record.fields());
    }
    record.submit();
}

/// A connect of a unix socket that succeeded. The cgroup programs report the other families.
#[inline(always)]
pub fn connected(regs: *const u8, result: i64) {
    const AF_UNIX: u16 = 1;
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let Some(sock) = socket::of_descriptor(gate::current_task(), call.argument::<0>() as u32) else {
        return count::untold(&run, fault::FD_GONE);
    };
    if socket::family(sock) != AF_UNIX {
        return;
    }
    let peer = unix::peer(sock);
    if peer.is_null() {
        // The peer has closed already, or a datagram socket was disconnected.
        return;
    }
    // The kernel has copied them from the listening socket to the connecting one.
    let listener = unix::other_end(sock);
    outside::asked(&run, listener, peer);
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<UnixRecord>(&run, kind::UNIX_CONNECT, actor) else { return };
    let fields = record.fields();
    fields.reserved = 0;
    fields.reserved2 = 0;
    fields.error = 0;
    fields.socket_type = socket::socket_type(sock);
    fields.flags = unix::write_bound_name(peer, &mut fields.name);
    fields.peer_uid = unix::other_end_uid(sock);
    fields.peer_tgid = pid::number(listener);
    fields.peer_cgroup = pid::cgroup(listener);
    fields.peer_start_boot_ns = pid::start(listener);
    let peer = Actor { tgid: fields.peer_tgid, tid: 0, start_boot_ns: fields.peer_start_boot_ns };
    if let Some(theirs) = gate::of_process(peer)
        && theirs.tag == run.tag
    {
        fields.flags |= PEER_IN_RUN;
    }
    record.submit();
}
