//! Reserve → fill → submit, or count the loss. The only place that touches the rings.
//!
//! Records are built in the reservation: programs are preemptible (since 5.11), so a per-CPU
//! scratch buffer would be shared by two programs at once.

use aya_ebpf::{
    helpers::generated::{
        bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_socket_cookie, bpf_ktime_get_boot_ns,
    },
    maps::ring_buf::RingBufEntry,
    programs::{SockAddrContext, SockContext},
};
use sentry_common::{
    abi::{RecordHeader, SCHEMA_VERSION, ring},
    record::network::NetworkRecord,
};

use crate::{
    count,
    gate::Run,
    kernel::task,
    maps::{BULK, CRITICAL},
    share,
};

/// A reserved record of type `T`, header filled. Dropping it without [`Record::submit`] does not
/// pass the verifier.
pub struct Record<T: 'static>(RingBufEntry<T>);

/// Who acts.
#[derive(Clone, Copy)]
pub struct Actor {
    pub tgid: u32,
    pub tid: u32,
    pub start_boot_ns: u64,
}

/// Thread-group id of the current task, in the initial pid namespace.
#[inline(always)]
pub fn current_tgid() -> u32 {
    // SAFETY: no preconditions.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

impl Actor {
    /// The current task.
    #[inline(always)]
    pub fn current(task: *const u8) -> Self {
        // SAFETY: no preconditions.
        let id = unsafe { bpf_get_current_pid_tgid() };
        Self { tgid: (id >> 32) as u32, tid: id as u32, start_boot_ns: task::process_start(task) }
    }

    /// The current process in a cgroup program, which gets no trusted task pointer.
    #[inline(always)]
    pub fn current_in_cgroup_program() -> Option<Self> {
        // SAFETY: no preconditions.
        let id = unsafe { bpf_get_current_pid_tgid() };
        let tgid = (id >> 32) as u32;
        if tgid == 0 {
            // No process: the kernel connects on its own behalf.
            return None;
        }
        // SAFETY: no preconditions; the address is only read through probe reads.
        let task = unsafe { bpf_get_current_task() } as *const u8;
        Some(Self { tgid, tid: id as u32, start_boot_ns: task::process_start(task) })
    }

    /// The current process in a packet's program, which is given the task's address and not its id
    /// (6.1).
    #[inline(always)]
    pub fn current_in_packet_program() -> Self {
        // SAFETY: no preconditions; the address is only read through probe reads.
        Self::of(unsafe { bpf_get_current_task() } as *const u8)
    }

    /// Another task.
    #[inline(always)]
    pub fn of(task: *const u8) -> Self {
        Self { tgid: task::tgid(task), tid: task::pid(task), start_boot_ns: task::process_start(task) }
    }
}

/// A record in the critical ring. It has no shares: what goes there is bounded by births, execs and
/// ends, and the ring holds thousands of each.
#[inline(always)]
pub fn critical<T: 'static>(run: &Run, kind: u16, actor: Actor) -> Option<Record<T>> {
    let record = critical_untold(run, kind, actor);
    if record.is_none() {
        share::missing(run, actor);
    }
    record
}

/// A record in the critical ring, whose loss is counted but not told of: for the telling itself.
#[inline(always)]
pub(crate) fn critical_untold<T: 'static>(run: &Run, kind: u16, actor: Actor) -> Option<Record<T>> {
    let sequence = count::next(run, |block| &raw mut block.generated[ring::CRITICAL]);
    match CRITICAL.reserve_untyped::<T>(0) {
        Some(entry) => Some(Record::start(entry, run, kind, ring::CRITICAL, sequence, actor)),
        None => {
            count::add(run, |block| &raw mut block.lost[ring::CRITICAL]);
            None
        }
    }
}

/// A record in the bulk ring, if the run's share of it allows.
#[inline(always)]
pub fn bulk<T: 'static>(run: &Run, kind: u16, actor: Actor) -> Option<Record<T>> {
    let sequence = count::next(run, |block| &raw mut block.generated[ring::BULK]);
    if !share::has_room(run) {
        count::add(run, |block| &raw mut block.throttled[ring::BULK]);
        share::missing(run, actor);
        return None;
    }
    match BULK.reserve_untyped::<T>(0) {
        Some(entry) => {
            share::present(run, actor);
            Some(Record::start(entry, run, kind, ring::BULK, sequence, actor))
        }
        None => {
            count::add(run, |block| &raw mut block.lost[ring::BULK]);
            share::missing(run, actor);
            None
        }
    }
}

/// Cookie of the socket behind a cgroup program's context, or of a `struct sock` that is an
/// argument of a BTF program (5.12+).
///
/// # Safety
/// The verifier must know `socket` as one of these.
#[inline(always)]
unsafe fn cookie(socket: *const u8) -> u64 {
    // SAFETY: by contract.
    unsafe { bpf_get_socket_cookie(socket.cast_mut().cast()) }
}

