//! What the kernel compares, so that it asks only about cgroups that may be an agent's.

use sentry_common::table::COMM_BYTES;
use sentry_kernel::bpf::selected::{NamePrefix, Rows};

use super::{Selection, Selector, pattern::Pattern};

/// What the names of the cgroups of containers begin with: the engines' scopes, and the digits of
/// an id.
const OF_CONTAINERS: [&str; 6] = ["docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-", "machine-"];
const DIGITS: &str = "0123456789abcdef";

/// The rows by which the kernel asks about everything that is selected.
#[must_use]
pub fn rows(selection: &Selection) -> Rows {
    let mut rows = Rows::default();
    for selector in selection.agents.iter().flat_map(|agent| &agent.selectors) {
        if selector.is_about_executions() {
            add_execution(&mut rows, selector);
        } else {
            add_names(&mut rows, selector);
        }
    }
    if selection.labelled_pods {
        add_containers(&mut rows);
    }
    rows
}

/// The narrowest of its conditions: any that does not hold makes the selector not hold.
fn add_execution(rows: &mut Rows, selector: &Selector) {
    if let Some(executable) = &selector.executable {
        if let Some(object) = &executable.object {
            rows.files.insert((object.id.inode, object.id.device));
            return;
        }
        if let Some(name) = executable.path.as_ref().and_then(Pattern::literal_file_name) {
            rows.comms.insert(comm(name));
            return;
        }
    }
    rows.users.extend(selector.user.as_ref().map(|user| user.uid));
}

fn add_names(rows: &mut Rows, selector: &Selector) {
    if let Some(unit) = &selector.unit {
        rows.names.insert(prefix(unit));
    } else if selector.container.is_some() || selector.pod.is_some() {
        add_containers(rows);
    } else if let Some(cgroup) = &selector.cgroup {
        rows.names.insert(match last_component(cgroup.text()).map(Pattern::new) {
            Some(Ok(name)) => prefix(&name),
            _ => NamePrefix::new(""),
        });
    } else {
        rows.names.insert(NamePrefix::new(""));
    }
}

fn prefix(pattern: &Pattern) -> NamePrefix {
    let (prefix, whole) = pattern.literal_prefix();
    if whole { NamePrefix::whole(prefix) } else { NamePrefix::new(prefix) }
}

fn add_containers(rows: &mut Rows) {
    let digits = DIGITS.split_inclusive(|_: char| true);
    rows.names.extend(OF_CONTAINERS.into_iter().chain(digits).map(NamePrefix::new));
}

/// A file's name as the kernel makes a task's name of it.
fn comm(name: &str) -> [u8; COMM_BYTES] {
    let mut comm = [0; COMM_BYTES];
    let kept = name.len().min(COMM_BYTES - 1);
    comm[..kept].copy_from_slice(&name.as_bytes()[..kept]);
    comm
}

/// The last component of a pattern, where that is clear: alternatives may hold slashes.
fn last_component(pattern: &str) -> Option<&str> {
    let alternatives = pattern.find('{').unwrap_or(pattern.len());
    if pattern[alternatives..].contains('/') {
        return None;
    }
    pattern.rsplit('/').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        container::Facts,
        select::{
            Answer, Selected,
            selector::{Executable, User},
        },
    };
    use proptest::prelude::*;
    use sentry_common::table::NAME_BYTES;

    fn rows_of(selector: Selector) -> Rows {
        let agent = Selected { agent: "a".into(), selectors: vec![selector] };
        rows(&Selection { agents: vec![agent], labelled_pods: false })
    }

    fn pattern(text: &str) -> Option<Pattern> {
        Some(Pattern::new(text).unwrap())
    }

    /// As the kernel does it.
    fn asks(rows: &Rows, name: &str) -> bool {
        let mut text = [0; NAME_BYTES];
        let kept = name.len().min(NAME_BYTES - 1);
        text[..kept].copy_from_slice(&name.as_bytes()[..kept]);
        rows.names.iter().any(|prefix| {
            let bytes = prefix.bytes as usize;
            text[..bytes] == prefix.name[..bytes]
        })
    }

    #[test]
    fn a_unit_is_asked_about_by_its_beginning_or_whole() {
        let some = rows_of(Selector { unit: pattern("claude@*.service"), ..Selector::default() });
        assert!(asks(&some, "claude@1.service") && !asks(&some, "codex@1.service"));
        let one = rows_of(Selector { unit: pattern("claude.service"), ..Selector::default() });
        assert!(asks(&one, "claude.service") && !asks(&one, "claude.service-2"));
        let slice = rows_of(Selector { slice: pattern("agents.slice"), ..Selector::default() });
        assert!(asks(&slice, "anything.service"));
    }

    #[test]
    fn an_execution_is_asked_about_by_the_narrowest_condition() {
        let user = User { name: "ada".into(), uid: 1000 };
        let executable = |path| Executable { path: pattern(path), ..Executable::default() };
        let both = Selector {
            user: Some(user.clone()),
            executable: Some(executable("/usr/bin/claude-code-agent")),
            ..Selector::default()
        };
        let by_name = rows_of(both);
        assert_eq!(by_name.comms, BTreeSet::from([*b"claude-code-age\0"]));
        assert!(by_name.users.is_empty() && by_name.names.is_empty());
        let by_user = rows_of(Selector { user: Some(user), ..Selector::default() });
        assert_eq!(by_user.users, BTreeSet::from([1000]));
    }

    proptest! {
        /// Whatever a selector of cgroups holds for, the kernel asks about.
        #[test]
        fn the_kernel_asks_about_whatever_is_selected(
            text in "/([ab]{1,2}|\\*|\\*\\*|[ab]\\*|\\{a,b\\}|\\{a/b,b\\})(/([ab]{1,40}|\\*|\\*\\*|[ab]*\\*b)){0,2}",
            path in "(/[ab]{1,40}){1,3}",
        ) {
            let Ok(pattern) = Pattern::new(&text) else { return Ok(()) };
            let selector = Selector { cgroup: Some(pattern), ..Selector::default() };
            if selector.holds(&path, None, &Facts::default()) == Answer::Yes {
                let name = path.rsplit('/').next().unwrap();
                prop_assert!(asks(&rows_of(selector), name), "{text} holds for {path}");
            }
        }
    }
}
