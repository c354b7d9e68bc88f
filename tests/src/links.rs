//! BPF links of another process, by number.

use std::fs;

use nix::libc;

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
    let mut descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let link = descriptors.find_map(|entry| {
        let text = fs::read_to_string(entry.ok()?.path()).ok()?;
        let field = |name: &str| -> Option<u32> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        (field("attach_type:")? == attach_type).then(|| field("link_id:"))?
    });
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
