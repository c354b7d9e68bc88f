//! Mappings that write to a file, and executable ones.

use sentry_common::{
    fault, kind,
    record::{file::FileRecord, process::FileKey},
};

use super::{call::Call, table};
use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{file, path, task},
};

const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    const MAP_TYPE: u64 = 0xf;
    const MAP_PRIVATE: u64 = 2;
    const MAP_ANONYMOUS: u64 = 0x20;
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let protection = call.argument::<2>();
    if call.act == table::MPROTECT {
        if protection & PROT_EXEC != 0 {
            report(&run, kind::PROTECT_EXECUTE, protection, core::ptr::null());
        }
        return;
    }
    let flags = call.argument::<3>();
    let anonymous = flags & MAP_ANONYMOUS != 0;
    let writes = protection & PROT_WRITE != 0 && flags & MAP_TYPE != MAP_PRIVATE && !anonymous;
    let executes = protection & PROT_EXEC != 0;
    if !writes && !executes {
        return;
    }
    let mut mapped: *const u8 = core::ptr::null();
    if !anonymous {
        match task::open_file(gate::current_task(), call.argument::<4>() as u32) {
            Some(file) => mapped = file,
            // Another thread has closed it already.
            None => return count::untold(&run, fault::FD_GONE),
        }
    }
    if writes {
        report(&run, kind::MAP_WRITE, protection, mapped);
    }
    if executes {
        report(&run, kind::MAP_EXECUTE, protection, mapped);
    }
}

/// `mapped` is null for memory without a file.
#[inline(always)]
fn report(run: &Run, kind: u16, protection: u64, mapped: *const u8) {
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<FileRecord>(run, kind, actor) else { return };
    let fields = record.fields();
    fields.detail = protection;
    fields.flags = 0;
    fields.error = 0;
    if mapped.is_null() {
        fields.file = FileKey::default();
        path::write_none(&mut fields.path);
    } else {
        fields.file = file::key(mapped);
        path::write(file::path(mapped), &mut fields.path);
    }
    record.submit();
}
