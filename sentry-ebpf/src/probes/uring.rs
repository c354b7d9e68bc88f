//! io_uring: rings, and the requests that are put into them.

use sentry_common::{kind, offset as o, record::text::ArgumentText};

use crate::{
    gate,
    kernel::{copy, read, read_pointer, user},
    offsets::of,
    probes::{syscall, system},
};

/// Hook: `tp_btf/io_uring_create(fd, context, sq_entries, cq_entries, flags)`.
#[inline(always)]
pub fn create(entries: u32, flags: u32) {
    let Some(run) = gate::current() else { return };
    if let Some(record) = system::start(&run, kind::IO_RING, entries, flags.into(), 0) {
        record.submit();
    }
}

/// `IORING_OP_*` of the requests that carry a path.
const OPENAT: u32 = 18;
const OPENAT2: u32 = 28;
const RENAMEAT: u32 = 35;
const UNLINKAT: u32 = 36;
const MKDIRAT: u32 = 37;

/// Requests that only move data, wait or look: as system calls they make no record either. One bit
/// per opcode; every opcode beyond these is reported.
const QUIET: u64 = bits(&[
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31, 32, 33,
    34, 43, 44, 47, 48, 49, 50, 51, 52, 53, 54, 58, 59, 60, 61, 62,
]);

const fn bits(opcodes: &[u8]) -> u64 {
    let (mut set, mut index) = (0, 0);
    while index < opcodes.len() {
        set |= 1 << opcodes[index];
        index += 1;
    }
    set
}

/// Hook: `tp_btf/io_uring_submit_req(request)` (6.3+), in the submitter or, with `SQPOLL`, the
/// kernel's thread of its process. For tier C: there no hook sees what the kernel does for a ring.
#[inline(always)]
pub fn submit(request: *const u8) {
    let Some(run) = gate::current() else { return };
    let opcode = u32::from(read::<u8>(request, o::IO_OPCODE));
    if opcode < u64::BITS && QUIET & (1 << opcode) != 0 {
        return;
    }
    let data = read(request, o::IO_USER_DATA);
    let Some(mut record) = system::start(&run, kind::IO_OPERATION, opcode, data, 0) else { return };
    // The first field of a request depends on its opcode.
    let (start, name) = match opcode {
        OPENAT | OPENAT2 => (of(o::IO_OPEN_START), of(o::IO_OPEN_NAME)),
        RENAMEAT => (of(o::IO_RENAME_START), of(o::IO_RENAME_NAME)),
        UNLINKAT => (of(o::IO_UNLINK_START), of(o::IO_UNLINK_NAME)),
        MKDIRAT => (of(o::IO_MKDIR_START), of(o::IO_MKDIR_NAME)),
        _ => (0, 0),
    };
    if name != 0 && name != o::ABSENT as usize {
        let fields = record.fields();
        write_name(request, name, &mut fields.text);
        let directory = copy(request.wrapping_add(start));
        syscall::start_directory(directory, &mut fields.path);
    }
    record.submit();
}

/// The kernel's copy of a path argument.
#[inline(always)]
fn write_name(request: *const u8, offset: usize, out: &mut ArgumentText) {
    let name: *const u8 = copy(request.wrapping_add(offset));
    if let Some(text) = read_pointer(name, o::FILENAME_NAME) {
        user::write_kernel_text(text, out);
    }
}
