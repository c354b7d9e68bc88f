//! BPF links of another process, by number.

use nix::libc;

use crate::holdings::{fdinfo, field};

/// `BPF_LINK_GET_FD_BY_ID`, `BPF_LINK_DETACH`.
const GET_FD_BY_ID: libc::c_long = 30;
const DETACH: libc::c_long = 34;
/// Attach types of `cgroup/connect4` and `cgroup/connect6`.
pub const CONNECT4: u32 = 10;
pub const CONNECT6: u32 = 11;

/// Detaches the program with that attach type of the process behind its back.
///
/// # Panics
/// When it holds no such link, or the kernel refuses.
pub fn detach(pid: u32, attach_type: u32) {
    let link = fdinfo(pid)
        .find_map(|text| (field(&text, "attach_type:")? == attach_type).then(|| field(&text, "link_id:"))?);
    let fd = bpf(GET_FD_BY_ID, link.expect("the process holds such a link"));
    bpf(DETACH, u32::try_from(fd).unwrap());
    // SAFETY: made above, used nowhere else.
    unsafe { libc::close(i32::try_from(fd).unwrap()) };
}

/// bpf(2) with an attribute whose first word is `argument`.
fn bpf(command: libc::c_long, argument: u32) -> libc::c_long {
    let attribute = [argument, 0, 0, 0];
    // SAFETY: both commands read only the attribute, whose size is given.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attribute.as_ptr(), size_of_val(&attribute)) };
    assert!(result >= 0, "bpf({command}): {}", std::io::Error::last_os_error());
    result
}
