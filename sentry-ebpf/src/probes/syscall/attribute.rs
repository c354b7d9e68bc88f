//! Extended attributes set and removed.

use sentry_common::{
    fault, kind,
    record::{
        file::{FROM_ARGUMENT, FROM_HOOK, NameRecord},
        process::FileKey,
    },
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

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let (first, second) = (call.argument::<0>(), call.argument::<1>());
    let kind = match call.act {
        table::SETXATTR | table::FSETXATTR | table::SETXATTRAT => kind::XATTR_SET,
        _ => kind::XATTR_REMOVE,
    };
    match call.act {
        table::FSETXATTR | table::FREMOVEXATTR => by_descriptor(&run, kind, first as u32, second),
        table::SETXATTR | table::REMOVEXATTR => by_argument(&run, kind, WORKING_DIRECTORY, first, second),
        // setxattrat(dfd, path, at_flags, name, …)
        _ if Call::is_empty_path(call.argument::<2>(), second) => {
            by_descriptor(&run, kind, first as u32, call.argument::<3>());
        }
        _ => by_argument(&run, kind, first as i32, second, call.argument::<3>()),
    }
}

#[inline(always)]
fn by_descriptor(run: &Run, kind: u16, descriptor: u32, attribute: u64) {
    let Some(file) = task::open_file(gate::current_task(), descriptor) else {
        // Another thread has closed it already.
        return count::untold(run, fault::FD_GONE);
    };
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(run, kind, actor) else { return };
    let fields = record.fields();
    fields.file = file::key(file);
    fields.source = FROM_HOOK;
    path::write(file::path(file), &mut fields.path);
    user::write_argument(attribute, &mut fields.argument);
    user::write_no_argument(&mut fields.new_argument);
    finish(fields);
    record.submit();
}

#[inline(always)]
fn by_argument(run: &Run, kind: u16, directory: i32, name: u64, attribute: u64) {
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(run, kind, actor) else { return };
    let fields = record.fields();
    fields.file = FileKey::default();
    fields.source = FROM_ARGUMENT;
    start_directory(directory, &mut fields.path);
    user::write_argument(name, &mut fields.argument);
    user::write_argument(attribute, &mut fields.new_argument);
    finish(fields);
    record.submit();
}

#[inline(always)]
fn finish(fields: &mut NameRecord) {
    fields.flags = 0;
    fields.error = 0;
    fields.mode = 0;
    path::write_none(&mut fields.new_path);
}
