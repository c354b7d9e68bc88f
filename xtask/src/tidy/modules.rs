//! The order of modules: within a crate no files use each other in a circle, and no module uses one
//! that stands below it in `lib.rs`.
//!
//! A file uses another one if an import or a path of it leads there. A public import in between
//! hands on: who uses the name uses the file that it comes from, and the file in between does not.
//! Tests are not looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{
    Finding,
    names::{Named, named},
    text,
};

/// The module at the root of a crate.
const ROOT: usize = 0;

/// What is wrong in the crate whose root is this file, relative to the checkout.
pub(super) fn check(root: &Path, file: &str) -> Result<Vec<Finding>> {
    let read = |file: &str| match fs::read_to_string(root.join(file)) {
        Ok(source) => Ok(Some(source)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {file}")),
    };
    let tree = Tree::read(file, &read)?;
    let uses = tree.uses();
    let mut findings = tree.circles(&uses);
    if file.ends_with("/lib.rs") {
        findings.extend(tree.arrows_back(&uses));
    }
    Ok(findings)
}

#[derive(Debug)]
struct Module {
    file: String,
    /// The folder that the files of its own modules are in.
    folder: String,
    parent: usize,
    children: BTreeMap<String, usize>,
    /// Its place among the modules of the crate's root; that of the module of the root it is in.
    order: usize,
    named: Named,
}

/// The modules of a crate that have files of their own.
struct Tree(Vec<Module>);

/// Which module uses which.
type Uses = BTreeMap<usize, BTreeSet<usize>>;

impl Tree {
    fn read(file: &str, read: &impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let source = read(file)?.with_context(|| format!("there is no {file}"))?;
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let mut tree = Self(Vec::new());
        tree.add(file.to_owned(), folder, &source, ROOT, 0);
        let mut at = ROOT;
        while at < tree.0.len() {
            for (index, name) in tree.0[at].named.modules.clone().into_iter().enumerate() {
                let folder = format!("{}/{name}", tree.0[at].folder);
                for file in [format!("{folder}.rs"), format!("{folder}/mod.rs")] {
                    // Tests may use what they want, and some modules are generated.
                    if let Some(source) = read(&file)?.filter(|_| name != "tests") {
                        let order = if at == ROOT { index } else { tree.0[at].order };
                        let child = tree.add(file, folder.clone(), &source, at, order);
                        tree.0[at].children.insert(name.clone(), child);
                    }
                }
            }
            at += 1;
        }
        Ok(tree)
    }

    fn add(&mut self, file: String, folder: String, source: &str, parent: usize, order: usize) -> usize {
        let named = named(text::without_tests(source));
        self.0.push(Module { file, folder, parent, children: BTreeMap::new(), order, named });
        self.0.len() - 1
    }

    fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (at, module) in self.0.iter().enumerate() {
            let handed_on = |public: bool, target: usize| public && self.is_below(target, at);
            let imported = module.named.imports.iter().filter_map(|import| {
                self.target(at, &import.path, 0).filter(|target| !handed_on(import.public, *target))
            });
            let named = module.named.paths.iter().filter_map(|path| self.target(at, path, 0));
            let targets = imported.chain(named).filter(|target| *target != at);
            uses.insert(at, targets.collect());
        }
        uses
    }

    fn is_below(&self, mut module: usize, other: usize) -> bool {
        while module != ROOT {
            module = self.0[module].parent;
            if module == other {
                return true;
            }
        }
        false
    }

    /// The module whose file has what a path names; `None` outside of the crate.
    fn target(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        /// Imports of imports.
        const DEEPEST: usize = 8;
        let mut here = from;
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (here, rest) = (ROOT, &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    (here, rest) = (self.0[here].parent, &rest[1..]);
                }
            }
            name if self.0[from].children.contains_key(name) => {}
            _ => return None,
        }
        while let Some(name) = rest.first() {
            if let Some(child) = self.0[here].children.get(name) {
                (here, rest) = (*child, &rest[1..]);
                continue;
            }
            let import = self.0[here].named.imports.iter().find(|import| import.name == *name);
            if let Some(import) = import.filter(|_| depth < DEEPEST && here != from)
                && let Some(target) = self.target(here, &import.path, depth + 1)
            {
                return Some(target);
            }
            break;
        }
        Some(here)
    }

    fn arrows_back(&self, uses: &Uses) -> Vec<Finding> {
        let mut found: BTreeMap<(usize, usize), &str> = BTreeMap::new();
        for (user, used) in uses.iter().flat_map(|(user, used)| used.iter().map(move |used| (*user, *used))) {
            let (above, below) = (self.0[user].order, self.0[used].order);
            if user != ROOT && used != ROOT && below > above {
                found.entry((above, below)).or_insert(&self.0[user].file);
            }
        }
        let name = |order: usize| self.0[ROOT].named.modules[order].as_str();
        let finding = |((above, below), file): ((usize, usize), &str)| Finding {
            rule: "order",
            place: format!("{}: {} → {}", self.0[ROOT].file, name(above), name(below)),
            line: None,
            what: format!("{file} uses what stands below it"),
        };
        found.into_iter().map(finding).collect()
    }

    fn circles(&self, uses: &Uses) -> Vec<Finding> {
        let reached: BTreeMap<usize, BTreeSet<usize>> =
            uses.keys().map(|start| (*start, reach(*start, uses))).collect();
        let mut circles = BTreeSet::new();
        for (start, reached_from) in &reached {
            let circle: BTreeSet<usize> =
                reached_from.iter().copied().filter(|other| reached[other].contains(start)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().map(|circle| self.circle(&circle, uses)).collect()
    }

    /// Names each file of a circle with those of the circle that it uses.
    fn circle(&self, circle: &BTreeSet<usize>, uses: &Uses) -> Finding {
        let file = |module: usize| self.0[module].file.as_str();
        let place = circle.iter().copied().map(file).min().unwrap_or_default().to_owned();
        let within = |user: &usize| {
            let used: Vec<&str> = uses[user].intersection(circle).copied().map(file).collect();
            format!("{} uses {}", file(*user), used.join(", "))
        };
        let what = circle.iter().map(within).collect::<Vec<_>>().join("; ");
        Finding { rule: "circle", place, line: None, what }
    }
}

/// Everything that is used from there on.
fn reach(start: usize, uses: &Uses) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<usize> = uses[&start].iter().copied().collect();
    while let Some(next) = waiting.pop() {
        if seen.insert(next) {
            waiting.extend(&uses[&next]);
        }
    }
    seen
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn wrong(files: &[(&str, &str)]) -> Vec<String> {
        let read = |file: &str| {
            let found = files.iter().find(|(name, _)| *name == file);
            Ok(found.map(|(_, source)| (*source).to_owned()))
        };
        let tree = Tree::read("lib.rs", &read).unwrap();
        let uses = tree.uses();
        let all = tree.circles(&uses).into_iter().chain(tree.arrows_back(&uses));
        all.map(|finding| format!("{}: {}", finding.place, finding.what)).collect()
    }

    #[test]
    fn a_module_uses_what_stands_above_it() {
        let files = [("lib.rs", "pub mod a; pub mod b;"), ("/a.rs", ""), ("/b.rs", "use crate::a::X;")];
        assert_eq!(wrong(&files), Vec::<String>::new());
        let files =
            [("lib.rs", "pub mod b; pub mod a;"), ("/a.rs", ""), ("/b.rs", "fn f() { crate::a::x() }")];
        assert_eq!(wrong(&files), ["lib.rs: b → a: /b.rs uses what stands below it"]);
    }

    #[test]
    fn a_name_that_is_handed_on_is_its_own_files() {
        let files = [
            ("lib.rs", "mod a;"),
            ("/a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C; pub struct Error;"),
            ("/a/b.rs", "use super::{C, Error};"),
            ("/a/c.rs", "use super::Error;"),
        ];
        assert_eq!(wrong(&files), Vec::<String>::new());
        let files = [files[0], files[1], files[2], ("/a/c.rs", "impl super::B {}")];
        assert_eq!(wrong(&files), ["/a/b.rs: /a/b.rs uses /a/c.rs; /a/c.rs uses /a/b.rs"]);
    }

    #[test]
    fn tests_may_use_what_they_want() {
        let tests = "#[cfg(test)]\nmod tests {\n    use crate::b::Y;\n}\n";
        let files = [("lib.rs", "mod a;\nmod b;"), ("/a.rs", tests), ("/b.rs", "use crate::a::X;")];
        assert_eq!(wrong(&files), Vec::<String>::new());
    }
}
