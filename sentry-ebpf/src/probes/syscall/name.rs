//! Names made, changed and removed. After the call only the arguments are known, and the records
//! are marked accordingly.

use sentry_common::{
    kind,
    record::{
        file::{EXCHANGE, FROM_ARGUMENT, NameRecord},
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

/// The form that all these calls are reduced to.
struct Act {
    kind: u16,
    directory: i32,
    name: u64,
    /// Start directory of the second name.
    new_directory: i32,
    /// The second name; the target of a symlink. 0 = none.
    new_name: u64,
    flags: u32,
    mode: u32,
    /// The descriptor is the file itself.
    by_descriptor: bool,
}

#[inline(always)]
pub fn called(regs: *const u8, result: i64) {
    let Some(run) = gate::current() else { return };
    let act = act(&Call::read(regs, result));
    match act.kind {
        kind::UNLINK => count::add(&run, |block| &raw mut block.counts.unlinks),
        kind::RENAME => count::add(&run, |block| &raw mut block.counts.renames),
        _ => {}
    }
    report(&run, &act);
}

#[inline(always)]
fn act(call: &Call) -> Act {
    let one = |kind, directory, name, mode: u64| Act {
        kind,
        directory,
        name,
        new_directory: WORKING_DIRECTORY,
        new_name: 0,
        flags: 0,
        // `umode_t` has 16 bits; the register may have more.
        mode: mode as u32 & 0xffff,
        by_descriptor: false,
    };
    let (first, second, third) = (call.argument::<0>(), call.argument::<1>(), call.argument::<2>());
    let directory = first as i32;
    match call.act {
        table::UNLINK => one(kind::UNLINK, WORKING_DIRECTORY, first, 0),
        table::UNLINKAT => one(kind::UNLINK, directory, second, 0),
        table::MKDIR => one(kind::MAKE_DIRECTORY, WORKING_DIRECTORY, first, second),
        table::MKDIRAT => one(kind::MAKE_DIRECTORY, directory, second, third),
        table::MKNOD => one(kind::MAKE_NODE, WORKING_DIRECTORY, first, second),
        table::MKNODAT => one(kind::MAKE_NODE, directory, second, third),
        table::SYMLINK => Act { new_name: first, ..one(kind::SYMLINK, WORKING_DIRECTORY, second, 0) },
        table::SYMLINKAT => Act { new_name: first, ..one(kind::SYMLINK, second as i32, third, 0) },
        table::RENAME => Act { new_name: second, ..one(kind::RENAME, WORKING_DIRECTORY, first, 0) },
        table::LINK => Act { new_name: second, ..one(kind::LINK, WORKING_DIRECTORY, first, 0) },
        _ => {
            let flags = call.argument::<4>();
            let two = |kind| Act {
                new_directory: third as i32,
                new_name: call.argument::<3>(),
                ..one(kind, directory, second, 0)
            };
            match call.act {
                table::LINKAT => Act { by_descriptor: Call::is_empty_path(flags, second), ..two(kind::LINK) },
                // RENAME_EXCHANGE; renameat has no flags, its fifth register holds anything.
                table::RENAMEAT2 if flags & 2 != 0 => Act { flags: EXCHANGE, ..two(kind::RENAME) },
                _ => two(kind::RENAME),
            }
        }
    }
}

#[inline(always)]
fn report(run: &Run, act: &Act) {
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(run, act.kind, actor) else { return };
    let fields = record.fields();
    fields.file = if act.by_descriptor { key(act.directory) } else { FileKey::default() };
    fields.flags = act.flags;
    fields.source = FROM_ARGUMENT;
    fields.error = 0;
    fields.mode = act.mode;
    start_directory(act.directory, &mut fields.path);
    user::write_argument(act.name, &mut fields.argument);
    if act.kind == kind::RENAME || act.kind == kind::LINK {
        start_directory(act.new_directory, &mut fields.new_path);
    } else {
        path::write_none(&mut fields.new_path);
    }
    if act.new_name != 0 {
        user::write_argument(act.new_name, &mut fields.new_argument);
    } else {
        user::write_no_argument(&mut fields.new_argument);
    }
    record.submit();
}

#[inline(always)]
fn key(descriptor: i32) -> FileKey {
    match task::open_file(gate::current_task(), descriptor as u32) {
        Some(file) => file::key(file),
        None => FileKey::default(),
    }
}
