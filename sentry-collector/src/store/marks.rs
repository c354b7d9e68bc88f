//! How far the store has come, for those who follow it.

use std::{
    fmt,
    ops::{Index, IndexMut},
    str::FromStr,
};

/// A kind of what the store can be followed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    Run,
    Finding,
    Decision,
    Outcome,
}

/// A place in each kind: the number of a row, 0 before the first one. As text `12-3-4-5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks([i64; Followed::ALL.len()]);

/// The text does not name a place in each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotMarks;

// === impl Followed ===

impl Followed {
    pub(crate) const ALL: [Self; 4] = [Self::Run, Self::Finding, Self::Decision, Self::Outcome];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Finding => "finding",
            Self::Decision => "decision",
            Self::Outcome => "outcome",
        }
    }
}

// === impl Marks ===

impl Marks {
    /// The first kind in which this place is before the other one.
    pub(crate) fn behind(&self, other: &Self) -> Option<Followed> {
        Followed::ALL.into_iter().find(|kind| self[*kind] < other[*kind])
    }
}

impl Index<Followed> for Marks {
    type Output = i64;

    fn index(&self, kind: Followed) -> &i64 {
        &self.0[kind as usize]
    }
}

impl IndexMut<Followed> for Marks {
    fn index_mut(&mut self, kind: Followed) -> &mut i64 {
        &mut self.0[kind as usize]
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [run, finding, decision, outcome] = self.0;
        write!(f, "{run}-{finding}-{decision}-{outcome}")
    }
}

impl FromStr for Marks {
    type Err = NotMarks;

    fn from_str(text: &str) -> Result<Self, NotMarks> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or(NotMarks);
        let numbers: Vec<i64> = text.split('-').map(number).collect::<Result<_, _>>()?;
        numbers.try_into().map(Self).map_err(|_length| NotMarks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_leads_back() {
        let mut marks = Marks::default();
        marks[Followed::Run] = 12;
        marks[Followed::Outcome] = 7;
        assert_eq!(marks.to_string(), "12-0-0-7");
        assert_eq!("12-0-0-7".parse(), Ok(marks));
        for other in
            ["", "1", "1-2-3", "1-2-3-4-5", "1-2-3--4", "a-2-3-4", "1-2-3-99999999999999999999", " 1-2-3-4"]
        {
            assert_eq!(other.parse::<Marks>(), Err(NotMarks), "{other:?}");
        }
    }

    #[test]
    fn names_the_first_kind_that_is_behind() {
        let (mut here, mut there) = (Marks::default(), Marks::default());
        assert_eq!(here.behind(&there), None);
        there[Followed::Decision] = 1;
        there[Followed::Finding] = 2;
        assert_eq!(here.behind(&there), Some(Followed::Finding));
        here[Followed::Finding] = 3;
        assert_eq!(here.behind(&there), Some(Followed::Decision));
    }
}
