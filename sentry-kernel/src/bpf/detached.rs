//! Attachments that another process has detached.
//!
//! A process can detach another's link to a cgroup (`BPF_LINK_DETACH`). The descriptor stays open,
//! and only its fdinfo shows it: the cgroup's id there becomes 0 (`bpf_cgroup_link_show_fdinfo`,
//! 5.7+; seen on 6.18). Tracing links cannot be detached in this way.

use std::{collections::HashSet, io};

use sentry_common::fact::Fact;

use super::{
    Programs, fdinfo,
    hooks::{Attach, HOOKS},
};

impl Programs {
    /// Facts whose attachment to the cgroup root is gone.
    ///
    /// # Errors
    /// When the process's own descriptors cannot be listed.
    pub fn detached(&self) -> io::Result<Vec<Fact>> {
        let gone = without_cgroup()?;
        let on_cgroups = HOOKS.iter().filter(|hook| {
            matches!(hook.attach, Attach::SockAddr | Attach::Sock | Attach::Egress | Attach::Ingress)
        });
        let detached = on_cgroups.filter(|hook| self.id_of(hook).is_some_and(|id| gone.contains(&id)));
        Ok(detached.map(|hook| hook.fact).collect())
    }
}

/// Ids of the programs whose links have lost their cgroup.
fn without_cgroup() -> io::Result<HashSet<u32>> {
    Ok(fdinfo::own()?.filter_map(|text| program_without_cgroup(&text)).collect())
}

/// The program of a cgroup link that was detached.
fn program_without_cgroup(fdinfo: &str) -> Option<u32> {
    let field =
        |name: &str| fdinfo.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()));
    (field("link_type") == Some("cgroup") && field("cgroup_id") == Some("0"))
        .then(|| field("prog_id")?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::program_without_cgroup;

    #[test]
    fn a_link_without_its_cgroup_names_its_program() {
        let link = |kind: &str, cgroup: &str| {
            format!(
                "pos:\t0\nflags:\t02000000\nlink_type:\t{kind}\nlink_id:\t7\nprog_tag:\tab\nprog_id:\t41\n\
                 cgroup_id:\t{cgroup}\nattach_type:\t10\n"
            )
        };
        assert_eq!(program_without_cgroup(&link("cgroup", "0")), Some(41));
        assert_eq!(program_without_cgroup(&link("cgroup", "1")), None);
        assert_eq!(program_without_cgroup(&link("tracing", "0")), None);
        assert_eq!(program_without_cgroup("pos:\t0\nflags:\t02\n"), None);
    }
}
