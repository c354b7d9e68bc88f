//! `persistence-write`: something was written to a place from which it takes effect again after the
//! run: shell start-up, cron, systemd, Git hooks, keys that let in, the settings of agents.
//!
//! Judged event by event, and a finding at the next reading: one for each class, and another one
//! for a write after the cool-down. Memory is fixed: the first write of each class since the last
//! reading, each text of it cut. A write is: an open for writing, and a rename, a link or a
//! symbolic link to the place. What a package manager of the system writes is none.
//!
//! A normal agent does some of it for good reasons, so that it is recorded and never leads to an
//! act. Limits: places are text, and a home is any folder: `.bashrc` in a collection of settings is
//! one too. What is included from such a file elsewhere is not known. What io_uring opens is not
//! known for writing on tier C.

use super::{
    contract::{About, Rule, Seen, Urgency, Verdict},
    known,
    limits::NoLimits,
    noticed::{Noticed, Weight, said},
    past::Past,
};
use crate::{
    act::FileAct,
    event::EventKind,
    runaway::{RuleId, Severity},
};

/// It has no thresholds.
pub(super) type Limits = NoLimits;

const PERSISTENCE_WRITE: RuleId = RuleId::new("persistence-write");

/// Places of one sort.
struct Class {
    title: &'static str,
    weight: Weight,
    places: &'static [Place],
}

