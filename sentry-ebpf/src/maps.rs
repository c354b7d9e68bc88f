//! Every map, once. Sizes of the rings are set by the sensor at load.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE, task_struct},
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
    helpers::generated::bpf_task_storage_get,
    macros::btf_map,
};
use sentry_common::{
    counter::RunBlock,
    fault,
    record::process::FileKey,
    table::{self, Asked, Flow, FlowKey, ProcessTag, RunTag, SocketTag},
};

/// cgroup id → run. Written by the sensor (tag) and `cgroup_mkdir`; read at fork and attach.
#[btf_map]
pub static RUN_CGROUPS: HashMap<u64, RunTag, { table::RUN_CGROUPS as usize }> = HashMap::new();

/// tgid → run, for programs that may not use task storage (cgroup hooks) and for the sensor.
#[btf_map]
pub static PROCESS_TAGS: HashMap<u32, ProcessTag, { table::PROCESS_TAGS as usize }> = HashMap::new();

/// cookie → run and process, for programs that run outside of any process (packets, state changes).
#[btf_map]
pub static SOCKETS: LruHashMap<u64, SocketTag, { table::SOCKETS as usize }> = LruHashMap::new();

/// tgid of a process outside of all runs → the run that last connected to its socket.
#[btf_map]
pub static ASKED: LruHashMap<u32, Asked, { table::ASKED as usize }> = LruHashMap::new();

/// run and other side → packets and bytes. Read and cleared by the sensor.
#[btf_map]
pub static FLOWS: HashMap<FlowKey, Flow, { table::FLOWS as usize }> = HashMap::new();

/// slot → counters. Written by all programs, read by the sensor.
#[btf_map]
pub static RUNS: Array<RunBlock, { table::RUN_SLOTS as usize }> = Array::new();

/// slot → generation of a run whose bulk records are suspended; 0 = none. Written by the sensor.
#[btf_map]
pub static HELD: Array<u32, { table::RUN_SLOTS as usize }> = Array::new();

/// Process and cgroup records: never flooded by file or network activity.
#[btf_map]
pub static CRITICAL: RingBuf<u64, { 16 << 20 }> = RingBuf::new();

/// File and network records.
#[btf_map]
pub static BULK: RingBuf<u64, { 32 << 20 }> = RingBuf::new();

/// fault → count, per CPU.
#[btf_map]
pub static FAULTS: PerCpuArray<u64, { fault::COUNT as usize }> = PerCpuArray::new();

/// Slots in reserve for cgroups that may belong to an agent ([`table::spare`]). The sensor fills
/// it, `probes::select` takes them in turn.
#[btf_map]
pub static SPARES: Array<u64, { table::SPARES as usize }> = Array::new();

/// How many of [`SPARES`] were taken since load.
#[btf_map]
pub static SPARES_ASKED: Array<u64, 1> = Array::new();

/// Beginnings of names of cgroups that may belong to an agent. Written by the sensor.
#[btf_map]
pub static SELECTED_NAMES: LpmTrie<[u8; table::NAME_BYTES], u8, { table::SELECTED as usize }> =
    LpmTrie::new();

/// Names of tasks: if such a task executes something, its cgroup may belong to an agent. Written by
/// the sensor.
#[btf_map]
pub static SELECTED_COMMS: HashMap<[u8; table::COMM_BYTES], u8, { table::SELECTED as usize }> =
    HashMap::new();

/// Users, in the same way. Written by the sensor.
#[btf_map]
pub static SELECTED_USERS: HashMap<u32, u8, { table::SELECTED as usize }> = HashMap::new();

/// Executed files, in the same way. Written by the sensor.
#[btf_map]
pub static SELECTED_FILES: HashMap<table::FileId, u8, { table::SELECTED as usize }> = HashMap::new();

/// task → run: the lineage tag. It lives and dies with the task.
#[unsafe(link_section = ".maps")]
#[unsafe(export_name = "TASK_TAGS")]
pub static TASK_TAGS: TaskStorage<RunTag> = TaskStorage::new();

/// 1 once a task of a run may have lost its tag: from then on tasks without one are looked up by
/// process.
#[btf_map]
pub static TAGS_MISSING: Array<u32, 1> = Array::new();

/// task → the file that its last execve asked for. An interpreter may be executed in its place.
#[unsafe(link_section = ".maps")]
#[unsafe(export_name = "EXEC_FILES")]
pub static EXEC_FILES: TaskStorage<FileKey> = TaskStorage::new();

/// task outside of all runs → the process it descends from that a run connected to.
#[unsafe(link_section = ".maps")]
#[unsafe(export_name = "STARTED_TASKS")]
pub static STARTED_TASKS: TaskStorage<Asked> = TaskStorage::new();

/// `BPF_MAP_TYPE_TASK_STORAGE`, which aya-ebpf 0.2 has no type for. The fields are the map's
/// definition in BTF.
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the struct is a definition read by the loader; no program reads its fields.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// The value of `task`, or null.
    ///
    /// # Safety
    /// `task` is a pointer that the verifier knows as a `task_struct` (argument of a BTF program or
    /// `bpf_get_current_task_btf`).
    #[inline(always)]
    pub unsafe fn get(&self, task: *const u8) -> *mut T {
        // SAFETY: by contract; the helper checks the map.
        unsafe {
            bpf_task_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                task.cast_mut().cast::<task_struct>(),
                core::ptr::null_mut(),
                0,
            )
            .cast()
        }
    }

    /// The value of `task`, inserted from `value` if it had none. Null when there is no memory.
    ///
    /// # Safety
    /// As for [`Self::get`].
    #[inline(always)]
    pub unsafe fn get_or_insert(&self, task: *const u8, value: &mut T) -> *mut T {
        // SAFETY: by contract; `value` lives on the stack during the call.
        unsafe {
            bpf_task_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                task.cast_mut().cast::<task_struct>(),
                core::ptr::from_mut(value).cast(),
                aya_ebpf::bindings::BPF_LOCAL_STORAGE_GET_F_CREATE.into(),
            )
            .cast()
        }
    }
}
