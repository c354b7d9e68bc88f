//! A [`Query`] as SQL: conditions become clauses with bound values, paging is by row number.
//!
//! Limits: a page ends early when the text made of its rows exceeds 1 MiB.

use rusqlite::{
    Connection, params_from_iter,
    types::{Value, ValueRef},
};

use super::pool::Failed;
use crate::store::page::{Cell, Condition, Listed, Next, Query};

pub(super) const PAGE_BYTES: usize = 1 << 20;

/// Gives the rows of a page to `take`, which returns the bytes of the page so far.
pub(super) fn page<R: Listed>(
    connection: &Connection,
    query: &Query,
    mut take: impl FnMut(R) -> usize,
) -> Result<Next, Failed> {
    let (sql, values) = select(R::RELATION, R::COLUMNS, query)?;
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let (mut rows, mut bytes, mut last) = (0, 0, None);
    while let Some(row) = found.next()? {
        if rows == query.paging.limit || bytes > PAGE_BYTES {
            return Ok(last);
        }
        last = Some(row.get(0)?);
        let mut column = 0;
        let read = R::read(|| {
            column += 1;
            row.get_ref(column).map_or(Cell::Null, cell)
        });
        bytes = take(read.map_err(|column| Failed::Column { relation: R::RELATION, column })?);
        rows += 1;
    }
    Ok(None)
}

/// The tables are strict and hold UTF-8, so the other cases do not occur.
fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null | ValueRef::Real(_) => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Text(text) => str::from_utf8(text).map_or(Cell::Null, |text| Cell::Text(text.to_owned())),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    }
}

/// The statement and its values. It selects one row more than the page has.
fn select(relation: &'static str, columns: &[&str], query: &Query) -> Result<(String, Vec<Value>), Failed> {
    let Query { conditions, paging } = query;
    let (mut clauses, mut values) = (Vec::new(), Vec::new());
    let of_run = conditions.iter().any(|condition| matches!(condition, Condition::Is("run", _)));
    for condition in conditions {
        let (clause, bound) = match condition {
            // Without the plus the database takes the index of states, and reads those of all runs.
            Condition::Is("state", cell) if of_run => ("+state = ?".to_owned(), value(cell)),
            Condition::Is(column, cell) => (format!("{column} = ?"), value(cell)),
            Condition::From(column, least) => (format!("{column} >= ?"), (*least).into()),
            Condition::Below(column, bound) => (format!("{column} < ?"), (*bound).into()),
            Condition::Has { relation, column, value: cell } => {
                (format!("id IN (SELECT id FROM {relation} WHERE {column} = ?)"), value(cell))
            }
            Condition::IsOneOf(column, _) => return Err(Failed::Column { relation, column }),
            Condition::Searched(_) => return Err(Failed::Column { relation, column: "search" }),
        };
        clauses.push(clause);
        values.push(bound);
    }
    if let Some(after) = paging.after {
        clauses.push(format!("id {} ?", if paging.newest_first { "<" } else { ">" }));
        values.push(Value::from(after));
    }
    let mut sql = format!("SELECT id, {} FROM {relation}", columns.join(", "));
    if !clauses.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&clauses.join(" AND "));
    }
    sql.push_str(if paging.newest_first { " ORDER BY id DESC LIMIT ?" } else { " ORDER BY id LIMIT ?" });
    values.push(Value::from(i64::try_from(paging.limit + 1).unwrap_or(i64::MAX)));
    Ok((sql, values))
}