/// Cookie of a `struct sock` that is an argument of a BTF program.
#[inline(always)]
pub fn cookie_of_argument(sock: *const u8) -> u64 {
    // SAFETY: callers pass arguments of BTF programs.
    unsafe { cookie(sock) }
}

/// Cookie of the socket that connects or sends.
#[inline(always)]
pub fn cookie_of_address(ctx: &SockAddrContext) -> u64 {
    // SAFETY: the context is valid during the program.
    unsafe { cookie(ctx.sock_addr.cast_const().cast()) }
}

/// Cookie of the socket that is made or bound.
#[inline(always)]
pub fn cookie_of_socket(ctx: &SockContext) -> u64 {
    // SAFETY: the context is valid during the program.
    unsafe { cookie(ctx.sock.cast_const().cast()) }
}

/// Copies what a socket was bound to from a `bpf_sock` context. As for the destination, the address
/// is read by family.
#[inline(always)]
pub fn write_bound<const IPV6: bool>(ctx: &SockContext, cookie: u64, fields: &mut NetworkRecord) {
    let sock = ctx.sock;
    // SAFETY: the context is valid during the program; each field is one aligned 4-byte read.
    unsafe {
        fields.cookie = cookie;
        fields.family = (&raw const (*sock).family).read_volatile() as u16;
        fields.socket_type = (&raw const (*sock).type_).read_volatile() as u16;
        fields.protocol = (&raw const (*sock).protocol).read_volatile() as u16;
        fields.port = 0;
        fields.address = [0; 16];
        let words = if IPV6 {
            [
                (&raw const (*sock).src_ip6[0]).read_volatile(),
                (&raw const (*sock).src_ip6[1]).read_volatile(),
                (&raw const (*sock).src_ip6[2]).read_volatile(),
                (&raw const (*sock).src_ip6[3]).read_volatile(),
            ]
        } else {
            [(&raw const (*sock).src_ip4).read_volatile(), 0, 0, 0]
        };
        fields.local_address.as_mut_ptr().cast::<[u32; 4]>().write_unaligned(words);
        fields.local_port = (&raw const (*sock).src_port).read_volatile() as u16;
        fields.reserved = 0;
        fields.error = 0;
    }
}

/// Copies the destination of a `bpf_sock_addr` context. The verifier lets an IPv4 program read only
/// the IPv4 address and an IPv6 program only the IPv6 one.
#[inline(always)]
pub fn write_destination<const IPV6: bool>(ctx: &SockAddrContext, cookie: u64, fields: &mut NetworkRecord) {
    let address = ctx.sock_addr;
    // SAFETY: the context is valid during the program; each field is one aligned 4-byte read.
    unsafe {
        fields.family = (&raw const (*address).user_family).read_volatile() as u16;
        fields.local_address = [0; 16];
        fields.local_port = 0;
        fields.reserved = 0;
        fields.error = 0;
        fields.socket_type = (&raw const (*address).type_).read_volatile() as u16;
        fields.protocol = (&raw const (*address).protocol).read_volatile() as u16;
        fields.port = u16::from_be((&raw const (*address).user_port).read_volatile() as u16);
        let words = if IPV6 {
            [
                (&raw const (*address).user_ip6[0]).read_volatile(),
                (&raw const (*address).user_ip6[1]).read_volatile(),
                (&raw const (*address).user_ip6[2]).read_volatile(),
                (&raw const (*address).user_ip6[3]).read_volatile(),
            ]
        } else {
            [(&raw const (*address).user_ip4).read_volatile(), 0, 0, 0]
        };
        fields.address.as_mut_ptr().cast::<[u32; 4]>().write_unaligned(words);
        fields.cookie = cookie;
    }
}

impl<T: 'static> Record<T> {
    #[inline(always)]
    fn start(
        mut entry: RingBufEntry<T>,
        run: &Run,
        kind: u16,
        ring: usize,
        sequence: u64,
        actor: Actor,
    ) -> Self {
        // SAFETY: every record type starts with a header (repr(C), first field).
        unsafe {
            entry.as_mut_ptr().cast::<RecordHeader>().write(RecordHeader {
                schema: SCHEMA_VERSION,
                kind,
                ring: ring as u32,
                run_slot: run.tag.slot,
                run_generation: run.tag.generation,
                sequence,
                time_boot_ns: bpf_ktime_get_boot_ns(),
                tgid: actor.tgid,
                tid: actor.tid,
                start_boot_ns: actor.start_boot_ns,
            });
        }
        Self(entry)
    }

    /// The record's memory. Fields not written hold old ring bytes, so write every field that will
    /// be read.
    #[inline(always)]
    pub fn fields(&mut self) -> &mut T {
        // SAFETY: reserved, writable, aligned to 8; all fields are integers, for which any bytes
        // are valid.
        unsafe { &mut *self.0.as_mut_ptr() }
    }

    /// Publishes with the default wake-up.
    #[inline(always)]
    pub fn submit(self) {
        self.0.submit(0);
    }
}
