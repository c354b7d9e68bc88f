//! Acts on the kernel: programs, events, modules, mounts, roots.

use sentry_common::{kind, offset as o, record::other::KernelRecord};

use crate::{
    emit::{self, Actor, Record},
    gate::{self, Run},
    kernel::{call, path, read, user},
    offsets::of,
};

/// Reserves a record of the bulk ring whose path and text are empty.
#[inline(always)]
pub(crate) fn start(
    run: &Run,
    kind: u16,
    code: u32,
    detail: u64,
    error: u32,
) -> Option<Record<KernelRecord>> {
    let mut record = emit::bulk::<KernelRecord>(run, kind, Actor::current(gate::current_task()))?;
    fill(record.fields(), code, detail, error);
    Some(record)
}

#[inline(always)]
pub(crate) fn fill(fields: &mut KernelRecord, code: u32, detail: u64, error: u32) {
    fields.detail = detail;
    fields.code = code;
    fields.flags = 0;
    fields.error = error;
    fields.reserved = 0;
    path::write_none(&mut fields.path);
    user::write_no_argument(&mut fields.text);
}

/// Hook: `tp_btf/module_load(module)`, in the process that loads it, before the module's first
/// instruction.
#[inline(always)]
pub fn module_load(module: *const u8) {
    let Some(run) = gate::current() else { return };
    let Some(mut record) = start(&run, kind::MODULE, 0, 0, 0) else { return };
    user::write_kernel_text(module.wrapping_add(of(o::MODULE_NAME)), &mut record.fields().text);
    record.submit();
}

/// Hook: fexit `security_bpf(command, …)`.
#[inline(always)]
pub fn bpf(command: u32, error: u32) {
    let Some(run) = gate::current() else { return };
    if let Some(record) = start(&run, kind::BPF, command, 0, error) {
        record.submit();
    }
}

/// Hook: fexit `__x64_sys_perf_event_open(regs)`. The security call comes too early: on 6.1–6.12
/// its attribute is not yet copied from the caller, on 6.18 it has none. Type and configuration
/// come from the caller's memory.
#[inline(always)]
pub fn perf_open(regs: *const u8, result: i64) {
    /// `perf_event_attr.config`, behind `type` and `size`.
    const CONFIG: u64 = 8;
    let Some(run) = gate::current() else { return };
    let attribute: u64 = read(regs, o::REGS_DI);
    let event_type = user::read(attribute).unwrap_or(u32::MAX);
    let config = user::read(attribute + CONFIG).unwrap_or(0);
    if let Some(record) = start(&run, kind::PERF_OPEN, event_type, config, call::refusal(result)) {
        record.submit();
    }
}

/// Hook: fexit `security_sb_mount(device, path, type, flags, data)`: mount(2), also bind mounts and
/// remounts. `device` is the kernel's copy of the source; if it is null, the type of file system is
/// reported instead.
#[inline(always)]
pub fn mount(device: u64, place: *const u8, file_system: u64, flags: u64, error: u32) {
    let Some(run) = gate::current() else { return };
    let Some(mut record) = start(&run, kind::MOUNT, 0, flags, error) else { return };
    let what = if device == 0 { file_system } else { device };
    user::write_kernel_text(what as *const u8, &mut record.fields().text);
    path::write(place, &mut record.fields().path);
    record.submit();
}

/// Hook: fexit `security_move_mount(from, to)`: the last step of the newer mount calls.
#[inline(always)]
pub fn move_mount(to: *const u8, error: u32) {
    at(kind::MOUNT, 0, to, error);
}

/// Hook: fexit `security_sb_umount(mount, flags)`.
#[inline(always)]
pub fn unmount(mount: *const u8, flags: u32, error: u32) {
    let Some(run) = gate::current() else { return };
    let Some(mut record) = start(&run, kind::UNMOUNT, 0, flags.into(), error) else { return };
    path::write_mount(mount, &mut record.fields().path);
    record.submit();
}

/// Hooks: fexit `security_path_chroot(path)` (code 0), `security_sb_pivotroot(old, new)` (code 1).
#[inline(always)]
pub fn change_root(code: u32, root: *const u8, error: u32) {
    at(kind::CHANGE_ROOT, code, root, error);
}

/// Hook: fexit `security_path_notify(path, mask, type)` (5.4+). inotify and dnotify, which only
/// observe, call it too.
#[inline(always)]
pub fn watch(place: *const u8, mask: u64, error: u32) {
    let Some(run) = gate::current() else { return };
    if !call::is_fanotify_mark() {
        return;
    }
    let Some(mut record) = start(&run, kind::WATCH, 0, mask, error) else { return };
    path::write(place, &mut record.fields().path);
    record.submit();
}

#[inline(always)]
fn at(kind: u16, code: u32, place: *const u8, error: u32) {
    let Some(run) = gate::current() else { return };
    let Some(mut record) = start(&run, kind, code, 0, error) else { return };
    path::write(place, &mut record.fields().path);
    record.submit();
}
