//! `destructive-burst`: many files that the run did not make are removed or emptied in a short
//! time.
//!
//! Counted, once each: a file or folder that is removed; a file that is cut to nothing by
//! truncate(2) or ftruncate(2), where its new size is known (tier C). Over the newest slices of the
//! horizon, by events: what was left out for lack of room is not counted, so that a finding has at
//! least as many.
//!
//! Not counted:
//! - what the run made, and what is below a folder that it made ([`crate::aggregate::made`]);
//! - what any build makes again: `node_modules`, `target`, object files, caches; but for what was
//!   moved there by the run from elsewhere;
//! - what a package manager removes, or Git (but for `git clean`), or a program that keeps the
//!   content elsewhere, such as `mv` to another file system.
//!
//! Limits: a file that is opened with `O_TRUNC` may be written again at once, as every editor does,
//! and whether a rename replaced something is not in the record: neither is counted. On tiers A and
//! B a removal that is refused later is counted too.
//!
//! What the run made and was forgotten ([`Made::forgotten`]) looks like the work of others. Where
//! it could be all that was removed, the finding is not sure enough to act on.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict, cut},
    known,
    limits::limits,
    past::{Past, ns},
};
use crate::{
    act::{FileAct, KernelAct},
    aggregate::{
        made::{Made, Whose},
        slices::{COUNT, Slices},
    },
    event::{EventKind, Path},
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const DESTRUCTIVE_BURST: RuleId = RuleId::new("destructive-burst");
/// Data Destruction.
const TAGS: &[&str] = &["attack:T1485", "owasp-asi:ASI02", "owasp-asi:ASI10"];
const SURE: f64 = 0.9;
/// All of it may have been made by the run, and forgotten.
const UNSURE: f64 = 0.7;
/// Longest text kept of a path or a program, bytes.
const LONGEST: usize = 64;
/// `IORING_OP_UNLINKAT`.
const UNLINK_AT: u32 = 36;

/// Folders whose content is made again from something else.
const MADE_AGAIN: &[&str] = &[
    "node_modules",
    "__pycache__",
    "site-packages",
    "dist-packages",
    "target",
    "build",
    "dist",
    "_build",
    "CMakeFiles",
    ".cache",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".gradle",
    ".next",
    ".nuxt",
    ".turbo",
    ".parcel-cache",
    ".npm",
    ".eggs",
    ".terraform",
    "htmlcov",
];
/// Beginnings of the names of such folders.
const MADE_AGAIN_NUMBERED: &[&str] = &["pytest-of-", "go-build", "cargo-install", "bazel-"];
/// Ends of the names of files that are made again.
const PRODUCTS: &[&str] =
    &[".o", ".lo", ".a", ".d", ".pyc", ".pyo", ".class", ".obj", ".gcda", ".gcno", ".tmp"];
/// No files of anybody.
const NOT_FILES: &[&str] = &["/proc/", "/sys/", "/dev/"];

limits! {
    /// When removals are a burst.
    Limits, "burst_" {
        /// `destructive-burst`: so many files and folders that the run did not make are removed or
        /// emptied
        files: u64 = 100 in 5.0..=1e6;
        /// within this time
        horizon_ms: u64 = 2_000 in 500.0..=60_000.0;
        /// `true`: it freezes and kills an enforced run; `false`: it is a finding only
        leads_to_acts: bool = false;
    }
}

pub(crate) struct DestructiveBurst {
    made: Made,
    slices: Slices,
    removed: [u32; COUNT],
    /// The first of the newest slice with any: who removed what. The buffers are used again.
    by: String,
    path: String,
    /// Time of the newest reading, and of the first one.
    now_unix_ns: u64,
    began_unix_ns: u64,
}

impl Rule for DestructiveBurst {
    type Limits = Limits;
    const ABOUT: About = About {
        id: DESTRUCTIVE_BURST,
        when: "many files that the run did not make, and that no build makes again, are removed or emptied",
        severity: "high; leads to an act only where configured",
        urgency: Urgency::Grows,
    };

    fn new(limits: &Limits, now_unix_ns: u64) -> Self {
        Self {
            made: Made::new(now_unix_ns),
            slices: Slices::new(ns(limits.horizon_ms), now_unix_ns),
            removed: [0; COUNT],
            by: String::new(),
            path: String::new(),
            now_unix_ns,
            began_unix_ns: now_unix_ns,
        }
    }

    fn leads_to_acts(limits: &Limits) -> bool {
        limits.leads_to_acts
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if before.horizon_ms != limits.horizon_ms {
            self.slices = Slices::new(ns(limits.horizon_ms), now_unix_ns);
            self.removed = [0; COUNT];
        }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        match &seen.event.kind {
            EventKind::Open { file, created: true, .. }
            | EventKind::File {
                act: FileAct::MakeDirectory | FileAct::MakeNode | FileAct::Symlink,
                file: Some(file),
                error: None,
                ..
            } => self.makes(&file.path),
            EventKind::File { act: FileAct::Link, new_path: Some(path), error: None, .. } => self.makes(path),
            EventKind::Rename { file, new_path, .. } => {
                let hides = || !is_made_again(&file.path.text) && is_made_again(&new_path.text);
                self.made.rename(&file.path, new_path, hides);
            }
            EventKind::Unlink { file, .. } => self.removes(seen, &file.path),
            EventKind::Kernel {
                act: KernelAct::IoOperation,
                code: UNLINK_AT,
                path: Some(path),
                error: None,
                ..
            } => self.removes(seen, path),
            // An attempt does not say how long the file is to be.
            EventKind::File {
                act: FileAct::Truncate,
                file: Some(file),
                detail: 0,
                attempt: false,
                error: None,
                ..
            } => {
                self.removes(seen, &file.path);
                self.made.make(&file.path);
            }
            _ => {}
        }
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.now_unix_ns = now_unix_ns;
        for position in self.slices.advance(now_unix_ns) {
            self.removed[position] = 0;
        }
    }

    fn judge(&mut self, _subject: usize, _past: &Past, limits: &Limits) -> Option<Verdict> {
        let removed: u64 = self.removed.iter().copied().map(u64::from).sum();
        // Most readings end here, before anything is written out.
        if removed < limits.files {
            return None;
        }
        let forgotten = self.made.forgotten();
        let confidence = if removed > forgotten { SURE } else { UNSURE };
        let seconds = limits.horizon_ms as f64 / 1e3;
        let signal = RunawaySignal {
            rule: DESTRUCTIVE_BURST,
            confidence,
            severity: Severity::High,
            summary: format!(
                "{removed} files and folders that the run did not make were removed or emptied within \
                 {seconds:.1} s (limit {}), such as {} by {}.",
                limits.files, self.path, self.by
            ),
            arithmetic: vec![
                Term::given("time", seconds, "s"),
                Term::limited(
                    "removed or emptied, not made by the run",
                    removed as f64,
                    "",
                    limits.files as f64,
                ),
                Term::given("made by the run and forgotten", forgotten as f64, ""),
                Term::given("confidence", confidence, ""),
            ],
        };
        let since_unix_ns = self.now_unix_ns.saturating_sub(ns(limits.horizon_ms)).max(self.began_unix_ns);
        Some(Verdict { signal, since_unix_ns, shown: Shown::Newest(Show::All), tags: TAGS })
    }

    /// What the run made stays known.
    fn clear(&mut self) {
        self.removed = [0; COUNT];
    }
}

impl DestructiveBurst {
    fn makes(&mut self, path: &Path) {
        self.made.make_where(path, |text| !is_made_again(text));
    }

    fn removes(&mut self, seen: &Seen<'_>, path: &Path) {
        let counts = match self.made.remove(path) {
            None | Some(Whose::Run) => false,
            Some(Whose::Other) => !is_made_again(&path.text),
            Some(Whose::Hidden) => true,
        };
        if !counts || known::keeps_what_it_removes(seen) {
            return;
        }
        let count = &mut self.removed[self.slices.position()];
        if *count == 0 {
            copy(&mut self.path, &path.text);
            copy(&mut self.by, if seen.program().is_empty() { "a process" } else { seen.program() });
        }
        *count += 1;
    }
}

/// Whether somebody makes it again from something else, or it is no file at all.
fn is_made_again(path: &str) -> bool {
    let is_folder = |part: &str| {
        MADE_AGAIN.contains(&part) || MADE_AGAIN_NUMBERED.iter().any(|start| part.starts_with(start))
    };
    PRODUCTS.iter().any(|end| path.ends_with(end))
        || NOT_FILES.iter().any(|start| path.starts_with(start) && !path.starts_with("/dev/shm/"))
        || path.contains("/.cargo/registry/")
        || path.split('/').any(is_folder)
}

fn copy(to: &mut String, text: &str) {
    to.clear();
    to.reserve(LONGEST);
    to.push_str(cut(text, LONGEST));
}