/// Paths, in a text's way.
enum Place {
    /// Begin so.
    Start(&'static str),
    /// End so: in any folder.
    End(&'static str),
    /// Have it inside.
    Part(&'static str),
}

use Place::{End, Part, Start};

const fn class(
    title: &'static str,
    severity: Severity,
    confidence: f64,
    tags: &'static [&'static str],
    places: &'static [Place],
) -> Class {
    Class { title, weight: Weight { severity, confidence, tags }, places }
}

/// The first that holds.
const CLASSES: &[Class] = &[
    class(
        "shell start-up",
        Severity::Medium,
        0.7,
        // Unix Shell Configuration Modification.
        &["attack:T1546.004", "owasp-asi:ASI10"],
        &[
            End("/.bashrc"),
            End("/.bash_profile"),
            End("/.bash_login"),
            End("/.bash_logout"),
            End("/.bash_aliases"),
            End("/.profile"),
            End("/.zshrc"),
            End("/.zshenv"),
            End("/.zprofile"),
            End("/.zlogin"),
            End("/.zlogout"),
            End("/.config/fish/config.fish"),
            Part("/.config/fish/conf.d/"),
            Start("/etc/profile"),
            Start("/etc/bash.bashrc"),
            Start("/etc/bashrc"),
            Start("/etc/zsh/"),
            Start("/etc/environment"),
        ],
    ),
    class(
        "at",
        Severity::High,
        0.9,
        // Scheduled Task/Job: At.
        &["attack:T1053.002", "owasp-asi:ASI10"],
        &[Start("/var/spool/cron/atjobs/"), Start("/var/spool/at/")],
    ),
    class(
        "cron",
        Severity::High,
        0.9,
        // Scheduled Task/Job: Cron.
        &["attack:T1053.003", "owasp-asi:ASI10"],
        &[Start("/var/spool/cron/"), Start("/etc/cron"), Start("/etc/anacrontab")],
    ),
    class(
        "system services",
        Severity::High,
        0.8,
        // Create or Modify System Process: Systemd Service; Systemd Timers; RC Scripts.
        &["attack:T1543.002", "attack:T1053.006", "attack:T1037.004", "owasp-asi:ASI10"],
        &[
            Start("/etc/systemd/"),
            Start("/run/systemd/system/"),
            Start("/usr/lib/systemd/"),
            Start("/lib/systemd/"),
            Start("/usr/local/lib/systemd/"),
            Part("/.config/systemd/user/"),
            Part("/.local/share/systemd/user/"),
            Start("/etc/init.d/"),
            Start("/etc/rc.local"),
        ],
    ),
    class(
        "start with the desktop",
        Severity::Medium,
        0.7,
        // Boot or Logon Autostart Execution: XDG Autostart Entries.
        &["attack:T1547.013", "owasp-asi:ASI10"],
        &[
            Part("/.config/autostart/"),
            Start("/etc/xdg/autostart/"),
            End("/.xprofile"),
            End("/.xinitrc"),
            End("/.xsession"),
        ],
    ),
    class(
        "Git hooks",
        Severity::Medium,
        0.6,
        // Event Triggered Execution.
        &["attack:T1546", "owasp-asi:ASI10"],
        &[Part("/.git/hooks/")],
    ),
    class(
        "keys that let in by SSH",
        Severity::High,
        0.8,
        // Account Manipulation: SSH Authorized Keys.
        &["attack:T1098.004", "owasp-asi:ASI03", "owasp-asi:ASI10"],
        &[
            End("/.ssh/authorized_keys"),
            End("/.ssh/authorized_keys2"),
            End("/.ssh/rc"),
            Start("/etc/ssh/sshd_config"),
        ],
    ),
    class(
        "libraries for every program",
        Severity::High,
        0.9,
        // Hijack Execution Flow: Dynamic Linker Hijacking.
        &["attack:T1574.006", "owasp-asi:ASI10"],
        &[Start("/etc/ld.so.preload"), Start("/etc/ld.so.conf")],
    ),
    class(
        "accounts and their rights",
        Severity::High,
        0.8,
        // Account Manipulation; Abuse Elevation Control Mechanism: Sudo; Modify Authentication
        // Process: Pluggable Authentication Modules.
        &["attack:T1098", "attack:T1548.003", "attack:T1556.003", "owasp-asi:ASI03"],
        &[
            Start("/etc/passwd"),
            Start("/etc/shadow"),
            Start("/etc/group"),
            Start("/etc/gshadow"),
            Start("/etc/sudoers"),
            Start("/etc/pam.d/"),
        ],
    ),
    class(
        "devices, modules and packages",
        Severity::High,
        0.8,
        // Event Triggered Execution: Udev Rules; Installer Packages. Boot or Logon Autostart
        // Execution: Kernel Modules and Extensions.
        &["attack:T1546.017", "attack:T1546.016", "attack:T1547.006", "owasp-asi:ASI10"],
        &[
            Start("/etc/udev/rules.d/"),
            Start("/etc/modules-load.d/"),
            Start("/etc/modprobe.d/"),
            Start("/etc/apt/apt.conf.d/"),
            Start("/etc/update-motd.d/"),
        ],
    ),
    class(
        "start of the interpreter",
        Severity::Medium,
        0.7,
        // Event Triggered Execution: Python Startup Hooks.
        &["attack:T1546.018", "owasp-asi:ASI10"],
        &[End("/usercustomize.py"), End("/sitecustomize.py")],
    ),
    class(
        "settings and hooks of agents",
        Severity::Medium,
        0.6,
        // Modify AI Agent Configuration.
        &["attack:T1546", "atlas:AML.T0081", "owasp-asi:ASI10"],
        &[
            End("/.claude/settings.json"),
            End("/.claude/settings.local.json"),
            Part("/.claude/hooks/"),
            Start("/etc/claude-code/"),
            End("/.codex/config.toml"),
            End("/.codex/hooks.json"),
            End("/.gemini/settings.json"),
            End("/.config/opencode/opencode.json"),
            Part("/.opencode/plugin/"),
            End("/.cursor/mcp.json"),
            End("/.cursor/hooks.json"),
            End("/.mcp.json"),
            End("/.vscode/tasks.json"),
            End("/.vscode/mcp.json"),
            End("/.codeium/windsurf/mcp_config.json"),
            End("/.config/goose/config.yaml"),
            End("/.qwen/settings.json"),
            End("/.aider.conf.yml"),
        ],
    ),
];

/// What a run wrote.
#[derive(Debug, Default)]
pub(crate) struct PersistenceWrite {
    classes: [Noticed; CLASSES.len()],
}

impl Rule for PersistenceWrite {
    type Limits = Limits;
    const ABOUT: About = About {
        id: PERSISTENCE_WRITE,
        when: "a file is written that takes effect after the run: shell start-up, cron, at, systemd, autostart, \
               Git hooks, SSH's authorized keys, `ld.so.preload`, accounts, udev, settings and hooks of agents",
        severity: "by class; never leads to an act",
        urgency: Urgency::Known,
    };
    /// The classes.
    const SUBJECTS: usize = CLASSES.len();
    /// What was written stays after an act.
    const FORGETS: bool = false;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self::default()
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let Some(path) = written(&seen.event.kind) else { return };
        let Some(number) = class_of(path).filter(|_| !known::is_manager(seen.program())) else { return };
        let Class { title, weight, .. } = &CLASSES[number];
        self.classes[number].add(seen, *weight, || {
            format!("{} ({title}), which takes effect after the run.", said(seen, "wrote", path))
        });
    }

    fn judge(&mut self, subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        self.classes[subject].verdict(PERSISTENCE_WRITE, "writes of this class so far")
    }

    fn judged(&mut self) {
        self.classes.iter_mut().for_each(Noticed::judged);
    }
}

/// Where an act puts content or a name.
fn written(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::Open { file, intent, created, .. } if intent.write || *created => Some(&file.path.text),
        EventKind::Rename { new_path, .. } => Some(&new_path.text),
        EventKind::File {
            act: FileAct::Link | FileAct::Exchange, new_path: Some(path), error: None, ..
        } => Some(&path.text),
        EventKind::File { act: FileAct::Symlink, file: Some(file), error: None, .. } => Some(&file.path.text),
        _ => None,
    }
}

