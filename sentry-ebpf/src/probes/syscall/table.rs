//! Which system call is which act: numbers of x86-64 (x32 included) and of i386.
//!
//! An act is family << 8 | number in the family; the family is the index of its program in the jump
//! table. A look-up in read-only memory costs the same for every call: BPF has no jump by number.

use sentry_common::family;

/// A call that is not reported.
pub(super) const NOTHING: u16 = u16::MAX;
/// i386 only: the call is in the first argument, its arguments behind the second.
pub(super) const SOCKET_CALL: u16 = u16::MAX - 1;
/// The tracepoint reports the call itself; here only a refusal counts.
pub(super) const BIRTH: u16 = u16::MAX - 2;

pub(super) const OPEN: u16 = family::OPEN << 8 | 0;
pub(super) const UNLINK: u16 = family::NAME << 8 | 0;
pub(super) const UNLINKAT: u16 = family::NAME << 8 | 1;
pub(super) const MKDIR: u16 = family::NAME << 8 | 2;
pub(super) const MKDIRAT: u16 = family::NAME << 8 | 3;
pub(super) const MKNOD: u16 = family::NAME << 8 | 4;
pub(super) const MKNODAT: u16 = family::NAME << 8 | 5;
pub(super) const SYMLINK: u16 = family::NAME << 8 | 6;
pub(super) const SYMLINKAT: u16 = family::NAME << 8 | 7;
pub(super) const RENAME: u16 = family::NAME << 8 | 8;
pub(super) const RENAMEAT: u16 = family::NAME << 8 | 9;
pub(super) const RENAMEAT2: u16 = family::NAME << 8 | 10;
pub(super) const LINK: u16 = family::NAME << 8 | 11;
pub(super) const LINKAT: u16 = family::NAME << 8 | 12;
pub(super) const TRUNCATE: u16 = family::FILE << 8 | 0;
pub(super) const FTRUNCATE: u16 = family::FILE << 8 | 1;
pub(super) const TRUNCATE64: u16 = family::FILE << 8 | 2;
pub(super) const FTRUNCATE64: u16 = family::FILE << 8 | 3;
pub(super) const CHMOD: u16 = family::FILE << 8 | 4;
pub(super) const FCHMOD: u16 = family::FILE << 8 | 5;
pub(super) const FCHMODAT: u16 = family::FILE << 8 | 6;
pub(super) const FCHMODAT2: u16 = family::FILE << 8 | 7;
pub(super) const CHOWN: u16 = family::FILE << 8 | 8;
pub(super) const FCHOWN: u16 = family::FILE << 8 | 9;
pub(super) const FCHOWNAT: u16 = family::FILE << 8 | 10;
pub(super) const FALLOCATE: u16 = family::FILE << 8 | 11;
pub(super) const COPY_RANGE: u16 = family::FILE << 8 | 12;
pub(super) const IOCTL: u16 = family::FILE << 8 | 13;
pub(super) const SENDFILE: u16 = family::FILE << 8 | 14;
pub(super) const SPLICE: u16 = family::FILE << 8 | 15;
pub(super) const MMAP: u16 = family::MEMORY << 8 | 0;
pub(super) const OLD_MMAP: u16 = family::MEMORY << 8 | 1;
pub(super) const MPROTECT: u16 = family::MEMORY << 8 | 2;
pub(super) const SETXATTR: u16 = family::ATTRIBUTE << 8 | 0;
pub(super) const FSETXATTR: u16 = family::ATTRIBUTE << 8 | 1;
pub(super) const REMOVEXATTR: u16 = family::ATTRIBUTE << 8 | 2;
pub(super) const FREMOVEXATTR: u16 = family::ATTRIBUTE << 8 | 3;
pub(super) const SETXATTRAT: u16 = family::ATTRIBUTE << 8 | 4;
pub(super) const REMOVEXATTRAT: u16 = family::ATTRIBUTE << 8 | 5;
pub(super) const EXECVE: u16 = family::EXEC << 8 | 0;
pub(super) const EXECVEAT: u16 = family::EXEC << 8 | 1;
pub(super) const SOCKET: u16 = family::SOCKET << 8 | 0;
pub(super) const ACCEPT: u16 = family::SOCKET << 8 | 1;
pub(super) const CONNECT: u16 = family::UNIX << 8 | 0;
pub(super) const PTRACE: u16 = family::TARGET << 8 | 0;
pub(super) const READ_MEMORY: u16 = family::TARGET << 8 | 1;
pub(super) const WRITE_MEMORY: u16 = family::TARGET << 8 | 2;
pub(super) const TAKE_DESCRIPTOR: u16 = family::TARGET << 8 | 3;
pub(super) const BPF: u16 = family::KERNEL << 8 | 0;
pub(super) const PERF_OPEN: u16 = family::KERNEL << 8 | 1;
pub(super) const CREDENTIALS: u16 = family::KERNEL << 8 | 2;
pub(super) const UNSHARE: u16 = family::KERNEL << 8 | 3;
pub(super) const SETNS: u16 = family::KERNEL << 8 | 4;
pub(super) const MOUNT: u16 = family::MOUNT << 8 | 0;
pub(super) const MOVE_MOUNT: u16 = family::MOUNT << 8 | 1;
pub(super) const UMOUNT: u16 = family::MOUNT << 8 | 2;
pub(super) const UMOUNT_OLD: u16 = family::MOUNT << 8 | 3;
pub(super) const CHROOT: u16 = family::MOUNT << 8 | 4;
pub(super) const PIVOT_ROOT: u16 = family::MOUNT << 8 | 5;
pub(super) const FANOTIFY_MARK: u16 = family::MOUNT << 8 | 6;
/// The mask is in two arguments.
pub(super) const FANOTIFY_MARK_32: u16 = family::MOUNT << 8 | 7;

