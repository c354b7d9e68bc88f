//! What the kernel compares, so that it asks only about cgroups that may be an agent's.

use std::collections::BTreeSet;

use sentry_common::table::{COMM_BYTES, FileId, NAME_BYTES};

use super::{Selection, Selector, pattern::Pattern};

/// Rows of the tables `SELECTED_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Beginnings of the names of new cgroups.
    pub names: BTreeSet<NamePrefix>,
    /// Names of tasks that execute something.
    pub comms: BTreeSet<[u8; COMM_BYTES]>,
    /// Their users.
    pub users: BTreeSet<u32>,
    pub files: BTreeSet<(u64, u32)>,
}

/// The first `bytes` of a name have to be these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePrefix {
    pub name: [u8; NAME_BYTES],
    pub bytes: u32,
}

/// What the names of the cgroups of containers begin with: the engines' scopes, and the digits of
/// an id.
const OF_CONTAINERS: [&str; 6] = ["docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-", "machine-"];
const DIGITS: &str = "0123456789abcdef";

impl Rows {
    #[must_use]
    pub fn of(selection: &Selection) -> Self {
        let mut rows = Self::default();
        for selector in selection.agents.iter().flat_map(|agent| &agent.selectors) {
            if selector.is_about_executions() {
                rows.add_execution(selector);
            } else {
                rows.add_names(selector);
            }
        }
        if selection.labelled_pods {
            rows.add_containers();
        }
        rows
    }

    /// [`FileId`]s of `files`.
    pub fn file_ids(&self) -> impl Iterator<Item = FileId> {
        self.files.iter().map(|(inode, device)| FileId { inode: *inode, device: *device, reserved: 0 })
    }

    /// The narrowest of its conditions: any that does not hold makes the selector not hold.
    fn add_execution(&mut self, selector: &Selector) {
        if let Some(executable) = &selector.executable {
            if let Some(object) = &executable.object {
                self.files.insert((object.id.inode, object.id.device));
                return;
            }
            if let Some(name) = executable.path.as_ref().and_then(Pattern::literal_file_name) {
                self.comms.insert(comm(name));
                return;
            }
        }
        self.users.extend(selector.user.as_ref().map(|user| user.uid));
    }

    fn add_names(&mut self, selector: &Selector) {
        if let Some(unit) = &selector.unit {
            self.add_pattern(unit);
        } else if selector.container.is_some() || selector.pod.is_some() {
            self.add_containers();
        } else if let Some(cgroup) = &selector.cgroup {
            match last_component(cgroup.text()).map(Pattern::new) {
                Some(Ok(name)) => self.add_pattern(&name),
                _ => self.add(NamePrefix::new("")),
            }
        } else {
            self.add(NamePrefix::new(""));
        }
    }

    fn add_pattern(&mut self, pattern: &Pattern) {
        let (prefix, whole) = pattern.literal_prefix();
        self.add(if whole { NamePrefix::whole(prefix) } else { NamePrefix::new(prefix) });
    }

    fn add_containers(&mut self) {
        for prefix in OF_CONTAINERS {
            self.add(NamePrefix::new(prefix));
        }
        for digit in DIGITS.split_inclusive(|_: char| true) {
            self.add(NamePrefix::new(digit));
        }
    }

    fn add(&mut self, prefix: NamePrefix) {
        self.names.insert(prefix);
    }
}

impl NamePrefix {
    /// Names that begin so; of a long text only as much as is compared.
    fn new(text: &str) -> Self {
        let bytes = text.len().min(NAME_BYTES);
        let mut name = [0; NAME_BYTES];
        name[..bytes].copy_from_slice(&text.as_bytes()[..bytes]);
        Self { name, bytes: u32::try_from(bytes).unwrap_or(0) }
    }

    /// This name alone, its end included, where there is room for it. The kernel's text always ends
    /// in a NUL, so a name of 31 bytes or more is compared in its first 31.
    fn whole(text: &str) -> Self {
        const MOST: usize = NAME_BYTES - 1;
        if text.len() >= MOST {
            let prefix = text.as_bytes().get(..MOST).unwrap_or_default();
            let mut name = [0; NAME_BYTES];
            name[..prefix.len()].copy_from_slice(prefix);
            return Self { name, bytes: u32::try_from(prefix.len()).unwrap_or(0) };
        }
        let prefix = Self::new(text);
        Self { bytes: prefix.bytes + 1, ..prefix }
    }
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
    use proptest::prelude::*;
    use sentry_detect::run::Mode;

    use super::*;
    use crate::{
        container::Facts,
        select::{
            Answer, Selected,
            selector::{Executable, User},
        },
    };

    fn rows(selector: Selector) -> Rows {
        let agent = Selected { agent: "a".into(), mode: Mode::Observe, selectors: vec![selector] };
        Rows::of(&Selection { agents: vec![agent], labelled_pods: false })
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
        let some = rows(Selector { unit: pattern("claude@*.service"), ..Selector::default() });
        assert!(asks(&some, "claude@1.service") && !asks(&some, "codex@1.service"));
        let one = rows(Selector { unit: pattern("claude.service"), ..Selector::default() });
        assert!(asks(&one, "claude.service") && !asks(&one, "claude.service-2"));
        let slice = rows(Selector { slice: pattern("agents.slice"), ..Selector::default() });
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
        let by_name = rows(both);
        assert_eq!(by_name.comms, BTreeSet::from([*b"claude-code-age\0"]));
        assert!(by_name.users.is_empty() && by_name.names.is_empty());
        let by_user = rows(Selector { user: Some(user), ..Selector::default() });
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
                prop_assert!(asks(&rows(selector), name), "{text} holds for {path}");
            }
        }
    }
}
