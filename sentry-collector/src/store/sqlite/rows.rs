//! Rows of blocks: the statement that selects those of a page, and the columns of a row.

use prost::Message as _;
use rusqlite::{Row, types::Value};
use sentry_proto::v1;

use super::{page::value, pool::Failed, spans::WINDOW};
use crate::{
    feed::block::Classes,
    store::page::{Cell, Condition, Query, Source},
};

const RELATION: &str = "listed_blocks";
const COLUMNS: &str = "id, upto, run, sensor, host, version, boot_id, container, spans, body";

/// Conditions that a block's row cannot decide: they are checked for each event.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) from_ms: Option<i64>,
    pub(super) below_ms: Option<i64>,
    pub(super) class_uid: Option<u32>,
    pub(super) ids: Option<Vec<String>>,
    pub(super) search: Option<v1::Search>,
}

/// The row of a block.
#[derive(Debug)]
pub(super) struct BlockRow {
    pub(super) id: i64,
    /// Numbers of its first and last event.
    pub(super) numbers: (u64, u64),
    pub(super) run: String,
    pub(super) source: Source,
    pub(super) spans: Vec<u8>,
    pub(super) body: Option<Vec<u8>>,
}

/// Both searches: of several values of one sort one has to hold, of several sorts each. Times are
/// conditions of their own.
fn join(search: &mut v1::Search, part: v1::Search) {
    let v1::Search {
        types,
        paths,
        programs,
        destinations,
        pids,
        uids,
        without_libraries,
        since_unix_ns: _,
        until_unix_ns: _,
    } = part;
    search.types.extend(types);
    search.paths.extend(paths);
    search.programs.extend(programs);
    search.destinations.extend(destinations);
    search.pids.extend(pids);
    search.uids.extend(uids);
    search.without_libraries |= without_libraries;
}

/// The statement, its values, and the conditions left for each event.
pub(super) fn select(query: &Query) -> Result<(String, Vec<Value>, Wanted), Failed> {
    let (mut clauses, mut values, mut wanted) = (Vec::new(), Vec::new(), Wanted::default());
    let mut add = |clause: String, value: Value| {
        clauses.push(clause);
        values.push(value);
    };
    for condition in &query.conditions {
        match condition {
            Condition::Is("class_uid", Cell::Integer(class)) => {
                // Numbers out of range become one that no class has.
                let class = u32::try_from(*class).unwrap_or(u32::MAX);
                wanted.class_uid = Some(class);
                add("classes & ? <> 0".to_owned(), Classes::of(class).bits().into());
            }
            Condition::Is(column @ ("run" | "agent" | "sensor"), cell) => {
                add(format!("{column} = ?"), value(cell));
            }
            Condition::IsOneOf("id", ids) => wanted.ids = Some(ids.clone()),
            Condition::Searched(part) => join(wanted.search.get_or_insert_default(), part.clone()),
            Condition::From("time_ms", least) => {
                wanted.from_ms = Some(*least);
                add("latest_ms >= ?".to_owned(), (*least).into());
            }
            Condition::Below("time_ms", bound) => {
                wanted.below_ms = Some(*bound);
                add("earliest_ms < ?".to_owned(), (*bound).into());
            }
            Condition::Is(column, _)
            | Condition::IsOneOf(column, _)
            | Condition::From(column, _)
            | Condition::Below(column, _)
            | Condition::Has { column, .. } => {
                return Err(Failed::Column { relation: RELATION, column });
            }
        }
    }
    let newest_first = query.paging.newest_first;
    if let Some(after) = query.paging.after {
        // No block is longer than a window, so no block that begins further away reaches here. The
        // plus keeps the database from using the other column's index, after which it would have to
        // sort.
        let reach = WINDOW as i64;
        if newest_first {
            add("+id < ?".to_owned(), after.into());
            add("upto < ?".to_owned(), after.saturating_add(reach).into());
        } else {
            add("+upto > ?".to_owned(), after.into());
            add("id > ?".to_owned(), after.saturating_sub(reach).into());
        }
    }
    let mut sql = format!("SELECT {COLUMNS} FROM {RELATION}");
    if !clauses.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&clauses.join(" AND "));
    }
    sql.push_str(if newest_first { " ORDER BY upto DESC" } else { " ORDER BY id" });
    Ok((sql, values, wanted))
}

