//! One hook → its program, loaded and attached in the way of its sort.

use std::{any::Any, fs::File};

use aya::{
    Btf, Ebpf,
    maps::ProgramArray,
    programs::{
        BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, FEntry,
        FExit, Iter, Lsm, Program, ProgramError,
    },
};

use super::{
    LoadError,
    hooks::{Attach, Hook},
    load::refused,
};

/// Family of a system call → its program. The kernel empties it when the last descriptor of it is closed; the object
/// holds one.
const CALLS: &str = "CALLS";

type Link = Box<dyn Any + Send + Sync>;

/// The program by name, as the type it should have.
pub(super) fn program<'a, T>(
    ebpf: &'a mut Ebpf,
    object: &'static str,
    name: &'static str,
) -> Result<&'a mut T, LoadError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or(LoadError::Absent { object, what: "program", name })?
        .try_into()
        .map_err(refused(object, name))
}

/// Loads the hook's program. The kernel checks its use of the arguments against the type information of the hook.
pub(super) fn load_program(ebpf: &mut Ebpf, hook: &Hook, btf: &Btf) -> Result<(), LoadError> {
    let (object, name, target) = (hook.object.name(), hook.program, hook.target);
    match hook.attach {
        Attach::Tracepoint | Attach::TailCall(_) => {
            program::<BtfTracePoint>(ebpf, object, name)?.load(target, btf)
        }
        Attach::Iterator => program::<Iter>(ebpf, object, name)?.load(target, btf),
        Attach::Lsm => program::<Lsm>(ebpf, object, name)?.load(target, btf),
        Attach::FEntry => program::<FEntry>(ebpf, object, name)?.load(target, btf),
        Attach::FExit => program::<FExit>(ebpf, object, name)?.load(target, btf),
        Attach::SockAddr => program::<CgroupSockAddr>(ebpf, object, name)?.load(),
        Attach::Sock => program::<CgroupSock>(ebpf, object, name)?.load(),
        Attach::Egress | Attach::Ingress => program::<CgroupSkb>(ebpf, object, name)?.load(),
    }
    .map_err(refused(object, name))
}

/// Puts a program into the object's jump table.
fn enter(ebpf: &mut Ebpf, object: &'static str, name: &'static str, index: u16) -> Result<(), LoadError> {
    let fd = program::<BtfTracePoint>(ebpf, object, name)?
        .fd()
        .and_then(|fd| Ok(fd.try_clone()?))
        .map_err(refused(object, name))?;
    let table = ebpf.map_mut(CALLS).ok_or(LoadError::Absent { object, what: "map", name: CALLS })?;
    ProgramArray::try_from(table)
        .and_then(|mut table| table.set(index.into(), &fd, 0))
        .map_err(|source| LoadError::Table { doing: "write", table: CALLS, source: Box::new(source) })
}

/// Attaches the hook's program; `None` for one that is run or called instead.
pub(super) fn attach(ebpf: &mut Ebpf, hook: &Hook, cgroup_root: &File) -> Result<Option<Link>, LoadError> {
    let (object, name) = (hook.object.name(), hook.program);
    let mode = CgroupAttachMode::Single;
    macro_rules! link {
        ($type:ty $(, $argument:expr)*) => {{
            let program = program::<$type>(ebpf, object, name)?;
            let id = program.attach($($argument),*).map_err(refused(object, name))?;
            Box::new(program.take_link(id).map_err(refused(object, name))?) as Link
        }};
    }
    Ok(Some(match hook.attach {
        Attach::Iterator => return Ok(None),
        Attach::TailCall(index) => return enter(ebpf, object, name, index).map(|()| None),
        Attach::Tracepoint => link!(BtfTracePoint),
        Attach::Lsm => link!(Lsm),
        Attach::FEntry => link!(FEntry),
        Attach::FExit => link!(FExit),
        Attach::SockAddr => link!(CgroupSockAddr, cgroup_root, mode),
        Attach::Sock => link!(CgroupSock, cgroup_root, mode),
        Attach::Egress => link!(CgroupSkb, cgroup_root, CgroupSkbAttachType::Egress, mode),
        Attach::Ingress => link!(CgroupSkb, cgroup_root, CgroupSkbAttachType::Ingress, mode),
    }))
}
