//! Acts on the kernel, and on the caller's own namespaces and credentials. Refusals are reported
//! too.

use sentry_common::{kind, record::other::KernelRecord};

use super::{call::Call, table};
use crate::{
    emit::{self, Actor},
    gate,
    kernel::{path, task, user},
};

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    /// All `CLONE_NEW*` bits.
    const NAMESPACES: u64 = 0x7e02_0080;
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let first = call.argument::<0>();
    let current = gate::current_task();
    let (kind, code, detail) = match call.act {
        table::BPF => (kind::BPF, first, 0),
        // `struct perf_event_attr`: type, size, config.
        table::PERF_OPEN => (
            kind::PERF_OPEN,
            user::read::<u32>(first).unwrap_or(0).into(),
            user::read::<u64>(first + 8).unwrap_or(0),
        ),
        table::CREDENTIALS => {
            let (uid, gid, _) = task::credentials(current);
            (kind::CREDENTIALS, 0, u64::from(uid) << 32 | u64::from(gid))
        }
        table::UNSHARE if first & NAMESPACES == 0 => return,
        table::UNSHARE => (kind::NAMESPACES, first & NAMESPACES, 0),
        _ => (kind::NAMESPACES, call.argument::<1>() & NAMESPACES, 0),
    };
    let actor = Actor::current(current);
    let critical = kind == kind::CREDENTIALS || kind == kind::NAMESPACES;
    let record = if critical {
        emit::critical::<KernelRecord>(&run, kind, actor)
    } else {
        emit::bulk::<KernelRecord>(&run, kind, actor)
    };
    let Some(mut record) = record else { return };
    let fields = record.fields();
    fields.code = code as u32;
    fields.detail = detail;
    fields.flags = 0;
    fields.error = call.error();
    fields.reserved = 0;
    path::write_none(&mut fields.path);
    user::write_no_argument(&mut fields.text);
    record.submit();
}