impl BlockRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Failed> {
        let (id, upto): (i64, i64) = (row.get(0)?, row.get(1)?);
        let container: Option<Vec<u8>> = row.get(7)?;
        let container = container.as_deref().map(v1::Container::decode).transpose();
        Ok(Self {
            id,
            numbers: (id as u64, upto as u64),
            run: row.get(2)?,
            source: Source {
                sensor: row.get(3)?,
                host: row.get(4)?,
                version: row.get(5)?,
                boot_id: row.get(6)?,
                container: container
                    .map_err(|_error| Failed::Column { relation: RELATION, column: "container" })?,
            },
            spans: row.get(8)?,
            body: row.get(9)?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use rusqlite::params_from_iter;

    use super::*;
    use crate::store::{page::Paging, sqlite::schema};

    /// The query plan of the database, step by step.
    fn plan(conditions: Vec<Condition>, after: Option<i64>, newest_first: bool) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(schema::open(&path).unwrap());
        let connection = schema::open_reader(&path).unwrap();
        let query = Query { conditions, paging: Paging { after, newest_first, limit: 100 } };
        let (sql, values, _) = select(&query).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    fn is(column: &'static str, value: &str) -> Condition {
        Condition::Is(column, Cell::Text(value.to_owned()))
    }

    #[test]
    fn blocks_are_read_in_order_and_not_sorted() {
        let several = [
            Vec::new(),
            vec![is("run", "r")],
            vec![is("agent", "a")],
            vec![is("sensor", "s")],
            vec![
                is("run", "r"),
                is("agent", "a"),
                Condition::From("time_ms", 1),
                Condition::Below("time_ms", 9),
                Condition::Is("class_uid", Cell::Integer(1007)),
            ],
        ];
        for conditions in several {
            for (after, newest_first) in [(None, true), (None, false), (Some(5), true), (Some(5), false)] {
                let plan = plan(conditions.clone(), after, newest_first);
                assert!(
                    !plan.contains("B-TREE FOR ORDER BY"),
                    "{conditions:?} {after:?} {newest_first}:\n{plan}"
                );
            }
        }
    }

    #[test]
    fn a_condition_reaches_the_index_of_its_column() {
        for (column, index) in [("run", "(run=?"), ("agent", "(agent=?"), ("sensor", "(sensor=?")] {
            for newest_first in [true, false] {
                let plan = plan(vec![is(column, "x")], None, newest_first);
                let used = plan.lines().any(|step| step.starts_with("SEARCH t ") && step.contains(index));
                assert!(used, "{column} {newest_first}:\n{plan}");
            }
        }
    }

    #[test]
    fn a_page_begins_at_its_cursor_and_not_at_the_newest_block() {
        let plans = [(true, "upto<?"), (false, "rowid>?")].map(|(newest_first, range)| {
            let plan = plan(Vec::new(), Some(5), newest_first);
            assert!(plan.contains(range), "{plan}");
            plan
        });
        assert_ne!(plans[0], plans[1]);
    }

    #[test]
    fn a_condition_that_events_do_not_have_is_refused() {
        let query = |condition| Query {
            conditions: vec![condition],
            paging: Paging { after: None, newest_first: true, limit: 1 },
        };
        let unknown = [
            is("colour", "red"),
            Condition::From("colour", 1),
            Condition::Below("colour", 1),
            Condition::Has { relation: "others", column: "colour", value: Cell::Null },
        ];
        for condition in unknown {
            let refused = select(&query(condition));
            assert!(matches!(refused, Err(Failed::Column { column: "colour", .. })), "{refused:?}");
        }
    }
}