fn class_of(path: &str) -> Option<usize> {
    // Git puts examples beside its hooks.
    if path.ends_with(".sample") {
        return None;
    }
    CLASSES.iter().position(|class| {
        class.places.iter().any(|place| match place {
            Start(start) => path.starts_with(start),
            End(end) => path.ends_with(end),
            Part(part) => path.contains(part),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_their_class_and_what_is_like_them_has_none() {
        let title = |path| class_of(path).map(|number| CLASSES[number].title);
        for (path, expected) in [
            ("/home/ada/.bashrc", Some("shell start-up")),
            ("/etc/profile.d/x.sh", Some("shell start-up")),
            ("/var/spool/cron/crontabs/ada", Some("cron")),
            ("/var/spool/cron/atjobs/a0001", Some("at")),
            ("/etc/crontab", Some("cron")),
            ("/home/ada/.config/systemd/user/x.timer", Some("system services")),
            ("/home/ada/.config/autostart/x.desktop", Some("start with the desktop")),
            ("/srv/p/.git/hooks/pre-commit", Some("Git hooks")),
            ("/root/.ssh/authorized_keys", Some("keys that let in by SSH")),
            ("/etc/ld.so.preload", Some("libraries for every program")),
            ("/etc/sudoers.d/x", Some("accounts and their rights")),
            ("/etc/udev/rules.d/9-x.rules", Some("devices, modules and packages")),
            ("/usr/lib/python3/sitecustomize.py", Some("start of the interpreter")),
            ("/home/ada/.claude/settings.json", Some("settings and hooks of agents")),
            ("/srv/p/.git/hooks/pre-commit.sample", None),
            ("/srv/p/.git/config", None),
            ("/srv/p/bashrc", None),
            ("/home/ada/.ssh/known_hosts", None),
            ("/home/ada/.claude/history.jsonl", None),
            ("/etc/hosts", None),
        ] {
            assert_eq!(title(path), expected, "{path}");
        }
    }
}