pub(super) fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Bytes(bytes) => Value::Blob(bytes.clone()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::{page::Paging, sqlite::schema};

    fn text(value: &str) -> Cell {
        Cell::Text(value.to_owned())
    }

    #[test]
    fn binds_every_value() {
        let conditions = vec![
            Condition::Is("run", text("r' OR 1=1")),
            Condition::From("time_ms", 5),
            Condition::Below("time_ms", 8),
            Condition::Has { relation: "others", column: "run", value: text("r2") },
        ];
        let paging = Paging { after: Some(9), newest_first: true, limit: 10 };
        let (sql, values) = select("listed_x", &["body", "run"], &Query { conditions, paging }).unwrap();
        assert_eq!(
            sql,
            "SELECT id, body, run FROM listed_x WHERE run = ? AND time_ms >= ? AND time_ms < ? \
             AND id IN (SELECT id FROM others WHERE run = ?) AND id < ? ORDER BY id DESC LIMIT ?"
        );
        let run = |name: &str| Value::from(name.to_owned());
        assert_eq!(values, [run("r' OR 1=1"), 5.into(), 8.into(), run("r2"), 9.into(), 11.into()]);
    }

    #[test]
    fn asks_for_everything_without_a_condition() {
        let paging = Paging { after: None, newest_first: false, limit: 1 };
        let (sql, _) = select("listed_x", &["run"], &Query { conditions: Vec::new(), paging }).unwrap();
        assert_eq!(sql, "SELECT id, run FROM listed_x ORDER BY id LIMIT ?");
    }

    #[test]
    fn conditions_of_events_are_refused() {
        let one_of = Condition::IsOneOf("id", vec!["f1".to_owned()]);
        for condition in [one_of, Condition::Searched(sentry_proto::v1::Search::default())] {
            let paging = Paging { after: None, newest_first: true, limit: 1 };
            let refused = select("listed_x", &["id"], &Query { conditions: vec![condition], paging });
            assert!(matches!(refused, Err(Failed::Column { relation: "listed_x", .. })), "{refused:?}");
        }
    }

    /// The query plan of the database, step by step.
    fn plan(relation: &'static str, conditions: Vec<Condition>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(schema::open(&path).unwrap());
        let connection = schema::open_reader(&path).unwrap();
        let paging = Paging { after: None, newest_first: true, limit: 100 };
        let (sql, values) = select(relation, &["id"], &Query { conditions, paging }).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_page_is_read_in_order_and_not_sorted() {
        for relation in [
            "listed_sensors",
            "listed_agents",
            "listed_runs",
            "listed_findings",
            "listed_decisions",
            "listed_outcomes",
            "listed_gaps",
        ] {
            let plan = plan(relation, Vec::new());
            assert!(plan.starts_with("SCAN t"), "{relation}: {plan}");
            assert!(!plan.contains("B-TREE FOR ORDER BY"), "{relation}: {plan}");
        }
    }

    #[test]
    fn changes_are_read_in_order_and_not_sorted() {
        let plan = plan("changed_runs", vec![Condition::From("id", 5)]);
        assert!(plan.contains("USING INDEX runs_changed (changed>?)"), "{plan}");
        assert!(!plan.contains("B-TREE FOR ORDER BY"), "{plan}");
        let plan = self::plan("changed_findings", vec![Condition::From("id", 5)]);
        assert!(plan.contains("USING INDEX findings_changed (changed>?)"), "{plan}");
        assert!(!plan.contains("B-TREE FOR ORDER BY"), "{plan}");
    }

    #[test]
    fn a_condition_reaches_the_index_of_its_table() {
        // The index of runs is by run and sensor, so the few rows of one run have to be sorted.
        let plan_of_run = plan("listed_runs", vec![Condition::Is("run", text("r1"))]);
        assert!(
            plan_of_run.starts_with("SEARCH t USING INDEX sqlite_autoindex_runs_1 (run=?)"),
            "{plan_of_run}"
        );
        let of_state = Condition::Is("state", Cell::Integer(1));
        let plan_of_both = plan("listed_findings", vec![of_state, Condition::Is("run", text("r1"))]);
        assert!(plan_of_both.contains("USING INDEX findings_run (run=?)"), "{plan_of_both}");
        // So have those of one finding, as its sensor names it.
        for (relation, index) in
            [("listed_findings", "findings_finding"), ("listed_triage", "triage_finding")]
        {
            let plan = plan(relation, vec![Condition::Is("finding", text("f1"))]);
            assert!(plan.contains(&format!("INDEX {index} (finding=?")), "{plan}");
        }
        let of_run = |relation| (relation, Condition::Is("run", text("r1")), "(run=?");
        let of_sensor = |relation| (relation, Condition::Is("sensor", text("s1")), "(sensor=?");
        let of_agent = |relation| (relation, Condition::Is("agent", text("a1")), "(agent=?");
        let by_index = [
            of_run("listed_findings"),
            of_run("listed_decisions"),
            of_run("listed_outcomes"),
            of_sensor("listed_runs"),
            of_agent("listed_agents"),
            of_agent("listed_runs"),
            ("listed_findings", Condition::Is("severity", Cell::Integer(4)), "(severity=?"),
            ("listed_findings", Condition::Is("state", Cell::Integer(1)), "(state=?"),
        ];
        for (relation, condition, index) in by_index {
            let plan = plan(relation, vec![condition.clone()]);
            let used = plan.lines().any(|step| step.starts_with("SEARCH t ") && step.contains(index));
            assert!(used && !plan.contains("B-TREE FOR ORDER BY"), "{relation} {condition:?}:\n{plan}");
        }
    }
}
