//! The parameter types that the programs assume of the hooked functions, and whether this kernel's
//! type information agrees.
//!
//! The verifier knows only that a program reads, say, the third register. It cannot know that on
//! another kernel that register holds something else. So each hook that reads parameters has a row
//! here, and if the function differs its program is not loaded: the doctor and every report name
//! it, and no record can be wrong.

use std::collections::HashMap;

use btfparse::{TypeInformation, TypeVariant};

use super::hooks::{Attach, HOOKS, Hook};

/// The type that a program assumes of one parameter. Each is passed in one register.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Not read.
    Any,
    /// A pointer to this structure.
    Pointer(&'static str),
    /// A pointer to characters in kernel memory.
    Text,
    /// A number of this many bytes, also as an enumeration, or as a structure whose only field it
    /// is.
    Number(usize),
}

/// How a program gets the function's result.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Not at all: the function may have further parameters.
    Unread,
    /// From a helper: the function may have further parameters.
    Asked(Kind),
    /// From behind the parameters: the function must have exactly these.
    Behind(Kind),
}

#[derive(Debug)]
pub(super) struct Prototype {
    target: &'static str,
    parameters: &'static [Kind],
    outcome: Outcome,
}

const fn reads(target: &'static str, parameters: &'static [Kind], outcome: Outcome) -> Prototype {
    Prototype { target, parameters, outcome }
}

use Kind::{Any, Number, Pointer, Text};
use Outcome::{Asked, Behind, Unread};

const DENTRY: Kind = Pointer("dentry");
const FILE: Kind = Pointer("file");
const PATH: Kind = Pointer("path");
const REGISTERS: Kind = Pointer("pt_regs");
const SOCK: Kind = Pointer("sock");
const SOCKET: Kind = Pointer("socket");
const TASK: Kind = Pointer("task_struct");
const INT: Kind = Number(4);
const LONG: Kind = Number(8);
/// `umode_t`.
const MODE: Kind = Number(2);

