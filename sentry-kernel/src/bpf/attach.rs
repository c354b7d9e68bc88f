//! One hook → its program, loaded and attached as its kind of hook requires.

use std::{any::Any, collections::HashMap, fs::File};

use aya::{
    Btf, Ebpf,
    maps::ProgramArray,
    programs::{
        BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, FEntry,
        FExit, Iter, Lsm, Program, ProgramError,
    },
};
use parking_lot::Mutex;

use super::{
    LoadError,
    error::refused,
    hooks::{Attach, Hook},
};

/// Family of a system call → its program. The kernel empties it when the last descriptor of it is
/// closed; the object holds one.
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

/// Loads a program for its hook. The kernel checks its use of the arguments against the type
/// information of the hook.
fn load_program(program: &mut Program, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
    let target = hook.target;
    macro_rules! load {
        ($type:ty $(, $argument:expr)*) => {
            <&mut $type>::try_from(program)?.load($($argument),*)
        };
    }
    match hook.attach {
        Attach::Tracepoint | Attach::TailCall(_) => load!(BtfTracePoint, target, btf),
        Attach::Iterator => load!(Iter, target, btf),
        Attach::Lsm => load!(Lsm, target, btf),
        Attach::FEntry => load!(FEntry, target, btf),
        Attach::FExit => load!(FExit, target, btf),
        Attach::SockAddr => load!(CgroupSockAddr),
        Attach::Sock => load!(CgroupSock),
        Attach::Egress | Attach::Ingress => load!(CgroupSkb),
    }
}

/// Loads the programs of these hooks, all of one object, and returns the result of each in the same
/// order. Loads as many at a time as there are processors: the kernel verifies each within the
/// call, and that takes most of a sensor's start.
pub(super) fn load_programs(
    ebpf: &mut Ebpf,
    hooks: &[&'static Hook],
    btf: &Btf,
    fits: impl Fn(&Hook) -> Result<(), LoadError> + Sync,
) -> Vec<Result<(), LoadError>> {
    let mut programs: HashMap<String, &mut Program> =
        ebpf.programs_mut().map(|(name, program)| (name.to_owned(), program)).collect();
    let work: Vec<_> = hooks.iter().map(|hook| (*hook, programs.remove(hook.program))).collect();
    let results: Vec<Mutex<Option<Result<(), LoadError>>>> = work.iter().map(|_| Mutex::new(None)).collect();
    let work = Mutex::new(work.into_iter().enumerate());
    let load = |hook: &Hook, program: Option<&mut Program>| {
        let (object, name) = (hook.object.name(), hook.program);
        fits(hook)?;
        let program = program.ok_or(LoadError::Absent { object, what: "program", name })?;
        load_program(program, hook, btf).map_err(refused(object, name))
    };
    let worker = || {
        loop {
            let next = work.lock().next();
            let Some((index, (hook, program))) = next else { return };
            let result = load(hook, program);
            *results[index].lock() = Some(result);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(hooks.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    results.into_iter().filter_map(Mutex::into_inner).collect()
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

/// Attaches the hook's program. `None` for one that is not attached, but run by the sensor or
/// called by another program.
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
