//! What a run made itself, by path: the topmost files and folders of it.
//!
//! What lies below a folder that the run made is its own, so that a checkout or a build of any size
//! is one entry. Something that came from elsewhere by a rename is not, even there; and where its
//! new name would say less of it than the old one did, that is kept.
//!
//! Memory: 96 fingerprints of 30 bits, in [`SETS`] sets by their value; in a set the least recently
//! used leaves first. What was forgotten counts as not made by the run, as does what was there
//! before it: the other way round, a run that makes enough files would be free to remove anything.
//! How many were forgotten is kept, for whoever judges by it.
//!
//! Paths are compared as text. A file that is removed by another name than it was made by, through
//! a symbolic link in an argument (tier C) or another mount, is not known.

use crate::{event::Path, fingerprint::Fingerprint};

const SETS: usize = 12;
const WAYS: usize = 8;
/// Entries kept.
#[cfg(test)]
const ENTRIES: usize = SETS * WAYS;

/// Bits of an entry: it came from elsewhere; and it has another name than it had there.
const FOREIGN: u32 = 1;
const HIDDEN: u32 = 2;
const MARKS: u32 = FOREIGN | HIDDEN;
/// No entry.
const NONE: u32 = 0;

#[derive(Debug)]
pub(crate) struct Made {
    /// The most recently used first.
    sets: Box<[[u32; WAYS]; SETS]>,
    seed: u64,
    forgotten: u64,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Run,
    Other,
    /// Not the run's, and its name says nothing of what it is.
    Hidden,
}

impl Made {
    /// `seed`: of the fingerprints.
    pub(crate) fn new(seed: u64) -> Self {
        Self { sets: Box::new([[NONE; WAYS]; SETS]), seed, forgotten: 0 }
    }

    /// Entries that are no longer known.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The run made a file or folder.
    pub(crate) fn make(&mut self, path: &Path) {
        self.make_where(path, |_| true);
    }

    /// The same where its path counts, which is only asked where it is not known to be the run's.
    pub(crate) fn make_where(&mut self, path: &Path, counts: impl FnOnce(&str) -> bool) {
        if let Some((print, Whose::Other | Whose::Hidden)) = self.find(path)
            && counts(&path.text)
        {
            self.put(print, Whose::Run);
        }
    }

    /// What stood at `from` stands at `to` now. `hides`: only the old name says what it is.
    pub(crate) fn rename(&mut self, from: &Path, to: &Path, hides: impl FnOnce() -> bool) {
        let Some((print, mut whose)) = self.find(from) else { return };
        self.forget(print);
        let Some((print, before)) = self.find(to) else { return };
        if whose == Whose::Other && hides() {
            whose = Whose::Hidden;
        }
        if before != whose {
            self.put(print, whose);
        }
    }

    /// A file or folder is gone; whose it was.
    pub(crate) fn remove(&mut self, path: &Path) -> Option<Whose> {
        let (print, whose) = self.find(path)?;
        self.forget(print);
        Some(whose)
    }

    /// Whose a file is: what is said of it, or of the lowest folder above it of which something is
    /// known. Nothing of a path that is not whole.
    #[cfg(test)]
    pub(crate) fn whose(&mut self, path: &Path) -> Option<Whose> {
        self.find(path).map(|(_, whose)| whose)
    }

    /// The same, with the print of the path; [`NONE`] is that of the root.
    fn find(&mut self, path: &Path) -> Option<(u32, Whose)> {
        if path.truncated || !path.text.starts_with('/') {
            return None;
        }
        let (mut known, mut last) = (None, NONE);
        for print in prints(self.seed, &path.text) {
            known = self.position(print).or(known);
            last = print;
        }
        let Some((set, way)) = known else { return Some((last, Whose::Other)) };
        let set = &mut self.sets[set];
        set[..=way].rotate_right(1);
        let whose = match set[0] & MARKS {
            0 => Whose::Run,
            FOREIGN => Whose::Other,
            _hidden => Whose::Hidden,
        };
        Some((last, whose))
    }

    fn position(&self, print: u32) -> Option<(usize, usize)> {
        let set = set_of(print);
        let way = self.sets[set].iter().position(|entry| entry & !MARKS == print)?;
        Some((set, way))
    }

    fn put(&mut self, print: u32, whose: Whose) {
        if print == NONE {
            return;
        }
        let mark = match whose {
            Whose::Run => 0,
            Whose::Other => FOREIGN,
            Whose::Hidden => FOREIGN | HIDDEN,
        };
        let (set, way) = match self.position(print) {
            Some(place) => place,
            None => (set_of(print), WAYS - 1),
        };
        let set = &mut self.sets[set];
        self.forgotten += u64::from(set[way] != NONE && set[way] & !MARKS != print);
        set[..=way].rotate_right(1);
        set[0] = print | mark;
    }

