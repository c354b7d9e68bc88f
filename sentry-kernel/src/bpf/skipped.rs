//! Calls of programs that the kernel skipped.
//!
//! The kernel does not call a tracing program on a processor where the same program was
//! interrupted: by a tracepoint or trampoline within it or, where the kernel preempts programs, by
//! another task that reaches the same hook (`bpf_prog_inc_misses_counter`, 5.12+). The act then has
//! no record, and only this count shows it.

use super::fdinfo;

/// The sum over all programs of this process since they were loaded; each program has one
/// descriptor. Kernels before 5.17 do not report it in fdinfo. `None` where the process's own
/// descriptors cannot be listed (logged).
pub fn skipped() -> Option<u64> {
    let texts = fdinfo::own()
        .inspect_err(|error| tracing::error!(%error, "cannot read how often the kernel skipped a program"))
        .ok()?;
    Some(texts.filter_map(|text| misses(&text)).sum())
}

fn misses(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::misses;

    #[test]
    fn a_program_tells_how_often_it_was_left_out() {
        let program = "pos:\t0\nprog_type:\t26\nprog_id:\t41\nrun_cnt:\t0\n\
                       recursion_misses:\t290\nverified_insns:\t7\n";
        assert_eq!(misses(program), Some(290));
        assert_eq!(misses("pos:\t0\nlink_type:\ttracing\nprog_id:\t41\n"), None);
    }
}
