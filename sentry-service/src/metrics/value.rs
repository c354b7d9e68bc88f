//! What holds the numbers of a family.

use std::{
    marker::PhantomData,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::Sample;

/// The numbers of a family.
pub trait Values {
    /// Adds a sample for each. `labels` are the names of the labels that are still to be given.
    fn put(&self, labels: &[&'static str], to: &mut Vec<Sample>);
}

fn plain(value: f64) -> Sample {
    Sample { value, ..Sample::default() }
}

/// Exact up to 2^53; scrapers have no other numbers.
fn number(value: u64) -> f64 {
    value as f64
}

impl Values for u64 {
    fn put(&self, _labels: &[&'static str], to: &mut Vec<Sample>) {
        to.push(plain(number(*self)));
    }
}

impl Values for f64 {
    fn put(&self, _labels: &[&'static str], to: &mut Vec<Sample>) {
        to.push(plain(*self));
    }
}

/// 1 or 0.
impl Values for bool {
    fn put(&self, _labels: &[&'static str], to: &mut Vec<Sample>) {
        to.push(plain(f64::from(u8::from(*self))));
    }
}

impl Values for AtomicU64 {
    fn put(&self, _labels: &[&'static str], to: &mut Vec<Sample>) {
        to.push(plain(number(self.load(Relaxed))));
    }
}

/// Nothing is shown of what there is not.
impl<T: Values> Values for Option<T> {
    fn put(&self, labels: &[&'static str], to: &mut Vec<Sample>) {
        if let Some(value) = self {
            value.put(labels, to);
        }
    }
}

/// Values of the labels, each with its number.
impl<T: Values, const N: usize> Values for Vec<([&'static str; N], T)> {
    fn put(&self, labels: &[&'static str], to: &mut Vec<Sample>) {
        for (texts, value) in self {
            let first = to.len();
            value.put(labels.get(N..).unwrap_or_default(), to);
            let own = labels.iter().zip(texts).map(|(name, text)| ((*name).into(), (*text).into()));
            for sample in &mut to[first..] {
                sample.labels.splice(0..0, own.clone());
            }
        }
    }
}

/// The version of the program: 1, by its label.
#[derive(Clone, Copy, Debug, Default)]
pub struct Build;

impl Values for Build {
    fn put(&self, labels: &[&'static str], to: &mut Vec<Sample>) {
        vec![([env!("CARGO_PKG_VERSION")], 1_u64)].put(labels, to);
    }
}

/// What a number is of: a label with few values.
pub trait Label {
    /// Every value, as it is shown.
    fn names() -> Vec<&'static str>;

    /// The place of this one among them.
    fn index(&self) -> usize;
}

/// A number for each value of a label; they are shown from the start, at zero.
#[derive(Debug)]
pub struct By<L, T = AtomicU64> {
    each: Vec<(&'static str, T)>,
    of: PhantomData<fn(L)>,
}

impl<L: Label, T: Default> Default for By<L, T> {
    fn default() -> Self {
        let each = L::names().into_iter().map(|name| (name, T::default())).collect();
        Self { each, of: PhantomData }
    }
}

impl<L: Label, T> By<L, T> {
    /// The one of this value; `None` where the label does not list it.
    pub fn of(&self, label: &L) -> Option<&T> {
        self.each.get(label.index()).map(|(_, value)| value)
    }
}

impl<L: Label> By<L> {
    /// Counts so many more.
    pub fn add(&self, label: &L, count: u64) {
        if let Some(value) = self.of(label) {
            value.fetch_add(count, Relaxed);
        }
    }
}

impl<L, T: Values> Values for By<L, T> {
    fn put(&self, labels: &[&'static str], to: &mut Vec<Sample>) {
        for (name, value) in &self.each {
            let first = to.len();
            value.put(labels.get(1..).unwrap_or_default(), to);
            for sample in &mut to[first..] {
                let own = labels.first().map(|label| ((*label).into(), (*name).into()));
                sample.labels.splice(0..0, own);
            }
        }
    }
}

/// Upper bounds of the buckets of a histogram, ascending.
pub trait Bounds {
    const BOUNDS: &'static [f64];
}

/// Observations, counted by size. Not for what happens thousands of times per second.
#[derive(Debug)]
pub struct Histogram<B> {
    seen: Mutex<Seen>,
    of: PhantomData<fn(B)>,
}

#[derive(Debug)]
struct Seen {
    /// One for each bound; what is above the last is in `count` alone.
    buckets: Vec<u64>,
    count: u64,
    sum: f64,
}

impl<B: Bounds> Default for Histogram<B> {
    fn default() -> Self {
        let seen = Seen { buckets: vec![0; B::BOUNDS.len()], count: 0, sum: 0.0 };
        Self { seen: Mutex::new(seen), of: PhantomData }
    }
}

impl<B: Bounds> Histogram<B> {
    /// Counts an observation.
    pub fn observe(&self, value: f64) {
        let mut seen = self.seen();
        seen.count += 1;
        seen.sum += value;
        if let Some(index) = B::BOUNDS.iter().position(|bound| value <= *bound) {
            seen.buckets[index] += 1;
        }
    }
}

impl<B> Histogram<B> {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Bounds> Values for Histogram<B> {
    fn put(&self, _labels: &[&'static str], to: &mut Vec<Sample>) {
        let seen = self.seen();
        let mut below = 0;
        let mut bucket = |le: String, count: u64| {
            let labels = vec![("le".into(), le.into())];
            to.push(Sample { suffix: "_bucket".into(), labels, value: number(count) });
        };
        for (bound, count) in B::BOUNDS.iter().zip(&seen.buckets) {
            below += count;
            // With its point, as in Go: `1.0`.
            bucket(format!("{bound:?}"), below);
        }
        bucket("+Inf".into(), seen.count);
        to.push(Sample { suffix: "_sum".into(), ..plain(seen.sum) });
        to.push(Sample { suffix: "_count".into(), ..plain(number(seen.count)) });
    }
}