/// Parameters by hook target. For a tracepoint: what it passes. For an LSM hook: what the security
/// module gets.
pub(super) static PROTOTYPES: &[Prototype] = &[
    reads("task_newtask", &[TASK, LONG], Unread),
    reads("sched_process_exec", &[TASK, INT, Pointer("linux_binprm")], Unread),
    reads("sched_process_exit", &[TASK], Unread),
    reads("cgroup_attach_task", &[Pointer("cgroup"), Text, TASK], Unread),
    reads("cgroup_mkdir", &[Pointer("cgroup"), Text], Unread),
    reads("cgroup_rmdir", &[Pointer("cgroup"), Text], Unread),
    reads("inet_sock_set_state", &[SOCK, INT, INT], Unread),
    reads("security_socket_post_create", &[SOCKET, INT, INT, INT, INT], Behind(INT)),
    reads("security_sock_graft", &[SOCK], Unread),
    reads("security_unix_stream_connect", &[Any, SOCK, Any], Behind(INT)),
    reads("security_unix_may_send", &[Any, SOCKET], Behind(INT)),
    reads("security_file_receive", &[FILE], Behind(INT)),
    reads("file_open", &[FILE], Behind(INT)),
    reads("path_unlink", &[PATH, DENTRY], Behind(INT)),
    reads("path_rmdir", &[PATH, DENTRY], Behind(INT)),
    reads("path_rename", &[PATH, DENTRY, PATH, DENTRY, INT], Behind(INT)),
    reads("security_file_open", &[FILE], Unread),
    reads("security_path_unlink", &[PATH, DENTRY], Unread),
    reads("security_path_rmdir", &[PATH, DENTRY], Unread),
    reads("security_path_rename", &[PATH, DENTRY, PATH, DENTRY, INT], Unread),
    reads("security_path_link", &[DENTRY, PATH, DENTRY], Behind(INT)),
    reads("security_path_symlink", &[PATH, DENTRY, Text], Behind(INT)),
    reads("security_path_mkdir", &[PATH, DENTRY, MODE], Behind(INT)),
    reads("security_path_mknod", &[PATH, DENTRY, MODE, Any], Behind(INT)),
    reads("security_path_truncate", &[PATH], Behind(INT)),
    reads("security_file_truncate", &[FILE], Behind(INT)),
    reads("security_path_chmod", &[PATH, MODE], Behind(INT)),
    reads("security_path_chown", &[PATH, INT, INT], Behind(INT)),
    reads("security_inode_setxattr", &[Any, DENTRY, Text, Any, Any, Any], Behind(INT)),
    reads("security_inode_set_acl", &[Any, DENTRY, Text, Any], Behind(INT)),
    reads("security_inode_removexattr", &[Any, DENTRY, Text], Behind(INT)),
    reads("security_inode_remove_acl", &[Any, DENTRY, Text], Behind(INT)),
    reads("security_mmap_file", &[FILE, LONG, LONG], Behind(INT)),
    reads("security_file_mprotect", &[Pointer("vm_area_struct"), Any, LONG], Behind(INT)),
    reads("vfs_copy_file_range", &[Any, Any, FILE, Any, LONG, Any], Behind(LONG)),
    reads("vfs_clone_file_range", &[Any, Any, FILE, Any, LONG, Any], Behind(LONG)),
    reads("vfs_fallocate", &[FILE, INT, Any, Any], Behind(INT)),
    reads("__fput", &[FILE], Unread),
    reads("security_bprm_check", &[Pointer("linux_binprm")], Unread),
    reads("__x64_sys_execve", &[REGISTERS], Behind(LONG)),
    reads("__x64_sys_execveat", &[REGISTERS], Behind(LONG)),
    reads("__ia32_compat_sys_execve", &[REGISTERS], Behind(LONG)),
    reads("__ia32_compat_sys_execveat", &[REGISTERS], Behind(LONG)),
    reads("signal_generate", &[INT, Pointer("kernel_siginfo"), TASK], Unread),
    reads("module_load", &[Pointer("module")], Unread),
    reads("io_uring_create", &[Any, Any, INT, Any, INT], Unread),
    reads("io_uring_submit_req", &[Pointer("io_kiocb")], Unread),
    reads("kernel_clone", &[], Asked(INT)),
    reads("create_io_thread", &[], Asked(TASK)),
    reads("security_ptrace_access_check", &[TASK, INT], Asked(INT)),
    reads("security_ptrace_traceme", &[TASK], Asked(INT)),
    reads("security_bpf", &[INT], Asked(INT)),
    reads("__x64_sys_perf_event_open", &[REGISTERS], Asked(LONG)),
    reads("security_sb_mount", &[Text, PATH, Text, LONG], Asked(INT)),
    reads("security_move_mount", &[Any, PATH], Asked(INT)),
    reads("security_sb_umount", &[Pointer("vfsmount"), INT], Asked(INT)),
    reads("security_path_chroot", &[PATH], Asked(INT)),
    reads("security_sb_pivotroot", &[Any, PATH], Asked(INT)),
    reads("security_path_notify", &[PATH, LONG], Asked(INT)),
    reads("ksys_unshare", &[LONG], Asked(INT)),
    reads("__x64_sys_setns", &[REGISTERS], Asked(LONG)),
    reads("commit_creds", &[Pointer("cred")], Unread),
    reads("sys_exit", &[REGISTERS, LONG], Unread),
];

/// The kernel's type that describes the hook's arguments: a function, or the type of a tracepoint's
/// callback.
fn described_by(hook: &Hook) -> Option<String> {
    match hook.attach {
        Attach::FEntry | Attach::FExit => Some(hook.target.to_owned()),
        Attach::Lsm => Some(format!("bpf_lsm_{}", hook.target)),
        Attach::Tracepoint | Attach::TailCall(_) => Some(format!("btf_trace_{}", hook.target)),
        // The arguments of these are part of the kernel's stable interface.
        Attach::Iterator | Attach::SockAddr | Attach::Sock | Attach::Egress | Attach::Ingress => None,
    }
}

/// The names of hooks whose arguments differ on this kernel from what the programs assume, each
/// with the difference. A function that the kernel lacks is not among them: loading its program
/// gives the better error.
pub(super) fn misfits(types: &TypeInformation) -> Vec<(String, String)> {
    misfits_of(types, PROTOTYPES)
}

