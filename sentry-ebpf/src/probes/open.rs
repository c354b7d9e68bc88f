//! A file is opened.

use sentry_common::{
    kind,
    record::file::{ATTEMPT, CREATED, FileRecord},
};

use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{file, path},
};

/// `O_ACCMODE`; 0 = read only.
const ACCESS_MODE: u32 = 3;

/// Hooks: LSM `file_open(file)` (tier A), fentry on `security_file_open(file)` (tier B). A later
/// check can still refuse, so the record is marked as an attempt.
#[inline(always)]
pub fn file_open(opened: *const u8) {
    let Some(run) = gate::current() else { return };
    if !file::is_below(opened) {
        report(&run, opened, ATTEMPT);
    }
}

/// Reports the opened object, for every tier.
#[inline(always)]
pub(crate) fn report(run: &Run, opened: *const u8, flags: u32) {
    let open_flags = file::flags(opened);
    // The exec record covers the program file.
    if open_flags & file::FLAG_EXEC != 0 {
        return;
    }
    // The kernel does not mark a file as created that was made without a name.
    let is_new = file::mode(opened) & file::MODE_CREATED != 0 || open_flags & file::FLAG_NAMELESS != 0;
    let created = if is_new { CREATED } else { 0 };
    count::add(run, |block| &raw mut block.counts.opens);
    if open_flags & ACCESS_MODE != 0 {
        count::add(run, |block| &raw mut block.counts.opens_for_write);
    }
    if created != 0 {
        count::add(run, |block| &raw mut block.counts.creates);
    }
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<FileRecord>(run, kind::OPEN, actor) else { return };
    let fields = record.fields();
    fields.file = file::key(opened);
    fields.detail = u64::from(open_flags);
    fields.flags = flags | created;
    fields.error = 0;
    path::write(file::path(opened), &mut fields.path);
    record.submit();
}
