//! Measurements that a test prints: lines `mark: {…}` in a log, perhaps after other words.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The values behind a mark such as `coverage`, in order.
pub(crate) fn told(log: &str, mark: &str) -> Result<Vec<Value>> {
    let start = format!("{mark}: {{");
    let values = log.lines().filter_map(|line| Some(line[line.find(&start)? + start.len() - 1..].trim()));
    values
        .map(|text| serde_json::from_str(text).with_context(|| format!("not a line of {mark}: {text}")))
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use serde_json::json;

    use super::told;

    #[test]
    fn values_are_found_behind_their_mark_alone() {
        let log = "test cost::x ... ok\n    cost: {\"work\":\"getpid\"} \nother: {\"a\":1}\nvm: success";
        assert_eq!(told(log, "cost").unwrap(), [json!({"work": "getpid"})]);
        assert!(told("cost: {broken", "cost").is_err());
    }
}
