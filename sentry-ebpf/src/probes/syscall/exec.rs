//! A failed execve. It leaves the old memory image intact, so its argument can be read.

use sentry_common::{
    kind,
    record::{
        file::{FROM_ARGUMENT, NameRecord},
        process::FileKey,
    },
};

use super::{
    call::{Call, WORKING_DIRECTORY},
    start_directory, table,
};
use crate::{
    emit::{self, Actor},
    gate,
    kernel::{path, user},
};

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    if result >= 0 {
        return;
    }
    let Some(run) = gate::current() else { return };
    let call = Call::read(regs, result);
    let (directory, name) = if call.act == table::EXECVEAT {
        (call.descriptor::<0>(), call.argument::<1>())
    } else {
        (WORKING_DIRECTORY, call.argument::<0>())
    };
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::critical::<NameRecord>(&run, kind::EXEC_FAILED, actor) else { return };
    let fields = record.fields();
    fields.file = FileKey::default();
    fields.flags = 0;
    fields.source = FROM_ARGUMENT;
    fields.error = call.error();
    fields.mode = 0;
    start_directory(directory, &mut fields.path);
    path::write_none(&mut fields.new_path);
    user::write_argument(name, &mut fields.argument);
    user::write_no_argument(&mut fields.new_argument);
    record.submit();
}