/// One more than the highest number in the tables.
const NUMBERS: usize = 560;
/// The bit in the number of an x32 call.
const X32: u32 = 0x4000_0000;

const fn table(rows: &[(u16, &[usize])]) -> [u16; NUMBERS] {
    let mut table = [NOTHING; NUMBERS];
    let mut row = 0;
    while row < rows.len() {
        let (act, numbers) = rows[row];
        let mut index = 0;
        while index < numbers.len() {
            assert!(table[numbers[index]] == NOTHING, "a number stands twice");
            table[numbers[index]] = act;
            index += 1;
        }
        row += 1;
    }
    table
}

/// x86-64. From 512 on: calls that have a number of their own in x32.
static NATIVE: [u16; NUMBERS] = table(&[
    (BIRTH, &[56, 57, 58, 435]),
    (OPEN, &[2, 85, 257, 304, 437]),
    (UNLINK, &[84, 87]),
    (UNLINKAT, &[263]),
    (MKDIR, &[83]),
    (MKDIRAT, &[258]),
    (MKNOD, &[133]),
    (MKNODAT, &[259]),
    (SYMLINK, &[88]),
    (SYMLINKAT, &[266]),
    (RENAME, &[82]),
    (RENAMEAT, &[264]),
    (RENAMEAT2, &[316]),
    (LINK, &[86]),
    (LINKAT, &[265]),
    (TRUNCATE, &[76]),
    (FTRUNCATE, &[77]),
    (CHMOD, &[90]),
    (FCHMOD, &[91]),
    (FCHMODAT, &[268]),
    (FCHMODAT2, &[452]),
    (CHOWN, &[92, 94]),
    (FCHOWN, &[93]),
    (FCHOWNAT, &[260]),
    (FALLOCATE, &[285]),
    (COPY_RANGE, &[326]),
    (IOCTL, &[16, 514]),
    (SENDFILE, &[40]),
    (SPLICE, &[275]),
    (MMAP, &[9]),
    (MPROTECT, &[10, 329]),
    (SETXATTR, &[188, 189]),
    (FSETXATTR, &[190]),
    (REMOVEXATTR, &[197, 198]),
    (FREMOVEXATTR, &[199]),
    (SETXATTRAT, &[463]),
    (REMOVEXATTRAT, &[466]),
    (EXECVE, &[59, 520]),
    (EXECVEAT, &[322, 545]),
    (SOCKET, &[41]),
    (ACCEPT, &[43, 288]),
    (CONNECT, &[42]),
    (PTRACE, &[101, 521]),
    (READ_MEMORY, &[310, 539]),
    (WRITE_MEMORY, &[311, 540]),
    (TAKE_DESCRIPTOR, &[438]),
    (BPF, &[321]),
    (PERF_OPEN, &[298]),
    (CREDENTIALS, &[105, 106, 113, 114, 116, 117, 119]),
    (UNSHARE, &[272]),
    (SETNS, &[308]),
    (MOUNT, &[165]),
    (MOVE_MOUNT, &[429]),
    (UMOUNT, &[166]),
    (CHROOT, &[161]),
    (PIVOT_ROOT, &[155]),
    (FANOTIFY_MARK, &[301]),
]);

