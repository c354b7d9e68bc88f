//! What loading the programs costs: time per object, and per program the instructions that the
//! verifier processed.

use std::{path::Path, time::Instant};

use aya::{Ebpf, programs::ProgramError};
use serde::Serialize;

use super::{
    LoadError, Programs, RingSizes, capability,
    hooks::{HOOKS, Hook},
};

/// The answer of `sentry doctor --programs`.
#[derive(Clone, Debug, Serialize)]
pub struct Costs {
    pub kernel: String,
    pub tier: &'static str,
    /// All objects, including the look at the kernel before them.
    pub load_ms: u64,
    pub attach_ms: u64,
    pub objects: Vec<ObjectCost>,
    pub programs: Vec<ProgramCost>,
    pub missing: Vec<Missing>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ObjectCost {
    pub object: &'static str,
    pub load_ms: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProgramCost {
    pub object: &'static str,
    pub program: &'static str,
    pub hook: String,
    /// Instructions that the verifier processed; absent where the kernel does not report them
    /// (before 5.16).
    pub verified: Option<u32>,
}

/// A program that this kernel refuses, or has no hook for.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    pub object: &'static str,
    pub program: &'static str,
    pub hook: String,
    pub why: String,
}

/// Loads and attaches everything as a sensor does, then drops it.
///
/// # Errors
/// When this kernel or this caller cannot run the programs every run needs.
pub fn costs(btf: &Path, cgroup_root: &Path) -> Result<Costs, LoadError> {
    let rings = RingSizes { critical_bytes: 1 << 16, bulk_bytes: 1 << 16 };
    let start = Instant::now();
    let (mut loaded, _rings, _held) = Programs::load(btf, cgroup_root, rings)?;
    let load = start.elapsed();
    let start = Instant::now();
    loaded.arm()?;
    let attach = start.elapsed();
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut programs = Vec::new();
    for hook in loaded.present() {
        let Some(ebpf) = loaded.object(hook.object) else { continue };
        programs.push(ProgramCost {
            object: hook.object.name(),
            program: hook.program,
            hook: hook.name(),
            verified: verified(ebpf, hook)?,
        });
    }
    let objects = loaded.load_times();
    let missing = loaded.missing().iter().map(|(hook, why)| Missing {
        object: hook.object.name(),
        program: hook.program,
        hook: hook.name(),
        why: why.clone(),
    });
    Ok(Costs {
        kernel: capability::kernel_release(),
        tier: loaded.tier().letter(),
        load_ms: ms(load),
        attach_ms: ms(attach),
        objects: objects
            .map(|(object, took)| ObjectCost { object: object.name(), load_ms: ms(took) })
            .collect(),
        programs,
        missing: missing.collect(),
    })
}

fn verified(ebpf: &Ebpf, hook: &Hook) -> Result<Option<u32>, LoadError> {
    let (object, name) = (hook.object.name(), hook.program);
    let program = ebpf.program(name).ok_or(LoadError::Absent { object, what: "program", name })?;
    let refused = |error: ProgramError| super::error::refused(object, name)(error);
    Ok(program.info().map_err(refused)?.verified_instruction_count())
}

impl Programs {
    /// The hooks of this tier that this kernel has.
    fn present(&self) -> Vec<&'static Hook> {
        let is_missing = |hook: &Hook| self.missing().iter().any(|(missing, _)| std::ptr::eq(*missing, hook));
        HOOKS.iter().filter(|hook| hook.is_on(self.tier()) && !is_missing(hook)).collect()
    }
}