    fn forget(&mut self, print: u32) {
        if print == NONE {
            return;
        }
        if let Some((set, way)) = self.position(print) {
            let set = &mut self.sets[set];
            set[way..].rotate_left(1);
            set[WAYS - 1] = NONE;
        }
    }
}

/// Of each folder above a path, from the root on, and of the path; no bit of [`MARKS`] is set, and
/// it is never [`NONE`].
fn prints(seed: u64, path: &str) -> impl Iterator<Item = u32> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.scan(Fingerprint::seeded(seed), |state, part| {
        *state = state.bytes(part.as_bytes());
        Some((state.finish() as u32 & !MARKS).max(MARKS + 1))
    })
}

fn set_of(print: u32) -> usize {
    (print >> 2) as usize % SETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PathSource;

    fn path(text: &str) -> Path {
        Path { text: text.to_owned(), source: PathSource::Kernel, truncated: false }
    }

    fn made(paths: &[&str]) -> Made {
        let mut made = Made::new(1);
        paths.iter().for_each(|text| made.make(&path(text)));
        made
    }

    #[test]
    fn what_is_below_a_folder_of_the_run_is_its_own_and_its_neighbour_is_not() {
        let mut made = made(&["/srv/p/build", "/srv/p/build/a.o"]);
        for (text, whose) in [
            ("/srv/p/build", Whose::Run),
            ("/srv/p/build/deep/er/a.o", Whose::Run),
            ("/srv/p/build2", Whose::Other),
            ("/srv/p", Whose::Other),
            ("/", Whose::Other),
        ] {
            assert_eq!(made.whose(&path(text)), Some(whose), "{text}");
        }
        assert_eq!(made.whose(&Path { truncated: true, ..path("/srv/p/build/x") }), None);
        assert_eq!(made.whose(&path("")), None);
    }

    #[test]
    fn a_removed_folder_is_not_its_own_when_somebody_makes_it_again() {
        let mut made = made(&["/a"]);
        assert_eq!(made.remove(&path("/a")), Some(Whose::Run));
        assert_eq!(made.remove(&path("/a")), Some(Whose::Other));
    }

    #[test]
    fn what_is_moved_stays_whose_it_was() {
        let mut made = made(&["/run"]);
        made.rename(&path("/home/u/tree"), &path("/run/tree"), || false);
        assert_eq!(made.whose(&path("/run/tree/a")), Some(Whose::Other));
        assert_eq!(made.whose(&path("/run/a")), Some(Whose::Run));
        made.rename(&path("/run/tree"), &path("/home/u/tree"), || false);
        assert_eq!(made.whose(&path("/run/tree/a")), Some(Whose::Run));
        made.rename(&path("/run"), &path("/old"), || false);
        assert_eq!(made.whose(&path("/old/a")), Some(Whose::Run));
    }

    #[test]
    fn what_is_moved_to_a_name_that_hides_it_stays_hidden_until_it_is_gone() {
        let mut made = Made::new(1);
        made.rename(&path("/home/u/docs"), &path("/tmp/build"), || true);
        assert_eq!(made.whose(&path("/tmp/build/a")), Some(Whose::Hidden));
        made.rename(&path("/tmp/build"), &path("/tmp/dist"), || false);
        assert_eq!(made.whose(&path("/tmp/dist/a")), Some(Whose::Hidden));
        assert_eq!(made.whose(&path("/tmp/build/a")), Some(Whose::Other));
        assert_eq!(made.remove(&path("/tmp/dist")), Some(Whose::Hidden));
        assert_eq!(made.whose(&path("/tmp/dist/a")), Some(Whose::Other));
    }

    #[test]
    fn a_checkout_of_any_size_is_one_entry() {
        let mut made = made(&["/srv/checkout"]);
        for n in 0..100_000 {
            made.make(&path(&format!("/srv/checkout/{}/{n}", n / 100)));
        }
        assert_eq!(made.forgotten(), 0);
        assert_eq!(made.whose(&path("/srv/checkout/7/700")), Some(Whose::Run));
    }

    #[test]
    fn what_does_not_fit_is_forgotten_and_counted_the_least_used_first() {
        let mut made = Made::new(1);
        made.make(&path("/kept"));
        for n in 0..10_000 {
            made.make(&path(&format!("/srv/{n}")));
            assert_eq!(made.whose(&path("/kept/a")), Some(Whose::Run));
        }
        let known = (0..10_000).filter(|n| made.whose(&path(&format!("/srv/{n}"))) == Some(Whose::Run));
        let known = known.count() as u64;
        assert!((ENTRIES as u64 / 2..ENTRIES as u64).contains(&known), "{known}");
        assert_eq!(made.forgotten(), 10_000 - known);
    }
}
