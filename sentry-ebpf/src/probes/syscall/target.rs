//! Acts on other processes, by system call. Refusals are reported too.

use sentry_common::{
    kind,
    record::other::{TARGET_IN_RUN, TargetRecord, access},
};

use super::{call::Call, table};
use crate::{
    emit::{self, Actor},
    gate,
    kernel::{pid, task},
};

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    const TRACE_ME: u64 = 0;
    const ATTACH: u64 = 16;
    const SEIZE: u64 = 0x4206;
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let current = gate::current_task();
    let mut start_boot_ns = 0;
    let (kind, code, tgid) = match call.act {
        table::PTRACE => match call.argument::<0>() {
            TRACE_ME => {
                let parent = task::parent(current);
                start_boot_ns = parent.1;
                (kind::TRACE, access::TRACE_ME, parent.0)
            }
            // Every other request requires one of these before it.
            ATTACH | SEIZE => (kind::TRACE, access::PTRACE_CALL, known(current, call.argument::<1>())),
            _ => return,
        },
        table::READ_MEMORY => {
            (kind::PROCESS_ACCESS, access::READ_MEMORY_CALL, known(current, call.argument::<0>()))
        }
        table::WRITE_MEMORY => {
            (kind::PROCESS_ACCESS, access::WRITE_MEMORY_CALL, known(current, call.argument::<0>()))
        }
        _ => {
            let target = of_descriptor(current, &call);
            if let Some(leader) = pid::leader(target) {
                start_boot_ns = task::start(leader);
            }
            (kind::PROCESS_ACCESS, access::TAKE_DESCRIPTOR_CALL, pid::number(target))
        }
    };
    let member = gate::member(tgid);
    let in_run = member.is_some_and(|row| row.tag == run.tag);
    if start_boot_ns == 0
        && let Some(row) = member
    {
        start_boot_ns = row.start_boot_ns;
    }
    let Some(mut record) = emit::bulk::<TargetRecord>(&run, kind, Actor::current(current)) else { return };
    let fields = record.fields();
    fields.target_tgid = tgid;
    fields.target_start_boot_ns = start_boot_ns;
    fields.code = code;
    fields.flags = if in_run { TARGET_IN_RUN } else { 0 };
    fields.error = call.error();
    record.submit();
}

/// A process id that the program passed. 0 where its pid namespace is not the initial one: there
/// the number means another process than on the host.
#[inline(always)]
fn known(current: *const u8, number: u64) -> u32 {
    if pid::is_in_initial_namespace(current) { number as u32 } else { 0 }
}

/// The process behind a pidfd; null where the descriptor may not be a pidfd.
#[inline(always)]
fn of_descriptor(current: *const u8, call: &Call) -> *const u8 {
    const EBADF: u32 = 9;
    if call.error() == EBADF {
        return core::ptr::null();
    }
    match task::open_file(current, call.argument::<0>() as u32) {
        Some(file) => pid::of_file(file),
        None => core::ptr::null(),
    }
}
