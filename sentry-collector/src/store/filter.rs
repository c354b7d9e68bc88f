//! Questions as SQL: filters become conditions with bound values, paging is by row number.
//!
//! A cursor names the last row of a page, so rows that come meanwhile neither repeat nor hide others.

use rusqlite::types::Value;

/// What a listing is narrowed to. Which fields a listing knows is decided where the request is parsed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) run: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) sensor: Option<String>,
    /// Inclusive.
    pub(crate) since_ms: Option<i64>,
    /// Exclusive.
    pub(crate) until_ms: Option<i64>,
    pub(crate) class_uid: Option<u32>,
    pub(crate) severity: Option<i32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    /// Row number of the last item of the page before.
    pub(crate) after: Option<i64>,
    pub(crate) newest_first: bool,
    pub(crate) limit: usize,
}

/// Where a listing's rows are and what its filters mean there.
pub(super) struct Source {
    pub(super) columns: &'static str,
    /// The listed table is `t`.
    pub(super) from: String,
    pub(super) time: &'static str,
    pub(super) run: &'static str,
    pub(super) agent: &'static str,
}

pub(super) const RUN: &str = "t.run = ?";
pub(super) const AGENT: &str = "t.agent = ?";
pub(super) const AGENT_OF_RUN: &str = "t.run IN (SELECT run FROM runs WHERE agent = ?)";
pub(super) const RUN_OF_GAP: &str = "t.id IN (SELECT gap FROM gap_runs WHERE run = ?)";
const SENSOR: &str = "t.sensor = (SELECT id FROM sensors WHERE sensor = ?)";

/// The statement and its values; it asks for one row more than the page has.
pub(super) fn select(source: &Source, filter: &Filter, paging: Paging) -> (String, Vec<Value>) {
    let mut conditions: Vec<String> = Vec::new();
    let mut values = Vec::new();
    let texts = [(source.run, &filter.run), (source.agent, &filter.agent), (SENSOR, &filter.sensor)];
    for (condition, value) in texts {
        if let Some(value) = value {
            conditions.push(condition.to_owned());
            values.push(Value::from(value.clone()));
        }
    }
    let numbers = [
        (format!("{} >= ?", source.time), filter.since_ms),
        (format!("{} < ?", source.time), filter.until_ms),
        ("t.class_uid = ?".to_owned(), filter.class_uid.map(i64::from)),
        ("t.severity = ?".to_owned(), filter.severity.map(i64::from)),
        (format!("t.id {} ?", if paging.newest_first { "<" } else { ">" }), paging.after),
    ];
    for (condition, value) in numbers {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(Value::from(value));
        }
    }
    let mut sql = format!("SELECT {} FROM {}", source.columns, source.from);
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    sql.push_str(if paging.newest_first { " ORDER BY t.id DESC LIMIT ?" } else { " ORDER BY t.id LIMIT ?" });
    values.push(Value::from(i64::try_from(paging.limit + 1).unwrap_or(i64::MAX)));
    (sql, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Source {
        Source { columns: "t.id", from: "events t".to_owned(), time: "t.time_ms", run: RUN, agent: AGENT }
    }

    #[test]
    fn binds_every_value() {
        let filter = Filter {
            run: Some("r' OR 1=1".to_owned()),
            since_ms: Some(5),
            class_uid: Some(1007),
            ..Filter::default()
        };
        let paging = Paging { after: Some(9), newest_first: true, limit: 10 };
        let (sql, values) = select(&events(), &filter, paging);
        assert_eq!(
            sql,
            "SELECT t.id FROM events t WHERE t.run = ? AND t.time_ms >= ? AND t.class_uid = ? AND t.id < ? \
             ORDER BY t.id DESC LIMIT ?"
        );
        let expected: [Value; 5] =
            [Value::from("r' OR 1=1".to_owned()), 5.into(), 1007.into(), 9.into(), 11.into()];
        assert_eq!(values, expected);
    }

    #[test]
    fn asks_for_everything_without_a_filter() {
        let paging = Paging { after: None, newest_first: false, limit: 1 };
        assert_eq!(
            select(&events(), &Filter::default(), paging).0,
            "SELECT t.id FROM events t ORDER BY t.id LIMIT ?"
        );
    }
}
