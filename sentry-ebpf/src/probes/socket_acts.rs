//! Sockets of every family, seen at the security calls after they returned (tiers A and B).

use sentry_common::{
    kind,
    record::{
        file::FileRecord,
        network::{NetworkRecord, PEER_IN_RUN, UnixRecord},
    },
};

use crate::{
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{call::refusal, file, path, socket, unix},
    probes::outside,
};

/// Hook: fexit on `security_socket_post_create(sock, family, type, protocol, kern)`. The family's
/// own code has made the socket by then, so a family that the kernel lacks is not reported.
#[inline(always)]
pub fn created(made: *const u8, family: i32, socket_type: i32, protocol: i32, by_kernel: i32, result: i32) {
    let Some(run) = gate::current() else { return };
    if by_kernel != 0 {
        return;
    }
    let Some(mut record) = record::<NetworkRecord>(&run, kind::SOCKET) else { return };
    let fields = record.fields();
    fields.cookie = socket::known_cookie(socket::of_socket(made));
    fields.family = family as u16;
    fields.socket_type = socket_type as u16;
    fields.protocol = protocol as u16;
    fields.port = 0;
    fields.address = [0; 16];
    fields.local_address = [0; 16];
    fields.local_port = 0;
    fields.reserved = 0;
    fields.error = refusal(result.into());
    record.submit();
}

/// Hook: fexit on `security_sock_graft(sk, parent)`: accept(2) gives a connection to the caller's
/// new socket. Also called for families that have no addresses of this kind.
#[inline(always)]
pub fn accepted(sock: *const u8) {
    let Some(run) = gate::current() else { return };
    if !socket::is_inet(sock) {
        return;
    }
    let actor = Actor::current(gate::current_task());
    let cookie = emit::cookie_of_argument(sock);
    gate::tag_socket(cookie, &run, actor);
    let Some(mut record) = emit::bulk::<NetworkRecord>(&run, kind::ACCEPT, actor) else { return };
    socket::write(sock, cookie, record.fields());
    record.submit();
}

/// Hook: fexit on `security_unix_stream_connect(sock, other, newsk)`; `other` is the listening
/// socket.
#[inline(always)]
pub fn unix_connected(other: *const u8, result: i32) {
    let Some(run) = gate::current() else { return };
    if result == 0 {
        outside::asked(&run, unix::other_end(other), other);
    }
    unix(&run, kind::UNIX_CONNECT, other, result);
}

/// Hook: fexit on `security_unix_may_send(sock, other)`, both `struct socket`: each datagram, and
/// connect(2) of a datagram socket.
#[inline(always)]
pub fn unix_sent(other: *const u8, result: i32) {
    let Some(run) = gate::current() else { return };
    unix(&run, kind::UNIX_SEND, socket::of_socket(other), result);
}

#[inline(always)]
fn unix(run: &Run, kind: u16, peer: *const u8, result: i32) {
    let Some(mut record) = record::<UnixRecord>(run, kind) else { return };
    let fields = record.fields();
    unix::write_peer(peer, fields);
    if gate::owns_process(run, fields.peer_tgid, fields.peer_start_boot_ns) {
        fields.flags |= PEER_IN_RUN;
    }
    fields.socket_type = socket::socket_type(peer);
    fields.error = refusal(result.into());
    record.submit();
}

/// Hook: fexit on `security_file_receive(file)`: a descriptor came from another process
/// (`SCM_RIGHTS`, binder, `pidfd_getfd`, seccomp).
#[inline(always)]
pub fn received(opened: *const u8, result: i32) {
    let Some(run) = gate::current() else { return };
    let sock = socket::of_file(opened);
    if sock.is_null() {
        received_file(&run, opened, result);
    } else {
        received_socket(&run, sock, result);
    }
}

/// From now on the socket's packets belong to the run, if the kernel has given it a cookie.
#[inline(always)]
fn received_socket(run: &Run, sock: *const u8, result: i32) {
    let actor = Actor::current(gate::current_task());
    let cookie = socket::known_cookie(sock);
    if result == 0 && cookie != 0 {
        gate::tag_socket(cookie, run, actor);
    }
    let Some(mut record) = emit::bulk::<NetworkRecord>(run, kind::SOCKET_RECEIVED, actor) else { return };
    socket::write(sock, cookie, record.fields());
    record.fields().error = refusal(result.into());
    record.submit();
}

#[inline(always)]
fn received_file(run: &Run, opened: *const u8, result: i32) {
    let Some(mut record) = record::<FileRecord>(run, kind::FILE_RECEIVED) else { return };
    let fields = record.fields();
    fields.file = file::key(opened);
    fields.detail = u64::from(file::flags(opened));
    fields.flags = 0;
    fields.error = refusal(result.into());
    path::write(file::path(opened), &mut fields.path);
    record.submit();
}

/// A record of the current process.
#[inline(always)]
fn record<T: 'static>(run: &Run, kind: u16) -> Option<emit::Record<T>> {
    emit::bulk(run, kind, Actor::current(gate::current_task()))
}
