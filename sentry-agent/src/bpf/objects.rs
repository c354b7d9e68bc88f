//! The embedded BPF objects. Empty when the sensor was built without the BPF toolchain.

use aya::include_bytes_aligned;

pub(super) static CORE: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/core.o"));
pub(super) static NETWORK: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/network.o"));
pub(super) static FILE_LSM: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/file_lsm.o"));
pub(super) static FILE_FENTRY: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/file_fentry.o"));
pub(super) static FILE_SYSCALL: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/file_syscall.o"));
