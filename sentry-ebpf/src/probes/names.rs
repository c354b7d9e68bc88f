//! A name is removed or changed, seen at the object (tiers A and B).

use sentry_common::{
    kind,
    record::file::{ATTEMPT, FROM_HOOK, NameRecord},
};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::{file, path, user},
};

/// Hooks: LSM `path_unlink(dir, dentry)` and `path_rmdir`, fentry on `security_path_unlink` and `security_path_rmdir`.
/// Before the file system acts: an attempt.
#[inline(always)]
pub fn path_unlink(directory: *const u8, dentry: *const u8) {
    let Some(run) = gate::current() else { return };
    count::add(&run, |block| &raw mut block.unlinks);
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(&run, kind::UNLINK, actor) else { return };
    fill(record.fields(), directory, dentry);
    path::write_none(&mut record.fields().new_path);
    record.submit();
}

/// Hooks: LSM `path_rename(old_dir, old_dentry, new_dir, new_dentry, …)`, fentry on `security_path_rename`.
#[inline(always)]
pub fn path_rename(
    old_directory: *const u8,
    old_dentry: *const u8,
    new_directory: *const u8,
    new_dentry: *const u8,
) {
    let Some(run) = gate::current() else { return };
    count::add(&run, |block| &raw mut block.renames);
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(&run, kind::RENAME, actor) else { return };
    fill(record.fields(), old_directory, old_dentry);
    path::write_child(new_directory, Some(new_dentry), &mut record.fields().new_path);
    record.submit();
}

#[inline(always)]
fn fill(fields: &mut NameRecord, directory: *const u8, dentry: *const u8) {
    fields.file = file::dentry_key(dentry);
    fields.flags = ATTEMPT;
    fields.source = FROM_HOOK;
    fields.error = 0;
    fields.mode = 0;
    path::write_child(directory, Some(dentry), &mut fields.path);
    user::write_no_argument(&mut fields.argument);
    user::write_no_argument(&mut fields.new_argument);
}