/// i386.
static COMPAT: [u16; NUMBERS] = table(&[
    (BIRTH, &[2, 120, 190, 435]),
    (SOCKET_CALL, &[102]),
    (OPEN, &[5, 8, 295, 342, 437]),
    (UNLINK, &[10, 40]),
    (UNLINKAT, &[301]),
    (MKDIR, &[39]),
    (MKDIRAT, &[296]),
    (MKNOD, &[14]),
    (MKNODAT, &[297]),
    (SYMLINK, &[83]),
    (SYMLINKAT, &[304]),
    (RENAME, &[38]),
    (RENAMEAT, &[302]),
    (RENAMEAT2, &[353]),
    (LINK, &[9]),
    (LINKAT, &[303]),
    (TRUNCATE, &[92]),
    (FTRUNCATE, &[93]),
    (TRUNCATE64, &[193]),
    (FTRUNCATE64, &[194]),
    (CHMOD, &[15]),
    (FCHMOD, &[94]),
    (FCHMODAT, &[306]),
    (FCHMODAT2, &[452]),
    (CHOWN, &[16, 182, 198, 212]),
    (FCHOWN, &[95, 207]),
    (FCHOWNAT, &[298]),
    (FALLOCATE, &[324]),
    (COPY_RANGE, &[377]),
    (IOCTL, &[54]),
    (SENDFILE, &[187, 239]),
    (SPLICE, &[313]),
    (OLD_MMAP, &[90]),
    (MMAP, &[192]),
    (MPROTECT, &[125, 380]),
    (SETXATTR, &[226, 227]),
    (FSETXATTR, &[228]),
    (REMOVEXATTR, &[235, 236]),
    (FREMOVEXATTR, &[237]),
    (SETXATTRAT, &[463]),
    (REMOVEXATTRAT, &[466]),
    (EXECVE, &[11]),
    (EXECVEAT, &[358]),
    (SOCKET, &[359]),
    (ACCEPT, &[364]),
    (CONNECT, &[362]),
    (PTRACE, &[26]),
    (READ_MEMORY, &[347]),
    (WRITE_MEMORY, &[348]),
    (TAKE_DESCRIPTOR, &[438]),
    (BPF, &[357]),
    (PERF_OPEN, &[336]),
    (CREDENTIALS, &[23, 46, 70, 71, 81, 164, 170, 203, 204, 206, 208, 210, 213, 214]),
    (UNSHARE, &[310]),
    (SETNS, &[346]),
    (MOUNT, &[21]),
    (MOVE_MOUNT, &[429]),
    (UMOUNT, &[52]),
    (UMOUNT_OLD, &[22]),
    (CHROOT, &[61]),
    (PIVOT_ROOT, &[217]),
    (FANOTIFY_MARK_32, &[339]),
]);

/// The act of a call. The kernel uses only 32 bits of the register; the upper ones can hold
/// anything.
#[inline(always)]
pub(super) fn act(register: u64, compat: bool) -> u16 {
    let number = register as u32;
    let (table, number) = if compat { (&COMPAT, number) } else { (&NATIVE, number & !X32) };
    match table.get(number as usize) {
        Some(act) => *act,
        None => NOTHING,
    }
}

/// Whether a refusal of the call is reported too.
#[inline(always)]
pub(super) fn tells_refusals(act: u16) -> bool {
    matches!(act >> 8, family::EXEC | family::TARGET | family::KERNEL | family::MOUNT)
}
