//! One way for a cgroup to be an agent's: conditions that all have to hold.

use std::{fmt, fs};

use sentry_common::table::FileId;

use super::{
    answer::Answer,
    container::{ContainerMatch, PodMatch},
    pattern::Pattern,
};
use crate::container::Facts;

/// Conditions on a cgroup, and on a process that executes something in it; all that are there have
/// to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Name of the systemd unit whose own cgroup it is.
    pub unit: Option<Pattern>,
    /// Name of a slice above a unit's own cgroup.
    pub slice: Option<Pattern>,
    /// Path below the cgroup mount, from its slash on.
    pub cgroup: Option<Pattern>,
    pub user: Option<User>,
    pub executable: Option<Executable>,
    pub container: Option<ContainerMatch>,
    pub pod: Option<PodMatch>,
}

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
}

/// The file of a program or script; all that is there has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executable {
    /// Of the path that was asked for, or that of the file that was executed. Its last component
    /// has no wildcard.
    pub path: Option<Pattern>,
    /// The file itself, whatever its name.
    pub object: Option<Object>,
    /// SHA-256 of its content.
    pub digest: Option<[u8; 32]>,
}

/// A file by its place in a file system, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub path: std::path::PathBuf,
    pub id: FileId,
}

/// A file's place as the kernel's tables have it. `None` where its number does not fit them.
#[must_use]
pub fn file_id(file: &fs::Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    (major < 1 << 12 && minor < 1 << 20).then(|| FileId {
        inode: file.ino(),
        device: major << 20 | minor,
        reserved: 0,
    })
}

/// An execution.
pub struct Execution<'a> {
    pub uid: u32,
    /// Where the file is and what was asked for, as far as they are known.
    pub paths: &'a [&'a str],
    /// The files: of the program, and of the script that it interprets.
    pub files: &'a [FileId],
    /// Reads them.
    pub digests: &'a dyn Fn() -> Vec<[u8; 32]>,
}

impl Selector {
    /// Whether it can be decided only when something is executed.
    #[must_use]
    pub fn is_about_executions(&self) -> bool {
        self.user.is_some() || self.executable.is_some()
    }

    /// Whether it holds for the cgroup at `path`, from its slash on, with what is executed in it
    /// (`None`: nothing yet) and what is known of its container.
    #[must_use]
    pub fn holds(&self, path: &str, execution: Option<&Execution<'_>>, container: &Facts) -> Answer {
        let of_cgroup =
            self.unit.as_ref().is_none_or(|unit| unit_of(path).is_some_and(|own| unit.is_match(own)))
                && self.slice.as_ref().is_none_or(|slice| is_unit_below(path, slice))
                && self.cgroup.as_ref().is_none_or(|pattern| pattern.is_match(path));
        if !of_cgroup {
            return Answer::No;
        }
        let of_container = self.container.as_ref().map_or(Answer::Yes, |wanted| wanted.holds(container));
        let of_pod = self.pod.as_ref().map_or(Answer::Yes, |wanted| wanted.holds(container));
        let of_both = of_container.and(of_pod);
        // Last: it may read a file.
        if of_both != Answer::Yes || self.holds_for(execution) { of_both } else { Answer::No }
    }

    fn holds_for(&self, execution: Option<&Execution<'_>>) -> bool {
        let Some(execution) = execution else { return !self.is_about_executions() };
        self.user.as_ref().is_none_or(|user| user.uid == execution.uid)
            && self.executable.as_ref().is_none_or(|executable| executable.is_match(execution))
    }
}

impl Executable {
    fn is_match(&self, execution: &Execution<'_>) -> bool {
        self.path.as_ref().is_none_or(|pattern| execution.paths.iter().any(|path| pattern.is_match(path)))
            && self.object.as_ref().is_none_or(|object| execution.files.contains(&object.id))
            && self.digest.as_ref().is_none_or(|digest| (execution.digests)().contains(digest))
    }
}

/// The unit whose own cgroup this is.
fn unit_of(path: &str) -> Option<&str> {
    /// Kinds of units that have processes.
    const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    let name = path.rsplit('/').next()?;
    KINDS.iter().any(|kind| name.len() > kind.len() && name.ends_with(kind)).then_some(name)
}

fn is_unit_below(path: &str, slice: &Pattern) -> bool {
    unit_of(path).is_some()
        && path.split('/').filter(|name| name.ends_with(".slice")).any(|name| slice.is_match(name))
}

