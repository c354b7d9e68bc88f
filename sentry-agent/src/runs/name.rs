//! Names by which people refer to a run.

use super::RunError;

/// Which of the runs, given by id and agent name, `target` names: the one with this id, else the
/// only one of this agent, else the only one whose id begins so. An id is never taken for a name:
/// no agent may be called like one.
///
/// # Errors
/// When none or several match.
pub fn named<'a>(
    target: &str,
    runs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<usize, RunError> {
    type Way = fn(&str, (&str, &str)) -> bool;
    let ways: [Way; 3] = [
        |target, (id, _)| id == target,
        |target, (_, name)| name == target,
        |target, (id, _)| !target.is_empty() && id.starts_with(target),
    ];
    for way in ways {
        let mut matching =
            runs.clone().enumerate().filter(|(_, run)| way(target, *run)).map(|(index, _)| index);
        if let Some(index) = matching.next() {
            return match matching.count() {
                0 => Ok(index),
                more => Err(RunError::Ambiguous { target: target.into(), count: more + 1 }),
            };
        }
    }
    Err(RunError::Unknown { target: target.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11";
    const TWO: &str = "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a12";

    fn found(target: &str, runs: &[(&str, &str)]) -> String {
        match named(target, runs.iter().copied()) {
            Ok(index) => index.to_string(),
            Err(error) => error.to_string().split(';').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn an_id_goes_before_a_name_and_a_name_before_a_prefix() {
        let runs = [(ONE, TWO), (TWO, "019a"), ("020b", "a"), ("030c", "a")];
        assert_eq!(found(TWO, &runs), "1", "not the run of the agent that is called so");
        assert_eq!(found("019a", &runs), "1", "not the two whose ids begin so");
        assert_eq!(found("02", &runs), "2");
        assert_eq!(found("a", &runs), "`a` matches 2 runs");
        assert_eq!(found("019", &runs), "`019` matches 2 runs");
        assert_eq!(found("b", &runs), "no run matches `b`");
        assert_eq!(found("", &runs), "no run matches ``");
    }
}
