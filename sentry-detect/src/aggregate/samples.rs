//! A value over the newest steps of a horizon, in fixed memory: whether it goes on growing.

/// Most steps of a horizon. One of fewer looks than this has a step for each.
const STEPS: usize = 12;

/// The newest values, one per step, back to the newest that is as old as the horizon.
#[derive(Debug)]
pub(crate) struct Samples {
    /// Oldest first: when, and how much.
    kept: Vec<(u64, u64)>,
    horizon_ns: u64,
    step_ns: u64,
}

/// How a value went over a horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Course {
    pub(crate) start_unix_ns: u64,
    pub(crate) seconds: f64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Share of the steps in which it grew.
    pub(crate) growing: f64,
}

impl Course {
    pub(crate) fn grown(&self) -> u64 {
        self.last.saturating_sub(self.first)
    }
}

impl Samples {
    pub(crate) fn new(horizon_ns: u64) -> Self {
        // Rounded up: no more than STEPS of them are in a horizon.
        let step_ns = horizon_ns.div_ceil(STEPS as u64).max(1);
        Self { kept: Vec::with_capacity(STEPS + 1), horizon_ns: horizon_ns.max(1), step_ns }
    }

    /// Takes a value; one that comes within the step of the newest is left out.
    pub(crate) fn push(&mut self, now_unix_ns: u64, value: u64) {
        let is_due = |(at, _): &(u64, u64)| now_unix_ns.saturating_sub(*at) >= self.step_ns;
        if !self.kept.last().is_none_or(is_due) {
            return;
        }
        while self.kept.get(1).is_some_and(|(at, _)| now_unix_ns.saturating_sub(*at) >= self.horizon_ns) {
            self.kept.remove(0);
        }
        self.kept.push((now_unix_ns, value));
    }

    /// Over the whole horizon, once it is that long.
    pub(crate) fn course(&self) -> Option<Course> {
        let (Some((start_unix_ns, first)), Some((end, last))) = (self.kept.first(), self.kept.last()) else {
            return None;
        };
        let long_ns = end.saturating_sub(*start_unix_ns);
        if long_ns < self.horizon_ns {
            return None;
        }
        let grew = self.kept.windows(2).filter(|pair| pair[1].1 > pair[0].1).count();
        Some(Course {
            start_unix_ns: *start_unix_ns,
            seconds: long_ns as f64 / 1e9,
            first: *first,
            last: *last,
            growing: grew as f64 / (self.kept.len() - 1) as f64,
        })
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_covers_the_horizon_and_counts_the_steps_that_grew() {
        let mut samples = Samples::new(1_200);
        let mut value = 0;
        for now in (0..1_200).step_by(50) {
            samples.push(now, value);
            value += if now == 600 { 0 } else { 10 };
            assert_eq!(samples.course(), None, "at {now}");
        }
        samples.push(1_200, value);
        let course = Course { start_unix_ns: 0, seconds: 1.2e-6, first: 0, last: 230, growing: 1.0 };
        assert_eq!(samples.course(), Some(course));
        samples.push(1_300, value);
        let course = samples.course();
        assert_eq!(course.map(|course| (course.start_unix_ns, course.growing)), Some((100, 11.0 / 12.0)));
    }

    #[test]
    fn a_horizon_of_few_looks_is_as_long_as_it_says() {
        let mut samples = Samples::new(400);
        let starts: Vec<_> = (0..8)
            .map(|look| {
                samples.push(look * 105, look);
                samples.course().map(|course| (course.start_unix_ns, course.last, course.growing))
            })
            .collect();
        let whole = |start, last| Some((start, last, 1.0));
        let expected = [None, None, None, None, whole(0, 4), whole(105, 5), whole(210, 6), whole(315, 7)];
        assert_eq!(starts, expected);
    }
}
