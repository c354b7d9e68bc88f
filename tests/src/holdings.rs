//! What a process holds: memory, descriptors, and of those the BPF objects.

use std::fs;

/// Counts of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    pub descriptors: usize,
    pub maps: usize,
    pub programs: usize,
    pub links: usize,
    pub threads: usize,
}

impl Holdings {
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let entries = |name: &str| fs::read_dir(format!("/proc/{pid}/{name}")).unwrap().flatten();
        let descriptors: Vec<String> = entries("fd")
            .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
            .collect();
        let sort = |name: &str| descriptors.iter().filter(|target| target.contains(name)).count();
        Self {
            descriptors: descriptors.len(),
            maps: sort("bpf-map"),
            programs: sort("bpf-prog"),
            links: sort("bpf_link") + sort("bpf-link"),
            threads: entries("task").count(),
        }
    }
}

impl Holdings {
    /// Of nothing more than there was. Threads that nobody needs end after a while: then it is
    /// less.
    #[must_use]
    pub fn is_within(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.maps <= before.maps
            && self.programs <= before.programs
            && self.links <= before.links
            && self.threads <= before.threads
    }
}

/// What the kernel says of each descriptor of a process.
///
/// # Panics
/// When the process is gone.
pub fn fdinfo(pid: u32) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
}

/// A number there.
#[must_use]
pub fn field(fdinfo: &str, name: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// Resident memory of a process, in KiB.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How much the values grow from the first to the last along the line that fits them best (least
/// squares), as a share of their mean.
#[must_use]
pub fn growth(values: &[(f64, f64)]) -> f64 {
    let count = values.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>() / count;
    let (time, value) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = values.iter().map(|point| (point.0 - time).powi(2)).sum();
    let together: f64 = values.iter().map(|point| (point.0 - time) * (point.1 - value)).sum();
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return 0.0 };
    if spread == 0.0 { 0.0 } else { together / spread * (last.0 - first.0) / value }
}

#[cfg(test)]
mod tests {
    use super::growth;

    #[test]
    fn growth_is_that_of_the_line() {
        let line =
            |slope: f64| (0..10).map(|x| (f64::from(x), 90.0 + slope * f64::from(x))).collect::<Vec<_>>();
        assert!(growth(&line(0.0)).abs() < 1e-9);
        // From 90 to 108 about a mean of 99.
        assert!((growth(&line(2.0)) - 18.0 / 99.0).abs() < 1e-9);
        assert!(growth(&line(-2.0)) < 0.0);
        assert!(growth(&[]).abs() < 1e-9);
    }
}
