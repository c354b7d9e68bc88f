//! Changes of a file. A call by descriptor names the object; of a call by path only the argument is
//! known.

use sentry_common::{
    fault, kind,
    record::file::{FileArgumentRecord, FileRecord},
};

use super::{
    call::{Call, WORKING_DIRECTORY},
    start_directory, table,
};
use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{file, path, task, user},
};

/// The form that all these calls are reduced to.
struct Act {
    kind: u16,
    detail: u64,
    /// The file, or with a path the directory it starts at.
    descriptor: i32,
    /// 0 = the descriptor is the file.
    path: u64,
}

/// No act: another use of the same call.
const NONE: Act = Act { kind: 0, detail: 0, descriptor: 0, path: 0 };

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let act = match call.act {
        table::COPY_RANGE | table::IOCTL | table::SENDFILE | table::SPLICE => copied(&call),
        _ => changed(&call),
    };
    if act.kind == 0 {
    } else if act.path == 0 {
        by_descriptor(&run, &act);
    } else {
        by_argument(&run, &act);
    }
}

#[inline(always)]
fn changed(call: &Call) -> Act {
    let (first, second, third) = (call.argument::<0>(), call.argument::<1>(), call.argument::<2>());
    let fd = first as i32;
    let by_path = |kind, detail| Act { kind, detail, descriptor: WORKING_DIRECTORY, path: first };
    let by_fd = |kind, detail| Act { kind, detail, descriptor: fd, path: 0 };
    let at = |kind, detail, flags| Act {
        kind,
        detail,
        descriptor: fd,
        path: if Call::is_empty_path(flags, second) { 0 } else { second },
    };
    match call.act {
        table::TRUNCATE => by_path(kind::TRUNCATE, second),
        table::FTRUNCATE => by_fd(kind::TRUNCATE, second),
        table::TRUNCATE64 => by_path(kind::TRUNCATE, second | third << 32),
        table::FTRUNCATE64 => by_fd(kind::TRUNCATE, second | third << 32),
        table::CHMOD => by_path(kind::CHANGE_MODE, mode(second)),
        table::FCHMOD => by_fd(kind::CHANGE_MODE, mode(second)),
        table::FCHMODAT => at(kind::CHANGE_MODE, mode(third), 0),
        table::FCHMODAT2 => at(kind::CHANGE_MODE, mode(third), call.argument::<3>()),
        table::CHOWN => by_path(kind::CHANGE_OWNER, owner(second, third)),
        table::FCHOWN => by_fd(kind::CHANGE_OWNER, owner(second, third)),
        table::FCHOWNAT => at(kind::CHANGE_OWNER, owner(third, call.argument::<3>()), call.argument::<4>()),
        table::FALLOCATE => by_fd(kind::ALLOCATE, second & 0xffff_ffff),
        _ => NONE,
    }
}

/// `umode_t` has 16 bits; the register may have more.
#[inline(always)]
fn mode(register: u64) -> u64 {
    register & 0xffff
}

#[inline(always)]
fn owner(uid: u64, gid: u64) -> u64 {
    uid << 32 | (gid & 0xffff_ffff)
}

/// Data that went into a file inside the kernel. With sendfile and splice the target may be a
/// socket or pipe instead. A result of 0, the end of the source, is no act.
#[inline(always)]
fn copied(call: &Call) -> Act {
    const FICLONE: u64 = 0x4004_9409;
    const FICLONERANGE: u64 = 0x4020_940d;
    let (first, second) = (call.argument::<0>(), call.argument::<1>());
    let copy =
        |descriptor: u64, detail| Act { kind: kind::COPY, detail, descriptor: descriptor as i32, path: 0 };
    match call.act {
        table::IOCTL => match second & 0xffff_ffff {
            FICLONE => copy(first, 0),
            // `struct file_clone_range`: src_fd, src_offset, src_length, dest_offset.
            FICLONERANGE => copy(first, user::read(call.argument::<2>() + 16).unwrap_or(0)),
            _ => NONE,
        },
        _ if call.result <= 0 => NONE,
        table::SENDFILE => copy(first, call.argument::<3>()),
        _ => copy(call.argument::<2>(), call.argument::<4>()),
    }
}

#[inline(always)]
fn by_descriptor(run: &Run, act: &Act) {
    let Some(file) = task::open_file(gate::current_task(), act.descriptor as u32) else {
        // Another thread has closed it already.
        return count::untold(run, fault::FD_GONE);
    };
    let key = file::key(file);
    if act.kind == kind::COPY && !file::is_regular_mode(key.mode) {
        return;
    }
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<FileRecord>(run, act.kind, actor) else { return };
    let fields = record.fields();
    fields.file = key;
    fields.detail = act.detail;
    fields.flags = 0;
    fields.error = 0;
    path::write(file::path(file), &mut fields.path);
    record.submit();
}

#[inline(always)]
fn by_argument(run: &Run, act: &Act) {
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<FileArgumentRecord>(run, act.kind, actor) else { return };
    let fields = record.fields();
    fields.detail = act.detail;
    fields.flags = 0;
    fields.error = 0;
    start_directory(act.descriptor, &mut fields.directory);
    user::write_argument(act.path, &mut fields.argument);
    record.submit();
}