/// For a person: why a cgroup is an agent's.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = [("unit", &self.unit), ("slice", &self.slice), ("cgroup", &self.cgroup)];
        let mut parts: Vec<String> = patterns
            .into_iter()
            .filter_map(|(key, pattern)| Some(format!("{key} {}", pattern.as_ref()?.text())))
            .collect();
        parts.extend(self.user.as_ref().map(|user| format!("user {}", user.name)));
        if let Some(Executable { path, object, digest }) = &self.executable {
            parts.extend(path.as_ref().map(|path| format!("executable {}", path.text())));
            parts.extend(object.as_ref().map(|object| format!("the file {}", object.path.display())));
            parts.extend(digest.as_ref().map(|digest| format!("digest {}…", hex(&digest[..4]))));
        }
        parts.extend(self.container.as_ref().map(ToString::to_string));
        parts.extend(self.pod.as_ref().map(ToString::to_string));
        f.write_str(&parts.join(", "))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Option<Pattern> {
        Some(Pattern::new(text).unwrap())
    }

    fn on_cgroup(selector: &Selector, path: &str) -> bool {
        selector.holds(path, None, &Facts::default()) == Answer::Yes
    }

    #[test]
    fn a_unit_is_the_cgroup_of_that_name_and_none_below_it() {
        let selector = Selector { unit: pattern("claude@*.service"), ..Selector::default() };
        assert!(on_cgroup(&selector, "/system.slice/claude@7.service"));
        assert!(on_cgroup(&selector, "/user.slice/user-1.slice/user@1.service/app.slice/claude@7.service"));
        assert!(!on_cgroup(&selector, "/system.slice/claude@7.service/payload"));
        assert!(!on_cgroup(&selector, "/system.slice/claude.service"));
    }

    #[test]
    fn a_slice_means_the_units_in_it_and_below_it() {
        let selector = Selector { slice: pattern("agents.slice"), ..Selector::default() };
        assert!(on_cgroup(&selector, "/agents.slice/a.service"));
        assert!(on_cgroup(&selector, "/agents.slice/agents-x.slice/run-1.scope"));
        assert!(!on_cgroup(&selector, "/agents.slice"));
        assert!(!on_cgroup(&selector, "/agents.slice/agents-x.slice"));
        assert!(!on_cgroup(&selector, "/system.slice/a.service"));
    }

    #[test]
    fn every_condition_has_to_hold() {
        let selector = Selector {
            cgroup: pattern("/work/*"),
            user: Some(User { name: "ada".into(), uid: 1000 }),
            executable: Some(Executable { path: pattern("/usr/bin/claude"), ..Executable::default() }),
            ..Selector::default()
        };
        let with = |path, uid, file| {
            let digests = Vec::new;
            let execution = Execution { uid, paths: &[file], files: &[], digests: &digests };
            selector.holds(path, Some(&execution), &Facts::default())
        };
        assert_eq!(with("/work/a", 1000, "/usr/bin/claude"), Answer::Yes);
        assert_eq!(with("/other/a", 1000, "/usr/bin/claude"), Answer::No);
        assert_eq!(with("/work/a", 0, "/usr/bin/claude"), Answer::No);
        assert_eq!(with("/work/a", 1000, "/usr/bin/codex"), Answer::No);
        assert_eq!(selector.holds("/work/a", None, &Facts::default()), Answer::No, "nothing is executed yet");
        assert_eq!(selector.to_string(), "cgroup /work/*, user ada, executable /usr/bin/claude");
    }

    #[test]
    fn a_file_is_known_by_its_object_and_content_too() {
        let id = FileId { inode: 7, device: 1, reserved: 0 };
        let object = Object { path: "/opt/agent".into(), id };
        let executable = Executable { object: Some(object), digest: Some([5; 32]), ..Executable::default() };
        let selector = Selector { executable: Some(executable), ..Selector::default() };
        let with = |file, digest: [u8; 32]| {
            let digests = move || vec![digest];
            let execution = Execution { uid: 0, paths: &[], files: &[file], digests: &digests };
            selector.holds("/a", Some(&execution), &Facts::default())
        };
        assert_eq!(with(id, [5; 32]), Answer::Yes);
        assert_eq!(with(id, [6; 32]), Answer::No);
        assert_eq!(with(FileId { inode: 8, ..id }, [5; 32]), Answer::No);
    }
}