fn misfits_of(types: &TypeInformation, prototypes: &[Prototype]) -> Vec<(String, String)> {
    let wanted: HashMap<String, &Hook> =
        HOOKS.iter().filter_map(|hook| Some((described_by(hook)?, hook))).collect();
    let mut found = Vec::new();
    for variant in types.get().values() {
        let (name, id) = match variant {
            TypeVariant::Func(function) => (function.name(), *function.prototype_tid()),
            TypeVariant::Typedef(callback) => (callback.name(), *callback.tid()),
            _ => continue,
        };
        let Some(hook) = name.as_ref().and_then(|name| wanted.get(name)) else { continue };
        let prototype = prototypes.iter().find(|prototype| prototype.target == hook.target);
        let Some(prototype) = prototype else { continue };
        if let Err(difference) = compare(types, id, prototype, hook.attach) {
            found.push((hook.name(), difference));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Describes the first difference. `id` is the function's type, or a pointer to it.
fn compare(types: &TypeInformation, id: u32, prototype: &Prototype, attach: Attach) -> Result<(), String> {
    let id = if let Some(TypeVariant::Ptr(pointer)) = plain(types, id) { *pointer.tid() } else { id };
    let Some(TypeVariant::FuncProto(function)) = plain(types, id) else {
        return Err("the kernel's type information calls it no function".to_owned());
    };
    // The first argument of a tracepoint's callback is the data of the one that registered it.
    let own = usize::from(matches!(attach, Attach::Tracepoint | Attach::TailCall(_)));
    let passed = function.parameter_list().get(own..).unwrap_or_default();
    for (index, kind) in prototype.parameters.iter().enumerate() {
        let number = index + 1;
        let Some(parameter) = passed.get(index) else {
            return Err(format!("it has {} parameters, and number {number} is read", passed.len()));
        };
        let id = parameter.tid();
        if !is(types, id, *kind) {
            return Err(format!("parameter {number} is {}, not {}", describe(types, id), expected(*kind)));
        }
    }
    let wanted = match prototype.outcome {
        Unread => return Ok(()),
        Behind(_) if passed.len() != prototype.parameters.len() => {
            return Err(format!("it has {} parameters, not {}", passed.len(), prototype.parameters.len()));
        }
        Behind(result) | Asked(result) => result,
    };
    let result = *function.return_tid();
    if is(types, result, wanted) {
        Ok(())
    } else {
        Err(format!("its result is {}, not {}", describe(types, result), expected(wanted)))
    }
}

/// The type without names and qualifiers; `None` for `void`.
fn plain(types: &TypeInformation, mut id: u32) -> Option<&TypeVariant> {
    /// More steps than any type of a kernel needs. A bound, because the file may be damaged.
    const DEPTH: usize = 32;
    for _ in 0..DEPTH {
        let variant = types.get().get(&id)?;
        id = match variant {
            TypeVariant::Typedef(inner) => *inner.tid(),
            TypeVariant::Const(inner) => *inner.tid(),
            TypeVariant::Volatile(inner) => *inner.tid(),
            TypeVariant::Restrict(inner) => *inner.tid(),
            TypeVariant::TypeTag(inner) => *inner.tid(),
            _ => return Some(variant),
        };
    }
    None
}

fn is(types: &TypeInformation, id: u32, kind: Kind) -> bool {
    let variant = plain(types, id);
    let to = match variant {
        Some(TypeVariant::Ptr(pointer)) => Some(plain(types, *pointer.tid())),
        _ => None,
    };
    match (kind, to) {
        // A larger one takes two registers, and all parameters after it would be read from the
        // wrong registers.
        (Any, None) => types.size_of(id).is_ok_and(|bytes| bytes <= size_of::<u64>()),
        (Any, Some(_)) => true,
        (Pointer(name), Some(Some(TypeVariant::Struct(target)))) => target.name().as_deref() == Some(name),
        (Pointer(name), Some(Some(TypeVariant::Fwd(target)))) => target.name().as_deref() == Some(name),
        (Text, Some(Some(TypeVariant::Int(target)))) => *target.size() == 1,
        (Number(bytes), None) => variant.is_some() && types.size_of(id).is_ok_and(|size| size == bytes),
        _ => false,
    }
}

fn expected(kind: Kind) -> String {
    match kind {
        Any => "one register".to_owned(),
        Pointer(name) => format!("a pointer to {name}"),
        Text => "a pointer to text".to_owned(),
        Number(bytes) => format!("{bytes} bytes"),
    }
}

fn describe(types: &TypeInformation, id: u32) -> String {
    let name = |variant: Option<&TypeVariant>| match variant {
        Some(TypeVariant::Struct(target)) => target.name().clone(),
        Some(TypeVariant::Union(target)) => target.name().clone(),
        Some(TypeVariant::Fwd(target)) => target.name().clone(),
        Some(TypeVariant::Int(target)) => target.name().clone(),
        _ => None,
    };
    match plain(types, id) {
        None => "nothing".to_owned(),
        Some(TypeVariant::Ptr(pointer)) => {
            let target = name(plain(types, *pointer.tid()));
            format!("a pointer to {}", target.as_deref().unwrap_or("something else"))
        }
        Some(_) => types.size_of(id).map_or("of unknown size".to_owned(), |bytes| format!("{bytes} bytes")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::{super::offsets::Bytes, *};

    fn this_kernel() -> TypeInformation {
        // Type information of another kernel, to see what would not fit there.
        let path = std::env::var("AGENTSENTRY_BTF").unwrap_or_else(|_| "/sys/kernel/btf/vmlinux".to_owned());
        TypeInformation::new(&Bytes(std::fs::read(path).unwrap())).unwrap()
    }

    #[test]
    fn every_hook_with_a_prototype_has_a_row_and_no_row_is_for_nothing() {
        for hook in HOOKS.iter().filter(|hook| described_by(hook).is_some()) {
            assert!(PROTOTYPES.iter().any(|row| row.target == hook.target), "{} has no row", hook.name());
        }
        for row in PROTOTYPES {
            let count = PROTOTYPES.iter().filter(|other| other.target == row.target).count();
            assert!(count == 1 && HOOKS.iter().any(|hook| hook.target == row.target), "{}", row.target);
        }
    }

    #[test]
    fn this_kernel_fits() {
        assert_eq!(misfits(&this_kernel()), Vec::new());
    }

    /// Every way in which a function can differ from what the programs were written for.
    #[test]
    fn a_function_that_differs_is_named_with_the_difference() {
        let types = this_kernel();
        let difference = |parameters: &'static [Kind], outcome: Outcome| {
            let row = reads("security_path_link", parameters, outcome);
            let mut found = misfits_of(&types, &[row]);
            assert!(found.len() < 2, "{found:?}");
            found.pop().map(|(hook, difference)| {
                assert_eq!(hook, "fexit/security_path_link");
                difference
            })
        };
        assert_eq!(difference(&[DENTRY, PATH, DENTRY], Behind(INT)), None);
        assert_eq!(difference(&[DENTRY], Asked(INT)), None);
        for (parameters, outcome, expected) in [
            (&[DENTRY, DENTRY][..], Unread, "parameter 2 is a pointer to path, not a pointer to dentry"),
            (&[INT], Unread, "parameter 1 is a pointer to dentry, not 4 bytes"),
            (&[Text], Unread, "parameter 1 is a pointer to dentry, not a pointer to text"),
            (&[Any, Any, Any, INT], Unread, "it has 3 parameters, and number 4 is read"),
            (&[DENTRY, PATH], Behind(INT), "it has 3 parameters, not 2"),
            (&[DENTRY], Asked(LONG), "its result is 4 bytes, not 8 bytes"),
        ] {
            assert_eq!(difference(parameters, outcome).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_a_tracepoint_passes_is_counted_without_its_own_data() {
        let types = this_kernel();
        let wrong = [reads("task_newtask", &[TASK, INT], Unread)];
        let found = misfits_of(&types, &wrong);
        assert_eq!(
            found,
            [("tp_btf/task_newtask".to_owned(), "parameter 2 is 8 bytes, not 4 bytes".to_owned())]
        );
    }

    #[test]
    fn a_number_is_no_pointer() {
        let found = misfits_of(&this_kernel(), &[reads("security_bpf", &[PATH], Unread)]);
        assert_eq!(found[0].1, "parameter 1 is 4 bytes, not a pointer to path");
    }
}
