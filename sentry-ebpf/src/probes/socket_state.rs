//! State changes of TCP sockets.

use sentry_common::{kind, record::network::NetworkRecord};

use crate::{
    emit::{self, Actor},
    gate,
    kernel::socket,
};

/// States of a TCP socket, the same numbers on every kernel.
const ESTABLISHED: i32 = 1;
const SYN_SENT: i32 = 2;
const SYN_RECEIVED: i32 = 3;
const CLOSE: i32 = 7;
const LISTEN: i32 = 10;

/// `ECONNABORTED`.
const ABORTED: u32 = 103;

/// Hook: `tp_btf/inet_sock_set_state(sk, oldstate, newstate)` (4.16+), before the state is set. The
/// current process is mostly another than the socket's; only for listen(2) it is the caller.
#[inline(always)]
pub fn inet_sock_set_state(sock: *const u8, old: i32, new: i32) {
    if old == SYN_SENT && (new == ESTABLISHED || new == CLOSE) {
        connected(sock, new == ESTABLISHED);
    } else if new == LISTEN {
        listening(sock);
    } else if old == SYN_RECEIVED && new == ESTABLISHED {
        incoming(sock);
    }
}

#[inline(always)]
fn connected(sock: *const u8, established: bool) {
    let cookie = emit::cookie_of_argument(sock);
    let Some((run, actor)) = gate::of_socket(cookie) else { return };
    let Some(mut record) = emit::bulk::<NetworkRecord>(&run, kind::CONNECTED, actor) else { return };
    let fields = record.fields();
    socket::write(sock, cookie, fields);
    if !established {
        // Closed without an error of the network: the process gave up, or had no local port left.
        fields.error = match socket::error(sock) {
            0 => ABORTED,
            error => error,
        };
    }
    record.submit();
}

/// The port is zero where listen(2) chooses one: the kernel does that after the change of state.
#[inline(always)]
fn listening(sock: *const u8) {
    let Some(run) = gate::current() else { return };
    let actor = Actor::current(gate::current_task());
    let cookie = emit::cookie_of_argument(sock);
    gate::tag_socket(cookie, &run, actor);
    let Some(mut record) = emit::bulk::<NetworkRecord>(&run, kind::LISTEN, actor) else { return };
    socket::write(sock, cookie, record.fields());
    record.submit();
}

/// A connection came in and is not accepted yet. It has the cgroup of the listening socket.
#[inline(always)]
fn incoming(sock: *const u8) {
    if let Some(run) = gate::of_cgroup(socket::cgroup(sock)) {
        gate::tag_socket(emit::cookie_of_argument(sock), &run, Actor { tgid: 0, tid: 0, start_boot_ns: 0 });
    }
}
