//! Families of system calls: indices of the jump table `CALLS`, which holds the program that
//! reports of each.

pub const OPEN: u16 = 0;
pub const NAME: u16 = 1;
pub const FILE: u16 = 2;
pub const MEMORY: u16 = 3;
pub const ATTRIBUTE: u16 = 4;
pub const EXEC: u16 = 5;
pub const SOCKET: u16 = 6;
pub const UNIX: u16 = 7;
pub const TARGET: u16 = 8;
pub const KERNEL: u16 = 9;
pub const MOUNT: u16 = 10;
/// Number of families.
pub const COUNT: usize = 11;
