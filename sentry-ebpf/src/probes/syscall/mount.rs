//! Mounts, roots and fanotify marks, by their arguments. Refusals are reported too.

use sentry_common::{kind, record::other::KernelArgumentRecord};

use super::{
    call::{Call, WORKING_DIRECTORY},
    start_directory, table,
};
use crate::{
    emit::{self, Actor},
    gate,
    kernel::user,
};

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let (first, second) = (call.argument::<0>(), call.argument::<1>());
    // kind, code, flags, start directory, path, text
    let (kind, code, detail, directory, path, text) = match call.act {
        table::MOUNT => (kind::MOUNT, 0, call.argument::<3>(), WORKING_DIRECTORY, second, first),
        table::MOVE_MOUNT => {
            (kind::MOUNT, 0, call.argument::<4>(), call.descriptor::<2>(), call.argument::<3>(), second)
        }
        table::UMOUNT => (kind::UNMOUNT, 0, second & 0xffff_ffff, WORKING_DIRECTORY, first, 0),
        table::UMOUNT_OLD => (kind::UNMOUNT, 0, 0, WORKING_DIRECTORY, first, 0),
        // fanotify_mark(group, flags, mask, dfd, path)
        table::FANOTIFY_MARK => {
            (kind::WATCH, 0, call.argument::<2>(), call.descriptor::<3>(), call.argument::<4>(), 0)
        }
        table::FANOTIFY_MARK_32 => {
            let mask = call.argument::<2>() | call.argument::<3>() << 32;
            (kind::WATCH, 0, mask, call.descriptor::<4>(), call.argument::<5>(), 0)
        }
        table::CHROOT => (kind::CHANGE_ROOT, 0, 0, WORKING_DIRECTORY, first, 0),
        _ => (kind::CHANGE_ROOT, 1, 0, WORKING_DIRECTORY, first, 0),
    };
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<KernelArgumentRecord>(&run, kind, actor) else { return };
    let fields = record.fields();
    fields.detail = detail;
    fields.code = code;
    fields.flags = 0;
    fields.error = call.error();
    fields.reserved = 0;
    start_directory(directory, &mut fields.directory);
    user::write_argument(path, &mut fields.argument);
    if text != 0 {
        user::write_argument(text, &mut fields.text);
    } else {
        user::write_no_argument(&mut fields.text);
    }
    record.submit();
}
