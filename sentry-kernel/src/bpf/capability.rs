//! What this kernel can do, found by loading the programs, and which facts are missing otherwise.

use std::path::Path;

use sentry_common::fact::Fact;
use serde::Serialize;

use super::{
    LoadError,
    facts::lost,
    hooks::{ALONG, HOOKS, Hook, Tier},
    load::{Loader, RingSizes},
    lsm,
    objects::Object,
    offsets, programs,
};

/// The answer of `sentry doctor`.
#[derive(Clone, Debug, Serialize)]
pub struct Capabilities {
    pub kernel: String,
    /// `A`, `B`, `C`, or `none` when not even the process programs load.
    pub tier: &'static str,
    pub facts: Vec<Seen>,
    /// Why the better tiers are not available, one line each.
    pub limits: Vec<String>,
}

/// One fact and how this kernel shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    pub fact: &'static str,
    /// The kernel hook used, or why there is none.
    pub hook: String,
    pub seen: bool,
    /// What this hook does not report, if anything.
    pub lost: Option<String>,
}

/// Probes by loading every object once; nothing is attached.
///
/// # Errors
/// When the kernel has no BTF, this build no programs, or the caller no right to load.
pub fn doctor(btf_path: &Path) -> Result<Capabilities, LoadError> {
    let offsets = offsets::of_this_kernel(btf_path)?;
    let btf = programs::parse_btf(btf_path)?;
    let rings = RingSizes { critical_bytes: 1 << 16, bulk_bytes: 1 << 16 };
    let loader = Loader::new(&btf, &offsets, rings)?;
    let mut limits: Vec<String> =
        offsets.missing.iter().map(|field| format!("kernel structure field {field} is missing")).collect();
    let loaded = match programs::load_tier(&loader, &btf) {
        Ok(loaded) => Some(loaded),
        Err(error @ LoadError::NoPrograms) => return Err(error),
        Err(error) if error.is_permission() => return Err(LoadError::Permission),
        Err(error) => {
            limits.push(sentry_service::error_chain(&error));
            None
        }
    };
    let tier = loaded.as_ref().map(|loaded| loaded.tier);
    if tier != Some(Tier::A) {
        limits.extend(why_not(&loader, &btf, Object::FileLsm, "BPF-LSM programs"));
        if !lsm::is_active() {
            limits.push(lsm::unknown().unwrap_or_else(|| {
                format!("BPF-LSM is not active: `bpf` is not in {} (boot with lsm=…,bpf)", lsm::LIST)
            }));
        }
        if tier != Some(Tier::B) {
            limits.extend(why_not(&loader, &btf, Object::FileFentry, "fentry programs"));
        }
    }
    drop(loader);
    let missing = loaded.map(|loaded| loaded.missing).unwrap_or_default();
    limits.extend(missing.iter().map(|(hook, why)| format!("{}: {why}", hook.name())));
    Ok(Capabilities {
        kernel: kernel_release(),
        tier: tier.map_or("none", Tier::letter),
        facts: facts(tier, &missing),
        limits,
    })
}

fn why_not(loader: &Loader<'_>, btf: &aya::Btf, object: Object, what: &str) -> Option<String> {
    let error = programs::load_object(loader, btf, object, None, &mut Vec::new()).err()?;
    Some(format!("{what}: {}", sentry_service::error_chain(&error)))
}

/// The table "fact → hook → what is lost" of one tier, or of a kernel that has none.
fn facts(tier: Option<Tier>, missing: &[(&'static Hook, String)]) -> Vec<Seen> {
    Fact::ALL.iter().map(|fact| seen(*fact, tier, missing)).collect()
}

fn seen(fact: Fact, tier: Option<Tier>, missing: &[(&'static Hook, String)]) -> Seen {
    let Some(tier) = tier else {
        return Seen { fact: fact.name(), hook: "none".into(), seen: false, lost: Some("all of it".into()) };
    };
    let along = ALONG.iter().find(|(on, along, _)| *on == tier && *along == fact);
    let source = along.map_or(fact, |(.., of)| *of);
    let on_tier = || HOOKS.iter().filter(move |hook| hook.fact == source && hook.is_on(tier));
    let is_missing = |hook: &&Hook| missing.iter().any(|(missing, _)| std::ptr::eq(*missing, *hook));
    let mut present: Vec<String> = on_tier().filter(|hook| !is_missing(hook)).map(Hook::name).collect();
    // Several programs can share one hook.
    present.dedup();
    let absent: Vec<String> = on_tier().filter(is_missing).map(Hook::name).collect();
    let mut lost: Vec<String> = lost(fact, tier).map(str::to_owned).into_iter().collect();
    if !absent.is_empty() {
        lost.push(format!("this kernel lacks or refuses {}", absent.join(", ")));
    }
    Seen {
        fact: fact.name(),
        hook: if present.is_empty() { "none".into() } else { present.join(", ") },
        seen: !present.is_empty(),
        lost: (!lost.is_empty()).then(|| lost.join("; ")),
    }
}

impl super::Programs {
    /// Whether the loaded programs report a fact.
    #[must_use]
    pub fn tell(&self, fact: Fact) -> bool {
        seen(fact, Some(self.tier()), self.missing()).seen
    }

    /// What the loaded programs do not see, one line each.
    #[must_use]
    pub fn limits(&self) -> Vec<String> {
        let facts = facts(Some(self.tier()), self.missing()).into_iter();
        let lost = facts.filter_map(|seen| Some(format!("{}: {}", seen.fact, seen.lost?)));
        self.unknown_tier().into_iter().chain(lost).collect()
    }

    /// Why the tier may be lower than the kernel's best, where the sensor cannot find out.
    #[must_use]
    pub fn unknown_tier(&self) -> Option<String> {
        if self.tier() == Tier::A { None } else { lsm::unknown() }
    }
}

/// The table of all tiers for the documents, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut table = String::from("| fact | tier | hook | what is lost |\n|---|---|---|---|\n");
    for fact in Fact::ALL {
        let of = |tier: Tier| {
            let seen = seen(*fact, Some(tier), &[]);
            let hooks: Vec<String> = seen.hook.split(", ").map(|hook| format!("`{hook}`")).collect();
            (if seen.seen { hooks.join(", ") } else { "–".into() }, seen.lost.unwrap_or_else(|| "–".into()))
        };
        let tiers = Tier::ALL.map(|tier| (tier.letter().to_owned(), of(tier)));
        let mut lines: Vec<(String, (String, String))> = Vec::new();
        for (letter, cells) in tiers {
            match lines.last_mut() {
                Some((letters, same)) if *same == cells => letters.push_str(&letter),
                _ => lines.push((letter, cells)),
            }
        }
        for (letters, (hook, lost)) in lines {
            table.push_str(&format!("| {} | {letters} | {hook} | {lost} |\n", fact.name()));
        }
    }
    table
}

pub(super) fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".into(), |name| name.release().to_string_lossy().into_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    /// The page has the table between two marks. With `UPDATE_DOCS=1` the test writes it.
    #[test]
    fn the_page_of_hooks_has_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hooks.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (head, rest) = page.split_once("<!-- hooks: begin -->\n").unwrap();
        let (table, tail) = rest.split_once("<!-- hooks: end -->").unwrap();
        let expected = super::markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let page = format!("{head}<!-- hooks: begin -->\n{expected}<!-- hooks: end -->{tail}");
            std::fs::write(path, page).unwrap();
        } else {
            assert_eq!(table, expected, "run this test again with UPDATE_DOCS=1");
        }
    }
}
